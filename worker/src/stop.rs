//! The order to stop.

use tokio::sync::watch;

/// Gives the order.
#[derive(Debug)]
pub struct Stopper(watch::Sender<bool>);

/// Waits for the order.
#[derive(Clone, Debug)]
pub struct Stop(watch::Receiver<bool>);

/// The work was given up: the worker stops, or the partition is another worker's. Whoever takes it next does it.
#[derive(Debug, thiserror::Error)]
#[error("stopped")]
pub struct Stopped;

/// A pair of both.
#[must_use]
pub fn channel() -> (Stopper, Stop) {
    let (sender, receiver) = watch::channel(false);
    (Stopper(sender), Stop(receiver))
}

impl Stopper {
    /// Stop.
    pub fn stop(&self) {
        self.0.send_replace(true);
    }
}

impl Stop {
    /// Whether the order was given.
    #[must_use]
    pub fn is_set(&self) -> bool {
        *self.0.borrow()
    }

    /// Returns once the order is given. A stopper that is gone has given it.
    pub async fn wait(&self) {
        let _ = self.0.clone().wait_for(|stop| *stop).await;
    }
}
