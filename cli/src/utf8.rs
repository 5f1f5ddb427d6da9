//! Reads the decompressed bytes of a file as UTF-8.

use std::io::{self, Read};

use rows_split::Transcoder;

/// How many bytes of UTF-16 are read at once.
const STEP: usize = 64 * 1024;

/// Reads UTF-8 from text that may be UTF-16. The byte-order mark shows which it is.
pub struct Utf8<R> {
    inner: R,
    /// `None` after the end was seen.
    text: Option<Transcoder>,
    /// UTF-8 text that was read but not returned yet.
    ready: Vec<u8>,
    given: usize,
    step: Vec<u8>,
}

impl<R: Read> Utf8<R> {
    pub fn new(inner: R) -> Self {
        Self { inner, text: Some(Transcoder::new()), ready: Vec::new(), given: 0, step: vec![0; STEP] }
    }

    /// Reads until there is text to return, or until the end.
    fn fill(&mut self) -> io::Result<()> {
        self.ready.clear();
        self.given = 0;
        while let Some(text) = &mut self.text
            && self.ready.is_empty()
        {
            match self.inner.read(&mut self.step) {
                Ok(0) => {
                    let last = text.finish().map_err(|e| io::Error::new(io::ErrorKind::InvalidData, e))?;
                    self.ready.extend_from_slice(last);
                    self.text = None;
                }
                Ok(n) => self.ready.extend_from_slice(text.push(&self.step[..n])),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

impl<R: Read> Read for Utf8<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if self.given == self.ready.len() {
            // In a UTF-8 file only the first step is copied.
            if self.text.as_ref().is_some_and(Transcoder::passes_on) {
                return self.inner.read(into);
            }
            self.fill()?;
        }
        let amount = into.len().min(self.ready.len() - self.given);
        into[..amount].copy_from_slice(&self.ready[self.given..][..amount]);
        self.given += amount;
        Ok(amount)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns at most three bytes for each read, as a slow pipe does.
    struct Slow<'a>(&'a [u8]);

    impl Read for Slow<'_> {
        fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
            let n = into.len().min(3);
            self.0.read(&mut into[..n])
        }
    }

    fn read(bytes: &[u8]) -> io::Result<Vec<u8>> {
        let mut out = Vec::new();
        Utf8::new(Slow(bytes)).read_to_end(&mut out).map(|_| out)
    }

    #[test]
    fn utf_8_and_utf_16_are_both_read_as_utf_8() {
        let text = "\u{feff}a,b\n1,😀\n";
        let units: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
        assert_eq!(read(&units).unwrap(), text.as_bytes());
        assert_eq!(read(text.as_bytes()).unwrap(), text.as_bytes());
        assert_eq!(read(b"\xff").unwrap(), b"\xff");
        assert_eq!(read(b"").unwrap(), b"");
        assert!(read(&units[..units.len() - 1]).unwrap_err().to_string().contains("cut off"));
    }
}
