//! The objects of both kinds at the API server: how a watch delivers them, their keys, and how they are written.

use crds::{IngestJob, IngestModel, managers};
use kube::api::PatchParams;
use kube::core::DeserializeGuard;
use kube::runtime::reflector::ObjectRef;

/// An object as a watch delivers it. An object that does not decode must not stop the watch of the others.
pub type Guarded<K> = DeserializeGuard<K>;
/// The key of a model in stores and maps.
pub type ModelKey = ObjectRef<Guarded<IngestModel>>;
/// The key of a job in stores and maps.
pub type JobKey = ObjectRef<Guarded<IngestJob>>;

/// Server-side apply with force: only the model decides the fields that the operator sets on an object.
#[must_use]
pub fn params() -> PatchParams {
    PatchParams::apply(managers::OPERATOR).force()
}

/// Returns whether the API server answered that there is no such object.
#[must_use]
pub fn is_not_found(error: &kube::Error) -> bool {
    matches!(error, kube::Error::Api(status) if status.code == 404)
}

/// Returns whether the API server answered that the object has changed.
#[must_use]
pub fn is_conflict(error: &kube::Error) -> bool {
    matches!(error, kube::Error::Api(status) if status.code == 409)
}
