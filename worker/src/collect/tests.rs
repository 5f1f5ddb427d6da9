use bytes::Bytes;
use crds::job::UploadStatus;
use crds::model::Pii;
use rows_check::{Columns, Plan};
use rows_types::{Column, Digest, Input, Schema, Type};

use super::*;
use crate::done::BatchLine;
use crate::insert::rejects::RejectRows;
use crate::pii::Privacy;
use crate::summary::RowCounts;
use crate::testing::{header, job};
use crate::tracker::Tracker;

struct Fixture {
    tracker: Arc<Tracker>,
    collector: Collector,
    target: Arc<Target>,
    next_offset: std::cell::Cell<i64>,
    start: Instant,
}

fn fixture(limit: u64) -> Fixture {
    let tracker = Arc::new(Tracker::default());
    tracker.offsets().assign(0, Some(0), Instant::now());
    let schema = Schema::new(vec![Column::new("id", Type::parse("String").unwrap())], None).unwrap();
    let target = Target {
        plan: Arc::new(Plan::bind(Columns::compile(schema).unwrap(), Input::default(), None).unwrap()),
        insert: String::new(),
        privacy: Privacy::of(&[crds::model::ColumnSpec { pii: Pii::None, ..Default::default() }], "id"),
    };
    Fixture {
        tracker,
        collector: Collector::new(Budget::new(limit), Metrics::register().0),
        target: Arc::new(target),
        next_offset: std::cell::Cell::new(0),
        start: Instant::now(),
    }
}

impl Fixture {
    fn ticket(&self) -> Ticket {
        let offset = self.next_offset.replace(self.next_offset.get() + 1);
        self.tracker.take(0, offset).unwrap()
    }

    fn rows(&self, memory: u64) -> ArrivedRows {
        let chunk = CheckedChunk {
            counts: RowCounts { rows: 10, ok: 9, bad_rows: 1, bad_cells: 1 },
            block: Bytes::from_static(b"block"),
            rejects: RejectRows { count: 1, bytes: Bytes::from_static(b"reject") },
            summary: vec![],
            memory,
        };
        ArrivedRows::Checked(self.target.clone(), Box::new(chunk))
    }

    fn add(&self, job: &Arc<Job>, header: ChunkHeader, rows: ArrivedRows, at: u64) -> Added {
        let mut header = header;
        header.job.clone_from(&job.uid);
        if let ArrivedRows::Checked(_, chunk) = &rows {
            job.will_store(chunk.rejects.count);
        }
        let arrival = Arrival { header, ticket: self.ticket(), job: job.begin(), lane: Lane::Bulk, rows };
        self.collector.add(arrival, self.start + Duration::from_secs(at))
    }

    fn moved(&self) -> Vec<(i32, i64)> {
        self.tracker.offsets().moved()
    }
}

fn is_nothing(added: &Added) -> bool {
    matches!(added, Added::Nothing)
}

#[test]
fn an_open_batch_is_complete_once_all_its_chunks_have_arrived_in_any_order() {
    for order in [[0, 1, 2], [2, 0, 1]] {
        let (f, job) = (fixture(1000), job("u", 100));
        let add = |chunk: u32| f.add(&job, header(chunk, 0, chunk == 2), f.rows(10), 0);
        assert!(is_nothing(&add(order[0])) && is_nothing(&add(order[1])));
        let Added::Complete(mut batch) = add(order[2]) else { panic!("not complete") };
        assert_eq!((batch.chunks.count(), batch.tickets.len()), (3, 3));
        assert_eq!((batch.rows().first, batch.rows().end), (1, 31));
        let Content::Data(data) = &mut batch.content else { panic!("nothing is kept") };
        assert_eq!(data.counts, RowCounts { rows: 30, ok: 27, bad_rows: 3, bad_cells: 3 });
        assert_eq!((data.take_blocks().len(), data.reject_count, data.share.bytes()), (3, 3, 30));
        assert_eq!(f.collector.budget().used().in_flight, 30);
    }
}

#[test]
fn a_repeated_chunk_adds_only_its_ticket() {
    let (f, job) = (fixture(1000), job("u", 100));
    f.add(&job, header(0, 0, false), f.rows(10), 0);
    assert!(is_nothing(&f.add(&job, header(0, 0, false), f.rows(10), 0)));
    let Added::Complete(batch) = f.add(&job, header(1, 0, true), f.rows(10), 0) else { panic!() };
    assert_eq!((batch.tickets.len(), batch.chunks.count()), (3, 2));
    assert!(is_nothing(&f.add(&job, header(1, 0, true), f.rows(10), 0)), "while it is inserted");
    let key = Key::of(&batch.header, &batch.tickets[0]);
    assert_eq!(f.collector.finish(&key).len(), 1);
}

