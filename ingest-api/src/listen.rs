//! Accepts, serves and closes connections, as `axum::serve`, but with a time limit for the head of a request.

use std::convert::Infallible;
use std::io;
use std::pin::pin;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};

use crate::state::until_true;
use crate::upload::body::READ_BYTES;

/// How long a client may take for the head of a request. It applies to each request of a connection that is kept alive.
const HEAD_TIMEOUT: Duration = Duration::from_secs(60);

/// Serves until `closing` becomes true. Then it accepts no new connection, and returns when all connections have ended.
pub async fn serve(listener: TcpListener, router: Router, mut closing: watch::Receiver<bool>) {
    serve_within(HEAD_TIMEOUT, listener, router, &mut closing).await;
}

async fn serve_within(
    head_timeout: Duration,
    listener: TcpListener,
    router: Router,
    closing: &mut watch::Receiver<bool>,
) {
    let (open, mut all_closed) = mpsc::channel::<Infallible>(1);
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = until_true(closing) => break,
        };
        match accepted {
            Ok((stream, _)) => {
                let (router, closing, open) = (router.clone(), closing.clone(), open.clone());
                tokio::spawn(async move {
                    connection(head_timeout, stream, router, closing).await;
                    drop(open);
                });
            }
            Err(error) if is_of_the_connection(&error) => {}
            Err(error) => {
                // For example, no file descriptor is free: later there may be one.
                tracing::warn!(%error, "failed to accept a connection");
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
        }
    }
    drop((listener, open));
    all_closed.recv().await;
}

async fn connection(
    head_timeout: Duration,
    stream: TcpStream,
    router: Router,
    mut closing: watch::Receiver<bool>,
) {
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "failed to set TCP_NODELAY");
    }
    let serving = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(head_timeout)
        .max_buf_size(READ_BYTES)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router));
    let mut serving = pin!(serving);
    let ended = tokio::select! {
        ended = serving.as_mut() => ended,
        () = until_true(&mut closing) => {
            serving.as_mut().graceful_shutdown();
            serving.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection ended early");
    }
}

fn is_of_the_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset)
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    async fn started(
        head_timeout: Duration,
    ) -> (TcpStream, watch::Sender<bool>, tokio::task::JoinHandle<()>) {
        let router = Router::new().route("/", axum::routing::get(|| async { "here" }));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (close, mut closing) = watch::channel(false);
        let serving =
            tokio::spawn(async move { serve_within(head_timeout, listener, router, &mut closing).await });
        (TcpStream::connect(address).await.unwrap(), close, serving)
    }

    #[tokio::test]
    async fn an_incomplete_request_is_given_up() {
        let (mut client, _close, _serving) = started(Duration::from_millis(50)).await;
        client.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n").await.unwrap();
        let mut answer = Vec::new();
        // the server ends the connection; the content of its answer is irrelevant
        let _ = client.read_to_end(&mut answer).await;
        assert!(!String::from_utf8_lossy(&answer).contains("200"));
    }

    #[tokio::test]
    async fn a_complete_request_is_answered_and_closing_ends_idle_connections() {
        let (mut client, close, serving) = started(Duration::from_secs(60)).await;
        client.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
        let mut answer = vec![0; 12];
        client.read_exact(&mut answer).await.unwrap();
        assert_eq!(answer, b"HTTP/1.1 200");
        close.send_replace(true);
        serving.await.unwrap();
    }
}
