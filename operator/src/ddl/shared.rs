//! The tables that all models share: the ledger, the rejected rows and the history. Pure: what they should be, and the
//! statements that create or alter them.

use std::fmt::Write as _;

use crds::sql::{BadIdent, Ident, TableName};
use crds::tables::{
    ColumnDef, DEDUPLICATION_WINDOW, INGEST_BATCHES, INGEST_BATCHES_COLUMNS, INGEST_JOBS,
    INGEST_JOBS_COLUMNS, REJECTED_ROWS, REJECTED_ROWS_COLUMNS,
};

use crate::settings::Settings;
use crate::topic::Retention;

/// Days after which rows of the shared tables are deleted. `None`: never.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ttls {
    /// Of the ledger.
    pub ledger: Option<u32>,
    /// Of the rejected rows.
    pub rejects: Option<u32>,
    /// Of the history.
    pub history: Option<u32>,
}

impl Ttls {
    /// Takes the days of the settings, but at least the longest time that a topic keeps its records: a chunk that is
    /// delivered again must find its line in the ledger.
    #[must_use]
    pub fn of(settings: &Settings, longest: Retention) -> Self {
        let days = |wanted: u32| match longest {
            _ if wanted == 0 => None,
            Retention::Forever => None,
            Retention::Days(days) => Some(wanted.max(days)),
        };
        Self {
            ledger: days(settings.ledger_ttl_days),
            rejects: days(settings.rejects_ttl_days),
            history: days(settings.history_ttl_days),
        }
    }
}

/// A shared table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SharedTable {
    /// Its name, with the database.
    pub name: TableName,
    columns: &'static [ColumnDef],
    engine: &'static str,
    order_by: &'static str,
    /// The column from which the TTL counts, and the days of the TTL.
    ttl: (&'static str, Option<u32>),
    remembers_tokens: bool,
    comment: &'static str,
}

/// A shared table as ClickHouse shows it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ExistingShared {
    /// `system.tables.engine_full`.
    pub engine_full: String,
    /// The names of its columns.
    pub columns: Vec<String>,
}

/// The shared tables in `database`.
pub fn tables(database: &str, ttls: Ttls) -> Result<[SharedTable; 3], BadIdent> {
    Ok([
        SharedTable {
            name: TableName::new(database, INGEST_BATCHES)?,
            columns: &INGEST_BATCHES_COLUMNS,
            engine: "ReplacingMergeTree(done_at)",
            // With the digests: a line of another file with the same chunk number must not be merged away.
            order_by: "(job_uid, first_chunk, digests)",
            ttl: ("done_at", ttls.ledger),
            remembers_tokens: true,
            comment: "The ledger of batch-on-kafka: the newest row of a batch counts",
        },
        SharedTable {
            name: TableName::new(database, REJECTED_ROWS)?,
            columns: &REJECTED_ROWS_COLUMNS,
            engine: "MergeTree",
            order_by: "(job_uid, row)",
            ttl: ("rejected_at", ttls.rejects),
            remembers_tokens: true,
            comment: "The bad cells of rejected rows (batch-on-kafka)",
        },
        SharedTable {
            name: TableName::new(database, INGEST_JOBS)?,
            columns: &INGEST_JOBS_COLUMNS,
            // A row that is written again has the same time: the last one written is kept.
            engine: "ReplacingMergeTree(ended_at)",
            order_by: "(namespace, model, label, uid)",
            ttl: ("ended_at", ttls.history),
            remembers_tokens: false,
            comment: "The history of batch-on-kafka: one row for each job that ended",
        },
    ])
}

