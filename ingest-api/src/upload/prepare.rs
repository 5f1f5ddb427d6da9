//! From a job to all that an upload needs to know, before a byte of its body is read.

use crds::job::{IngestJob, UploadStatus};
use crds::model::{Format, IngestModel, InputSpec};
use crds::{ModelId, RevisionData};
use k8s_openapi::api::apps::v1::ControllerRevision;
use kube::ResourceExt;
use kube::api::Api;
use kube::runtime::wait::await_condition;

use crate::error::{ApiError, FileProblem, kubernetes_or};
use crate::names::{Name, Namespace};
use crate::state::App;
use crate::upload::cut::{CutTask, START};
use crate::upload::progress::{JobRef, Progress, ended};
use crate::upload::request::UploadHeaders;
use crate::upload::resume::Begin;

/// The longest header that a status keeps.
const MAX_KEPT_HEADER: usize = 64 * 1024;

/// All that an upload needs to know.
pub struct Prepared {
    /// The job.
    pub job: JobRef,
    /// The revision by which it is judged.
    pub revision: String,
    /// Its topic.
    pub topic: String,
    /// The topic's partitions.
    pub partitions: u32,
    /// What the cutting thread needs to know.
    pub task: CutTask,
    /// The names in the file's header, where they are known from before.
    pub columns: Option<Vec<String>>,
    /// What was acknowledged before, with what must not change any more.
    pub status: UploadStatus,
}

