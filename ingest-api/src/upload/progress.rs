//! `status.upload`, written by server-side apply: at most once a second while bytes come, and always at the end.

use std::time::Duration;

use crds::job::{IngestJob, UploadStatus};
use crds::{GROUP, VERSION, managers};
use futures::FutureExt;
use futures::future::BoxFuture;
use kube::ResourceExt;
use kube::api::{Api, Patch, PatchParams};
use tokio::time::{Instant, Interval, MissedTickBehavior, interval_at};

use crate::error::{ApiError, kubernetes_or};

const PERIOD: Duration = Duration::from_secs(1);
/// Tries for what must be written, with a pause that doubles from 100 ms: about 12 s in all.
const TRIES: u32 = 8;
/// Tries while others write the status: the operator and the workers, each a few times a second at most.
const CONFLICTS: u32 = 8;

/// The job that is written to.
#[derive(Clone, Debug)]
pub struct JobRef {
    /// The job's namespace.
    pub namespace: String,
    /// The job's name.
    pub name: String,
    /// The job's uid: a job of the same name that came after it is never written to.
    pub uid: String,
    /// The version in which it was last seen.
    pub version: String,
}

/// The writer of one job's `status.upload`.
pub struct Progress {
    jobs: Api<IngestJob>,
    job: JobRef,
    news: Option<UploadStatus>,
    tick: Interval,
    writing: Option<BoxFuture<'static, Result<IngestJob, ApiError>>>,
}

impl Progress {
    /// A writer; nothing is written yet.
    #[must_use]
    pub fn new(client: kube::Client, job: JobRef) -> Self {
        let mut tick = interval_at(Instant::now() + PERIOD, PERIOD);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Self { jobs: Api::namespaced(client, &job.namespace), job, news: None, tick, writing: None }
    }

    /// Notes what to write next.
    pub fn set(&mut self, status: UploadStatus) {
        self.news = Some(status);
    }

    /// Writes what was noted when its time has come, for as long as it is polled; resolves only when the job turns out
    /// to take no more bytes. A write that fails is left to the next. May be dropped at any point and called again.
    pub async fn watch(&mut self) -> ApiError {
        loop {
            if let Some(writing) = &mut self.writing {
                let written = writing.await;
                self.writing = None;
                match written {
                    Ok(job) => {
                        self.saw(&job);
                        if let Some(ended) = ended(&job) {
                            return ended;
                        }
                    }
                    Err(gone @ ApiError::JobNotFound { .. }) => return gone,
                    Err(error) => {
                        tracing::warn!(%error, job = self.job.name, "failed to write status.upload");
                    }
                }
            }
            if self.news.is_none() {
                return std::future::pending().await;
            }
            self.tick.tick().await;
            if let Some(status) = self.news.take() {
                self.writing = Some(write(self.jobs.clone(), self.job.clone(), status).boxed());
            }
        }
    }

    /// Writes now, after anything that is being written, and tries again while Kubernetes is away.
    pub async fn write(&mut self, status: &UploadStatus) -> Result<IngestJob, ApiError> {
        self.news = None;
        if let Some(writing) = self.writing.take() {
            // This one is newer; the one before need not have landed.
            if let Ok(job) = writing.await {
                self.saw(&job);
            }
        }
        let mut pause = Duration::from_millis(100);
        for _ in 1..TRIES {
            match write(self.jobs.clone(), self.job.clone(), status.clone()).await {
                Err(ApiError::KubernetesUnavailable(why)) => {
                    tracing::warn!(why, "failed to write status.upload: trying again");
                }
                other => return other.inspect(|job| self.saw(job)),
            }
            tokio::time::sleep(pause).await;
            pause *= 2;
        }
        write(self.jobs.clone(), self.job.clone(), status.clone()).await
    }

    fn saw(&mut self, job: &IngestJob) {
        self.job.version = job.resource_version().unwrap_or_default();
    }
}

/// Why a job takes no more bytes, if it does not.
#[must_use]
pub fn ended(job: &IngestJob) -> Option<ApiError> {
    let name = job.metadata.name.clone().unwrap_or_default();
    let status = job.status.as_ref();
    let state = status.and_then(|s| s.state).filter(|state| state.is_end());
    match (state, job.spec.cancel) {
        (Some(state), _) => {
            let reason = status.and_then(|s| s.reason.as_deref()).unwrap_or_default();
            Some(ApiError::JobEnded {
                job: name,
                state: format!("{} {reason}", state.as_str()).trim_end().to_owned(),
            })
        }
        (None, true) => Some(ApiError::JobEnded { job: name, state: "CANCELLED".into() }),
        (None, false) => None,
    }
}

/// The only fields of the status that this server ever writes. The version keeps the patch from a job of the same name
/// that came after: Kubernetes does not heed a uid on this path (seen on 1.34), a version it does.
fn patch(job: &JobRef, status: &UploadStatus) -> serde_json::Value {
    serde_json::json!({
        "apiVersion": format!("{GROUP}/{VERSION}"),
        "kind": "IngestJob",
        "metadata": {"name": job.name, "namespace": job.namespace, "resourceVersion": job.version},
        "status": {"upload": status},
    })
}

async fn write(jobs: Api<IngestJob>, mut job: JobRef, status: UploadStatus) -> Result<IngestJob, ApiError> {
    let params = PatchParams::apply(managers::API).force();
    let (namespace, name) = (job.namespace.clone(), job.name.clone());
    let gone = || ApiError::JobNotFound { namespace: namespace.clone(), job: name.clone() };
    for _ in 0..CONFLICTS {
        match jobs.patch_status(&job.name, &params, &Patch::Apply(patch(&job, &status))).await {
            Err(kube::Error::Api(answer)) if answer.code == 409 => {}
            other => return other.map_err(kubernetes_or(404, gone)),
        }
        let now = jobs.get(&job.name).await.map_err(kubernetes_or(404, gone))?;
        if now.uid().as_ref() != Some(&job.uid) {
            return Err(gone());
        }
        job.version = now.resource_version().unwrap_or_default();
    }
    Err(ApiError::KubernetesUnavailable("others write the job's status faster than it can be read".into()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crds::job::{IngestJobSpec, IngestJobStatus};
    use crds::state::JobState;

    fn job(cancel: bool, state: Option<JobState>) -> IngestJob {
        let spec = serde_json::json!({"modelRef": {"name": "m"}, "source": {"upload": {}}, "cancel": cancel});
        let mut job = IngestJob::new("j", serde_json::from_value::<IngestJobSpec>(spec).unwrap());
        job.status =
            Some(IngestJobStatus { state, reason: Some("UploadExpired".into()), ..Default::default() });
        job
    }

    #[test]
    fn a_job_takes_bytes_until_it_is_cancelled_or_has_ended() {
        assert!(ended(&job(false, None)).is_none());
        assert!(ended(&job(false, Some(JobState::Uploading))).is_none());
        assert!(ended(&job(true, Some(JobState::Uploading))).is_some());
        let text = ended(&job(false, Some(JobState::Failed))).map(|e| e.to_string());
        assert_eq!(text.as_deref(), Some("job 'j' has ended (FAILED UploadExpired); make a new job"));
    }

    #[test]
    fn nothing_but_status_upload_is_written_and_only_to_the_version_that_was_seen() {
        let job = JobRef { namespace: "shop".into(), name: "j".into(), uid: "u".into(), version: "7".into() };
        let patch = patch(&job, &UploadStatus::default());
        assert_eq!(patch["metadata"]["resourceVersion"], "7");
        let status: Vec<_> = patch["status"].as_object().unwrap().keys().collect();
        assert_eq!(status, ["upload"]);
    }
}
