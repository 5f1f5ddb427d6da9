//! The body of a request as a blocking reader. The reader knows whether the body came to its end.

use std::io::{self, BufRead, Read};
use std::time::Duration;

use axum::body::{Body, BodyDataStream};
use bytes::{Buf, Bytes};
use futures::StreamExt;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{Instant, timeout};

use crate::state::until_true;
use crate::upload::pace::Pace;

/// The most bytes that the server reads from a connection at once.
pub const READ_BYTES: usize = 256 * 1024;
/// How many pieces wait for the cutting thread.
const QUEUE: usize = 1;
/// The most bytes of a body in memory: a piece that is read, those that wait, and the one that is decoded.
pub const BODY_BYTES: u64 = (QUEUE as u64 + 2) * READ_BYTES as u64;
/// The most bytes that are still read of a body that is no longer needed.
const LINGER_BYTES: usize = 64 << 20;
/// The most time for that.
const LINGER_TIME: Duration = Duration::from_secs(5);

/// A piece of the body; `None` is its regular end. If the queue closes without it, the body was interrupted.
type Piece = Option<Bytes>;

/// The sending end, which [`pump`] needs.
pub struct Pieces(mpsc::Sender<Piece>);

/// The receiving end: a reader that must be used outside the async runtime.
pub struct BodyReader {
    pieces: mpsc::Receiver<Piece>,
    current: Bytes,
    ended: bool,
}

/// Returns the two ends of a short queue.
#[must_use]
pub fn pipe() -> (Pieces, BodyReader) {
    let (sender, pieces) = mpsc::channel(QUEUE);
    (Pieces(sender), BodyReader { pieces, current: Bytes::new(), ended: false })
}

/// The limits of a body.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// The Content-Length. A body that ends earlier was interrupted, even if the transport reports a regular end.
    pub length: Option<u64>,
    /// How long a client may send nothing.
    pub idle: Duration,
    /// The least bytes per second that a client must send, see [`Pace`]; 0: any rate.
    pub least_rate: u64,
}

/// How a body ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BodyEnd {
    /// All of it is in the queue.
    Complete,
    /// The connection ended, or the client was silent for too long.
    Interrupted,
    /// The client sent too slowly.
    TooSlow,
    /// The server is stopping.
    Stopped,
    /// The reader was dropped.
    Unwanted,
}

/// Moves a body into the queue until it ends or exceeds a limit, until `stop` becomes true, or until the other end of
/// `wanted` is dropped.
pub async fn pump(
    body: Body,
    bounds: Bounds,
    mut stop: watch::Receiver<bool>,
    mut wanted: oneshot::Receiver<()>,
    to: Pieces,
) -> BodyEnd {
    let mut body = body.into_data_stream();
    let mut pace = Pace::new(bounds.least_rate);
    let mut silent_since = Instant::now();
    let mut seen = 0;
    loop {
        let asked = Instant::now();
        let silence = bounds.idle.saturating_sub(asked - silent_since);
        let next = tokio::select! {
            next = timeout(silence.min(pace.left()), body.next()) => next,
            () = until_true(&mut stop) => return BodyEnd::Stopped,
            _ = &mut wanted => {
                drop(to);
                drain(body).await;
                return BodyEnd::Unwanted;
            }
        };
        let bytes = if let Ok(Some(Ok(piece))) = &next { piece.len() as u64 } else { 0 };
        let fast_enough = pace.note(asked.elapsed(), bytes);
        let piece = match next {
            Ok(Some(Ok(piece))) => piece,
            Ok(None) if bounds.length.is_none_or(|length| seen == length) => {
                // This fails if the reader was dropped. Then the reason is already known.
                let _ = to.0.send(None).await;
                return BodyEnd::Complete;
            }
            Ok(None) => {
                tracing::info!(seen, "the body is shorter than its Content-Length");
                return BodyEnd::Interrupted;
            }
            Ok(Some(Err(error))) => {
                tracing::info!(%error, seen, "the body broke off");
                return BodyEnd::Interrupted;
            }
            Err(_) if silent_since.elapsed() >= bounds.idle => {
                tracing::info!(seen, "the client sent nothing for {} s", bounds.idle.as_secs());
                return BodyEnd::Interrupted;
            }
            Err(_) => Bytes::new(),
        };
        if !fast_enough {
            tracing::info!(seen, "the client sends too slowly");
            return BodyEnd::TooSlow;
        }
        if piece.is_empty() {
            continue;
        }
        seen += bytes;
        if to.0.send(Some(piece)).await.is_err() {
            drain(body).await;
            return BodyEnd::Unwanted;
        }
        // While this task waits for a place in the queue, the client is not silent.
        silent_since = Instant::now();
    }
}

