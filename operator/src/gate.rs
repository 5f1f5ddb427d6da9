//! Waits for the first answer of a watch.
//!
//! `Store::wait_until_ready` cannot be used: it wakes only one waiter (kube 5.0 keeps a single waker), but every
//! reconcile waits.

use tokio::sync::watch;

/// Closed at first. Once open, it stays open.
#[derive(Debug)]
pub struct Gate(watch::Sender<bool>);

impl Default for Gate {
    fn default() -> Self {
        Self(watch::Sender::new(false))
    }
}

impl Gate {
    /// Opens the gate for all waiters.
    pub fn open(&self) {
        self.0.send_replace(true);
    }

    /// Waits until the gate is open.
    pub async fn passed(&self) {
        // Fails only if the sender is dropped, and `self` owns it.
        drop(self.0.subscribe().wait_for(|open| *open).await);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    #[tokio::test]
    async fn all_waiters_continue_when_the_gate_opens() {
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
