//! Parks a batch that ClickHouse refuses, or that cannot be checked: its chunks are sent to the dead-letter topic
//! unchanged, and the ledger gets a line with the reason.

use tokio::runtime::Handle;

use super::Loader;
use super::slots::Slot;
use crate::batch::Batch;
use crate::dead_letter::DeadLetter;
use crate::done::BatchLine;
use crate::insert::ledger::LedgerEntry;
use crate::refusal::Refusal;
use crate::stop::Stopped;
use crate::summary::RowCounts;

impl Loader {
    /// Parks a batch: its original bytes are read from Kafka again and sent to the dead-letter topic.
    pub(super) async fn park(
        &self,
        batch: &Batch,
        mut refusal: Refusal,
        slot: &mut Slot,
    ) -> Result<(), Stopped> {
        slot.release();
        let (job, first_chunk) = (&batch.header.name, batch.header.batch.first_chunk);
        tracing::error!(
            job,
            first_chunk,
            reason = refusal.reason,
            message = refusal.message,
            "parking a batch"
        );
        let why = format!("{}: {}", refusal.reason, refusal.message);
        let sent = self.send_chunks(batch, &why).await?;
        let chunks = batch.chunks.count();
        if sent < chunks {
            let lost = chunks - sent;
            refusal.message =
                format!("{}; Kafka no longer has {lost} of its {chunks} chunks", refusal.message);
        }
        let digests = batch.chunks.digests();
        let entry = LedgerEntry {
            header: &batch.header,
            digests: &digests,
            partition: batch.partition(),
            counts: RowCounts { rows: batch.chunks.rows(), ..RowCounts::default() },
            stored: 0,
            summary: &[],
            parked: Some(&refusal),
        };
        self.call(batch, slot, "insert ledger", || self.inserter.ledger(&entry)).await?;
        batch.job.job().set_done(first_chunk, BatchLine { digests, loaded: false });
        self.report(batch, refusal);
        Ok(())
    }

    /// Deletes the rows that attempts have stored in some partitions of the table. If the table refuses that too, the
    /// operator's receipt shows the difference.
    pub(super) async fn clean(&self, batch: &Batch, slot: &mut Slot) -> Result<(), Stopped> {
        self.wait_for_late_inserts(batch, slot).await?;
        if self.count(batch, slot).await? > 0
            && let Err(failure) = self.inserter.delete_rows(&batch.rows()).await
        {
            let job = &batch.header.name;
            tracing::error!(%failure, job, "failed to delete rows of a batch that ClickHouse refuses");
        }
        Ok(())
    }

    /// Sends the chunks of a batch to the dead-letter topic. Returns how many chunks Kafka still had.
    async fn send_chunks(&self, batch: &Batch, why: &str) -> Result<usize, Stopped> {
        let _one = self.rereads.acquire().await.map_err(|_| Stopped)?;
        let (dead_letters, runtime, why) = (self.dead_letters.clone(), Handle::current(), why.to_owned());
        self.reread(batch, move |message| {
            runtime.block_on(dead_letters.send(&DeadLetter::of_message(message, &why))).is_ok()
        })
        .await
    }
}
