//! The comparison with a program for the same task: ClickHouse's own Kafka table engine. It reads the chunks that are
//! still in the topic of the model and writes them to a table with the same columns.

use std::time::Duration;

use anyhow::Result;
use e2e::wait::until;

use crate::case::Case;
use crate::measure::{Load, measured};

/// Loads all records of the topic: `loads` times the rows of the file.
pub fn load(case: &Case<'_>, loads: u64) -> Result<Load> {
    let table = case.create_copy()?;
    let (topic, columns) = (case.status("topic")?, case.columns_of(&case.table()?)?);
    let (queue, view) = (format!("{table}_queue"), format!("{table}_view"));
    let sql = |statement: &str| case.target.sql(statement).map(drop);
    sql(&format!("DROP TABLE IF EXISTS {view} SYNC"))?;
    sql(&format!("DROP TABLE IF EXISTS {queue} SYNC"))?;
    // A consumer group with a new name reads from the first record. By default the engine polls up to 65,409 messages
    // into one block. With messages as large as these, that is more than its memory.
    sql(&format!(
        "CREATE TABLE {queue} ({columns}) ENGINE = Kafka SETTINGS kafka_broker_list = '{}', kafka_topic_list = '{topic}', \
         kafka_group_name = '{table}-{}', kafka_format = 'CSV', kafka_num_consumers = 1, kafka_poll_max_batch_size = 32, kafka_flush_interval_ms = 1000",
        case.target.parts.kafka_host,
        std::process::id(),
    ))?;
    let rows = (case.rows * loads).to_string();
    let load = measured(&["kafka", "clickhouse"], || {
        sql(&format!("CREATE MATERIALIZED VIEW {view} TO {table} AS SELECT * FROM {queue}"))?;
        until("the engine to take all rows", Duration::from_secs(600), || {
            Ok((case.target.sql(&format!("SELECT count() FROM {table}"))? == rows).then_some(()))
        })
    })?;
    sql(&format!("DROP TABLE {view} SYNC"))?;
    sql(&format!("DROP TABLE {queue} SYNC"))?;
    sql(&format!("DROP TABLE {table} SYNC"))?;
    Ok(load)
}
