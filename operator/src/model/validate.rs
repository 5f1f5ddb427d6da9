//! Makes typed, complete values from an `IngestModel`. Pure. After this the raw spec is not read any more.

use std::collections::BTreeMap;

use crds::chunk::HEADER_BYTES;
use crds::model::{ColumnSpec, TableSpec, WorkersSpec};
use crds::revision::SchemaProblem;
use crds::sql::{BadIdent, Ident, TableName};
use crds::{IngestModel, ModelId, RevisionData, names};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use kube::{Resource, ResourceExt};
use rows_check::Columns;

use crate::ddl::settings::{self, BadSetting};
use crate::ddl::table::{
    DataColumn, DataTable, PARTITION_FUNCTIONS, PartitionBy, SettingValue, TTL_UNITS, Ttl,
};
use crate::objects::ModelKey;
use crate::topic::WantedTopic;

/// A valid model.
#[derive(Clone, Debug)]
pub struct ValidModel {
    /// All names are made from it.
    pub id: ModelId,
    /// The model's namespace.
    pub namespace: String,
    /// The model's name.
    pub name: String,
    /// The uid and generation of the model from which these values are made.
    pub of: (String, i64),
    /// The owner reference of the objects that the operator makes.
    pub owner: OwnerReference,
    /// The revision for a job that starts now.
    pub revision: Revision,
    /// The table.
    pub table: DataTable,
    /// The topic.
    pub topic: WantedTopic,
    /// The topic for records that no worker can process.
    pub dead_letters: WantedTopic,
    /// The workers.
    pub workers: WorkersSpec,
    /// Whether to start no job and run no worker.
    pub paused: bool,
}

impl ValidModel {
    /// Returns the key of the model in stores and maps.
    #[must_use]
    pub fn key(&self) -> ModelKey {
        ModelKey::new(&self.name).within(&self.namespace)
    }
}

/// The content of a `ControllerRevision`.
#[derive(Clone, Debug, PartialEq)]
pub struct Revision {
    /// Its name: the name of the model and a hash of the data.
    pub name: String,
    /// [`RevisionData`] as JSON.
    pub data: serde_json::Value,
}

