//! Every command and flag, as clap reads them. What is said here is also docs/cli.md.

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

/// What every command takes.
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
    /// How to print the answer; each command has a default of its own
    #[arg(short, long, global = true, help_heading = "Global options", value_enum, value_name = "FORMAT")]
    pub output: Option<Output>,
}

/// How an answer is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Output {
    /// For people
    Table,
    /// The object as the API has it
    Json,
    /// The same as YAML
    Yaml,
    /// The table as CSV
    Csv,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Make, list, show and delete models
    Model {
        #[command(subcommand)]
        command: ModelCommand,
    },
    /// Load files and see what became of them
    Job {
        #[command(subcommand)]
        command: JobCommand,
    },
    /// List the batches that ClickHouse refused, and send them again or give them up
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
    /// Make a model and print its id
    #[command(after_help = "\
FILE is a plain map of column names to ClickHouse types, in the table's order:
  {\"event_id\": \"String\", \"timestamp\": \"UInt32\", \"amount\": \"Float64\"}
or the spec of an IngestModel, or a whole IngestModel, as JSON or YAML. `-` reads standard input.

Examples:
  batch model create purchases model.json
  batch -n shop model create purchases model.yaml")]
    Create {
        /// The model's name, from now on its name in every command
        name: String,
        /// What the rows look like
        file: PathBuf,
    },
    /// Propose a model for files, as YAML to look over
    #[command(after_help = "\
Nothing is sent. The first rows of the files are read, packed or not; format, delimiter, header and types are told from them. The types are the tightest that lose nothing, whole numbers one size larger than the sample needs; comments say what is not certain. `batch validate` with the model accepts the rows that were read.

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
    /// Delete a model; its table and topic stay unless its deletionPolicy is Delete
    Delete {
        /// Name or id
        model: String,
    },
}

#[derive(Debug, Args)]
pub struct InferArgs {
    /// The files, all of one shape; `-` is standard input
    #[arg(required = true, value_name = "FILE")]
    pub files: Vec<PathBuf>,
    /// Name of the model [default: the first file's name]
    #[arg(long)]
    pub name: Option<String>,
    /// Rows to look at, a few more to the end of a piece; 64 MiB at most
    #[arg(long, value_name = "N", default_value_t = 100_000)]
    pub sample_rows: u64,
    #[command(flatten)]
    pub input: InputArgs,
}

#[derive(Debug, Subcommand)]
pub enum JobCommand {
    /// Load files: one job a file
    #[command(after_help = "\
A broken upload goes on where it broke, and waits while the server takes no more uploads. Names that end in .gz, .zst, .bz2 or .xz are sent packed; .tsv, .jsonl and .json name their format. `-` reads standard input, once.

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
        /// Follow it until it ends or is BLOCKED; exit code 1 unless that is SUCCESS
        #[arg(short, long)]
        watch: bool,
    },
    /// Compare a job that has ended with what ClickHouse holds of it now
    #[command(after_help = "\
The receipt is what was read, loaded and rejected when the job ended. Beside it stands what the ledger and the table say now. A table with a TTL, or with an engine that replaces rows, may hold fewer rows later.
Exit codes: 0 both are equal, 1 they differ, each difference on its own line.

Examples:
  batch job verify 1f2e3d4c
  batch job verify 1f2e3d4c -o json")]
    Verify {
        /// The job
        job: String,
    },
    /// Print every bad cell of a job as CSV, or with `-o json` one JSON object a line
    Rejected {
        /// The job
        job: String,
    },
    /// Stop a job; rows loaded so far stay
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
        /// Number of the batch's first chunk, or of another of its chunks
        chunk: u32,
    },
    /// Send batches again, after the cause is removed
    #[command(after_help = "\
Without --job, all batches in the list are sent again. The rows are loaded once, also if this is done twice.

Examples:
  batch dlq requeue purchases
  batch dlq requeue purchases --job 1f2e3d4c --chunk 12")]
    Requeue {
        #[command(flatten)]
        choice: DlqChoice,
        /// Taken for the sake of scripts: this command does not ask
        #[arg(short, long, hide = true)]
        yes: bool,
    },
    /// Give batches up: their rows are never loaded, and their jobs end FAILED
    #[command(after_help = "\
Without --job, all batches in the list are given up. This asks first; where it cannot ask, it needs --yes.

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

/// Which dead letters.
#[derive(Debug, Args)]
pub struct DlqChoice {
    /// Name or id of the model
    pub model: String,
    /// Only batches of this job: its name or uid
    #[arg(long)]
    pub job: Option<String>,
    /// Only the batch that begins with this chunk
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
    /// Follow each job until it ends or is BLOCKED; exit code 1 unless that is SUCCESS
    #[arg(short, long)]
    pub wait: bool,
    /// Idempotency key: a second job with it is refused
    #[arg(long)]
    pub label: Option<String>,
    /// Name of the job [default: 8 hex digits, random or of the label]
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
    /// A file as `batch model create` takes it or, where there is none of that name, name or id of a model of the API
    pub model: String,
    /// The file; `-` is standard input
    pub file: PathBuf,
    /// Write the rows that are not bad to this file, one JSON object a line, exactly as the table will hold them
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
    fn the_command_line_is_sound() {
        Cli::command().debug_assert();
    }
}
