//! Requests that are refused before a byte of the body is read and before the cluster is called: these tests have no
//! cluster.

#![allow(clippy::unwrap_used, reason = "a test: its helpers are not seen as one")]

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::Router;
use axum::body::{Body, Bytes, to_bytes};
use axum::http::{Request, Response};
use clap::Parser;
use futures::stream;
use ingest_api::settings::Cli;
use ingest_api::state::Shared;
use ingest_api::{openapi, server};
use serde_json::Value;
use tokio::sync::watch;
use tokio::time::Instant;
use tower::ServiceExt;

/// Nothing listens on this port.
const NOWHERE: &str = "http://127.0.0.1:1";

fn app(flags: &[&str]) -> (Shared, Router) {
    let base = ["ingest-api", "--kafka-bootstrap=127.0.0.1:1"];
    let settings = Cli::parse_from(base.iter().chain(flags)).settings;
    let kube = kube::Client::try_from(kube::Config::new(NOWHERE.parse().unwrap())).unwrap();
    let (_stop, stopped) = watch::channel(false);
    let app = server::app(settings, kube, stopped).unwrap();
    (app.clone(), openapi::router(app))
}

/// A body that records whether it was read: a real client would get `100 Continue` then.
fn watched_body() -> (Body, Arc<AtomicBool>) {
    let read = Arc::new(AtomicBool::new(false));
    let noted = Arc::clone(&read);
    let body = stream::once(async move {
        noted.store(true, Ordering::SeqCst);
        Ok::<_, io::Error>(Bytes::from("event_id\n1\n"))
    });
    (Body::from_stream(body), read)
}

async fn answer(router: Router, request: Request<Body>) -> (u16, Response<()>, Value) {
    let (head, body) = router.oneshot(request).await.unwrap().into_parts();
    let body = to_bytes(body, 1 << 20).await.unwrap();
    (head.status.as_u16(), Response::from_parts(head, ()), serde_json::from_slice(&body).unwrap())
}

async fn refusal(flags: &[&str], method: &str, path: &str, headers: &[(&str, &str)]) -> (u16, String) {
    let (body, read) = watched_body();
    let mut request = Request::builder().method(method).uri(path).header("expect", "100-continue");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let (status, _, body) = answer(app(flags).1, request.body(body).unwrap()).await;
    // Let the tasks run that the request left behind.
    tokio::task::yield_now().await;
    assert!(!read.load(Ordering::SeqCst), "{method} {path}: the body was read");
    assert!(!body["error"]["message"].as_str().unwrap().is_empty());
    (status, body["error"]["reason"].as_str().unwrap().to_owned())
}

const POST: &str = "/v1/namespaces/shop/models/purchases/jobs";
const PUT: &str = "/v1/namespaces/shop/jobs/e5f6a7b8/data";

fn is(status: u16, reason: &str) -> (u16, String) {
    (status, reason.to_owned())
}

#[tokio::test]
async fn an_impossible_request_is_refused_by_its_headers() {
    for (method, path) in [("POST", POST), ("PUT", PUT)] {
        let refused = |headers| refusal(&["--max-upload-bytes=10"], method, path, headers);
        assert_eq!(refused(&[("content-type", "image/png")]).await, is(415, "UnsupportedMediaType"));
        assert_eq!(refused(&[("content-encoding", "br")]).await, is(415, "UnsupportedEncoding"));
        assert_eq!(refused(&[("content-length", "11")]).await, is(413, "UploadTooLarge"));
        assert_eq!(refused(&[("upload-offset", "x")]).await, is(400, "BadRequest"));
        assert_eq!(refused(&[("upload-digest", "md5:0")]).await, is(400, "BadRequest"));
    }
}

