//! The file of accepted rows: what the table will have, one JSON object per line.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use rows_check::Outcome;
use rows_infer::Rendered;
use rows_types::Schema;

/// It is created with the first chunk, so that a file that cannot be checked does not overwrite an earlier result.
pub struct RowsFile {
    path: PathBuf,
    file: Option<BufWriter<File>>,
    line: Vec<u8>,
}

impl RowsFile {
    /// Makes a rows file. Refuses the path of a file that is read.
    pub fn new(path: &Path, read: &[&Path]) -> Result<Self> {
        if path == Path::new("-") {
            bail!("--print-rows needs a file name: standard output has the rejected cells");
        }
        let resolved = path.canonicalize().ok();
        if resolved.is_some() && read.iter().any(|read| read.canonicalize().ok() == resolved) {
            bail!("--print-rows would overwrite {}, which is read; name another file", path.display());
        }
        Ok(Self { path: path.to_owned(), file: None, line: Vec::new() })
    }

    /// Creates the file, or empties an existing one.
    pub fn create(&mut self) -> Result<()> {
        let file = File::create(&self.path).with_context(|| self.failed())?;
        self.file = Some(BufWriter::new(file));
        Ok(())
    }

    /// Appends the good rows of a chunk.
    pub fn append(&mut self, schema: &Schema, outcome: &Outcome<'_>) -> Result<()> {
        let failed = self.failed();
        let Self { file: Some(file), line, .. } = self else { return Ok(()) };
        let block = outcome.block();
        let mut rows = Rendered::new(schema, &block).with_context(|| failed.clone())?;
        line.clear();
        while rows.append(line).with_context(|| failed.clone())? {
            file.write_all(line).with_context(|| failed.clone())?;
            line.clear();
        }
        Ok(())
    }

    /// Writes the buffered rest.
    pub fn finish(&mut self) -> Result<()> {
        self.file.as_mut().map_or(Ok(()), Write::flush).with_context(|| self.failed())
    }

    fn failed(&self) -> String {
        format!("failed to write {}", self.path.display())
    }
}
