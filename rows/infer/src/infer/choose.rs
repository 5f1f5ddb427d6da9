//! Chooses a type for each column from its statistics, with notes on what is uncertain.

use rows_types::Input;

use super::names::Name;
use super::stats::{Candidates, NULL_WORDS, Stats};
use super::{Proposal, Proposed};

/// From 2001-09-09 to 2100-01-01, in seconds since 1970.
const SECONDS: std::ops::RangeInclusive<i128> = 1_000_000_000..=4_102_444_800;

/// A type, with its format and notes.
struct Choice {
    ty: String,
    format: Option<String>,
    notes: Vec<String>,
}

/// The first draft of a proposal, and the statistics of its columns.
pub(crate) fn propose(
    candidates: &Candidates,
    input: Input,
    names: Vec<Option<Name>>,
    stats: Vec<Stats>,
    rows: u64,
) -> (Proposal, Vec<Stats>) {
    let json = input.format.is_json();
    let mut proposal = Proposal {
        input,
        columns: Vec::new(),
        row_key: None,
        order_by: Vec::new(),
        notes: Vec::new(),
        rows,
        bad_rows: 0,
    };
    let mut kept = Vec::new();
    let mut words = 0;
    for (at, (name, seen)) in names.into_iter().zip(stats).enumerate() {
        let Some((name, aliases)) = name else {
            proposal.leave_out(&format!("column {}", at + 1), "it has no name");
            continue;
        };
        let Some(mut choice) = choose(&name, &seen, candidates, json) else {
            proposal.leave_out(
                &name,
                "no type holds both single values and nested ones, or arrays of mixed kinds",
            );
            continue;
        };
        words |= if is_text(&choice.ty) { seen.null_words & 1 } else { seen.null_words };
        if !aliases.is_empty() {
            choice.notes.insert(0, "named anew: a column's name has letters, digits and _".to_owned());
        }
        let Choice { ty, format, notes } = choice;
        proposal.columns.push(Proposed { name, ty, nullable: false, aliases, default: None, format, notes });
        kept.push(seen);
    }
    for (column, seen) in proposal.columns.iter_mut().zip(&kept) {
        allow_null(column, seen, words, rows);
    }
    let adopted = NULL_WORDS.iter().enumerate().filter(|(at, _)| words >> at & 1 == 1);
    proposal.input.null_values.extend(adopted.map(|(_, word)| (*word).to_owned()));
    if proposal.input.header && !json && proposal.columns.iter().all(|c| is_text(&c.ty)) {
        proposal.notes.push("all columns are text: if the first line is data, say --no-header".to_owned());
    }
    (proposal, kept)
}

fn is_text(ty: &str) -> bool {
    matches!(ty, "String" | "LowCardinality(String)")
}

/// Chooses a type for a column. `None`: no type holds all its values.
fn choose(name: &str, seen: &Stats, candidates: &Candidates, json: bool) -> Option<Choice> {
    let plain = |ty: &str| Choice { ty: ty.to_owned(), format: None, notes: Vec::new() };
    if let Some(elements) = &seen.elements {
        return if seen.words || seen.strings { None } else { elements.ty().map(|ty| plain(&ty)) };
    }
    if seen.values == 0 {
        let notes = vec!["no value was seen".to_owned()];
        return Some(Choice { notes, ..plain("String") });
    }
    let words_only = !json || !seen.strings;
    if seen.bools && words_only {
        return Some(plain("Bool"));
    }
    if seen.numbers.all() && words_only {
        return Some(match seen.numbers.ty(json) {
            Some((ty, note)) => {
                let notes = note.into_iter().chain(epoch_note(name, seen)).collect();
                Choice { notes, ..plain(&ty) }
            }
            None => Choice { notes: vec![seen.numbers.text_note()], ..text(seen) },
        });
    }
    if (!json || !seen.words)
        && let Some(found) = seen.candidate(candidates)
    {
        let mut notes = Vec::new();
        if let Some(format) = found.format {
            let swapped =
                format.replace("%d/%m", "%m/%d").replace("%d-%m", "%m-%d").replace("%-d/%-m", "%-m/%-d");
            if swapped != format && seen.takes(candidates, found.ty, &swapped) {
                notes.push(format!("day and month could be the other way round: {swapped}"));
            }
        }
        return Some(Choice { format: found.format.map(str::to_owned), notes, ..plain(found.ty) });
    }
    let mut choice = text(seen);
    if seen.leading_zeros {
        choice.notes.push("text, to keep leading zeros".to_owned());
    } else if json && seen.words && seen.strings {
        choice.notes.push("texts, and numbers or booleans".to_owned());
    }
    Some(choice)
}

fn text(seen: &Stats) -> Choice {
    let few = |n: usize| n <= 1000 && 10 * (n as u64) < seen.values;
    let low = seen.values >= 100 && seen.distinct().is_some_and(few);
    let ty = if low { "LowCardinality(String)" } else { "String" };
    Choice { ty: ty.to_owned(), format: None, notes: Vec::new() }
}

/// A note if whole numbers may be moments, as their size and the column's name suggest.
fn epoch_note(name: &str, seen: &Stats) -> Option<String> {
    let (min, max) = seen.numbers.range()?;
    let name = name.to_ascii_lowercase();
    if !["time", "date", "_at", "ts"].iter().any(|part| name.contains(part)) {
        return None;
    }
    let within = |unit: i128| SECONDS.contains(&(min / unit)) && SECONDS.contains(&(max / unit));
    if within(1) {
        Some("if these are seconds since 1970: DateTime".to_owned())
    } else if within(1000) {
        Some("if these are milliseconds since 1970: DateTime64(3) with format: epoch_millis".to_owned())
    } else {
        None
    }
}

/// Makes a column nullable if NULL occurs. `words` has a bit for each of [`NULL_WORDS`] that means NULL.
fn allow_null(column: &mut Proposed, seen: &Stats, words: u8, rows: u64) {
    let absent = seen.cells < rows || seen.nulls;
    let word = seen.null_words & words != 0;
    if column.ty.starts_with("Array(") {
        column.default = absent.then(|| "[]".to_owned());
        return;
    }
    if !is_text(&column.ty) {
        column.nullable = absent || word || seen.empty || seen.empty_text;
        return;
    }
    column.nullable = absent || word || (seen.empty && seen.empty_text) || seen.values == 0;
    if word {
        column.notes.push("a null value of another column means NULL here too".to_owned());
    } else if seen.empty && !column.nullable {
        column.notes.push("an empty cell is the empty text".to_owned());
    }
}
