use std::sync::Mutex;
use std::time::Duration;

use bytes::Bytes;
use clickhouse::Client;
use connect::Health;
use crds::TableName;
use rdkafka::ClientConfig;
use rows_check::{Columns, Plan};
use rows_types::{Column, Input, Schema, Type};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;

use super::*;
use crate::budget::{Budget, Lane};
use crate::check::CheckedChunk;
use crate::cluster::Cluster;
use crate::collect::{Added, Arrival, ArrivedRows};
use crate::health_tracker::HealthTracker;
use crate::insert::Names;
use crate::insert::rejects::RejectRows;
use crate::job::Job;
use crate::ledger::Ledger;
use crate::pii::Privacy;
use crate::pipeline::Stages;
use crate::plan::Target;
use crate::redelivery::LATE_INSERT;
use crate::stop::{self, Stopper};
use crate::summary::RowCounts;
use crate::testing::{header, job};
use crate::tracker::Tracker;

/// A request of the worker to ClickHouse in these tests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Call {
    Data,
    Ledger,
    Count,
}

/// The answer to a request: a number of rows (none for an INSERT), or no answer at all.
type Answer = Box<dyn FnMut(Call) -> Option<u64> + Send>;

struct Fixture {
    loader: Arc<Loader>,
    tracker: Arc<Tracker>,
    calls: Arc<Mutex<Vec<(Call, Instant)>>>,
    updates: UnboundedReceiver<ProgressUpdate>,
    stopper: Stopper,
}

async fn fixture(answer: Answer) -> Fixture {
    let calls = Arc::new(Mutex::new(Vec::new()));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let client = Client::default()
        .with_url(format!("http://{}", listener.local_addr().unwrap()))
        .with_compression(clickhouse::Compression::None)
        .with_validation(false);
    tokio::spawn(serve(listener, answer, calls.clone()));
    // Nothing listens on this address: requests to the API server get no answer.
    let kube = kube::Client::try_from(kube::Config::new("http://127.0.0.1:1".parse().unwrap())).unwrap();
    let (cluster, table) = (Cluster::new(&kube, "n"), TableName::new("d", "orders").unwrap());
    let (metrics, (stopper, stop)) = (Metrics::register().0, stop::channel());
    let retry = Retry::new(stop, HealthTracker::new(Health::default(), &[]), metrics.clone());
    let kafka = ClientConfig::new();
    let (progress, updates) = mpsc::unbounded_channel();
    let names = Names { model: "m", namespace: "n" };
    let parts = LoaderParts {
        inserter: Inserter::new(client.clone(), "d", &table, names, "w").unwrap(),
        jobs: Arc::new(Jobs::new(Ledger::new(client, "d").unwrap(), cluster.clone(), "m")),
        targets: Arc::new(Targets::new(cluster, table)),
        collector: Arc::new(Collector::new(Budget::new(1000), metrics.clone())),
        dead_letters: Arc::new(DeadLetters::new(kafka.clone(), "t".into(), retry.clone(), metrics.clone())),
        reread: Reread::new(kafka, "t".into()),
        retry,
        metrics,
        buffers: Buffers::new(0),
        replaces: false,
        progress,
    };
    Fixture { loader: Loader::new(parts, 1), tracker: Arc::default(), calls, updates, stopper }
}

/// A server with the part of ClickHouse that these tests need.
async fn serve(listener: TcpListener, mut answer: Answer, calls: Arc<Mutex<Vec<(Call, Instant)>>>) {
    while let Ok((mut stream, _)) = listener.accept().await {
        let request = request(&mut stream).await;
        let call = match (request.contains("INSERT"), request.contains("ingest_batches")) {
            (true, true) => Call::Ledger,
            (true, false) => Call::Data,
            (false, _) => Call::Count,
        };
        calls.lock().unwrap().push((call, Instant::now()));
        let Some(rows) = answer(call) else { continue };
        let body = if call == Call::Count { rows.to_le_bytes().to_vec() } else { Vec::new() };
        let head = format!("HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: {}\r\n\r\n", body.len());
        stream.write_all(&[head.into_bytes(), body].concat()).await.unwrap();
    }
}

/// Reads a request to its end.
async fn request(stream: &mut TcpStream) -> String {
    let mut read = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&read).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let head = head.to_ascii_lowercase();
            let length = head.split_once("content-length: ").map(|(_, rest)| rest.lines().next().unwrap());
            let is_complete = match length {
                Some(length) => body.len() >= length.parse().unwrap(),
                None => !head.contains("chunked") || body.ends_with("0\r\n\r\n"),
            };
            if is_complete {
                return text;
            }
        }
        assert_ne!(stream.read_buf(&mut read).await.unwrap(), 0, "cut off: {text}");
    }
}

impl Fixture {
    /// Loads a batch of one chunk of ten good rows. Its partition was assigned at `assigned`, with ten records.
    async fn load(&self, job: &Arc<Job>, assigned: Instant, offset: i64) {
        self.tracker.offsets().assign(0, Some(10), assigned);
        let schema = Schema::new(vec![Column::new("id", Type::parse("String").unwrap())], None).unwrap();
        let target = Arc::new(Target {
            plan: Arc::new(Plan::bind(Columns::compile(schema).unwrap(), Input::default(), None).unwrap()),
            insert: "INSERT INTO `d`.`orders` FORMAT Native".into(),
            privacy: Privacy::of(&[crds::model::ColumnSpec::default()], "id"),
        });
        let chunk = CheckedChunk {
            counts: RowCounts { rows: 10, ok: 10, bad_rows: 0, bad_cells: 0 },
            block: Bytes::from_static(b"block"),
            rejects: RejectRows { count: 0, bytes: Bytes::new() },
            summary: vec![],
            memory: 10,
        };
        let mut header = header(0, 0, true);
        header.job.clone_from(&job.uid);
        let ticket = self.tracker.take(0, offset).unwrap();
        let rows = ArrivedRows::Checked(target, Box::new(chunk));
        let arrival = Arrival { header, ticket, job: job.begin(), lane: Lane::Bulk, rows };
        let Added::Complete(batch) = self.loader.collector.add(arrival, Instant::now()) else { panic!() };
        self.loader.clone().load(*batch).await;
    }

