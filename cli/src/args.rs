//! All commands and flags, as clap reads them. docs/cli.md is made from this text.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;

mod input;

pub use input::InputArgs;

/// Load files into ClickHouse through Kafka: typed, validated, exactly once, every bad cell explained.
#[derive(Debug, Parser)]
#[command(
    name = "batch",
    version,
    propagate_version = true,
    disable_help_subcommand = true,
    after_help = "\
Examples:
  batch model infer data.csv > model.yaml
  batch model create purchases model.json
  batch job create purchases data.csv --wait
  batch job rejected 1f2e3d4c
  batch validate model.json data.csv

Exit codes: 0 done, 1 the job did not succeed or rows were rejected, 2 could not be run."
)]
pub struct Cli {
    #[command(flatten)]
    pub global: Global,
    #[command(subcommand)]
    pub command: Command,
}

/// The options of every command.
#[derive(Debug, Args)]
pub struct Global {
    /// Address of the upload API
    #[arg(
        long,
        global = true,
        help_heading = "Global options",
        env = "BATCH_API_URL",
        hide_env_values = true,
        default_value = "http://localhost:8000",
        value_name = "URL"
    )]
    pub api_url: String,
    /// Namespace of models and jobs
    #[arg(
        short,
        long,
        global = true,
        help_heading = "Global options",
        env = "BATCH_NAMESPACE",
        hide_env_values = true,
        default_value = "default",
        value_name = "NAME"
    )]
    pub namespace: String,
    /// How to print the answer; each command has its own default
    #[arg(short, long, global = true, help_heading = "Global options", value_enum, value_name = "FORMAT")]
    pub output: Option<Output>,
}

/// How an answer is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Output {
    /// For people
    Table,
    /// The object as the API returns it
    Json,
    /// The same as YAML
    Yaml,
    /// The table as CSV
    Csv,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Create, list, show and delete models
    Model {
        #[command(subcommand)]
        command: ModelCommand,
    },
    /// Load files and show the state of the jobs
    Job {
        #[command(subcommand)]
        command: JobCommand,
    },
    /// List the batches that ClickHouse refused, and requeue or drop them
    Dlq {
        #[command(subcommand)]
        command: DlqCommand,
    },
    /// Check a file without loading it
    Validate(ValidateArgs),
    /// Print a completion script for a shell
    #[command(after_help = "Examples:\n  batch completions bash > /etc/bash_completion.d/batch")]
    Completions {
        /// The shell
        #[arg(value_enum)]
        shell: Shell,
    },
    /// Print this reference as Markdown
    #[command(hide = true)]
    Reference,
}

#[derive(Debug, Subcommand)]
pub enum ModelCommand {
    /// Create a model and print its id
    #[command(after_help = "\
FILE is a plain map of column names to ClickHouse types, in the table's order:
  {\"event_id\": \"String\", \"timestamp\": \"UInt32\", \"amount\": \"Float64\"}
or the spec of an IngestModel, or a whole IngestModel, as JSON or YAML. `-` reads standard input.

Examples:
  batch model create purchases model.json
  batch -n shop model create purchases model.yaml")]
    Create {
        /// The model's name, used in all other commands
        name: String,
        /// The file that describes the columns
        file: PathBuf,
    },
    /// Propose a model for files, as YAML to review
    #[command(after_help = "\
Nothing is sent. The first rows of the files are read, compressed or not. Format, delimiter, header and types are inferred from them. The types are the smallest that lose nothing; integers get one size more than the sample needs. Comments name what is not certain. `batch validate` with the model accepts the rows that were read.

Examples:
  batch model infer orders.csv > orders.yaml
  batch model infer --name orders orders-*.csv.gz | kubectl apply -f -
  zcat events.jsonl.gz | batch model infer --name events -")]
    Infer(InferArgs),
    /// List the models of the namespace
    List,
    /// Show one model
    Show {
        /// Name or id
        model: String,
    },
    /// Delete a model; its table and topic are kept unless its deletionPolicy is Delete
    Delete {
        /// Name or id
        model: String,
    },
}

#[derive(Debug, Args)]
pub struct InferArgs {
    /// The files, all with the same columns and format; `-` is standard input
    #[arg(required = true, value_name = "FILE")]
    pub files: Vec<PathBuf>,
    /// Name of the model [default: the name of the first file]
    #[arg(long)]
    pub name: Option<String>,
    /// Rows to read, and a few more to the end of a chunk; 64 MiB at most
    #[arg(long, value_name = "N", default_value_t = 100_000)]
    pub sample_rows: u64,
    #[command(flatten)]
    pub input: InputArgs,
}

#[derive(Debug, Subcommand)]
pub enum JobCommand {
    /// Load files: one job for each file
    #[command(after_help = "\
An interrupted upload continues where it stopped, and waits while the server accepts no more uploads. Files whose names end in .gz, .zst, .bz2 or .xz are sent compressed; .tsv, .jsonl and .json name their format. `-` reads standard input, once.

Examples:
  batch job create purchases data.csv --wait
  batch job create purchases 2024-05-*.csv.gz
  batch job create purchases data.csv --label 2024-05-18/purchases
  zcat data.csv.gz | batch job create purchases - --delimiter ';'")]
    Create(Box<CreateArgs>),
    /// List the jobs of the namespace, oldest first
    List {
        /// Only jobs of this model
        #[arg(long, value_name = "NAME")]
        model: Option<String>,
    },
    /// Show how far a job is and what is wrong with it
    #[command(
        after_help = "Examples:\n  batch job status 1f2e3d4c --watch\n  batch job status 1f2e3d4c -o json"
    )]
    Status {
        /// The job
        job: String,
        /// Follow the job until it ends or is BLOCKED; exit code 1 unless it ends with SUCCESS
        #[arg(short, long)]
        watch: bool,
    },
    /// Compare a job that has ended with what ClickHouse has of it now
    #[command(after_help = "\
