//! Writes `status.upload` by server-side apply: at most once a second while bytes arrive, and always at the end.
//!
//! **Promise:** a request that was superseded, or whose job has ended, notices this within some seconds and writes
//! nothing more.

use std::time::Duration;

use crds::job::{IngestJob, UploadStatus};
use crds::{GROUP, VERSION, managers};
use futures::FutureExt;
use futures::future::BoxFuture;
use kube::ResourceExt;
use kube::api::{Api, Patch, PatchParams};
use tokio::time::{Instant, Interval, MissedTickBehavior, interval_at};

use crate::error::{ApiError, kubernetes_or};
use crate::upload::fence::Epoch;

const PERIOD: Duration = Duration::from_secs(1);
/// How often the job is read while nothing is written.
const READ_INTERVAL: Duration = Duration::from_secs(5);
/// How often a necessary write is tried, with a pause that doubles from 100 ms: about 12 s in all.
const TRIES: u32 = 8;
/// How often a write is tried while others write the status: the operator and the workers, each at most a few times per
/// second.
const CONFLICTS: u32 = 8;

/// A reference to the job that is written to.
#[derive(Clone, Debug)]
pub struct JobRef {
    /// The job's namespace.
    pub namespace: String,
    /// The job's name.
    pub name: String,
    /// The job's uid: a later job of the same name is never written to.
    pub uid: String,
    /// The resource version in which it was last read.
    pub version: String,
}

/// The writer of one job's `status.upload`, under one epoch.
pub struct Progress {
    jobs: Api<IngestJob>,
    job: JobRef,
    epoch: Epoch,
    /// The status to write next.
    due: Option<UploadStatus>,
    tick: Interval,
    /// When the job was last read.
    seen: Instant,
    request: Option<BoxFuture<'static, Result<IngestJob, ApiError>>>,
}

impl Progress {
    /// A writer for a request that decided from `status` to take up the upload. It does not write yet.
    #[must_use]
    pub fn new(client: kube::Client, job: JobRef, status: &UploadStatus) -> Self {
        let mut tick = interval_at(Instant::now() + PERIOD, PERIOD);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let (jobs, epoch) = (Api::namespaced(client, &job.namespace), Epoch::after(status));
        Self { jobs, job, epoch, due: None, tick, seen: Instant::now(), request: None }
    }

    /// Returns whether the epoch of this request is written, so that the request owns the upload.
    #[must_use]
    pub fn is_claimed(&self) -> bool {
        self.epoch.is_written()
    }

    /// Writes the epoch, with `status`, to exactly that version of the job from which it was decided to take up the
    /// upload. This excludes the request that had the upload before. Returns `false` if the job was changed since:
    /// decide again.
    pub async fn claim(&mut self, status: &UploadStatus) -> Result<bool, ApiError> {
        match apply(&self.jobs, &self.job, self.epoch, status).await? {
            Some(job) => {
                self.epoch.written();
                self.note_job(&job);
                Ok(true)
            }
            None => Ok(false),
        }
    }

    /// Sets the status to write next.
    pub fn set(&mut self, status: UploadStatus) {
        self.due = Some(status);
    }

    /// Writes the status when its time has come, and reads the job from time to time if nothing is written, as long as
    /// this is polled. Resolves only when this request must send no more bytes of the job. A write that fails is left
    /// to the next. The future can be dropped at any point, and this can be called again.
    pub async fn watch(&mut self) -> ApiError {
        loop {
            if let Some(request) = &mut self.request {
                let answer = request.await;
                self.request = None;
                match answer {
                    Ok(job) => {
                        self.note_job(&job);
                        if let Err(error) = self.epoch.check(&job, &self.job) {
                            return error;
                        }
                        if let Some(ended) = ended(&job) {
                            return ended;
                        }
                    }
                    Err(end) if ends_the_upload(&end) => return end,
                    Err(error) => {
                        self.seen = Instant::now();
                        tracing::warn!(%error, job = self.job.name, "failed to read or write status.upload");
                    }
                }
            }
            self.tick.tick().await;
            if let Some(status) = self.due.take().filter(|_| self.epoch.is_written()) {
                let (jobs, job, epoch) = (self.jobs.clone(), self.job.clone(), self.epoch);
                self.request = Some(write(jobs, job, epoch, status).boxed());
            } else if self.seen.elapsed() >= READ_INTERVAL {
                self.request = Some(read(self.jobs.clone(), self.job.clone()).boxed());
            }
        }
    }

