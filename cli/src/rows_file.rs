//! The file of accepted rows: what the table will hold, one JSON object a line.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use rows::{Outcome, Rendered, Schema};

/// Written from the first chunk on, so that a file that cannot be checked leaves what was there before.
pub struct RowsFile {
    path: PathBuf,
    file: Option<BufWriter<File>>,
    line: Vec<u8>,
}

impl RowsFile {
    /// A file other than those that are read.
    pub fn new(path: &Path, read: &[&Path]) -> Result<Self> {
        if path == Path::new("-") {
            bail!("--print-rows needs a file name: standard output has the rejected cells");
        }
        let place = path.canonicalize().ok();
        if place.is_some() && read.iter().any(|read| read.canonicalize().ok() == place) {
            bail!("--print-rows would overwrite {}, which is read; name another file", path.display());
        }
        Ok(Self { path: path.to_owned(), file: None, line: Vec::new() })
    }

    /// Makes the file, or empties the one that is there.
    pub fn create(&mut self) -> Result<()> {
        let file = File::create(&self.path).with_context(|| self.failed())?;
        self.file = Some(BufWriter::new(file));
        Ok(())
    }

    /// Appends the good rows of a chunk.
    pub fn append(&mut self, schema: &Schema, outcome: &Outcome<'_>) -> Result<()> {
        let failed = self.failed();
        let Self { file: Some(file), line, .. } = self else { return Ok(()) };
        let mut rows = Rendered::new(schema, outcome.block()).with_context(|| failed.clone())?;
        line.clear();
        while rows.append(line).with_context(|| failed.clone())? {
            file.write_all(line).with_context(|| failed.clone())?;
            line.clear();
        }
        Ok(())
    }

    /// Writes out what is left.
    pub fn finish(&mut self) -> Result<()> {
        self.file.as_mut().map_or(Ok(()), Write::flush).with_context(|| self.failed())
    }

    fn failed(&self) -> String {
        format!("failed to write {}", self.path.display())
    }
}
