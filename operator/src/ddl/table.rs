//! The data table of a model, with typed parts, and its `CREATE TABLE`.

use std::fmt::{self, Write as _};

use crds::model::Engine;
use crds::sql::{Ident, TableName, literal};
use crds::tables::{DEDUPLICATION_WINDOW, LINEAGE, LINEAGE_INDEX};

/// The table that a model wants.
#[derive(Clone, Debug, PartialEq)]
pub struct DataTable {
    /// Database and name.
    pub name: TableName,
    /// The columns of the model. The lineage columns are added to them.
    pub columns: Vec<DataColumn>,
    /// The engine.
    pub engine: Engine,
    /// The sorting key.
    pub order_by: Vec<Ident>,
    /// The partition key.
    pub partition_by: Option<PartitionBy>,
    /// When rows are deleted.
    pub ttl: Option<Ttl>,
    /// `MergeTree` settings besides those of the operator.
    pub settings: Vec<(Ident, SettingValue)>,
    /// `ON CLUSTER`.
    pub cluster: Option<Ident>,
    /// The owner of the table: [`crate::ddl::run::drop_own`] drops no table with another comment.
    pub comment: String,
}

/// One column of a model.
#[derive(Clone, Debug, PartialEq)]
pub struct DataColumn {
    /// Its name.
    pub name: Ident,
    /// Its type, with `Nullable` if the model says so.
    pub ty: rows_types::Type,
    /// The value of old rows when the column is added, as text that ClickHouse casts.
    pub default: Option<String>,
    /// The column's comment.
    pub comment: Option<String>,
}

/// A column, or a date function of a column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartitionBy {
    /// One of [`PARTITION_FUNCTIONS`].
    pub function: Option<&'static str>,
    /// The column.
    pub column: Ident,
}

/// The functions of a column that are allowed in a partition key.
pub const PARTITION_FUNCTIONS: [&str; 11] = [
    "toYYYYMM",
    "toYYYYMMDD",
    "toDate",
    "toYear",
    "toMonday",
    "toStartOfDay",
    "toStartOfHour",
    "toStartOfWeek",
    "toStartOfMonth",
    "toStartOfQuarter",
    "toStartOfYear",
];

/// Rows are deleted when this time has passed after the time in a column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ttl {
    /// The column.
    pub column: Ident,
    /// The number of `unit`s.
    pub amount: u32,
    /// One of [`TTL_UNITS`].
    pub unit: &'static str,
}

/// The units of a [`Ttl`], as SQL writes them and as ClickHouse shows them (`toInterval…`).
pub const TTL_UNITS: [(&str, &str); 6] = [
    ("HOUR", "Hour"),
    ("DAY", "Day"),
    ("WEEK", "Week"),
    ("MONTH", "Month"),
    ("QUARTER", "Quarter"),
    ("YEAR", "Year"),
];

/// The value of a setting.
#[derive(Clone, Debug, PartialEq)]
pub enum SettingValue {
    /// An integer.
    Int(i64),
    /// Any other number.
    Float(f64),
    /// Text.
    Text(String),
}

impl fmt::Display for PartitionBy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.function {
            Some(function) => write!(f, "{function}({})", self.column),
            None => write!(f, "{}", self.column),
        }
    }
}

impl fmt::Display for Ttl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} + INTERVAL {} {}", self.column, self.amount, self.unit)
    }
}

impl fmt::Display for SettingValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Int(value) => write!(f, "{value}"),
            Self::Float(value) => write!(f, "{value}"),
            Self::Text(value) => f.write_str(&literal(value)),
        }
    }
}

impl DataColumn {
    /// The column as `CREATE TABLE` and `ALTER TABLE` take it.
    #[must_use]
    pub fn definition(&self) -> String {
        let mut out = format!("{} {}", self.name, self.ty);
        if let Some(default) = &self.default {
            let ty = literal(&self.ty.to_string());
            let _ = write!(out, " DEFAULT CAST({}, {ty})", literal(default));
        }
        if let Some(comment) = &self.comment {
            let _ = write!(out, " COMMENT {}", literal(comment));
        }
        out
    }
}

impl DataTable {
    /// ` ON CLUSTER …`, or nothing.
    #[must_use]
    pub fn on_cluster(&self) -> String {
        self.cluster.as_ref().map(|cluster| format!(" ON CLUSTER {cluster}")).unwrap_or_default()
    }

