//! Checking a chunk: its bytes become a block of good rows and a list of bad cells.
//!
//! The chunk is checked in record batches, which stay in the processor's cache. A record batch is split and read column
//! by column: columns of fixed width first, those with inner structure last. Then the bad records are removed, and the
//! texts are written. A bad cell takes twelve bytes; its message is made when a caller reads it.

pub(crate) mod fault_log;
pub(crate) mod record_batch;
mod selection;
mod splitter;

use std::sync::Arc;

use fault_log::FaultLog;
use record_batch::RecordBatch;

use splitter::Splitter;

use crate::column::{Reader, fixed, nested, texts, with_reader};
use crate::native::{self, GrowBuffer, Output};
use crate::plan::Plan;
use crate::reject::{Reject, Rejects, Summary, summary};
use crate::simd::Level;
use crate::split::cells::{Regular, Source};

/// Bytes of a record batch.
const RECORD_BATCH_BYTES: usize = 256 * 1024;
/// Length of the longest chunk: the index counts positions in 32 bits, up to one block past the end.
const MAX_CHUNK: usize = u32::MAX as usize - 64;

/// Checks chunks of one file, and keeps its buffers from one chunk to the next.
pub struct Checker {
    plan: Arc<Plan>,
    split: Splitter,
    first_row: u64,
    log: FaultLog,
    outputs: Vec<Output>,
    /// `row_in` of the good rows.
    numbers: GrowBuffer,
    /// The block without the bytes that are in `outputs` and `numbers`.
    frame: Vec<u8>,
    /// For each column: the offset in `frame` where its bytes from `outputs` or `numbers` belong.
    frame_ends: Vec<usize>,
}

/// The result for the records of a chunk.
pub struct Outcome<'a> {
    checker: &'a Checker,
    chunk: &'a [u8],
}

impl Checker {
    /// A checker for files of this plan.
    #[must_use]
    pub fn new(plan: Arc<Plan>) -> Self {
        Self::at_level(plan, Level::detect())
    }

    /// A checker for each instruction set of this CPU, the portable one first; [`Checker::new`] uses the last. All
    /// return the same results. For tests and benches.
    #[must_use]
    pub fn on_every_level(plan: &Arc<Plan>) -> Vec<Self> {
        Level::all().into_iter().map(|level| Self::at_level(Arc::clone(plan), level)).collect()
    }

    pub(crate) fn at_level(plan: Arc<Plan>, level: Level) -> Self {
        let columns = plan.schema.columns().len();
        let split = Splitter::new(&plan, level);
        Self {
            plan,
            split,
            first_row: 0,
            log: FaultLog::default(),
            outputs: (0..columns).map(|_| Output::default()).collect(),
            numbers: GrowBuffer::default(),
            frame: Vec::new(),
            frame_ends: Vec::new(),
        }
    }

    /// Checks the records of a chunk. `first_row` is the number of its first record in the file, from 1. `job` is the
    /// value of `job_in` in the block.
    ///
    /// The chunk must be shorter than 4 GiB; the bytes after that are not read.
    pub fn check<'a>(&'a mut self, bytes: &'a [u8], first_row: u64, job: &str) -> Outcome<'a> {
        let chunk = &bytes[..bytes.len().min(MAX_CHUNK)];
        self.first_row = first_row;
        self.log.clear(self.plan.schema.columns().len());
        self.outputs.iter_mut().for_each(Output::clear);
        self.numbers.clear();
        self.frame.clear();
        self.frame_ends.clear();
        let mut at = 0;
        while at < chunk.len() {
            at = self.batch(chunk, at);
        }
        self.finish(job);
        Outcome { checker: self, chunk }
    }

    /// Splits and checks the next record batch; returns the offset after it.
    fn batch(&mut self, chunk: &[u8], at: usize) -> usize {
        let Self { plan, split, first_row, log, outputs, numbers, .. } = self;
        let mut run = Run { log, outputs, numbers, first_row: *first_row };
        let level = split.level;
        // a record batch ends after a line feed, which is never a byte of a longer UTF-8 character
        let valid = |end: usize| simdutf8::basic::from_utf8(&chunk[at..end]).is_ok();
        if plan.is_json() || !plan.dialect.is_rfc() {
            let end = split.one_by_one(chunk, at, plan);
            run.batch(
                &RecordBatch::new(plan, chunk, &split.table, valid(end), level),
                &split.table.malformed,
            );
            return end;
        }
        let mut window = RECORD_BATCH_BYTES;
        loop {
            let end = (at + window).min(chunk.len());
            let dialect = plan.dialect;
            let Some(found) = split.index.build(chunk, at, end, plan.fields, dialect, split.level) else {
                let end = split.one_by_one(chunk, at, plan);
                run.batch(
                    &RecordBatch::new(plan, chunk, &split.table, valid(end), level),
                    &split.table.malformed,
                );
                return end;
            };
            if found.records == 0 {
                // one record is longer than the window
                window *= 2;
                continue;
            }
            let (positions, fields) = (split.index.positions(), plan.fields);
            let (quote, returns) = (dialect.quote, found.returns);
            if found.quotes {
                let source = Regular::<true> { bytes: chunk, positions, fields, quote, returns };
                run.batch(&RecordBatch::new(plan, chunk, &source, valid(found.end), level), &[]);
            } else {
                let source = Regular::<false> { bytes: chunk, positions, fields, quote, returns };
                run.batch(&RecordBatch::new(plan, chunk, &source, valid(found.end), level), &[]);
            }
            return found.end;
        }
    }

