//! Large buffers that are used again: a chunk of a MiB hundreds of times a second would otherwise be as many fresh pages.

use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;

/// A smaller buffer is not kept: the allocator is as fast, and a few bytes must not hold a large buffer.
const SMALLEST: usize = 64 << 10;

/// Buffers that are free.
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

/// A buffer on loan. It goes back when it is dropped.
#[derive(Debug)]
pub struct Buffer {
    bytes: Vec<u8>,
    home: Buffers,
}

impl Buffers {
    /// At most `keep_bytes` bytes are kept in free buffers.
    #[must_use]
    pub fn new(keep_bytes: usize) -> Self {
        Self { free: Arc::default(), keep_bytes }
    }

    /// A buffer that holds a copy of `bytes`.
    #[must_use]
    pub fn copy(&self, bytes: &[u8]) -> Buffer {
        self.join(bytes.len(), std::iter::once(bytes))
    }

    /// A buffer that holds copies of the parts, one after the other; together they have `len` bytes.
    #[must_use]
    pub fn join<'a>(&self, len: usize, parts: impl Iterator<Item = &'a [u8]>) -> Buffer {
        let mut bytes = self.take(len).unwrap_or_else(|| Vec::with_capacity(len));
        bytes.clear();
        parts.for_each(|part| bytes.extend_from_slice(part));
        Buffer { bytes, home: self.clone() }
    }

    /// The smallest free buffer that `len` bytes fit into, unless it is much too large.
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

    fn free(&self) -> std::sync::MutexGuard<'_, Free> {
        self.free.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Buffer {
    /// The bytes of memory that it takes.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.bytes.capacity()
    }

    /// As bytes that can be shared; the buffer goes back with the last of them.
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
        let mut free = self.home.free();
        free.bytes += bytes.capacity();
        free.buffers.push(bytes);
        // The oldest goes: what is used now is of the size that is needed now.
        while free.bytes > self.home.keep_bytes {
            let oldest = free.buffers.remove(0);
            free.bytes -= oldest.capacity();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_buffer_is_used_again_once_the_last_share_of_it_is_gone() {
        let buffers = Buffers::new(1 << 20);
        let shared = buffers.copy(&vec![1; SMALLEST]).share();
        let second = shared.clone();
        let address = shared.as_ptr();
        drop(shared);
        assert_eq!(buffers.free().bytes, 0);
        drop(second);
        let again = buffers.copy(&vec![2; SMALLEST]);
        assert_eq!((again.as_ref().as_ptr(), again.as_ref()), (address, &vec![2; SMALLEST][..]));
    }

    #[test]
    fn no_more_bytes_are_kept_than_allowed() {
        let buffers = Buffers::new(SMALLEST);
        let both = (buffers.copy(&vec![1; SMALLEST]), buffers.copy(&vec![1; SMALLEST]));
        drop(both);
        let free = buffers.free();
        assert_eq!((free.buffers.len(), free.bytes), (1, SMALLEST));
    }

    #[test]
    fn a_few_bytes_do_not_take_a_large_buffer() {
        let buffers = Buffers::new(1 << 30);
        drop(buffers.copy(&vec![1; 10 * SMALLEST]));
        assert!(buffers.copy(b"small").capacity() < SMALLEST);
        assert!(buffers.copy(&vec![1; SMALLEST]).capacity() < 10 * SMALLEST);
    }
}
