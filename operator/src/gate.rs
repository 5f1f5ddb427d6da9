//! Waiting until a watch has answered for the first time.
//!
//! Not `Store::wait_until_ready`: that wakes one waiter only (kube 5.0 keeps a single waker), and every reconcile waits.

use tokio::sync::watch;

/// Closed at first, then open for ever.
#[derive(Debug)]
pub struct Gate(watch::Sender<bool>);

impl Default for Gate {
    fn default() -> Self {
        Self(watch::Sender::new(false))
    }
}

impl Gate {
    /// Lets everyone through.
    pub fn open(&self) {
        self.0.send_replace(true);
    }

    /// Returns once the gate is open.
    pub async fn passed(&self) {
        // Fails only when the sender is gone, which is ours.
        drop(self.0.subscribe().wait_for(|open| *open).await);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    #[tokio::test]
    async fn everyone_who_waits_is_let_through() {
        let gate = Arc::new(Gate::default());
        let waiting: Vec<_> = (0..3)
            .map(|_| Arc::clone(&gate))
            .map(|g| tokio::spawn(async move { g.passed().await }))
            .collect();
        tokio::task::yield_now().await;
        gate.open();
        for task in waiting {
            task.await.unwrap();
        }
        gate.passed().await;
    }
}