    /// Returns the name of the setting that makes the engine remember insert tokens. Exactly-once loading depends on
    /// it.
    #[must_use]
    pub fn deduplication_setting(&self) -> &'static str {
        match self.engine {
            Engine::MergeTree | Engine::ReplacingMergeTree => "non_replicated_deduplication_window",
            Engine::ReplicatedMergeTree | Engine::ReplicatedReplacingMergeTree => {
                "replicated_deduplication_window"
            }
        }
    }

    /// The engine's name.
    #[must_use]
    pub fn engine_name(&self) -> &'static str {
        match self.engine {
            Engine::MergeTree => "MergeTree",
            Engine::ReplacingMergeTree => "ReplacingMergeTree",
            Engine::ReplicatedMergeTree => "ReplicatedMergeTree",
            Engine::ReplicatedReplacingMergeTree => "ReplicatedReplacingMergeTree",
        }
    }

    /// `CREATE TABLE IF NOT EXISTS …`.
    #[must_use]
    pub fn create(&self) -> String {
        let mut lines: Vec<String> = self.columns.iter().map(DataColumn::definition).collect();
        lines.extend(LINEAGE.iter().map(|(name, definition)| format!("{name} {definition}")));
        lines.push(LINEAGE_INDEX.to_owned());
        let mut out = format!(
            "CREATE TABLE IF NOT EXISTS {}{}\n(\n    {}\n)\nENGINE = {}",
            self.name,
            self.on_cluster(),
            lines.join(",\n    "),
            self.engine_name()
        );
        if let Some(partition_by) = &self.partition_by {
            let _ = write!(out, "\nPARTITION BY {partition_by}");
        }
        let key: Vec<String> = self.order_by.iter().map(ToString::to_string).collect();
        let _ = write!(out, "\nORDER BY ({})", key.join(", "));
        if let Some(ttl) = &self.ttl {
            let _ = write!(out, "\nTTL {ttl}");
        }
        let _ = write!(out, "\nSETTINGS {} = {DEDUPLICATION_WINDOW}", self.deduplication_setting());
        if self.key_is_nullable() {
            // ClickHouse refuses NULLs in a sorting key unless this setting allows them. The owner of the model asked
            // for both.
            out.push_str(", allow_nullable_key = 1");
        }
        for (name, value) in &self.settings {
            let _ = write!(out, ", {} = {value}", name.as_str());
        }
        let _ = write!(out, "\nCOMMENT {}", literal(&self.comment));
        out
    }

    fn key_is_nullable(&self) -> bool {
        self.columns.iter().any(|c| c.ty.is_nullable() && self.order_by.contains(&c.name))
            && !self.settings.iter().any(|(name, _)| name.as_str() == "allow_nullable_key")
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use expect_test::expect;

    pub(crate) fn column(name: &str, ty: &str) -> DataColumn {
        DataColumn {
            name: name.parse().unwrap(),
            ty: rows_types::Type::parse(ty).unwrap(),
            default: None,
            comment: None,
        }
    }

    pub(crate) fn table() -> DataTable {
        DataTable {
            name: TableName::new("default", "data_5231e672").unwrap(),
            columns: vec![
                column("event_id", "String"),
                column("timestamp", "UInt32"),
                column("amount", "Float64"),
            ],
            engine: Engine::MergeTree,
            order_by: vec!["event_id".parse().unwrap()],
            partition_by: None,
            ttl: None,
            settings: vec![],
            cluster: None,
            comment: "IngestModel shop/purchases (batch-on-kafka)".into(),
        }
    }

    #[test]
    fn the_plain_table_of_the_quick_start() {
        expect![[r"
            CREATE TABLE IF NOT EXISTS `default`.`data_5231e672`
            (
                `event_id` String,
                `timestamp` UInt32,
                `amount` Float64,
                _job LowCardinality(String) MATERIALIZED job_in,
                _row UInt64 MATERIALIZED row_in CODEC(Delta, LZ4),
                job_in LowCardinality(String) EPHEMERAL,
                row_in UInt64 EPHEMERAL,
                INDEX _job_index _job TYPE bloom_filter(0.01) GRANULARITY 8
            )
            ENGINE = MergeTree
            ORDER BY (`event_id`)
            SETTINGS non_replicated_deduplication_window = 10000
            COMMENT 'IngestModel shop/purchases (batch-on-kafka)'"]]
        .assert_eq(&table().create());
    }

    #[test]
    fn every_field_of_a_spec_is_in_the_statement_and_quoted() {
        let mut table = table();
        table.columns[0].ty = table.columns[0].ty.nullable().unwrap();
        table.columns[1].default = Some("it's".into());
        table.columns[2].comment = Some(r"a ? and a \' or two; DROP TABLE x --".into());
        table.engine = Engine::ReplicatedReplacingMergeTree;
        table.order_by.push("timestamp".parse().unwrap());
        table.partition_by =
            Some(PartitionBy { function: Some("toYYYYMM"), column: "timestamp".parse().unwrap() });
        table.ttl = Some(Ttl { column: "timestamp".parse().unwrap(), amount: 90, unit: "DAY" });
        table.settings = vec![
            ("index_granularity".parse().unwrap(), SettingValue::Int(4096)),
            ("storage_policy".parse().unwrap(), SettingValue::Text("cold".into())),
        ];
        table.cluster = Some("main".parse().unwrap());
        expect![[r"
            CREATE TABLE IF NOT EXISTS `default`.`data_5231e672` ON CLUSTER `main`
            (
                `event_id` Nullable(String),
                `timestamp` UInt32 DEFAULT CAST('it\'s', 'UInt32'),
                `amount` Float64 COMMENT 'a ? and a \\\' or two; DROP TABLE x --',
                _job LowCardinality(String) MATERIALIZED job_in,
                _row UInt64 MATERIALIZED row_in CODEC(Delta, LZ4),
                job_in LowCardinality(String) EPHEMERAL,
                row_in UInt64 EPHEMERAL,
                INDEX _job_index _job TYPE bloom_filter(0.01) GRANULARITY 8
            )
            ENGINE = ReplicatedReplacingMergeTree
            PARTITION BY toYYYYMM(`timestamp`)
            ORDER BY (`event_id`, `timestamp`)
            TTL `timestamp` + INTERVAL 90 DAY
            SETTINGS replicated_deduplication_window = 10000, allow_nullable_key = 1, index_granularity = 4096, storage_policy = 'cold'
            COMMENT 'IngestModel shop/purchases (batch-on-kafka)'"]]
        .assert_eq(&table.create());
    }
}
