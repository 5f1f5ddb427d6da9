//! Large buffers that are used again. Without this, a chunk of 1 MiB some hundred times a second would need as many new
//! memory pages.

use std::sync::Arc;

use bytes::Bytes;
use parking_lot::{Mutex, MutexGuard};

/// Smaller buffers are not kept: the allocator is as fast for them, and a few bytes must not occupy a large buffer.
const SMALLEST: usize = 64 << 10;

/// The free buffers.
#[derive(Clone, Debug)]
pub struct Buffers {
    free: Arc<Mutex<Free>>,
    keep_bytes: usize,
}

#[derive(Debug, Default)]
struct Free {
    buffers: Vec<Vec<u8>>,
    bytes: usize,
}

/// A buffer in use. It returns to the free buffers when it is dropped.
#[derive(Debug)]
pub struct Buffer {
    bytes: Vec<u8>,
    pool: Buffers,
}

impl Buffers {
    /// Makes a pool that keeps at most `keep_bytes` bytes in free buffers.
    #[must_use]
    pub fn new(keep_bytes: usize) -> Self {
        Self { free: Arc::default(), keep_bytes }
    }

    /// Returns a buffer with a copy of `bytes`.
    #[must_use]
    pub fn copy(&self, bytes: &[u8]) -> Buffer {
        self.join(bytes.len(), std::iter::once(bytes))
    }

    /// Returns a buffer with copies of the parts, one after the other. Together they have `len` bytes.
    #[must_use]
    pub fn join<'a>(&self, len: usize, parts: impl Iterator<Item = &'a [u8]>) -> Buffer {
        let mut bytes = self.take(len).unwrap_or_else(|| Vec::with_capacity(len));
        bytes.clear();
        parts.for_each(|part| bytes.extend_from_slice(part));
        Buffer { bytes, pool: self.clone() }
    }

    /// Takes the smallest free buffer of at least `len` bytes, unless it is much too large.
    fn take(&self, len: usize) -> Option<Vec<u8>> {
        if len < SMALLEST {
            return None;
        }
        let mut free = self.free();
        let fits = |buffer: &Vec<u8>| (len..=4 * len).contains(&buffer.capacity());
        let sizes = free.buffers.iter().enumerate().filter(|(_, buffer)| fits(buffer));
        let (at, _) = sizes.min_by_key(|(_, buffer)| buffer.capacity())?;
        let buffer = free.buffers.swap_remove(at);
        free.bytes -= buffer.capacity();
        Some(buffer)
    }

    fn free(&self) -> MutexGuard<'_, Free> {
        self.free.lock()
    }
}

impl Buffer {
    /// Returns how many bytes of memory the buffer takes.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.bytes.capacity()
    }

    /// Returns bytes that can be shared. The buffer is free again when the last of them is dropped.
    #[must_use]
    pub fn share(self) -> Bytes {
        Bytes::from_owner(self)
    }
}

impl AsRef<[u8]> for Buffer {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        let bytes = std::mem::take(&mut self.bytes);
        if bytes.capacity() < SMALLEST {
            return;
        }
        let mut free = self.pool.free();
        free.bytes += bytes.capacity();
        free.buffers.push(bytes);
        // The oldest buffer is dropped: the recently used ones have the size that is needed now.
        while free.bytes > self.pool.keep_bytes {
            let oldest = free.buffers.remove(0);
            free.bytes -= oldest.capacity();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_buffer_is_reused_once_the_last_share_of_it_is_dropped() {
        let buffers = Buffers::new(1 << 20);
        let shared = buffers.copy(&vec![1; SMALLEST]).share();
        let second = shared.clone();
        let address = shared.as_ptr();
        drop(shared);
        assert_eq!(buffers.free().bytes, 0);
        drop(second);
        let reused = buffers.copy(&vec![2; SMALLEST]);
        assert_eq!((reused.as_ref().as_ptr(), reused.as_ref()), (address, &vec![2; SMALLEST][..]));
    }

    #[test]
    fn no_more_free_bytes_are_kept_than_the_limit() {
        let buffers = Buffers::new(SMALLEST);
        let both = (buffers.copy(&vec![1; SMALLEST]), buffers.copy(&vec![1; SMALLEST]));
        drop(both);
        let free = buffers.free();
        assert_eq!((free.buffers.len(), free.bytes), (1, SMALLEST));
    }

    #[test]
    fn a_few_bytes_do_not_use_a_large_buffer() {
        let buffers = Buffers::new(1 << 30);
        drop(buffers.copy(&vec![1; 10 * SMALLEST]));
        assert!(buffers.copy(b"small").capacity() < SMALLEST);
        assert!(buffers.copy(&vec![1; SMALLEST]).capacity() < 10 * SMALLEST);
    }
}
