//! What is written for a model, with the clock as an argument.

use super::super::build::tests::settings;
use super::super::validate::tests::{PURCHASES, model};
use super::super::validate::validate;
use super::*;
use crate::model_state::Measured;
use crate::settings::Settings;
use crate::worker_env::WorkerEnv;

/// A model, and all that a plan for it depends on.
struct Case {
    model: IngestModel,
    valid: Result<ValidModel, ModelProblem>,
    state: ModelState,
    observed: Observed,
    settings: Settings,
    env: WorkerEnv,
}

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(1_700_000_000 + seconds).unwrap()
}

fn fault(reason: &'static str) -> Fault {
    Fault { reason, message: "why".into() }
}

impl Case {
    /// A model that the operator sees for the first time.
    fn new(tail: &str) -> Self {
        let model = model(&format!("{PURCHASES}\n{tail}"));
        let valid = validate(&model, "default");
        let (settings, env) = settings();
        let observed = Observed { revisions: Some(vec![]), ..Observed::default() };
        Self { model, valid, state: ModelState::default(), observed, settings, env }
    }

    /// A model for which everything was made at second 0, and whose lag was read at second 1.
    fn made(tail: &str) -> Self {
        let mut case = Self::new(tail);
        case.apply(0, Ok(()));
        case.measured(&[0; 6], 1);
        case.apply(1, Ok(()));
        case
    }

    fn measured(&mut self, lag: &[i64], seconds: i64) {
        let active = self.observed.jobs.active;
        self.state.measured =
            Some(Measured { at: at(seconds), active, lag: Some(lag.to_vec()), rows: Some(0) });
    }

    fn plan(&self, seconds: i64) -> Actions<'_> {
        let installation = Installation { settings: &self.settings, env: &self.env };
        plan(&self.model, &self.valid, &self.state, &self.observed, installation, at(seconds))
    }

    fn run(&self, seconds: i64) -> Run<'_> {
        let Then::Run(run) = self.plan(seconds).then else { panic!("the model is valid") };
        *run
    }

    fn report(&self, run: &Run<'_>, fault: Option<&Fault>, seconds: i64) -> Report {
        report(&self.model, run, &self.state, self.observed.deployment.as_deref(), fault, at(seconds))
    }

    /// Plans, and makes everything as a cluster that accepts all would. The Secret gets the version "7".
    fn apply(&mut self, seconds: i64, table: Result<(), Fault>) {
        let run = self.run(seconds);
        let (wanted, history) = (run.wanted, run.history.clone());
        let installation = Installation { settings: &self.settings, env: &self.env };
        let generation = Some(self.observed.generation().unwrap_or(0) + 1);
        let applied = match &run.objects {
            None => self.state.applied.clone(),
            Some(Objects::Deployment(wanted, last)) => {
                Some(Applied { deployment: fingerprint(wanted), generation, ..last.clone() })
            }
            Some(Objects::All(base)) => Some(Applied {
                base: fingerprint(base),
                secret_version: "7".into(),
                deployment: fingerprint(&build::deployment(run.model, installation, wanted, "7")),
                generation,
            }),
        };
        let ensured = Ensured { of: run.model.of.clone(), at: at(seconds), table, topic: Ok(6) };
        let is_made = run.make.is_some();
        if is_made {
            self.state.ensured = Some(ensured);
        }
        self.state.history = Some(history);
        if self.run(seconds).may_apply(self.state.ensured.as_ref()) {
            let mut deployment = Deployment::default();
            deployment.metadata.generation = applied.as_ref().and_then(|applied| applied.generation);
            deployment.spec =
                Some(k8s_openapi::api::apps::v1::DeploymentSpec { replicas: Some(wanted), ..<_>::default() });
            self.observed.deployment = Some(deployment.into());
            self.state.applied = applied;
        }
        self.observed.revisions = None;
        let status = self.report(&self.run(seconds), None, seconds).status;
        self.model.status = status.or(self.model.status.take());
    }
}