    fn calls(&self) -> Vec<Call> {
        self.calls.lock().unwrap().iter().map(|(call, _)| *call).collect()
    }

    fn moved(&self) -> Vec<(i32, i64)> {
        self.tracker.offsets().moved()
    }
}

/// Returns a time so long ago that no INSERT of another worker can still take effect.
fn long_ago() -> Instant {
    Instant::now().checked_sub(LATE_INSERT * 2).unwrap()
}

#[tokio::test]
async fn a_batch_whose_insert_got_no_answer_is_loaded_completely_although_its_job_has_ended() {
    let job = job("u", 0);
    let (ends, mut inserts) = (job.clone(), 0);
    let answer = move |call| match call {
        Call::Data => {
            ends.end();
            inserts += 1;
            (inserts > 1).then_some(0)
        }
        Call::Count => Some(if inserts > 1 { 10 } else { 0 }),
        Call::Ledger => Some(0),
    };
    let mut f = fixture(Box::new(answer)).await;
    f.load(&job, long_ago(), 12).await;
    assert_eq!(f.calls(), [Call::Data, Call::Count, Call::Data, Call::Count, Call::Ledger]);
    let update = f.updates.try_recv().unwrap();
    assert_eq!((update.tickets.len(), job.find(&header(0, 0, true))), (1, InLedger::Loaded));
    assert_eq!(f.moved(), [], "not before the report");
}

#[tokio::test]
async fn a_batch_of_a_job_that_has_ended_is_dropped_once_no_insert_of_others_can_be_stored_any_more() {
    let job = job("u", 0);
    job.end();
    let f = fixture(Box::new(|_| Some(0))).await;
    let assigned = Instant::now().checked_sub(LATE_INSERT).unwrap() + Duration::from_millis(400);
    let mut loading = std::pin::pin!(f.load(&job, assigned, 3));
    assert!(futures::poll!(&mut loading).is_pending());
    assert_eq!((f.loader.collector.budget().used().in_flight, f.calls()), (0, vec![]), "it takes no memory");
    let mut other = f.loader.slots.slot(Lane::Bulk);
    assert!(futures::poll!(std::pin::pin!(other.acquire())).is_ready(), "nor a place");
    other.release();
    loading.await;
    assert_eq!((f.calls(), f.moved()), (vec![Call::Count], vec![(0, 4)]));
    assert!(f.calls.lock().unwrap()[0].1 >= assigned + LATE_INSERT);
}

#[tokio::test]
async fn a_chunk_of_a_job_that_has_ended_is_dropped_only_after_a_look_up_after_the_last_late_insert() {
    let (job, f) = (job("u", 0), fixture(Box::new(|_| Some(0))).await);
    let parts = &f.loader.parts;
    let stages = Stages {
        jobs: parts.jobs.clone(),
        targets: parts.targets.clone(),
        collector: parts.collector.clone(),
        inserter: parts.inserter.clone(),
        retry: parts.retry.clone(),
        metrics: parts.metrics.clone(),
        dead_letters: parts.dead_letters.clone(),
        buffers: parts.buffers.clone(),
    };
    let is_dropped = async |assigned, offset| {
        f.tracker.offsets().assign(0, Some(10), assigned);
        let ticket = f.tracker.take(0, offset).unwrap();
        !stages.may_be_in_table(&job, &header(0, 0, false), &ticket).await.unwrap()
    };
    assert!(!is_dropped(Instant::now(), 3).await && f.calls().is_empty(), "an INSERT may still be stored");
    assert!(is_dropped(Instant::now(), 10).await && f.calls().is_empty(), "it cannot have been sent");
    assert!(is_dropped(long_ago(), 3).await && is_dropped(long_ago(), 3).await);
    assert_eq!(f.calls().len(), 1, "one look for all chunks");
    let just_over = Instant::now().checked_sub(LATE_INSERT).unwrap();
    assert!(is_dropped(just_over, 3).await);
    assert_eq!(f.calls().len(), 2, "the look before was too early");
}

#[tokio::test]
async fn a_batch_that_cannot_have_been_sent_is_dropped_at_once_when_its_job_has_ended() {
    let job = job("u", 0);
    job.end();
    let f = fixture(Box::new(|_| Some(0))).await;
    f.load(&job, Instant::now(), 12).await;
    assert_eq!((f.calls(), f.moved()), (vec![], vec![(0, 13)]));
}

#[tokio::test]
async fn a_batch_that_waits_for_late_inserts_is_left_to_others_when_the_worker_stops() {
    let job = job("u", 0);
    job.end();
    let f = fixture(Box::new(|_| Some(0))).await;
    f.stopper.stop();
    f.load(&job, Instant::now(), 3).await;
    assert_eq!((f.calls(), f.moved()), (vec![], vec![]));
}
