//! Bytes of a column, in memory that is reused from chunk to chunk.

use rows_bytes::leb128;

/// Bytes that grow at their end. Memory is zeroed only when it is allocated, so that growing within the capacity needs
/// no zeroing. The contents of added bytes are unspecified; they must be written before they are read.
#[derive(Debug, Default)]
pub(crate) struct GrowBuffer {
    bytes: Vec<u8>,
    /// Only the first `len` bytes are used; the rest is spare capacity.
    len: usize,
}

/// The number of bytes that are copied for a text of at most this length, however short it is.
pub(crate) const SHORT: usize = 32;

impl GrowBuffer {
    pub(crate) fn clear(&mut self) {
        self.len = 0;
    }

    pub(crate) fn len(&self) -> usize {
        self.len
    }

    pub(crate) fn as_slice(&self) -> &[u8] {
        &self.bytes[..self.len]
    }

    /// The bytes from `start` on.
    pub(crate) fn since(&mut self, start: usize) -> &mut [u8] {
        &mut self.bytes[start..self.len]
    }

    /// Drops the bytes after the first `len`.
    pub(crate) fn truncate(&mut self, len: usize) {
        self.len = self.len.min(len);
    }

    /// Adds `n` bytes, which the caller must write.
    #[inline]
    pub(crate) fn grow(&mut self, n: usize) -> &mut [u8] {
        let start = self.len;
        if self.bytes.len() - start < n {
            self.enlarge(n);
        }
        self.len += n;
        &mut self.bytes[start..start + n]
    }

    #[cold]
    fn enlarge(&mut self, n: usize) {
        self.bytes.resize((self.len + n + SHORT).max(2 * self.bytes.len()), 0);
    }

    /// The spare capacity. The caller writes to it, and then adds the bytes with [`GrowBuffer::advance`].
    pub(crate) fn spare(&mut self) -> &mut [u8] {
        &mut self.bytes[self.len..]
    }

    /// Adds the first `n` bytes of [`GrowBuffer::spare`].
    pub(crate) fn advance(&mut self, n: usize) {
        self.len = (self.len + n).min(self.bytes.len());
    }

    #[inline]
    pub(crate) fn push(&mut self, byte: u8) {
        self.grow(1)[0] = byte;
    }

    #[inline]
    pub(crate) fn extend_from_slice(&mut self, bytes: &[u8]) {
        self.grow(bytes.len()).copy_from_slice(bytes);
    }

    /// Adds the text `bytes[start..start + len]` after its length.
    ///
    /// Copies a short text as 32 bytes at once, if 32 bytes can be read and written there.
    #[inline(always)]
    pub(crate) fn push_text(&mut self, bytes: &[u8], start: usize, len: usize) {
        if len <= SHORT
            && let Some(from) = bytes.get(start..).and_then(|b| b.first_chunk::<SHORT>())
            && let Some(to) =
                self.bytes.get_mut(self.len..).and_then(|b| b.first_chunk_mut::<{ 1 + SHORT }>())
        {
            to[0] = len as u8;
            to[1..].copy_from_slice(from);
            self.len += 1 + len;
        } else {
            self.push_long_text(&bytes[start..start + len]);
        }
    }

    /// Where a text begins, if its length begins at byte `at`.
    pub(crate) fn start_of_text(&self, at: usize) -> usize {
        at + self.length(at).1
    }

    /// The length at byte `at`, and how many bytes it takes.
    fn length(&self, at: usize) -> (usize, usize) {
        // it was written by `push_text`
        let (len, width) = leb128::read(&self.as_slice()[at..]).unwrap_or((0, 1));
        (len as usize, width)
    }

    /// Where a text ends, if its length begins at byte `at`.
    pub(crate) fn end_of_text(&self, at: usize) -> usize {
        let (len, width) = self.length(at);
        at + width + len
    }

    /// Removes the texts of bad rows from the last `bad.len()` texts, which begin at byte `start`.
    pub(crate) fn compact_texts(&mut self, start: usize, bad: &[u8]) {
        let (mut at, mut kept) = (start, start);
        for bad in bad {
            let end = self.end_of_text(at);
            if *bad == 0 {
                self.bytes.copy_within(at..end, kept);
                kept += end - at;
            }
            at = end;
        }
        self.truncate(kept);
    }

    #[inline(never)]
    fn push_long_text(&mut self, text: &[u8]) {
        leb128::write(text.len(), |byte| self.push(byte));
        self.extend_from_slice(text);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn texts_stand_one_behind_the_other_after_their_lengths(
            bytes in prop::collection::vec(any::<u8>(), 0..400),
            cuts in prop::collection::vec((any::<prop::sample::Index>(), 0usize..200), 0..60),
        ) {
            let mut buffer = GrowBuffer::default();
            // twice: the second time, the memory contains the bytes of the first
            for _ in 0..2 {
                buffer.clear();
                let mut expected = Vec::new();
                for (start, len) in &cuts {
                    let start = start.index(bytes.len() + 1);
                    let len = (*len).min(bytes.len() - start);
                    buffer.push_text(&bytes, start, len);
                    match len {
                        ..0x80 => expected.push(len as u8),
                        _ => expected.extend_from_slice(&[len as u8 | 0x80, (len >> 7) as u8]),
                    }
                    expected.extend_from_slice(&bytes[start..start + len]);
                }
                prop_assert_eq!(buffer.as_slice(), &expected[..]);
            }
        }
    }
}
