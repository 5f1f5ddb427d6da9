//! Unpacking a body in bounded steps.
//!
//! **Promise:** memory does not depend on what the bytes claim to unpack to. A zstd frame may ask for a window of at
//! most 8 MiB, the limit of RFC 9659 for `Content-Encoding: zstd`.

use std::io::{self, BufRead, Read};

use flate2::bufread::MultiGzDecoder;

use crate::error::{ApiError, FileProblem};
use crate::upload::body::{BodyReader, broke_off};

/// Unpacked bytes a step.
const STEP: usize = 128 * 1024;
/// The binary logarithm of the largest zstd window.
const ZSTD_WINDOW_LOG: u32 = 23;

/// How a body is packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    /// Not at all.
    Identity,
    /// gzip, of one or more members.
    Gzip,
    /// Zstandard, of one or more frames.
    Zstd,
}

impl Encoding {
    /// From a `Content-Encoding` header.
    pub fn parse(header: Option<&str>) -> Result<Self, ApiError> {
        match header.map(|h| h.trim().to_ascii_lowercase()).as_deref() {
            None | Some("" | "identity") => Ok(Self::Identity),
            Some("gzip" | "x-gzip") => Ok(Self::Gzip),
            Some("zstd") => Ok(Self::Zstd),
            Some(other) => Err(ApiError::UnsupportedEncoding(other.chars().take(64).collect())),
        }
    }
}

/// Why no more bytes come.
#[derive(Debug, PartialEq, Eq)]
pub enum DecodeError {
    /// The body broke off: an upload can go on later.
    BrokeOff,
    /// The bytes are not what the header says.
    Malformed(FileProblem),
}

/// The unpacked body.
pub struct Decoder {
    source: Source,
    buffer: Vec<u8>,
}

enum Source {
    Identity(BodyReader),
    Gzip(Box<MultiGzDecoder<BodyReader>>),
    Zstd(zstd::stream::read::Decoder<'static, BodyReader>),
}

impl Decoder {
    /// Reads `body`, packed as `encoding`. A body without a byte is an empty file, however it is packed.
    pub fn new(mut body: BodyReader, encoding: Encoding) -> Result<Self, DecodeError> {
        let empty = body.fill_buf().map_err(|e| problem(encoding, &e))?.is_empty();
        let source = match encoding {
            Encoding::Gzip if !empty => Source::Gzip(Box::new(MultiGzDecoder::new(body))),
            Encoding::Zstd if !empty => Source::Zstd(zstd_decoder(body).map_err(|e| problem(encoding, &e))?),
            _ => Source::Identity(body),
        };
        let step = if matches!(source, Source::Identity(_)) { 0 } else { STEP };
        Ok(Self { source, buffer: vec![0; step] })
    }

    /// Hands the next bytes to `take`; `None` at the end.
    pub fn next<T>(&mut self, take: impl FnOnce(&[u8]) -> T) -> Result<Option<T>, DecodeError> {
        let (encoding, read) = match &mut self.source {
            Source::Identity(body) => {
                let bytes = body.fill_buf().map_err(|e| problem(Encoding::Identity, &e))?;
                let amount = bytes.len();
                let taken = (amount > 0).then(|| take(bytes));
                body.consume(amount);
                return Ok(taken);
            }
            Source::Gzip(gzip) => (Encoding::Gzip, gzip.read(&mut self.buffer)),
            Source::Zstd(zstd) => (Encoding::Zstd, zstd.read(&mut self.buffer)),
        };
        let amount = read.map_err(|e| problem(encoding, &e))?;
        Ok((amount > 0).then(|| take(&self.buffer[..amount])))
    }
}

fn zstd_decoder(body: BodyReader) -> io::Result<zstd::stream::read::Decoder<'static, BodyReader>> {
    let mut decoder = zstd::stream::read::Decoder::with_buffer(body)?;
    decoder.window_log_max(ZSTD_WINDOW_LOG)?;
    Ok(decoder)
}

