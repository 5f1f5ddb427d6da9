//! Zstandard. The frames are decoded one after the other, so that the window of each is reserved before it is
//! allocated.

use std::io::{self, BufRead, Read};

use ::zstd::stream::read::Decoder;

use crate::budget::Reservation;
use crate::upload::body::BodyReader;

/// The memory of a decoder without its window, in bytes.
pub const BASE_MEMORY: u64 = 512 * 1024;
/// The binary logarithm of the largest window.
const WINDOW_LOG: u32 = 23;
/// The most bytes of a frame header; RFC 8878, section 3.1.1.1.
const HEADER_BYTES: usize = 18;
const MAGIC: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];

/// The decompressed bytes of all frames of a body.
pub struct Frames {
    /// `None` only during a change, and after an error.
    state: Option<State>,
    memory: Reservation,
    /// The largest window so far. Its memory is reserved.
    window: u64,
}

enum State {
    Between(Peek<BodyReader>),
    Within(Decoder<'static, Peek<BodyReader>>),
}

impl Frames {
    /// Makes a reader. It does not read yet.
    pub fn new(body: BodyReader, memory: Reservation) -> Self {
        let state = Some(State::Between(Peek { inner: body, head: Vec::new(), at: 0 }));
        Self { state, memory, window: 0 }
    }

    /// Makes the decoder of the frame that begins here.
    fn frame(&mut self, body: Peek<BodyReader>, window: u64) -> io::Result<State> {
        // The decoder refuses a larger window.
        if window > self.window && window <= 1 << WINDOW_LOG {
            self.memory.grow_blocking(window - self.window).map_err(io::Error::other)?;
            self.window = window;
        }
        let mut decoder = Decoder::with_buffer(body)?.single_frame();
        decoder.window_log_max(WINDOW_LOG)?;
        Ok(State::Within(decoder))
    }
}

impl Read for Frames {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        loop {
            match self.state.take() {
                Some(State::Between(mut body)) => {
                    let head = body.peek(HEADER_BYTES)?;
                    if head.is_empty() {
                        self.state = Some(State::Between(body));
                        return Ok(0);
                    }
                    let window = window_bytes(head).unwrap_or(0);
                    self.state = Some(self.frame(body, window)?);
                }
                Some(State::Within(mut decoder)) => {
                    let amount = decoder.read(out)?;
                    if amount > 0 || out.is_empty() {
                        self.state = Some(State::Within(decoder));
                        return Ok(amount);
                    }
                    self.state = Some(State::Between(decoder.finish()));
                }
                None => return Err(io::Error::other("the decoder has failed before")),
            }
        }
    }
}

/// Returns the window that a frame needs; `None` if no frame begins here, or if it specifies no window. RFC 8878,
/// section 3.1.1.1.
fn window_bytes(head: &[u8]) -> Option<u64> {
    let rest = head.strip_prefix(&MAGIC)?;
    let (descriptor, rest) = rest.split_first()?;
    let single_segment = descriptor & 0x20 != 0;
    if !single_segment {
        let byte = u64::from(*rest.first()?);
        let base = 1 << (10 + (byte >> 3));
        return Some(base + (base >> 3) * (byte & 7));
    }
    let dictionary = [0, 1, 2, 4][usize::from(descriptor & 3)];
    let size = [1, 2, 4, 8][usize::from(descriptor >> 6)];
    let mut bytes = [0; 8];
    bytes[..size].copy_from_slice(rest.get(dictionary..dictionary + size)?);
    // RFC 8878: a size of two bytes is stored minus 256.
    Some(u64::from_le_bytes(bytes).saturating_add(if size == 2 { 256 } else { 0 }))
}

/// A reader that can look ahead.
struct Peek<R> {
    inner: R,
    /// Bytes taken from `inner`, of which the first `at` were consumed.
    head: Vec<u8>,
    at: usize,
}

impl<R: BufRead> Peek<R> {
    /// Returns the next bytes without consuming them: `len` bytes, or fewer at the end.
    fn peek(&mut self, len: usize) -> io::Result<&[u8]> {
        self.head.drain(..self.at);
        self.at = 0;
        while self.head.len() < len {
            let bytes = self.inner.fill_buf()?;
            if bytes.is_empty() {
                break;
            }
            let amount = bytes.len().min(len - self.head.len());
            self.head.extend_from_slice(&bytes[..amount]);
            self.inner.consume(amount);
        }
        Ok(&self.head)
    }
}

impl<R: BufRead> BufRead for Peek<R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.at < self.head.len() { Ok(&self.head[self.at..]) } else { self.inner.fill_buf() }
    }

    fn consume(&mut self, amount: usize) {
        if self.at < self.head.len() { self.at += amount } else { self.inner.consume(amount) }
    }
}

impl<R: BufRead> Read for Peek<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let from = self.fill_buf()?;
        let amount = from.len().min(into.len());
        into[..amount].copy_from_slice(&from[..amount]);
        self.consume(amount);
        Ok(amount)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn the_window_of_a_frame_is_read_from_its_header() {
        for log in [10, 20, 23, 27] {
            let mut encoder = ::zstd::stream::write::Encoder::new(Vec::new(), 1).unwrap();
            encoder.window_log(log).unwrap();
            encoder.write_all(b"1,2\n").unwrap();
            assert_eq!(window_bytes(&encoder.finish().unwrap()), Some(1 << log), "{log}");
        }
    }

    #[test]
    fn the_window_of_a_frame_of_one_segment_is_its_size() {
        for size in [4, 255, 256, 300, 70_000, 400_000] {
            let compressed = ::zstd::bulk::compress(&vec![b'0'; size], 1).unwrap();
            assert_eq!(window_bytes(&compressed), Some(size as u64));
        }
        assert_eq!(window_bytes(b"1,2\n"), None);
        assert_eq!(window_bytes(&[0x28, 0xb5, 0x2f, 0xfd]), None);
    }
}