impl SharedTable {
    /// `CREATE TABLE IF NOT EXISTS …`.
    #[must_use]
    pub fn create(&self) -> String {
        let lines: Vec<String> = self.columns.iter().map(|(name, ty)| format!("`{name}` {ty}")).collect();
        let mut out = format!(
            "CREATE TABLE IF NOT EXISTS {}\n(\n    {}\n)\nENGINE = {}\nORDER BY {}",
            self.name,
            lines.join(",\n    "),
            self.engine,
            self.order_by
        );
        if let Some(ttl) = self.ttl_expression("INTERVAL ", " DAY") {
            let _ = write!(out, "\nTTL {ttl}");
        }
        if self.remembers_tokens {
            let _ = write!(out, "\nSETTINGS non_replicated_deduplication_window = {DEDUPLICATION_WINDOW}");
        }
        let _ = write!(out, "\nCOMMENT '{}'", self.comment);
        out
    }

    /// Returns the statements that change a table of an earlier version: they add missing columns and set the TTL. No
    /// column is changed or dropped.
    #[must_use]
    pub fn changes(&self, existing: &ExistingShared) -> Vec<String> {
        let alter = format!("ALTER TABLE {}", self.name);
        let mut out = vec![];
        let mut position = " FIRST".to_owned();
        for (name, ty) in self.columns {
            if !existing.columns.iter().any(|column| column == name) {
                out.push(format!("{alter} ADD COLUMN IF NOT EXISTS `{name}` {ty}{position}"));
            }
            position = format!(" AFTER `{name}`");
        }
        let shown = existing.engine_full.replace('`', "");
        match self.ttl_expression("toIntervalDay(", ")") {
            None if shown.contains(" TTL ") => out.push(format!("{alter} REMOVE TTL")),
            Some(ttl) if !shown.contains(&format!(" TTL {ttl}")) => {
                let ttl = self.ttl_expression("INTERVAL ", " DAY").unwrap_or_default();
                out.push(format!("{alter} MODIFY TTL {ttl}"));
            }
            _ => {}
        }
        out
    }

    /// The table's name without the database.
    #[must_use]
    pub fn table(&self) -> &Ident {
        &self.name.table
    }

