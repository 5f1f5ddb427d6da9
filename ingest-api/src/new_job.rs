//! The job that an upload by `POST` makes.

use crds::job::{IngestJob, IngestJobSpec, JobSource, ModelRef, UploadSource};
use crds::model::{Format, InputSpec};
use crds::{IngestModel, ModelId};
use kube::ResourceExt;
use kube::api::{DeleteParams, PostParams, Preconditions};
use serde::Deserialize;

use crate::error::ApiError;
use crate::label::Label;
use crate::names::{Name, Namespace};
use crate::state::App;

/// How many names are tried.
const TRIES: u32 = 4;

/// The settings of a new job that a client may specify.
#[derive(Clone, Debug, Default, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct NewJob {
    /// The job's name; default: 8 hex digits
    name: Option<String>,
    /// An idempotency key: while a job of the model has it, a second one is refused, and the error names the first
    label: Option<String>,
    /// How the file is read, as JSON: the `spec.input` of an `IngestJob`
    input: Option<String>,
    /// Overrides `input`: `CSV`, `TSV`, `JSONLines` or `JSON`
    #[param(value_type = Option<String>)]
    format: Option<Format>,
    /// Overrides `input`: whether the first record names the columns
    header: Option<bool>,
    /// Overrides `input`: one ASCII character between two cells
    delimiter: Option<String>,
    /// Overrides `input`: one ASCII character around a cell
    quote: Option<String>,
}

impl NewJob {
    /// Checks the settings that need no other information.
    pub fn check(&self) -> Result<(), ApiError> {
        self.input(None)?;
        self.name.as_deref().map_or(Ok(()), |name| Name::parse(name).map(|_| ()))
    }

    /// Returns how the file is read. The query overrides the content type. `None` if neither specifies anything.
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

/// Makes the job. Fails if the model is paused, Kafka cannot be reached, the name is taken, or another job of the model
/// has the label.
pub async fn create(
    app: &App,
    namespace: &Namespace,
    model: &IngestModel,
    new: NewJob,
    content_type: Option<Format>,
) -> Result<IngestJob, ApiError> {
    let input = new.input(content_type)?;
    let name = new.name.as_deref().map(Name::parse).transpose()?;
    if model.spec.paused {
        return Err(ApiError::ModelPaused(format!("model '{}' is paused", model.name_any())));
    }
    // This checks that Kafka answers; the topic itself may not exist yet.
    app.kafka.partitions(&ModelId::of(namespace.as_str(), &model.name_any()).topic()).await?;
    let label = new.label.as_deref().map(|label| Label { namespace, model, label });
    let _looking = match &label {
        Some(label) => Some(label.claim(app).await?),
        None => None,
    };
    let spec = spec(model, input, new.label.clone());
    for attempt in 0..TRIES {
        let named = match (&name, &label) {
            (Some(name), _) => name.to_string(),
            (None, Some(label)) if attempt == 0 => label.job_name(),
            _ => format!("{:08x}", (app.new_id)()),
        };
        match app.jobs(namespace).create(&PostParams::default(), &IngestJob::new(&named, spec.clone())).await
        {
            Err(kube::Error::Api(status)) if status.code == 409 => match (&name, &label) {
                (Some(name), _) => return Err(ApiError::JobExists(name.to_string())),
                (None, Some(label)) if attempt == 0 => label.check_existing(app, &named).await?,
                _ => {}
            },
            other => return Ok(other?),
        }
    }
    Err(ApiError::Internal(format!("no free name for a job was found in {TRIES} tries")))
}

/// Deletes a job whose upload could not begin.
pub async fn delete_unused(app: &App, namespace: &Namespace, job: &IngestJob) {
    let preconditions = Preconditions { uid: job.uid(), resource_version: None };
    let params = DeleteParams { preconditions: Some(preconditions), ..DeleteParams::default() };
    if let Err(error) = app.jobs(namespace).delete(&job.name_any(), &params).await {
        tracing::warn!(%error, job = job.name_any(), "failed to take back a job whose upload did not begin");
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
    fn the_query_overrides_the_content_type() {
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
    fn a_content_type_is_stored_in_the_job_so_that_its_upload_continues_with_it() {
        let input = NewJob::default().input(Some(Format::JsonLines)).unwrap().unwrap();
        assert_eq!(input.format, Some(Format::JsonLines));
        assert_eq!(NewJob::default().input(None).unwrap(), None);
    }

    #[test]
    fn a_wrong_input_is_refused_with_the_wrong_field_or_value() {
        let new = NewJob { input: Some(r#"{"format":"XML"}"#.into()), ..NewJob::default() };
        assert!(new.input(None).unwrap_err().to_string().contains("XML"));
    }
}