fn problem(encoding: Encoding, error: &io::Error) -> DecodeError {
    if broke_off(error) {
        return DecodeError::BrokeOff;
    }
    let (reason, name) = match encoding {
        Encoding::Zstd => ("MalformedZstd", "zstd (with a window of at most 8 MiB)"),
        Encoding::Gzip => ("MalformedGzip", "gzip"),
        Encoding::Identity => ("MalformedBody", "a file"),
    };
    let message =
        format!("the body is not {name}, or is cut off: {error}; pack the file again, or send it as it is");
    DecodeError::Malformed(FileProblem { reason, message })
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;
    use crate::upload::body::tests::reader;

    fn gzip(text: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(text).unwrap();
        encoder.finish().unwrap()
    }

    fn decode(pieces: &[&[u8]], encoding: Encoding, clean: bool) -> Result<Vec<u8>, DecodeError> {
        let mut decoder = Decoder::new(reader(pieces, clean), encoding)?;
        let mut out = Vec::new();
        while decoder.next(|bytes| out.extend_from_slice(bytes))?.is_some() {}
        Ok(out)
    }

    fn reason(result: Result<Vec<u8>, DecodeError>) -> &'static str {
        match result {
            Err(DecodeError::Malformed(problem)) => problem.reason,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn packed_bytes_come_out_the_same_wherever_the_body_is_split() {
        let two_members = [gzip(b"event_id,amount\n"), gzip(b"1,12.5\n")].concat();
        let two_frames =
            [zstd::encode_all(&b"event_id,amount\n"[..], 1), zstd::encode_all(&b"1,12.5\n"[..], 1)]
                .map(Result::unwrap)
                .concat();
        for (packed, encoding) in [(two_members, Encoding::Gzip), (two_frames, Encoding::Zstd)] {
            for at in 0..=packed.len() {
                let (head, tail) = packed.split_at(at);
                assert_eq!(
                    decode(&[head, tail], encoding, true).unwrap(),
                    b"event_id,amount\n1,12.5\n",
                    "{at}"
                );
            }
        }
    }

    #[test]
    fn a_packed_body_that_is_cut_off_or_is_none_is_malformed() {
        let packed = gzip(b"1,2\n");
        let short = &packed[..packed.len() - 1];
        assert_eq!(reason(decode(&[short], Encoding::Gzip, true)), "MalformedGzip");
        assert_eq!(reason(decode(&[&packed, b"x"], Encoding::Gzip, true)), "MalformedGzip");
        assert_eq!(reason(decode(&[b"event_id,amount\n"], Encoding::Gzip, true)), "MalformedGzip");
        let packed = zstd::encode_all(&b"1,2\n"[..], 1).unwrap();
        assert_eq!(reason(decode(&[&packed[..packed.len() - 1]], Encoding::Zstd, true)), "MalformedZstd");
        assert_eq!(reason(decode(&[b"1,2\n"], Encoding::Zstd, true)), "MalformedZstd");
    }

    #[test]
    fn a_connection_that_breaks_inside_a_packed_body_does_not_make_it_malformed() {
        let packed = gzip(b"1,2\n");
        let broken = decode(&[&packed[..packed.len() / 2]], Encoding::Gzip, false);
        assert_eq!(broken, Err(DecodeError::BrokeOff));
        assert_eq!(decode(&[b"1,2\n"], Encoding::Identity, false), Err(DecodeError::BrokeOff));
    }

    #[test]
    fn a_body_without_a_byte_is_an_empty_file_however_it_is_packed() {
        for encoding in [Encoding::Identity, Encoding::Gzip, Encoding::Zstd] {
            assert_eq!(decode(&[], encoding, true).unwrap(), b"");
        }
    }

    #[test]
    fn a_bomb_comes_in_steps_of_bounded_size() {
        let packed = gzip(&vec![b'0'; 8 << 20]);
        assert!(packed.len() < 1 << 20);
        let mut decoder = Decoder::new(reader(&[&packed], true), Encoding::Gzip).unwrap();
        let mut total = 0;
        while let Some(step) = decoder.next(<[u8]>::len).unwrap() {
            assert!(step <= STEP);
            total += step;
        }
        assert_eq!(total, 8 << 20);
    }

    #[test]
    fn a_zstd_frame_that_asks_for_a_huge_window_is_refused() {
        let mut encoder = zstd::stream::write::Encoder::new(Vec::new(), 1).unwrap();
        encoder.window_log(27).unwrap();
        encoder.write_all(b"1,2\n").unwrap();
        let packed = encoder.finish().unwrap();
        assert_eq!(reason(decode(&[&packed], Encoding::Zstd, true)), "MalformedZstd");
    }

    #[test]
    fn an_encoding_that_is_not_read_is_refused_by_name() {
        assert_eq!(Encoding::parse(Some("GZIP")).unwrap(), Encoding::Gzip);
        assert!(Encoding::parse(Some("br")).unwrap_err().to_string().contains("'br'"));
    }
}
