//! Big buffers that are used again: a chunk of some MiB a few times a second would otherwise be as many fresh pages.

use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;

/// A larger buffer is given back to the system: it was an exception.
const LARGEST: usize = 32 << 20;

/// Buffers that are free.
#[derive(Clone, Debug)]
pub struct Buffers {
    free: Arc<Mutex<Vec<Vec<u8>>>>,
    keep: usize,
}

/// A buffer on loan; it goes back when it is dropped.
#[derive(Debug)]
pub struct Buffer {
    bytes: Vec<u8>,
    home: Buffers,
}

impl Buffers {
    /// At most `keep` buffers are kept free.
    #[must_use]
    pub fn new(keep: usize) -> Self {
        Self { free: Arc::default(), keep }
    }

    /// A buffer that holds a copy of `bytes`.
    #[must_use]
    pub fn copy(&self, bytes: &[u8]) -> Buffer {
        self.join(std::iter::once(bytes))
    }

    /// A buffer that holds copies of the parts, one after the other.
    #[must_use]
    pub fn join<'a>(&self, parts: impl Iterator<Item = &'a [u8]>) -> Buffer {
        let mut buffer = self.list().pop().unwrap_or_default();
        buffer.clear();
        parts.for_each(|part| buffer.extend_from_slice(part));
        Buffer { bytes: buffer, home: self.clone() }
    }

    fn list(&self) -> std::sync::MutexGuard<'_, Vec<Vec<u8>>> {
        self.free.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Buffer {
    /// As bytes that can be shared; the buffer goes home with the last of them.
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
        let mut free = self.home.list();
        if free.len() < self.home.keep && bytes.capacity() <= LARGEST {
            free.push(bytes);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_buffer_is_used_again_once_the_last_share_of_it_is_gone() {
        let buffers = Buffers::new(1);
        let shared = buffers.copy(b"one").share();
        let second = shared.clone();
        let address = shared.as_ptr();
        drop(shared);
        assert!(buffers.list().is_empty());
        drop(second);
        let again = buffers.copy(b"two");
        assert_eq!((again.as_ref().as_ptr(), again.as_ref()), (address, &b"two"[..]));
    }

    #[test]
    fn no_more_buffers_are_kept_than_allowed() {
        let buffers = Buffers::new(1);
        let both = (buffers.copy(b"a"), buffers.copy(b"b"));
        drop(both);
        assert_eq!(buffers.list().len(), 1);
    }
}
