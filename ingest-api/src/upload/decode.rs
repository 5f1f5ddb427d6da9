//! Decompresses a body in bounded steps, and converts UTF-16 to UTF-8.
//!
//! **Promise:** the memory does not depend on the size that a stream claims for its decompressed bytes. A zstd frame
//! may need a window of at most 8 MiB, the limit of RFC 9659 for `Content-Encoding: zstd`; xz a dictionary of at most
//! 64 MiB, that of `xz -9`; a bzip2 block is at most 900 kB. What a stream needs is reserved before it is allocated.

use std::io::{self, BufRead, Read};

use bzip2::bufread::MultiBzDecoder;
use flate2::bufread::MultiGzDecoder;
use rows_split::{TranscodeError, Transcoder};

use crate::budget::{NoMemory, Reservation};
use crate::error::{ApiError, FileProblem};
use crate::upload::body::{BodyReader, is_interrupted};

mod xz;
mod zstd;

/// How many decompressed bytes a step returns.
const STEP: usize = 128 * 1024;

/// How a body is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    /// No compression.
    Identity,
    /// gzip, of one or more members.
    Gzip,
    /// Zstandard, of one or more frames.
    Zstd,
    /// bzip2, of one or more streams.
    Bzip2,
    /// xz, of one or more streams.
    Xz,
}

impl Encoding {
    /// Parses a `Content-Encoding` header.
    pub fn parse(header: Option<&str>) -> Result<Self, ApiError> {
        match header.map(|h| h.trim().to_ascii_lowercase()).as_deref() {
            None | Some("" | "identity") => Ok(Self::Identity),
            Some("gzip" | "x-gzip") => Ok(Self::Gzip),
            Some("zstd") => Ok(Self::Zstd),
            Some("bzip2" | "x-bzip2") => Ok(Self::Bzip2),
            Some("xz" | "x-xz") => Ok(Self::Xz),
            Some(other) => Err(ApiError::UnsupportedEncoding(other.chars().take(64).collect())),
        }
    }

    /// Returns the least memory of a decoder, in bytes.
    #[must_use]
    pub fn memory(self) -> u64 {
        match self {
            Self::Identity => 0,
            // a window of 32 KiB, its tables, and a step
            Self::Gzip => 256 * 1024,
            Self::Zstd => zstd::BASE_MEMORY + STEP as u64,
            // 900,000 words of four bytes, and its tables
            Self::Bzip2 => (4 << 20) + STEP as u64,
            Self::Xz => xz::BASE_MEMORY + STEP as u64,
        }
    }
}

/// Why no more bytes follow.
#[derive(Debug, PartialEq, Eq)]
pub enum DecodeError {
    /// The body was interrupted: an upload can continue later.
    Interrupted,
    /// The bytes do not have the encoding that the request specifies.
    Malformed(FileProblem),
    /// There is no memory for the needs of the stream.
    Memory(NoMemory),
}

/// The decompressed body, in UTF-8.
pub struct Decoder {
    source: Source,
    buffer: Vec<u8>,
    /// `None` after the end.
    text: Option<Transcoder>,
}

enum Source {
    Identity(BodyReader),
    Compressed(Encoding, Box<dyn Read>),
}

impl Decoder {
    /// Reads `body`, compressed as `encoding`. A body without a byte is an empty file, whatever its encoding.
    ///
    /// `resumed`: the body is the rest of a file, and therefore UTF-8. `memory` grows by what the stream needs beyond
    /// [`Encoding::memory`].
    pub fn new(
        mut body: BodyReader,
        encoding: Encoding,
        resumed: bool,
        memory: Reservation,
    ) -> Result<Self, DecodeError> {
        let failed = |e| problem(encoding, &e);
        let empty = body.fill_buf().map_err(failed)?.is_empty();
        let compressed: Box<dyn Read> = match encoding {
            _ if empty => return Ok(Self::of(Source::Identity(body), resumed)),
            Encoding::Identity => return Ok(Self::of(Source::Identity(body), resumed)),
            Encoding::Gzip => Box::new(MultiGzDecoder::new(body)),
            Encoding::Zstd => Box::new(zstd::Frames::new(body, memory)),
            Encoding::Bzip2 => Box::new(MultiBzDecoder::new(body)),
            Encoding::Xz => Box::new(xz::Reader::new(body, memory).map_err(failed)?),
        };
        Ok(Self::of(Source::Compressed(encoding, compressed), resumed))
    }

