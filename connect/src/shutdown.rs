//! The signals that stop a program.

use tokio::signal::unix::{SignalKind, signal};

/// Returns on the first SIGTERM or SIGINT. The first process of a container has no default action for them: a program
/// that does not handle them is killed only after the full grace period.
pub async fn signalled() -> std::io::Result<()> {
    let mut term = signal(SignalKind::terminate())?;
    let mut int = signal(SignalKind::interrupt())?;
    tokio::select! {
        _ = term.recv() => tracing::info!("SIGTERM: stopping"),
        _ = int.recv() => tracing::info!("SIGINT: stopping"),
    }
    Ok(())
}
