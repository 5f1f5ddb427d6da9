//! `batch model infer`: proposes a model for existing files, which a person reads and changes.

use std::io::{Read, Write};
use std::path::Path;

use anyhow::{Context, Result, anyhow, bail};
use crds::RevisionData;
use crds::model::Format;
use rows_infer::{Known, Proposal};
use rows_split::{Chunk, Cutter, Limits};
use rows_types::Input;

use super::Outcome;
use crate::args::{Global, InferArgs, InputArgs, Output};
use crate::output::model;
use crate::source::Source;

/// The size of a chunk in bytes. A sample ends at the end of a chunk.
const CHUNK_BYTES: usize = 64 * 1024;
/// The most bytes of all samples together. They are kept until the model is printed.
const MAX_BYTES: usize = 64 * 1024 * 1024;
/// The bytes from which format, delimiter and header are detected.
const START: u64 = 256 * 1024;

pub fn run(args: &InferArgs, global: &Global, out: &mut impl Write) -> Result<Outcome> {
    let mut sample = Sample { input: None, header: None, chunks: Vec::new(), rows: 0, bytes: 0, cut: false };
    for (at, file) in args.files.iter().enumerate() {
        let source = Source::find(file)?;
        // Each remaining file may take an equal part of the remaining rows and bytes.
        let left = args.files.len() - at;
        let rows = sample.rows + (args.sample_rows.saturating_sub(sample.rows)).div_ceil(left as u64);
        let bytes = sample.bytes + (MAX_BYTES.saturating_sub(sample.bytes)) / left;
        let known = known(&args.input, source.format())?;
        sample
            .take(source.decompressed()?, &known, rows, bytes)
            .with_context(|| format!("failed to read {}", source.name()))?;
    }
    let Some(input) = sample.input else { bail!("name a file") };
    let proposal = rows_infer::infer(input, sample.header.as_deref(), &sample.chunks)?;
    let first = args.files.first().map_or(Path::new("-"), |f| f.as_path());
    let name = args.name.clone().unwrap_or_else(|| object_name(first));
    let about = about(&proposal, sample.cut);
    match global.output {
        None | Some(Output::Yaml) => model::yaml(&name, &proposal, &about, out)?,
        Some(Output::Json) => {
            eprint!("{}", about.iter().fold(String::new(), |text, line| text + line + "\n"));
            writeln!(out, "{}", serde_json::to_string_pretty(&model::object(&name, &proposal))?)?;
        }
        Some(Output::Table | Output::Csv) => {
            bail!("a model cannot be printed as a table; use -o yaml or -o json")
        }
    }
    Ok(Outcome::Done)
}

/// Returns what was read, and which of it no model could load.
fn about(proposal: &Proposal, cut: bool) -> Vec<String> {
    let of = if cut { "the first of them" } else { "all" };
    let mut about = vec![format!("Proposed from {} rows ({of}). Look it over before use.", proposal.rows)];
    if proposal.bad_rows > 0 {
        about.push(format!(
            "{} of these rows would be rejected by any model; `batch validate` says why.",
            proposal.bad_rows
        ));
    }
    about.extend(proposal.notes.iter().cloned());
    about
}

/// Returns what the flags set, or else the format from the file's name.
fn known(args: &InputArgs, guessed: Option<Format>) -> Result<Known> {
    if args.ignore_unknown_columns {
        bail!("leave --ignore-unknown-columns out: a model is proposed for all columns");
    }
    let spec = args.to_spec(guessed).unwrap_or_default();
    let nothing = RevisionData { columns: Vec::new(), row_key: None, input: None };
    let input = nothing.input(Some(&spec)).context("the file format cannot be read")?;
    let (format, delimiter, header) =
        (spec.format.is_some(), spec.delimiter.is_some(), spec.header.is_some());
    Ok(Known { input, format, delimiter, header })
}

/// What was read from the files.
struct Sample {
    /// The format of the first file.
    input: Option<Input>,
    header: Option<Vec<String>>,
    chunks: Vec<Chunk>,
    rows: u64,
    bytes: usize,
    /// Whether a file has more rows than were read.
    cut: bool,
}

impl Sample {
    /// Reads a file until the sample has this many rows or bytes.
    fn take(&mut self, mut file: impl Read, known: &Known, rows: u64, bytes: usize) -> Result<()> {
        let mut start = Vec::new();
        file.by_ref().take(START).read_to_end(&mut start)?;
        let input = rows_infer::detect(&start, known);
        if self.input.as_ref().is_some_and(|first| *first != input) {
            bail!(
                "it is not written as the first file is (format, delimiter, header); infer a model from it alone"
            );
        }
        let first = self.input.is_none();
        let cut = |e: &rows_split::CutError| anyhow!("{}: {e}", e.reason());
        let mut cutter = Cutter::new(&input, Limits::plain(CHUNK_BYTES));
        let mut buffer = start;
        loop {
            let last = buffer.is_empty();
            let taken = if last { cutter.finish() } else { cutter.push(&buffer) };
            taken.map_err(|e| cut(&e))?;
            while let Some(chunk) = cutter.next_chunk() {
                let end = chunk.last;
                self.add(chunk);
                if !end && self.cut_short(rows, bytes) {
                    self.cut = true;
                    break;
                }
            }
            if last || self.cut_short(rows, bytes) {
                break;
            }
            buffer.resize(CHUNK_BYTES, 0);
            let read = file.read(&mut buffer).context("the file cannot be read")?;
            buffer.truncate(read);
        }
        let names = cutter.header().map(|raw| rows_split::parse_header(&input, raw)).transpose();
        let names = names.map_err(|e| anyhow!("{}: {e}", e.reason()))?;
        if !first && names != self.header {
            bail!("its header differs from that of the first file; infer a model from it alone");
        }
        (self.header, self.input) = (names, Some(input));
        Ok(())
    }

    fn cut_short(&self, rows: u64, bytes: usize) -> bool {
        self.rows >= rows || self.bytes >= bytes
    }

    fn add(&mut self, chunk: Chunk) {
        self.rows += u64::from(chunk.rows);
        self.bytes += chunk.bytes.len();
        self.chunks.push(chunk);
    }
}

/// Makes a name for the model from the name of the file.
fn object_name(file: &Path) -> String {
    let name = file.file_name().and_then(|n| n.to_str()).unwrap_or_default();
    let stem = name.split('.').find(|part| !part.is_empty()).unwrap_or_default().to_ascii_lowercase();
    let words: Vec<&str> =
        stem.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty()).collect();
    let joined: String = words.join("-").chars().take(52).collect();
    let name = joined.trim_end_matches('-');
    if name.is_empty() { "model".to_owned() } else { name.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_model_is_named_after_its_file() {
        for (file, name) in [
            ("dir/Orders_2024 (1).csv.gz", "orders-2024-1"),
            ("-", "model"),
            (".hidden.csv", "hidden"),
            ("漢字.csv", "model"),
        ] {
            assert_eq!(object_name(Path::new(file)), name, "{file}");
        }
    }
}