    /// Assembles the block.
    fn finish(&mut self, job: &str) {
        let rows = self.log.ok as usize;
        if rows == 0 {
            return;
        }
        let schema = &self.plan.schema;
        native::begin_block(&mut self.frame, schema.columns().len() + 2, rows);
        let columns =
            schema.columns().iter().zip(schema.compiled()).zip(&mut self.outputs).zip(&self.plan.field_of);
        for (((column, compiled), output), field) in columns {
            if field.is_none() {
                output.fill(compiled, compiled.default.as_deref(), rows);
            }
            output.write(&mut self.frame, &column.name, compiled, rows);
            self.frame_ends.push(self.frame.len());
        }
        native::write_same(&mut self.frame, "job_in", job, rows);
        native::begin_u64(&mut self.frame, "row_in");
        self.frame_ends.push(self.frame.len());
    }
}

/// Where the record batches of a chunk write their results.
struct Run<'a> {
    log: &'a mut FaultLog,
    outputs: &'a mut [Output],
    numbers: &'a mut GrowBuffer,
    first_row: u64,
}

impl Run<'_> {
    /// Checks a record batch, column by column.
    fn batch<S: Source>(
        &mut self,
        batch: &RecordBatch<'_, S>,
        malformed: &[(u32, crate::coerce::CellError)],
    ) {
        let records = batch.source.records();
        let base = self.log.rows;
        let mut sink = self.log.begin(records, malformed, !batch.plan.missing.is_empty());
        for (at, (column, field)) in batch.plan.columns() {
            with_reader!(&column.reader,
                reader => fixed::read(batch, column, reader, at, field, &mut self.outputs[at], &mut sink),
                texts => texts::check(batch, column, at, field, &mut sink)
            );
        }
        // they keep nothing of records that are already known to be bad
        for (at, (column, field)) in batch.plan.columns() {
            if let Reader::Nested(node) = &column.reader {
                nested::read(batch, column, node, at, field, &mut self.outputs[at], &mut sink);
            }
        }
        let good = self.log.end(batch);
        let FaultLog { bad, selection, scratch, .. } = self.log;
        for (at, (column, field)) in batch.plan.columns() {
            let out = &mut self.outputs[at];
            if column.reader.is_text() {
                texts::write(batch, column, at, field, out, selection.each(), scratch);
                continue;
            }
            if good == records {
                continue;
            }
            if let Reader::Nested(node) = &column.reader {
                out.nested(node).end_batch(node, bad);
            } else {
                let width = column.reader.width().unwrap_or(0);
                selection.compact(&mut out.data, width);
                if column.nullable {
                    selection.compact(&mut out.nulls, 1);
                }
            }
        }
        let first = self.first_row + u64::from(base);
        let (slots, _) = self.numbers.grow(8 * good).as_chunks_mut::<8>();
        selection.number(first, slots);
    }
}

impl Outcome<'_> {
    /// Records in the chunk.
    #[must_use]
    pub fn rows(&self) -> u32 {
        self.checker.log.rows
    }

    /// Records in the block.
    #[must_use]
    pub fn ok(&self) -> u32 {
        self.checker.log.ok
    }

    /// Records with at least one reject; `rows == ok + bad_rows`.
    #[must_use]
    pub fn bad_rows(&self) -> u32 {
        self.rows() - self.ok()
    }

    /// How many [`Outcome::rejects`] there are.
    #[must_use]
    pub fn bad_cells(&self) -> u64 {
        self.checker.log.bad_cells(&self.checker.plan)
    }

    /// One ClickHouse `Native` block of the good rows: the schema's columns in order, then
    /// `job_in LowCardinality(String)` and `row_in UInt64`. It consists of consecutive parts, so that no bytes are
    /// copied to join them. There are no parts if no row is good.
    pub fn block_parts(&self) -> impl Iterator<Item = &[u8]> {
        let c = self.checker;
        let starts = std::iter::once(0).chain(c.frame_ends.iter().copied());
        let frame = starts.zip(&c.frame_ends).map(|(start, end)| &c.frame[start..*end]);
        let columns = c.plan.schema.compiled().iter().zip(&c.outputs).map(|(column, out)| out.bytes(column));
        let bytes = columns.chain(std::iter::once([c.numbers.as_slice(), &[]]));
        let parts = frame.zip(bytes).flat_map(|(frame, [nulls, data])| [frame, nulls, data]);
        parts.filter(|part| !part.is_empty())
    }

    /// The parts of the block, joined.
    #[must_use]
    pub fn block(&self) -> Vec<u8> {
        self.block_parts().collect::<Vec<_>>().concat()
    }

    /// Every bad cell, by row and then by column. Each reject is built while the caller iterates.
    pub fn rejects(&self) -> impl Iterator<Item = Reject<'_>> {
        let c = self.checker;
        Rejects::new(&c.plan, self.chunk, &c.log, c.first_row)
    }

    /// Bad cells counted by column and code, the most frequent first; at most one entry for each column and code.
    #[must_use]
    pub fn summary(&self) -> Vec<Summary> {
        let c = self.checker;
        summary(&c.plan, self.chunk, &c.log, c.first_row)
    }
}

#[cfg(test)]
pub(crate) mod tests;
