//! Being told to stop.

use tokio::signal::unix::{SignalKind, signal};

/// Returns on the first SIGTERM or SIGINT. A container's first process has no default action for them: whoever forgets
/// this is killed only after the whole grace period.
pub async fn signalled() -> std::io::Result<()> {
    let mut term = signal(SignalKind::terminate())?;
    let mut int = signal(SignalKind::interrupt())?;
    tokio::select! {
        _ = term.recv() => tracing::info!("SIGTERM: stopping"),
        _ = int.recv() => tracing::info!("SIGINT: stopping"),
    }
    Ok(())
}
