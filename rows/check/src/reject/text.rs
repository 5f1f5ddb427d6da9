//! Bytes of a chunk as text that can be shown.

use std::borrow::Cow;

use crate::faults::BadRow;

/// A run of the chunk's bytes that is known to be UTF-8, so that its records and cells are not checked one by one.
#[derive(Clone, Copy, Debug)]
pub(super) struct Run<'a> {
    start: usize,
    text: &'a str,
}

/// The maximum number of bytes that are checked together. All of them are read from memory even if only the first
/// record is needed.
const MOST: usize = 4096;
/// The maximum number of bytes between two bad records that are checked together.
const NEAR: usize = 64;

impl<'a> Run<'a> {
    pub(super) const NONE: Self = Self { start: 0, text: "" };

    /// The run of the first of these records, and of those after it that are near the one before them. It ends before
    /// the first byte that is not UTF-8. A long first record is cut at `MOST` bytes.
    pub(super) fn of(bytes: &'a [u8], rows: &[BadRow]) -> Self {
        let Some(first) = rows.first() else { return Self::NONE };
        let start = first.start as usize;
        let mut end = (first.end as usize).min(start + MOST);
        for row in &rows[1..] {
            if row.start as usize > end + NEAR || row.end as usize > start + MOST {
                break;
            }
            end = row.end as usize;
        }
        let bytes = &bytes[start..end];
        let text = match simdutf8::compat::from_utf8(bytes) {
            Ok(text) => text,
            Err(error) => std::str::from_utf8(&bytes[..error.valid_up_to()]).unwrap_or(""),
        };
        Self { start, text }
    }

    /// Whether the run contains the record.
    pub(super) fn reaches(&self, row: BadRow) -> bool {
        self.start <= row.start as usize && row.end as usize <= self.start + self.text.len()
    }

    /// `bytes[start..start + len]` as text, cut at `max` bytes.
    /// `None`: the text is not in the run, or does not begin and end at a character boundary.
    #[inline(always)]
    pub(super) fn clip(&self, start: u32, len: u32, max: usize) -> Option<&'a str> {
        let from = (start as usize).wrapping_sub(self.start);
        self.text.get(from..from.wrapping_add(max.min(len as usize)))
    }
}

/// The bytes as text, cut at the last character boundary within `max` bytes.
#[inline(never)]
pub(super) fn clip(bytes: &[u8], max: usize) -> Cow<'_, str> {
    let mut end = bytes.len().min(max);
    if end < bytes.len() {
        // not in the middle of a character: step back over continuation bytes
        let back = bytes[..=end].iter().rev().take(4).take_while(|b| **b & 0xc0 == 0x80).count();
        if back < 4 {
            end -= back;
        }
    }
    if let Ok(text) = std::str::from_utf8(&bytes[..end]) {
        return Cow::Borrowed(text);
    }
    match String::from_utf8_lossy(&bytes[..end]) {
        // a replacement character can be longer than the bytes that it replaces
        Cow::Owned(mut text) if text.len() > max => {
            let mut end = max;
            while !text.is_char_boundary(end) {
                end -= 1;
            }
            text.truncate(end);
            Cow::Owned(text)
        }
        text => text,
    }
}

#[cfg(test)]
mod tests {
    use super::{Run, clip};
    use crate::faults::BadRow;
    use proptest::prelude::*;
    use rows_split::cells::Cell;

    proptest! {
        #[test]
        fn a_text_in_a_run_is_cut_as_it_is_alone(
            pieces in prop::collection::vec((prop::sample::select(vec![&b"a"[..], "é".as_bytes(), "€".as_bytes(), "🦀".as_bytes(), b"\xff", b"\xe2\x82", b"plain"]), 1usize..400), 1..12),
            spans in prop::collection::vec((any::<prop::sample::Index>(), any::<prop::sample::Index>()), 1..20),
            rows in prop::collection::vec((any::<prop::sample::Index>(), any::<prop::sample::Index>()), 1..6),
            max in 1usize..300,
        ) {
            let bytes: Vec<u8> = pieces.iter().flat_map(|(piece, n)| piece.repeat(*n)).collect();
            let span = |(a, b): &(prop::sample::Index, prop::sample::Index)| {
                let (a, b) = (a.index(bytes.len() + 1), b.index(bytes.len() + 1));
                (a.min(b), a.max(b))
            };
            let mut rows: Vec<(usize, usize)> = rows.iter().map(span).collect();
            rows.sort_unstable();
            rows.dedup_by(|next, row| next.0 < row.1);
            let row = |(start, end): &(usize, usize)| BadRow {
                record: 0, start: *start as u32, end: *end as u32, faults: 0, key: Cell::MISSING, lacks: false,
            };
            let rows: Vec<BadRow> = rows.iter().map(row).collect();
            let run = Run::of(&bytes, &rows);
            for (start, end) in spans.iter().map(span) {
                let known = run.clip(start as u32, (end - start) as u32, max);
                prop_assert!(known.is_none_or(|known| known == clip(&bytes[start..end], max)));
                // the run must return a text if it can: always `None` would pass the check above
                let edge = std::str::from_utf8(&bytes).is_ok_and(|text| text.is_char_boundary(start));
                let inside = edge && rows.iter().any(|r| r.start as usize <= start && end <= r.end as usize && run.reaches(*r));
                let whole = end - start <= max && std::str::from_utf8(&bytes[start..end]).is_ok();
                prop_assert!(known.is_some() || !(inside && whole));
            }
        }
    }
}
