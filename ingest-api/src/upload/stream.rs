//! One upload, from its body's first byte to the last word of `status.upload`.
//!
//! **Promise:** whatever happens, `status.upload` is written at the end: complete, with what is wrong with the file, or
//! with the byte from which a broken upload goes on.

use std::sync::Arc;
use std::sync::mpsc::Sender;

use axum::body::Body;
use crds::ChunkHeader;
use crds::job::{IngestJob, UploadStatus};
use futures::FutureExt;
use futures::future::BoxFuture;
use futures::stream::{FuturesOrdered, StreamExt};
use rows::{Chunk, Position};
use tokio::sync::{OwnedSemaphorePermit, mpsc};

use crate::error::ApiError;
use crate::state::{Claim, Shared};
use crate::upload::body::{pipe, pump};
use crate::upload::cut::{self, Cut, CutFailure, Piece};
use crate::upload::prepare::{Prepared, kept_header};
use crate::upload::produce::Acknowledged;
use crate::upload::progress::Progress;

/// Chunks of one upload that wait for Kafka's word.
const WINDOW: usize = 4;

/// An upload that may begin.
pub struct Upload {
    /// What all requests share.
    pub app: Shared,
    /// What the upload needs to know.
    pub prepared: Prepared,
    /// The Content-Length.
    pub length: Option<u64>,
    /// The job's lock and the upload's permit, held to its end.
    pub held: (Claim, OwnedSemaphorePermit),
}

/// A chunk on its way, with where the file goes on after it.
type OnItsWay = BoxFuture<'static, (Position, u32, Acknowledged)>;

/// What became of the body.
enum End {
    /// Read to its end: this many bytes.
    Whole(u64),
    /// Broken off; all that was cut before is acknowledged.
    Broken,
}

impl Upload {
    /// Streams the body, in a task of its own: a client that goes away must not take the end of its upload with it.
    pub async fn run(self, body: Body) -> Result<IngestJob, ApiError> {
        let task = tokio::spawn(self.finish(body));
        task.await.unwrap_or_else(|e| Err(ApiError::Internal(format!("the upload ended early: {e}"))))
    }

    async fn finish(self, body: Body) -> Result<IngestJob, ApiError> {
        let Self { app, prepared, length, held } = self;
        let gauge = app.metrics.uploads.clone();
        gauge.inc();
        let mut progress = Progress::new(app.kube.clone(), prepared.job.clone());
        let mut stream = Stream { app, status: prepared.status.clone(), prepared, claimed: false };
        let outcome = stream.read(body, length, &mut progress).await;
        let result = stream.conclude(outcome, &mut progress).await;
        gauge.dec();
        drop(held);
        result
    }
}

struct Stream {
    app: Shared,
    prepared: Prepared,
    status: UploadStatus,
    /// Whether the status holds what must not change once a chunk was sent.
    claimed: bool,
}

impl Stream {
    async fn read(
        &mut self,
        body: Body,
        length: Option<u64>,
        progress: &mut Progress,
    ) -> Result<End, ApiError> {
        let (mut cuts, used) = self.start(body, length);
        let mut on_their_way: FuturesOrdered<OnItsWay> = FuturesOrdered::new();
        let mut end = None;
        loop {
            if end.is_some() && on_their_way.is_empty() {
                return end.ok_or_else(|| ApiError::Internal("no end".into()));
            }
            tokio::select! {
                Some((position, bytes, acknowledged)) = on_their_way.next() => {
                    let took = acknowledged?;
                    self.acknowledge(position, bytes, took.as_secs_f64());
                    progress.set(self.status.clone());
                }
                cut = cuts.recv(), if end.is_none() && on_their_way.len() < WINDOW => match cut {
                    Some(Ok(Piece::Header { raw, columns })) => {
                        self.status.header = kept_header(&raw);
                        self.prepared.columns = Some(columns);
                    }
                    Some(Ok(Piece::Chunk(chunk, after))) => {
                        on_their_way.push_back(self.send(&chunk, after, progress).await?);
                        // Kafka's client has a copy. A thread that has ended needs no memory.
                        let _ = used.send(chunk.bytes);
                    }
                    Some(Ok(Piece::End(bytes))) => end = Some(End::Whole(bytes)),
                    Some(Err(CutFailure::BrokeOff)) => end = Some(End::Broken),
                    Some(Err(CutFailure::File(problem))) => return Err(problem.into()),
                    Some(Err(CutFailure::TooLarge(limit))) => return Err(ApiError::UploadTooLarge { limit }),
                    None => return Err(ApiError::Internal("the cutting thread ended early".into())),
                },
                ended = progress.watch() => return Err(ended),
            }
        }
    }