/// The replicas, if only the Deployment is applied.
fn deployment(run: &Run<'_>) -> Option<i32> {
    match &run.objects {
        Some(Objects::Deployment(deployment, _)) => deployment.spec.as_ref()?.replicas,
        _ => None,
    }
}

#[test]
fn nothing_is_written_for_a_model_that_is_as_it_should_be() {
    let case = Case::made("");
    let actions = case.plan(30);
    assert_eq!(actions.finalizer, cleanup::Step::None);
    let run = case.run(30);
    assert!(run.make.is_none() && run.objects.is_none() && run.scaled.is_none(), "{run:?}");
    let report = case.report(&run, None, 30);
    assert_eq!((report.status, report.event, report.wait), (None, None, Some(RESYNC)));
}

#[test]
fn everything_is_made_for_a_new_model_and_again_after_a_while() {
    let new = Case::new("");
    let run = new.run(0);
    let made = run.make.unwrap().revision.unwrap();
    assert_eq!((made.revision, made.metadata.name.unwrap()), (1, run.model.revision.name.clone()));
    assert!(matches!(run.objects, Some(Objects::All(_))));

    let mut old = Case::made("");
    old.observed.revisions = Some(vec![build::controller_revision(old.valid.as_ref().unwrap(), 4)]);
    let run = old.run(60);
    assert!(run.make.unwrap().revision.is_none(), "it is already the newest");
    assert!(matches!(run.objects, Some(Objects::All(_))), "others may have changed them");
}

#[test]
fn a_changed_secret_is_applied_and_its_new_version_restarts_the_workers() {
    let mut case = Case::made("");
    case.env.secret.insert("CLICKHOUSE_PASSWORD".into(), "changed".into());
    let Some(Objects::All(base)) = case.run(30).objects else { panic!("the Secret differs") };
    assert_eq!(base.secret.data.unwrap()["CLICKHOUSE_PASSWORD"].0, b"changed");
    case.apply(30, Ok(()));
    assert!(case.run(31).objects.is_none());
    case.state.applied.as_mut().unwrap().secret_version = "8".into();
    assert_eq!(deployment(&case.run(31)), Some(0));
}

#[test]
fn a_deployment_that_others_changed_or_deleted_is_applied_again() {
    let mut case = Case::made("");
    let applied = case.observed.deployment.clone().unwrap();
    let mut changed = (*applied).clone();
    changed.metadata.generation = applied.metadata.generation.map(|generation| generation + 1);
    case.observed.deployment = Some(changed.into());
    assert_eq!(deployment(&case.run(30)), Some(0));
    case.observed.deployment = None;
    assert_eq!(deployment(&case.run(30)), Some(0));
    case.observed.deployment = Some(applied);
    assert!(case.run(30).objects.is_none());
}

#[test]
fn objects_that_were_refused_are_all_applied_again_soon() {
    let mut case = Case::made("");
    case.state.applied = None;
    let run = case.run(30);
    assert!(matches!(run.objects, Some(Objects::All(_))));
    let report = case.report(&run, Some(&fault("WorkersRefused")), 30);
    assert_eq!((report.event.unwrap().reason.as_str(), report.wait), ("WorkersRefused", Some(REFUSED)));
}

#[test]
fn the_first_worker_starts_with_a_job_and_is_reported() {
    let mut case = Case::made("");
    case.observed.jobs.active = true;
    let run = case.run(30);
    assert_eq!((deployment(&run), run.wanted, run.wait), (Some(1), 1, MEASURE));
    let event = run.scaled.as_ref().unwrap();
    assert_eq!((event.note.as_str(), event.action.as_str()), ("workers 0 -> 1: a job runs", "ScaleTo1"));
    assert!(!case.observed.is_measure_due(0, &case.state, at(30)), "it does not wait for Kafka");
    case.apply(30, Ok(()));
    assert!(case.run(31).scaled.is_none());
    assert!(case.observed.is_measure_due(0, &case.state, at(31)));
}

