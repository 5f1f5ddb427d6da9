//! The two tables that all models share: rejected rows and the ledger.

use crds::sql::{BadIdent, TableName};
use crds::tables::{
    ColumnDef, DEDUPLICATION_WINDOW, INGEST_CHUNKS, INGEST_CHUNKS_COLUMNS, REJECTED_ROWS,
    REJECTED_ROWS_COLUMNS,
};

/// The statements that make both tables in `database`, in any order.
pub fn create(database: &str) -> Result<[String; 2], BadIdent> {
    Ok([
        statement(
            &TableName::new(database, INGEST_CHUNKS)?,
            &INGEST_CHUNKS_COLUMNS,
            "ReplacingMergeTree",
            "(job_uid, chunk)",
            "The ledger of batch-on-kafka: one row a chunk",
        ),
        statement(
            &TableName::new(database, REJECTED_ROWS)?,
            &REJECTED_ROWS_COLUMNS,
            "MergeTree",
            "(job_uid, row)",
            "The bad cells of rejected rows (batch-on-kafka)",
        ),
    ])
}

fn statement(name: &TableName, columns: &[ColumnDef], engine: &str, order_by: &str, comment: &str) -> String {
    let lines: Vec<String> = columns.iter().map(|(name, ty)| format!("`{name}` {ty}")).collect();
    format!(
        "CREATE TABLE IF NOT EXISTS {name}\n(\n    {}\n)\nENGINE = {engine}\nORDER BY {order_by}\n\
         SETTINGS non_replicated_deduplication_window = {DEDUPLICATION_WINDOW}\nCOMMENT '{comment}'",
        lines.join(",\n    ")
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::expect;

    #[test]
    fn ledger_and_rejects_remember_insert_tokens() {
        let [ledger, rejects] = create("default").unwrap();
        expect![[r"
            CREATE TABLE IF NOT EXISTS `default`.`ingest_chunks`
            (
                `job_uid` String,
                `job_id` String,
                `model` LowCardinality(String),
                `chunk` UInt32,
                `first_row` UInt64,
                `rows` UInt32,
                `ok` UInt32,
                `errors` UInt32,
                `cells` UInt64,
                `stored` UInt64,
                `summary` Array(Tuple(column String, error String, count UInt64, first_row UInt64, sample String)),
                `revision` LowCardinality(String),
                `worker` LowCardinality(String),
                `done_at` DateTime64(3) DEFAULT now64(3)
            )
            ENGINE = ReplacingMergeTree
            ORDER BY (job_uid, chunk)
            SETTINGS non_replicated_deduplication_window = 10000
            COMMENT 'The ledger of batch-on-kafka: one row a chunk'"]]
        .assert_eq(&ledger);
        assert!(
            rejects.contains("ORDER BY (job_uid, row)\nSETTINGS non_replicated_deduplication_window = 10000"),
            "{rejects}"
        );
    }

    #[test]
    fn a_database_name_that_is_no_name_makes_no_statement() {
        assert!(create("a`; DROP").is_err());
    }
}
