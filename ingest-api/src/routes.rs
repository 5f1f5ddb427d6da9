//! The routes, with one file for each kind of object.

pub mod dead_letters;
pub mod jobs;
pub mod meta;
pub mod models;
pub mod rejected;
pub mod uploads;
pub mod verify;
pub mod wait;

use axum::Json;
use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{Path, Query};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use kube::Resource;
use serde::Serialize;

use crate::error::ApiError;
use crate::names::{Name, Namespace};

/// The path of an object in a namespace.
pub type InNamespace = Result<Path<(String, String)>, PathRejection>;
/// A query that the handler checks.
pub type MaybeQuery<T> = Result<Query<T>, QueryRejection>;

/// Checks the namespace and the name in a path.
pub fn names(path: InNamespace) -> Result<(Namespace, Name), ApiError> {
    let Path((namespace, name)) = path.map_err(|e| ApiError::BadRequest(e.body_text()))?;
    Ok((Namespace::parse(&namespace)?, Name::parse(&name)?))
}

/// Checks the namespace in a path.
pub fn namespace(path: Result<Path<String>, PathRejection>) -> Result<Namespace, ApiError> {
    let Path(namespace) = path.map_err(|e| ApiError::BadRequest(e.body_text()))?;
    Namespace::parse(&namespace)
}

/// Returns the query, or what is wrong with it.
pub fn query<T>(query: MaybeQuery<T>) -> Result<T, ApiError> {
    query.map(|Query(query)| query).map_err(|e| ApiError::BadRequest(e.body_text()))
}

/// Returns an object as Kubernetes has it, without `managedFields`.
#[must_use]
pub fn object<K: Resource + Serialize>(status: StatusCode, mut object: K) -> Response {
    object.meta_mut().managed_fields = None;
    (status, Json(object)).into_response()
}

/// Returns a list of such objects: `{"items": […]}`.
#[must_use]
pub fn list<K: Resource + Serialize>(mut items: Vec<K>) -> Response {
    for item in &mut items {
        item.meta_mut().managed_fields = None;
    }
    Json(Items { items }).into_response()
}

#[derive(Serialize)]
struct Items<K> {
    items: Vec<K>,
}
