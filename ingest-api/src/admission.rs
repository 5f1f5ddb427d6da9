//! Which uploads run: a permit and memory for each, waited for in order and for a bounded time.
//!
//! Inline jobs, which the operator sends, have permits and memory of their own: they never wait for a slow client.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout_at};

use crate::error::ApiError;
use crate::upload::budget::{Budget, Reservation};

/// How long an upload waits for permit and memory, in all.
const WAIT: Duration = Duration::from_secs(5);
/// Inline jobs at once.
const INLINE_UPLOADS: usize = 16;
/// Their memory, in bytes.
const INLINE_BUDGET: u64 = 8 << 20;

/// A share of the server: so many uploads at once, in so much memory.
#[derive(Clone, Debug)]
pub struct Lane {
    permits: Arc<Semaphore>,
    uploads: usize,
    budget: Budget,
}

/// The right to run an upload, once its memory is reserved too.
#[derive(Debug)]
pub struct Permit {
    lane: Lane,
    place: OwnedSemaphorePermit,
    deadline: Instant,
}

/// An upload that runs. Its permit and memory are given back when it is dropped.
#[derive(Debug)]
pub struct Admission {
    /// What the upload needs from its start to its end.
    pub memory: Reservation,
    /// Of which chunks on their way take their memory.
    pub budget: Budget,
    _place: OwnedSemaphorePermit,
}

impl Lane {
    /// So many uploads at once, in so many bytes.
    #[must_use]
    pub fn new(uploads: usize, bytes: u64) -> Self {
        Self { permits: Arc::new(Semaphore::new(uploads)), uploads, budget: Budget::new(bytes) }
    }

    /// That of inline jobs.
    #[must_use]
    pub fn inline() -> Self {
        Self::new(INLINE_UPLOADS, INLINE_BUDGET)
    }

    /// A permit, waited for in order for some seconds.
    pub async fn enter(&self) -> Result<Permit, ApiError> {
        let deadline = Instant::now() + WAIT;
        match timeout_at(deadline, Arc::clone(&self.permits).acquire_owned()).await {
            Ok(Ok(place)) => Ok(Permit { lane: self.clone(), place, deadline }),
            _ => Err(ApiError::TooManyUploads("permits")),
        }
    }

    /// Resolves when no upload runs; none begins afterwards while what it gave is held.
    pub async fn idle(&self) -> Option<OwnedSemaphorePermit> {
        let all = u32::try_from(self.uploads).unwrap_or(u32::MAX);
        Arc::clone(&self.permits).acquire_many_owned(all).await.ok()
    }

    /// Permits and bytes that are free.
    #[must_use]
    pub fn free(&self) -> (usize, u64) {
        (self.permits.available_permits(), self.budget.free())
    }
}

impl Permit {
    /// Reserves so many bytes, waited for in order for the rest of the time.
    pub async fn reserve(self, bytes: u64) -> Result<Admission, ApiError> {
        let Self { lane, place, deadline } = self;
        let memory = lane.budget.reserve(bytes, deadline).await?;
        Ok(Admission { memory, budget: lane.budget, _place: place })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn permit_and_memory_together_are_waited_for_some_seconds() {
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
