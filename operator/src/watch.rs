//! The watches and the two controllers that they trigger.
//!
//! There is one watch for each kind. It first updates a store and then triggers the controllers, so a reconcile never
//! sees a store that is older than its trigger.
//!
//! One replica is assumed (the chart's Deployment has the strategy `Recreate`). Two would not damage data: every write
//! is an apply of the same decision, and the start and end of a job are bound to the version on which they were
//! decided. But each would undo the scaling of the other. There is no leader election.

use std::fmt::Debug;
use std::sync::Arc;

use crds::{IngestJob, IngestModel, labels};
use futures::channel::mpsc::{UnboundedReceiver, UnboundedSender, unbounded};
use futures::{Stream, StreamExt, future};
use k8s_openapi::api::apps::v1::Deployment;
use kube::api::Api;
use kube::runtime::controller::{Action, Config, Controller, Error as ControllerError};
use kube::runtime::reflector::{ObjectRef, Store};
use kube::runtime::{WatchStreamExt, reflector, watcher};
use kube::{Client, ResourceExt};

use crate::context::Context;
use crate::objects::{Guarded, JobKey, ModelKey};
use crate::{job, model};

type Writer<K> = reflector::store::Writer<K>;

/// The writers that fill the stores.
pub struct Writers {
    /// Models.
    pub models: Writer<Guarded<IngestModel>>,
    /// Jobs.
    pub jobs: Writer<Guarded<IngestJob>>,
    /// Deployments.
    pub deployments: Writer<Deployment>,
}

/// Runs both controllers until `stop` is done and the running reconciles are finished. It also reconciles the jobs
/// that `jobs_called` receives; `call_jobs` is its sender.
pub async fn run(
    ctx: Arc<Context>,
    writers: Writers,
    (call_jobs, jobs_called): (UnboundedSender<JobKey>, UnboundedReceiver<JobKey>),
    stop: impl Future<Output = ()> + Send + Sync + Clone + 'static,
) {
    let client = ctx.client.clone();
    let (call_models, models_called) = unbounded();
    let config = Config::default().concurrency(ctx.settings.concurrency);

    let models =
        Controller::for_stream(watch_models(&client, &ctx, writers.models, call_jobs), ctx.models.clone())
            .owns_stream(watch_deployments(&client, &ctx, writers.deployments))
            .reconcile_on(models_called)
            .with_config(config.clone())
            .graceful_shutdown_on(stop.clone())
            .run(model::reconcile, model::on_error, Arc::clone(&ctx))
            .for_each(|done| {
                log("IngestModel", done, &ctx);
                future::ready(())
            });

    let jobs = Controller::for_stream(watch_jobs(&client, &ctx, writers.jobs, call_models), ctx.jobs.clone())
        .reconcile_on(jobs_called)
        .with_config(config)
        .graceful_shutdown_on(stop)
        .run(job::reconcile, job::on_error, Arc::clone(&ctx))
        .for_each(|done| {
            log("IngestJob", done, &ctx);
            future::ready(())
        });

    tokio::join!(models, jobs);
}

/// Watches models. Each change triggers the jobs that wait for or depend on the model.
fn watch_models(
    client: &Client,
    ctx: &Arc<Context>,
    writer: Writer<Guarded<IngestModel>>,
    call: UnboundedSender<JobKey>,
) -> impl Stream<Item = Result<Guarded<IngestModel>, watcher::Error>> + use<> {
    let ctx = Arc::clone(ctx);
    let api: Api<Guarded<IngestModel>> = Api::all(client.clone());
    let seen = Arc::clone(&ctx);
    watcher(api, watcher::Config::default())
        .default_backoff()
        .reflect(writer)
        .inspect(move |event| match event {
            Ok(watcher::Event::InitDone) => seen.models_known.open(),
            Ok(watcher::Event::Delete(deleted)) => model::forget(&seen, &ModelKey::from_obj(deleted)),
            _ => {}
        })
        .touched_objects()
        .inspect(move |touched| {
            let Ok(model) = touched else { return };
            for job in jobs_of(&ctx.jobs, model) {
                // Fails only if the controller has stopped and dropped the receiver.
                drop(call.unbounded_send(job));
            }
        })
}

/// Watches jobs. Each change triggers the job's model, which may need one worker more or less.
fn watch_jobs(
    client: &Client,
    ctx: &Arc<Context>,
    writer: Writer<Guarded<IngestJob>>,
    call: UnboundedSender<ModelKey>,
) -> impl Stream<Item = Result<Guarded<IngestJob>, watcher::Error>> + use<> {
    let api: Api<Guarded<IngestJob>> = Api::all(client.clone());
    let seen = Arc::clone(ctx);
    watcher(api, watcher::Config::default())
        .default_backoff()
        .reflect(writer)
        .inspect(move |event| match event {
            Ok(watcher::Event::InitDone) => seen.jobs_known.open(),
            Ok(watcher::Event::Delete(deleted)) => {
                seen.job_failures.reset(&JobKey::from_obj(deleted));
                job::forget(&seen, &deleted.uid().unwrap_or_default());
            }
            _ => {}
        })
        .touched_objects()
        .inspect(move |touched| {
            let Ok(kube::core::DeserializeGuard(Ok(job))) = touched else { return };
            let namespace = job.namespace().unwrap_or_default();
            drop(call.unbounded_send(ObjectRef::new(&job.spec.model_ref.name).within(&namespace)));
        })
}

/// Watches the Deployments of workers.
fn watch_deployments(
    client: &Client,
    ctx: &Arc<Context>,
    writer: Writer<Deployment>,
) -> impl Stream<Item = Result<Deployment, watcher::Error>> + use<> {
    let ours = format!("{}={}", labels::MANAGED_BY, labels::MANAGED_BY_US);
    let seen = Arc::clone(ctx);
    watcher(Api::<Deployment>::all(client.clone()), watcher::Config::default().labels(&ours))
        .default_backoff()
        .reflect(writer)
        .inspect(move |event| {
            if let Ok(watcher::Event::InitDone) = event {
                seen.deployments_known.open();
            }
        })
        .touched_objects()
}

/// Returns the jobs of a model that have not ended.
fn jobs_of(jobs: &Store<Guarded<IngestJob>>, model: &Guarded<IngestModel>) -> Vec<JobKey> {
    let (namespace, name) = (model.namespace(), model.name_any());
    let of_model = |job: &Guarded<IngestJob>| {
        job.namespace() == namespace
            && job.0.as_ref().is_ok_and(|job| {
                let ended =
                    job.status.as_ref().and_then(|s| s.state).is_some_and(crds::state::JobState::is_end);
                job.spec.model_ref.name == name && !ended
            })
    };
    jobs.state_filter(of_model).iter().map(|job| JobKey::from_obj(&**job)).collect()
}

/// Logs errors of a controller that its reconciles do not report themselves.
fn log<K, E>(
    kind: &'static str,
    done: Result<(ObjectRef<K>, Action), ControllerError<E, watcher::Error>>,
    ctx: &Context,
) where
    K: kube::runtime::reflector::Lookup,
    K::DynamicType: Debug,
    E: std::error::Error + 'static,
{
    match done {
        // `on_error` has already reported it. A deleted object is not an error.
        Ok(_) | Err(ControllerError::ReconcilerFailed(..) | ControllerError::ObjectNotFound(_)) => {}
        Err(ControllerError::QueueError(error)) => {
            ctx.metrics.error(kind, "WatchFailed");
            tracing::warn!(kind, %error, "watch failed; trying again");
        }
        Err(error) => tracing::error!(kind, %error, "controller failed"),
    }
}
