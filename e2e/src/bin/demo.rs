//! The quick start on real parts, from an empty state: each command is printed before it runs, with its output.

use std::io::Write;
use std::time::{Duration, Instant};
use std::{env, fs};

use anyhow::{Context, Result, ensure};
use e2e::{Target, install, wait::until};
use serde_json::Value;

/// The namespace of the demo's objects.
const NAMESPACE: &str = "default";

fn main() -> Result<()> {
    let start = Instant::now();
    step("1. The parts: Kubernetes, Kafka, ClickHouse");
    if env::var_os("BATCH_E2E_KUBECONFIG").is_none() {
        stack::Stack::from_env().up(&stack::Progress::new())?;
    }
    let mut target = Target::load()?;
    target.shell.echo = true;

    step("2. The programs, their image, and the chart");
    install::build(&target)?;
    let image = install::image(&target)?;
    install::helm(&target, &image)?;

    let demo = Demo::new(target)?;
    demo.clean()?;
    demo.model()?;
    demo.good_file()?;
    demo.bad_file()?;
    demo.inline_job()?;
    demo.back_to_zero()?;
    demo.overview()?;
    demo.latency()?;
    demo.farewell(start);
    Ok(())
}

struct Demo {
    /// Runs commands and prints them.
    target: Target,
    /// Runs commands without printing them.
    quiet: Target,
    /// The folder with the examples of the repository.
    examples: String,
}

impl Demo {
    fn new(mut target: Target) -> Result<Self> {
        let url = target.api_url()?;
        target.shell.env.push(("BATCH_API_URL".into(), url));
        let quiet = target.quiet();
        let examples = e2e::target::workspace().join("docs/examples").to_string_lossy().into_owned();
        Ok(Self { target, quiet, examples })
    }

    /// Deletes the objects of an earlier demo, so that the counts below belong to this run.
    fn clean(&self) -> Result<()> {
        let table = self
            .quiet
            .get(&["ingestmodel", "purchases"])?
            .and_then(|m| Some(m["status"]["table"].as_str()?.to_owned()));
        self.quiet.kubectl(&["delete", "ingestjobs,ingestmodels", "--all", "-n", NAMESPACE])?;
        if let Some(table) = table {
            self.quiet.sql(&format!("TRUNCATE TABLE IF EXISTS {table}"))?;
        }
        Ok(())
    }

    fn model(&self) -> Result<()> {
        step("3. A model: schema, table, topic, workers");
        let file = format!("{}/model.yaml", self.examples);
        println!("{}", fs::read_to_string(&file)?);
        self.target.kubectl(&["apply", "-f", &file])?;
        self.target.kubectl(&["wait", "--for=condition=Ready", "ingestmodel/purchases", "--timeout=60s"])?;
        ensure!(self.replicas()? == 0, "a model with nothing to do has no worker");
        println!("workers: 0");
        Ok(())
    }

    fn good_file(&self) -> Result<()> {
        step("4. A good file");
        let status = self.load("data.csv")?;
        ensure!(
            status["state"] == "SUCCESS" && status["counts"]["ok"] == 2,
            "expected SUCCESS 2 2 0, got {status}"
        );
        println!("workers: {} (from 0)", self.replicas()?);
        let table = self.quiet.get(&["ingestmodel", "purchases"])?.context("the model is there")?;
        self.curl(&format!("SELECT * FROM {}", table["status"]["table"].as_str().unwrap_or_default()))
    }

    fn bad_file(&self) -> Result<()> {
        step("5. A file with bad cells");
        let status = self.load("bad.csv")?;
        ensure!(status["state"] == "PARTIAL_SUCCESS", "expected PARTIAL_SUCCESS, got {status}");
        let job = self.last_job()?;
        self.target.shell.run("batch", &["job", "rejected", &job])?.ok()?;
        self.curl(&format!(
            "SELECT row, column, error, observed FROM rejected_rows WHERE job_id='{job}' ORDER BY row"
        ))
    }

