//! The process of the worker: reads the settings, starts the log, and runs.

use clap::Parser;

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> anyhow::Result<()> {
    let settings = worker::Settings::parse();
    settings.log.init();
    worker::run(settings).await
}
