//! The job that an upload brings with it.

use crds::job::{IngestJob, IngestJobSpec, JobSource, ModelRef, UploadSource};
use crds::model::{Format, InputSpec};
use crds::{IngestModel, ModelId};
use kube::ResourceExt;
use kube::api::{DeleteParams, ListParams, PostParams, Preconditions};
use serde::Deserialize;

use crate::error::ApiError;
use crate::names::{Name, Namespace};
use crate::state::App;

/// Names that are tried before it is given up.
const TRIES: u32 = 4;

/// What a client may say of the job it makes.
#[derive(Clone, Debug, Default, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct NewJob {
    /// The job's name; default: 8 hex digits
    name: Option<String>,
    /// An idempotency key: while a job of the model has it, a second one is refused with its name
    label: Option<String>,
    /// How the file is read, as JSON: the `spec.input` of an `IngestJob`
    input: Option<String>,
    /// Over `input`: `CSV`, `TSV`, `JSONLines` or `JSON`
    #[param(value_type = Option<String>)]
    format: Option<Format>,
    /// Over `input`: whether the first record names the columns
    header: Option<bool>,
    /// Over `input`: one ASCII character between two cells
    delimiter: Option<String>,
    /// Over `input`: one ASCII character around a cell
    quote: Option<String>,
}

impl NewJob {
    /// How the file is read: what the query says, over what the content type says; `None` where neither says a thing.
    fn input(&self, content_type: Option<Format>) -> Result<Option<InputSpec>, ApiError> {
        let input = self.input.as_deref().map(serde_json::from_str::<InputSpec>).transpose();
        let input = input
            .map_err(|e| ApiError::BadRequest(format!("the query option 'input' is no spec.input: {e}")))?;
        let mut input = input.unwrap_or_default();
        input.format = self.format.or(input.format).or(content_type);
        input.header = self.header.or(input.header);
        input.delimiter = self.delimiter.clone().or(input.delimiter);
        input.quote = self.quote.clone().or(input.quote);
        Ok((input != InputSpec::default()).then_some(input))
    }
}

/// Makes the job, unless Kafka is away, its name is taken or another job of the model has its label.
pub async fn create(
    app: &App,
    namespace: &Namespace,
    model: &Name,
    new: NewJob,
    content_type: Option<Format>,
) -> Result<IngestJob, ApiError> {
    let input = new.input(content_type)?;
    let name = new.name.as_deref().map(Name::parse).transpose()?;
    let model = app.model(namespace, model).await?;
    // Whether Kafka answers; the topic itself may still be on its way.
    app.kafka.partitions(&ModelId::of(namespace.as_str(), &model.name_any()).topic()).await?;
    let _looking = match &new.label {
        Some(label) => Some(claim_label(app, namespace, &model, label).await?),
        None => None,
    };
    let spec = spec(&model, input, new.label.clone());
    for attempt in 0..TRIES {
        let named = name.as_ref().map(ToString::to_string);
        let named = named.unwrap_or_else(|| generated(app, namespace, &model, new.label.as_deref(), attempt));
        match app.jobs(namespace).create(&PostParams::default(), &IngestJob::new(&named, spec.clone())).await
        {
            Err(kube::Error::Api(status)) if status.code == 409 => match (&name, &new.label) {
                (Some(name), _) => return Err(ApiError::JobExists(name.to_string())),
                (None, Some(label)) if attempt == 0 => taken(app, namespace, &model, label).await?,
                _ => {}
            },
            other => return Ok(other?),
        }
    }
    Err(ApiError::Internal(format!("no free name for a job was found in {TRIES} tries")))
}

/// Deletes a job that was made for an upload which then could not begin.
pub async fn take_back(app: &App, namespace: &Namespace, job: &IngestJob) {
    let preconditions = Preconditions { uid: job.uid(), resource_version: None };
    let params = DeleteParams { preconditions: Some(preconditions), ..DeleteParams::default() };
    if let Err(error) = app.jobs(namespace).delete(&job.name_any(), &params).await {
        tracing::warn!(%error, job = job.name_any(), "failed to take back a job whose upload did not begin");
    }
}

/// Only one request at a time may look for a label here; two servers are told apart by [`generated`].
async fn claim_label(
    app: &App,
    namespace: &Namespace,
    model: &IngestModel,
    label: &str,
) -> Result<crate::state::Claim, ApiError> {
    let key = format!("label {namespace}/{}/{label}", model.name_any());
    let busy = || ApiError::LabelTaken { label: label.to_owned(), job: "(being made)".into() };
    let claim = app.running.claim(&key).ok_or_else(busy)?;
    taken(app, namespace, model, label).await?;
    Ok(claim)
}

/// Fails with the job of the model that has the label, if one has.
async fn taken(app: &App, namespace: &Namespace, model: &IngestModel, label: &str) -> Result<(), ApiError> {
    let model = model.name_any();
    let has = |job: &IngestJob| job.spec.label.as_deref() == Some(label) && job.spec.model_ref.name == model;
    let jobs = app.jobs(namespace).list(&ListParams::default()).await?;
    match jobs.items.iter().find(|job| has(job)) {
        Some(job) => Err(ApiError::LabelTaken { label: label.to_owned(), job: job.name_any() }),
        None => Ok(()),
    }
}

/// 8 hex digits: of the label where there is one, so that two jobs with one label meet at one name wherever they are
/// made; of a random number otherwise.
fn generated(
    app: &App,
    namespace: &Namespace,
    model: &IngestModel,
    label: Option<&str>,
    attempt: u32,
) -> String {
    match label {
        Some(label) if attempt == 0 => {
            ModelId::of(namespace.as_str(), &format!("{}/{label}", model.name_any())).to_string()
        }
        _ => format!("{:08x}", (app.new_id)()),
    }
}

fn spec(model: &IngestModel, input: Option<InputSpec>, label: Option<String>) -> IngestJobSpec {
    IngestJobSpec {
        model_ref: ModelRef { name: model.name_any() },
        source: JobSource { upload: Some(UploadSource {}), inline: None },
        input,
        error_policy: None,
        label,
        cancel: false,
        upload_deadline_seconds: 3600,
        ttl_seconds_after_finished: 604_800,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_query_says_goes_over_what_the_content_type_says() {
        let new = NewJob {
            input: Some(r#"{"format":"TSV","quote":"'"}"#.into()),
            header: Some(false),
            ..NewJob::default()
        };
        let input = new.input(Some(Format::Csv)).unwrap().unwrap();
        assert_eq!(
            (input.format, input.header, input.quote.as_deref()),
            (Some(Format::Tsv), Some(false), Some("'"))
        );
    }

    #[test]
    fn a_content_type_is_kept_in_the_job_so_that_its_upload_goes_on_alike() {
        let input = NewJob::default().input(Some(Format::JsonLines)).unwrap().unwrap();
        assert_eq!(input.format, Some(Format::JsonLines));
        assert_eq!(NewJob::default().input(None).unwrap(), None);
    }

    #[test]
    fn a_wrong_input_is_refused_with_the_word_that_is_wrong() {
        let new = NewJob { input: Some(r#"{"format":"XML"}"#.into()), ..NewJob::default() };
        assert!(new.input(None).unwrap_err().to_string().contains("XML"));
    }
}
