//! Collects from a job everything that an upload needs to know, before a byte of its body is read.

use std::sync::Arc;

use crds::job::{IngestJob, UploadStatus};
use crds::model::{Format, IngestModel, InputSpec};
use crds::{ModelId, RevisionData};
use k8s_openapi::api::apps::v1::ControllerRevision;
use kube::ResourceExt;
use kube::api::Api;
use rows_split::{Limits, Position};

use crate::error::{ApiError, FileProblem, kubernetes_or};
use crate::names::Namespace;
use crate::state::App;
use crate::upload::cut::CutTask;
use crate::upload::pin::revision_of;
use crate::upload::progress::{JobRef, Progress};
use crate::upload::request::UploadHeaders;
use crate::upload::resume::Begin;

/// The longest header that is kept in a status.
const MAX_KEPT_HEADER: usize = 64 * 1024;
/// The most partitions that are used: `status.upload.lastOffsets` has one entry for each.
const MOST_PARTITIONS: u32 = 1000;

/// Everything that an upload needs to know.
pub struct Prepared {
    /// The job.
    pub job: JobRef,
    /// The revision to which it is pinned.
    pub revision: String,
    /// Its topic.
    pub topic: String,
    /// The number of partitions that its chunks are spread over.
    pub partitions: u32,
    /// What the cutting thread needs to know.
    pub task: CutTask,
    /// The names in the file's header, if they are known from an earlier request.
    pub columns: Option<Vec<String>>,
    /// What was acknowledged before, and what must not change any more.
    pub status: UploadStatus,
}

/// Returns the data of a job that a writer of its status needs.
#[must_use]
pub fn job_ref(namespace: &Namespace, job: &IngestJob) -> JobRef {
    JobRef {
        namespace: namespace.to_string(),
        name: job.name_any(),
        uid: job.uid().unwrap_or_default(),
        version: job.resource_version().unwrap_or_default(),
    }
}

/// Reads the revision of a pinned job and everything else that its upload needs. If the job's own settings are wrong,
/// the job ends, as for a problem of the file.
pub async fn prepare(
    app: &App,
    namespace: &Namespace,
    model: &IngestModel,
    job: &IngestJob,
    headers: &UploadHeaders,
    begin: Begin,
) -> Result<Prepared, ApiError> {
    let reference = job_ref(namespace, job);
    let revision = revision_of(job).ok_or_else(|| ApiError::Internal("the job is not pinned".into()))?;
    let mut status = job.status.as_ref().and_then(|s| s.upload.clone()).unwrap_or_default();
    let topic = ModelId::of(namespace.as_str(), &model.name_any()).topic();
    let data = revision_data(app, namespace, revision);
    let (data, there) = futures::future::try_join(data, app.kafka.partitions(&topic)).await?;
    let partitions = partitions(&mut status, there.unwrap_or(0));
    if partitions == 0 || there.unwrap_or(0) < partitions {
        let model = model.name_any();
        let message = format!(
            "the topic '{topic}' of model '{model}' has {} partitions, and the upload needs {}",
            there.unwrap_or(0),
            partitions.max(1)
        );
        return Err(ApiError::ModelNotReady(message));
    }
    match assemble(model, &data, job, headers, begin, status) {
        Ok((mut task, columns, status)) => {
            task.limit = app.settings.upload_limit();
            let revision = revision.to_owned();
            Ok(Prepared { job: reference, revision, topic, partitions, task, columns, status })
        }
        Err(problem) => {
            let status = job.status.as_ref().and_then(|s| s.upload.clone()).unwrap_or_default();
            let failed = UploadStatus { error: Some(problem.as_status()), ..status.clone() };
            Progress::new(app.kube.clone(), reference, &status).write(&failed).await?;
            Err(problem.into())
        }
    }
}

/// Returns the number of partitions that the chunks are spread over: the number with which the upload began, or `there`
/// for a new upload. So no chunk of a job moves when the topic grows.
fn partitions(status: &mut UploadStatus, there: u32) -> u32 {
    if let Some(partitions) = status.partitions {
        return u32::try_from(partitions).unwrap_or(0);
    }
    let partitions = there.min(MOST_PARTITIONS);
    status.partitions = i32::try_from(partitions).ok().filter(|partitions| *partitions > 0);
    partitions
}

/// Returns the chunk size of a job: the one with which its upload began, or that of its model for a new upload.
#[must_use]
pub fn chunk_bytes(model: &IngestModel, job: &IngestJob) -> u64 {
    let begun = job.status.as_ref().and_then(|s| s.upload.as_ref()).and_then(|upload| upload.chunk_bytes);
    begun.and_then(|bytes| u64::try_from(bytes).ok()).unwrap_or(u64::from(model.spec.chunk_bytes))
}

