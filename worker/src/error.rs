//! What can go wrong at the edges, in the two classes that are waited out. (Bad rows are data, not errors.)

use clickhouse::error::Error as ClickHouse;

/// What a failure calls for. Nothing is ever rejected, counted or passed over for either.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// Someone is away or busy: wait, it comes back.
    Transient,
    /// Something is set wrong: wait, a person has to mend it.
    Configuration,
}

/// A call that failed.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// ClickHouse answered with an exception.
    #[error("ClickHouse: {text}")]
    ClickHouse {
        /// Its error code.
        code: u32,
        /// What it said, if that can hold no value of a cell.
        text: String,
    },
    /// ClickHouse did not answer.
    #[error("failed to reach ClickHouse: {0}")]
    ClickHouseAway(String),
    /// The Kubernetes API server.
    #[error("Kubernetes: {}", said(.0))]
    Kubernetes(Box<kube::Error>),
    /// The model is not there.
    #[error("the IngestModel '{0}' does not exist: make it again, or delete this worker")]
    ModelMissing(String),
    /// The table's name in the model cannot be used.
    #[error("the table of the IngestModel cannot be used: {0}")]
    Table(#[from] crds::sql::BadIdent),
    /// The revision that a job is judged by is not there.
    #[error(
        "the ControllerRevision '{0}' does not exist: it was deleted, but jobs that need it are not done"
    )]
    RevisionMissing(String),
    /// The revision that a job is judged by cannot be used by this worker.
    #[error("the ControllerRevision '{name}' cannot be used by this worker: {why}")]
    RevisionUnusable {
        /// Its name.
        name: String,
        /// Why.
        why: String,
    },
    /// The ledger does not show what was written to it, or what others have seen in it: a replica that lags.
    #[error("the ledger is behind what is known of the job")]
    LedgerBehind,
    /// Kafka.
    #[error("Kafka: {0}")]
    Kafka(#[from] rdkafka::error::KafkaError),
}

impl Failure {
    /// What it calls for.
    #[must_use]
    pub fn class(&self) -> Class {
        match self {
            Self::ClickHouse { code, .. } => of_code(*code).1,
            Self::ClickHouseAway(_) | Self::LedgerBehind | Self::Kafka(_) => Class::Transient,
            Self::Kubernetes(error) => of_kube(error).1,
            Self::ModelMissing(_)
            | Self::Table(_)
            | Self::RevisionMissing(_)
            | Self::RevisionUnusable { .. } => Class::Configuration,
        }
    }

    /// A stable word for conditions, metrics and logs.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::ClickHouse { code, .. } => of_code(*code).0,
            Self::ClickHouseAway(_) => "ClickHouseUnavailable",
            Self::Kubernetes(error) => of_kube(error).0,
            Self::ModelMissing(_) => "ModelMissing",
            Self::Table(_) => "TableInvalid",
            Self::RevisionMissing(_) => "RevisionMissing",
            Self::RevisionUnusable { .. } => "RevisionUnusable",
            Self::LedgerBehind => "LedgerBehind",
            Self::Kafka(_) => "KafkaUnavailable",
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
            ClickHouse::TimedOut => return Self::ClickHouseAway("no answer in time".into()),
            other => return Self::ClickHouseAway(root_cause(&other)),
        };
        match code_of(&text) {
            None => Self::ClickHouseAway(text.chars().take(200).collect()),
            Some(code) => Self::ClickHouse { code, text: shown(code, &text) },
        }
    }
}

/// The innermost cause: "Connection refused" rather than "client error (Connect)".
fn root_cause(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(next) = cause.source() {
        cause = next;
    }
    cause.to_string()
}

/// What the API server said, without the object that `kube` prints behind it.
fn said(error: &kube::Error) -> String {
    match error {
        kube::Error::Api(status) => status.message.clone(),
        other => root_cause(other),
    }
}

/// The number in `Code: 60. DB::Exception: …`.
fn code_of(text: &str) -> Option<u32> {
    let digits = text.split_once("Code: ")?.1;
    let end = digits.find(|c: char| !c.is_ascii_digit()).unwrap_or(digits.len());
    digits.get(..end)?.parse().ok()
}

/// What may be shown of an answer. One to a statement that ClickHouse takes to be wrong can quote a cell, so only its
/// number and name are.
fn shown(code: u32, text: &str) -> String {
    if of_code(code).0 != REFUSED {
        return text.chars().take(500).collect();
    }
    let name = text.rsplit('(').find_map(|part| {
        let name = part.split(')').next()?;
        let plain = !name.is_empty()
            && name.bytes().all(|b| b.is_ascii_uppercase() || b == b'_' || b.is_ascii_digit());
        plain.then_some(name)
    });
    format!("code {code} ({}); see the server's log", name.unwrap_or("no name"))
}