/// Why a model is invalid. The message names the field.
#[derive(Debug, thiserror::Error)]
pub enum ModelProblem {
    /// The columns or the input are invalid.
    #[error(transparent)]
    Schema(#[from] SchemaProblem),
    /// ClickHouse would not accept a name.
    #[error("{field}: {source}")]
    Name {
        /// The field.
        field: &'static str,
        /// What is wrong.
        source: BadIdent,
    },
    /// The field names a column that does not exist.
    #[error("{field}: '{column}' is not a column of the model; name one of spec.columns")]
    UnknownColumn {
        /// The field.
        field: &'static str,
        /// The name.
        column: String,
    },
    /// A text does not have the form that it needs.
    #[error("{field}: '{value}' is not understood; write it like {example}")]
    Form {
        /// The field.
        field: &'static str,
        /// The text.
        value: String,
        /// An example of a correct text.
        example: &'static str,
    },
    /// The table setting is not allowed.
    #[error("spec.table.settings: {0}")]
    Setting(#[from] BadSetting),
    /// ClickHouse cannot compute the TTL.
    #[error(
        "spec.table.ttl: '{column}' is {ty}; rows can go only by a Date, Date32, DateTime or DateTime64 that is not nullable"
    )]
    TtlColumn {
        /// The column.
        column: String,
        /// Its type.
        ty: String,
    },
    /// The object lacks a field that the API server always sets.
    #[error("the object has no {0}")]
    Metadata(&'static str),
}

/// Validates a model. `installation` is the database of models that name none.
pub fn validate(model: &IngestModel, installation: &str) -> Result<ValidModel, ModelProblem> {
    let namespace = model.namespace().ok_or(ModelProblem::Metadata("namespace"))?;
    let name = model.name_any();
    let id = ModelId::of(&namespace, &name);
    let data = RevisionData::from(&model.spec);
    let schema = data.schema()?;
    Columns::compile(schema.clone()).map_err(SchemaProblem::from)?;
    data.input(None)?;
    Ok(ValidModel {
        of: (model.uid().ok_or(ModelProblem::Metadata("uid"))?, model.metadata.generation.unwrap_or(0)),
        owner: model.controller_owner_ref(&()).ok_or(ModelProblem::Metadata("uid"))?,
        revision: revision(&name, &data)?,
        table: table(model, &schema, &id, &namespace, installation)?,
        topic: topic(model, id.topic(), model.spec.topic.partitions, None),
        dead_letters: topic(model, id.dead_letter_topic(), 1, Some(DEAD_LETTER_HOURS)),
        workers: model.spec.workers.clone(),
        paused: model.spec.paused,
        id,
        namespace,
        name,
    })
}

fn revision(model: &str, data: &RevisionData) -> Result<Revision, ModelProblem> {
    let bytes = serde_json::to_vec(data)
        .map_err(|_| ModelProblem::Metadata("columns that can be written as JSON"))?;
    let data = serde_json::from_slice(&bytes)
        .map_err(|_| ModelProblem::Metadata("columns that can be read as JSON"))?;
    Ok(Revision { name: names::revision(model, &bytes), data })
}

/// The largest message in bytes that a broker accepts by default (`message.max.bytes`).
const BROKER_DEFAULT: u32 = 1_048_588;
/// Dead letters wait for a person, so they are kept for at least 30 days.
const DEAD_LETTER_HOURS: i32 = 720;

/// A topic is configured for large messages only if the chunks of the model are larger than what every broker accepts,
/// because managed brokers often refuse this setting.
fn topic(model: &IngestModel, name: String, partitions: i32, min_hours: Option<i32>) -> WantedTopic {
    let mut config = BTreeMap::new();
    let most = model.spec.chunk_bytes.saturating_add(HEADER_BYTES);
    if most > BROKER_DEFAULT {
        config.insert("max.message.bytes", most.to_string());
    }
    // `Some` is greater than `None`.
    if let Some(hours) = model.spec.topic.retention_hours.max(min_hours) {
        config.insert("retention.ms", (i64::from(hours) * 3_600_000).to_string());
    }
    WantedTopic { name, partitions, replication: model.spec.topic.replication_factor, config }
}

fn table(
    model: &IngestModel,
    schema: &rows_types::Schema,
    id: &ModelId,
    namespace: &str,
    installation: &str,
) -> Result<DataTable, ModelProblem> {
    let default = TableSpec::default();
    let spec = model.spec.table.as_ref().unwrap_or(&default);
    let columns = model.spec.columns.iter().zip(schema.columns());
    let columns = columns.map(|(spec, column)| data_column(spec, column)).collect::<Result<Vec<_>, _>>()?;
    let known = |field: &'static str, name: &str| -> Result<Ident, ModelProblem> {
        let ident = ident(field, name)?;
        if columns.iter().any(|c| c.name == ident) {
            return Ok(ident);
        }
        Err(ModelProblem::UnknownColumn { field, column: name.into() })
    };
    let order_by = if spec.order_by.is_empty() {
        vec![columns[schema.row_key()].name.clone()]
    } else {
        spec.order_by.iter().map(|name| known("spec.table.orderBy", name)).collect::<Result<_, _>>()?
    };
    let default_name = id.default_table();
    Ok(DataTable {
        name: TableName {
            database: ident("spec.table.database", spec.database.as_deref().unwrap_or(installation))?,
            table: ident("spec.table.name", spec.name.as_deref().unwrap_or(&default_name))?,
        },
        engine: spec.engine,
        order_by,
        partition_by: spec.partition_by.as_deref().map(|text| partition_by(text, &known)).transpose()?,
        ttl: spec.ttl.as_deref().map(|text| ttl(text, &known, schema)).transpose()?,
        settings: spec.settings.iter().map(setting).collect::<Result<_, _>>()?,
        cluster: spec.cluster.as_deref().map(|name| ident("spec.table.cluster", name)).transpose()?,
        comment: format!("IngestModel {namespace}/{} (batch-on-kafka)", model.name_any()),
        columns,
    })
}

