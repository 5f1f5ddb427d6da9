//! The file that is loaded or checked: plain or packed, UTF-8 or UTF-16, from the disk or from standard input.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use bytes::Bytes;
use crds::model::Format;
use futures::stream::{self, Stream, StreamExt};
use tokio::io::AsyncReadExt;
use tokio::sync::mpsc;
use tokio_util::io::ReaderStream;

use crate::utf8::Utf8;

/// Bytes read at once. With the few that are under way this bounds the memory of an upload of any size.
const BUFFER: usize = 256 * 1024;
/// The most memory of an xz decoder, as of the upload API: a dictionary of 64 MiB, and what else it needs.
const XZ_MEMORY: u64 = 66 << 20;

/// How the bytes are packed, by the file's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Packing {
    Plain,
    Gzip,
    Zstd,
    Bzip2,
    Xz,
}

impl Packing {
    /// The value of `Content-Encoding`.
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
    pub packing: Packing,
    /// Bytes on the disk.
    pub length: Option<u64>,
    /// Bytes of its text as UTF-8, where the disk tells them.
    pub text_length: Option<u64>,
}

impl Source {
    /// Looks whether the file is there and what its name says of it; `-` is standard input.
    pub fn find(path: &Path) -> Result<Self> {
        if path == Path::new("-") {
            return Ok(Self { path: None, packing: Packing::Plain, length: None, text_length: None });
        }
        let found = std::fs::metadata(path).with_context(|| format!("failed to read {}", path.display()))?;
        if found.is_dir() {
            bail!("failed to read {}: it is a folder; name the files in it", path.display());
        }
        let packing = Packing::of(path);
        let length = found.is_file().then_some(found.len());
        let same = packing == Packing::Plain && length.is_some() && !is_utf16(path)?;
        let text_length = length.filter(|_| same);
        Ok(Self { path: Some(path.to_owned()), packing, length, text_length })
    }

    /// For people.
    pub fn name(&self) -> String {
        self.path.as_ref().map_or_else(|| "standard input".to_owned(), |p| p.display().to_string())
    }

    /// The format that the file's name leaves no doubt of.
    pub fn format(&self) -> Option<Format> {
        let path = self.path.as_deref()?;
        let inner = if self.packing == Packing::Plain { path } else { Path::new(path.file_stem()?) };
        match extension(inner) {
            "jsonl" | "ndjson" => Some(Format::JsonLines),
            "json" => Some(Format::Json),
            "tsv" => Some(Format::Tsv),
            _ => None,
        }
    }

    /// Whether it can be read a second time. Only of a regular file the length is known.
    pub fn is_repeatable(&self) -> bool {
        self.length.is_some()
    }

    /// Its bytes as they are on the disk, at most as many as there were when it was found.
    pub async fn packed(&self) -> Result<impl Stream<Item = io::Result<Bytes>> + Send + use<>> {
        let Some(path) = &self.path else { return Ok(self.unpacked_stream(0)?.boxed()) };
        let file =
            tokio::fs::File::open(path).await.with_context(|| format!("failed to read {}", self.name()))?;
        let length = self.length.unwrap_or(u64::MAX);
        Ok(ReaderStream::with_capacity(file.take(length), BUFFER).boxed())
    }

    /// Its text as UTF-8, without the first `skip` bytes, read in a thread of its own.
    pub fn unpacked_stream(&self, skip: u64) -> Result<impl Stream<Item = io::Result<Bytes>> + Send + use<>> {
        let mut reader = self.unpacked(skip)?;
        let (sender, receiver) = mpsc::channel(4);
        tokio::task::spawn_blocking(move || {
            loop {
                let mut buffer = vec![0; BUFFER];
                let read = match reader.read(&mut buffer) {
                    Ok(0) => return,
                    Ok(n) => {
                        buffer.truncate(n);
                        Ok(Bytes::from(buffer))
                    }
                    Err(error) => Err(error),
                };
                // An error ends the stream; a receiver that is gone needs no more.
                let failed = read.is_err();
                if sender.blocking_send(read).is_err() || failed {
                    return;
                }
            }
        });
        Ok(stream::unfold(receiver, |mut receiver| async {
            receiver.recv().await.map(|item| (item, receiver))
        }))
    }

    /// Its text as UTF-8, without the first `skip` bytes.
    pub fn unpacked(&self, skip: u64) -> Result<Box<dyn Read + Send>> {
        let failed = || format!("failed to read {}", self.name());
        let Some(path) = &self.path else { return skipped(io::stdin(), skip).with_context(failed) };
        let mut file = File::open(path).with_context(failed)?;
        if self.text_length.is_some() && skip > 0 {
            file.seek(SeekFrom::Start(skip)).with_context(failed)?;
            return Ok(Box::new(file));
        }
        let reader = match self.packing {
            Packing::Plain => skipped(file, skip),
            Packing::Gzip => {
                skipped(Named("gzip", flate2::read::MultiGzDecoder::new(io::BufReader::new(file))), skip)
            }
            Packing::Zstd => {
                zstd::stream::read::Decoder::new(file).and_then(|r| skipped(Named("zstd", r), skip))
            }
            Packing::Bzip2 => skipped(Named("bzip2", bzip2::read::MultiBzDecoder::new(file)), skip),
            Packing::Xz => xz(file).and_then(|r| skipped(r, skip)),
        };
        reader.with_context(failed)
    }
}

fn xz(file: File) -> io::Result<impl Read> {
    let stream = liblzma::stream::Stream::new_stream_decoder(XZ_MEMORY, liblzma::stream::CONCATENATED)?;
    let decoder = liblzma::read::XzDecoder::new_stream(file, stream);
    Ok(Named("xz (with a dictionary of at most 64 MiB)", decoder))
}

/// A decoder whose errors say what it took the file for.
struct Named<R>(&'static str, R);

impl<R: Read> Read for Named<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        self.1.read(into).map_err(|error| match error.kind() {
            io::ErrorKind::Interrupted => error,
            kind => io::Error::new(
                kind,
                format!("it is not {}, or is cut off: {error}; pack it again, or unpack it", self.0),
            ),
        })
    }
}

fn is_utf16(path: &Path) -> Result<bool> {
    let mut start = Vec::new();
    let read = File::open(path).and_then(|file| file.take(2).read_to_end(&mut start));
    read.with_context(|| format!("failed to read {}", path.display()))?;
    Ok(rows::Transcoder::is_utf16(&start))
}

/// The text without its first `skip` bytes.
fn skipped(reader: impl Read + Send + 'static, skip: u64) -> io::Result<Box<dyn Read + Send>> {
    let mut reader = Utf8::new(reader);
    let passed = io::copy(&mut (&mut reader).take(skip), &mut io::sink())?;
    if passed < skip {
        return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "it is shorter than what was sent of it"));
    }
    Ok(Box::new(reader))
}

fn extension(path: &Path) -> &str {
    path.extension().and_then(|e| e.to_str()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(path: &str) -> Source {
        let packing = Packing::of(Path::new(path));
        Source { path: Some(path.into()), packing, length: Some(0), text_length: None }
    }

    #[test]
    fn only_names_that_leave_no_doubt_say_the_format() {
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

    #[test]
    fn skipping_beyond_the_end_is_an_error() {
        let mut rest = String::new();
        skipped(io::Cursor::new(b"abcdef"), 4).unwrap().read_to_string(&mut rest).unwrap();
        assert_eq!(rest, "ef");
        assert!(skipped(io::Cursor::new(b"abc"), 4).is_err());
    }
}