#[test]
fn the_number_of_workers_follows_the_lag_and_the_client_for_it_is_closed_at_the_end() {
    let mut case = Case::made("          workers: {chunksPerWorker: 8, max: 4}");
    case.observed.jobs.active = true;
    case.measured(&[9, 9, 2, 0, 0, 0], 30);
    assert_eq!(deployment(&case.run(30)), Some(3));
    case.apply(30, Ok(()));
    case.observed.jobs.active = false;
    case.measured(&[0; 6], 600);
    let run = case.run(600);
    assert_eq!((deployment(&run), run.close_lag, run.wait), (Some(0), true, RESYNC));
    case.observed.jobs.blocked = true;
    let run = case.run(600);
    assert_eq!((deployment(&run), run.close_lag, run.wait), (Some(0), false, MEASURE));
}

#[test]
fn no_worker_is_made_before_its_table_and_an_outage_stops_none() {
    let away = || Err(fault("ClickHouseUnavailable"));
    let mut new = Case::new("");
    new.observed.jobs.active = true;
    new.apply(0, away());
    assert!(!new.run(1).may_apply(new.state.ensured.as_ref()));
    new.observed.revisions = Some(vec![]);
    new.apply(1, Ok(()));
    assert!(new.run(2).may_apply(new.state.ensured.as_ref()));
    new.observed.revisions = Some(vec![]);
    new.apply(60, away());
    assert!(new.run(61).may_apply(new.state.ensured.as_ref()));
}

#[test]
fn what_could_not_be_made_is_reported_and_tried_again() {
    let mut case = Case::made("");
    case.state.ensured.as_mut().unwrap().table = Err(fault("ClickHouseUnavailable"));
    case.state.failures = 3;
    let report = case.report(&case.run(30), None, 30);
    assert_eq!(report.event.unwrap().reason, "ClickHouseUnavailable");
    assert_eq!(report.wait, Some(SignedDuration::from_secs(4)));
}

#[test]
fn the_lag_is_read_soon_after_the_topic_is_made() {
    let mut case = Case::new("");
    assert_eq!(case.run(0).wait, SOON);
    case.apply(0, Ok(()));
    assert!(case.observed.is_measure_due(0, &case.state, at(0)));
    case.measured(&[0; 6], 0);
    assert_eq!(case.run(0).wait, RESYNC);
    case.observed.revisions = Some(vec![]);
    assert_eq!((case.run(59).wait, case.run(60).wait), (RESYNC, SOON));
}

#[test]
fn a_paused_model_has_no_worker() {
    let mut case = Case::made("");
    case.observed.jobs.active = true;
    case.apply(30, Ok(()));
    case.valid.as_mut().unwrap().paused = true;
    let run = case.run(31);
    assert_eq!((deployment(&run), run.why), (Some(0), Why::Paused));
}

#[test]
fn an_invalid_model_is_only_reported() {
    let mut case = Case::made("");
    case.model.spec.columns[2].ty = "Flot64".into();
    case.valid = validate(&case.model, "default");
    let actions = case.plan(30);
    assert_eq!(actions.finalizer, cleanup::Step::None);
    let Then::Refuse(report) = actions.then else { panic!("the model is invalid") };
    assert_eq!((report.event.unwrap().reason.as_str(), report.wait), ("ModelInvalid", None));
    assert!(report.status.unwrap().table.is_some(), "what exists stays");
}

#[test]
fn a_deleted_model_is_forgotten_after_its_table_is_dropped() {
    let mut case = Case::made("          deletionPolicy: Delete");
    assert_eq!(case.plan(30).finalizer, cleanup::Step::Set);
    case.model.metadata.finalizers = Some(vec![cleanup::FINALIZER.into()]);
    case.model.metadata.deletion_timestamp =
        Some(k8s_openapi::apimachinery::pkg::apis::meta::v1::Time(at(30)));
    let actions = case.plan(31);
    assert_eq!(actions.finalizer, cleanup::Step::Drop);
    assert!(matches!(actions.then, Then::Forget));
}
