//! The INSERT of the good rows: attempts, lookups, and when it ends without success.

use std::time::Instant;

use bytes::Bytes;
use crds::job::LoadProblem;

use super::slots::Slot;
use super::{Loader, NotLoaded};
use crate::backoff;
use crate::batch::{Batch, BatchData};
use crate::error::Failure;
use crate::job;
use crate::redelivery::{self, AfterInsert, BeforeInsert};
use crate::refusal::{Decision, Refusal, Refusals};
use crate::report::ProgressUpdate;
use crate::stop::Stopped;

/// The state of the attempts so far.
struct Attempts {
    /// The number of the token, from 1.
    generation: u32,
    /// The number of failed attempts.
    failed: u32,
    /// Whether an attempt got no answer: its INSERT may still take effect.
    unanswered: bool,
    refusals: Refusals,
}

impl Loader {
    /// Inserts the blocks of a batch. `maybe`: rows of it may be in the table already.
    pub(super) async fn data(
        &self,
        batch: &Batch,
        data: &BatchData,
        blocks: &[Bytes],
        slot: &mut Slot,
        maybe: &mut bool,
    ) -> Result<(), NotLoaded> {
        let mut attempts =
            Attempts { generation: 1, failed: 0, unanswered: false, refusals: Refusals::default() };
        loop {
            slot.acquire().await;
            if !batch.is_assigned() {
                return Err(NotLoaded::GivenUp);
            }
            // After an attempt without an answer the batch is inserted to its end, even if its job has ended: the
            // INSERT may take effect after any count, and the same token stores it only once.
            if batch.job.job().has_ended()
                && !attempts.unanswered
                && self.is_over(batch, *maybe, slot).await?
            {
                return Err(NotLoaded::Dropped);
            }
            let failure = match self.attempt(batch, data, blocks, slot, *maybe, &mut attempts).await? {
                Ok(true) => {
                    self.retry.succeeded("insert");
                    return Ok(());
                }
                Ok(false) => continue,
                Err(failure) => failure,
            };
            self.retry.failed("insert", attempts.failed, &failure);
            // An attempt that was answered may also have stored the rows of some partitions of the table.
            *maybe = true;
            attempts.unanswered |= failure.is_unanswered();
            let decision = attempts.refusals.note(failure.class(), failure.code(), Instant::now());
            let refusal = Refusal { reason: failure.reason().to_owned(), message: failure.to_string() };
            match decision {
                Decision::Park => {
                    // A refusal for one job does not make the worker unready.
                    self.retry.succeeded("insert");
                    return Err(NotLoaded::Refused { refusal, attempted: true });
                }
                Decision::Report => self.report(batch, refusal),
                Decision::Wait => {}
            }
            slot.release();
            self.retry.pause(backoff::delay(attempts.failed, backoff::jitter())).await?;
            attempts.failed = attempts.failed.saturating_add(1);
            self.jobs.refresh(batch.job.job()).await;
        }
    }

    /// Makes one attempt. Returns whether all rows are stored; if not, another attempt follows at once.
    async fn attempt(
        &self,
        batch: &Batch,
        data: &BatchData,
        blocks: &[Bytes],
        slot: &mut Slot,
        maybe: bool,
        attempts: &mut Attempts,
    ) -> Result<Result<bool, Failure>, Stopped> {
        let ok = u64::from(data.counts.ok);
        if maybe {
            let in_table = self.count(batch, slot).await?;
            match redelivery::before_insert(in_table, ok) {
                BeforeInsert::Skip => return Ok(Ok(true)),
                BeforeInsert::TooMany => {
                    self.report_mismatch(batch, in_table, ok);
                    return Ok(Ok(true));
                }
                BeforeInsert::Insert => {}
            }
        }
        let token = redelivery::token(&batch.header.batch_token(), attempts.generation);
        if let Err(failure) = self.inserter.data(&data.target, token, blocks).await {
            return Ok(Err(failure));
        }
        if !maybe {
            return Ok(Ok(true));
        }
        let in_table = self.count(batch, slot).await?;
        match redelivery::after_insert(in_table, ok, self.replaces, attempts.generation) {
            AfterInsert::Stored => return Ok(Ok(true)),
            AfterInsert::Mismatch => {
                self.report_mismatch(batch, in_table, ok);
                return Ok(Ok(true));
            }
            AfterInsert::Retry => {}
            AfterInsert::Replace => {
                if let Err(failure) = self.inserter.delete_rows(&batch.rows()).await {
                    return Ok(Err(failure));
                }
            }
        }
        attempts.generation += 1;
        Ok(Ok(false))
    }

    fn report_mismatch(&self, batch: &Batch, in_table: u64, ok: u64) {
        let rows = batch.rows();
        let message = format!(
            "the table holds {in_table} rows of the records {} to {}, but {ok} were loaded; look for them by _job and _row",
            rows.first,
            rows.end.saturating_sub(1)
        );
        self.report(batch, Refusal { reason: job::TABLE_MISMATCH.to_owned(), message });
    }

    /// Shows in the job's status why its loading is delayed.
    pub(super) fn report(&self, batch: &Batch, refusal: Refusal) {
        let Refusal { reason, message } = refusal;
        let job = batch.job.job().clone();
        job.set_problem(LoadProblem { reason, message, fatal: false });
        // Fails only if the reporter has ended, with the worker.
        let _ = self.progress.send(ProgressUpdate { job, tickets: Vec::new() });
    }
}
