//! The signal to stop.

use tokio::sync::watch;

/// Sends the signal.
#[derive(Debug)]
pub struct Stopper(watch::Sender<bool>);

/// Waits for the signal.
#[derive(Clone, Debug)]
pub struct Stop(watch::Receiver<bool>);

/// The work ended early: the worker stops, or the partition is assigned to another worker. The worker that takes it
/// next does the work.
#[derive(Debug, thiserror::Error)]
#[error("stopped")]
pub struct Stopped;

/// Returns a pair of both.
#[must_use]
pub fn channel() -> (Stopper, Stop) {
    let (sender, receiver) = watch::channel(false);
    (Stopper(sender), Stop(receiver))
}

impl Stopper {
    /// Sends the signal.
    pub fn stop(&self) {
        self.0.send_replace(true);
    }
}

impl Stop {
    /// Returns whether the signal was sent.
    #[must_use]
    pub fn is_set(&self) -> bool {
        *self.0.borrow()
    }

    /// Returns when the signal was sent. A stopper that was dropped counts as a signal.
    pub async fn wait(&self) {
        let _ = self.0.clone().wait_for(|stop| *stop).await;
    }
}
