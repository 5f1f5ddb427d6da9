//! What the result of a file must be, by a plain reading of it: one record after the other, one cell after the other.
//!
//! The rules are those of the user guide, but only for the shapes of [`super::shape`]. They are implemented again on
//! purpose.

use std::fmt::Write as _;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;

use super::digest::{Crc64, sip_hash64};
use super::inputs::Format;
use super::reader::{self, Cell, Cells};
use super::shape::{Kind, NULL, SEPARATOR, STATUSES, Shape};

/// One record of the file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Record {
    /// Its number, from 1.
    pub row: u64,
    /// The text of the row, as [`Shape::row_sql`] makes it from the table. It has no meaning if `bad` is not empty.
    pub text: String,
    /// The columns of its bad cells, sorted. The name is empty if the record cannot be split.
    pub bad: Vec<&'static str>,
}

/// The counts and sums that the result of a file must have.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Expected {
    /// The number of records.
    pub rows: u64,
    /// The number of records without a bad cell.
    pub good: u64,
    /// The number of bad cells. A record that cannot be split counts as one.
    pub bad_cells: u64,
    /// The sum of `sipHash64` of the texts of all good rows, in 64 bits.
    pub row_sum: u64,
    /// The sum of `sipHash64` of `row SEPARATOR column` of all bad cells, in 64 bits.
    pub reject_sum: u64,
    /// The CRC-64/NVME of the complete file.
    pub digest: String,
}

impl Expected {
    /// Reads a file.
    pub fn of(path: &Path, shape: Shape, format: Format) -> io::Result<Self> {
        let mut expected = Self { digest: digest(path)?, ..Self::default() };
        read(path, shape, format, |record| {
            expected.add(record);
            Ok(())
        })?;
        Ok(expected)
    }

    /// Adds one more record.
    pub fn add(&mut self, record: &Record) {
        self.rows += 1;
        if record.bad.is_empty() {
            self.good += 1;
            self.row_sum = self.row_sum.wrapping_add(sip_hash64(record.text.as_bytes()));
        }
        for column in &record.bad {
            self.bad_cells += 1;
            self.reject_sum = self.reject_sum.wrapping_add(reject_hash(record.row, column));
        }
    }

    /// Returns the number of records with a bad cell.
    #[must_use]
    pub fn bad(&self) -> u64 {
        self.rows - self.good
    }
}

/// Returns what a bad cell adds to [`Expected::reject_sum`].
#[must_use]
pub fn reject_hash(row: u64, column: &str) -> u64 {
    sip_hash64(format!("{row}{SEPARATOR}{column}").as_bytes())
}

/// Returns the digest of the first `bytes` bytes of a file.
pub fn prefix_digest(path: &Path, bytes: u64) -> io::Result<String> {
    digest_of(File::open(path)?.take(bytes))
}

/// Returns the digest of a complete file.
pub fn digest(path: &Path) -> io::Result<String> {
    digest_of(File::open(path)?)
}

fn digest_of(mut input: impl Read) -> io::Result<String> {
    let (mut crc, mut buffer) = (Crc64::new(), vec![0; 256 * 1024]);
    loop {
        match input.read(&mut buffer)? {
            0 => return Ok(crc.shown()),
            read => crc.write(&buffer[..read]),
        }
    }
}

/// Calls `each` for every record of a file, in order. Only one record is in memory at a time.
pub fn read(
    path: &Path,
    shape: Shape,
    format: Format,
    mut each: impl FnMut(&Record) -> io::Result<()>,
) -> io::Result<()> {
    let mut input = BufReader::with_capacity(256 * 1024, File::open(path)?);
    let columns = shape.columns();
    let names: Vec<&str> = columns.iter().map(|c| c.name).collect();
    if format == Format::Csv {
        let mut header = String::new();
        input.read_line(&mut header)?;
        if header.trim_end() != names.join(",") {
            return Err(io::Error::other(format!("{} has another header", path.display())));
        }
    }
    let mut record = Record::default();
    loop {
        let cells = match format {
            Format::Csv => reader::csv(&mut input, columns.len())?,
            Format::JsonLines => reader::json(&mut input, &names)?,
        };
        let Some(cells) = cells else { return Ok(()) };
        record.row += 1;
        check_cells(&mut record, shape, &cells);
        each(&record)?;
    }
}

