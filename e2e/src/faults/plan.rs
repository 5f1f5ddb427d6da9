//! What happens when: drawn from a seed, or read from a file. Pure.

mod draw;
pub mod time;

pub use draw::{Limits, round};

use serde::{Deserialize, Serialize};

use super::inputs::{Bad, Format};
use super::shape::Shape;

/// A complete run, or the part of a run to repeat.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plan {
    /// The seed from which it was drawn; 0: written by a person.
    #[serde(default)]
    pub seed: u64,
    /// Why it is kept in the repository.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub about: String,
    /// The rounds. They run one after the other, on the same models.
    pub rounds: Vec<Round>,
}

/// Loads that start within a time, and faults that are injected meanwhile. A round ends when all its jobs have ended
/// and were checked.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Round {
    /// The loads.
    pub jobs: Vec<JobPlan>,
    /// The faults.
    #[serde(default)]
    pub injections: Vec<Injection>,
}

/// One load.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct JobPlan {
    /// The name of the `IngestJob`.
    pub name: String,
    /// One of [`MODELS`].
    pub model: String,
    /// The format of the file.
    pub format: Format,
    /// The number of its rows.
    pub rows: u64,
    /// How many of them are bad.
    #[serde(default)]
    pub bad: Bad,
    /// The number of days over which its dates are spread.
    #[serde(default = "one")]
    pub days: u32,
    /// The seed of its cells.
    pub seed: u64,
    /// When it starts, in milliseconds from the start of the round.
    #[serde(default)]
    pub start_ms: u64,
    /// How it is sent.
    #[serde(default)]
    pub client: Client,
    /// `errorPolicy.maxErrors` of the job.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_errors: Option<u64>,
}

fn one() -> u32 {
    1
}

/// Who sends the file of a job. Whatever fails, the suite continues until every byte is sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "by", deny_unknown_fields)]
pub enum Client {
    /// `batch job create`.
    #[default]
    Batch,
    /// `curl`, with a limit of the speed; 0: no limit.
    Curl {
        /// Kilobytes per second.
        #[serde(default)]
        kbytes_per_second: u64,
    },
    /// A slow `curl` that is killed after this time. The suite resumes the upload.
    Killed {
        /// Kilobytes per second.
        kbytes_per_second: u64,
        /// Milliseconds from its start.
        after_ms: u64,
    },
    /// The same as `killed`, but another file is sent with the name of this job before the upload is resumed.
    OtherFile {
        /// Kilobytes per second.
        kbytes_per_second: u64,
        /// Milliseconds from its start.
        after_ms: u64,
    },
    /// No client: the file is in the `IngestJob`.
    Inline,
}

/// A fault with its time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Injection {
    /// Milliseconds from the start of the round.
    pub at_ms: u64,
    /// Selects one of several processes: this number modulo the number of processes.
    #[serde(default)]
    pub which: u32,
    /// The fault.
    #[serde(flatten)]
    pub fault: Fault,
}

/// A fault and, if it lasts, its duration. The suite undoes each fault.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "fault")]
pub enum Fault {
    /// SIGKILL. Kubernetes restarts pods. The suite restarts parts of the stack after `down_ms`.
    Kill {
        /// The process to kill.
        target: Target,
        /// Milliseconds until a part of the stack is restarted.
        #[serde(default)]
        down_ms: u64,
    },
    /// SIGSTOP, then SIGCONT.
    Pause {
        /// The process to pause.
        target: Target,
        /// Milliseconds.
        for_ms: u64,
    },
    /// SIGTERM.
    Terminate {
        /// The process to end.
        target: Target,
    },
    /// Scale a model to four workers, then to at most one, then back to the values before.
    Scale {
        /// The model.
        model: String,
        /// Milliseconds of each of the two steps.
        for_ms: u64,
    },
    /// No packet passes to or from a worker, except for the probes of the kubelet.
    CutOff {
        /// Milliseconds.
        for_ms: u64,
    },
    /// No free space on ClickHouse's disk.
    DiskFull {
        /// Milliseconds.
        for_ms: u64,
    },
    /// The topic of a model is deleted.
    DeleteTopic {
        /// The model.
        model: String,
    },
    /// All records of the topic of a model are deleted.
    DeleteRecords {
        /// The model.
        model: String,
    },
    /// The workers of a model are stopped, the tables forget all tokens, and the consumer group is reset to offset 0.
    Replay {
        /// The model.
        model: String,
    },
    /// A job is cancelled.
    Cancel {
        /// Its name.
        job: String,
    },
}

