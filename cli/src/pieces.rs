//! Makes the body of a request from a reader: large pieces, no byte is copied twice, and the memory is bounded.

use std::io::{self, Read};
use std::sync::Arc;

use bytes::Bytes;
use futures::stream::{self, Stream};
use parking_lot::Mutex;
use tokio::sync::mpsc;

/// The size of a piece in bytes. Only a few pieces exist at a time, so this bounds the memory of an upload of any
/// size.
const PIECE: usize = 256 * 1024;
/// How many pieces are read ahead of the connection.
const AHEAD: usize = 4;

/// Makes pieces from a reader that never waits for long: a regular file. It is read where the stream is polled,
/// because another thread would cost two thread switches for each piece.
pub fn in_place(mut reader: impl Read + Send + 'static) -> impl Stream<Item = io::Result<Bytes>> + Send {
    let buffers = Buffers::default();
    let mut ended = false;
    stream::iter(std::iter::from_fn(move || {
        let piece = if ended { None } else { buffers.read(&mut reader).transpose() };
        // An error ends the stream.
        ended = !matches!(piece, Some(Ok(_)));
        piece
    }))
}

/// Makes pieces from a reader that may wait, or that takes long to decompress. It is read in its own thread.
pub fn from_thread(mut reader: impl Read + Send + 'static) -> impl Stream<Item = io::Result<Bytes>> + Send {
    let (sender, receiver) = mpsc::channel(AHEAD);
    tokio::task::spawn_blocking(move || {
        let buffers = Buffers::default();
        while let Some(piece) = buffers.read(&mut reader).transpose() {
            // An error ends the stream. If the receiver is dropped, no more pieces are needed.
            let failed = piece.is_err();
            if sender.blocking_send(piece).is_err() || failed {
                return;
            }
        }
    });
    stream::unfold(receiver, |mut receiver| async { receiver.recv().await.map(|piece| (piece, receiver)) })
}

/// Buffers that are used again after the connection has sent their content, so that a piece needs no new memory.
#[derive(Clone, Default)]
struct Buffers(Arc<Mutex<Vec<Box<[u8]>>>>);

impl Buffers {
    /// Reads the next piece; `None` at the end.
    fn read(&self, reader: &mut impl Read) -> io::Result<Option<Bytes>> {
        let mut buffer = self.take();
        let length = loop {
            match reader.read(&mut buffer) {
                Ok(length) => break length,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        };
        let filled = Filled { buffer, length, buffers: self.clone() };
        Ok((length > 0).then(|| Bytes::from_owner(filled)))
    }

    fn take(&self) -> Box<[u8]> {
        let free = self.0.lock().pop();
        free.unwrap_or_else(|| vec![0; PIECE].into_boxed_slice())
    }
}

/// A buffer that is returned to the others when nobody reads it any more.
struct Filled {
    buffer: Box<[u8]>,
    length: usize,
    buffers: Buffers,
}

impl AsRef<[u8]> for Filled {
    fn as_ref(&self) -> &[u8] {
        &self.buffer[..self.length]
    }
}

impl Drop for Filled {
    fn drop(&mut self) {
        let buffer = std::mem::take(&mut self.buffer);
        self.buffers.0.lock().push(buffer);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::StreamExt;

    fn text() -> Vec<u8> {
        (0..300_000_u32).flat_map(u32::to_le_bytes).collect()
    }

    async fn read(stream: impl Stream<Item = io::Result<Bytes>>) -> io::Result<Vec<u8>> {
        let mut stream = std::pin::pin!(stream);
        let mut all = Vec::new();
        while let Some(piece) = stream.next().await {
            all.extend_from_slice(&piece?);
        }
        Ok(all)
    }

    fn block_on<T>(future: impl Future<Output = T>) -> T {
        tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
    }

    #[test]
    fn the_pieces_are_the_bytes_of_the_reader() {
        assert!(block_on(async { read(in_place(io::Cursor::new(text()))).await.unwrap() }) == text());
        assert!(block_on(async { read(from_thread(io::Cursor::new(text()))).await.unwrap() }) == text());
    }

    #[test]
    fn a_buffer_is_reused_only_after_its_piece_is_dropped() {
        let buffers = Buffers::default();
        let (first, second) = (text(), vec![7; PIECE]);
        let mut reader = io::Cursor::new(&first[..PIECE]).chain(io::Cursor::new(&second));
        let one = buffers.read(&mut reader).unwrap().unwrap();
        let part = one.slice(10..20);
        drop(one);
        let two = buffers.read(&mut reader).unwrap().unwrap();
        assert_eq!(part, &first[10..20]);
        let address = part.as_ptr().addr() - 10;
        drop(part);
        assert_ne!(two.as_ptr().addr(), address);
        let three = buffers.take();
        assert_eq!(three.as_ptr().addr(), address);
    }

    #[test]
    fn an_error_ends_the_pieces() {
        struct Broken;
        impl Read for Broken {
            fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
                Err(io::Error::other("broken"))
            }
        }
        for stream in [in_place(Broken).boxed(), block_on(async { from_thread(Broken).boxed() })] {
            let pieces = block_on(stream.collect::<Vec<_>>());
            assert!(matches!(&pieces[..], [Err(error)] if error.to_string() == "broken"), "{pieces:?}");
        }
    }
}