fn data_column(spec: &ColumnSpec, column: &rows_types::Column) -> Result<DataColumn, ModelProblem> {
    // The worker fills in defaults itself, in every spelling that a file may have. The default of the table is used
    // only for rows older than the column. It is set only if ClickHouse's CAST reads the text like the row engine.
    let cast_reads_it =
        spec.format.is_none() && !column.ty.is_nested() && !column.ty.to_string().contains("Date");
    Ok(DataColumn {
        name: ident("spec.columns", &column.name)?,
        ty: column.ty.clone(),
        default: column.default.clone().filter(|_| cast_reads_it),
        comment: spec.description.clone(),
    })
}

fn ident(field: &'static str, name: &str) -> Result<Ident, ModelProblem> {
    name.parse().map_err(|source| ModelProblem::Name { field, source })
}

type Known<'a> = &'a dyn Fn(&'static str, &str) -> Result<Ident, ModelProblem>;

fn partition_by(text: &str, known: Known<'_>) -> Result<PartitionBy, ModelProblem> {
    const FIELD: &str = "spec.table.partitionBy";
    let Some((function, rest)) = text.split_once('(') else {
        return Ok(PartitionBy { function: None, column: known(FIELD, text)? });
    };
    let function = PARTITION_FUNCTIONS.iter().find(|f| **f == function);
    match (function, rest.strip_suffix(')')) {
        (Some(function), Some(column)) => {
            Ok(PartitionBy { function: Some(function), column: known(FIELD, column)? })
        }
        _ => Err(ModelProblem::Form { field: FIELD, value: text.into(), example: "toYYYYMM(timestamp)" }),
    }
}

fn ttl(text: &str, known: Known<'_>, schema: &rows_types::Schema) -> Result<Ttl, ModelProblem> {
    const FIELD: &str = "spec.table.ttl";
    let wrong =
        || ModelProblem::Form { field: FIELD, value: text.into(), example: "timestamp + INTERVAL 90 DAY" };
    let words: Vec<&str> = text.split(' ').collect();
    let [column, "+", "INTERVAL", amount, unit] = words[..] else { return Err(wrong()) };
    let (unit, _) = TTL_UNITS.iter().find(|(sql, _)| *sql == unit).ok_or_else(wrong)?;
    let name = known(FIELD, column)?;
    let ty = schema.columns().iter().find(|c| c.name == column).map(|c| c.ty.to_string()).unwrap_or_default();
    if !["Date", "Date32", "DateTime", "DateTime64"].contains(&ty.split('(').next().unwrap_or_default()) {
        return Err(ModelProblem::TtlColumn { column: column.to_owned(), ty });
    }
    Ok(Ttl { column: name, amount: amount.parse().map_err(|_| wrong())?, unit })
}

fn setting((name, value): (&String, &String)) -> Result<(Ident, SettingValue), ModelProblem> {
    ident("spec.table.settings", name)?;
    let (name, value) = settings::parse(name, value)?;
    Ok((ident("spec.table.settings", name)?, value))
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) const PURCHASES: &str = r"
        apiVersion: ingest.batch-on-kafka.io/v1alpha1
        kind: IngestModel
        metadata: {name: purchases, namespace: shop, uid: 1b4e28ba-2fa1-11d2-883f-0016d3cca427, generation: 3}
        spec:
          columns:
            - {name: event_id, type: String}
            - {name: timestamp, type: UInt32}
            - {name: amount, type: Float64}";

    pub(crate) fn model(yaml: &str) -> IngestModel {
        serde_yaml::from_str(yaml).unwrap()
    }

    pub(crate) fn valid(yaml: &str) -> ValidModel {
        validate(&model(yaml), "default").unwrap()
    }

    fn problem(tail: &str) -> String {
        validate(&model(&format!("{PURCHASES}\n{tail}")), "default").unwrap_err().to_string()
    }

    #[test]
    fn the_quick_start_needs_three_columns_and_nothing_else() {
        let valid = valid(PURCHASES);
        assert_eq!(valid.table.name.plain(), "default.data_5231e672");
        assert_eq!(valid.table.order_by[0].as_str(), "event_id");
        assert_eq!(valid.topic.name, "ingest.5231e672");
        assert_eq!((valid.topic.partitions, valid.topic.replication), (6, None));
        assert_eq!(valid.topic.config, BTreeMap::new(), "any broker takes it as it is");
        assert_eq!(
            (valid.dead_letters.name.as_str(), valid.dead_letters.partitions),
            ("ingest.5231e672.dlq", 1)
        );
        assert!(valid.revision.name.starts_with("purchases-") && valid.revision.name.len() == 18);
    }

    #[test]
    fn a_revision_is_named_by_what_judges_a_row_and_by_nothing_else() {
        let plain = valid(PURCHASES).revision;
        let scaled = valid(&format!("{PURCHASES}\n          workers: {{max: 9}}")).revision;
        assert_eq!(plain, scaled);
        let stricter = valid(&PURCHASES.replace("UInt32", "UInt64")).revision;
        assert_ne!(plain.name, stricter.name);
    }

    #[test]
    fn a_wrong_type_is_explained_and_nothing_is_made() {
        let text =
            validate(&model(&PURCHASES.replace("Float64", "Flot64")), "default").unwrap_err().to_string();
        assert!(text.starts_with("spec.columns[2] ('amount'): ") && text.contains("Flot64"), "{text}");
    }

    #[test]
    fn columns_that_no_worker_could_use_are_refused_with_the_reason() {
        let wrong = |column: &str| {
            let yaml = PURCHASES.replace("{name: amount, type: Float64}", column);
            validate(&model(&yaml), "default").unwrap_err().to_string()
        };
        for (column, text) in [
            (
                "{name: a, type: Date, nonFinite: accept}",
                "spec.columns: column 'a': nonFinite: accept is for floats, not for Date; remove it",
            ),
            (
                "{name: a, type: Int8, default: x}",
                "spec.columns: the default of column 'a' is not a Int8: Not a number; Int8 takes digits only, such as 42",
            ),
            (
                "{name: a, type: Date, format: '%Y'}",
                "spec.columns: the format of column 'a' cannot be used: '%Y' does not give day, month and year",
            ),
            (
                "{name: a, type: String, constraints: {pattern: '('}}",
                "spec.columns: column 'a': the pattern is no regular expression: ",
            ),
        ] {
            let problem = wrong(column);
            assert!(problem.starts_with(text), "{problem}");
        }
    }

    #[test]
    fn what_a_spec_says_of_its_table_becomes_typed_values() {
        let table = valid(&format!(
            "{}
          rowKey: event_id
          table: {{database: shop, name: p, engine: ReplacingMergeTree, orderBy: [timestamp, event_id],
                  partitionBy: toYYYYMM(timestamp), ttl: timestamp + INTERVAL 90 DAY, settings: {{index_granularity: '4096', storage_policy: cold}}}}",
            PURCHASES.replace("UInt32", "DateTime")
        ))
        .table;
        assert_eq!(table.name.plain(), "shop.p");
        let key: Vec<&str> = table.order_by.iter().map(Ident::as_str).collect();
        assert_eq!(key, ["timestamp", "event_id"]);
        assert_eq!(table.partition_by.unwrap().to_string(), "toYYYYMM(`timestamp`)");
        assert_eq!(table.ttl.unwrap().to_string(), "`timestamp` + INTERVAL 90 DAY");
        let settings: Vec<String> =
            table.settings.iter().map(|(n, v)| format!("{} = {v}", n.as_str())).collect();
        assert_eq!(settings, ["index_granularity = 4096", "storage_policy = 'cold'"]);
    }

    #[test]
    fn each_field_that_is_wrong_is_named() {
        let cases = [
            ("          table: {orderBy: [nope]}", "spec.table.orderBy: 'nope' is not a column of the model"),
            (
                "          table: {partitionBy: sleep(timestamp)}",
                "spec.table.partitionBy: 'sleep(timestamp)' is not understood",
            ),
            ("          table: {partitionBy: nope}", "spec.table.partitionBy: 'nope' is not a column"),
            ("          table: {ttl: timestamp + 90}", "spec.table.ttl: 'timestamp + 90' is not understood"),
            (
                "          table: {ttl: event_id + INTERVAL 1 DAY}",
                "spec.table.ttl: 'event_id' is String; rows can go only by",
            ),
            ("          table: {ttl: timestamp + INTERVAL 1 DAY}", "spec.table.ttl: 'timestamp' is UInt32"),
            (
                "          table: {name: 'a`; DROP TABLE b'}",
                "spec.table.name: 'a`; DROP TABLE b' is not a name",
            ),
            (
                "          table: {settings: {replicated_deduplication_window_seconds: '1'}}",
                "spec.table.settings: 'replicated_deduplication_window_seconds' is set by the operator",
            ),
            (
                "          table: {settings: {table_readonly: '1'}}",
                "spec.table.settings: 'table_readonly' is not allowed",
            ),
            (
                "          table: {settings: {parts_to_throw_insert: '0'}}",
                "spec.table.settings: 'parts_to_throw_insert' must be a whole number from 300 to 1000000, not '0'",
            ),
            ("          table: {settings: {max_parts_in_total: '0'}}", "'max_parts_in_total' must be"),
            (
                "          table: {settings: {'a = 1, b': '0'}}",
                "spec.table.settings: 'a = 1, b' is not a name",
            ),
            ("          input: {delimiter: '\"'}", "spec.input.delimiter: must not be the quote character"),
            ("          rowKey: nope", "nope"),
        ];
        for (tail, expected) in cases {
            let text = problem(tail);
            assert!(text.contains(expected), "{text}");
        }
    }

    #[test]
    fn a_default_becomes_the_tables_own_only_where_clickhouse_reads_the_same_text() {
        let table = valid(&PURCHASES.replace("type: UInt32", "type: UInt32, default: '7'").replace(
            "{name: amount, type: Float64}",
            "{name: day, type: DateTime, default: '2024-01-01T00:00:00Z'}",
        ))
        .table;
        let defaults: Vec<Option<&str>> = table.columns.iter().map(|c| c.default.as_deref()).collect();
        assert_eq!(defaults, [None, Some("7"), None]);
    }

    #[test]
    fn rows_go_by_a_time_that_is_never_null() {
        let of = |ty: &str| {
            let yaml = PURCHASES.replace("UInt32", ty);
            let yaml = format!("{yaml}\n          table: {{ttl: timestamp + INTERVAL 1 DAY}}");
            validate(&model(&yaml), "default")
                .map(|valid| valid.table.ttl.is_some())
                .map_err(|e| e.to_string())
        };
        for ty in ["Date", "Date32", "DateTime", "DateTime('UTC')", "DateTime64(3)", "DateTime64(3, 'UTC')"] {
            let quoted = format!("\"{ty}\"");
            assert_eq!(of(&quoted), Ok(true), "{ty}");
        }
        let nullable = of("DateTime, nullable: true").unwrap_err();
        assert!(nullable.contains("'timestamp' is Nullable(DateTime)"), "{nullable}");
    }

    #[test]
    fn a_topic_is_configured_only_for_chunks_that_a_broker_would_refuse() {
        let config = |chunk_bytes: u32| {
            valid(&format!("{PURCHASES}\n          chunkBytes: {chunk_bytes}"))
                .topic
                .config
                .get("max.message.bytes")
                .cloned()
        };
        assert_eq!(config(983_040), None);
        assert_eq!(config(983_052), None);
        assert_eq!(config(983_053), Some("1048589".into()));
        assert_eq!(config(8_388_608), Some("8454144".into()));
    }

    #[test]
    fn dead_letters_are_kept_at_least_as_long_as_the_topic() {
        let hours = |retention: &str| {
            let valid = valid(&format!("{PURCHASES}\n          topic: {{{retention}}}"));
            let ms = |topic: &WantedTopic| {
                topic.config.get("retention.ms").map(|ms| ms.parse::<i64>().unwrap() / 3_600_000)
            };
            (ms(&valid.topic), ms(&valid.dead_letters))
        };
        assert_eq!(hours(""), (None, Some(720)));
        assert_eq!(hours("retentionHours: 24"), (Some(24), Some(720)));
        assert_eq!(hours("retentionHours: 2000"), (Some(2000), Some(2000)));
    }

    #[test]
    fn retention_reaches_the_topic() {
        let valid = valid(&format!(
            "{PURCHASES}\n          topic: {{partitions: 12, replicationFactor: 3, retentionHours: 24}}"
        ));
        assert_eq!((valid.topic.partitions, valid.topic.replication), (12, Some(3)));
        assert_eq!(valid.topic.config["retention.ms"], "86400000");
    }
}
