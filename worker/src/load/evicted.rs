//! Restores a batch whose blocks were dropped from memory: its chunks are read from Kafka and checked again.

use std::sync::Arc;

use parking_lot::Mutex;
use rdkafka::message::{BorrowedMessage, Message as _};
use rows_check::Checker;
use rows_types::BATCH_WEIGHT;

use super::{Loader, NotLoaded};
use crate::batch::{Batch, BatchData, Content};
use crate::check::check;
use crate::insert::rejects::RejectLimits;
use crate::refusal::Refusal;
use crate::reread::header_of;
use crate::stop::Stopped;

/// The result of reading a batch again.
struct Reading {
    data: BatchData,
    refusal: Option<Refusal>,
}

impl Loader {
    /// Reads the rows of an evicted batch again. Other batches are not changed.
    pub(super) async fn restore(&self, batch: &mut Batch) -> Result<(), NotLoaded> {
        if !matches!(batch.content, Content::Evicted) {
            return Ok(());
        }
        let target = match self.targets.of(&batch.header, &self.retry).await {
            Ok(target) => target,
            Err(error) => {
                return Err(NotLoaded::Refused { refusal: error.into_refusal()?, attempted: false });
            }
        };
        let _one = self.rereads.acquire().await.map_err(|_| NotLoaded::GivenUp)?;
        tokio::select! {
            () = self.collector.make_space(batch.lane, BATCH_WEIGHT) => {}
            () = self.retry.stop().wait() => return Err(NotLoaded::GivenUp),
        }
        let mut share = self.collector.budget().share(batch.lane);
        share.set_in_flight();
        let reading = Reading { data: BatchData::new(target.clone(), share), refusal: None };
        let reading = Arc::new(Mutex::new(reading));
        let shared = reading.clone();
        let (inserter, buffers) = (self.inserter.clone(), self.buffers.clone());
        let job = batch.job.job().clone();
        let mut checker = Checker::new(target.plan.clone());
        let each = move |message: &BorrowedMessage<'_>| {
            let mut reading = shared.lock();
            // The header was valid when the chunk first arrived.
            let Ok(header) = header_of(message) else { return true };
            let data = &reading.data;
            let limits =
                RejectLimits::remaining(data.reject_count, data.reject_bytes(), job.remaining_quota());
            let body = message.payload().unwrap_or_default();
            match check(&mut checker, &header, body, &target, inserter.names(), limits, &buffers) {
                Ok(chunk) => {
                    job.will_store(chunk.rejects.count);
                    reading.data.add(header.chunk, chunk);
                }
                Err(error) => {
                    reading.refusal =
                        Some(Refusal { reason: "WrongRows".into(), message: error.to_string() });
                }
            }
            true
        };
        let found = self.reread(batch, each).await?;
        let Some(reading) = Arc::into_inner(reading) else { return Err(NotLoaded::GivenUp) };
        let Reading { data, refusal } = reading.into_inner();
        batch.content = Content::Data(data);
        if let Some(refusal) = refusal {
            return Err(NotLoaded::Refused { refusal, attempted: false });
        }
        if found < batch.chunks.count() {
            let (job, first_chunk) = (&batch.header.name, batch.header.batch.first_chunk);
            tracing::error!(job, first_chunk, found, "Kafka no longer has all chunks of a batch");
            batch.release_quota();
            return Err(NotLoaded::Lost);
        }
        Ok(())
    }

    /// Passes each chunk of a batch to `each`, on a thread of its own. Returns how many chunks Kafka still had.
    pub(super) async fn reread(
        &self,
        batch: &Batch,
        mut each: impl FnMut(&BorrowedMessage<'_>) -> bool + Send + 'static,
    ) -> Result<usize, Stopped> {
        let (reread, stop) = (self.reread.clone(), self.retry.stop().clone());
        let (partition, offsets) = (batch.partition(), batch.chunks.offsets());
        let Some(assigned) = batch.tickets.first().map(crate::tracker::Ticket::assigned) else {
            return Err(Stopped);
        };
        let may_continue = move || !stop.is_set() && assigned();
        let read = move || reread.read(partition, &offsets, &may_continue, &mut each);
        tokio::task::spawn_blocking(read).await.map_err(|_| Stopped)?
    }
}
