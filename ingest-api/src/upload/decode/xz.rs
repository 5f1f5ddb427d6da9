//! xz, with a limit of memory. The limit is raised to the needs of a stream after the memory is reserved.

use std::io::{self, BufRead, Read};

use liblzma::stream::{Action, CONCATENATED, Error, Status, Stream};

use crate::budget::Reservation;
use crate::upload::body::BodyReader;

/// The least memory of a decoder, in bytes. It is enough for a dictionary of up to about 512 KiB.
pub const BASE_MEMORY: u64 = 1 << 20;
/// The most memory of a decoder: a dictionary of 64 MiB and its other needs.
const MOST_MEMORY: u64 = 66 << 20;

/// The decompressed bytes of all streams of a body.
pub struct Reader {
    body: BodyReader,
    stream: Stream,
    memory: Reservation,
    /// The memory that the stream may use. It is reserved.
    limit: u64,
}

impl Reader {
    /// Makes a reader. It does not read yet.
    pub fn new(body: BodyReader, memory: Reservation) -> io::Result<Self> {
        let stream = Stream::new_stream_decoder(BASE_MEMORY, CONCATENATED)?;
        Ok(Self { body, stream, memory, limit: BASE_MEMORY })
    }

    /// Raises the limit to the needs of the block that begins here.
    fn raise_limit(&mut self) -> io::Result<()> {
        // liblzma does not report its needs, but rejects a limit below them.
        let mut limit = self.limit;
        while limit < MOST_MEMORY {
            limit = (limit + (1 << 20)).min(MOST_MEMORY);
            match self.stream.set_memlimit(limit) {
                Ok(()) => {
                    self.memory.grow_blocking(limit - self.limit).map_err(io::Error::other)?;
                    self.limit = limit;
                    return Ok(());
                }
                Err(Error::MemLimit) => {}
                Err(other) => return Err(other.into()),
            }
        }
        Err(Error::MemLimit.into())
    }
}

impl Read for Reader {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        loop {
            let bytes = self.body.fill_buf()?;
            let ended = bytes.is_empty();
            let (taken, given) = (self.stream.total_in(), self.stream.total_out());
            let action = if ended { Action::Finish } else { Action::Run };
            let status = self.stream.process(bytes, out, action);
            let taken = usize::try_from(self.stream.total_in() - taken).unwrap_or(usize::MAX);
            let given = usize::try_from(self.stream.total_out() - given).unwrap_or(usize::MAX);
            self.body.consume(taken);
            let status = match status {
                Err(Error::MemLimit) => {
                    self.raise_limit()?;
                    None
                }
                other => Some(other?),
            };
            if given > 0 || out.is_empty() || status == Some(Status::StreamEnd) {
                return Ok(given);
            }
            if ended && status == Some(Status::MemNeeded) {
                return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the stream is cut off"));
            }
        }
    }
}
