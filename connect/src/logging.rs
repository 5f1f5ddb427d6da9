//! Logs: one line for each event, as text for people or JSON for programs, on standard error.

use std::io::IsTerminal;

use clap::{Args, ValueEnum};
use tracing_subscriber::EnvFilter;

/// The settings of the log. The filter is `RUST_LOG`; its default is `info`.
#[derive(Args, Clone, Debug)]
pub struct LogArgs {
    /// The format of log lines
    #[arg(long, env = "LOG_FORMAT", value_enum, default_value_t = LogFormat::Text)]
    pub log_format: LogFormat,
}

/// The formats of a log line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// Text for people.
    Text,
    /// JSON for programs.
    Json,
}

impl LogArgs {
    /// Starts the log. Call this once, at the start of `main`.
    pub fn init(&self) {
        // librdkafka repeats in each log line what its error callback reports once.
        let default =
            "info,librdkafka=off,rdkafka=error,kube_client=warn,kube_runtime=warn,tower=warn,hyper=warn";
        let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(default));
        let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
        match self.log_format {
            LogFormat::Text => builder.with_target(false).with_ansi(std::io::stderr().is_terminal()).init(),
            LogFormat::Json => builder.json().flatten_event(true).init(),
        }
    }
}
