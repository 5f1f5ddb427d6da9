//! How much memory an upload needs.

use crate::upload::body::BODY_BYTES;
use crate::upload::decode::Encoding;

/// The most chunks that an upload holds: one that is cut, one that is held back until the next begins, one that waits,
/// one that is handed over, and its copy on its way to Kafka. Further chunks have reservations of their own.
const CHUNKS: u64 = 5;
/// The other memory of an upload: tasks, status, headers.
const SLACK: u64 = 64 * 1024;

/// Returns what an upload needs from its start to its end, in bytes. `length` is the length of the body, if it is
/// known.
///
/// The memory of a larger zstd window or xz dictionary is reserved later, when the stream specifies its size.
#[must_use]
pub fn need(encoding: Encoding, chunk_bytes: u64, length: Option<u64>) -> u64 {
    let chunks = CHUNKS * chunk_bytes;
    let (body, chunks) = match (encoding, length) {
        (Encoding::Identity, Some(length)) => (length.min(BODY_BYTES), chunks.min(length.saturating_mul(3))),
        (_, Some(length)) => (length.min(BODY_BYTES), chunks),
        (_, None) => (BODY_BYTES, chunks),
    };
    SLACK + body + chunks + encoding.memory()
}

/// Returns how much more memory an upload needs when its longest chunk grows.
#[must_use]
pub fn growth(from: u64, to: u64) -> u64 {
    CHUNKS * to.saturating_sub(from)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1 << 20;

    #[test]
    fn sixteen_uploads_of_default_chunks_fit_into_the_default_budget() {
        let chunk = 960 * 1024;
        assert!(16 * need(Encoding::Identity, chunk, None) <= 96 * MIB);
        assert!(16 * need(Encoding::Gzip, chunk, None) <= 100 * MIB);
    }

    #[test]
    fn a_file_of_two_rows_needs_little_memory() {
        assert!(need(Encoding::Identity, 960 * 1024, Some(100)) < 100 * 1024);
        assert!(need(Encoding::Identity, 960 * 1024, None) > 5 * MIB);
        assert!(need(Encoding::Bzip2, 960 * 1024, Some(100)) > 8 * MIB);
    }
}
