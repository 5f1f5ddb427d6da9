//! Rounds drawn from a seed.

use crate::data::Numbers;

use super::{Client, Fault, Injection, JobPlan, MODELS, Model, Round, Target};
use crate::faults::inputs::{Bad, Format};
use crate::faults::shape::Shape;

/// The limits of a random round.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Loads per round.
    pub jobs: u64,
    /// Faults per round, including cancellations.
    pub injections: u64,
    /// The time in milliseconds in which loads start and faults are injected.
    pub window_ms: u64,
    /// The largest file in bytes.
    pub max_bytes: u64,
    /// Whether ClickHouse's disk may be filled.
    pub disk: bool,
    /// Whether to inject faults only into workers, topics and jobs of the run, so that others can use the parts at the
    /// same time.
    pub shared: bool,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            jobs: 14,
            injections: 14,
            window_ms: 40_000,
            max_bytes: 500_000_000,
            disk: false,
            shared: false,
        }
    }
}

/// Draws the round with this number from a seed. The result is always the same.
#[must_use]
pub fn round(seed: u64, number: u64, limits: &Limits) -> Round {
    let mut n = Numbers::new(seed.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(number));
    let mut large = 1;
    let jobs: Vec<JobPlan> =
        (0..limits.jobs).map(|index| job(&mut n, format!("r{number}-{index}"), limits, &mut large)).collect();
    let mut injections: Vec<Injection> =
        (0..limits.injections).map(|_| injection(&mut n, &jobs, limits)).collect();
    // A fault that ends many jobs at once occurs at most once per round. With more of them, the other faults would
    // have no job to affect.
    let mut destroyed = false;
    injections.retain(|s| {
        let destroys = matches!(s.fault, Fault::DeleteTopic { .. } | Fault::DeleteRecords { .. });
        let repeated = destroys && destroyed;
        destroyed |= destroys;
        !repeated
    });
    injections.sort_by_key(|injection| injection.at_ms);
    Round { jobs, injections }
}

fn job(n: &mut Numbers, name: String, limits: &Limits, large: &mut u32) -> JobPlan {
    let model = pick(n, &MODELS);
    let format = if n.below(3) == 0 { Format::JsonLines } else { Format::Csv };
    let bytes = bytes(n, large).min(limits.max_bytes);
    let per_row = model.shape.row_bytes() * if format == Format::JsonLines { 2 } else { 1 };
    let rows = (bytes / per_row).max(2);
    let bad = match n.below(10) {
        0..4 => Bad::None,
        4..9 => Bad::OnePercent,
        // A million bad cells test nothing more than a hundred thousand.
        _ if rows <= 100_000 => Bad::All,
        _ => Bad::OnePercent,
    };
    let client = client(n, rows * per_row);
    let max_errors = (bad != Bad::None && n.below(6) == 0).then(|| n.below(rows / 100 + 2));
    let start_ms = n.below(limits.window_ms * 3 / 4);
    let days = days(n, model, rows);
    JobPlan {
        name,
        model: model.name.into(),
        format,
        rows,
        bad,
        days,
        seed: n.below(1 << 40),
        start_ms,
        client,
        max_errors,
    }
}

/// Returns a size in bytes: mostly small and medium, at most one large file per round.
fn bytes(n: &mut Numbers, large: &mut u32) -> u64 {
    match n.below(100) {
        0..15 => 2,
        15..45 => 100 + n.below(20_000),
        45..80 => 100_000 + n.below(3_000_000),
        80..96 => 3_000_000 + n.below(25_000_000),
        96..99 if *large > 0 => {
            *large = 0;
            50_000_000 + n.below(100_000_000)
        }
        99 if *large > 0 => {
            *large = 0;
            200_000_000 + n.below(300_000_000)
        }
        _ => 1_000_000 + n.below(10_000_000),
    }
}

fn days(n: &mut Numbers, model: Model, rows: u64) -> u32 {
    if model.shape != Shape::Partitioned {
        return 1;
    }
    let most = match n.below(8) {
        0 => 400,
        1..4 => 40,
        _ => 3,
    };
    u32::try_from(1 + n.below(most).min(rows)).unwrap_or(1)
}

fn client(n: &mut Numbers, bytes: u64) -> Client {
    // The speed is so low that the upload lasts some seconds, and it is killed in the middle of that time.
    let slow = |n: &mut Numbers| (bytes / 1000 / (2 + n.below(8))).max(20);
    match n.below(10) {
        0..3 => Client::Batch,
        3..5 => Client::Curl { kbytes_per_second: 0 },
        5..7 => Client::Curl { kbytes_per_second: slow(n) },
        7 if bytes < 150_000 => Client::Inline,
        9 if bytes > 60_000 => {
            Client::OtherFile { kbytes_per_second: slow(n), after_ms: 300 + n.below(4000) }
        }
        _ => Client::Killed { kbytes_per_second: slow(n), after_ms: 200 + n.below(4000) },
    }
}

