//! `batch job …`.

use std::io::Write;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use crds::state::JobState;
use crds::{IngestJob, ModelId};
use reqwest::StatusCode;
use serde_json::Value;

use super::Outcome;
use crate::args::{CreateArgs, Global, JobCommand, Output};
use crate::client::{Client, Failure};
use crate::output::table::{Widths, print_jobs, print_why, state_of};
use crate::output::{bar, print_value};
use crate::source::Source;
use crate::upload::{Upload, random_name};

/// How many seconds one request waits for the end of a job while its progress is shown.
const SHOWN_EVERY_SECONDS: u32 = 1;
/// The same while nothing is shown. It is less than the idle timeouts of proxies, which are 30 s and more.
const UNSEEN_SECONDS: u32 = 20;
/// The first and the longest pause between two requests if the API answers at once: too many others wait already.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);
/// How long the API may be unavailable while a job is followed.
const UNAVAILABLE_FOR: Duration = Duration::from_mins(1);

pub async fn run(command: JobCommand, global: &Global, out: &mut impl Write) -> Result<Outcome> {
    let client = Client::new(&global.api_url, &global.namespace)?;
    match command {
        JobCommand::Create(args) => create(&client, &args, global.output, out).await,
        JobCommand::List { model } => {
            let list = client.get(&["jobs"]).await?;
            print_list(list, model.as_deref(), global.output.unwrap_or(Output::Table), out)?;
            Ok(Outcome::Done)
        }
        JobCommand::Status { job, watch } => status(&client, &job, watch, global.output, out).await,
        JobCommand::Verify { job } => super::verify::verify(&client, &job, global.output, out).await,
        JobCommand::Rejected { job } => {
            let format = match global.output {
                None | Some(Output::Csv) => "csv",
                Some(Output::Json) => "jsonl",
                Some(_) => bail!("rejected rows are printed as CSV, or with -o json one JSON object a line"),
            };
            rejected(&client, &job, format, out).await?;
            Ok(Outcome::Done)
        }
        JobCommand::Cancel { job } => {
            let _: Value = client.post(&["jobs", &job, "cancel"]).await?;
            writeln!(out, "job {job} cancelled.")?;
            Ok(Outcome::Done)
        }
    }
}

async fn create(
    client: &Client,
    args: &CreateArgs,
    output: Option<Output>,
    out: &mut impl Write,
) -> Result<Outcome> {
    if args.files.len() > 1 && (args.name.is_some() || args.label.is_some()) {
        bail!("--name and --label are of one job: send one file at a time with them");
    }
    // A missing file must be found before the first file is sent.
    let sources = args.files.iter().map(|f| Source::find(f)).collect::<Result<Vec<_>>>()?;
    let mut outcome = Outcome::Done;
    for source in &sources {
        let input = args.input.to_spec(source.format());
        let name = args.name.clone().unwrap_or_else(|| match &args.label {
            // Two uploads with the same label get the same job name, on all machines.
            Some(label) => ModelId::of(client.namespace(), &format!("{}/{label}", args.model)).to_string(),
            None => random_name(),
        });
        let bar = bar::of_upload(&source.name(), source.length);
        let upload = Upload {
            client,
            model: &args.model,
            name: &name,
            label: args.label.as_deref(),
            input: input.as_ref(),
            source,
            bar: &bar,
        };
        let sent = upload.send().await;
        bar.finish_and_clear();
        let mut job = match sent {
            Ok(job) => job,
            // The job was created and is FAILED because of its file. The other files are not affected.
            Err(error) if is_of_the_file(&error) => {
                eprintln!("job {name} failed: {}: {error:#}", source.name());
                outcome = Outcome::NotClean;
                continue;
            }
            Err(error) => return Err(error.context(format!("failed to load {}", source.name()))),
        };
        let for_people = matches!(output, None | Some(Output::Table));
        if for_people {
            writeln!(out, "job {name} created.")?;
            out.flush()?;
        }
        if args.wait {
            job = follow(client, &name, false, |_| Ok(())).await?;
            outcome = worse(outcome, ended(&parse(&job)?));
        }
        match output {
            Some(output) if !for_people => print_one(&job, output, out)?,
            _ if args.wait => print_one(&job, Output::Table, out)?,
            _ => {}
        }
    }
    Ok(outcome)
}

fn is_of_the_file(error: &anyhow::Error) -> bool {
    let failure = error.downcast_ref::<Failure>();
    failure.and_then(Failure::status) == Some(StatusCode::UNPROCESSABLE_ENTITY)
}

async fn status(
    client: &Client,
    name: &str,
    watch: bool,
    output: Option<Output>,
    out: &mut impl Write,
) -> Result<Outcome> {
    let output = output.unwrap_or(Output::Table);
    if !watch {
        print_one(&client.get(&["jobs", name]).await?, output, out)?;
        return Ok(Outcome::Done);
    }
    let mut last = String::new();
    let quiet = output != Output::Table || std::io::IsTerminal::is_terminal(&std::io::stderr());
    let value = follow(client, name, !quiet, |job| {
        let widths = Widths::of([job]);
        let line = widths.line(job);
        // If lines cannot be overwritten, each change is printed as a line. The end is printed below, with the cause.
        if !quiet && line != last && !state_of(job).stops() {
            if last.is_empty() {
                writeln!(out, "{}", widths.headings())?;
            }
            writeln!(out, "{line}")?;
            out.flush()?;
            last = line;
        }
        Ok(())
    })
    .await?;
    let job = parse(&value)?;
    if last.is_empty() {
        print_one(&value, output, out)?;
    } else {
        writeln!(out, "{}", Widths::of([&job]).line(&job))?;
        print_why(&job, out)?;
    }
    Ok(ended(&job))
}