#[test]
fn another_chunk_with_the_same_number_ends_the_job_and_finishes_its_tickets_after_the_report() {
    let (f, job, other) = (fixture(1000), job("u", 100), job("v", 100));
    f.add(&job, header(0, 0, false), f.rows(10), 0);
    f.add(&job, header(7, 7, false), f.rows(10), 0);
    f.add(&other, header(0, 0, false), f.rows(10), 0);
    let mut changed = header(0, 0, false);
    changed.digest = Digest::of(b"another file");
    let Added::Report(update) = f.add(&job, changed, f.rows(10), 0) else { panic!("no conflict") };
    assert_eq!(update.tickets.len(), 3);
    assert!(job.has_ended() && !other.has_ended());
    assert_eq!(job.problem_over(None).unwrap().reason, "ChunkConflict");
    assert_eq!(f.moved(), [], "nothing is finished before the job says why");
    update.tickets.into_iter().for_each(Ticket::finish);
    assert_eq!(f.moved(), [(0, 2)]);
    assert_eq!(f.collector.budget().used().open, 10, "the other job's batch stays");
}

#[test]
fn a_chunk_that_the_ledger_has_is_reported_or_is_a_conflict() {
    let (f, job) = (fixture(1000), job("u", 100));
    let digests = vec![header(0, 0, false).digest.as_u64(), header(1, 0, true).digest.as_u64()];
    job.set_done(0, BatchLine { digests, loaded: true });
    let Added::Report(update) = f.add(&job, header(1, 0, true), f.rows(10), 0) else { panic!() };
    assert!(update.tickets.len() == 1 && !job.has_ended());
    let Added::Report(_) = f.add(&job, header(2, 0, true), f.rows(10), 0) else { panic!() };
    assert!(job.has_ended());
}

#[test]
fn the_batch_that_was_idle_longest_is_evicted_and_its_rows_are_no_longer_needed() {
    let (f, a, b) = (fixture(100), job("a", 100), job("b", 100));
    f.add(&a, header(0, 0, false), f.rows(60), 0);
    f.add(&b, header(0, 0, false), f.rows(60), 1);
    assert_eq!((a.remaining_quota(), f.collector.budget().used().open), (99, 120));
    assert!(f.collector.evict());
    assert_eq!((a.remaining_quota(), f.collector.budget().used().open), (100, 60));
    let wanted = |job: &Arc<Job>| {
        let mut header = header(1, 0, true);
        header.job.clone_from(&job.uid);
        let wanted = f.collector.wanted(&header, &f.ticket(), job);
        wanted != Wanted::Nothing
    };
    assert!(!wanted(&a) && wanted(&b));
    let unchecked = ArrivedRows::Unchecked;
    let Added::Complete(batch) = f.add(&a, header(1, 0, true), unchecked, 2) else { panic!() };
    assert!(matches!(batch.content, Content::Evicted));
    assert_eq!(batch.chunks.offsets().len(), 2);
}

#[test]
fn if_many_batches_are_open_only_the_partition_of_the_fullest_is_read_while_it_grows() {
    let (f, a, b) = (fixture(100), job("a", 100), job("b", 100));
    f.tracker.offsets().assign(1, Some(0), Instant::now());
    f.add(&a, header(0, 0, false), f.rows(40), 0);
    assert_eq!(f.collector.crowded(f.start), None, "there is only one");
    let mut other = header(0, 0, false);
    other.job.clone_from(&b.uid);
    let ticket = f.tracker.take(1, 0).unwrap();
    let arrival = Arrival { header: other, ticket, job: b.begin(), lane: Lane::Bulk, rows: f.rows(30) };
    f.collector.add(arrival, f.start);
    assert_eq!(f.collector.crowded(f.start), Some(0));
    assert_eq!(f.collector.crowded(f.start + GROWING), None, "nobody waits for a slow upload");
    assert!(matches!(f.add(&a, header(1, 0, true), f.rows(40), 0), Added::Complete(_)));
    assert_eq!(f.collector.crowded(f.start), None, "what is being inserted is not open");
}

#[tokio::test]
async fn an_open_batch_never_blocks_the_worker() {
    let (f, a) = (fixture(100), job("a", 100));
    f.add(&a, header(0, 0, false), f.rows(500), 0);
    f.collector.admit(Lane::Bulk).await;
    assert_eq!(f.collector.budget().used().open, 0);
}