fn check_cells(record: &mut Record, shape: Shape, cells: &Cells) {
    record.bad.clear();
    record.text.clear();
    let _ = write!(record.text, "{}", record.row);
    let Cells::Split(cells) = cells else {
        record.bad.push("");
        return;
    };
    for (column, cell) in shape.columns().iter().zip(cells) {
        record.text.push(SEPARATOR);
        match value(column.kind, cell) {
            Some(text) => record.text.push_str(&text),
            None => record.bad.push(column.name),
        }
    }
    record.bad.sort_unstable();
}

/// Returns what ClickHouse shows for a cell, or `None` if it is bad.
fn value(kind: Kind, cell: &Cell) -> Option<String> {
    let Cell::Text(text) = cell else {
        return kind.is_optional().then(|| NULL.to_owned());
    };
    let same = |good: bool| good.then(|| text.clone());
    match kind {
        Kind::Text | Kind::OptionalText | Kind::Country => Some(text.clone()),
        Kind::UInt32 => same(is_integer(text) && text.parse::<u32>().is_ok()),
        Kind::UInt64 => same(is_integer(text) && text.parse::<u64>().is_ok()),
        Kind::Int32 => same(is_integer(text) && text.parse::<i32>().is_ok()),
        Kind::OptionalInt64 => same(is_integer(text) && text.parse::<i64>().is_ok()),
        Kind::Float => text.parse::<f64>().ok().filter(|_| is_decimal(text, 17)).map(|f| f.to_string()),
        Kind::Decimal => is_decimal(text, 4).then(|| without_zeros(text)),
        Kind::Date => same(is_date(text)),
        Kind::DateTime => same(is_date_time(text)),
        Kind::Uuid => same(is_uuid(text)),
        Kind::Bool => same(["true", "false"].contains(&text.as_str())),
        Kind::Status => same(STATUSES.contains(&text.as_str())),
    }
}

/// Returns whether the text matches `-?(0|[1-9][0-9]*)`.
fn is_integer(text: &str) -> bool {
    let digits = text.strip_prefix('-').unwrap_or(text);
    !digits.is_empty()
        && digits.bytes().all(|b| b.is_ascii_digit())
        && (digits == "0" || !digits.starts_with('0'))
}

/// Returns whether the text is an integer, with at most `scale` digits after a decimal point.
fn is_decimal(text: &str, scale: usize) -> bool {
    match text.split_once('.') {
        None => is_integer(text),
        Some((integer, fraction)) => {
            is_integer(integer)
                && (1..=scale).contains(&fraction.len())
                && fraction.bytes().all(|b| b.is_ascii_digit())
        }
    }
}

fn without_zeros(text: &str) -> String {
    if text.contains('.') {
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    } else {
        text.to_owned()
    }
}

fn is_date(text: &str) -> bool {
    let number = |from: usize, to: usize| text.get(from..to).and_then(|t| t.parse::<u32>().ok());
    let shape =
        text.bytes().enumerate().all(|(i, b)| if i == 4 || i == 7 { b == b'-' } else { b.is_ascii_digit() });
    let (Some(year), Some(month), Some(day)) = (number(0, 4), number(5, 7), number(8, 10)) else {
        return false;
    };
    let days = match month {
        2 if year % 4 == 0 => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    };
    text.len() == 10
        && shape
        && (1971..2100).contains(&year)
        && (1..=12).contains(&month)
        && (1..=days).contains(&day)
}

fn is_date_time(text: &str) -> bool {
    let Some((date, time)) = text.split_once(' ') else { return false };
    let parts: Vec<&str> = time.split(':').collect();
    let below = |index: usize, limit: u32| {
        parts.get(index).is_some_and(|p| p.len() == 2 && p.parse::<u32>().is_ok_and(|n| n < limit))
    };
    is_date(date) && parts.len() == 3 && below(0, 24) && below(1, 60) && below(2, 60)
}

