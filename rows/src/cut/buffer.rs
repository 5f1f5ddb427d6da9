//! The bytes of a stream since the last chunk's end, in memory that can be read into.

/// Bytes of the stream, and room behind them.
#[derive(Default)]
pub(super) struct Buffer {
    /// Memory of a chunk that was given back counts as set to zeros, whatever is in it.
    memory: Vec<u8>,
    /// How many bytes of it are of the stream.
    len: usize,
}

impl Buffer {
    pub(super) fn bytes(&self) -> &[u8] {
        &self.memory[..self.len]
    }

    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// Room for so many bytes. If there has to be new memory for it, then for `whole` bytes in all, if that is more.
    pub(super) fn room(&mut self, len: usize, whole: usize) -> &mut [u8] {
        let end = self.len + len;
        if end > self.memory.capacity() {
            self.memory.truncate(self.len);
            self.memory.reserve(whole.max(end) - self.len);
        }
        if end > self.memory.len() {
            self.memory.resize(end, 0);
        }
        &mut self.memory[self.len..end]
    }

    /// Takes so many bytes of the room.
    pub(super) fn grow(&mut self, len: usize) {
        self.len = self.memory.len().min(self.len + len);
    }

    /// Drops the first bytes.
    pub(super) fn forget(&mut self, end: usize) {
        self.memory.copy_within(end..self.len, 0);
        self.len -= end;
    }

    /// Gives the first bytes away; only those behind them are moved, to the `next` memory.
    pub(super) fn cut(&mut self, end: usize, mut next: Vec<u8>) -> Vec<u8> {
        let rest = &self.memory[end..self.len];
        next.resize(next.len().max(rest.len()), 0);
        next[..rest.len()].copy_from_slice(rest);
        self.len = rest.len();
        let mut chunk = std::mem::replace(&mut self.memory, next);
        chunk.truncate(end);
        chunk
    }
}
