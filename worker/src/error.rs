//! The errors of calls to other programs, and how the worker reacts to them. (Bad rows are data, not errors.)

mod codes;

use clickhouse::error::Error as ClickHouse;

/// How the worker reacts to a failure. A failure never rejects or counts a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// A server cannot be reached or is busy: wait until it is back.
    Outage,
    /// A setting is wrong for all jobs: wait until a person changes it.
    Configuration,
    /// A limit was reached. Either it is free again soon, or a setting is wrong: it is handled as an outage at first,
    /// and as a refusal if it persists.
    Limit,
    /// ClickHouse does not accept this INSERT, and will not accept it later.
    Refusal,
}

/// A call that failed.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// ClickHouse answered with an exception.
    #[error("ClickHouse: {text}")]
    ClickHouse {
        /// Its error code.
        code: u32,
        /// A stable reason for it.
        reason: &'static str,
        /// How the worker reacts to it.
        class: Class,
        /// The text of the exception, if it cannot contain a value of a cell.
        text: String,
    },
    /// ClickHouse did not answer.
    #[error("failed to reach ClickHouse: {0}")]
    ClickHouseUnavailable(String),
    /// A call to the Kubernetes API server failed.
    #[error("Kubernetes: {}", message_of(.0))]
    Kubernetes(Box<kube::Error>),
    /// The model does not exist.
    #[error("the IngestModel '{0}' does not exist: make it again, or delete this worker")]
    ModelMissing(String),
    /// The name of the table in the model cannot be used.
    #[error("the table of the IngestModel cannot be used: {0}")]
    Table(#[from] crds::sql::BadIdent),
    /// The revision that a job is checked against does not exist.
    #[error(
        "the ControllerRevision '{0}' does not exist: it was deleted, but jobs that need it are not done"
    )]
    RevisionMissing(String),
    /// This worker cannot use the revision that a job is checked against.
    #[error("the ControllerRevision '{name}' cannot be used by this worker: {why}")]
    RevisionUnusable {
        /// Its name.
        name: String,
        /// Why.
        why: String,
    },
    /// The ledger does not show what was written to it, or what others have read in it: the replica lags.
    #[error("the ledger is behind what is known of the job")]
    LedgerBehind,
    /// A call to Kafka failed.
    #[error("Kafka: {0}")]
    Kafka(#[from] rdkafka::error::KafkaError),
}

impl Failure {
    /// Returns how the worker reacts to the failure.
    #[must_use]
    pub fn class(&self) -> Class {
        match self {
            Self::ClickHouse { class, .. } => *class,
            Self::ClickHouseUnavailable(_) | Self::LedgerBehind | Self::Kafka(_) => Class::Outage,
            Self::Kubernetes(error) => of_kube(error).1,
            Self::ModelMissing(_)
            | Self::Table(_)
            | Self::RevisionMissing(_)
            | Self::RevisionUnusable { .. } => Class::Configuration,
        }
    }

    /// Returns a stable reason for conditions, metrics and logs.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::ClickHouse { reason, .. } => reason,
            Self::ClickHouseUnavailable(_) => "ClickHouseUnavailable",
            Self::Kubernetes(error) => of_kube(error).0,
            Self::ModelMissing(_) => "ModelMissing",
            Self::Table(_) => "TableInvalid",
            Self::RevisionMissing(_) => "RevisionMissing",
            Self::RevisionUnusable { .. } => "RevisionUnusable",
            Self::LedgerBehind => "LedgerBehind",
            Self::Kafka(_) => "KafkaUnavailable",
        }
    }

    /// Returns whether the failed call may still take effect: ClickHouse did not answer, or does not know the outcome.
    #[must_use]
    pub fn is_unanswered(&self) -> bool {
        self.code().is_none_or(|code| code == codes::UNKNOWN_STATUS_OF_INSERT)
    }

    /// Returns the code of ClickHouse's answer, if it answered.
    #[must_use]
    pub fn code(&self) -> Option<u32> {
        match self {
            Self::ClickHouse { code, .. } => Some(*code),
            _ => None,
        }
    }
}

impl From<kube::Error> for Failure {
    fn from(error: kube::Error) -> Self {
        Self::Kubernetes(Box::new(error))
    }
}

impl From<ClickHouse> for Failure {
    fn from(error: ClickHouse) -> Self {
        let text = match error {
            ClickHouse::BadResponse(text) => text,
            ClickHouse::TimedOut => return Self::ClickHouseUnavailable("no answer in time".into()),
            other => return Self::ClickHouseUnavailable(root_cause(&other)),
        };
        let Some(code) = codes::code_of(&text) else {
            return Self::ClickHouseUnavailable(text.chars().take(200).collect());
        };
        let (reason, class) = codes::classify(code, &text);
        Self::ClickHouse { code, reason, class, text: codes::text_without_cells(code, &text) }
    }
}

