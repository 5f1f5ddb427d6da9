//! `GET …/jobs/{job}` with `Prefer: wait`, against Kubernetes in memory.
#![allow(clippy::unwrap_used, missing_docs, reason = "tests")]

mod support;

use std::time::Duration;

use axum::body::Body;
use axum::http::Request;
use serde_json::{Value, json};
use support::World;
use tokio::time::timeout;

const CHUNK_BYTES: u32 = 4096;
/// More than any test takes.
const LONG: Duration = Duration::from_secs(30);

async fn get(world: &World, prefer: &'static str) -> (u16, Value) {
    let request = Request::get("/v1/namespaces/shop/jobs/j").header("prefer", prefer);
    let (status, _, body) = world.api.send(request.body(Body::empty()).unwrap()).await;
    (status, body)
}

/// Starts a request that waits, and returns once its watch is open.
async fn waiting(world: &World) -> tokio::task::JoinHandle<(u16, Value)> {
    let (api, open) = (world.api.clone(), world.kubernetes.watches());
    let request = Request::get("/v1/namespaces/shop/jobs/j").header("prefer", "wait=60");
    let request = request.body(Body::empty()).unwrap();
    let answer = tokio::spawn(async move {
        let (status, _, body) = api.send(request).await;
        (status, body)
    });
    while world.kubernetes.watches() == open {
        tokio::task::yield_now().await;
    }
    answer
}

/// Waits for the answer of such a request.
async fn answered(answer: tokio::task::JoinHandle<(u16, Value)>) -> (u16, Value) {
    timeout(LONG, answer).await.unwrap().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_answer_is_sent_when_the_job_has_ended_and_not_at_other_changes() {
    let world = World::new(CHUNK_BYTES);
    world.kubernetes.add("j", &json!({}), &Value::Null);
    let answer = waiting(&world).await;
    world.kubernetes.change("j", |job| job["status"]["state"] = "PROCESSING".into());
    assert!(!answer.is_finished());
    world.kubernetes.change("j", |job| job["status"]["state"] = "SUCCESS".into());
    let (status, job) = answered(answer).await;
    assert_eq!((status, &job["status"]["state"]), (200, &"SUCCESS".into()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_blocked_job_is_answered_because_a_person_has_to_act() {
    let world = World::new(CHUNK_BYTES);
    world.kubernetes.add("j", &json!({}), &Value::Null);
    let answer = waiting(&world).await;
    world.kubernetes.change("j", |job| job["status"]["state"] = "BLOCKED".into());
    let (_, job) = answered(answer).await;
    assert_eq!(job["status"]["state"], "BLOCKED");
}

#[tokio::test(flavor = "multi_thread")]
async fn after_the_wait_time_the_current_job_is_returned() {
    let world = World::new(CHUNK_BYTES);
    world.kubernetes.add("j", &json!({}), &Value::Null);
    let (status, job) = timeout(LONG, get(&world, "wait=1")).await.unwrap();
    assert_eq!((status, &job["status"]["state"]), (200, &"UPLOADING".into()));
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_preference_the_answer_is_immediate() {
    let world = World::new(CHUNK_BYTES);
    world.kubernetes.add("j", &json!({}), &Value::Null);
    let (status, _) = timeout(LONG, get(&world, "respond-async")).await.unwrap();
    assert_eq!((status, world.kubernetes.watches()), (200, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_is_deleted_while_a_client_waits_is_not_found() {
    let world = World::new(CHUNK_BYTES);
    world.kubernetes.add("j", &json!({}), &Value::Null);
    let answer = waiting(&world).await;
    world.kubernetes.delete("j");
    let (status, body) = answered(answer).await;
    assert_eq!((status, &body["error"]["reason"]), (404, &"JobNotFound".into()));
}

#[tokio::test(flavor = "multi_thread")]
async fn one_request_more_than_the_limit_of_waiting_requests_is_answered_at_once() {
    let world = World::new(CHUNK_BYTES);
    world.kubernetes.add("j", &json!({}), &Value::Null);
    let all = u32::try_from(world.app.waiters.available_permits()).unwrap();
    let _others = world.app.waiters.try_acquire_many(all).unwrap();
    let (status, _) = timeout(LONG, get(&world, "wait=60")).await.unwrap();
    assert_eq!((status, world.kubernetes.watches()), (200, 0));
}
