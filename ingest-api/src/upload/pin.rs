//! Waits until the operator pins a job to a revision of its model.

use crds::job::IngestJob;
use crds::state::{JobState, reasons};
use kube::ResourceExt;
use tokio::time::Instant;

use crate::error::ApiError;
use crate::names::{Name, Namespace};
use crate::state::App;
use crate::upload::progress::ended;
use crate::watch::watch_job;

/// Waits until the operator has pinned a job to a revision, and returns the job. Fails at once if the model is paused
/// or invalid: then the operator does not pin the job.
pub async fn pinned(app: &App, namespace: &Namespace, job: IngestJob) -> Result<IngestJob, ApiError> {
    let decided = |job: &IngestJob| revision_of(job).is_some() || refusal(job).is_some();
    let (jobs, name) = (app.jobs(namespace), job.name_any());
    let deadline = Instant::now() + app.settings.pin_timeout();
    let mut job = job;
    while !decided(&job) {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(not_pinned(app, namespace, &name).await);
        }
        job = match watch_job(&jobs, job, left, decided).await? {
            Some(seen) if decided(&seen) => seen,
            // The time is over, or the watch broke: the next one begins at the job's newest version.
            Some(_) => app.job(namespace, &Name::parse(&name)?).await?,
            None => return Err(ApiError::JobNotFound { namespace: namespace.to_string(), job: name }),
        };
    }
    refusal(&job).map_or(Ok(job), Err)
}

/// Returns the revision to which a job is pinned.
#[must_use]
pub fn revision_of(job: &IngestJob) -> Option<&str> {
    job.status.as_ref().and_then(|s| s.model_revision.as_deref())
}

/// Returns why a job accepts no bytes, whatever its upload status is: it has ended, or its model lets no job start.
fn refusal(job: &IngestJob) -> Option<ApiError> {
    if let Some(ended) = ended(job) {
        return Some(ended);
    }
    let status = job.status.as_ref().filter(|s| s.model_revision.is_none())?;
    let pending = status.state.is_none_or(|state| state == JobState::Pending);
    let message = status.message.clone().unwrap_or_else(|| "the model lets no job start".into());
    match status.reason.as_deref().filter(|_| pending)? {
        reasons::MODEL_PAUSED => Some(ApiError::ModelPaused(message)),
        reasons::MODEL_INVALID => Some(ApiError::ModelInvalid(message)),
        _ => None,
    }
}

async fn not_pinned(app: &App, namespace: &Namespace, job: &str) -> ApiError {
    let status =
        app.jobs(namespace).get_status(job).await.ok().and_then(|job| job.status).unwrap_or_default();
    let why = match (status.reason, status.message) {
        (Some(reason), Some(message)) => format!("{reason}: {message}"),
        _ => "the operator has not looked at it".into(),
    };
    let seconds = app.settings.pin_timeout_seconds;
    ApiError::ModelNotReady(format!("job '{job}' was not started within {seconds} s ({why})"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crds::job::IngestJobStatus;

    fn refused(reason: &str, state: JobState, revision: Option<&str>) -> Option<&'static str> {
        let spec = serde_json::json!({"modelRef": {"name": "m"}, "source": {"upload": {}}});
        let mut job = IngestJob::new("j", serde_json::from_value(spec).unwrap());
        job.status = Some(IngestJobStatus {
            state: Some(state),
            reason: Some(reason.into()),
            model_revision: revision.map(str::to_owned),
            ..IngestJobStatus::default()
        });
        refusal(&job).map(|error| error.reason())
    }

    #[test]
    fn a_job_of_a_paused_or_invalid_model_is_refused_with_that_reason() {
        for reason in ["ModelPaused", "ModelInvalid"] {
            assert_eq!(refused(reason, JobState::Pending, None), Some(reason));
            assert_eq!(refused(reason, JobState::Uploading, Some("m-1")), None, "it has started");
        }
        for reason in ["ModelNotReady", "ModelNotFound"] {
            assert_eq!(refused(reason, JobState::Pending, None), None, "that may change");
        }
    }

    #[test]
    fn a_job_that_has_ended_is_refused_with_that_reason() {
        assert_eq!(refused("UploadExpired", JobState::Failed, Some("m-1")), Some("JobEnded"));
    }
}
