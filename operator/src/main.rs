//! `operator`: the controllers of Batch on Kafka.

use clap::Parser;
use connect::{LogArgs, shutdown};
use operator::Settings;

/// Creates tables, topics and workers for `IngestModels`, and moves `IngestJobs` through their states
#[derive(Parser)]
#[command(version)]
struct Cli {
    #[command(flatten)]
    settings: Settings,
    #[command(flatten)]
    log: LogArgs,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let cli = Cli::parse();
    cli.log.init();
    let client = kube::Client::try_default().await?;
    let stop = async {
        if let Err(error) = shutdown::signalled().await {
            tracing::error!(%error, "failed to listen for signals");
            std::future::pending::<()>().await;
        }
    };
    operator::run(cli.settings, cli.log, client, stop).await
}