/// Reads what a client still sends after its answer, within limits. If a connection is closed while bytes are on their
/// way, it is reset, and the client may see the reset before the answer.
pub async fn linger(body: Body) {
    drain(body.into_data_stream()).await;
}

async fn drain(mut body: BodyDataStream) {
    let draining = async {
        let mut left = LINGER_BYTES;
        while let Some(Ok(piece)) = body.next().await {
            left = left.saturating_sub(piece.len());
            if left == 0 {
                return;
            }
        }
    };
    let _ = tokio::time::timeout(LINGER_TIME, draining).await;
}

/// Returns whether an error means that the body was interrupted, and not that its bytes are invalid.
#[must_use]
pub fn is_interrupted(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::ConnectionAborted
}

impl BufRead for BodyReader {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        while self.current.is_empty() && !self.ended {
            match self.pieces.blocking_recv() {
                Some(Some(bytes)) => self.current = bytes,
                Some(None) => self.ended = true,
                // The result of the pump has the reason.
                None => return Err(io::ErrorKind::ConnectionAborted.into()),
            }
        }
        Ok(&self.current)
    }

    fn consume(&mut self, amount: usize) {
        self.current.advance(amount);
    }
}

impl Read for BodyReader {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let from = self.fill_buf()?;
        let amount = from.len().min(into.len());
        into[..amount].copy_from_slice(&from[..amount]);
        self.consume(amount);
        Ok(amount)
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// Returns a reader of these pieces; `clean` is whether they end regularly or are interrupted.
    pub fn reader(pieces: &[&[u8]], clean: bool) -> BodyReader {
        let (sender, receiver) = mpsc::channel(pieces.len() + 1);
        for piece in pieces {
            sender.try_send(Some(Bytes::copy_from_slice(piece))).unwrap();
        }
        if clean {
            sender.try_send(None).unwrap();
        }
        BodyReader { pieces: receiver, current: Bytes::new(), ended: false }
    }

    fn all(mut reader: BodyReader) -> io::Result<Vec<u8>> {
        let mut out = Vec::new();
        reader.read_to_end(&mut out).map(|_| out)
    }

    const MINUTE: Bounds = Bounds { length: None, idle: Duration::from_secs(60), least_rate: 0 };

    async fn pumped(body: Body, bounds: Bounds, stopped: bool) -> (BodyEnd, io::Result<Vec<u8>>) {
        let (to, reader) = pipe();
        let (_stop, stop) = watch::channel(stopped);
        let (_wanted, wanted) = oneshot::channel();
        let reading = tokio::task::spawn_blocking(|| all(reader));
        let end = pump(body, bounds, stop, wanted, to).await;
        (end, reading.await.unwrap())
    }

