//! The body of a request as a blocking reader, and what a reader of it must know: whether it came to its end.

use std::io::{self, BufRead, Read};
use std::time::Duration;

use axum::body::{Body, BodyDataStream};
use bytes::{Buf, Bytes};
use futures::StreamExt;
use tokio::sync::{mpsc, watch};

/// Pieces that wait for the thread that cuts; hyper's are at most 400 KiB.
const QUEUE: usize = 4;
/// What is taken at most of a body that nobody wants.
const LINGER_BYTES: usize = 64 << 20;
/// For how long at most.
const LINGER_TIME: Duration = Duration::from_secs(5);

/// A piece of the body; `None` is its clean end. A queue that closes without it means that the body broke off.
type Piece = Option<Bytes>;

/// The sending end, to be given to [`pump`].
pub struct Pieces(mpsc::Sender<Piece>);

/// The receiving end: a reader that must be used outside the async runtime.
pub struct BodyReader {
    pieces: mpsc::Receiver<Piece>,
    current: Bytes,
    ended: bool,
}

/// The two ends of a short queue.
#[must_use]
pub fn pipe() -> (Pieces, BodyReader) {
    let (sender, pieces) = mpsc::channel(QUEUE);
    (Pieces(sender), BodyReader { pieces, current: Bytes::new(), ended: false })
}

/// Moves a body into the queue until it ends, breaks off, is silent for `idle`, or `stop` turns true.
///
/// `length` is the Content-Length: a body that ends before it broke off, whatever the transport says.
pub async fn pump(
    body: Body,
    length: Option<u64>,
    idle: Duration,
    mut stop: watch::Receiver<bool>,
    to: Pieces,
) {
    let mut body = body.into_data_stream();
    let mut seen = 0;
    loop {
        let next = tokio::select! {
            next = tokio::time::timeout(idle, body.next()) => next,
            _ = stop.wait_for(|stop| *stop) => return,
        };
        let piece = match next {
            Ok(Some(Ok(bytes))) => bytes,
            Ok(None) if length.is_none_or(|length| seen == length) => {
                // Nobody listens any more: whoever stopped listening has said why.
                let _ = to.0.send(None).await;
                return;
            }
            Ok(None) => return tracing::info!(seen, "the body is shorter than its Content-Length"),
            Ok(Some(Err(error))) => return tracing::info!(%error, seen, "the body broke off"),
            Err(_) => return tracing::info!(seen, "the client sent nothing for {} s", idle.as_secs()),
        };
        seen += piece.len() as u64;
        if !piece.is_empty() && to.0.send(Some(piece)).await.is_err() {
            return drain(body).await;
        }
    }
}

/// Takes what a client is still sending after it was answered, within bounds: a connection that is closed while bytes
/// are under way is reset, and the reset may overtake the answer.
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

/// Whether an error means that the body broke off, rather than that its bytes are bad.
#[must_use]
pub fn broke_off(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::ConnectionAborted
}

impl BufRead for BodyReader {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        while self.current.is_empty() && !self.ended {
            match self.pieces.blocking_recv() {
                Some(Some(bytes)) => self.current = bytes,
                Some(None) => self.ended = true,
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

    /// A reader of these pieces; `clean` says whether they come to an end or break off.
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

    async fn pumped(body: Body, length: Option<u64>, idle: Duration, stopped: bool) -> io::Result<Vec<u8>> {
        let (to, reader) = pipe();
        let (_stop, stop) = watch::channel(stopped);
        let reading = tokio::task::spawn_blocking(|| all(reader));
        pump(body, length, idle, stop, to).await;
        reading.await.unwrap()
    }

    #[tokio::test]
    async fn a_body_that_breaks_off_is_never_taken_for_one_that_ends() {
        let minute = Duration::from_mins(1);
        assert_eq!(pumped(Body::from("abc"), Some(3), minute, false).await.unwrap(), b"abc");
        assert_eq!(pumped(Body::from("abc"), None, minute, false).await.unwrap(), b"abc");
        let short = pumped(Body::from("abc"), Some(4), minute, false).await.unwrap_err();
        let stream = futures::stream::iter([Ok(Bytes::from("abc")), Err(io::Error::other("reset"))]);
        let broken = pumped(Body::from_stream(stream), None, minute, false).await.unwrap_err();
        let stopped = pumped(silent(), None, minute, true).await.unwrap_err();
        for error in [short, broken, stopped] {
            assert!(broke_off(&error), "{error}");
        }
    }

    #[tokio::test]
    async fn a_client_that_falls_silent_is_given_up() {
        let given_up = pumped(silent(), None, Duration::from_millis(20), false).await.unwrap_err();
        assert!(broke_off(&given_up));
    }

    fn silent() -> Body {
        Body::from_stream(futures::stream::pending::<io::Result<Bytes>>())
    }
}
