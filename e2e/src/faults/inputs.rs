//! Files of known content, made from a seed. What was written is not kept: the checker reads the file again.

use std::io::{self, Write};

use serde::{Deserialize, Serialize};

use crate::data::Numbers;

use super::shape::{COUNTRIES, Column, Kind, STATUSES, Shape};

/// The format of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Format {
    /// RFC 4180, with a header.
    Csv,
    /// One object per line.
    JsonLines,
}

impl Format {
    /// Returns the extension of a file's name.
    #[must_use]
    pub fn extension(self) -> &'static str {
        if self == Self::Csv { "csv" } else { "jsonl" }
    }

    /// Returns the `Content-Type` of an upload.
    #[must_use]
    pub fn content_type(self) -> &'static str {
        if self == Self::Csv { "text/csv" } else { "application/x-ndjson" }
    }
}

/// How many rows of a file are bad.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Bad {
    /// None.
    #[default]
    None,
    /// About one in a hundred.
    OnePercent,
    /// All.
    All,
}

/// The description of a file to write.
#[derive(Clone, Copy, Debug)]
pub struct File {
    /// Its columns.
    pub shape: Shape,
    /// Its format.
    pub format: Format,
    /// The number of its rows.
    pub rows: u64,
    /// How many of them are bad.
    pub bad: Bad,
    /// The number of days over which the dates of [`Shape::Partitioned`] are spread.
    pub days: u32,
    /// The seed of its cells.
    pub seed: u64,
}

/// A cell before it is written. Its text is in a separate buffer.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Written {
    Bare,
    Text,
    Null,
}

/// Writes the file.
pub fn write(out: &mut impl Write, file: &File) -> io::Result<()> {
    let mut n = Numbers::new(file.seed);
    let columns = file.shape.columns();
    if file.format == Format::Csv {
        let names: Vec<&str> = columns.iter().map(|c| c.name).collect();
        writeln!(out, "{}", names.join(","))?;
    }
    let mut cell = Vec::new();
    for row in 0..file.rows {
        let bad = match file.bad {
            Bad::None => false,
            Bad::OnePercent => n.below(100) == 0,
            Bad::All => true,
        };
        if bad && n.below(10) == 0 {
            malformed(out, &mut n, file)?;
            continue;
        }
        let broken = if bad { broken_columns(&mut n, columns) } else { 0 };
        for (index, column) in columns.iter().enumerate() {
            cell.clear();
            let written = if broken & (1 << index) == 0 {
                good(&mut cell, &mut n, *column, row, file.days)?
            } else {
                bad_cell(&mut cell, &mut n, column.kind)
            };
            match file.format {
                Format::Csv => csv(out, index, written, &cell)?,
                Format::JsonLines => json(out, index, column.name, written, &cell)?,
            }
        }
        out.write_all(if file.format == Format::Csv { b"\n" } else { b"}\n" })?;
    }
    Ok(())
}

/// Writes a record that cannot be split into cells.
fn malformed(out: &mut impl Write, n: &mut Numbers, file: &File) -> io::Result<()> {
    match file.format {
        Format::Csv => {
            let fields = file.shape.columns().len();
            let fields = if n.below(2) == 0 { fields - 1 } else { fields + 1 };
            writeln!(out, "{}", vec!["x"; fields].join(","))
        }
        Format::JsonLines => out.write_all(b"{\"id\": this is no json\n"),
    }
}

/// Returns one or two columns for which some texts are bad cells, as bits.
fn broken_columns(n: &mut Numbers, columns: &[Column]) -> u32 {
    let breakable: Vec<usize> = (0..columns.len()).filter(|i| !columns[*i].kind.takes_any_text()).collect();
    let mut pick = || 1 << breakable[usize::try_from(n.below(breakable.len() as u64)).unwrap_or(0)];
    pick() | pick()
}

