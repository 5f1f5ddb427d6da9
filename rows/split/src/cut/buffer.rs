//! The bytes of a stream since the end of the last chunk, in memory that can be read into.

/// Bytes of the stream, with free memory after them.
#[derive(Default)]
pub(super) struct Buffer {
    /// Memory of an earlier chunk counts as set to zero, whatever its contents.
    memory: Vec<u8>,
    /// How many bytes of `memory` belong to the stream.
    len: usize,
}

impl Buffer {
    pub(super) fn bytes(&self) -> &[u8] {
        &self.memory[..self.len]
    }

    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// Free memory for `len` bytes. If new memory is needed, at least `whole` bytes are reserved in all.
    pub(super) fn spare_memory(&mut self, len: usize, whole: usize) -> &mut [u8] {
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

    /// Adds `len` bytes of the free memory to the stream.
    pub(super) fn grow(&mut self, len: usize) {
        self.len = self.memory.len().min(self.len + len);
    }

    /// Drops the first bytes.
    pub(super) fn forget(&mut self, end: usize) {
        self.memory.copy_within(end..self.len, 0);
        self.len -= end;
    }

    /// Returns the first bytes, in their memory. Only the bytes after them are moved, to the memory `next`.
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