The receipt is what was read, loaded and rejected when the job ended. It is compared with what the ledger and the table contain now. A table with a TTL, or with an engine that replaces rows, may hold fewer rows later.
Exit codes: 0 both are equal, 1 they differ, each difference on its own line.

Examples:
  batch job verify 1f2e3d4c
  batch job verify 1f2e3d4c -o json")]
    Verify {
        /// The job
        job: String,
    },
    /// Print every bad cell of a job as CSV, or with `-o json` as one JSON object per line
    Rejected {
        /// The job
        job: String,
    },
    /// Stop a job; rows that are already loaded are kept
    Cancel {
        /// The job
        job: String,
    },
}

/// The dead letters of a model: batches of chunks that ClickHouse refused, each with the reason.
#[derive(Debug, Subcommand)]
pub enum DlqCommand {
    /// List the batches that ClickHouse refused, and why
    List {
        /// Name or id of the model
        model: String,
    },
    /// Show one batch of the list
    Show {
        /// Name or id of the model
        model: String,
        /// The job
        job: String,
        /// Number of the batch's first chunk, or of any other of its chunks
        chunk: u32,
    },
    /// Send batches again, after the cause is fixed
    #[command(after_help = "\
Without --job, all batches in the list are sent again. The rows are loaded once, also if this is done twice.

Examples:
  batch dlq requeue purchases
  batch dlq requeue purchases --job 1f2e3d4c --chunk 12")]
    Requeue {
        #[command(flatten)]
        choice: DlqChoice,
        /// Accepted for scripts: this command does not ask
        #[arg(short, long, hide = true)]
        yes: bool,
    },
    /// Drop batches: their rows are never loaded, and their jobs end FAILED
    #[command(after_help = "\
Without --job, all batches in the list are dropped. The command asks first; without a terminal it needs --yes.

Examples:
  batch dlq drop purchases --job 1f2e3d4c --chunk 12
  batch dlq drop purchases --yes")]
    Drop {
        #[command(flatten)]
        choice: DlqChoice,
        /// Do not ask
        #[arg(short, long)]
        yes: bool,
    },
}

/// Which dead letters to select.
#[derive(Debug, Args)]
pub struct DlqChoice {
    /// Name or id of the model
    pub model: String,
    /// Only batches of this job: its name or uid
    #[arg(long)]
    pub job: Option<String>,
    /// Only the batch that starts with this chunk
    #[arg(long, value_name = "NUMBER", requires = "job")]
    pub chunk: Option<u32>,
}

#[derive(Debug, Args)]
pub struct CreateArgs {
    /// Name or id of the model
    pub model: String,
    /// The files; `-` is standard input
    #[arg(required = true, value_name = "FILE")]
    pub files: Vec<PathBuf>,
    /// Follow each job until it ends or is BLOCKED; exit code 1 unless it ends with SUCCESS
    #[arg(short, long)]
    pub wait: bool,
    /// Idempotency key: a second job with the same label is refused
    #[arg(long)]
    pub label: Option<String>,
    /// Name of the job [default: 8 hex digits, random or made from the label]
    #[arg(long)]
    pub name: Option<String>,
    #[command(flatten)]
    pub input: InputArgs,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Nothing is loaded and no job is made: this runs the row engine of the workers here. Bad cells go to standard output as CSV, as `batch job rejected` prints them; the last line on standard error is {\"total\":…,\"ok\":…,\"errors\":…}.
Exit codes: 0 no row is bad, 1 some are, 2 the file could not be read with the model.

Examples:
  batch validate model.yaml data.csv
  batch validate purchases data.csv.gz > bad.csv      # the model comes from the API
  batch validate model.yaml data.csv --print-rows good.jsonl")]
pub struct ValidateArgs {
    /// A file as for `batch model create`; if there is no such file, name or id of a model of the API
    pub model: String,
    /// The file; `-` is standard input
    pub file: PathBuf,
    /// Write the good rows to this file, one JSON object per line, exactly as the table will have them
    #[arg(long, value_name = "FILE")]
    pub print_rows: Option<PathBuf>,
    #[command(flatten)]
    pub input: InputArgs,
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_help_of_an_upload_names_the_extensions_that_set_the_format() {
        let mut command = Cli::command();
        let job =
            command.find_subcommand_mut("job").and_then(|job| job.find_subcommand_mut("create")).unwrap();
        let help = job.render_long_help().to_string();
        for extension in rows_types::FORMATS.iter().filter_map(|info| info.extensions.first()) {
            assert!(help.contains(&format!(".{extension}")), "{extension}");
        }
    }

    #[test]
    fn the_command_line_is_sound() {
        Cli::command().debug_assert();
    }
}
