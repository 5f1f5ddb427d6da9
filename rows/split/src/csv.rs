//! Delimited text, read byte by byte by a state machine. It is the definition of a record and of a cell, and the test
//! oracle of the fast index. It also reads the chunks whose quoting or number of fields is irregular.
//!
//! * A record ends at a line end outside quotes. A line end is a line feed, with or without one carriage return before
//!   it. With [`LineEnd::Any`](rows_types::LineEnd) it is either a line feed or a carriage return. (CRLF is then two line
//!   ends with a blank line between them, so that no code has to look ahead.)
//! * A blank line is no record: it is skipped and not counted. The same holds for a line that begins with the comment
//!   character. (A file of one column writes an empty value as `""`.)
//! * A quote opens a quoted cell only as the first byte of the cell. Elsewhere it is an ordinary byte. Inside a quoted
//!   cell, `""` is one quote. Nothing is allowed between the closing quote and the next delimiter or line end.
//! * The escape character makes the byte after it data, in every cell.
//!
//! [`record`] reads RFC 4180 by jumps from one special byte to the next. It leaves other dialects to
//! [`dialect`].

pub mod dialect;

use rows_types::Dialect;

/// The state after a byte of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// At the first byte of a cell.
    Start,
    /// In an unquoted cell, or in text after a closing quote.
    Plain,
    /// Between quotes.
    Quoted,
    /// After a quote inside a quoted cell. It closes the cell, or is the first of a doubled quote.
    QuoteInQuoted,
    /// After an escape character outside quotes, or (`EscapeInQuoted`) between them: the next byte is data.
    Escape,
    EscapeInQuoted,
}

impl Step {
    /// Returns the state after one more byte. A record ends if a line end leads to [`Step::Start`].
    #[inline]
    pub(crate) fn next(self, byte: u8, dialect: Dialect) -> Self {
        let quote = byte == dialect.quote && dialect.quote != 0;
        let escape = byte == dialect.escape && dialect.escape != 0;
        match self {
            Self::Quoted if escape => Self::EscapeInQuoted,
            Self::Quoted if quote => Self::QuoteInQuoted,
            Self::Quoted | Self::EscapeInQuoted => Self::Quoted,
            Self::Escape => Self::Plain,
            Self::Start | Self::QuoteInQuoted if quote => Self::Quoted,
            _ if escape => Self::Escape,
            _ if byte == dialect.delimiter || dialect.ends_line(byte) => Self::Start,
            _ => Self::Plain,
        }
    }

    /// Whether the next byte is data, unless it is a quote or an escape character.
    pub(crate) fn is_inside(self) -> bool {
        matches!(self, Self::Quoted | Self::Escape | Self::EscapeInQuoted)
    }
}

/// Where a cell of a record is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Field {
    /// Offset of its first byte, after an opening quote.
    pub start: usize,
    /// Offset past its last byte, before a closing quote.
    pub end: usize,
    /// Whether it is in quotes.
    pub quoted: bool,
}

/// Why a record is malformed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Malformed {
    /// Text after a closing quote.
    AfterQuote,
    /// A quote that is never closed.
    OpenQuote,
    /// An escape character at the end.
    OpenEscape,
}

impl Malformed {
    pub(crate) fn message(self) -> &'static str {
        match self {
            Self::AfterQuote => "there is text after a closing quote; double the quotes inside a quoted cell",
            Self::OpenQuote => "a quoted cell is never closed; close it with a quote",
            Self::OpenEscape => "nothing follows the last escape character; double it",
        }
    }
}

/// Where a record ends, and why it is malformed, if it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record {
    /// Offset past its last byte, without the line end.
    pub end: usize,
    /// Offset past its line end.
    pub next: usize,
    /// Why it is malformed, if it is.
    pub problem: Option<Malformed>,
}