fn is_uuid(text: &str) -> bool {
    let lengths: Vec<usize> = text.split('-').map(str::len).collect();
    lengths == [8, 4, 4, 4, 12] && text.bytes().all(|b| b == b'-' || b.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::PathBuf;

    use super::*;
    use crate::faults::inputs::{self, Bad};

    fn file(name: &str, bytes: &[u8]) -> PathBuf {
        let path = std::env::temp_dir().join(format!("faults-expected-{}-{name}", std::process::id()));
        fs::write(&path, bytes).unwrap();
        path
    }

    fn records(name: &str, shape: Shape, format: Format, bytes: &[u8]) -> Vec<Record> {
        let path = file(name, bytes);
        let mut all = vec![];
        read(&path, shape, format, |record| {
            all.push(record.clone());
            Ok(())
        })
        .unwrap();
        fs::remove_file(path).unwrap();
        all
    }

    fn generated(shape: Shape, format: Format, rows: u64, bad: Bad) -> Expected {
        let mut bytes = vec![];
        inputs::write(&mut bytes, &inputs::File { shape, format, rows, bad, days: 30, seed: 5 }).unwrap();
        let path = file(&format!("{shape:?}-{format:?}-{bad:?}-{rows}"), &bytes);
        let expected = Expected::of(&path, shape, format).unwrap();
        fs::remove_file(path).unwrap();
        expected
    }

    #[test]
    fn the_rows_and_bad_cells_of_a_handwritten_file_are_found() {
        let csv =
            "id,at,amount\na,1,2.50\nb,soon,x\n\"c,\"\"1\"\"\",4294967295,7\nd,1\ne,,1\nf,4294967296,1\n";
        let all = records("hand", Shape::Narrow, Format::Csv, csv.as_bytes());
        let bad: Vec<_> = all.iter().map(|r| r.bad.clone()).collect();
        assert_eq!(bad, [vec![], vec!["amount", "at"], vec![], vec![""], vec!["at"], vec!["at"]]);
        assert_eq!(all[0].text, "1\u{1f}a\u{1f}1\u{1f}2.5");
        assert_eq!(all[2].text, "3\u{1f}c,\"1\"\u{1f}4294967295\u{1f}7");
    }

    #[test]
    fn the_same_rows_read_the_same_from_csv_and_from_json_lines() {
        for shape in [Shape::Narrow, Shape::Wide, Shape::Partitioned] {
            for bad in [Bad::None, Bad::OnePercent, Bad::All] {
                let [csv, json] =
                    [Format::Csv, Format::JsonLines].map(|format| generated(shape, format, 3000, bad));
                // A malformed record uses other random numbers in each format, so files with bad rows differ after it.
                if bad == Bad::None {
                    assert_eq!(
                        (csv.rows, csv.good, csv.row_sum),
                        (json.rows, json.good, json.row_sum),
                        "{shape:?}"
                    );
                }
                assert_eq!((csv.rows, json.rows), (3000, 3000));
            }
        }
    }

    #[test]
    fn a_clean_file_has_no_bad_row_and_a_bad_one_has_no_good_row() {
        for shape in [Shape::Narrow, Shape::Wide, Shape::Partitioned] {
            for format in [Format::Csv, Format::JsonLines] {
                assert_eq!(generated(shape, format, 2000, Bad::None).good, 2000, "{shape:?} {format:?}");
                let all = generated(shape, format, 2000, Bad::All);
                assert_eq!(all.good, 0, "{shape:?} {format:?}");
                assert!((2000..4000).contains(&all.bad_cells), "{all:?}");
                let some = generated(shape, format, 2000, Bad::OnePercent);
                assert!((5..60).contains(&some.bad()), "{some:?}");
            }
        }
    }

    #[test]
    fn a_changed_byte_changes_the_digest_and_the_sum() {
        let of = |csv: &str| {
            let path = file("changed", csv.as_bytes());
            Expected::of(&path, Shape::Narrow, Format::Csv).unwrap()
        };
        let (one, other) = (of("id,at,amount\na,1,2\n"), of("id,at,amount\na,1,3\n"));
        assert_ne!((&one.digest, one.row_sum), (&other.digest, other.row_sum));
        assert_eq!(one.good, other.good);
    }
}