fn injection(n: &mut Numbers, jobs: &[JobPlan], limits: &Limits) -> Injection {
    let at_ms = n.below(limits.window_ms);
    let which = u32::try_from(n.below(64)).unwrap_or(0);
    let mut fault = fault(n, jobs, limits);
    if limits.shared
        && let Fault::Kill { target, .. } | Fault::Pause { target, .. } | Fault::Terminate { target } =
            &mut fault
    {
        *target = Target::Worker;
    }
    Injection { at_ms, which, fault }
}

fn fault(n: &mut Numbers, jobs: &[JobPlan], limits: &Limits) -> Fault {
    let job = pick(n, jobs);
    let model = job.model.clone();
    match n.below(100) {
        0..18 => kill(n, Target::Worker),
        18..28 => kill(n, Target::Api),
        28..33 => kill(n, Target::Operator),
        33..38 => kill(n, Target::Kafka),
        38..43 => kill(n, Target::Clickhouse),
        43..45 => kill(n, Target::Etcd),
        45..48 => kill(n, Target::KubeApiserver),
        48..58 => pause(n, Target::Worker),
        58..62 => pause(n, Target::Api),
        62..64 => pause(n, Target::Operator),
        64..67 => pause(n, Target::Kafka),
        67..70 => pause(n, Target::Clickhouse),
        70 => pause(n, Target::Etcd),
        71 => pause(n, Target::KubeApiserver),
        72..77 => Fault::Terminate { target: Target::Worker },
        77 => Fault::Terminate { target: Target::Api },
        78..82 => Fault::Scale { model, for_ms: 2000 + n.below(8000) },
        82..87 => Fault::CutOff { for_ms: 5000 + n.below(20_000) },
        87..89 if limits.disk => Fault::DiskFull { for_ms: 1000 + n.below(9000) },
        89 => Fault::DeleteTopic { model },
        90..92 => Fault::DeleteRecords { model },
        92..95 => Fault::Replay { model },
        _ => Fault::Cancel { job: job.name.clone() },
    }
}

fn kill(n: &mut Numbers, target: Target) -> Fault {
    Fault::Kill { target, down_ms: if target.is_part() { n.below(6000) } else { 0 } }
}

fn pause(n: &mut Numbers, target: Target) -> Fault {
    // The control plane is paused for a shorter time: what Kubernetes does after a long pause is not a subject of
    // these tests.
    let most = if matches!(target, Target::Etcd | Target::KubeApiserver) { 8000 } else { 24_500 };
    Fault::Pause { target, for_ms: 500 + n.below(most) }
}

fn pick<T: Clone>(n: &mut Numbers, list: &[T]) -> T {
    let index = usize::try_from(n.below(list.len() as u64)).unwrap_or(0);
    list[index].clone()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn a_seed_gives_the_same_rounds_and_another_seed_others() {
        let limits = Limits::default();
        assert_eq!(round(7, 3, &limits), round(7, 3, &limits));
        assert_ne!(round(7, 3, &limits), round(7, 4, &limits));
        assert_ne!(round(7, 3, &limits), round(8, 3, &limits));
    }

    #[test]
    fn every_kind_of_fault_and_of_client_is_drawn() {
        let limits = Limits { disk: true, ..Limits::default() };
        let rounds: Vec<Round> = (0..60).map(|number| round(1, number, &limits)).collect();
        let faults: BTreeSet<String> =
            rounds.iter().flat_map(|r| r.injections.iter().map(|s| s.fault.kind())).collect();
        assert_eq!(faults.len(), 14 + 9, "{faults:?}");
        let clients: BTreeSet<String> = rounds
            .iter()
            .flat_map(|r| {
                r.jobs.iter().map(|j| format!("{:?}", j.client).split(' ').next().unwrap().to_owned())
            })
            .collect();
        assert_eq!(clients.len(), 5, "{clients:?}");
        assert!(rounds.iter().any(|r| r.jobs.iter().any(|j| j.rows == 2)), "a file of two rows");
    }

    #[test]
    fn a_round_has_one_large_file_and_one_destroyed_topic_at_most() {
        for number in 0..200 {
            let round = round(2, number, &Limits::default());
            let large =
                |j: &&JobPlan| j.rows * super::super::model(&j.model).unwrap().shape.row_bytes() > 60_000_000;
            assert!(round.jobs.iter().filter(large).count() <= 1, "{round:?}");
            let destroys =
                |s: &&Injection| matches!(s.fault, Fault::DeleteTopic { .. } | Fault::DeleteRecords { .. });
            assert!(round.injections.iter().filter(destroys).count() <= 1, "{round:?}");
        }
    }

    #[test]
    fn faults_affect_shared_parts_only_if_the_limits_allow_it() {
        let limits = Limits { shared: true, ..Limits::default() };
        let ours = |fault: &Fault| match fault {
            Fault::Kill { target, .. } | Fault::Pause { target, .. } | Fault::Terminate { target } => {
                *target == Target::Worker
            }
            _ => true,
        };
        assert!((0..50).all(|number| round(4, number, &limits).injections.iter().all(|s| ours(&s.fault))));
    }

    #[test]
    fn the_disk_is_filled_only_if_the_limits_allow_it() {
        let all = (0..100).flat_map(|number| round(3, number, &Limits::default()).injections);
        assert_eq!(all.filter(|s| matches!(s.fault, Fault::DiskFull { .. })).count(), 0);
    }
}