#[test]
fn idle_batches_of_a_job_that_has_ended_are_dropped_and_their_tickets_finished() {
    let (f, a, b) = (fixture(1000), job("a", 100), job("b", 100));
    f.add(&a, header(0, 0, false), f.rows(10), 0);
    f.add(&b, header(0, 0, false), f.rows(10), 4);
    let at = |seconds| f.start + Duration::from_secs(seconds);
    assert!(f.collector.idle_jobs(at(4)).is_empty());
    assert_eq!(f.collector.idle_jobs(at(5)).len(), 1);
    a.end();
    f.collector.sweep(at(4));
    assert_eq!(f.moved(), [], "it is not idle yet");
    f.collector.sweep(at(5));
    assert_eq!((f.moved(), f.collector.budget().used().open), (vec![(0, 1)], 10));
    assert!(a.is_idle() && !b.is_idle());
}

#[test]
fn a_batch_that_may_be_in_the_table_is_kept_until_no_more_chunks_of_it_can_arrive() {
    let (f, a) = (fixture(1000), job("a", 100));
    f.tracker.offsets().assign(0, Some(2), Instant::now());
    f.add(&a, header(0, 0, false), f.rows(10), 0);
    a.end();
    f.collector.sweep(f.start + IDLE);
    assert_eq!(f.collector.budget().used().open, 10);
    f.add(&job("b", 0), header(0, 0, false), f.rows(10), 0);
    f.collector.sweep(f.start + IDLE);
    assert_eq!(f.collector.budget().used().open, 10, "only that of the other job");
}

#[test]
fn an_incomplete_batch_is_given_up_once_its_other_chunks_cannot_arrive_any_more() {
    let (f, a) = (fixture(1000), job("a", 100));
    let upload = |complete| UploadStatus { complete, last_offsets: vec![1], ..UploadStatus::default() };
    f.add(&a, header(1, 0, false), f.rows(10), 0);
    let pending = f.ticket();
    let at = |seconds| f.start + Duration::from_secs(seconds);
    a.note_upload(&upload(false));
    f.collector.sweep(at(5));
    assert_eq!(f.collector.budget().used().open, 10, "its upload may continue");
    a.note_upload(&upload(true));
    f.collector.sweep(at(5));
    assert_eq!(f.collector.budget().used().open, 10, "a chunk is on its way");
    pending.finish();
    f.collector.sweep(at(4));
    assert_eq!((f.moved(), f.collector.budget().used().open), (vec![], 10), "it is not idle yet");
    f.collector.sweep(at(5));
    assert_eq!((f.moved(), f.collector.budget().used().open), (vec![(0, 2)], 0));
    assert!(!a.has_ended() && a.is_idle() && a.remaining_quota() == 100);
}

#[test]
fn no_rows_of_a_job_that_has_ended_are_kept() {
    let (f, a) = (fixture(1000), job("a", 100));
    f.add(&a, header(0, 0, false), f.rows(10), 0);
    a.end();
    assert_eq!(f.collector.wanted(&header(1, 0, true), &f.ticket(), &a), Wanted::Nothing);
    let Added::Complete(batch) = f.add(&a, header(1, 0, true), ArrivedRows::Unchecked, 1) else { panic!() };
    assert!(matches!(batch.content, Content::Evicted) && f.collector.budget().used().in_flight == 0);
}

#[test]
fn a_batch_of_a_revoked_partition_is_dropped_and_starts_anew() {
    let (f, a) = (fixture(1000), job("a", 100));
    f.add(&a, header(0, 0, false), f.rows(10), 0);
    f.tracker.offsets().assign(0, Some(10), Instant::now());
    assert!(is_nothing(&f.add(&a, header(1, 0, true), f.rows(10), 0)), "its first chunk is delivered again");
    f.collector.sweep(f.start);
    assert_eq!((f.moved(), f.collector.budget().used().open), (vec![], 10));
    assert!(matches!(f.add(&a, header(0, 0, false), f.rows(10), 0), Added::Complete(_)));
}

#[test]
fn a_batch_with_a_chunk_that_cannot_be_checked_is_refused_completely() {
    let (f, a) = (fixture(1000), job("a", 100));
    f.add(&a, header(0, 0, false), f.rows(10), 0);
    let refusal = Refusal { reason: "WrongRows".into(), message: "…".into() };
    let Added::Complete(batch) = f.add(&a, header(1, 0, true), ArrivedRows::Refused(refusal), 0) else {
        panic!()
    };
    assert!(matches!(batch.content, Content::Refused(_)));
    assert_eq!((a.remaining_quota(), f.collector.budget().used().open), (100, 0));
}