    #[tokio::test]
    async fn a_body_that_breaks_off_is_never_treated_as_complete() {
        let of = |length| Bounds { length, ..MINUTE };
        for length in [Some(3), None] {
            let (end, bytes) = pumped(Body::from("abc"), of(length), false).await;
            assert_eq!((end, bytes.unwrap()), (BodyEnd::Complete, b"abc".to_vec()));
        }
        let stream = futures::stream::iter([Ok(Bytes::from("abc")), Err(io::Error::other("reset"))]);
        let cases = [
            (pumped(Body::from("abc"), of(Some(4)), false).await, BodyEnd::Interrupted),
            (pumped(Body::from_stream(stream), MINUTE, false).await, BodyEnd::Interrupted),
            (pumped(silent(), MINUTE, true).await, BodyEnd::Stopped),
        ];
        for ((end, bytes), expected) in cases {
            assert_eq!(end, expected);
            assert!(is_interrupted(&bytes.unwrap_err()));
        }
    }

    /// Pumps on a paused clock, which advances when all tasks wait.
    async fn pumped_on_a_paused_clock(body: Body, bounds: Bounds) -> (BodyEnd, u64) {
        let (to, mut reader) = pipe();
        let (_stop, stop) = watch::channel(false);
        let (_wanted, wanted) = oneshot::channel();
        let began = Instant::now();
        let reading = async { while reader.pieces.recv().await.flatten().is_some() {} };
        let (end, ()) = tokio::join!(pump(body, bounds, stop, wanted, to), reading);
        (end, began.elapsed().as_secs())
    }

    /// Sends `bytes` bytes each second, for `seconds` seconds.
    fn trickle(bytes: usize, seconds: u64) -> Body {
        let stream = futures::stream::iter(0..seconds).then(move |_| async move {
            tokio::time::sleep(Duration::from_secs(1)).await;
            Ok::<_, io::Error>(Bytes::from(vec![b'x'; bytes]))
        });
        Body::from_stream(stream)
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_below_the_least_rate_is_given_up_after_half_a_minute_and_a_faster_one_is_not() {
        let bounds = Bounds { least_rate: 1024, ..MINUTE };
        assert_eq!(pumped_on_a_paused_clock(trickle(100, 1000), bounds).await, (BodyEnd::TooSlow, 30));
        assert_eq!(pumped_on_a_paused_clock(trickle(2048, 100), bounds).await, (BodyEnd::Complete, 100));
        assert_eq!(pumped_on_a_paused_clock(trickle(100, 100), MINUTE).await, (BodyEnd::Complete, 100));
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_sends_nothing_is_given_up() {
        assert_eq!(pumped_on_a_paused_clock(silent(), MINUTE).await, (BodyEnd::Interrupted, 60));
        let rated = Bounds { least_rate: 1, ..MINUTE };
        assert_eq!(pumped_on_a_paused_clock(silent(), rated).await, (BodyEnd::TooSlow, 30));
    }

    #[tokio::test(start_paused = true)]
    async fn a_slow_kafka_does_not_make_a_client_too_slow() {
        let (to, mut reader) = pipe();
        let (_stop, stop) = watch::channel(false);
        let (_wanted, wanted) = oneshot::channel();
        let bounds = Bounds { least_rate: 1024, ..MINUTE };
        let pieces = futures::stream::iter((0..10).map(|_| Ok::<_, io::Error>(Bytes::from("x"))));
        let reading = async {
            while reader.pieces.recv().await.flatten().is_some() {
                tokio::time::sleep(Duration::from_secs(100)).await;
            }
        };
        let (end, ()) = tokio::join!(pump(Body::from_stream(pieces), bounds, stop, wanted, to), reading);
        assert_eq!(end, BodyEnd::Complete);
    }

    #[tokio::test]
    async fn a_body_that_is_no_longer_needed_ends_its_reader_at_once() {
        let (to, reader) = pipe();
        let (_stop, stop) = watch::channel(false);
        let (wanted, wants) = oneshot::channel();
        drop(wanted);
        let pumping = tokio::spawn(pump(silent(), MINUTE, stop, wants, to));
        let read = tokio::task::spawn_blocking(|| all(reader)).await.unwrap();
        assert!(is_interrupted(&read.unwrap_err()));
        pumping.abort();
    }

    fn silent() -> Body {
        Body::from_stream(futures::stream::pending::<io::Result<Bytes>>())
    }
}
