//! The plan by which a chunk is checked, and the target of its rows. A revision is read once, and a plan is made once
//! for each header of a file.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crds::{ChunkHeader, Ident, RevisionData, SchemaProblem, TableName};
use parking_lot::Mutex;
use rows_check::{Columns, Plan};
use rows_split::HeaderError;

use crate::backoff;
use crate::cluster::Cluster;
use crate::error::Failure;
use crate::pii::Privacy;
use crate::refusal::Refusal;
use crate::retry::Retry;
use crate::stop::Stopped;

/// The most plans that are kept: jobs of one model nearly always have the same header.
const KEPT: usize = 16;
/// How long a revision that does not exist is looked for. After that the batches that need it are parked.
const MISSING_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a revision that was not found is not looked for again.
const MISSING_FOR: Duration = Duration::from_secs(30);

/// Everything that the check of a chunk needs.
#[derive(Debug)]
pub struct Target {
    /// The plan by which its bytes are checked.
    pub plan: Arc<Plan>,
    /// The INSERT statement for its block.
    pub insert: String,
    /// What may be shown of its bad cells.
    pub privacy: Privacy,
}

/// The targets of one model.
#[derive(Debug)]
pub struct Targets {
    cluster: Cluster,
    table: TableName,
    revisions: Mutex<HashMap<String, Arc<RevisionData>>>,
    bound: Mutex<Vec<(Key, Arc<Target>)>>,
    /// The revisions that do not exist, and since when that is known.
    missing: Mutex<HashMap<String, Instant>>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Key {
    revision: String,
    input: rows_types::Input,
    columns: Option<Vec<String>>,
}

/// Why there is no target for a chunk.
#[derive(Debug, thiserror::Error)]
pub enum NoTarget {
    /// The worker is stopping.
    #[error(transparent)]
    Stopped(#[from] Stopped),
    /// The headers of the chunk do not fit the revision. The upload API would have refused the file.
    #[error("the chunk does not fit its revision: {0}")]
    Header(#[from] HeaderError),
    /// The revision does not exist, or cannot be used.
    #[error(transparent)]
    Revision(Failure),
}

impl NoTarget {
    /// Returns why the chunk's batch must be parked.
    pub fn into_refusal(self) -> Result<Refusal, Stopped> {
        let reason = match &self {
            Self::Stopped(_) => return Err(Stopped),
            Self::Header(_) => "HeaderMismatch",
            Self::Revision(failure) => failure.reason(),
        };
        Ok(Refusal { reason: reason.to_owned(), message: self.to_string() })
    }
}

impl Targets {
    /// Makes targets whose rows are inserted into `table`.
    #[must_use]
    pub fn new(cluster: Cluster, table: TableName) -> Self {
        Self {
            cluster,
            table,
            revisions: Mutex::default(),
            bound: Mutex::default(),
            missing: Mutex::default(),
        }
    }

    /// Returns the target of a chunk. Waits while the API server cannot be reached. A revision that does not exist is
    /// looked for during some seconds.
    pub async fn of(&self, header: &ChunkHeader, retry: &Retry) -> Result<Arc<Target>, NoTarget> {
        if let Some(target) = self.known(header) {
            return Ok(target);
        }
        let revision = self.revision_in_time(&header.revision, retry).await?;
        let target = Arc::new(bind(&self.table, header, &revision).map_err(NoTarget::Revision)??);
        let mut targets = self.bound.lock();
        if targets.len() >= KEPT {
            targets.remove(0);
        }
        targets.push((key(header), target.clone()));
        Ok(target)
    }

    async fn revision_in_time(&self, name: &str, retry: &Retry) -> Result<Arc<RevisionData>, NoTarget> {
        let missing = |missing: &HashMap<String, Instant>| {
            missing.get(name).is_some_and(|since| since.elapsed() < MISSING_FOR)
        };
        if missing(&self.missing.lock()) {
            return Err(NoTarget::Revision(Failure::RevisionMissing(name.to_owned())));
        }
        let (start, mut attempt) = (Instant::now(), 0);
        loop {
            // A missing revision is not an outage: `Retry` would look for it without end.
            let found = retry.run("revision", || async {
                match self.revision(name).await {
                    Err(failure @ (Failure::RevisionMissing(_) | Failure::RevisionUnusable { .. })) => {
                        Ok(Err(failure))
                    }
                    found => found.map(Ok),
                }
            });
            match found.await? {
                Ok(revision) => {
                    self.missing.lock().remove(name);
                    return Ok(revision);
                }
                Err(Failure::RevisionMissing(_)) if start.elapsed() < MISSING_TIMEOUT => {}
                Err(failure) => {
                    if let Failure::RevisionMissing(name) = &failure {
                        let mut missing = self.missing.lock();
                        missing.retain(|_, since| since.elapsed() < MISSING_FOR);
                        missing.insert(name.clone(), Instant::now());
                    }
                    return Err(NoTarget::Revision(failure));
                }
            }
            retry.pause(backoff::delay(attempt, backoff::jitter())).await?;
            attempt += 1;
        }
    }

    fn known(&self, header: &ChunkHeader) -> Option<Arc<Target>> {
        let targets = self.bound.lock();
        let fits = |key: &Key| {
            key.revision == header.revision && key.input == header.input && key.columns == header.columns
        };
        targets.iter().find(|(key, _)| fits(key)).map(|(_, target)| target.clone())
    }

    async fn revision(&self, name: &str) -> Result<Arc<RevisionData>, Failure> {
        if let Some(known) = self.revisions.lock().get(name) {
            return Ok(known.clone());
        }
        let revision = Arc::new(self.cluster.revision(name).await?);
        let mut revisions = self.revisions.lock();
        if revisions.len() >= KEPT {
            revisions.clear();
        }
        revisions.insert(name.to_owned(), revision.clone());
        Ok(revision)
    }
}

fn key(header: &ChunkHeader) -> Key {
    Key { revision: header.revision.clone(), input: header.input.clone(), columns: header.columns.clone() }
}

/// Makes the target from a revision and the headers of a chunk. Pure.
fn bind(
    table: &TableName,
    header: &ChunkHeader,
    revision: &RevisionData,
) -> Result<Result<Target, HeaderError>, Failure> {
    let unusable = |why: String| Failure::RevisionUnusable { name: header.revision.clone(), why };
    let schema = revision.schema().map_err(|problem| unusable(problem.to_string()))?;
    let columns =
        Columns::compile(schema.clone()).map_err(|error| unusable(SchemaProblem::from(error).to_string()))?;
    let insert = insert_statement(table, schema.column_names())?;
    let row_key = schema.column_names().nth(schema.row_key()).unwrap_or_default().to_owned();
    let privacy = Privacy::of(&revision.columns, &row_key);
    let plan = Plan::bind(columns, header.input.clone(), header.columns.as_deref());
    Ok(plan.map(|plan| Target { plan: Arc::new(plan), insert, privacy }))
}

/// The columns are in the order of the block; the lineage columns come last.
pub fn insert_statement<'a>(
    table: &TableName,
    columns: impl Iterator<Item = &'a str>,
) -> Result<String, crds::sql::BadIdent> {
    let mut list = String::new();
    for column in columns {
        list.push_str(&column.parse::<Ident>()?.to_string());
        list.push_str(", ");
    }
    Ok(format!("INSERT INTO {table} ({list}`job_in`, `row_in`) FORMAT Native"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_statement_names_every_column_of_the_block_in_its_order() {
        let table = TableName::new("shop", "data_1").unwrap();
        assert_eq!(
            insert_statement(&table, ["b", "a"].into_iter()).unwrap(),
            "INSERT INTO `shop`.`data_1` (`b`, `a`, `job_in`, `row_in`) FORMAT Native"
        );
        assert!(insert_statement(&table, ["a`b"].into_iter()).is_err());
    }
}