    fn of(source: Source, resumed: bool) -> Self {
        let step = if matches!(source, Source::Identity(_)) { 0 } else { STEP };
        let text = if resumed { Transcoder::resume() } else { Transcoder::new() };
        Self { source, buffer: vec![0; step], text: Some(text) }
    }

    /// Passes the next bytes, possibly none, to `take`. Returns `None` at the end.
    pub fn next<T>(&mut self, take: impl FnOnce(&[u8]) -> T) -> Result<Option<T>, DecodeError> {
        let Some(text) = &mut self.text else { return Ok(None) };
        match &mut self.source {
            Source::Identity(body) => {
                let bytes = body.fill_buf().map_err(|e| problem(Encoding::Identity, &e))?;
                let amount = bytes.len();
                if amount > 0 {
                    let taken = take(text.push(bytes));
                    body.consume(amount);
                    return Ok(Some(taken));
                }
            }
            Source::Compressed(encoding, compressed) => {
                let amount = compressed.read(&mut self.buffer).map_err(|e| problem(*encoding, &e))?;
                if amount > 0 {
                    return Ok(Some(take(text.push(&self.buffer[..amount]))));
                }
            }
        }
        let last = text.finish().map_err(not_utf16)?;
        let taken = (!last.is_empty()).then(|| take(last));
        self.text = None;
        Ok(taken)
    }
}

fn not_utf16(error: TranscodeError) -> DecodeError {
    DecodeError::Malformed(FileProblem { reason: error.reason(), message: error.to_string() })
}