    fn ttl_expression(&self, before: &str, after: &str) -> Option<String> {
        let (column, days) = self.ttl;
        days.map(|days| format!("toDateTime({column}) + {before}{days}{after}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;
    use expect_test::expect;

    const TTLS: Ttls = Ttls { ledger: Some(90), rejects: Some(30), history: None };

    fn existing(table: &SharedTable, engine_full: &str) -> ExistingShared {
        let columns = table.columns.iter().map(|(name, _)| (*name).to_owned()).collect();
        ExistingShared { engine_full: engine_full.into(), columns }
    }

    #[test]
    fn ledger_and_rejects_remember_insert_tokens() {
        let [ledger, rejects, _] = tables("default", TTLS).unwrap();
        expect![[r"
            CREATE TABLE IF NOT EXISTS `default`.`ingest_batches`
            (
                `job_uid` String,
                `job_id` String,
                `namespace` LowCardinality(String),
                `model` LowCardinality(String),
                `batch` UInt32,
                `first_chunk` UInt32,
                `chunks` UInt32,
                `first_row` UInt64,
                `rows` UInt32,
                `ok` UInt32,
                `errors` UInt32,
                `cells` UInt64,
                `stored` UInt64,
                `summary` Array(Tuple(column String, error String, count UInt64, first_row UInt64, sample String)),
                `digests` Array(UInt64),
                `outcome` LowCardinality(String),
                `reason` LowCardinality(String),
                `message` String,
                `partition` UInt32,
                `revision` LowCardinality(String),
                `worker` LowCardinality(String),
                `done_at` DateTime64(6) DEFAULT now64(6)
            )
            ENGINE = ReplacingMergeTree(done_at)
            ORDER BY (job_uid, first_chunk, digests)
            TTL toDateTime(done_at) + INTERVAL 90 DAY
            SETTINGS non_replicated_deduplication_window = 10000
            COMMENT 'The ledger of batch-on-kafka: the newest row of a batch counts'"]]
        .assert_eq(&ledger.create());
        let tail = "ORDER BY (job_uid, row)\nTTL toDateTime(rejected_at) + INTERVAL 30 DAY\n\
                    SETTINGS non_replicated_deduplication_window = 10000";
        assert!(rejects.create().contains(tail), "{}", rejects.create());
    }

    #[test]
    fn a_job_has_one_row_in_the_history_and_it_may_have_no_ttl() {
        let [_, _, history] = tables("default", TTLS).unwrap();
        let sql = history.create();
        let tail =
            "\nENGINE = ReplacingMergeTree(ended_at)\nORDER BY (namespace, model, label, uid)\nCOMMENT ";
        assert!(sql.contains(tail), "{sql}");
    }

    #[test]
    fn a_table_that_matches_is_not_changed() {
        let [ledger, rejects, history] = tables("default", TTLS).unwrap();
        let shown = "ReplacingMergeTree(done_at) ORDER BY (job_uid, first_chunk, digests) \
                     TTL toDateTime(done_at) + toIntervalDay(90) SETTINGS index_granularity = 8192";
        assert_eq!(ledger.changes(&existing(&ledger, shown)), Vec::<String>::new());
        let shown = "MergeTree ORDER BY (job_uid, `row`) TTL toDateTime(rejected_at) + toIntervalDay(30) SETTINGS x = 1";
        assert_eq!(rejects.changes(&existing(&rejects, shown)), Vec::<String>::new());
        let shown = "ReplacingMergeTree(ended_at) ORDER BY (namespace, model, label, uid)";
        assert_eq!(history.changes(&existing(&history, shown)), Vec::<String>::new());
    }

    #[test]
    fn a_column_that_an_earlier_version_lacks_is_added_at_its_position() {
        let [_, rejects, _] = tables("default", Ttls::default()).unwrap();
        let mut old = existing(&rejects, "MergeTree ORDER BY (job_uid, row)");
        old.columns.retain(|column| column != "namespace");
        assert_eq!(
            rejects.changes(&old),
            [
                "ALTER TABLE `default`.`rejected_rows` ADD COLUMN IF NOT EXISTS `namespace` LowCardinality(String) AFTER `job_uid`"
            ]
        );
    }

    #[test]
    fn the_ttl_is_changed_only_if_it_differs() {
        let change = |ttls: Ttls, shown: &str| {
            let [ledger, ..] = tables("default", ttls).unwrap();
            ledger.changes(&existing(&ledger, shown))
        };
        let ttl = " TTL toDateTime(done_at) + toIntervalDay(5) SETTINGS x = 1";
        let modify =
            "ALTER TABLE `default`.`ingest_batches` MODIFY TTL toDateTime(done_at) + INTERVAL 90 DAY";
        assert_eq!(change(TTLS, "MergeTree ORDER BY x"), [modify]);
        assert_eq!(change(TTLS, &format!("MergeTree{ttl}")), [modify]);
        assert_eq!(
            change(Ttls::default(), &format!("MergeTree{ttl}")),
            ["ALTER TABLE `default`.`ingest_batches` REMOVE TTL"]
        );
    }

    #[test]
    fn ledger_and_rejects_are_kept_at_least_as_long_as_the_records() {
        #[derive(Parser)]
        struct Cli {
            #[command(flatten)]
            settings: Settings,
        }
        let settings = Cli::parse_from(["x", "--ledger-ttl-days=1", "--history-ttl-days=0"]).settings;
        let ttls = |longest| Ttls::of(&settings, longest);
        assert_eq!(ttls(Retention::Days(7)), Ttls { ledger: Some(7), rejects: Some(90), history: None });
        assert_eq!(ttls(Retention::Days(100)), Ttls { ledger: Some(100), rejects: Some(100), history: None });
        assert_eq!(ttls(Retention::Forever), Ttls::default());
    }

    #[test]
    fn an_invalid_database_name_is_an_error() {
        assert!(tables("a`; DROP", TTLS).is_err());
    }
}
