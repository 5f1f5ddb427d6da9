//! Delimited text with an escape character, comments or other line ends. It is read byte by byte with `Step` itself.

use rows_types::Dialect;

use super::{Field, Malformed, Record, Step, open_to_the_end};
use crate::cells::Cell;

/// [`super::record`] for any dialect.
pub(crate) fn record(bytes: &[u8], start: usize, dialect: Dialect, mut cell: impl FnMut(Field)) -> Record {
    let mut step = Step::Start;
    let mut problem = None;
    let mut field = Open::at(start);
    let mut returned = false;
    for (at, byte) in bytes.iter().enumerate().skip(start) {
        let before = step;
        step = step.next(*byte, dialect);
        if step == Step::Start {
            let ends = *byte != dialect.delimiter;
            let end = at - usize::from(ends && returned);
            problem = problem.or(field.problem(end));
            cell(field.close(end));
            if ends {
                return Record { end, next: at + 1, problem };
            }
            field = Open::at(at + 1);
        }
        match (before, step) {
            (Step::Start, Step::Quoted) => field = Open { start: at + 1, quoted: true, closed: None },
            (Step::Quoted, Step::QuoteInQuoted) => field.closed = Some(at),
            (Step::QuoteInQuoted, Step::Quoted) => field.closed = None,
            _ => {}
        }
        // a carriage return that is not data may belong to the line end
        returned = *byte == b'\r' && !before.is_inside();
    }
    let ended = match step {
        Step::Quoted | Step::EscapeInQuoted => {
            cell(field.close(bytes.len()));
            return open_to_the_end(bytes, problem.or(Some(Malformed::OpenQuote)));
        }
        Step::Escape => Some(Malformed::OpenEscape),
        Step::Start | Step::Plain | Step::QuoteInQuoted => None,
    };
    let end = bytes.len() - usize::from(returned);
    problem = problem.or(field.problem(end)).or(ended);
    cell(field.close(end));
    Record { end, next: bytes.len(), problem }
}

/// A field that is being read.
struct Open {
    start: usize,
    quoted: bool,
    /// Offset of its closing quote.
    closed: Option<usize>,
}

impl Open {
    fn at(start: usize) -> Self {
        Self { start, quoted: false, closed: None }
    }

    fn problem(&self, end: usize) -> Option<Malformed> {
        self.closed.filter(|quote| quote + 1 < end).map(|_| Malformed::AfterQuote)
    }

    fn close(&self, end: usize) -> Field {
        Field { start: self.start, end: self.closed.unwrap_or(end), quoted: self.quoted }
    }
}

/// Decodes an escaped cell.
#[cold]
pub(crate) fn decode(bytes: &[u8], cell: Cell, dialect: Dialect, out: &mut Vec<u8>) {
    // an unquoted cell is never directly after a quote
    let quoted = cell.start > 0 && dialect.quote != 0 && bytes[cell.start as usize - 1] == dialect.quote;
    unescape(cell.text(bytes), quoted, dialect, out);
}

/// Decodes escapes and, in a quoted cell, doubled quotes.
pub fn unescape(cell: &[u8], quoted: bool, dialect: Dialect, out: &mut Vec<u8>) {
    // in an unquoted cell a quote is an ordinary byte: search only for the escape character
    let quote = if quoted { dialect.quote } else { dialect.escape };
    let mut rest = cell;
    while let Some(n) = memchr::memchr2(dialect.escape, quote, rest) {
        out.extend_from_slice(&rest[..n]);
        let Some([special, byte]) = rest.get(n..).and_then(|r| r.first_chunk()) else {
            rest = &rest[n..];
            break;
        };
        out.push(match byte {
            _ if *special != dialect.escape => *special,
            _ if dialect.escape != b'\\' => *byte,
            b'n' => b'\n',
            b't' => b'\t',
            b'r' => b'\r',
            b'b' => 8,
            b'f' => 12,
            b'v' => 11,
            b'0' => 0,
            _ => *byte,
        });
        rest = &rest[n + 2..];
    }
    out.extend_from_slice(rest);
}