fn problem(encoding: Encoding, error: &io::Error) -> DecodeError {
    if is_interrupted(error) {
        return DecodeError::Interrupted;
    }
    if let Some(error) = error.get_ref().and_then(|e| e.downcast_ref::<NoMemory>()) {
        return DecodeError::Memory(*error);
    }
    let (reason, name) = match encoding {
        Encoding::Zstd => ("MalformedZstd", "zstd (with a window of at most 8 MiB)"),
        Encoding::Gzip => ("MalformedGzip", "gzip"),
        Encoding::Bzip2 => ("MalformedBzip2", "bzip2"),
        Encoding::Xz => ("MalformedXz", "xz (with a dictionary of at most 64 MiB)"),
        Encoding::Identity => ("MalformedBody", "a file"),
    };
    let message = format!(
        "the body is not {name}, or is cut off: {error}; compress the file again, or send it uncompressed"
    );
    DecodeError::Malformed(FileProblem { reason, message })
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;
    use crate::budget::Budget;
    use crate::budget::tests::reserved;
    use crate::upload::body::tests::reader;

    fn gzip(text: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(text).unwrap();
        encoder.finish().unwrap()
    }

    fn bzip2(text: &[u8]) -> Vec<u8> {
        let mut encoder = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::fast());
        encoder.write_all(text).unwrap();
        encoder.finish().unwrap()
    }

    fn xz(text: &[u8]) -> Vec<u8> {
        liblzma::encode_all(text, 1).unwrap()
    }

    fn zstd(text: &[u8]) -> Vec<u8> {
        ::zstd::encode_all(text, 1).unwrap()
    }

    type Compress = fn(&[u8]) -> Vec<u8>;

    const COMPRESSIONS: [(Compress, Encoding, &str); 4] = [
        (gzip, Encoding::Gzip, "MalformedGzip"),
        (zstd, Encoding::Zstd, "MalformedZstd"),
        (bzip2, Encoding::Bzip2, "MalformedBzip2"),
        (xz, Encoding::Xz, "MalformedXz"),
    ];

    fn decode(pieces: &[&[u8]], encoding: Encoding, clean: bool) -> Result<Vec<u8>, DecodeError> {
        decode_in(&Budget::new(1 << 30), pieces, encoding, clean)
    }

    fn decode_in(
        budget: &Budget,
        pieces: &[&[u8]],
        encoding: Encoding,
        clean: bool,
    ) -> Result<Vec<u8>, DecodeError> {
        let mut decoder = Decoder::new(reader(pieces, clean), encoding, false, reserved(budget, 1))?;
        let mut out = Vec::new();
        while decoder.next(|bytes| out.extend_from_slice(bytes))?.is_some() {}
        Ok(out)
    }

    fn with_dictionary(dictionary: u32) -> Vec<u8> {
        let mut options = liblzma::stream::LzmaOptions::new_preset(0).unwrap();
        options.dict_size(dictionary);
        let mut filters = liblzma::stream::Filters::new();
        filters.lzma2(&options);
        let check = liblzma::stream::Check::Crc32;
        let stream = liblzma::stream::Stream::new_stream_encoder(&filters, check).unwrap();
        let mut encoder = liblzma::write::XzEncoder::new_stream(Vec::new(), stream);
        encoder.write_all(b"1,2\n").unwrap();
        encoder.finish().unwrap()
    }

    fn with_window(log: u32) -> Vec<u8> {
        let mut encoder = ::zstd::stream::write::Encoder::new(Vec::new(), 1).unwrap();
        encoder.window_log(log).unwrap();
        encoder.write_all(b"1,2\n").unwrap();
        encoder.finish().unwrap()
    }

    fn reason(result: Result<Vec<u8>, DecodeError>) -> &'static str {
        match result {
            Err(DecodeError::Malformed(problem)) => problem.reason,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn decompressed_bytes_are_the_same_wherever_the_body_is_split() {
        for (compress, encoding, _) in COMPRESSIONS {
            let compressed = [compress(b"event_id,amount\n"), compress(b"1,12.5\n")].concat();
            for at in 0..=compressed.len() {
                let (head, tail) = compressed.split_at(at);
                assert_eq!(
                    decode(&[head, tail], encoding, true).unwrap(),
                    b"event_id,amount\n1,12.5\n",
                    "{at}"
                );
            }
        }
    }

    #[test]
    fn a_compressed_body_that_is_truncated_or_is_not_compressed_is_malformed() {
        for (compress, encoding, expected) in COMPRESSIONS {
            let compressed = compress(b"1,2\n");
            for at in 1..compressed.len() {
                assert_eq!(reason(decode(&[&compressed[..at]], encoding, true)), expected, "cut off at {at}");
            }
            assert_eq!(reason(decode(&[&compressed, b"xx"], encoding, true)), expected);
            assert_eq!(reason(decode(&[b"event_id,amount\n"], encoding, true)), expected);
        }
    }

    #[test]
    fn a_connection_that_breaks_inside_a_compressed_body_does_not_make_it_malformed() {
        for (compress, encoding, _) in COMPRESSIONS {
            let compressed = compress(b"1,2\n");
            let broken = decode(&[&compressed[..compressed.len() / 2]], encoding, false);
            assert_eq!(broken, Err(DecodeError::Interrupted));
        }
        assert_eq!(decode(&[b"1,2\n"], Encoding::Identity, false), Err(DecodeError::Interrupted));
    }

    #[test]
    fn a_body_without_a_byte_is_an_empty_file_with_every_compression() {
        for encoding in COMPRESSIONS.map(|(_, encoding, _)| encoding).into_iter().chain([Encoding::Identity])
        {
            assert_eq!(decode(&[], encoding, true).unwrap(), b"");
        }
    }

    #[test]
    fn a_decompression_bomb_is_decoded_in_steps_of_bounded_size() {
        for (compress, encoding, _) in COMPRESSIONS {
            let compressed = compress(&vec![b'0'; 8 << 20]);
            assert!(compressed.len() < 1 << 20);
            let mut decoder = Decoder::new(
                reader(&[&compressed], true),
                encoding,
                false,
                reserved(&Budget::new(1 << 30), 1),
            )
            .unwrap();
            let mut total = 0;
            while let Some(step) = decoder.next(<[u8]>::len).unwrap() {
                assert!(step <= STEP);
                total += step;
            }
            assert_eq!(total, 8 << 20);
        }
    }

    #[test]
    fn a_zstd_frame_that_needs_a_huge_window_is_refused() {
        assert_eq!(decode(&[&with_window(23)], Encoding::Zstd, true).unwrap(), b"1,2\n");
        assert_eq!(reason(decode(&[&with_window(27)], Encoding::Zstd, true)), "MalformedZstd");
    }

    #[test]
    fn xz_that_needs_a_huge_dictionary_is_refused_and_that_of_its_highest_level_is_not() {
        assert_eq!(decode(&[&with_dictionary(64 << 20)], Encoding::Xz, true).unwrap(), b"1,2\n");
        assert_eq!(reason(decode(&[&with_dictionary(96 << 20)], Encoding::Xz, true)), "MalformedXz");
    }

    #[test]
    fn the_memory_that_a_stream_needs_is_reserved_before_it_is_allocated() {
        let cases = [
            (Encoding::Xz, with_dictionary(1 << 20), with_dictionary(64 << 20), 64 << 20),
            (Encoding::Zstd, with_window(20), with_window(23), 8 << 20),
        ];
        for (encoding, small, large, least) in cases {
            let streams = [small.as_slice(), &large].concat();
            let budget = Budget::new(90 << 20);
            let reservation = reserved(&budget, 1);
            let mut decoder = Decoder::new(reader(&[&streams], true), encoding, false, reservation).unwrap();
            while decoder.next(|_| ()).unwrap().is_some() {}
            let used = (90 << 20) - budget.free();
            assert!(used > least && used < least + (4 << 20), "{encoding:?}: {used}");
            drop(decoder);
            assert_eq!(budget.free(), 90 << 20);
            let other = budget.try_reserve((90 << 20) - least).unwrap();
            let busy = decode_in(&budget, &[&streams], encoding, true);
            assert_eq!(busy, Err(DecodeError::Memory(NoMemory::Busy)), "{encoding:?}");
            drop(other);
            let never = decode_in(&Budget::new(4 << 20), &[&streams], encoding, true);
            assert!(matches!(never, Err(DecodeError::Memory(NoMemory::Never { .. }))), "{never:?}");
        }
    }

    #[test]
    fn utf_16_becomes_utf_8_with_every_compression_but_not_in_an_upload_that_continues() {
        let text: Vec<u8> = "\u{feff}id\n😀\n".encode_utf16().flat_map(u16::to_le_bytes).collect();
        let expected = "\u{feff}id\n😀\n".as_bytes();
        assert_eq!(decode(&[&text], Encoding::Identity, true).unwrap(), expected);
        for (compress, encoding, _) in COMPRESSIONS {
            assert_eq!(decode(&[&compress(&text)], encoding, true).unwrap(), expected);
        }
        let truncated = &text[..text.len() - 1];
        assert_eq!(reason(decode(&[truncated], Encoding::Identity, true)), "MalformedUtf16");
        assert_eq!(decode(&[truncated], Encoding::Identity, false), Err(DecodeError::Interrupted));
        let mut rest = Decoder::new(
            reader(&[&text], true),
            Encoding::Identity,
            true,
            reserved(&Budget::new(1 << 20), 1),
        )
        .unwrap();
        assert_eq!(rest.next(<[u8]>::to_vec).unwrap(), Some(text));
    }

    #[test]
    fn an_unsupported_encoding_is_refused_with_its_name() {
        assert_eq!(Encoding::parse(Some("GZIP")).unwrap(), Encoding::Gzip);
        assert_eq!(Encoding::parse(Some("x-bzip2")).unwrap(), Encoding::Bzip2);
        assert_eq!(Encoding::parse(Some("xz")).unwrap(), Encoding::Xz);
        assert!(Encoding::parse(Some("br")).unwrap_err().to_string().contains("'br'"));
    }
}
