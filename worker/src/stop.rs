//! Being told to stop, and telling everyone.

use tokio::sync::watch;

/// The one who says it.
#[derive(Debug)]
pub struct Stopper(watch::Sender<bool>);

/// Those who listen.
#[derive(Clone, Debug)]
pub struct Stop(watch::Receiver<bool>);

/// The work was given up because the worker was told to stop. Whoever takes the partition next does it.
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
    /// Whether it was said.
    #[must_use]
    pub fn is_set(&self) -> bool {
        *self.0.borrow()
    }

    /// Returns once it is said. A stopper that is gone has said it.
    pub async fn wait(&self) {
        let _ = self.0.clone().wait_for(|stop| *stop).await;
    }
}