/// Splits one record that begins at `start`.
///
/// `cell` is called with each field. A malformed record is still read to its end, so that the next one is found.
pub fn record(bytes: &[u8], start: usize, dialect: Dialect, mut cell: impl FnMut(Field)) -> Record {
    if !dialect.is_rfc() {
        return dialect::record(bytes, start, dialect, cell);
    }
    let Dialect { delimiter, quote, .. } = dialect;
    let mut problem = None;
    let mut at = start;
    loop {
        let quoted = bytes.get(at) == Some(&quote) && quote != 0;
        let open = at + usize::from(quoted);
        let mut close = None;
        at = open;
        if quoted {
            loop {
                match memchr::memchr(quote, bytes.get(at..).unwrap_or_default()) {
                    None => {
                        cell(Field { start: open, end: bytes.len(), quoted });
                        return open_to_the_end(bytes, problem.or(Some(Malformed::OpenQuote)));
                    }
                    Some(n) if bytes.get(at + n + 1) == Some(&quote) => at += n + 2,
                    Some(n) => {
                        close = Some(at + n);
                        at += n + 1;
                        break;
                    }
                }
            }
        }
        let after = at;
        at += memchr::memchr2(delimiter, b'\n', &bytes[at..]).unwrap_or(bytes.len() - at);
        let ends = bytes.get(at) != Some(&delimiter);
        let mut end = at;
        if ends && end > after && bytes[end - 1] == b'\r' {
            end -= 1;
        }
        if close.is_some() && end > after {
            problem = problem.or(Some(Malformed::AfterQuote));
        }
        cell(Field { start: open, end: close.unwrap_or(end), quoted });
        at += usize::from(at < bytes.len());
        if ends {
            return Record { end, next: at, problem };
        }
    }
}

/// A record with a quote that is never closed: only the end of the file ends it. A line end there is not shown as part
/// of the record.
pub(crate) fn open_to_the_end(bytes: &[u8], problem: Option<Malformed>) -> Record {
    Record { end: trimmed_line(bytes).len(), next: bytes.len(), problem }
}

/// The line without its end.
#[inline]
pub fn trimmed_line(line: &[u8]) -> &[u8] {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    line.strip_suffix(b"\r").unwrap_or(line)
}

/// The offset of the first byte at or after `at` that is not part of a blank line or of a comment.
pub fn skip_blank_lines(bytes: &[u8], mut at: usize, dialect: Dialect) -> usize {
    loop {
        match bytes.get(at..) {
            Some([b'\n', ..]) => at += 1,
            Some([b'\r', ..]) if dialect.any_line_end => at += 1,
            Some([b'\r', b'\n', ..]) => at += 2,
            Some([b'\r']) => return at + 1,
            Some([byte, rest @ ..]) if *byte == dialect.comment && dialect.comment != 0 => {
                at += 1 + rest.iter().position(|b| dialect.ends_line(*b)).unwrap_or(rest.len());
            }
            _ => return at,
        }
    }
}

/// Copies the cell to `out`, and writes each doubled quote once.
pub fn unescape(cell: &[u8], quote: u8, out: &mut Vec<u8>) {
    let mut rest = cell;
    while let Some(n) = memchr::memchr(quote, rest) {
        out.extend_from_slice(&rest[..=n]);
        rest = rest.get(n + 2..).unwrap_or_default();
    }
    out.extend_from_slice(rest);
}

/// Returns all cells of the record, decoded.
pub fn fields(record_bytes: &[u8], dialect: Dialect) -> Result<Vec<Vec<u8>>, Malformed> {
    let mut cells = Vec::new();
    let Record { problem, .. } = record(record_bytes, 0, dialect, |f| {
        let raw = &record_bytes[f.start..f.end];
        let mut cell = Vec::with_capacity(raw.len());
        if dialect.escape != 0 {
            dialect::unescape(raw, f.quoted, dialect, &mut cell);
        } else if f.quoted {
            unescape(raw, dialect.quote, &mut cell);
        } else {
            cell.extend_from_slice(raw);
        }
        cells.push(cell);
    });
    problem.map_or(Ok(cells), Err)
}

/// Whether the record has a carriage return outside quotes. The author of the file may have meant it as a line end.
pub(crate) fn has_bare_return(record: &[u8], dialect: Dialect) -> bool {
    let mut step = Step::Start;
    record.iter().any(|byte| {
        let bare = *byte == b'\r' && !step.is_inside();
        step = step.next(*byte, dialect);
        bare
    })
}
