//! The admission of uploads: each needs a permit and memory. It waits for them in order and for a bounded time.
//!
//! Inline jobs, which the operator sends, have their own permits and memory: they never wait for a slow client.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout_at};

use crate::budget::{Budget, Reservation};
use crate::error::ApiError;

/// How long an upload waits for its permit and its memory together.
const WAIT: Duration = Duration::from_secs(5);
/// How many inline jobs run at the same time.
const INLINE_UPLOADS: usize = 16;
/// The memory of inline jobs, in bytes.
const INLINE_BUDGET: u64 = 8 << 20;

/// A part of the server's capacity: a number of uploads at the same time, and the memory for them.
#[derive(Clone, Debug)]
pub struct Lane {
    permits: Arc<Semaphore>,
    uploads: usize,
    budget: Budget,
}

/// The permission to run an upload, which still has to reserve its memory.
#[derive(Debug)]
pub struct Permit {
    lane: Lane,
    slot: OwnedSemaphorePermit,
    deadline: Instant,
}

/// An upload that runs. When it is dropped, its permit and its memory are free again.
#[derive(Debug)]
pub struct Admission {
    /// The memory that the upload needs from its start to its end.
    pub memory: Reservation,
    /// The budget in which chunks on their way to Kafka reserve memory.
    pub budget: Budget,
    _slot: OwnedSemaphorePermit,
}

impl Lane {
    /// A lane for `uploads` uploads at the same time, with a budget of `bytes` bytes.
    #[must_use]
    pub fn new(uploads: usize, bytes: u64) -> Self {
        Self { permits: Arc::new(Semaphore::new(uploads)), uploads, budget: Budget::new(bytes) }
    }

    /// Returns the lane of inline jobs.
    #[must_use]
    pub fn inline() -> Self {
        Self::new(INLINE_UPLOADS, INLINE_BUDGET)
    }

    /// Returns a permit. Waits for it in order, for some seconds.
    pub async fn enter(&self) -> Result<Permit, ApiError> {
        let deadline = Instant::now() + WAIT;
        match timeout_at(deadline, Arc::clone(&self.permits).acquire_owned()).await {
            Ok(Ok(slot)) => Ok(Permit { lane: self.clone(), slot, deadline }),
            _ => Err(ApiError::TooManyUploads("permits")),
        }
    }

    /// Resolves when no upload runs. No upload begins while the caller holds the returned permit.
    pub async fn idle(&self) -> Option<OwnedSemaphorePermit> {
        let all = u32::try_from(self.uploads).unwrap_or(u32::MAX);
        Arc::clone(&self.permits).acquire_many_owned(all).await.ok()
    }

    /// Returns the number of free permits and of free bytes.
    #[must_use]
    pub fn free(&self) -> (usize, u64) {
        (self.permits.available_permits(), self.budget.free())
    }
}

impl Permit {
    /// Reserves `bytes` bytes. Waits for them in order, until the deadline of the permit.
    pub async fn reserve(self, bytes: u64) -> Result<Admission, ApiError> {
        let Self { lane, slot, deadline } = self;
        let memory = lane.budget.reserve(bytes, deadline).await?;
        Ok(Admission { memory, budget: lane.budget, _slot: slot })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_request_waits_some_seconds_for_permit_and_memory_together() {
        let lane = Lane::new(1, 1 << 20);
        let first = lane.enter().await.unwrap().reserve(1 << 20).await.unwrap();
        let asked = Instant::now();
        assert_eq!(lane.enter().await.unwrap_err().reason(), "TooManyUploads");
        assert_eq!(asked.elapsed(), WAIT);
        drop(first);
        assert_eq!(lane.free(), (1, 1 << 20));
        assert!(lane.enter().await.unwrap().reserve(2 << 20).await.is_err());
        assert_eq!(lane.free(), (1, 1 << 20), "a refused upload gives its permit back");
    }

    #[tokio::test(start_paused = true)]
    async fn a_lane_is_idle_when_its_last_upload_has_ended() {
        let lane = Lane::new(2, 1 << 20);
        let running = lane.enter().await.unwrap();
        let idle = tokio::spawn({
            let lane = lane.clone();
            async move { lane.idle().await.is_some() }
        });
        tokio::task::yield_now().await;
        assert!(!idle.is_finished());
        drop(running);
        assert!(idle.await.unwrap());
    }
}
