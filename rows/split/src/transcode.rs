//! Converts UTF-16 to UTF-8, before a stream is cut.
//!
//! * A stream that begins with a byte-order mark of UTF-16 is read as UTF-16. Any other stream is passed on unchanged;
//!   only its first two bytes are checked. The mark is kept, as that of UTF-8, and the cutter drops it.
//! * Nothing is repaired. Half of a surrogate pair becomes the three bytes that UTF-8 would use for it. No valid UTF-8
//!   text has these bytes (WTF-8, <https://simonsapin.github.io/wtf-8/>), so the cell is rejected with `INVALID_UTF8`.
//!   (Decoders commonly write U+FFFD in its place. This would load another text than was sent.)
//! * Half of a code unit at the end means that the file was cut off, and is an error.
//! * A stream that is resumed ([`Transcoder::resume`]) is UTF-8. Its offsets count bytes of UTF-8, as offsets in a
//!   compressed file count decompressed bytes.

/// Converts a stream to UTF-8. It keeps at most four bytes between two pieces, and 1.5 times the size of a piece while
/// it reads the piece.
#[derive(Debug)]
pub struct Transcoder {
    state: State,
    /// The result for a piece, if it is not the piece itself.
    out: Vec<u8>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// No byte was read, or one byte that can be the first of a mark.
    Start(Option<u8>),
    /// Bytes are passed on unchanged.
    Same,
    /// UTF-16. `half` is the first byte of a code unit, `high` the first half of a surrogate pair, if the last piece
    /// ended after one.
    Utf16 { big_endian: bool, half: Option<u8>, high: Option<u16> },
}

/// Why a stream is not UTF-16, though its byte-order mark says so.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TranscodeError {
    /// Half of a code unit is missing.
    #[error(
        "the file is UTF-16 and ends in the middle of a character: it was cut off; send all of it, or UTF-8"
    )]
    CutOff,
}

impl TranscodeError {
    /// Stable name for conditions, events and metrics.
    #[must_use]
    pub fn reason(self) -> &'static str {
        match self {
            Self::CutOff => "MalformedUtf16",
        }
    }
}

impl Transcoder {
    /// Reads a stream from its first byte.
    #[must_use]
    pub fn new() -> Self {
        Self { state: State::Start(None), out: Vec::new() }
    }

    /// Reads a stream that is resumed: it is UTF-8, whatever its first bytes are.
    #[must_use]
    pub fn resume() -> Self {
        Self { state: State::Same, out: Vec::new() }
    }

    /// Whether a file with these first bytes is UTF-16.
    #[must_use]
    pub fn is_utf16(start: &[u8]) -> bool {
        matches!(start, [0xff, 0xfe, ..] | [0xfe, 0xff, ..])
    }

    /// Whether every byte from here on is passed on unchanged. If so, [`Transcoder::push`] need not be called any more.
    #[must_use]
    pub fn passes_on(&self) -> bool {
        self.state == State::Same
    }

    /// Converts the next bytes of the stream to UTF-8. If they end in the middle of a character, its bytes are kept for
    /// the next call; the result may then be empty.
    pub fn push<'a>(&'a mut self, bytes: &'a [u8]) -> &'a [u8] {
        if let State::Start(held) = self.state {
            let Some(whole) = self.begin(held, bytes) else { return &[] };
            if whole {
                return bytes;
            }
            if self.state == State::Same {
                self.out.clear();
                self.out.extend(held);
                self.out.extend_from_slice(bytes);
                return &self.out;
            }
        }
        let State::Utf16 { big_endian, half, high } = &mut self.state else { return bytes };
        self.out.clear();
        utf16(bytes, *big_endian, half, high, &mut self.out);
        &self.out
    }

    /// Ends the stream; returns the bytes that were kept.
    pub fn finish(&mut self) -> Result<&[u8], TranscodeError> {
        self.out.clear();
        match std::mem::replace(&mut self.state, State::Same) {
            State::Start(held) => self.out.extend(held),
            State::Utf16 { half: Some(_), .. } => return Err(TranscodeError::CutOff),
            State::Utf16 { high: Some(high), .. } => lone(high, &mut self.out),
            State::Same | State::Utf16 { .. } => {}
        }
        Ok(&self.out)
    }

    /// Detects from the first two bytes what the stream is. `None`: there are fewer than two bytes. `true`: the
    /// complete stream so far is in `bytes`, and is passed on unchanged. If the stream is UTF-16, a byte that was kept
    /// stays the first half of a code unit.
    fn begin(&mut self, held: Option<u8>, bytes: &[u8]) -> Option<bool> {
        let mut start = held.into_iter().chain(bytes.iter().copied());
        match (start.next(), start.next()) {
            (None, _) => return None,
            (Some(first @ (0xff | 0xfe)), None) => {
                self.state = State::Start(Some(first));
                return None;
            }
            (Some(first), Some(second)) if Self::is_utf16(&[first, second]) => {
                self.state = State::Utf16 { big_endian: first == 0xfe, half: held, high: None };
            }
            _ => self.state = State::Same,
        }
        Some(self.state == State::Same && held.is_none())
    }
}

impl Default for Transcoder {
    fn default() -> Self {
        Self::new()
    }
}

/// How many code units are checked for ASCII at once.
const RUN: usize = 16;

fn utf16(
    mut bytes: &[u8],
    big_endian: bool,
    half: &mut Option<u8>,
    high: &mut Option<u16>,
    out: &mut Vec<u8>,
) {
    let unit = |pair: [u8; 2]| if big_endian { u16::from_be_bytes(pair) } else { u16::from_le_bytes(pair) };
    out.reserve(bytes.len() / 2 * 3 + 6);
    if let (Some(first), Some((second, rest))) = (*half, bytes.split_first()) {
        *half = None;
        push_unit(unit([first, *second]), high, out);
        bytes = rest;
    }
    let (pairs, last) = bytes.as_chunks::<2>();
    *half = last.first().copied().or(*half);
    let mut runs = pairs.chunks_exact(RUN);
    for run in runs.by_ref() {
        if high.is_none() && run.iter().all(|pair| unit(*pair) < 0x80) {
            out.extend(run.iter().map(|pair| unit(*pair) as u8));
        } else {
            for pair in run {
                push_unit(unit(*pair), high, out);
            }
        }
    }
    for pair in runs.remainder() {
        push_unit(unit(*pair), high, out);
    }
}

/// Adds a code unit. The first half of a surrogate pair is kept in `high` until the second one comes.
fn push_unit(unit: u16, high: &mut Option<u16>, out: &mut Vec<u8>) {
    if let Some(first) = high.take() {
        if let Some(Ok(c)) = char::decode_utf16([first, unit]).next() {
            return push_char(c, out);
        }
        lone(first, out);
    }
    match char::from_u32(u32::from(unit)) {
        Some(c) => push_char(c, out),
        None if unit < 0xdc00 => *high = Some(unit),
        None => lone(unit, out),
    }
}

fn push_char(c: char, out: &mut Vec<u8>) {
    out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
}

/// Adds half of a surrogate pair whose other half is missing, as three bytes.
fn lone(half: u16, out: &mut Vec<u8>) {
    let low = half & 0x3f | 0x80;
    out.extend_from_slice(&[0xe0 | (half >> 12) as u8, (half >> 6 & 0x3f) as u8 | 0x80, low as u8]);
}

#[cfg(test)]
mod tests;
