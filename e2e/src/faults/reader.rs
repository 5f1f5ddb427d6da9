//! A plain reader for exactly the CSV and JSON lines that [`super::inputs`] writes. It makes cells from bytes.

use std::io::{self, BufRead};

/// A cell as it is in the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cell {
    /// An empty field, or `null`.
    Nothing,
    /// A text without its quotes and escapes.
    Text(String),
}

/// The cells of one record, or that it cannot be split.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cells {
    /// In the order of the columns.
    Split(Vec<Cell>),
    /// It cannot be split into cells.
    Malformed,
}

/// Reads one CSV record with `columns` cells; `None` at the end.
pub fn csv(input: &mut impl BufRead, columns: usize) -> io::Result<Option<Cells>> {
    let mut record = Vec::new();
    // A record continues while a quote is open: the number of quotes so far is odd.
    loop {
        if input.read_until(b'\n', &mut record)? == 0 {
            break;
        }
        if record.split(|byte| *byte == b'"').count() % 2 == 1 {
            break;
        }
    }
    if record.is_empty() {
        return Ok(None);
    }
    if record.ends_with(b"\n") {
        record.pop();
    }
    let text = String::from_utf8(record).map_err(|e| io::Error::new(io::ErrorKind::InvalidData, e))?;
    let cells = csv_cells(&text);
    Ok(Some(if cells.len() == columns { Cells::Split(cells) } else { Cells::Malformed }))
}

fn csv_cells(text: &str) -> Vec<Cell> {
    let mut cells = vec![];
    let mut rest = text;
    loop {
        if let Some(quoted) = rest.strip_prefix('"') {
            let mut value = String::new();
            let mut tail = quoted;
            while let Some(at) = tail.find('"') {
                value.push_str(&tail[..at]);
                tail = &tail[at + 1..];
                match tail.strip_prefix('"') {
                    Some(after) => {
                        value.push('"');
                        tail = after;
                    }
                    None => break,
                }
            }
            cells.push(Cell::Text(value));
            rest = tail;
        } else {
            let end = rest.find(',').unwrap_or(rest.len());
            let value = &rest[..end];
            cells.push(if value.is_empty() { Cell::Nothing } else { Cell::Text(value.to_owned()) });
            rest = &rest[end..];
        }
        match rest.strip_prefix(',') {
            Some(after) => rest = after,
            None => return cells,
        }
    }
}

/// Reads one line that is a flat JSON object whose keys are `names` in this order; `None` at the end.
pub fn json(input: &mut impl BufRead, names: &[&str]) -> io::Result<Option<Cells>> {
    let mut line = String::new();
    if input.read_line(&mut line)? == 0 {
        return Ok(None);
    }
    Ok(Some(json_cells(line.trim_end(), names).map_or(Cells::Malformed, Cells::Split)))
}

fn json_cells(line: &str, names: &[&str]) -> Option<Vec<Cell>> {
    let mut rest = line.strip_prefix('{')?.strip_suffix('}')?;
    let mut cells = vec![];
    for (index, name) in names.iter().enumerate() {
        if index > 0 {
            rest = rest.strip_prefix(',')?;
        }
        rest = rest.strip_prefix('"')?.strip_prefix(name)?.strip_prefix("\":")?;
        let (cell, after) = if let Some(text) = rest.strip_prefix('"') {
            json_text(text)?
        } else {
            let end = rest.find(',').unwrap_or(rest.len());
            let bare = &rest[..end];
            let cell = if bare == "null" { Cell::Nothing } else { Cell::Text(bare.to_owned()) };
            (cell, &rest[end..])
        };
        cells.push(cell);
        rest = after;
    }
    rest.is_empty().then_some(cells)
}

/// Returns the text up to its closing quote, and the rest after it.
fn json_text(text: &str) -> Option<(Cell, &str)> {
    let mut value = String::new();
    let mut rest = text;
    loop {
        let at = rest.find(['"', '\\'])?;
        value.push_str(&rest[..at]);
        if rest[at..].starts_with('"') {
            return Some((Cell::Text(value), &rest[at + 1..]));
        }
        value.push(match rest[at + 1..].chars().next()? {
            'n' => '\n',
            escaped @ ('"' | '\\') => escaped,
            _ => return None,
        });
        rest = &rest[at + 2..];
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &str) -> Cell {
        Cell::Text(text.to_owned())
    }

    #[test]
    fn csv_is_read_with_quotes_line_feeds_and_empty_cells() {
        let mut input = "a,\"x \"\"1\"\",\ny\",,1.5\nx,y\n".as_bytes();
        let first = csv(&mut input, 4).unwrap().unwrap();
        assert_eq!(first, Cells::Split(vec![text("a"), text("x \"1\",\ny"), Cell::Nothing, text("1.5")]));
        assert_eq!(csv(&mut input, 4).unwrap(), Some(Cells::Malformed));
        assert_eq!(csv(&mut input, 4).unwrap(), None);
    }

    #[test]
    fn json_is_read_with_escapes_numbers_and_null() {
        let mut input = "{\"id\":\"a \\\"b\\\" \\\\ \\n\",\"n\":-1.5,\"o\":null}\n{\"id\": no\n".as_bytes();
        let names = ["id", "n", "o"];
        let first = json(&mut input, &names).unwrap().unwrap();
        assert_eq!(first, Cells::Split(vec![text("a \"b\" \\ \n"), text("-1.5"), Cell::Nothing]));
        assert_eq!(json(&mut input, &names).unwrap(), Some(Cells::Malformed));
        assert_eq!(json(&mut input, &names).unwrap(), None);
    }
}
