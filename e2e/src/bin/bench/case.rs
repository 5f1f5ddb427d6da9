//! One file, loaded by Batch on Kafka and by ClickHouse.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use e2e::Target;
use e2e::wait::until;

use crate::measure::{self, Load, measured};
use crate::{kafka_engine, stages};

/// The parts whose usage is measured for a load by Batch on Kafka.
pub const PARTS: [&str; 5] = ["ingest-api", "worker", "operator", "kafka", "clickhouse"];

/// The loads that are not counted. A broker that has just started compiles its own code during the first ones: up to
/// half a CPU second each.
const UNCOUNTED: usize = 10;

/// A file and the model with which it is loaded.
pub struct Case<'a> {
    /// The stack.
    pub target: &'a Target,
    /// The namespace.
    pub ns: &'a str,
    /// The name of the model.
    pub name: &'a str,
    /// The columns of the model.
    pub columns: &'a str,
    /// The file. It is removed when this value is dropped.
    pub file: PathBuf,
    /// The number of its rows.
    pub rows: u64,
    /// The size of a chunk in bytes, if it is not the default of the model.
    pub chunk_bytes: Option<u32>,
    /// The number of workers during the complete load.
    pub workers: u32,
    /// Whether ClickHouse's Kafka table engine also loads the file. This takes minutes.
    pub kafka_engine: bool,
}

impl Case<'_> {
    /// Loads the file with ClickHouse's own reader, with Batch on Kafka, and with ClickHouse's Kafka table engine.
    pub fn beside_clickhouse(&self, runs: usize) -> Result<()> {
        let bytes = fs::metadata(&self.file)?.len();
        println!("\n## {}: {} rows, {} MB\n", self.name, self.rows, bytes / 1_000_000);
        self.apply_model()?;
        for _ in 0..UNCOUNTED {
            self.through_us()?;
        }
        self.clickhouse_alone()?;
        // The loads alternate, so that both have the same other load on the machine.
        let (mut direct, mut ours) = (None, None);
        for _ in 0..runs {
            direct = Some(Load::best(direct, self.clickhouse_alone()?));
            ours = Some(Load::best(ours, self.through_us()?));
        }
        let (direct, ours) = (direct.context("a run")?, ours.context("a run")?);
        measure::header();
        direct.print("ClickHouse's own CSV load", self.rows, bytes);
        ours.print("batch job create, upload to visible", self.rows, bytes);
        if self.kafka_engine {
            let loads = runs as u64 + 1;
            let what =
                format!("ClickHouse's Kafka table engine, {loads} times the same chunks, topic to visible");
            kafka_engine::load(self, loads)?.print(&what, self.rows * loads, bytes * loads);
        }
        println!(
            "\ntime: {:.2}x of ClickHouse's own load; CPU: {:.2}x\n",
            ours.wall.as_secs_f64() / direct.wall.as_secs_f64(),
            ours.cpu() / direct.cpu()
        );
        stages::run(self, bytes)
    }

    /// Loads the file once with Batch on Kafka.
    pub fn once(&self, what: &str) -> Result<()> {
        self.apply_model()?;
        let load = self.through_us()?;
        load.print(what, self.rows, fs::metadata(&self.file)?.len());
        Ok(())
    }

    /// Fills the same table with ClickHouse's own reader over HTTP.
    fn clickhouse_alone(&self) -> Result<Load> {
        let table = self.create_copy()?;
        let load = measured(&["clickhouse"], || {
            self.target.sql_load(&format!("INSERT INTO {table} FORMAT CSVWithNames"), &self.file)
        })?;
        let count = self.target.sql(&format!("SELECT count() FROM {table}"))?;
        ensure!(count == self.rows.to_string(), "ClickHouse loaded {count} rows");
        self.target.sql(&format!("DROP TABLE {table} SYNC"))?;
        Ok(load)
    }

    /// Runs a job, from the start of its upload until its last row is visible and counted.
    fn through_us(&self) -> Result<Load> {
        let table = self.table()?;
        self.target.sql(&format!("TRUNCATE TABLE {table} SYNC"))?;
        let file = self.file.to_string_lossy().into_owned();
        let load = measured(&PARTS, || {
            let output = self.target.batch(self.ns, &["job", "create", self.name, &file, "--wait"])?;
            output.ok().map(drop)
        })?;
        let count = self.target.sql(&format!("SELECT count() FROM {table}"))?;
        ensure!(count == self.rows.to_string(), "we loaded {count} rows");
        Ok(load)
    }

    /// Makes an empty table with the user's columns and order, and returns its name.
    pub fn create_copy(&self) -> Result<String> {
        let ours = self.table()?;
        let table = format!("bench_{}", self.name);
        self.target.sql(&format!("DROP TABLE IF EXISTS {table} SYNC"))?;
        let columns = self.columns_of(&ours)?;
        let key = self.target.sql(&format!(
            "SELECT sorting_key FROM system.tables WHERE database || '.' || name = '{ours}'"
        ))?;
        self.target.sql(&format!("CREATE TABLE {table} ({columns}) ENGINE = MergeTree ORDER BY ({key})"))?;
        Ok(table)
    }

    /// Returns the user's columns of a table, in the form of a CREATE TABLE.
    pub fn columns_of(&self, table: &str) -> Result<String> {
        self.target.sql(&format!(
            "SELECT arrayStringConcat(groupArray(name || ' ' || type), ', ') FROM (SELECT name, type FROM system.columns \
             WHERE database || '.' || table = '{table}' AND default_kind NOT IN ('MATERIALIZED', 'EPHEMERAL') ORDER BY position) FORMAT TSVRaw"
        ))
    }

    fn apply_model(&self) -> Result<()> {
        let chunks = self.chunk_bytes.map_or(String::new(), |n| format!("chunkBytes: {n}\n  "));
        let (name, workers) = (self.name, self.workers);
        let yaml = format!(
            "apiVersion: ingest.batch-on-kafka.io/v1alpha1\nkind: IngestModel\nmetadata: {{name: {name}}}\nspec:\n  {chunks}\
             workers: {{min: {workers}, max: {workers}}}\n  columns:{}\n",
            self.columns
        );
        self.target.apply(self.ns, &yaml)?.ok()?;
        self.target.model_ready(self.ns, name)?;
        let selector = format!("ingest.batch-on-kafka.io/model={name}");
        until("the workers to be there", Duration::from_secs(60), || {
            let pods = self.target.list(&["pods", "-n", self.ns, "-l", &selector])?;
            let ready = pods.iter().filter(|pod| {
                pod["status"]["containerStatuses"][0]["ready"] == true
                    && pod["metadata"]["deletionTimestamp"].is_null()
            });
            Ok((pods.len() == workers as usize && ready.count() == pods.len()).then_some(()))
        })
    }

    /// Returns the table of the model.
    pub fn table(&self) -> Result<String> {
        self.status("table")
    }

    /// Returns a text of the model's status.
    pub fn status(&self, field: &str) -> Result<String> {
        let status = self.target.model_ready(self.ns, self.name)?;
        Ok(status[field].as_str().with_context(|| format!("status.{field}"))?.to_owned())
    }
}

impl Drop for Case<'_> {
    fn drop(&mut self) {
        // If the removal fails, the file stays in the temporary folder.
        let _ = fs::remove_file(&self.file);
    }
}
