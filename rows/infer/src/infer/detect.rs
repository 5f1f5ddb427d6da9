//! Detects how a file is written, from its first bytes.

use rows_bytes::text::is_json_number;
use rows_split::{csv, json};
use rows_types::{Dialect, Format, Input};

use super::stats::Candidates;

/// What is known of a file before it is read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Known {
    /// The known settings, and defaults for the others.
    pub input: Input,
    /// Whether the format is known.
    pub format: bool,
    /// Whether the delimiter is known.
    pub delimiter: bool,
    /// Whether `input.header` is known: whether the first record names the columns.
    pub header: bool,
}

/// The delimiters, in the order in which they are tried. If several fit equally well, the first is used: in a file with
/// semicolons as delimiters, commas can be decimal points.
const DELIMITERS: [u8; 4] = [b'\t', b';', b'|', b','];
/// The maximum number of records that are read.
const RECORDS: usize = 200;

/// Detects how a file is written, from its first bytes. Known settings are kept.
#[must_use]
pub fn detect(start: &[u8], known: &Known) -> Input {
    let bytes = start.strip_prefix(b"\xef\xbb\xbf").unwrap_or(start);
    let mut input = known.input.clone();
    if !known.format {
        input.format = json_format(bytes).unwrap_or(Format::Csv);
    }
    if input.format.is_json() {
        return input;
    }
    if !known.delimiter {
        input.delimiter = if input.format == Format::Tsv { '\t' } else { delimiter(bytes, input.dialect()) };
    }
    if !known.format && input.delimiter == '\t' {
        input.format = Format::Tsv;
    }
    if !known.header {
        input.header = is_header(bytes, input.dialect());
    }
    input
}

/// JSON lines, if the first line is an object. A JSON array, if the text begins with an array whose first element is an
/// object.
fn json_format(bytes: &[u8]) -> Option<Format> {
    let text = bytes.trim_ascii_start();
    if let Some(array) = text.strip_prefix(b"[") {
        return array.trim_ascii_start().starts_with(b"{").then_some(Format::Json);
    }
    let line = csv::trimmed_line(text.split_inclusive(|b| *b == b'\n').next().unwrap_or_default());
    json::members(line, 0, line.len()).ok().map(|_| Format::JsonLines)
}

/// The delimiter with which most records have as many cells as the first record.
fn delimiter(bytes: &[u8], dialect: Dialect) -> char {
    let mut best = (0, b',');
    for delimiter in DELIMITERS {
        let share = share(bytes, Dialect { delimiter, ..dialect });
        if share > best.0 {
            best = (share, delimiter);
        }
    }
    char::from(best.1)
}

/// The share of records, in thousandths, that have as many cells as the first record. 0 if the first record has only
/// one cell.
fn share(bytes: &[u8], dialect: Dialect) -> usize {
    let mut counts = Vec::new();
    let mut at = csv::skip_blank_lines(bytes, 0, dialect);
    while at < bytes.len() && counts.len() < RECORDS {
        let mut cells = 0;
        let csv::Record { next, problem, .. } = csv::record(bytes, at, dialect, |_| cells += 1);
        // The last record may be cut off.
        if next == bytes.len() && !counts.is_empty() && bytes.last() != Some(&b'\n') {
            break;
        }
        counts.push(if problem.is_some() { 0 } else { cells });
        at = csv::skip_blank_lines(bytes, next, dialect);
    }
    match counts.first() {
        Some(first) if *first > 1 => 1000 * counts.iter().filter(|c| *c == first).count() / counts.len(),
        _ => 0,
    }
}

/// Whether the first record contains names: no cell is a number, a date or a similar value. The first or the last cell
/// may be empty: the first for an index column, the last after a surplus delimiter. A name that occurs twice is refused
/// later: if the line were taken as data, nobody would notice a wrong guess.
fn is_header(bytes: &[u8], dialect: Dialect) -> bool {
    let start = csv::skip_blank_lines(bytes, 0, dialect);
    let end = csv::record(bytes, start, dialect, |_| ()).end;
    let Ok(cells) = csv::fields(&bytes[start..end.max(start)], dialect) else { return false };
    let names: Vec<&[u8]> = cells.iter().map(|c| c.trim_ascii()).collect();
    let candidates = Candidates::new();
    let is_name = |at: usize, name: &[u8]| {
        let value = is_json_number(name) || matches!(name, b"true" | b"false") || candidates.any(name);
        let empty_is_fine = (at == 0 || at + 1 == names.len()) && names.len() > 1;
        if name.is_empty() { empty_is_fine } else { !value }
    };
    names.iter().enumerate().all(|(at, name)| is_name(at, name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn format_delimiter_and_header_are_seen_in_the_first_bytes() {
        for (text, format, delimiter, header) in [
            ("id,name\n1,x\n", Format::Csv, ',', true),
            ("id;price\n1;2,5\n2;3,5\n", Format::Csv, ';', true),
            ("1;2,5\n2;3,5\n", Format::Csv, ';', false),
            ("id\tname\n1\tx, y\n", Format::Tsv, '\t', true),
            ("id|name\n1|x\n2|y", Format::Csv, '|', true),
            ("\u{feff}id,\"a;b\"\r\n\r\n1,\"x;\ny\"\r\n2,\"z;", Format::Csv, ',', true),
            ("one\ntwo\n", Format::Csv, ',', true),
            ("2024-05-01,x\n", Format::Csv, ',', false),
            ("x,x\n", Format::Csv, ',', true),
            ("x,,y\n", Format::Csv, ',', false),
            (",a,b\n0,1,2\n", Format::Csv, ',', true),
            ("\n{\"a\": [1]}\n{\"a\": 2}\n", Format::JsonLines, ',', true),
            (" [\n {\"a\": 1},\n {}]", Format::Json, ',', true),
            ("[a,b]\n", Format::Csv, ',', true),
            ("{a,b}\n", Format::Csv, ',', true),
            ("", Format::Csv, ',', false),
        ] {
            let input = detect(text.as_bytes(), &Known::default());
            let header = if text.is_empty() { input.header } else { header };
            assert_eq!(
                (input.format, input.delimiter, input.header),
                (format, delimiter, header),
                "{text:?}"
            );
        }
    }

    #[test]
    fn what_is_known_is_not_looked_for() {
        let input = Input { delimiter: '|', header: false, ..Input::default() };
        let known = Known { input: input.clone(), delimiter: true, header: true, ..Known::default() };
        assert_eq!(detect(b"a,b\n1,2\n", &known), input);
        let input = Input { format: Format::Tsv, ..Input::default() };
        let tsv = detect(b"a\tb\n", &Known { input, format: true, ..Known::default() });
        assert_eq!((tsv.format, tsv.delimiter), (Format::Tsv, '\t'));
    }
}