/// Returns the innermost cause: "Connection refused" instead of "client error (Connect)".
fn root_cause(error: &(dyn std::error::Error + 'static)) -> String {
    anyhow::Chain::new(error).last().map(ToString::to_string).unwrap_or_default()
}

/// Returns the message of the API server, without the object that `kube` prints after it.
fn message_of(error: &kube::Error) -> String {
    match error {
        kube::Error::Api(status) => status.message.clone(),
        other => root_cause(other),
    }
}

fn of_kube(error: &kube::Error) -> (&'static str, Class) {
    use Class::{Configuration, Outage};
    match error {
        kube::Error::Api(status) => match status.code {
            401 | 403 => ("KubernetesForbidden", Configuration),
            404 => ("KubernetesNotFound", Configuration),
            409 => ("KubernetesConflict", Outage),
            400 | 422 => ("KubernetesRefused", Configuration),
            _ => ("KubernetesUnavailable", Outage),
        },
        kube::Error::SerdeError(_) => ("KubernetesUnreadable", Configuration),
        _ => ("KubernetesUnavailable", Outage),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn classified(text: &str) -> (&'static str, Class) {
        let failure = Failure::from(ClickHouse::BadResponse(text.into()));
        (failure.reason(), failure.class())
    }

    #[test]
    fn outages_settings_and_refusals_are_distinguished() {
        use Class::{Configuration, Limit, Outage, Refusal};
        let cases = [
            (
                "Code: 60. DB::Exception: Table x does not exist. (UNKNOWN_TABLE)",
                "UnknownTable",
                Configuration,
            ),
            ("Code: 516. DB::Exception: x: Authentication failed", "AuthenticationFailed", Configuration),
            ("Code: 497. DB::Exception: x: Not enough privileges", "AccessDenied", Configuration),
            (
                "Code: 16. DB::Exception: No such column b. (NO_SUCH_COLUMN_IN_TABLE)",
                "UnknownColumn",
                Refusal,
            ),
            ("Code: 252. DB::Exception: Too many parts (3)", "TooManyParts", Limit),
            (
                "Code: 252. DB::Exception: Too many partitions for single INSERT block (more than 100)",
                "TooManyPartitions",
                Refusal,
            ),
            (
                "Code: 242. DB::Exception: Table is in readonly mode (replica path: /x)",
                "ReplicaUnavailable",
                Outage,
            ),
            (
                "Code: 242. DB::Exception: Table is in readonly mode due to a setting",
                "TableReadOnly",
                Refusal,
            ),
            ("Code: 774. DB::Exception: Table is in readonly mode.", "TableReadOnly", Refusal),
            (
                "Code: 450. DB::Exception: TTL expression result column should have DateTime",
                "BadTtl",
                Refusal,
            ),
            ("Code: 241. DB::Exception: Memory limit (total) exceeded", "MemoryLimit", Outage),
            ("Code: 241. DB::Exception: Memory limit (for query) exceeded", "MemoryLimit", Limit),
            ("Code: 710. DB::Exception: Injected (FAULT_INJECTED)", "ClickHouseFailed", Outage),
            ("502 Bad Gateway", "ClickHouseUnavailable", Outage),
            ("Code: 4711. DB::Exception: something new (SOMETHING_NEW)", "ClickHouseRefused", Refusal),
        ];
        for (text, reason, class) in cases {
            assert_eq!(classified(text), (reason, class), "{text}");
        }
        let unavailable = Failure::from(ClickHouse::TimedOut);
        assert_eq!(
            (unavailable.reason(), unavailable.class(), unavailable.code()),
            ("ClickHouseUnavailable", Outage, None)
        );
    }

    #[test]
    fn an_insert_of_unknown_status_counts_as_unanswered() {
        let unanswered = |text: &str| Failure::from(ClickHouse::BadResponse(text.into())).is_unanswered();
        assert!(unanswered("502 Bad Gateway") && Failure::from(ClickHouse::TimedOut).is_unanswered());
        assert!(unanswered("Code: 319. DB::Exception: Unknown status, client must retry."));
        assert!(!unanswered("Code: 252. DB::Exception: Too many parts (3)"));
    }

    #[test]
    fn an_answer_that_may_quote_a_cell_is_not_shown() {
        let text = "Code: 53. DB::Exception: Cannot convert string 'Jane (Doe)' to type UInt8. (TYPE_MISMATCH) (version 26)";
        let shown = Failure::from(ClickHouse::BadResponse(text.into())).to_string();
        assert_eq!(shown, "ClickHouse: code 53 (TYPE_MISMATCH); see the server's log");
    }

    #[test]
    fn a_refusal_by_the_api_server_is_configuration_and_its_absence_is_not() {
        let api = |code| {
            let status = kube::core::Status { code, ..kube::core::Status::default() };
            Failure::from(kube::Error::Api(Box::new(status))).class()
        };
        assert_eq!([401, 403, 404, 422].map(api), [Class::Configuration; 4]);
        assert_eq!([409, 429, 500, 503].map(api), [Class::Outage; 4]);
    }
}
