//! Decides who may write `status.upload` of a job. Pure: the input is the job, the output a decision.
//!
//! A request that takes up an upload writes the next epoch to exactly that version of the job which it read for its
//! decision. After that it writes only while the job has this epoch. A request that was superseded, on this or another
//! replica, can no longer write.

use crds::job::{IngestJob, UploadStatus};
use kube::ResourceExt;

use crate::error::ApiError;
use crate::upload::progress::JobRef;

/// The epoch of one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Epoch {
    /// The epoch of this request, also before it is written.
    pub own: i64,
    /// The epoch that the job must have at the next write: the one before `own` until `own` is written.
    expected: i64,
}

impl Epoch {
    /// Returns the epoch after that of `status`, from which a request decided to take up an upload.
    #[must_use]
    pub fn after(status: &UploadStatus) -> Self {
        Self { own: status.epoch + 1, expected: status.epoch }
    }

    /// Returns whether the epoch is written.
    #[must_use]
    pub fn is_written(&self) -> bool {
        self.expected == self.own
    }

    /// Notes that the epoch is written.
    pub fn written(&mut self) {
        self.expected = self.own;
    }

    /// Call this if a first write got no answer and a later one was refused: Kubernetes may have accepted the first.
    /// Returns the epoch to continue with, as if this request took up the upload once more, whichever request wrote the
    /// status. `None` if the status has changed since.
    #[must_use]
    pub fn after_lost_answer(
        &self,
        job: &IngestJob,
        reference: &JobRef,
        status: &UploadStatus,
    ) -> Option<Self> {
        let there = job.status.as_ref()?.upload.as_ref()?;
        let written = UploadStatus { epoch: self.own, ..status.clone() };
        let same = job.uid().as_ref() == Some(&reference.uid) && *there == written;
        (same && !self.is_written()).then(|| Self::after(there))
    }

    /// Checks whether `job` is still the one to which this request may write.
    pub fn check(&self, job: &IngestJob, reference: &JobRef) -> Result<(), ApiError> {
        let JobRef { namespace, name, uid, .. } = reference;
        if job.uid().as_ref() != Some(uid) {
            return Err(ApiError::JobNotFound { namespace: namespace.clone(), job: name.clone() });
        }
        let there = job.status.as_ref().and_then(|s| s.upload.as_ref()).map_or(0, |upload| upload.epoch);
        if there == self.expected { Ok(()) } else { Err(ApiError::UploadSuperseded(name.clone())) }
    }

    /// Checks whether `status` may be written to a job that was changed by another writer.
    pub fn may_write(
        &self,
        job: &IngestJob,
        reference: &JobRef,
        status: &UploadStatus,
    ) -> Result<(), ApiError> {
        self.check(job, reference)?;
        let is_complete = job.status.as_ref().and_then(|s| s.upload.as_ref()).is_some_and(|u| u.complete);
        if is_complete && !status.complete {
            return Err(ApiError::UploadComplete(reference.name.clone()));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crds::job::IngestJobStatus;

    fn upload(epoch: i64) -> UploadStatus {
        UploadStatus { epoch, ..UploadStatus::default() }
    }

    fn job(uid: &str, upload: UploadStatus) -> IngestJob {
        let spec = serde_json::json!({"modelRef": {"name": "m"}, "source": {"upload": {}}});
        let mut job = IngestJob::new("j", serde_json::from_value(spec).unwrap());
        job.metadata.uid = Some(uid.into());
        job.status = Some(IngestJobStatus { upload: Some(upload), ..IngestJobStatus::default() });
        job
    }

    fn reference() -> JobRef {
        JobRef { namespace: "shop".into(), name: "j".into(), uid: "u".into(), version: "7".into() }
    }

    fn reason(epoch: Epoch, job: &IngestJob, status: &UploadStatus) -> &'static str {
        epoch.may_write(job, &reference(), status).map_or_else(|e| e.reason(), |()| "yes")
    }

    #[test]
    fn an_epoch_is_written_only_over_the_epoch_from_which_it_was_decided() {
        let epoch = Epoch::after(&upload(3));
        assert_eq!((epoch.own, epoch.is_written()), (4, false));
        assert_eq!(reason(epoch, &job("u", upload(3)), &upload(4)), "yes");
        for other in [2, 4, 5] {
            assert_eq!(reason(epoch, &job("u", upload(other)), &upload(4)), "UploadSuperseded", "{other}");
        }
    }

    #[test]
    fn an_older_epoch_can_no_longer_write() {
        let mut epoch = Epoch::after(&upload(3));
        epoch.written();
        assert_eq!(reason(epoch, &job("u", upload(4)), &upload(4)), "yes");
        for other in [3, 5] {
            assert_eq!(reason(epoch, &job("u", upload(other)), &upload(4)), "UploadSuperseded", "{other}");
        }
    }

    #[test]
    fn a_first_write_that_was_stored_without_an_answer_is_repeated_over_it() {
        let epoch = Epoch::after(&upload(3));
        let status = UploadStatus { first_chunk: Some("a".into()), ..upload(3) };
        let taken = UploadStatus { epoch: 4, ..status.clone() };
        let retried = epoch.after_lost_answer(&job("u", taken.clone()), &reference(), &status).unwrap();
        assert_eq!(retried, Epoch { own: 5, expected: 4 });
        let others = [
            UploadStatus { epoch: 5, ..taken.clone() },
            UploadStatus { chunks: 1, ..taken.clone() },
            UploadStatus { first_chunk: Some("b".into()), ..taken.clone() },
        ];
        for other in others {
            assert_eq!(epoch.after_lost_answer(&job("u", other), &reference(), &status), None);
        }
        assert_eq!(epoch.after_lost_answer(&job("u2", taken), &reference(), &status), None);
    }

    #[test]
    fn a_job_without_an_upload_has_epoch_0() {
        let mut fresh = job("u", upload(0));
        fresh.status = None;
        assert_eq!(reason(Epoch::after(&upload(0)), &fresh, &upload(1)), "yes");
    }

    #[test]
    fn a_later_job_of_the_same_name_is_never_written_to() {
        assert_eq!(reason(Epoch::after(&upload(0)), &job("u2", upload(0)), &upload(1)), "JobNotFound");
    }

    #[test]
    fn a_complete_upload_is_never_made_incomplete() {
        let mut epoch = Epoch::after(&upload(0));
        epoch.written();
        let complete = UploadStatus { complete: true, ..upload(1) };
        assert_eq!(reason(epoch, &job("u", complete.clone()), &upload(1)), "UploadComplete");
        assert_eq!(reason(epoch, &job("u", complete.clone()), &complete), "yes");
    }
}
