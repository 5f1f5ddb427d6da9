//! Labels: a second job with the same label and model is refused, and the error names the first job.
//!
//! **Promise:** a label counts as taken only if a job accepts bytes, has accepted bytes, or has loaded them (the
//! history knows that after the job is deleted). While another request makes a job with the label, or deletes one
//! again, the client is asked to try again.

use crds::job::IngestJob;
use crds::state::JobState;
use crds::{IngestModel, ModelId};
use kube::ResourceExt;
use kube::api::ListParams;

use crate::error::ApiError;
use crate::names::Namespace;
use crate::state::{App, Claim};

/// A label and the model to whose jobs it applies.
#[derive(Clone, Copy, Debug)]
pub struct Label<'a> {
    /// The namespace.
    pub namespace: &'a Namespace,
    /// The model.
    pub model: &'a IngestModel,
    /// The label.
    pub label: &'a str,
}

/// Whether a job uses its label.
#[derive(Debug, PartialEq, Eq)]
enum Use {
    /// The job has the label. The text is the state of the job.
    Taken(String),
    /// It is not certain yet: the request that made the job may delete it again.
    Busy,
}

impl Label<'_> {
    /// Claims the label for a request, unless it is taken. In this process, only one request at a time may look for it.
    /// Requests to two servers get the same name for their jobs, see [`Label::job_name`].
    pub async fn claim(&self, app: &App) -> Result<Claim, ApiError> {
        let key = format!("label {}/{}/{}", self.namespace, self.model.name_any(), self.label);
        let claim = app.running.claim(&key).ok_or_else(|| ApiError::LabelBusy(self.label.to_owned()))?;
        let jobs = app.jobs(self.namespace).list(&ListParams::default()).await?;
        self.check(&jobs.items)?;
        let loaded = app.tables.loaded(self.namespace.as_str(), &self.model.name_any(), self.label).await?;
        match loaded {
            Some(job) => Err(self.taken(job.name, format!("{}, already loaded", job.state))),
            None => Ok(claim),
        }
    }

    /// Returns the name of a job with this label: 8 hex digits of a hash of namespace, model and label. So two jobs
    /// with one label get the same name, whichever server makes them.
    #[must_use]
    pub fn job_name(&self) -> String {
        ModelId::of(self.namespace.as_str(), &format!("{}/{}", self.model.name_any(), self.label)).to_string()
    }

    /// Call this when a job of this name exists. Fails if that job has this label; if it succeeds, try another name.
    pub async fn check_existing(&self, app: &App, name: &str) -> Result<(), ApiError> {
        let jobs = app.jobs(self.namespace).list(&ListParams::default()).await?;
        self.check(&jobs.items)?;
        let is_another = jobs.items.iter().any(|job| job.name_any() == name);
        // The job existed a moment ago: another request has deleted it again.
        if is_another { Ok(()) } else { Err(ApiError::LabelBusy(self.label.to_owned())) }
    }

    /// Fails with the job of the model that has the label, if there is one.
    fn check(&self, jobs: &[IngestJob]) -> Result<(), ApiError> {
        let model = self.model.name_any();
        let has = |job: &&IngestJob| {
            job.spec.label.as_deref() == Some(self.label) && job.spec.model_ref.name == model
        };
        let mut busy = false;
        for job in jobs.iter().filter(has) {
            match use_of(job) {
                Use::Taken(state) => return Err(self.taken(job.name_any(), state)),
                Use::Busy => busy = true,
            }
        }
        if busy { Err(ApiError::LabelBusy(self.label.to_owned())) } else { Ok(()) }
    }

    fn taken(&self, job: String, state: String) -> ApiError {
        ApiError::LabelTaken { label: self.label.to_owned(), job, state }
    }
}

fn use_of(job: &IngestJob) -> Use {
    let status = job.status.clone().unwrap_or_default();
    let upload = status.upload.unwrap_or_default();
    let has_begun = status.model_revision.is_some() || upload.epoch > 0 || upload.bytes > 0;
    let is_deleted = job.metadata.deletion_timestamp.is_some();
    let has_ended = status.state.is_some_and(JobState::is_end);
    if (has_begun || has_ended) && !is_deleted {
        return Use::Taken(status.state.map_or("UPLOADING", |state| state.as_str()).to_owned());
    }
    Use::Busy
}

#[cfg(test)]
mod tests {
    use super::*;
    use crds::job::IngestJobStatus;

    fn job(name: &str, label: &str, status: IngestJobStatus) -> IngestJob {
        let spec = serde_json::json!({"modelRef": {"name": "m"}, "source": {"upload": {}}, "label": label});
        let mut job = IngestJob::new(name, serde_json::from_value(spec).unwrap());
        job.status = Some(status);
        job
    }

    fn check(jobs: &[IngestJob]) -> Result<(), ApiError> {
        let spec = serde_json::json!({"columns": [{"name": "a", "type": "String"}]});
        let model = IngestModel::new("m", serde_json::from_value(spec).unwrap());
        let namespace = Namespace::parse("shop").unwrap();
        Label { namespace: &namespace, model: &model, label: "l" }.check(jobs)
    }

    fn pending() -> IngestJobStatus {
        IngestJobStatus { state: Some(JobState::Pending), ..IngestJobStatus::default() }
    }

    fn pinned() -> IngestJobStatus {
        IngestJobStatus {
            state: Some(JobState::Processing),
            model_revision: Some("m-1".into()),
            ..IngestJobStatus::default()
        }
    }

    #[test]
    fn a_label_is_taken_by_a_job_that_has_started() {
        let error = check(&[job("j", "l", pinned())]).unwrap_err();
        assert_eq!(error.reason(), "LabelTaken");
        assert!(error.to_string().contains("job 'j' of this model (PROCESSING)"), "{error}");
    }

    #[test]
    fn a_job_that_may_still_be_deleted_is_not_named() {
        for status in [pending(), IngestJobStatus::default()] {
            let error = check(&[job("j", "l", status)]).unwrap_err();
            assert_eq!(error.reason(), "LabelBusy");
            assert!(!error.to_string().contains("'j'"), "{error}");
        }
        assert_eq!(
            check(&[job("a", "l", pending()), job("j", "l", pinned())]).unwrap_err().reason(),
            "LabelTaken"
        );
    }

    #[test]
    fn other_labels_do_not_count() {
        assert!(check(&[job("j", "other", pinned())]).is_ok());
    }
}
