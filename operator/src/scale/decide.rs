//! Decides how many workers a model should have, and why. Pure: the inputs are lag, jobs, spec, history and clock; the
//! result is a number.

use std::collections::VecDeque;

use jiff::{SignedDuration, Timestamp};

/// The greatest demand of this time is kept, so that workers are not stopped between two bursts.
const STABILISATION: SignedDuration = SignedDuration::from_secs(30);

/// What the decision depends on.
#[derive(Clone, Copy, Debug)]
pub struct Inputs<'a> {
    /// `spec.workers.min`.
    pub min: i32,
    /// `spec.workers.max`.
    pub max: i32,
    /// `spec.workers.chunksPerWorker`.
    pub chunks_per_worker: i32,
    /// `spec.workers.cooldownSeconds`.
    pub cooldown: SignedDuration,
    /// `spec.paused`.
    pub paused: bool,
    /// Whether a job of the model is pinned to a revision and has not ended.
    pub active: bool,
    /// Waiting chunks by partition; `None` if they cannot be read now.
    pub lag: Option<&'a [i64]>,
    /// The clock.
    pub now: Timestamp,
}

/// What is kept from earlier decisions.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct History {
    wanted: i32,
    last_busy: Option<Timestamp>,
    recent: VecDeque<(Timestamp, i32)>,
}

impl History {
    /// The history of an operator that starts and finds `replicas` workers: they get a full cooldown.
    #[must_use]
    pub fn found(replicas: i32, now: Timestamp) -> Self {
        Self { wanted: replicas, last_busy: (replicas > 0).then_some(now), recent: VecDeque::new() }
    }

    /// Returns the number of workers of the last decision.
    #[must_use]
    pub fn wanted(&self) -> i32 {
        self.wanted
    }
}

/// Why this number of workers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// The model is paused.
    Paused,
    /// A job runs; nothing waits in Kafka yet.
    JobRuns,
    /// Chunks wait in Kafka.
    Backlog,
    /// The backlog decreased moments ago.
    Stabilising,
    /// The lag cannot be read: the number does not change.
    LagUnknown,
    /// There was work moments ago.
    Cooldown,
    /// There is nothing to do.
    Idle,
}

impl Why {
    /// Returns the text for people.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Paused => "the model is paused",
            Self::JobRuns => "a job runs",
            Self::Backlog => "chunks wait in Kafka",
            Self::Stabilising => "the backlog shrank moments ago",
            Self::LagUnknown => "the lag cannot be read, so nothing is changed",
            Self::Cooldown => "there was work moments ago",
            Self::Idle => "there is nothing to do",
        }
    }
}

/// Returns the number of workers, why, and what to remember.
#[must_use]
pub fn decide(inputs: &Inputs<'_>, history: &History) -> (i32, Why, History) {
    let mut next = history.clone();
    let (wanted, why) = if inputs.paused { (0, Why::Paused) } else { demand(inputs, &mut next) };
    if matches!(why, Why::Paused | Why::Idle) {
        next.recent.clear();
    }
    next.wanted = wanted;
    (wanted, why, next)
}

fn demand(inputs: &Inputs<'_>, history: &mut History) -> (i32, Why) {
    let bounded = |workers: i32| workers.clamp(inputs.min, inputs.max.max(inputs.min));
    if inputs.active {
        history.last_busy = Some(inputs.now);
    }
    let Some(lag) = inputs.lag else {
        return match (history.wanted, inputs.active) {
            (0, true) => (bounded(1), Why::JobRuns),
            (wanted, _) => (bounded(wanted), Why::LagUnknown),
        };
    };
    let waiting: i64 = lag.iter().sum();
    let (demand, why) = if waiting > 0 {
        history.last_busy = Some(inputs.now);
        (by_backlog(waiting, lag, inputs.chunks_per_worker), Why::Backlog)
    } else if inputs.active {
        (1, Why::JobRuns)
    } else if history.wanted > inputs.min
        && history.last_busy.is_some_and(|at| inputs.now < until(at, inputs.cooldown))
    {
        (1, Why::Cooldown)
    } else {
        return (bounded(0), Why::Idle);
    };
    let demand = bounded(demand);
    history.recent.retain(|(at, _)| inputs.now < until(*at, STABILISATION));
    let before = history.recent.iter().map(|(_, demand)| *demand).max().unwrap_or(0);
    history.recent.push_back((inputs.now, demand));
    if before > demand { (bounded(before), Why::Stabilising) } else { (demand, why) }
}

/// Returns enough workers for the backlog, but none without a partition to read.
fn by_backlog(waiting: i64, lag: &[i64], chunks_per_worker: i32) -> i32 {
    let partitions = lag.iter().filter(|lag| **lag > 0).count();
    let per_worker = i64::from(chunks_per_worker.max(1));
    let enough = waiting.saturating_add(per_worker - 1) / per_worker;
    i32::try_from(enough).unwrap_or(i32::MAX).min(i32::try_from(partitions).unwrap_or(i32::MAX))
}

