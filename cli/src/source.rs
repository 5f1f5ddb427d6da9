//! The file that is loaded or checked: plain or packed, from the disk or from standard input.

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

/// Bytes read at once. With the few that are under way this bounds the memory of an upload of any size.
const BUFFER: usize = 256 * 1024;

/// How the bytes are packed, by the file's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Packing {
    Plain,
    Gzip,
    Zstd,
}

impl Packing {
    /// The value of `Content-Encoding`.
    pub fn content_encoding(self) -> Option<&'static str> {
        match self {
            Self::Plain => None,
            Self::Gzip => Some("gzip"),
            Self::Zstd => Some("zstd"),
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
}

impl Source {
    /// Looks whether the file is there and what its name says of it; `-` is standard input.
    pub fn find(path: &Path) -> Result<Self> {
        if path == Path::new("-") {
            return Ok(Self { path: None, packing: Packing::Plain, length: None });
        }
        let found = std::fs::metadata(path).with_context(|| format!("failed to read {}", path.display()))?;
        if found.is_dir() {
            bail!("failed to read {}: it is a folder; name the files in it", path.display());
        }
        let packing = match extension(path) {
            "gz" => Packing::Gzip,
            "zst" => Packing::Zstd,
            _ => Packing::Plain,
        };
        Ok(Self { path: Some(path.to_owned()), packing, length: found.is_file().then_some(found.len()) })
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

    /// Its unpacked bytes, without the first `skip`, read in a thread of its own.
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

    /// Its unpacked bytes, without the first `skip`.
    pub fn unpacked(&self, skip: u64) -> Result<Box<dyn Read + Send>> {
        let failed = || format!("failed to read {}", self.name());
        let Some(path) = &self.path else { return skipped(io::stdin(), skip).with_context(failed) };
        let mut file = File::open(path).with_context(failed)?;
        let reader = match self.packing {
            Packing::Plain => {
                if skip > 0 {
                    file.seek(SeekFrom::Start(skip)).with_context(failed)?;
                }
                Ok(Box::new(file) as Box<dyn Read + Send>)
            }
            Packing::Gzip => skipped(flate2::read::MultiGzDecoder::new(io::BufReader::new(file)), skip),
            Packing::Zstd => zstd::stream::read::Decoder::new(file).and_then(|r| skipped(r, skip)),
        };
        reader.with_context(failed)
    }
}

fn skipped(mut reader: impl Read + Send + 'static, skip: u64) -> io::Result<Box<dyn Read + Send>> {
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
        let packing = match extension(Path::new(path)) {
            "gz" => Packing::Gzip,
            "zst" => Packing::Zstd,
            _ => Packing::Plain,
        };
        Source { path: Some(path.into()), packing, length: Some(0) }
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
