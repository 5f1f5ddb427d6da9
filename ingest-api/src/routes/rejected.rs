//! The route of the rejected rows of a job, streamed from ClickHouse.

use std::fmt::Write as _;

use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use clickhouse::Row;
use clickhouse::query::RowCursor;
use crds::TableName;
use futures::stream;
use kube::ResourceExt;
use serde::{Deserialize, Serialize};

use crate::clickhouse::unavailable;
use crate::error::{ApiError, ErrorBody};
use crate::routes::{InNamespace, MaybeQuery, names, query};
use crate::state::Shared;

/// The first line of the CSV.
const HEADER: &str = "ROW,EVENT_ID,COLUMN,TYPE,ERROR,OBSERVED,MESSAGE\n";
/// How many bytes of text are sent at once.
const PIECE: usize = 32 * 1024;

/// How the rows are written.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct How {
    /// `csv` (default) or `jsonl`
    #[param(value_type = Option<String>)]
    #[serde(default)]
    format: Format,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Format {
    #[default]
    Csv,
    Jsonl,
}

/// One bad cell.
#[derive(Clone, Debug, PartialEq, Eq, Row, Serialize, Deserialize)]
struct RejectedCell {
    row: u64,
    event_id: String,
    column: String,
    r#type: String,
    error: String,
    observed: String,
    message: String,
}

/// Why rows of a job were rejected: one line for each bad cell, in the order of the file
#[utoipa::path(get, path = "/v1/namespaces/{ns}/jobs/{job}/rejected", tag = "jobs",
    params(("ns" = String, Path, description = "The namespace"), ("job" = String, Path, description = "Its name"), How),
    responses((status = 200, description = "ROW,EVENT_ID,COLUMN,TYPE,ERROR,OBSERVED,MESSAGE", content_type = "text/csv", body = String),
        (status = 404, body = ErrorBody, description = "JobNotFound"),
        (status = 503, body = ErrorBody, description = "ClickHouseUnavailable")))]
pub async fn rejected(
    State(app): State<Shared>,
    path: InNamespace,
    how: MaybeQuery<How>,
) -> Result<Response, ApiError> {
    let ((namespace, job), How { format }) = (names(path)?, query(how)?);
    let uid = app.job(&namespace, &job).await?.uid().unwrap_or_default();
    let mut cells = app
        .tables
        .client
        .query(&statement(&app.tables.rejected_rows))
        .param("uid", uid)
        .fetch::<RejectedCell>()
        .map_err(unavailable)?;
    // The first row is awaited here: an error after it can only interrupt the answer.
    let mut text = if format == Format::Csv { HEADER.to_owned() } else { String::new() };
    let more = match cells.next().await.map_err(unavailable)? {
        Some(cell) => {
            write(&mut text, format, &cell);
            true
        }
        None => false,
    };
    let rest = stream::try_unfold((cells, more), move |state| next_piece(state, format));
    let body = Body::from_stream(futures::StreamExt::chain(stream::iter([Ok(Bytes::from(text))]), rest));
    let kind = if format == Format::Csv { "text/csv; charset=utf-8" } else { "application/x-ndjson" };
    Ok(([(header::CONTENT_TYPE, kind)], body).into_response())
}

fn statement(table: &TableName) -> String {
    format!(
        "SELECT row, event_id, toString(column) AS column, toString(type) AS type, toString(error) AS error, observed, message \
         FROM {table} WHERE job_uid = {{uid:String}} ORDER BY row, chunk, column"
    )
}

type Cells = (RowCursor<RejectedCell>, bool);

async fn next_piece(
    (mut cells, mut more): Cells,
    format: Format,
) -> Result<Option<(Bytes, Cells)>, clickhouse::error::Error> {
    let mut text = String::new();
    while more && text.len() < PIECE {
        match cells.next().await? {
            Some(cell) => write(&mut text, format, &cell),
            None => more = false,
        }
    }
    Ok((!text.is_empty()).then(|| (Bytes::from(text), (cells, more))))
}

fn write(out: &mut String, format: Format, cell: &RejectedCell) {
    match format {
        Format::Jsonl => out.push_str(&serde_json::to_string(cell).unwrap_or_default()),
        Format::Csv => {
            let _ = write!(out, "{}", cell.row);
            for field in [&cell.event_id, &cell.column, &cell.r#type, &cell.error, &cell.observed] {
                out.push(',');
                if field.contains([',', '"', '\n', '\r']) { quoted(out, field) } else { out.push_str(field) }
            }
            out.push(',');
            quoted(out, &cell.message);
        }
    }
    out.push('\n');
}

/// Writes a field in quotes, as RFC 4180 specifies.
fn quoted(out: &mut String, field: &str) {
    out.push('"');
    out.push_str(&field.replace('"', "\"\""));
    out.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cell() -> RejectedCell {
        RejectedCell {
            row: 1,
            event_id: "1001abcd".into(),
            column: "timestamp".into(),
            r#type: "UInt32".into(),
            error: "MISSING_COLUMN".into(),
            observed: String::new(),
            message: "The required column 'timestamp' is missing".into(),
        }
    }

    fn written(format: Format, cell: &RejectedCell) -> String {
        let mut out = String::new();
        write(&mut out, format, cell);
        out
    }

    #[test]
    fn a_message_is_always_quoted_and_other_fields_only_where_they_must_be() {
        assert_eq!(
            written(Format::Csv, &cell()),
            "1,1001abcd,timestamp,UInt32,MISSING_COLUMN,,\"The required column 'timestamp' is missing\"\n"
        );
        let truncated = RejectedCell {
            event_id: "a,\"b\"\nc".into(),
            observed: "x y".into(),
            message: "not \"1\"".into(),
            ..cell()
        };
        assert_eq!(
            written(Format::Csv, &truncated),
            "1,\"a,\"\"b\"\"\nc\",timestamp,UInt32,MISSING_COLUMN,x y,\"not \"\"1\"\"\"\n"
        );
    }

    #[test]
    fn as_json_lines_each_cell_is_an_object_on_a_line() {
        let line = written(Format::Jsonl, &cell());
        assert!(
            line.starts_with(r#"{"row":1,"event_id":"1001abcd","column":"timestamp","type":"UInt32","#),
            "{line}"
        );
        assert_eq!(line.matches('\n').count(), 1);
    }

    #[test]
    fn the_job_is_a_parameter_of_the_query_and_never_part_of_its_text() {
        let statement = statement(&TableName::new("default", "rejected_rows").unwrap());
        assert!(
            statement.contains("FROM `default`.`rejected_rows` WHERE job_uid = {uid:String}"),
            "{statement}"
        );
    }
}