async fn revision_data(
    app: &App,
    namespace: &Namespace,
    revision: &str,
) -> Result<Arc<RevisionData>, ApiError> {
    let key = format!("{namespace}/{revision}");
    if let Some(data) = app.revisions.get(&key) {
        return Ok(data);
    }
    let revisions: Api<ControllerRevision> = Api::namespaced(app.kube.clone(), namespace.as_str());
    let not_found =
        || ApiError::ModelNotReady(format!("the revision '{revision}' of the job's model does not exist"));
    let data = revisions.get(revision).await.map_err(kubernetes_or(404, not_found))?.data;
    let data = data.ok_or_else(|| ApiError::Internal(format!("the revision '{revision}' is empty")))?;
    let data: RevisionData = serde_json::from_value(data.0)
        .map_err(|e| ApiError::Internal(format!("failed to read revision '{revision}': {e}")))?;
    Ok(app.revisions.keep(key, data))
}

/// Returns the first format that is specified: that of the job, of the upload when it began, or of the content type.
/// `None`: the model's format applies.
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
    // A chunk that was sent but not acknowledged may be in Kafka: the same bytes must be cut in the same way.
    let chunk_bytes = status.chunk_bytes.unwrap_or(i64::from(model.spec.chunk_bytes));
    let columns = match begin.header.filter(|_| input.has_header()) {
        Some(raw) => Some(rows_split::parse_header(&input, raw.as_bytes())?),
        None if begin.at != Position::START && input.has_header() => {
            let message =
                "the header line is too long to be kept, so the upload cannot continue; make a new job"
                    .into();
            return Err(FileProblem { reason: "NotResumable", message });
        }
        None => None,
    };
    let next_row = i64::try_from(begin.at.next_row).unwrap_or(i64::MAX);
    let status = UploadStatus { chunk_bytes: Some(chunk_bytes), format, next_row, ..status };
    let chunk_bytes = usize::try_from(chunk_bytes).unwrap_or_default();
    let limits = Limits::of(&schema, chunk_bytes);
    let task = CutTask { schema, input, encoding: headers.encoding, limits, at: begin.at, limit: None };
    Ok((task, columns, status))
}

/// Returns a header as it is kept in a status; `None` if it is too long.
#[must_use]
pub fn kept_header(raw: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(raw).ok()?;
    (text.len() <= MAX_KEPT_HEADER).then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::upload::decode::Encoding;
    use crate::upload::resume::Offered;

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
        let (encoding, offered) = (Encoding::Identity, Offered::default());
        let headers = UploadHeaders { encoding, format, length: None, offered };
        assemble(&model, &data, &job(spec), &headers, begin, status)
    }

    fn start() -> Begin {
        Begin::START
    }

    #[test]
    fn the_format_of_the_job_overrides_the_content_type() {
        let of = |spec, header, status| prepared(&spec, header, start(), status).unwrap().0.input.format;
        let (json, none) = (serde_json::json!({"input": {"format": "JSONLines"}}), serde_json::json!({}));
        let fresh = UploadStatus::default;
        assert_eq!(of(json, Some(Format::Csv), fresh()), rows_types::Format::JsonLines);
        assert_eq!(of(none.clone(), Some(Format::Tsv), fresh()), rows_types::Format::Tsv);
        assert_eq!(of(none.clone(), None, fresh()), rows_types::Format::Csv);
        let begun = UploadStatus { format: Some(Format::JsonLines), ..fresh() };
        assert_eq!(of(none, Some(Format::Csv), begun), rows_types::Format::JsonLines);
    }

    #[test]
    fn an_upload_is_cut_to_its_end_with_the_settings_of_its_start() {
        let fresh = prepared(&serde_json::json!({}), None, start(), UploadStatus::default()).unwrap();
        assert_eq!((fresh.0.limits.chunk_bytes, fresh.2.chunk_bytes), (960 << 10, Some(960 << 10)));
        let begun = UploadStatus { chunk_bytes: Some(1024), ..UploadStatus::default() };
        assert_eq!(
            prepared(&serde_json::json!({}), None, start(), begun).unwrap().0.limits.chunk_bytes,
            1024
        );
    }

    #[test]
    fn new_partitions_do_not_move_chunks_of_an_upload_that_has_started() {
        let mut status = UploadStatus::default();
        assert_eq!((partitions(&mut status, 6), status.partitions), (6, Some(6)));
        assert_eq!((partitions(&mut status, 12), status.partitions), (6, Some(6)));
        let mut none = UploadStatus::default();
        assert_eq!((partitions(&mut none, 0), none.partitions), (0, None));
        assert_eq!(partitions(&mut none, 5000), 1000);
    }

    #[test]
    fn an_upload_continues_with_the_header_it_started_with() {
        let at = Position { offset: 9, next_chunk: 1, next_row: 2, ..Position::START };
        let with =
            |header| prepared(&serde_json::json!({}), None, Begin { at, header }, UploadStatus::default());
        assert_eq!(with(Some("b,a".into())).unwrap().1, Some(vec!["b".into(), "a".into()]));
        assert_eq!(with(None).err().map(|p| p.reason), Some("NotResumable"));
    }

    #[test]
    fn invalid_settings_are_a_problem_of_the_job() {
        let same = serde_json::json!({"input": {"delimiter": "\""}});
        let problem = prepared(&same, None, start(), UploadStatus::default()).err();
        assert_eq!(problem.map(|p| p.reason), Some("InvalidInput"));
    }
}
