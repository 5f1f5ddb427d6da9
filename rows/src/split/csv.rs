//! RFC 4180 by a byte-at-a-time state machine: the definition of a record and of a cell, the oracle of the fast index,
//! and the path for chunks whose quoting or field count is off.
//!
//! * A record ends at a line feed outside quotes; one carriage return before it belongs to the line end.
//! * A line with nothing on it is not a record: it is skipped and not counted. (A file of one column writes an empty
//!   value as `""`.)
//! * A quote opens a quoted cell only as the first byte of the cell; elsewhere it is a byte like any other. Inside, `""`
//!   is one quote. Between the closing quote and the next delimiter or line end there can be nothing else.

use crate::input::Dialect;

/// Where a byte leaves the reading of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// At the first byte of a cell.
    Start,
    /// In a cell without quotes, or past a closing quote.
    Plain,
    /// Between quotes.
    Quoted,
    /// After a quote between quotes: it closes the cell, or is the first of two.
    QuoteInQuoted,
}

impl Step {
    /// Takes one byte. A record ends where a line feed leads to [`Step::Start`].
    #[inline]
    pub(crate) fn next(self, byte: u8, dialect: Dialect) -> Self {
        let quote = byte == dialect.quote && dialect.quote != 0;
        match self {
            Self::Quoted if quote => Self::QuoteInQuoted,
            Self::Quoted => Self::Quoted,
            Self::Start | Self::QuoteInQuoted if quote => Self::Quoted,
            _ if byte == dialect.delimiter || byte == b'\n' => Self::Start,
            _ => Self::Plain,
        }
    }
}

/// Where one cell of a record stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Field {
    /// First byte, after an opening quote.
    pub start: usize,
    /// Past the last byte, before a closing quote.
    pub end: usize,
    pub quoted: bool,
}

/// Why a record is no record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Malformed {
    AfterQuote,
    OpenQuote,
}

impl Malformed {
    pub(crate) fn message(self) -> &'static str {
        match self {
            Self::AfterQuote => "there is text after a closing quote; double the quotes inside a quoted cell",
            Self::OpenQuote => "a quoted cell is never closed; close it with a quote",
        }
    }
}

/// Splits one record that begins at `start`; gives the offset of the next record.
///
/// `cell` is called with each field. A malformed record is still read to its end, so that the next one is found.
pub(crate) fn record(
    bytes: &[u8],
    start: usize,
    dialect: Dialect,
    mut cell: impl FnMut(Field),
) -> (usize, Option<Malformed>) {
    let Dialect { delimiter, quote } = dialect;
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
                        return (bytes.len(), problem.or(Some(Malformed::OpenQuote)));
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
            return (at, problem);
        }
    }
}

/// The offset of the first byte at or after `at` that is not part of a blank line.
pub(crate) fn skip_blank_lines(bytes: &[u8], mut at: usize) -> usize {
    loop {
        match bytes.get(at..) {
            Some([b'\n', ..]) => at += 1,
            Some([b'\r', b'\n', ..]) => at += 2,
            Some([b'\r']) => return at + 1,
            _ => return at,
        }
    }
}

/// Removes the doubling of quotes.
pub(crate) fn unescape(cell: &[u8], quote: u8, out: &mut Vec<u8>) {
    let mut rest = cell;
    while let Some(n) = memchr::memchr(quote, rest) {
        out.extend_from_slice(&rest[..=n]);
        rest = rest.get(n + 2..).unwrap_or_default();
    }
    out.extend_from_slice(rest);
}

/// All cells of the record, unescaped.
pub(crate) fn fields(record_bytes: &[u8], dialect: Dialect) -> Result<Vec<Vec<u8>>, Malformed> {
    let mut cells = Vec::new();
    let (_, problem) = record(record_bytes, 0, dialect, |f| {
        let raw = &record_bytes[f.start..f.end];
        let mut cell = Vec::with_capacity(raw.len());
        if f.quoted {
            unescape(raw, dialect.quote, &mut cell);
        } else {
            cell.extend_from_slice(raw);
        }
        cells.push(cell);
    });
    problem.map_or(Ok(cells), Err)
}
