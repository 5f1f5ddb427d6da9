//! The file that is loaded or checked: plain or compressed, UTF-8 or UTF-16, from the disk or from standard input.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use bytes::Bytes;
use crds::model::Format;
use futures::stream::{Stream, StreamExt};
use rows_types::Digest;

use crate::pieces;
use crate::utf8::Utf8;

/// How many bytes are read at once when a part of the file is skipped.
const STEP: usize = 256 * 1024;
/// The most memory of an xz decoder, as in the upload API: a dictionary of 64 MiB, and what else it needs.
const XZ_MEMORY: u64 = 66 << 20;

/// How the bytes are compressed, by the name of the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compression {
    Plain,
    Gzip,
    Zstd,
    Bzip2,
    Xz,
}

impl Compression {
    /// Returns the value of `Content-Encoding`.
    pub fn content_encoding(self) -> Option<&'static str> {
        match self {
            Self::Plain => None,
            Self::Gzip => Some("gzip"),
            Self::Zstd => Some("zstd"),
            Self::Bzip2 => Some("bzip2"),
            Self::Xz => Some("xz"),
        }
    }

    fn of(path: &Path) -> Self {
        match extension(path) {
            "gz" => Self::Gzip,
            "zst" => Self::Zstd,
            "bz2" => Self::Bzip2,
            "xz" => Self::Xz,
            _ => Self::Plain,
        }
    }
}

/// A file, or standard input.
#[derive(Clone, Debug)]
pub struct Source {
    /// `None`: standard input.
    path: Option<PathBuf>,
    pub compression: Compression,
    /// The size on the disk in bytes.
    pub length: Option<u64>,
    /// The size of its text as UTF-8 in bytes, if the size on the disk shows it.
    pub text_length: Option<u64>,
}

impl Source {
    /// Checks that the file exists, and what its name says about its compression. `-` is standard input.
    pub fn find(path: &Path) -> Result<Self> {
        if path == Path::new("-") {
            return Ok(Self { path: None, compression: Compression::Plain, length: None, text_length: None });
        }
        let found = std::fs::metadata(path).with_context(|| format!("failed to read {}", path.display()))?;
        if found.is_dir() {
            bail!("failed to read {}: it is a folder; name the files in it", path.display());
        }
        let compression = Compression::of(path);
        let length = found.is_file().then_some(found.len());
        let same = compression == Compression::Plain && length.is_some() && !is_utf16(path)?;
        let text_length = length.filter(|_| same);
        Ok(Self { path: Some(path.to_owned()), compression, length, text_length })
    }

    /// Returns the name for people.
    pub fn name(&self) -> String {
        self.path.as_ref().map_or_else(|| "standard input".to_owned(), |p| p.display().to_string())
    }

    /// Returns the format, if the name of the file shows it clearly.
    pub fn format(&self) -> Option<Format> {
        let path = self.path.as_deref()?;
        let inner = if self.compression == Compression::Plain { path } else { Path::new(path.file_stem()?) };
        Format::of_extension(extension(inner))
    }

    /// Returns whether the source can be read a second time. Only a regular file has a known length.
    pub fn is_repeatable(&self) -> bool {
        self.length.is_some()
    }

    /// Returns the bytes as they are on the disk. Bytes that were appended after the file was found are left out.
    pub fn raw_bytes(&self) -> Result<impl Stream<Item = io::Result<Bytes>> + Send + use<>> {
        let Some(path) = &self.path else { return Ok(pieces::from_thread(self.decompressed()?).boxed()) };
        let file = File::open(path).with_context(|| self.failed())?;
        Ok(match self.length {
            Some(length) => pieces::in_place(file.take(length)).boxed(),
            // A pipe: a read may wait for long.
            None => pieces::from_thread(file).boxed(),
        })
    }

    /// Returns the text as UTF-8 without its first `offset` bytes, and the digest of these bytes. It reads them, which
    /// may take long.
    pub fn resumed(&self, offset: u64) -> Result<(Digest, Box<dyn Read + Send>)> {
        let mut reader = self.decompressed()?;
        let digest = pass(&mut reader, offset).with_context(|| self.failed())?;
        // Bytes that were appended after the file was found do not belong to this upload.
        let left = self.text_length.map_or(u64::MAX, |length| length.saturating_sub(offset));
        Ok((digest, Box::new(reader.take(left))))
    }

