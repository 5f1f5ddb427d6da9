//! `batch validate`: runs the row engine of the workers on a file of any size, with the memory of a few chunks.

use std::io::{BufWriter, Read, Write};
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result, anyhow};
use crds::{IngestModel, RevisionData};
use rows_check::{Checker, Columns, Plan, Reject};
use rows_split::{Chunk, CutError, Cutter, HeaderError, Limits};
use rows_types::{Input, LOCAL_CHUNK_BYTES};
use serde::Serialize;

use super::Outcome;
use crate::args::{Global, ValidateArgs};
use crate::client::Client;
use crate::model_file::ModelFile;
use crate::output::csv;
use crate::rows_file::RowsFile;
use crate::source::Source;

/// The size in bytes of one write.
const WRITE_BYTES: usize = 256 * 1024;

pub async fn run(args: &ValidateArgs, global: &Global, out: &mut impl Write) -> Result<Outcome> {
    let source = Source::find(&args.file)?;
    let revision = model(&args.model, global).await?;
    let columns = revision
        .schema()
        .and_then(|schema| Ok(Columns::compile(schema)?))
        .with_context(|| format!("the model {} cannot be served", args.model))?;
    let flags = args.input.to_spec(source.format());
    let input = revision.input(flags.as_ref()).context("the file format cannot be read")?;

    let read = [args.file.as_path(), Path::new(&args.model)];
    let rows = args.print_rows.as_deref().map(|path| RowsFile::new(path, &read)).transpose()?;

    let mut out = BufWriter::with_capacity(WRITE_BYTES, out);
    let file_check = FileCheck { columns, input, checker: None, counts: Counts::default(), rows };
    let counts = check(source.decompressed()?, file_check, &mut out)
        .with_context(|| format!("failed to check {}", source.name()))?;
    out.flush()?;
    eprintln!("{}", serde_json::to_string(&counts)?);
    Ok(if counts.errors == 0 { Outcome::Done } else { Outcome::NotClean })
}

/// Returns the model from a file or, if there is no such file, from the API.
async fn model(model: &str, global: &Global) -> Result<RevisionData> {
    let path = Path::new(model);
    if path == Path::new("-") || path.exists() {
        return Ok(RevisionData::from(&ModelFile::read(path)?.into_spec()?));
    }
    let client = Client::new(&global.api_url, &global.namespace)?;
    let found: IngestModel = client
        .get(&["models", model])
        .await
        .with_context(|| format!("there is no file '{model}', and the API has no such model"))?;
    Ok(RevisionData::from(&found.spec))
}

/// The rows of the file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
struct Counts {
    total: u64,
    ok: u64,
    errors: u64,
}

fn check(mut file: impl Read, mut file_check: FileCheck, out: &mut impl Write) -> Result<Counts> {
    csv::record(["ROW", "EVENT_ID", "COLUMN", "TYPE", "ERROR", "OBSERVED", "MESSAGE"], out)?;
    // the result of a row does not depend on the size of its chunk
    let mut cutter = Cutter::new(&file_check.input, Limits::plain(LOCAL_CHUNK_BYTES));
    loop {
        let read = file.read(cutter.spare_memory()).context("the file cannot be read")?;
        let taken = if read == 0 { cutter.finish() } else { cutter.filled(read) };
        taken.map_err(|e| cut_error(&e))?;
        while let Some(chunk) = cutter.next_chunk() {
            file_check.chunk(cutter.header(), &chunk, out)?;
            cutter.recycle(chunk.bytes);
        }
        if read == 0 {
            break;
        }
    }
    // A header without rows must also fit the model.
    file_check.begin(cutter.header())?;
    file_check.rows.as_mut().map_or(Ok(()), RowsFile::finish)?;
    Ok(file_check.counts)
}

struct FileCheck {
    columns: Columns,
    input: Input,
    /// It exists as soon as the header is known.
    checker: Option<Checker>,
    counts: Counts,
    /// The file for the good rows.
    rows: Option<RowsFile>,
}

impl FileCheck {
    /// Binds the header to the model, once.
    fn begin(&mut self, header: Option<&[u8]>) -> Result<()> {
        if self.checker.is_none() {
            let names = header
                .map(|h| rows_split::parse_header(&self.input, h))
                .transpose()
                .map_err(|e| header_error(&e))?;
            let plan = Plan::bind(self.columns.clone(), self.input.clone(), names.as_deref());
            self.checker = Some(Checker::new(Arc::new(plan.map_err(|e| header_error(&e))?)));
            self.rows.as_mut().map_or(Ok(()), RowsFile::create)?;
        }
        Ok(())
    }

    fn chunk(&mut self, header: Option<&[u8]>, chunk: &Chunk, out: &mut impl Write) -> Result<()> {
        self.begin(header)?;
        let checker = self.checker.as_mut().context("no checker")?;
        let outcome = checker.check(&chunk.bytes, chunk.first_row, "");
        if let Some(rows) = &mut self.rows {
            rows.append(self.columns.schema(), &outcome)?;
        }
        // Within a row, sort by column: the table of rejected rows has this order.
        let mut rejects: Vec<Reject> = Vec::new();
        for reject in outcome.rejects() {
            if rejects.first().is_some_and(|first| first.row != reject.row) {
                print_row(&mut rejects, out)?;
            }
            rejects.push(reject);
        }
        print_row(&mut rejects, out)?;
        let (rows, ok, bad) = (outcome.rows(), outcome.ok(), outcome.bad_rows());
        self.counts.total += u64::from(rows);
        self.counts.ok += u64::from(ok);
        self.counts.errors += u64::from(bad);
        Ok(())
    }
}

/// Prints the bad cells of one row.
fn print_row(rejects: &mut Vec<Reject>, out: &mut impl Write) -> std::io::Result<()> {
    rejects.sort_by_key(|reject| reject.column);
    rejects.drain(..).try_for_each(|reject| print(&reject, out))
}

/// Prints one bad cell. Its message is always in quotes, as the quick start shows.
fn print(reject: &Reject, out: &mut impl Write) -> std::io::Result<()> {
    write!(out, "{}", reject.row)?;
    for cell in [&*reject.event_id, reject.column, reject.ty, reject.code.as_str(), &*reject.observed] {
        out.write_all(b",")?;
        csv::cell(cell, out)?;
    }
    out.write_all(b",")?;
    csv::quoted(&reject.message, out)?;
    out.write_all(b"\n")
}

fn cut_error(error: &CutError) -> anyhow::Error {
    anyhow!("{}: {error}", error.reason())
}

fn header_error(error: &HeaderError) -> anyhow::Error {
    anyhow!("{}: {error}", error.reason())
}