/// A process that can receive a signal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Target {
    /// A worker of the models of the run.
    Worker,
    /// A pod of the upload API.
    Api,
    /// The operator.
    Operator,
    /// The broker.
    Kafka,
    /// The database.
    Clickhouse,
    /// The store of the API server.
    Etcd,
    /// The Kubernetes API.
    KubeApiserver,
}

impl Target {
    /// Returns the name in plans and summaries.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Worker => "worker",
            Self::Api => "api",
            Self::Operator => "operator",
            Self::Kafka => "kafka",
            Self::Clickhouse => "clickhouse",
            Self::Etcd => "etcd",
            Self::KubeApiserver => "kube-apiserver",
        }
    }

    /// Returns whether it is a part of the stack and not a pod.
    #[must_use]
    pub fn is_part(self) -> bool {
        !matches!(self, Self::Worker | Self::Api | Self::Operator)
    }
}

impl Fault {
    /// Returns its kind, for the summary.
    #[must_use]
    pub fn kind(&self) -> String {
        match self {
            Self::Kill { target, .. } => format!("kill {}", target.name()),
            Self::Pause { target, .. } => format!("pause {}", target.name()),
            Self::Terminate { target } => format!("terminate {}", target.name()),
            Self::Scale { .. } => "scale 1 -> 4 -> 1".into(),
            Self::CutOff { .. } => "cut off worker".into(),
            Self::DiskFull { .. } => "disk full".into(),
            Self::DeleteTopic { .. } => "delete topic".into(),
            Self::DeleteRecords { .. } => "delete records".into(),
            Self::Replay { .. } => "replay from offset 0".into(),
            Self::Cancel { .. } => "cancel".into(),
        }
    }
}

/// A model of the run, for loads of one shape.
#[derive(Clone, Copy, Debug)]
pub struct Model {
    /// Its name.
    pub name: &'static str,
    /// Its columns.
    pub shape: Shape,
    /// `chunkBytes`; 0: the default.
    pub chunk_bytes: u32,
}

/// All models of a run. With small chunks, a load has many points where it can break.
pub const MODELS: [Model; 5] = [
    Model { name: "narrow", shape: Shape::Narrow, chunk_bytes: 0 },
    Model { name: "narrow-small", shape: Shape::Narrow, chunk_bytes: 16_384 },
    Model { name: "wide", shape: Shape::Wide, chunk_bytes: 0 },
    Model { name: "wide-small", shape: Shape::Wide, chunk_bytes: 65_536 },
    Model { name: "days", shape: Shape::Partitioned, chunk_bytes: 65_536 },
];

/// Returns the model with this name.
#[must_use]
pub fn model(name: &str) -> Option<Model> {
    MODELS.into_iter().find(|model| model.name == name)
}

impl Plan {
    /// Reads a plan. Returns an error if it is invalid.
    pub fn parse(text: &str) -> anyhow::Result<Self> {
        let plan: Self = serde_yaml::from_str(text)?;
        for job in plan.rounds.iter().flat_map(|round| &round.jobs) {
            anyhow::ensure!(model(&job.model).is_some(), "job {}: no model {}", job.name, job.model);
        }
        for fault in plan.rounds.iter().flat_map(|round| round.injections.iter().map(|s| &s.fault)) {
            if let Fault::Scale { model: name, .. }
            | Fault::DeleteTopic { model: name }
            | Fault::DeleteRecords { model: name }
            | Fault::Replay { model: name } = fault
            {
                anyhow::ensure!(model(name).is_some(), "{}: no model {name}", fault.kind());
            }
        }
        Ok(plan)
    }

    /// Writes the plan as YAML that [`Self::parse`] can read.
    pub fn to_yaml(&self) -> anyhow::Result<String> {
        Ok(serde_yaml::to_string(self)?)
    }

    /// Returns whether ClickHouse needs a separate disk.
    #[must_use]
    pub fn fills_the_disk(&self) -> bool {
        let mut injections = self.rounds.iter().flat_map(|round| &round.injections);
        injections.any(|injection| matches!(injection.fault, Fault::DiskFull { .. }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_printed_plan_is_parsed_to_the_same_plan() {
        let limits = Limits { disk: true, ..Limits::default() };
        let plan =
            Plan { seed: 9, about: String::new(), rounds: (0..20).map(|n| round(9, n, &limits)).collect() };
        let yaml = plan.to_yaml().unwrap();
        assert_eq!(Plan::parse(&yaml).unwrap(), plan, "{yaml}");
    }

    #[test]
    fn a_plan_that_names_an_unknown_model_is_refused() {
        let error = Plan::parse("rounds: [{jobs: [], injections: [{at_ms: 0, fault: replay, model: nope}]}]");
        assert_eq!(error.unwrap_err().to_string(), "replay from offset 0: no model nope");
    }
}
