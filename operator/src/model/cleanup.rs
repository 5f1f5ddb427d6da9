//! `deletionPolicy: Delete`: table and topic are deleted with the model.
//!
//! Guarantees: nothing is dropped unless the policy says so. No table is dropped that this model did not make (its
//! comment names its owner). The deletion of a model is never delayed for longer than [`LIMIT`], however long
//! ClickHouse or Kafka are unavailable. Caveat: what is left after that must be dropped by hand; an Event says so.
//! With the annotation [`SKIP`] a model is deleted at once.

use crds::IngestModel;
use crds::model::DeletionPolicy;
use jiff::{SignedDuration, Timestamp};
use kube::ResourceExt;
use kube::api::{Api, Patch, PatchParams};
use serde_json::json;

use super::ModelError;
use super::apply;
use super::validate::ValidModel;
use crate::clock;
use crate::context::Context;
use crate::ddl;
use crate::events::EventNote;
use crate::objects::{Guarded, is_conflict, is_not_found};

/// The finalizer. It is set only with `deletionPolicy: Delete`.
pub const FINALIZER: &str = "ingest.batch-on-kafka.io/cleanup";
/// `kubectl annotate ingestmodel NAME ingest.batch-on-kafka.io/skip-cleanup=true`: delete the model at once and drop
/// nothing.
pub const SKIP: &str = "ingest.batch-on-kafka.io/skip-cleanup";
/// The longest that a model waits for its table and topic to be dropped.
const LIMIT: SignedDuration = SignedDuration::from_mins(10);

/// What to do with the finalizer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Nothing.
    None,
    /// Set it.
    Set,
    /// Remove it: nothing must be dropped.
    Clear,
    /// Drop table and topic, then remove it.
    Drop,
    /// Remove it: dropping took too long.
    GiveUp,
}

/// Decides what to do with the finalizer of `model` now. Pure.
#[must_use]
pub fn step(model: &IngestModel, now: Timestamp) -> Step {
    let wanted = model.spec.deletion_policy == DeletionPolicy::Delete;
    let there = model.finalizers().iter().any(|f| f == FINALIZER);
    let skip = model.annotations().get(SKIP).is_some_and(|v| v == "true");
    match (&model.metadata.deletion_timestamp, there) {
        (None, false) if wanted => Step::Set,
        (None, true) if !wanted => Step::Clear,
        (None, _) | (Some(_), false) => Step::None,
        (Some(_), true) if skip || !wanted => Step::Clear,
        (Some(since), true) if clock::elapsed(since.0, now) > LIMIT => Step::GiveUp,
        (Some(_), true) => Step::Drop,
    }
}

/// Executes the step. `valid` is `None` for a model whose spec cannot be read: then it is not known what to drop.
pub async fn run(
    ctx: &Context,
    model: &IngestModel,
    valid: Option<&ValidModel>,
    step: Step,
) -> Result<(), ModelError> {
    match step {
        Step::None => {}
        Step::Set => finalizers(ctx, model, true).await?,
        Step::Clear => finalizers(ctx, model, false).await?,
        Step::GiveUp => {
            let note = "table and topic could not be dropped in time: drop them by hand";
            publish(ctx, model, EventNote::warning("CleanupGivenUp", note)).await;
            finalizers(ctx, model, false).await?;
        }
        Step::Drop => {
            if let Some(valid) = valid {
                drop_all(ctx, model, valid).await?;
            }
            finalizers(ctx, model, false).await?;
        }
    }
    Ok(())
}

async fn drop_all(ctx: &Context, model: &IngestModel, valid: &ValidModel) -> Result<(), ModelError> {
    // The workers come first: without the table they would fail.
    apply::delete_workers(ctx, valid).await?;
    let table = valid.table.name.plain();
    let event = if ddl::run::drop_own(&ctx.clickhouse, &valid.table).await? {
        EventNote::normal("TableDropped", format!("table {table} was dropped"))
    } else {
        EventNote::normal("TableKept", format!("table {table} was not made by this model: it stays"))
    };
    publish(ctx, model, event).await;
    ctx.topics.delete(&[&valid.topic.name, &valid.dead_letters.name]).await?;
    publish(ctx, model, EventNote::normal("TopicDeleted", format!("topic {} was deleted", valid.topic.name)))
        .await;
    Ok(())
}

/// Sets or removes the finalizer of the operator, and no other.
async fn finalizers(ctx: &Context, model: &IngestModel, set: bool) -> kube::Result<()> {
    let api: Api<Guarded<IngestModel>> =
        Api::namespaced(ctx.client.clone(), &model.namespace().unwrap_or_default());
    let mut list: Vec<&str> =
        model.finalizers().iter().map(String::as_str).filter(|f| *f != FINALIZER).collect();
    if set {
        list.push(FINALIZER);
    }
    // With the version, so that a list that another writer changed meanwhile is not overwritten.
    let patch = json!({"metadata": {"resourceVersion": model.resource_version(), "finalizers": list}});
    match api.patch(&model.name_any(), &PatchParams::default(), &Patch::Merge(patch)).await {
        Err(error) if is_not_found(&error) || is_conflict(&error) => Ok(()),
        Err(error) => Err(error),
        Ok(_) => Ok(()),
    }
}

async fn publish(ctx: &Context, model: &IngestModel, event: EventNote) {
    use kube::Resource;
    ctx.events.publish(event, &model.object_ref(&())).await;
}

#[cfg(test)]
mod tests {
    use super::super::validate::tests::{PURCHASES, model};
    use super::*;

    fn case([delete, finalizer, deleted, skip]: [bool; 4]) -> Step {
        let mut model = model(PURCHASES);
        if delete {
            model.spec.deletion_policy = DeletionPolicy::Delete;
        }
        if finalizer {
            model.metadata.finalizers = Some(vec![FINALIZER.into()]);
        }
        if deleted {
            model.metadata.deletion_timestamp =
                Some(k8s_openapi::apimachinery::pkg::apis::meta::v1::Time(Timestamp::UNIX_EPOCH));
        }
        if skip {
            model.metadata.annotations = Some([(SKIP.to_owned(), "true".to_owned())].into());
        }
        step(&model, Timestamp::from_second(60).unwrap())
    }

    #[test]
    fn a_model_that_keeps_its_table_never_has_a_finalizer() {
        assert_eq!(case([false, false, false, false]), Step::None);
        assert_eq!(case([false, false, true, false]), Step::None);
        assert_eq!(case([false, true, false, false]), Step::Clear);
        assert_eq!(case([false, true, true, false]), Step::Clear);
    }

    #[test]
    fn table_and_topic_are_dropped_only_when_the_policy_says_so_and_no_one_objects() {
        assert_eq!(case([true, false, false, false]), Step::Set);
        assert_eq!(case([true, true, false, false]), Step::None);
        assert_eq!(case([true, true, true, false]), Step::Drop);
        assert_eq!(case([true, true, true, true]), Step::Clear);
    }

    #[test]
    fn a_model_is_not_held_for_ever() {
        let mut model = model(PURCHASES);
        model.spec.deletion_policy = DeletionPolicy::Delete;
        model.metadata.finalizers = Some(vec![FINALIZER.into()]);
        model.metadata.deletion_timestamp =
            Some(k8s_openapi::apimachinery::pkg::apis::meta::v1::Time(Timestamp::UNIX_EPOCH));
        assert_eq!(step(&model, Timestamp::from_second(599).unwrap()), Step::Drop);
        assert_eq!(step(&model, Timestamp::from_second(601).unwrap()), Step::GiveUp);
    }
}