    /// Its text as UTF-8.
    pub fn decompressed(&self) -> Result<Box<dyn Read + Send>> {
        let Some(path) = &self.path else { return Ok(Box::new(Utf8::new(io::stdin()))) };
        let file = File::open(path).with_context(|| self.failed())?;
        Ok(match self.compression {
            // It is UTF-8 already, and is read without a further copy.
            Compression::Plain if self.text_length.is_some() => Box::new(file),
            Compression::Plain => Box::new(Utf8::new(file)),
            Compression::Gzip => {
                let decoder = flate2::read::MultiGzDecoder::new(io::BufReader::new(file));
                Box::new(Utf8::new(Named("gzip", decoder)))
            }
            Compression::Zstd => {
                let decoder = zstd::stream::read::Decoder::new(file).with_context(|| self.failed())?;
                Box::new(Utf8::new(Named("zstd", decoder)))
            }
            Compression::Bzip2 => Box::new(Utf8::new(Named("bzip2", bzip2::read::MultiBzDecoder::new(file)))),
            Compression::Xz => Box::new(Utf8::new(xz(file).with_context(|| self.failed())?)),
        })
    }

    fn failed(&self) -> String {
        format!("failed to read {}", self.name())
    }
}

fn xz(file: File) -> io::Result<impl Read> {
    let stream = liblzma::stream::Stream::new_stream_decoder(XZ_MEMORY, liblzma::stream::CONCATENATED)?;
    let decoder = liblzma::read::XzDecoder::new_stream(file, stream);
    Ok(Named("xz (with a dictionary of at most 64 MiB)", decoder))
}

/// A decoder whose errors name the expected compression.
struct Named<R>(&'static str, R);

impl<R: Read> Read for Named<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        self.1.read(into).map_err(|error| match error.kind() {
            io::ErrorKind::Interrupted => error,
            kind => io::Error::new(
                kind,
                format!("it is not {}, or is cut off: {error}; compress it again, or decompress it", self.0),
            ),
        })
    }
}

fn is_utf16(path: &Path) -> Result<bool> {
    let mut start = Vec::new();
    let read = File::open(path).and_then(|file| file.take(2).read_to_end(&mut start));
    read.with_context(|| format!("failed to read {}", path.display()))?;
    Ok(rows_split::Transcoder::is_utf16(&start))
}

/// Reads `length` bytes and returns their digest.
fn pass(reader: &mut impl Read, length: u64) -> io::Result<Digest> {
    let mut buffer = vec![0; STEP];
    let (mut digest, mut filled, mut left) = (Digest::default(), 0, length);
    while left > 0 {
        let space = usize::try_from(left).map_or(STEP, |left| left.min(STEP));
        while filled < space {
            match reader.read(&mut buffer[filled..space]) {
                Ok(0) => {
                    let message = "it is shorter than what was sent of it";
                    return Err(io::Error::new(io::ErrorKind::UnexpectedEof, message));
                }
                Ok(read) => filled += read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        let read = filled as u64;
        digest = digest.then(Digest::of(&buffer[..filled]), read);
        (filled, left) = (0, left - read);
    }
    Ok(digest)
}

fn extension(path: &Path) -> &str {
    path.extension().and_then(|e| e.to_str()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(path: &str) -> Source {
        let compression = Compression::of(Path::new(path));
        Source { path: Some(path.into()), compression, length: Some(0), text_length: None }
    }

    #[test]
    fn only_unambiguous_file_names_set_the_format() {
        let cases = [
            ("a.jsonl", Some(Format::JsonLines)),
            ("a.ndjson.zst", Some(Format::JsonLines)),
            ("a.json.gz", Some(Format::Json)),
            ("dir.tsv/a.tsv.gz", Some(Format::Tsv)),
            ("dir.tsv/a.csv", None),
            ("a.csv", None),
            ("a.txt.gz", None),
            ("a.tsv.bz2", Some(Format::Tsv)),
            ("a.jsonl.xz", Some(Format::JsonLines)),
        ];
        for (path, format) in cases {
            assert_eq!(source(path).format(), format, "{path}");
        }
    }

    /// Returns only a few bytes for each read, as a slow pipe does.
    struct Slow<'a>(&'a [u8]);

    impl Read for Slow<'_> {
        fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
            let n = into.len().min(100_003);
            self.0.read(&mut into[..n])
        }
    }

    #[test]
    fn the_digest_covers_exactly_the_skipped_bytes_for_every_size_of_read() {
        let text: Vec<u8> = (0..700_000_u32).flat_map(u32::to_le_bytes).collect();
        for length in [0, 1, STEP - 1, STEP, STEP + 1, 1_000_003, text.len()] {
            let mut reader = Slow(&text);
            assert_eq!(pass(&mut reader, length as u64).unwrap(), Digest::of(&text[..length]), "{length}");
            assert!(reader.0 == &text[length..], "{length}");
        }
    }

    #[test]
    fn a_file_that_is_shorter_than_what_was_sent_is_an_error() {
        let error = pass(&mut Slow(b"abc"), 4).unwrap_err();
        assert!(error.to_string().contains("shorter"), "{error}");
    }
}
