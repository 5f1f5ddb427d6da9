//! `batch dlq …`: the batches of a model that ClickHouse refused.

use std::io::{self, IsTerminal, Write};

use anyhow::{Context, Result, bail};
use reqwest::Url;
use serde::Deserialize;
use serde_json::{Value, json};

use super::Outcome;
use crate::args::{DlqChoice, DlqCommand, Global, Output};
use crate::client::Client;
use crate::output::print_value;
use crate::output::table::Table;

/// The most batches in one answer: the limit of the API.
const MOST: usize = 1000;

pub async fn run(command: DlqCommand, global: &Global, out: &mut impl Write) -> Result<Outcome> {
    let client = Client::new(&global.api_url, &global.namespace)?;
    let output = global.output.unwrap_or(Output::Table);
    match command {
        DlqCommand::List { model } => {
            let all = DlqChoice { model, job: None, chunk: None };
            let list = client.get_from(url(&client, &all, None)).await?;
            print_list(&list, output, out)?;
        }
        DlqCommand::Show { model, job, chunk } => {
            let of_job = DlqChoice { model, job: Some(job), chunk: None };
            let list = client.get_from(url(&client, &of_job, None)).await?;
            let batch = find(&list, chunk)?.with_context(|| {
                format!(
                    "there is no dead letter with chunk {chunk} of this job; see `batch dlq list {}`",
                    of_job.model
                )
            })?;
            show(batch, output, out)?;
        }
        DlqCommand::Requeue { choice, yes: _ } => {
            let answer: Value = client.post_to(url(&client, &choice, Some("requeue"))).await?;
            print_done(&answer, "requeued", output, out)?;
            return report_missing(&answer);
        }
        DlqCommand::Drop { choice, yes } => {
            if !yes && !confirm_drop(&client, &choice, out).await? {
                bail!("nothing was dropped");
            }
            let answer: Value = client.post_to(url(&client, &choice, Some("drop"))).await?;
            print_done(&answer, "dropped", output, out)?;
        }
    }
    Ok(Outcome::Done)
}

/// Consecutive chunks that were refused together.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct ParkedBatch {
    job: String,
    uid: String,
    first_chunk: u32,
    chunks: u32,
    reason: String,
    message: String,
    time: String,
}

impl ParkedBatch {
    fn has(&self, chunk: u32) -> bool {
        chunk.checked_sub(self.first_chunk).is_some_and(|at| at < self.chunks.max(1))
    }
}

fn items<'a>(answer: &'a Value, field: &str) -> Result<&'a [Value]> {
    let items = answer[field].as_array();
    Ok(items.with_context(|| format!("failed to read the API's answer: it has no {field}"))?)
}

fn parse(item: &Value) -> Result<ParkedBatch> {
    ParkedBatch::deserialize(item)
        .context("failed to read the API's answer as dead letters; are API and CLI of one version?")
}

fn find(list: &Value, chunk: u32) -> Result<Option<&Value>> {
    for item in items(list, "items")? {
        if parse(item)?.has(chunk) {
            return Ok(Some(item));
        }
    }
    Ok(None)
}

fn url(client: &Client, choice: &DlqChoice, action: Option<&str>) -> Url {
    let mut segments = vec!["models", &choice.model, "dead-letters"];
    segments.extend(action);
    let mut url = client.url(&segments);
    if let Some(job) = &choice.job {
        url.query_pairs_mut().append_pair("job", job);
    }
    if let Some(chunk) = choice.chunk {
        url.query_pairs_mut().append_pair("first_chunk", &chunk.to_string());
    }
    url
}

fn print_list(list: &Value, output: Output, out: &mut impl Write) -> Result<()> {
    if matches!(output, Output::Json | Output::Yaml) {
        return print_value(list, output, out);
    }
    let mut table = Table::new(["JOB", "FIRST CHUNK", "CHUNKS", "REASON", "TIME", "MESSAGE"]);
    for item in items(list, "items")? {
        let batch = parse(item)?;
        let (first, chunks) = (batch.first_chunk.to_string(), batch.chunks.to_string());
        table.row([batch.job, first, chunks, batch.reason, batch.time, batch.message]);
    }
    table.print(output, out)
}

fn show(item: &Value, output: Output, out: &mut impl Write) -> Result<()> {
    match output {
        Output::Json | Output::Yaml => return print_value(item, output, out),
        Output::Csv => return print_list(&json!({"items": [item]}), output, out),
        Output::Table => {}
    }
    let batch = parse(item)?;
    writeln!(out, "JOB          {}", batch.job)?;
    writeln!(out, "UID          {}", batch.uid)?;
    writeln!(out, "FIRST CHUNK  {}", batch.first_chunk)?;
    writeln!(out, "CHUNKS       {}", batch.chunks)?;
    writeln!(out, "TIME         {}", batch.time)?;
    writeln!(out, "REASON       {}", batch.reason)?;
    writeln!(out, "MESSAGE      {}", batch.message)?;
    Ok(())
}