    fn inline_job(&self) -> Result<()> {
        step("6. kubectl alone: the rows are in the job");
        let file = format!("{}/job-inline.yaml", self.examples);
        println!("{}", fs::read_to_string(&file)?);
        self.target.kubectl(&["apply", "-f", &file])?;
        self.target.kubectl(&[
            "wait",
            "--for=condition=Complete",
            "ingestjob/by-kubectl",
            "--timeout=60s",
        ])?;
        Ok(())
    }

    fn back_to_zero(&self) -> Result<()> {
        step("7. Nothing to do: the workers go away");
        println!("waiting for the cooldown of the model ...");
        until("the workers to go back to 0", Duration::from_secs(120), || {
            Ok((self.replicas()? == 0).then_some(()))
        })?;
        self.target.kubectl(&["get", "deployments", "-n", NAMESPACE])?;
        Ok(())
    }

    fn overview(&self) -> Result<()> {
        step("8. Overview");
        self.target.kubectl(&["get", "ingestmodels,ingestjobs", "-n", NAMESPACE])?;
        Ok(())
    }

    fn latency(&self) -> Result<()> {
        step("9. How long two rows take");
        let cold = self.timed_load()?;
        let warm = self.timed_load()?;
        println!("from no worker:     {:.2} s from upload to SUCCESS", cold.as_secs_f64());
        println!("with a warm worker: {:.2} s from upload to SUCCESS", warm.as_secs_f64());
        Ok(())
    }

    fn farewell(&self, start: Instant) {
        let kubeconfig = self.target.shell.env.iter().find(|(k, _)| k == "KUBECONFIG").map_or("", |(_, v)| v);
        let url = self.target.shell.env.iter().find(|(k, _)| k == "BATCH_API_URL").map_or("", |(_, v)| v);
        println!("\nDone in {} s. The stack stays up:", start.elapsed().as_secs());
        println!(
            "  export KUBECONFIG={kubeconfig}\n  export BATCH_API_URL={url}\n  export PATH=$PATH:{}",
            self.target.shell.path.iter().map(|p| p.to_string_lossy()).collect::<Vec<_>>().join(":")
        );
        println!("Stop it with `make stack-down`.");
    }

    /// Creates a job of an example with `batch`, follows it to its end, and shows its status.
    fn load(&self, file: &str) -> Result<Value> {
        let path = format!("{}/{file}", self.examples);
        println!("{}", fs::read_to_string(&path)?);
        self.target.shell.run("batch", &["job", "create", "purchases", &path])?.ok()?;
        let job = self.last_job()?;
        let status = self.quiet.job_end(NAMESPACE, &job, Duration::from_secs(60))?;
        self.target.shell.run("batch", &["job", "status", &job])?;
        Ok(status)
    }

    fn timed_load(&self) -> Result<Duration> {
        let path = format!("{}/data.csv", self.examples);
        let start = Instant::now();
        let output = self.quiet.shell.run("batch", &["job", "create", "purchases", &path, "--wait"])?;
        let took = start.elapsed();
        output.ok()?;
        Ok(took)
    }

    fn last_job(&self) -> Result<String> {
        let list = self.quiet.kubectl(&[
            "get",
            "ingestjobs",
            "-n",
            NAMESPACE,
            "--sort-by=.metadata.creationTimestamp",
            "-o",
            "name",
        ])?;
        let newest = list.lines().last().context("there is a job")?;
        Ok(newest.rsplit('/').next().unwrap_or(newest).to_owned())
    }

    fn replicas(&self) -> Result<u64> {
        let list = self.quiet.list(&[
            "deployments",
            "-n",
            NAMESPACE,
            "-l",
            "app.kubernetes.io/name=batch-worker",
        ])?;
        Ok(list.iter().filter_map(|d| d["spec"]["replicas"].as_u64()).sum())
    }

    fn curl(&self, query: &str) -> Result<()> {
        let target = &self.target;
        let url = format!("http://{}:{}/", target.parts.clickhouse_host, target.parts.clickhouse_http_port);
        let user = format!("{}:{}", target.parts.clickhouse_user, target.parts.clickhouse_password);
        target.shell.run("curl", &["-sS", "--user", &user, &url, "--data", query])?.ok().map(drop)
    }
}

fn step(title: &str) {
    println!("\n== {title}");
    let _ = std::io::stdout().flush();
}