/// Polls a job until it has ended or waits for a person to requeue or drop its dead letters. `seen` is called with
/// each answer. The API may be unavailable for a short time.
async fn follow(
    client: &Client,
    name: &str,
    shows: bool,
    mut seen: impl FnMut(&IngestJob) -> Result<()>,
) -> Result<Value> {
    let line = bar::of_waiting();
    let shows = shows || !line.is_hidden();
    let seconds = if shows { SHOWN_EVERY_SECONDS } else { UNSEEN_SECONDS };
    let mut answered = Instant::now();
    // What is shown is shown at once.
    let mut wait = if shows { 0 } else { seconds };
    let mut pause = FIRST_PAUSE;
    loop {
        let asked = Instant::now();
        let answer: Result<Value, Failure> = client.get_waiting(&["jobs", name], wait).await;
        match answer {
            Ok(value) => {
                answered = Instant::now();
                let job = parse(&value)?;
                seen(&job)?;
                if state_of(&job).stops() {
                    line.finish_and_clear();
                    return Ok(value);
                }
                line.set_message(Widths::of([&job]).line(&job));
            }
            Err(failure) if failure.is_transient() && answered.elapsed() < UNAVAILABLE_FOR => {
                line.set_message(failure.to_string());
            }
            Err(failure) => return Err(failure).with_context(|| format!("failed to follow job {name}")),
        }
        if wait > 0 && asked.elapsed() < pause {
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
        wait = seconds;
    }
}

async fn rejected(client: &Client, name: &str, format: &str, out: &mut impl Write) -> Result<()> {
    let mut url = client.url(&["jobs", name, "rejected"]);
    url.query_pairs_mut().append_pair("format", format);
    let mut answer = client.stream(url).await?;
    let cut_off = || format!("the list of job {name}'s rejected rows broke off; ask for it again");
    while let Some(bytes) = answer.chunk().await.with_context(cut_off)? {
        out.write_all(&bytes)?;
    }
    out.flush()?;
    Ok(())
}

fn print_one(value: &Value, output: Output, out: &mut impl Write) -> Result<()> {
    if matches!(output, Output::Json | Output::Yaml) {
        return print_value(value, output, out);
    }
    let job = parse(value)?;
    print_jobs(std::slice::from_ref(&job), output, out)?;
    if output == Output::Table { print_why(&job, out) } else { Ok(()) }
}

fn print_list(mut list: Value, model: Option<&str>, output: Output, out: &mut impl Write) -> Result<()> {
    let items = list["items"].as_array_mut().context("failed to read the API's answer: it has no items")?;
    items.retain(|item| model.is_none_or(|m| item["spec"]["modelRef"]["name"] == m));
    let text = |value: &Value, key: &str| value["metadata"][key].as_str().unwrap_or_default().to_owned();
    // Times are RFC 3339 in UTC: their text has the same order as the times.
    items.sort_by_cached_key(|item| (text(item, "creationTimestamp"), text(item, "name")));
    if matches!(output, Output::Json | Output::Yaml) {
        return print_value(&list, output, out);
    }
    let jobs = items.iter().map(parse).collect::<Result<Vec<_>>>()?;
    print_jobs(&jobs, output, out)
}

fn parse(value: &Value) -> Result<IngestJob> {
    serde_json::from_value(value.clone())
        .context("failed to read the API's answer as an IngestJob; are API and CLI of one version?")
}

fn ended(job: &IngestJob) -> Outcome {
    if state_of(job) == JobState::Success { Outcome::Done } else { Outcome::NotClean }
}

fn worse(a: Outcome, b: Outcome) -> Outcome {
    if a == Outcome::Done { b } else { a }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn job(name: &str, model: &str, created: &str) -> Value {
        json!({"metadata": {"name": name, "creationTimestamp": created},
               "spec": {"modelRef": {"name": model}, "source": {"upload": {}}}})
    }

    #[test]
    fn a_list_is_sorted_by_age_and_can_be_of_one_model() {
        let list = json!({"items": [
            job("c", "m", "2026-01-02T00:00:00Z"),
            job("b", "other", "2026-01-01T12:00:00Z"),
            job("a", "m", "2026-01-01T00:00:00Z"),
        ]});
        let mut out = Vec::new();
        print_list(list, Some("m"), Output::Csv, &mut out).unwrap();
        let text = String::from_utf8(out).unwrap();
        let names: Vec<&str> = text.lines().skip(1).map(|l| &l[..1]).collect();
        assert_eq!(names, ["a", "c"]);
    }

    #[test]
    fn only_success_has_exit_code_0() {
        for (state, outcome) in [
            ("SUCCESS", Outcome::Done),
            ("PARTIAL_SUCCESS", Outcome::NotClean),
            ("FAILED", Outcome::NotClean),
            ("CANCELLED", Outcome::NotClean),
            ("BLOCKED", Outcome::NotClean),
        ] {
            let mut value = job("a", "m", "");
            value["metadata"] = json!({"name": "a"});
            value["status"] = json!({"state": state});
            assert_eq!(ended(&parse(&value).unwrap()), outcome, "{state}");
        }
    }
}
