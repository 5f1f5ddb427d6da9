//! One memory budget for everything that uploads hold: bytes of bodies, chunks, decoders, and what is on its way to
//! Kafka.
//!
//! **Promise:** the reserved memory never exceeds the budget. Reservations are served in order. An upload waits for
//! memory only at its start, and when its file needs more than was reserved; both for a bounded time.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout, timeout_at};

use crate::error::ApiError;

/// How long a running upload waits for more memory that its file needs.
const GROWTH_WAIT: Duration = Duration::from_secs(10);

/// Memory that all uploads share.
#[derive(Clone, Debug)]
pub struct Budget {
    /// One permit is one KiB.
    free: Arc<Semaphore>,
    kib: u32,
}

/// A part of a budget. It is free again when the last clone is dropped.
#[derive(Clone, Debug)]
pub struct Reservation(Arc<Reserved>);

#[derive(Debug)]
struct Reserved {
    budget: Budget,
    permit: Mutex<OwnedSemaphorePermit>,
}

/// Why the memory cannot be reserved.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoMemory {
    /// Other uploads hold it; later there may be enough.
    #[error("other uploads hold the memory that is needed")]
    Busy,
    /// The budget is smaller than what is needed.
    #[error("{needs} MiB are needed and {budget} MiB are there")]
    Never {
        /// What is needed, in MiB.
        needs: u64,
        /// What all uploads may use, in MiB.
        budget: u64,
    },
}

impl Budget {
    /// A budget of `bytes` bytes.
    #[must_use]
    pub fn new(bytes: u64) -> Self {
        let kib = kib(bytes);
        Self { free: Arc::new(Semaphore::new(kib as usize)), kib }
    }

    /// Reserves `bytes` bytes. Waits for them in order, until `deadline`.
    pub async fn reserve(&self, bytes: u64, deadline: Instant) -> Result<Reservation, NoMemory> {
        let permit =
            timeout_at(deadline, Arc::clone(&self.free).acquire_many_owned(self.fits(0, bytes)?)).await;
        match permit {
            Ok(Ok(permit)) => {
                Ok(Reservation(Arc::new(Reserved { budget: self.clone(), permit: Mutex::new(permit) })))
            }
            _ => Err(NoMemory::Busy),
        }
    }

    /// Reserves `bytes` bytes if they are free now and no other upload waits for them.
    #[must_use]
    pub fn try_reserve(&self, bytes: u64) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.free).try_acquire_many_owned(kib(bytes)).ok()
    }

    /// Returns how many bytes are free.
    #[must_use]
    pub fn free(&self) -> u64 {
        self.free.available_permits() as u64 * 1024
    }

    /// Returns `bytes` in KiB. Fails if they and what is held exceed the complete budget.
    fn fits(&self, reserved_kib: usize, bytes: u64) -> Result<u32, NoMemory> {
        let more = kib(bytes);
        let needs = reserved_kib as u64 + u64::from(more);
        if needs > u64::from(self.kib) {
            return Err(NoMemory::Never { needs: needs.div_ceil(1024), budget: u64::from(self.kib) / 1024 });
        }
        Ok(more)
    }
}

impl Reservation {
    /// Reserves more. On the thread of a decoder it waits for the memory; without a runtime it does not wait.
    pub fn grow_blocking(&self, bytes: u64) -> Result<(), NoMemory> {
        let Reserved { budget, permit } = &*self.0;
        let reserved = permit.lock().num_permits();
        let more = budget.fits(reserved, bytes)?;
        let free = Arc::clone(&budget.free);
        let new = match Handle::try_current() {
            Ok(runtime) => {
                let waiting = async { timeout(GROWTH_WAIT, free.acquire_many_owned(more)).await };
                runtime.block_on(waiting).ok().and_then(Result::ok)
            }
            Err(_) => free.try_acquire_many_owned(more).ok(),
        };
        let new = new.ok_or(NoMemory::Busy)?;
        permit.lock().merge(new);
        Ok(())
    }
}

impl From<NoMemory> for ApiError {
    fn from(error: NoMemory) -> Self {
        match error {
            NoMemory::Busy => Self::TooManyUploads("memory"),
            NoMemory::Never { needs, budget } => Self::UploadNeedsMemory { needs, budget },
        }
    }
}

fn kib(bytes: u64) -> u32 {
    u32::try_from(bytes.div_ceil(1024)).unwrap_or(u32::MAX)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    const MIB: u64 = 1 << 20;

    /// Reserves `bytes` bytes of a budget that has them.
    pub fn reserved(budget: &Budget, bytes: u64) -> Reservation {
        let permit = Mutex::new(budget.try_reserve(bytes).unwrap());
        Reservation(Arc::new(Reserved { budget: budget.clone(), permit }))
    }

    fn deadline() -> Instant {
        Instant::now() + Duration::from_secs(5)
    }

    #[tokio::test(start_paused = true)]
    async fn an_upload_that_does_not_fit_waits_and_is_then_refused() {
        let budget = Budget::new(10 * MIB);
        let first = budget.reserve(8 * MIB, deadline()).await.unwrap();
        let asked = Instant::now();
        assert_eq!(budget.reserve(4 * MIB, deadline()).await.err(), Some(NoMemory::Busy));
        assert_eq!(asked.elapsed().as_secs(), 5);
        let waiting = tokio::spawn({
            let budget = budget.clone();
            async move { budget.reserve(4 * MIB, deadline()).await }
        });
        tokio::task::yield_now().await;
        drop(first);
        assert!(waiting.await.unwrap().is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn a_small_upload_does_not_overtake_a_large_one_that_waits() {
        let budget = Budget::new(10 * MIB);
        let _first = budget.reserve(8 * MIB, deadline()).await.unwrap();
        let large = tokio::spawn({
            let budget = budget.clone();
            async move { budget.reserve(4 * MIB, deadline()).await }
        });
        tokio::task::yield_now().await;
        assert!(budget.try_reserve(MIB).is_none(), "the large one waits for it");
        assert!(large.await.unwrap().is_err());
        assert!(budget.try_reserve(MIB).is_some());
    }

    #[tokio::test]
    async fn a_reservation_that_exceeds_the_budget_is_refused_at_once_with_both_sizes() {
        let budget = Budget::new(10 * MIB);
        let never = NoMemory::Never { needs: 11, budget: 10 };
        assert_eq!(budget.reserve(11 * MIB, deadline()).await.err(), Some(never));
        let reservation = budget.reserve(4 * MIB, deadline()).await.unwrap();
        assert_eq!(reservation.grow_blocking(7 * MIB), Err(never));
    }

    #[test]
    fn a_reservation_is_released_completely_with_its_last_clone() {
        let budget = Budget::new(10 * MIB);
        let reservation = reserved(&budget, 4 * MIB);
        let clone = reservation.clone();
        clone.grow_blocking(5 * MIB).unwrap();
        assert_eq!(clone.grow_blocking(MIB + 1), Err(NoMemory::Never { needs: 11, budget: 10 }));
        let other = budget.try_reserve(MIB).unwrap();
        assert_eq!(reservation.grow_blocking(MIB), Err(NoMemory::Busy));
        drop(reservation);
        assert_eq!(budget.free(), 0);
        drop((clone, other));
        assert_eq!(budget.free(), 10 * MIB);
    }
}