/// Waits until the operator has pinned a job to a revision, and gives the job as it is then.
pub async fn pinned(app: &App, namespace: &Namespace, job: IngestJob) -> Result<IngestJob, ApiError> {
    let settled = |job: &IngestJob| revision_of(job).is_some() || ended(job).is_some();
    let name = job.name_any();
    let job = if settled(&job) {
        job
    } else {
        let waiting =
            await_condition(app.jobs(namespace), &name, |job: Option<&IngestJob>| job.is_some_and(settled));
        match tokio::time::timeout(app.settings.pin_timeout(), waiting).await {
            Ok(Ok(Some(job))) => job,
            Ok(Ok(None)) => {
                return Err(ApiError::JobNotFound { namespace: namespace.to_string(), job: name });
            }
            Ok(Err(error)) => return Err(ApiError::KubernetesUnavailable(error.to_string())),
            Err(_) => return Err(not_pinned(app, namespace, &name).await),
        }
    };
    ended(&job).map_or(Ok(job), Err)
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

fn revision_of(job: &IngestJob) -> Option<&str> {
    job.status.as_ref().and_then(|s| s.model_revision.as_deref())
}

/// The writer and what it writes, of a job.
#[must_use]
pub fn job_ref(namespace: &Namespace, job: &IngestJob) -> JobRef {
    JobRef {
        namespace: namespace.to_string(),
        name: job.name_any(),
        uid: job.uid().unwrap_or_default(),
        version: job.resource_version().unwrap_or_default(),
    }
}

/// Reads the revision of a pinned job and all else that its upload needs. What is wrong with the job's own settings
/// ends the job, as a problem of the file would.
pub async fn prepare(
    app: &App,
    namespace: &Namespace,
    job: &IngestJob,
    headers: &UploadHeaders,
    begin: Begin,
) -> Result<Prepared, ApiError> {
    let reference = job_ref(namespace, job);
    let revision = revision_of(job).ok_or_else(|| ApiError::Internal("the job is not pinned".into()))?;
    let status = job.status.as_ref().and_then(|s| s.upload.clone()).unwrap_or_default();
    let model = app.model(namespace, &Name::parse(&job.spec.model_ref.name)?).await?;
    let data = revision_data(app, namespace, revision).await?;
    let topic = ModelId::of(namespace.as_str(), &model.name_any()).topic();
    let partitions = app.kafka.partitions(&topic).await?.ok_or_else(|| {
        ApiError::ModelNotReady(format!(
            "the topic '{topic}' of model '{}' is not there yet",
            model.name_any()
        ))
    })?;
    match assemble(&model, &data, job, headers, begin, status) {
        Ok((mut task, columns, status)) => {
            task.limit = app.settings.upload_limit();
            let revision = revision.to_owned();
            Ok(Prepared { job: reference, revision, topic, partitions, task, columns, status })
        }
        Err(problem) => {
            let error = Some(problem.as_status());
            Progress::new(app.kube.clone(), reference)
                .write(&UploadStatus { error, ..UploadStatus::default() })
                .await?;
            Err(problem.into())
        }
    }
}

async fn revision_data(app: &App, namespace: &Namespace, revision: &str) -> Result<RevisionData, ApiError> {
    let revisions: Api<ControllerRevision> = Api::namespaced(app.kube.clone(), namespace.as_str());
    let gone = || ApiError::ModelNotReady(format!("the revision '{revision}' of the job's model is gone"));
    let data = revisions.get(revision).await.map_err(kubernetes_or(404, gone))?.data;
    let data = data.ok_or_else(|| ApiError::Internal(format!("the revision '{revision}' is empty")))?;
    serde_json::from_value(data.0)
        .map_err(|e| ApiError::Internal(format!("failed to read revision '{revision}': {e}")))
}

/// What the job says, else what its upload began with, else what the content type says; `None`: what the model says.
fn format(job: &IngestJob, status: &UploadStatus, headers: &UploadHeaders) -> Option<Format> {
    job.spec.input.as_ref().and_then(|input| input.format).or(status.format).or(headers.format)
}

type Assembled = (CutTask, Option<Vec<String>>, UploadStatus);

/// The pure part of [`prepare`].
fn assemble(
    model: &IngestModel,
    data: &RevisionData,
    job: &IngestJob,
    headers: &UploadHeaders,
    begin: Begin,
    status: UploadStatus,
) -> Result<Assembled, FileProblem> {
    let format = format(job, &status, headers);
    let own = InputSpec { format, ..job.spec.input.clone().unwrap_or_default() };
    let invalid = |reason| move |e: crds::SchemaProblem| FileProblem { reason, message: e.to_string() };
    let input = data.input(Some(&own)).map_err(invalid("InvalidInput"))?;
    let schema = data.schema().map_err(invalid("ModelInvalid"))?;
    // A chunk that was sent but not acknowledged may be in Kafka all the same: the same bytes must be cut the same way.
    let chunk_bytes = status.chunk_bytes.unwrap_or(i64::from(model.spec.chunk_bytes));
    let columns = match begin.header.filter(|_| input.has_header()) {
        Some(raw) => Some(rows::parse_header(&input, raw.as_bytes())?),
        None if begin.at != START && input.has_header() => {
            let message =
                "the header line is too long to be kept, so the upload cannot go on; make a new job".into();
            return Err(FileProblem { reason: "NotResumable", message });
        }
        None => None,
    };
    let next_row = i64::try_from(begin.at.next_row).unwrap_or(i64::MAX);
    let status = UploadStatus { chunk_bytes: Some(chunk_bytes), format, next_row, ..status };
    let chunk_bytes = usize::try_from(chunk_bytes).unwrap_or_default();
    let task = CutTask { schema, input, encoding: headers.encoding, chunk_bytes, at: begin.at, limit: None };
    Ok((task, columns, status))
}

/// A header as a status keeps it; `None` where it is too long.
#[must_use]
pub fn kept_header(raw: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(raw).ok()?;
    (text.len() <= MAX_KEPT_HEADER).then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::upload::decode::Encoding;
    use rows::Position;

    fn job(spec: &serde_json::Value) -> IngestJob {
        let mut all = serde_json::json!({"modelRef": {"name": "m"}, "source": {"upload": {}}});
        all.as_object_mut().unwrap().extend(spec.as_object().unwrap().clone());
        IngestJob::new("j", serde_json::from_value(all).unwrap())
    }

    fn prepared(
        spec: &serde_json::Value,
        format: Option<Format>,
        begin: Begin,
        status: UploadStatus,
    ) -> Result<Assembled, FileProblem> {
        let data = serde_json::json!({"columns": [{"name": "a", "type": "String"}, {"name": "b", "type": "String"}]});
        let model = IngestModel::new("m", serde_json::from_value(data.clone()).unwrap());
        let data = serde_json::from_value(data).unwrap();
        let encoding = Encoding::Identity;
        let headers = UploadHeaders { encoding, format, length: None, offset: None, expects_continue: false };
        assemble(&model, &data, &job(spec), &headers, begin, status)
    }

    fn start() -> Begin {
        Begin { at: START, header: None }
    }

    #[test]
    fn the_job_itself_says_the_format_before_the_content_type_does() {
        let of = |spec, header, status| prepared(&spec, header, start(), status).unwrap().0.input.format;
        let (json, none) = (serde_json::json!({"input": {"format": "JSONLines"}}), serde_json::json!({}));
        let fresh = UploadStatus::default;
        assert_eq!(of(json, Some(Format::Csv), fresh()), rows::Format::JsonLines);
        assert_eq!(of(none.clone(), Some(Format::Tsv), fresh()), rows::Format::Tsv);
        assert_eq!(of(none.clone(), None, fresh()), rows::Format::Csv);
        let begun = UploadStatus { format: Some(Format::JsonLines), ..fresh() };
        assert_eq!(of(none, Some(Format::Csv), begun), rows::Format::JsonLines);
    }

    #[test]
    fn an_upload_is_cut_to_its_end_as_it_was_begun() {
        let fresh = prepared(&serde_json::json!({}), None, start(), UploadStatus::default()).unwrap();
        assert_eq!((fresh.0.chunk_bytes, fresh.2.chunk_bytes), (8 << 20, Some(8 << 20)));
        let begun = UploadStatus { chunk_bytes: Some(1024), ..UploadStatus::default() };
        assert_eq!(prepared(&serde_json::json!({}), None, start(), begun).unwrap().0.chunk_bytes, 1024);
    }

    #[test]
    fn an_upload_goes_on_with_the_header_it_began_with() {
        let at = Position { offset: 9, next_chunk: 1, next_row: 2 };
        let with =
            |header| prepared(&serde_json::json!({}), None, Begin { at, header }, UploadStatus::default());
        assert_eq!(with(Some("b,a".into())).unwrap().1, Some(vec!["b".into(), "a".into()]));
        assert_eq!(with(None).err().map(|p| p.reason), Some("NotResumable"));
    }

    #[test]
    fn settings_that_cannot_be_are_a_problem_of_the_job() {
        let same = serde_json::json!({"input": {"delimiter": "\""}});
        let problem = prepared(&same, None, start(), UploadStatus::default()).err();
        assert_eq!(problem.map(|p| p.reason), Some("InvalidInput"));
    }
}