/// Prints what was done and to how many batches. As CSV it prints the batches.
fn print_done(answer: &Value, done: &str, output: Output, out: &mut impl Write) -> Result<()> {
    match output {
        Output::Json | Output::Yaml => return print_value(answer, output, out),
        Output::Csv => return print_list(&json!({"items": answer[done]}), output, out),
        Output::Table => {}
    }
    let count = items(answer, done)?.len();
    writeln!(out, "{} {done}.", batches(count))?;
    if count >= MOST {
        eprintln!("one request takes {MOST} batches at most; see whether `batch dlq list` shows more");
    }
    Ok(())
}

/// Reports the batches that could not be sent again.
fn report_missing(answer: &Value) -> Result<Outcome> {
    let missing = answer["gone"].as_array().map_or(&[][..], Vec::as_slice);
    if missing.is_empty() {
        return Ok(Outcome::Done);
    }
    eprintln!(
        "the dead-letter topic no longer has the chunks of {}; drop them, and load their files again:",
        batches(missing.len())
    );
    for item in missing {
        let ParkedBatch { job, first_chunk, chunks, .. } = parse(item)?;
        eprintln!("  job {job}, from chunk {first_chunk}, {chunks} in all");
    }
    Ok(Outcome::NotClean)
}

fn batches(count: usize) -> String {
    format!("{count} {}", if count == 1 { "batch" } else { "batches" })
}

/// Asks a person whether to drop the batches.
async fn confirm_drop(client: &Client, choice: &DlqChoice, out: &mut impl Write) -> Result<bool> {
    if !(io::stdin().is_terminal() && io::stderr().is_terminal()) {
        bail!("this drops batches for good, and there is no terminal to ask on; add --yes");
    }
    let list: Value = client.get_from(url(client, choice, None)).await?;
    if items(&list, "items")?.is_empty() {
        bail!("there are no such dead letters; `batch dlq list {}` shows all", choice.model);
    }
    print_list(&list, Output::Table, out)?;
    out.flush()?;
    eprint!("\nThe rows of these batches are never loaded, and their jobs end FAILED. Drop them? [y/N] ");
    let mut answer = String::new();
    io::stdin().read_line(&mut answer).context("failed to read the answer")?;
    Ok(is_yes(&answer))
}

fn is_yes(answer: &str) -> bool {
    matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes")
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::expect;

    fn list() -> Value {
        json!({"items": [
            {"job": "aa", "uid": "u1", "firstChunk": 0, "chunks": 1, "reason": "ClickHouseRefused",
             "message": "code 252, too many partitions", "time": "2026-01-01T00:00:00Z"},
            {"job": "bb", "uid": "u2", "firstChunk": 4, "chunks": 3, "reason": "ClickHouseRefused",
             "message": "code 16", "time": "2026-01-01T00:00:01Z"},
        ]})
    }

    fn text(print: impl FnOnce(&mut Vec<u8>) -> Result<()>) -> String {
        let mut out = Vec::new();
        print(&mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_list_is_a_table_or_csv() {
        expect![[r"
            JOB  FIRST CHUNK  CHUNKS  REASON             TIME                  MESSAGE
            aa   0            1       ClickHouseRefused  2026-01-01T00:00:00Z  code 252, too many partitions
            bb   4            3       ClickHouseRefused  2026-01-01T00:00:01Z  code 16
        "]]
        .assert_eq(&text(|out| print_list(&list(), Output::Table, out)));
        expect![[r#"
            JOB,FIRST CHUNK,CHUNKS,REASON,TIME,MESSAGE
            aa,0,1,ClickHouseRefused,2026-01-01T00:00:00Z,"code 252, too many partitions"
            bb,4,3,ClickHouseRefused,2026-01-01T00:00:01Z,code 16
        "#]]
        .assert_eq(&text(|out| print_list(&list(), Output::Csv, out)));
    }

    #[test]
    fn a_batch_is_found_by_any_of_its_chunks() {
        let mut list = list();
        list["items"].as_array_mut().unwrap().remove(0);
        for chunk in 4..7 {
            assert_eq!(find(&list, chunk).unwrap().unwrap()["uid"], "u2", "{chunk}");
        }
        for chunk in [0, 3, 7] {
            assert_eq!(find(&list, chunk).unwrap(), None, "{chunk}");
        }
    }

    #[test]
    fn only_y_and_yes_confirm() {
        assert!(is_yes("y\n") && is_yes(" YES "));
        assert!(!is_yes("\n") && !is_yes("") && !is_yes("yep") && !is_yes("n"));
    }
}
