//! Bytes of a column, in memory that is used again for chunk after chunk.

/// Bytes that grow at their end. Memory stays initialised once it was asked for, so that more room costs no zeroing;
/// what is in new room is unspecified, and must be written before it is read.
#[derive(Debug, Default)]
pub(crate) struct GrowBuffer {
    bytes: Vec<u8>,
    /// Only the first `len` count; the rest is room.
    len: usize,
}

/// Bytes of a text that are copied whatever its length.
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

    /// Drops what is behind the first `len` bytes.
    pub(crate) fn truncate(&mut self, len: usize) {
        self.len = self.len.min(len);
    }

    /// Adds `n` bytes, to be written by the caller.
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

    /// What was asked for already and is not used: to be written before [`GrowBuffer::advance`] counts it in.
    pub(crate) fn spare(&mut self) -> &mut [u8] {
        &mut self.bytes[self.len..]
    }

    /// Counts in the first `n` bytes of [`GrowBuffer::spare`].
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
    /// Copies a short text as 32 bytes at once where those can be read and written.
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
            self.push_far(&bytes[start..start + len]);
        }
    }

    /// Where the text whose length stands at byte `at` begins.
    pub(crate) fn start_of_text(&self, at: usize) -> usize {
        at + 1 + self.as_slice()[at..].iter().take_while(|b| **b >= 0x80).count()
    }

    /// Where it ends.
    pub(crate) fn end_of_text(&self, at: usize) -> usize {
        let start = self.start_of_text(at);
        let len = self.as_slice()[at..start].iter().rev().fold(0, |n, b| (n << 7) | usize::from(b & 0x7f));
        start + len
    }

    /// Removes the texts of bad rows, which are the last `bad.len()` ones and begin at byte `start`.
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
    fn push_far(&mut self, text: &[u8]) {
        // LEB128
        let mut n = text.len();
        while n >= 0x80 {
            self.push(n as u8 | 0x80);
            n >>= 7;
        }
        self.push(n as u8);
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
            let mut room = GrowBuffer::default();
            // twice: the second time in memory that holds the first's bytes
            for _ in 0..2 {
                room.clear();
                let mut expected = Vec::new();
                for (start, len) in &cuts {
                    let start = start.index(bytes.len() + 1);
                    let len = (*len).min(bytes.len() - start);
                    room.push_text(&bytes, start, len);
                    match len {
                        ..0x80 => expected.push(len as u8),
                        _ => expected.extend_from_slice(&[len as u8 | 0x80, (len >> 7) as u8]),
                    }
                    expected.extend_from_slice(&bytes[start..start + len]);
                }
                prop_assert_eq!(room.as_slice(), &expected[..]);
            }
        }
    }
}