fn good(cell: &mut Vec<u8>, n: &mut Numbers, column: Column, row: u64, days: u32) -> io::Result<Written> {
    match column.kind {
        Kind::Text => text(cell, n, column.name, row)?,
        Kind::OptionalText => {
            if n.below(3) == 0 {
                return Ok(Written::Null);
            }
            text(cell, n, column.name, row)?;
        }
        Kind::Country => cell.extend(pick(n, &COUNTRIES).as_bytes()),
        Kind::Status => cell.extend(pick(n, &STATUSES).as_bytes()),
        Kind::UInt32 => write!(cell, "{}", n.below(1 << 32))?,
        Kind::UInt64 if column.name == "id" => write!(cell, "{row}")?,
        Kind::UInt64 => write!(cell, "{}", n.below(u64::MAX))?,
        Kind::Int32 => write!(
            cell,
            "{}{}",
            if n.below(2) == 0 { "" } else { "-" },
            1 + n.below(1 << 31).min((1 << 31) - 2)
        )?,
        Kind::OptionalInt64 => {
            if n.below(4) == 0 {
                return Ok(Written::Null);
            }
            write!(cell, "{}", n.below(1 << 62))?;
        }
        Kind::Float => write!(cell, "{}.{:02}", n.below(100_000), n.below(100))?,
        Kind::Decimal => write!(cell, "{}.{:04}", n.below(1_000_000), n.below(10_000))?,
        Kind::Date => {
            let day = if column.name == "day" && days > 1 { n.below(u64::from(days)) } else { n.below(28) };
            date(cell, day)?;
        }
        Kind::DateTime => {
            date(cell, n.below(800))?;
            write!(cell, " {:02}:{:02}:{:02}", n.below(24), n.below(60), n.below(60))?;
        }
        Kind::Uuid => {
            let (high, low) = (n.below(u64::MAX), n.below(u64::MAX));
            write!(
                cell,
                "{:08x}-{:04x}-{:04x}-{:04x}-{:012x}",
                high >> 32,
                high >> 16 & 0xffff,
                high & 0xffff,
                low >> 48,
                low & 0xffff_ffff_ffff
            )?;
        }
        Kind::Bool => write!(cell, "{}", n.below(2) == 1)?,
    }
    Ok(if column.kind.is_bare_in_json() { Written::Bare } else { Written::Text })
}

/// Writes a text. Some of the texts have characters that CSV and JSON must quote.
fn text(cell: &mut Vec<u8>, n: &mut Numbers, name: &str, row: u64) -> io::Result<()> {
    match n.below(12) {
        0 => write!(cell, "{name} \"{row}\",\nsecond line"),
        1 => write!(cell, "größe {row} – 日本 \\ {}", n.below(1000)),
        _ => write!(cell, "{}{row:06}-{:x}", &name[..1], n.below(1 << 24)),
    }
}

/// Writes the day with this number after the first day of 2025, with months of 28 days.
fn date(cell: &mut Vec<u8>, number: u64) -> io::Result<()> {
    write!(cell, "{}-{:02}-{:02}", 2025 + number / 336, 1 + number / 28 % 12, 1 + number % 28)
}

fn bad_cell(cell: &mut Vec<u8>, n: &mut Numbers, kind: Kind) -> Written {
    let texts: &[&str] = match kind {
        Kind::UInt32 => &["soon", "4294967296", "-1", "1.5", ""],
        Kind::UInt64 => &["x", "-5", "18446744073709551616", "01", ""],
        Kind::Int32 => &["many", "2147483648", "-2147483649", "1e3", ""],
        Kind::OptionalInt64 => &["none", "1.25", "9223372036854775808"],
        Kind::Float => &["twelve", "1.2.3", "0x10", "+1", ""],
        Kind::Decimal => &["cheap", "1.23456", "1,5", ""],
        Kind::Date => &["2026-02-30", "someday", "2026-13-01"],
        Kind::DateTime => &["2026-03-01 25:00:00", "later", "2026-00-01 00:00:00"],
        Kind::Uuid => &["no-uuid", "61f0c404-5cb3-11e7-907b"],
        Kind::Bool => &["maybe", "2"],
        Kind::Status => &["lost", "NEW"],
        Kind::Text | Kind::OptionalText | Kind::Country => &[""],
    };
    let text = pick(n, texts);
    cell.extend(text.as_bytes());
    if text.is_empty() { Written::Null } else { Written::Text }
}

fn csv(out: &mut impl Write, index: usize, written: Written, cell: &[u8]) -> io::Result<()> {
    if index > 0 {
        out.write_all(b",")?;
    }
    let quoted = written == Written::Text && cell.iter().any(|b| b",\"\n".contains(b));
    if !quoted {
        return out.write_all(cell);
    }
    out.write_all(b"\"")?;
    for part in cell.split_inclusive(|b| *b == b'"') {
        out.write_all(part)?;
        if part.ends_with(b"\"") {
            out.write_all(b"\"")?;
        }
    }
    out.write_all(b"\"")
}

fn json(out: &mut impl Write, index: usize, name: &str, written: Written, cell: &[u8]) -> io::Result<()> {
    write!(out, "{}\"{name}\":", if index == 0 { '{' } else { ',' })?;
    match written {
        Written::Null => out.write_all(b"null"),
        Written::Bare => out.write_all(cell),
        Written::Text => {
            out.write_all(b"\"")?;
            for byte in cell {
                match byte {
                    b'"' => out.write_all(b"\\\"")?,
                    b'\\' => out.write_all(b"\\\\")?,
                    b'\n' => out.write_all(b"\\n")?,
                    _ => out.write_all(&[*byte])?,
                }
            }
            out.write_all(b"\"")
        }
    }
}

fn pick<'a>(n: &mut Numbers, list: &[&'a str]) -> &'a str {
    list[usize::try_from(n.below(list.len() as u64)).unwrap_or(0)]
}