fn until(at: Timestamp, span: SignedDuration) -> Timestamp {
    at.saturating_add(span).unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(1_700_000_000 + seconds).unwrap()
    }

    fn inputs(now: i64, active: bool, lag: Option<&[i64]>) -> Inputs<'_> {
        Inputs {
            min: 0,
            max: 4,
            chunks_per_worker: 8,
            cooldown: SignedDuration::from_secs(60),
            paused: false,
            active,
            lag,
            now: at(now),
        }
    }

    /// Runs the steps one after the other and returns the decision of each.
    fn run(steps: &[Inputs<'_>]) -> Vec<(i32, Why)> {
        let mut history = History::default();
        let mut out = vec![];
        for step in steps {
            let (wanted, why, next) = decide(step, &history);
            history = next;
            out.push((wanted, why));
        }
        out
    }

    #[test]
    fn the_first_worker_starts_with_the_job_before_any_chunk_is_there() {
        let none = [0; 6];
        assert_eq!(run(&[inputs(0, false, Some(&none))]), [(0, Why::Idle)]);
        assert_eq!(run(&[inputs(0, true, Some(&none))]), [(1, Why::JobRuns)]);
        assert_eq!(run(&[inputs(0, true, None)]), [(1, Why::JobRuns)]);
        assert_eq!(run(&[inputs(0, false, None)]), [(0, Why::LagUnknown)]);
    }

    #[test]
    fn a_backlog_is_shared_by_as_many_workers_as_it_needs() {
        let cases: [(&[i64], i32); 6] = [
            (&[1, 0, 0, 0], 1),
            (&[8, 0, 0, 0], 1),
            (&[5, 4, 0, 0], 2),
            // No worker is without a partition of its own.
            (&[900, 0, 0, 0], 1),
            (&[900, 900, 900, 0], 3),
            // Never more than `max`.
            (&[900; 12], 4),
        ];
        for (lag, expected) in cases {
            assert_eq!(run(&[inputs(0, true, Some(lag))]), [(expected, Why::Backlog)], "{lag:?}");
            assert_eq!(
                run(&[inputs(0, false, Some(lag))])[0].0,
                expected,
                "chunks of a job that ended: {lag:?}"
            );
        }
    }

    #[test]
    fn workers_are_not_stopped_between_two_bursts() {
        let (busy, calm) = ([9, 9, 9], [1, 0, 0]);
        let steps = [
            inputs(0, true, Some(&busy)),
            inputs(10, true, Some(&calm)),
            inputs(29, true, Some(&calm)),
            inputs(31, true, Some(&calm)),
        ];
        assert_eq!(
            run(&steps),
            [(3, Why::Backlog), (3, Why::Stabilising), (3, Why::Stabilising), (1, Why::Backlog)]
        );
    }

    #[test]
    fn the_cooldown_runs_from_the_last_work_and_then_all_workers_go() {
        let (some, none) = ([1, 0], [0, 0]);
        let steps = [
            inputs(0, true, Some(&some)),
            inputs(5, false, Some(&some)),
            inputs(6, false, Some(&none)),
            inputs(64, false, Some(&none)),
            inputs(66, false, Some(&none)),
            inputs(67, false, Some(&none)),
        ];
        let decided = run(&steps);
        assert_eq!(decided[1..4], [(1, Why::Backlog), (1, Why::Cooldown), (1, Why::Cooldown)]);
        assert_eq!(decided[4..], [(0, Why::Idle), (0, Why::Idle)]);
    }

    #[test]
    fn without_a_cooldown_the_workers_go_at_once() {
        let none = [0];
        let mut steps = [inputs(0, true, Some(&none)), inputs(1, false, Some(&none))];
        steps[1].cooldown = SignedDuration::ZERO;
        assert_eq!(run(&steps), [(1, Why::JobRuns), (0, Why::Idle)]);
    }

    #[test]
    fn an_unreadable_lag_changes_nothing() {
        let busy = [9, 9, 9];
        let steps = [inputs(0, true, Some(&busy)), inputs(200, true, None), inputs(400, false, None)];
        assert_eq!(run(&steps), [(3, Why::Backlog), (3, Why::LagUnknown), (3, Why::LagUnknown)]);
    }

    #[test]
    fn a_paused_model_has_no_workers_whatever_waits() {
        let busy = [9, 9, 9];
        let mut step = inputs(0, true, Some(&busy));
        step.paused = true;
        step.min = 2;
        assert_eq!(run(&[step]), [(0, Why::Paused)]);
    }

    #[test]
    fn min_workers_are_always_there() {
        let none = [0];
        let mut step = inputs(0, false, Some(&none));
        step.min = 2;
        assert_eq!(run(&[step]), [(2, Why::Idle)]);
        step.active = true;
        assert_eq!(run(&[step]), [(2, Why::JobRuns)]);
    }

    #[test]
    fn workers_that_an_operator_finds_at_its_start_get_a_full_cooldown() {
        let none = [0];
        let found = History::found(3, at(0));
        let (wanted, why, history) = decide(&inputs(1, false, Some(&none)), &found);
        assert_eq!((wanted, why), (1, Why::Cooldown));
        assert_eq!(decide(&inputs(61, false, Some(&none)), &history).1, Why::Idle);
    }
}
