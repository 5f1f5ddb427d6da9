//! `ingest-api`: serves the upload API, or prints its OpenAPI document.

use std::io::Write;

use anyhow::Context;
use clap::Parser;
use connect::shutdown;
use ingest_api::settings::{Cli, Command};
use ingest_api::{openapi, server};
use tokio::net::TcpListener;
use tokio::sync::watch;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let cli = Cli::parse();
    if let Some(Command::Openapi) = cli.command {
        return writeln!(std::io::stdout(), "{:#}", openapi::document())
            .context("failed to print the document");
    }
    cli.log.init();
    let kube = kube::Client::try_default().await.context("failed to set up the Kubernetes client")?;
    let (stop, stopped) = watch::channel(false);
    let listen = cli.settings.listen;
    let app = server::app(cli.settings, kube, stopped)?;
    let listener =
        TcpListener::bind(listen).await.with_context(|| format!("failed to listen on {listen}"))?;
    tracing::info!(%listen, "serving");
    server::serve(app, listener, stop, shutdown::signalled()).await.context("the server ended")
}