const REFUSED: &str = "ClickHouseRefused";

/// <https://github.com/ClickHouse/ClickHouse/blob/master/src/Common/ErrorCodes.cpp>
fn of_code(code: u32) -> (&'static str, Class) {
    use Class::{Configuration, Transient};
    match code {
        60 | 218 => ("UnknownTable", Configuration),
        81 => ("UnknownDatabase", Configuration),
        // NOT_FOUND_COLUMN_IN_BLOCK, NO_SUCH_COLUMN_IN_TABLE, UNKNOWN_IDENTIFIER
        10 | 16 | 47 => ("UnknownColumn", Configuration),
        192..=195 | 516 => ("AuthenticationFailed", Configuration),
        291 | 497 => ("AccessDenied", Configuration),
        164 => ("ReadOnlyUser", Configuration),
        252 => ("TooManyParts", Transient),
        241 => ("MemoryLimit", Transient),
        202 | 745 => ("ClickHouseBusy", Transient),
        201 => ("QuotaExceeded", Transient),
        159 | 160 | 209 => ("ClickHouseTimeout", Transient),
        242 | 319 | 285 | 286 | 999 => ("ReplicaUnavailable", Transient),
        243 => ("DiskFull", Transient),
        // UNEXPECTED_END_OF_FILE, SOCKET_TIMEOUT's kin, ABORTED, QUERY_WAS_CANCELLED, SYSTEM_ERROR, DEADLOCK_AVOIDED,
        // S3_ERROR, FAULT_INJECTED, POCO_EXCEPTION, STD_EXCEPTION, UNKNOWN_EXCEPTION
        3 | 33 | 210 | 236 | 279 | 394 | 425 | 473 | 499 | 710 | 1000..=1002 => {
            ("ClickHouseFailed", Transient)
        }
        _ => (REFUSED, Configuration),
    }
}

fn of_kube(error: &kube::Error) -> (&'static str, Class) {
    use Class::{Configuration, Transient};
    match error {
        kube::Error::Api(status) => match status.code {
            401 | 403 => ("KubernetesForbidden", Configuration),
            404 => ("KubernetesNotFound", Configuration),
            409 => ("KubernetesConflict", Transient),
            400 | 422 => ("KubernetesRefused", Configuration),
            _ => ("KubernetesUnavailable", Transient),
        },
        kube::Error::SerdeError(_) => ("KubernetesUnreadable", Configuration),
        _ => ("KubernetesUnavailable", Transient),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(text: &str) -> (&'static str, Class) {
        let failure = Failure::from(ClickHouse::BadResponse(text.into()));
        (failure.reason(), failure.class())
    }

    #[test]
    fn what_a_person_has_to_mend_is_told_from_what_passes() {
        use Class::{Configuration, Transient};
        let cases = [
            (
                "Code: 60. DB::Exception: Table default.x does not exist. (UNKNOWN_TABLE)",
                "UnknownTable",
                Configuration,
            ),
            (
                "Code: 16. DB::Exception: No such column b. (NO_SUCH_COLUMN_IN_TABLE)",
                "UnknownColumn",
                Configuration,
            ),
            ("Code: 516. DB::Exception: x: Authentication failed", "AuthenticationFailed", Configuration),
            ("Code: 497. DB::Exception: x: Not enough privileges", "AccessDenied", Configuration),
            ("Code: 252. DB::Exception: Too many parts (3)", "TooManyParts", Transient),
            ("Code: 241. DB::Exception: Memory limit exceeded", "MemoryLimit", Transient),
            ("Code: 710. DB::Exception: Injected (FAULT_INJECTED)", "ClickHouseFailed", Transient),
            ("502 Bad Gateway", "ClickHouseUnavailable", Transient),
            ("Code: 4711. DB::Exception: news (NEWS)", "ClickHouseRefused", Configuration),
        ];
        for (text, reason, class) in cases {
            assert_eq!(judged(text), (reason, class), "{text}");
        }
        let away = Failure::from(ClickHouse::TimedOut);
        assert_eq!((away.reason(), away.class()), ("ClickHouseUnavailable", Transient));
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
        assert_eq!([409, 429, 500, 503].map(api), [Class::Transient; 4]);
    }
}
