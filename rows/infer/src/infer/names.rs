//! Makes names that columns of a table can have.

use std::collections::HashSet;

use super::InferError;

/// The maximum length of a column's name or alias, in characters.
const MAX_NAME: usize = 128;
/// Names of columns that every table or block has.
const LINEAGE: [&str; 4] = ["_job", "_row", "job_in", "row_in"];

/// A column's name in the table, and its name in the file if that differs.
pub(crate) type Name = (String, Vec<String>);

/// A name for each column of a file. `None`: the column has no name in the file.
pub(crate) fn columns(found: &[String]) -> Result<Vec<Option<Name>>, InferError> {
    // A name in the file that is valid has precedence over a name that is made here.
    let mut taken: HashSet<String> = found.iter().filter(|name| is_good(name)).cloned().collect();
    let mut columns = Vec::with_capacity(found.len());
    for (at, name) in found.iter().enumerate() {
        columns.push(match name.as_str() {
            "" => None,
            name if is_good(name) => Some((name.to_owned(), Vec::new())),
            name if name.chars().count() > MAX_NAME => {
                return Err(InferError::NameTooLong { number: at + 1 });
            }
            name => {
                let made = make(name, at + 1);
                let with = |n: usize| if n == 1 { made.clone() } else { format!("{made}_{n}") };
                // The names in the file cannot be used either: they are aliases.
                let free = (1..=taken.len() + found.len() + 1)
                    .map(with)
                    .find(|n| !taken.contains(n) && !found.contains(n));
                let free = free.unwrap_or(made);
                taken.insert(free.clone());
                Some((free, vec![name.to_owned()]))
            }
        });
    }
    Ok(columns)
}

fn is_good(name: &str) -> bool {
    let first = name.bytes().next();
    first.is_some_and(|b| b.is_ascii_alphabetic() || b == b'_')
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
        && name.len() <= MAX_NAME
        && !LINEAGE.contains(&name)
}

/// Makes a valid name: the letters and digits, with one `_` in place of the characters between them.
fn make(name: &str, number: usize) -> String {
    let words: Vec<&str> =
        name.split(|c: char| !c.is_ascii_alphanumeric()).filter(|w| !w.is_empty()).collect();
    let joined: String = words.join("_").chars().take(MAX_NAME - 10).collect();
    match joined.bytes().next() {
        None => format!("column_{number}"),
        Some(b'0'..=b'9') => format!("c_{joined}"),
        Some(_) if LINEAGE.contains(&joined.as_str()) => format!("{joined}_in_file"),
        Some(_) => joined,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_column_gets_a_name_of_its_own_that_a_table_can_have() {
        let found = ["a b", "a_b", "a-b", "2024", "Größe", "漢字", "", "_row", "id"].map(str::to_owned);
        let names: Vec<_> = columns(&found).unwrap().into_iter().map(|c| c.map(|(name, _)| name)).collect();
        let names: Vec<_> = names.iter().map(|n| n.as_deref().unwrap_or("-")).collect();
        assert_eq!(names, ["a_b_2", "a_b", "a_b_3", "c_2024", "Gr_e", "column_6", "-", "row", "id"]);
        assert_eq!(columns(&["x".repeat(129)]), Err(InferError::NameTooLong { number: 1 }));
    }
}