    /// Writes now, after a write that is in progress, and tries again while Kubernetes cannot be reached. The first
    /// write also writes the epoch.
    pub async fn write(&mut self, status: &UploadStatus) -> Result<IngestJob, ApiError> {
        self.due = None;
        if let Some(request) = self.request.take() {
            // This status is newer; it does not matter whether the write before succeeded.
            if let Ok(job) = request.await {
                self.note_job(&job);
            }
        }
        let mut pause = Duration::from_millis(100);
        let mut unanswered = false;
        for _ in 1..TRIES {
            match write(self.jobs.clone(), self.job.clone(), self.epoch, status.clone()).await {
                Err(ApiError::KubernetesUnavailable(why)) => {
                    tracing::warn!(why, "failed to write status.upload: trying again");
                    unanswered = true;
                }
                Err(superseded @ ApiError::UploadSuperseded(_)) if unanswered => {
                    unanswered = false;
                    let now = read(self.jobs.clone(), self.job.clone()).await?;
                    self.epoch = self.epoch.after_lost_answer(&now, &self.job, status).ok_or(superseded)?;
                    self.note_job(&now);
                    continue;
                }
                other => return other.inspect(|job| self.wrote(job)),
            }
            tokio::time::sleep(pause).await;
            pause *= 2;
        }
        let last = write(self.jobs.clone(), self.job.clone(), self.epoch, status.clone()).await;
        last.inspect(|job| self.wrote(job))
    }

    fn wrote(&mut self, job: &IngestJob) {
        self.epoch.written();
        self.note_job(job);
    }

    fn note_job(&mut self, job: &IngestJob) {
        self.seen = Instant::now();
        // A later job of the same name is ignored.
        if job.uid().as_ref() == Some(&self.job.uid) {
            self.job.version = job.resource_version().unwrap_or_default();
        }
    }
}

/// Returns whether this error of a write means that this request has nothing more to write.
#[must_use]
pub fn ends_the_upload(error: &ApiError) -> bool {
    matches!(
        error,
        ApiError::JobNotFound { .. }
            | ApiError::JobEnded { .. }
            | ApiError::UploadSuperseded(_)
            | ApiError::UploadComplete(_)
    )
}

/// Returns why a job accepts no more bytes, or `None` if it does.
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

/// Returns the patch. It has the only fields of the status that this server writes. The version keeps the patch from a
/// later job of the same name: Kubernetes ignores a uid in this request (observed with 1.34), but checks a version.
fn patch(job: &JobRef, status: &UploadStatus) -> serde_json::Value {
    serde_json::json!({
        "apiVersion": format!("{GROUP}/{VERSION}"),
        "kind": "IngestJob",
        "metadata": {"name": job.name, "namespace": job.namespace, "resourceVersion": job.version},
        "status": {"upload": status},
    })
}

/// Writes to the version that was read, with the epoch; `None` if the job has another version.
async fn apply(
    jobs: &Api<IngestJob>,
    job: &JobRef,
    epoch: Epoch,
    status: &UploadStatus,
) -> Result<Option<IngestJob>, ApiError> {
    let params = PatchParams::apply(managers::API).force();
    let status = UploadStatus { epoch: epoch.own, ..status.clone() };
    match jobs.patch_status(&job.name, &params, &Patch::Apply(patch(job, &status))).await {
        Err(kube::Error::Api(answer)) if answer.code == 409 => Ok(None),
        other => other.map(Some).map_err(kubernetes_or(404, || not_found(job))),
    }
}

async fn write(
    jobs: Api<IngestJob>,
    mut job: JobRef,
    epoch: Epoch,
    status: UploadStatus,
) -> Result<IngestJob, ApiError> {
    for _ in 0..CONFLICTS {
        if let Some(written) = apply(&jobs, &job, epoch, &status).await? {
            return Ok(written);
        }
        let now = read(jobs.clone(), job.clone()).await?;
        epoch.may_write(&now, &job, &status)?;
        job.version = now.resource_version().unwrap_or_default();
    }
    Err(ApiError::KubernetesUnavailable("others write the job's status faster than it can be read".into()))
}

async fn read(jobs: Api<IngestJob>, job: JobRef) -> Result<IngestJob, ApiError> {
    jobs.get(&job.name).await.map_err(kubernetes_or(404, || not_found(&job)))
}

fn not_found(job: &JobRef) -> ApiError {
    ApiError::JobNotFound { namespace: job.namespace.clone(), job: job.name.clone() }
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
    fn a_job_accepts_bytes_until_it_is_cancelled_or_has_ended() {
        assert!(ended(&job(false, None)).is_none());
        assert!(ended(&job(false, Some(JobState::Uploading))).is_none());
        assert!(ended(&job(true, Some(JobState::Uploading))).is_some());
        let text = ended(&job(false, Some(JobState::Failed))).map(|e| e.to_string());
        assert_eq!(text.as_deref(), Some("job 'j' has ended (FAILED UploadExpired); make a new job"));
    }

    #[test]
    fn only_status_upload_is_written_and_only_to_the_version_that_was_read() {
        let job = JobRef { namespace: "shop".into(), name: "j".into(), uid: "u".into(), version: "7".into() };
        let patch = patch(&job, &UploadStatus::default());
        assert_eq!(patch["metadata"]["resourceVersion"], "7");
        let status: Vec<_> = patch["status"].as_object().unwrap().keys().collect();
        assert_eq!(status, ["upload"]);
    }
}
