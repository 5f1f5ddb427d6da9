//! Checking a chunk: its bytes become a block of good rows and a list of bad cells.
//!
//! The chunk is checked in record batches, which stay in the processor's cache. A record batch is split and read column
//! by column: columns of fixed width first, those with inner structure last. Then the bad records are removed, and the
//! texts are written. A bad cell takes twelve bytes; its message is made when a caller reads it.

use std::sync::Arc;

use rows_bytes::simd::Level;
use rows_split::cells::Source;
use rows_split::splitter::{Batches, Splitter};
use rows_types::CellError;

use crate::column::{ColumnReader, Output, fixed, nested, texts};
use crate::faults::FaultLog;
use crate::native::{self, GrowBuffer};
use crate::plan::Plan;
use crate::reader::with_reader;
use crate::record_batch::RecordBatch;
use crate::reject::{Reject, Rejects, Summary, summary};

/// Length of the longest chunk: the index counts positions in 32 bits, up to one block past the end.
const MAX_CHUNK: usize = u32::MAX as usize - 64;

/// Checks chunks of one file, and keeps its buffers from one chunk to the next.
pub struct Checker {
    plan: Arc<Plan>,
    level: Level,
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
        let columns = plan.schema().columns().len();
        let split = Splitter::new(&plan.binding, level);
        Self {
            plan,
            level,
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
        self.log.clear(self.plan.schema().columns().len());
        self.outputs.iter_mut().for_each(Output::clear);
        self.numbers.clear();
        self.frame.clear();
        self.frame_ends.clear();
        let Self { plan, level, split, log, outputs, numbers, .. } = self;
        let mut run = Run { plan, chunk, first_row, level: *level, at: 0, log, outputs, numbers };
        while run.at < chunk.len() {
            run.at = split.batch(&plan.binding, chunk, run.at, &mut run);
        }
        self.finish(job);
        Outcome { checker: self, chunk }
    }

    /// Assembles the block.
    fn finish(&mut self, job: &str) {
        let rows = self.log.ok as usize;
        if rows == 0 {
            return;
        }
        let names = self.plan.schema().column_names();
        native::begin_block(&mut self.frame, self.outputs.len() + 2, rows);
        let columns = names.zip(self.plan.compiled()).zip(&mut self.outputs).zip(&self.plan.binding.field_of);
        for (((name, column), output), field) in columns {
            if field.is_none() {
                output.fill(column, column.default.as_deref(), rows);
            }
            output.write(&mut self.frame, name, column, rows);
            self.frame_ends.push(self.frame.len());
        }
        native::write_same(&mut self.frame, "job_in", job, rows);
        native::begin_u64(&mut self.frame, "row_in");
        self.frame_ends.push(self.frame.len());
    }
}

/// The check of one chunk, and where its record batches write their results.
struct Run<'a> {
    plan: &'a Plan,
    chunk: &'a [u8],
    first_row: u64,
    level: Level,
    /// Where the next record batch begins in the chunk.
    at: usize,
    log: &'a mut FaultLog,
    outputs: &'a mut [Output],
    numbers: &'a mut GrowBuffer,
}

impl Batches for Run<'_> {
    fn take<S: Source>(&mut self, source: &S, end: usize, malformed: &[(u32, CellError)]) {
        // a record batch ends after a line feed, which is never a byte of a longer UTF-8 character
        let valid = simdutf8::basic::from_utf8(&self.chunk[self.at..end]).is_ok();
        let batch = self.plan.batch(self.chunk, source, valid, self.level);
        self.batch(&batch, malformed);
    }
}

impl Run<'_> {
    /// Checks a record batch, column by column.
    fn batch<S: Source>(&mut self, batch: &RecordBatch<'_, S>, malformed: &[(u32, CellError)]) {
        let plan = self.plan;
        let records = batch.source.records();
        let base = self.log.rows;
        let mut sink = self.log.begin(records, malformed, !plan.binding.missing.is_empty());
        for (at, (column, field)) in plan.columns() {
            let ColumnReader::Scalar(reader) = &column.reader else { continue };
            with_reader!(reader,
                reader => fixed::read(batch, column, reader, at, field, &mut self.outputs[at], &mut sink),
                texts => texts::check(batch, column, at, field, &mut sink)
            );
        }
        // they keep nothing of records that are already known to be bad
        for (at, (column, field)) in plan.columns() {
            if let ColumnReader::Nested(node) = &column.reader {
                nested::read(batch, column, node, at, field, &mut self.outputs[at], &mut sink);
            }
        }
        let key = batch.place(plan.schema().row_key());
        let good = self.log.end(batch.source, key);
        let FaultLog { bad, selection, scratch, .. } = self.log;
        for (at, (column, field)) in plan.columns() {
            let out = &mut self.outputs[at];
            if column.reader.is_text() {
                texts::write(batch, column, at, field, out, selection.each(), scratch);
                continue;
            }
            if good == records {
                continue;
            }
            if let ColumnReader::Nested(node) = &column.reader {
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
        self.checker.log.bad_cells(self.checker.plan.binding.missing.len())
    }

    /// One ClickHouse `Native` block of the good rows: the schema's columns in order, then
    /// `job_in LowCardinality(String)` and `row_in UInt64`. It consists of consecutive parts, so that no bytes are
    /// copied to join them. There are no parts if no row is good.
    pub fn block_parts(&self) -> impl Iterator<Item = &[u8]> {
        let c = self.checker;
        let starts = std::iter::once(0).chain(c.frame_ends.iter().copied());
        let frame = starts.zip(&c.frame_ends).map(|(start, end)| &c.frame[start..*end]);
        let columns = c.plan.compiled().iter().zip(&c.outputs).map(|(column, out)| out.bytes(column));
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