#[tokio::test]
async fn an_invalid_name_is_refused_without_a_request_to_kubernetes() {
    for path in ["/v1/namespaces/Shop/models/purchases/jobs", "/v1/namespaces/shop/models/a_b/jobs"] {
        assert_eq!(refusal(&[], "POST", path, &[]).await, is(400, "BadRequest"));
    }
    assert_eq!(refusal(&[], "POST", &format!("{POST}?name=A"), &[]).await, is(400, "BadRequest"));
    assert_eq!(refusal(&[], "POST", &format!("{POST}?colour=red"), &[]).await, is(400, "BadRequest"));
    for path in ["dead-letters?first_chunk=x", "dead-letters?colour=red", "dead-letters/u/x"] {
        let path = format!("/v1/namespaces/shop/models/purchases/{path}");
        assert_eq!(refusal(&[], "GET", &path, &[]).await, is(400, "BadRequest"), "{path}");
    }
}

#[tokio::test(start_paused = true)]
async fn one_upload_more_than_the_limit_waits_some_seconds_and_is_then_refused() {
    let asked = Instant::now();
    let request = Request::post(POST).body(Body::empty()).unwrap();
    let (status, head, body) = answer(app(&["--max-uploads=0"]).1, request).await;
    assert_eq!((status, body["error"]["reason"].as_str()), (429, Some("TooManyUploads")));
    assert_eq!(head.headers()["retry-after"], "2");
    assert_eq!(asked.elapsed().as_secs(), 5);
}

#[tokio::test]
async fn without_kubernetes_a_request_fails_as_unavailable() {
    let routes = ["jobs/j/verify", "models/m/dead-letters/requeue", "models/m/dead-letters/drop"];
    for path in routes.map(|path| format!("/v1/namespaces/shop/{path}")) {
        assert_eq!(refusal(&[], "POST", &path, &[]).await, is(503, "KubernetesUnavailable"), "{path}");
    }
    for (method, path) in [("POST", POST), ("PUT", PUT)] {
        assert_eq!(refusal(&[], method, path, &[]).await, is(503, "KubernetesUnavailable"));
    }
}

#[tokio::test]
async fn an_unknown_path_or_method_has_an_error_body() {
    assert_eq!(refusal(&[], "GET", "/v1/nothing", &[]).await, is(404, "NotFound"));
    assert_eq!(refusal(&[], "DELETE", PUT, &[]).await, is(405, "MethodNotAllowed"));
}

#[tokio::test]
async fn a_refused_upload_releases_its_slot() {
    let (app, router) = app(&["--max-uploads=1"]);
    let free = app.uploads.free();
    for _ in 0..2 {
        for request in [Request::post(POST), Request::put(PUT)] {
            let (status, _, _) = answer(router.clone(), request.body(Body::empty()).unwrap()).await;
            assert_eq!(status, 503);
        }
    }
    assert_eq!(app.uploads.free(), free);
    assert_eq!(free, (1, 96 << 20));
}

#[tokio::test]
async fn metrics_count_by_route_and_reason_never_by_path() {
    let (_, router) = app(&[]);
    let (status, _, _) =
        answer(router.clone(), Request::get("/v1/namespaces/shop/jobs?no=1").body(Body::empty()).unwrap())
            .await;
    assert_eq!(status, 400);
    let metrics = router.oneshot(Request::get("/metrics").body(Body::empty()).unwrap()).await.unwrap();
    let text = String::from_utf8(to_bytes(metrics.into_body(), 1 << 20).await.unwrap().to_vec()).unwrap();
    assert!(
        text.contains(
            r#"batch_api_requests_total{route="/v1/namespaces/{ns}/jobs",method="GET",status="400"} 1"#
        ),
        "{text}"
    );
    assert!(text.contains(r#"batch_api_errors_total{reason="BadRequest"} 1"#), "{text}");
}

#[tokio::test]
async fn the_page_that_shows_the_document_loads_nothing_from_other_hosts() {
    let page = app(&[]).1.oneshot(Request::get("/docs").body(Body::empty()).unwrap()).await.unwrap();
    let html = String::from_utf8(to_bytes(page.into_body(), 1 << 20).await.unwrap().to_vec()).unwrap();
    assert!(html.contains("openapi.json") && !html.contains("http://") && !html.contains("https://"));
}