    /// Starts the pump and the cutting thread. Both end by themselves once nobody listens. Chunks come; their memory can
    /// be sent back for later ones.
    fn start(&mut self, body: Body, length: Option<u64>) -> (mpsc::Receiver<Cut>, Sender<Vec<u8>>) {
        let (pieces, reader) = pipe();
        tokio::spawn(pump(body, length, self.app.settings.idle_timeout(), self.app.stop.clone(), pieces));
        let (to, cuts) = mpsc::channel(1);
        let task = self.prepared.task.clone();
        let (used, free) = std::sync::mpsc::channel();
        tokio::task::spawn_blocking(move || cut::run(reader, task, &to, &free));
        (cuts, used)
    }

    async fn send(
        &mut self,
        chunk: &Chunk,
        after: Position,
        progress: &mut Progress,
    ) -> Result<OnItsWay, ApiError> {
        if !self.claimed {
            progress.write(&self.status).await?;
            self.claimed = true;
        }
        let Prepared { job, revision, topic, partitions, task, columns, .. } = &self.prepared;
        let header = ChunkHeader {
            job: job.uid.clone(),
            name: job.name.clone(),
            chunk: chunk.number,
            first_row: chunk.first_row,
            rows: chunk.rows,
            revision: revision.clone(),
            input: task.input.clone(),
            columns: columns.clone(),
        };
        let partition = crds::names::partition(&job.uid, chunk.number, *partitions);
        let bytes = u32::try_from(chunk.bytes.len()).unwrap_or(u32::MAX);
        let sent = Arc::clone(&self.app.kafka).send(topic, partition, &header, &chunk.bytes).await?;
        Ok(sent.map(move |acknowledged| (after, bytes, acknowledged)).boxed())
    }

    fn acknowledge(&mut self, position: Position, bytes: u32, seconds: f64) {
        let metrics = &self.app.metrics;
        let rows = signed(position.next_row.saturating_sub(1));
        metrics.produce.observe(seconds);
        metrics.chunks.inc();
        metrics.bytes.inc_by(u64::from(bytes));
        metrics.rows.inc_by(u64::try_from(rows - self.status.rows).unwrap_or(0));
        self.status.bytes = signed(position.offset);
        self.status.offset = signed(position.offset);
        self.status.rows = rows;
        self.status.chunks = i64::from(position.next_chunk);
        self.status.next_row = signed(position.next_row);
    }

    async fn conclude(
        mut self,
        outcome: Result<End, ApiError>,
        progress: &mut Progress,
    ) -> Result<IngestJob, ApiError> {
        let (job, status) = (&self.prepared.job.name, &mut self.status);
        let error = match outcome {
            Ok(End::Whole(bytes)) => {
                status.complete = true;
                (status.bytes, status.offset) = (signed(bytes), signed(bytes));
                status.header = None;
                let written = progress.write(status).await;
                tracing::info!(job, bytes, rows = status.rows, chunks = status.chunks, "upload complete");
                return written;
            }
            Ok(End::Broken) if *self.app.stop.borrow() => ApiError::Stopping,
            Ok(End::Broken) => ApiError::UploadInterrupted,
            Err(error) => error,
        };
        tracing::info!(job, reason = error.reason(), offset = status.offset, "upload ended early");
        match &error {
            // There is nothing to write to, or nobody who would read it.
            ApiError::JobNotFound { .. } | ApiError::JobEnded { .. } => return Err(error),
            ApiError::File(problem) => {
                status.error = Some(problem.as_status());
                status.header = None;
            }
            ApiError::UploadTooLarge { .. } => {
                status.error = Some(crds::job::UploadError {
                    reason: error.reason().into(),
                    message: error.to_string(),
                });
            }
            _ => {}
        }
        if let Err(failed) = progress.write(status).await {
            tracing::warn!(job, error = %failed, "failed to write the end of an upload");
        }
        Err(error)
    }
}

fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
