//! Several jobs at the same time.
#![allow(missing_docs, reason = "a test")]

use std::thread;
use std::time::Duration;

use anyhow::{Context, Result};
use e2e::{Namespace, Target, data};

const ROWS: u64 = 20_000;

#[test]
fn five_jobs_at_once_on_two_models_each_load_their_own_rows() -> Result<()> {
    let target = Target::load()?;
    let ns = Namespace::new(&target, "many")?;
    for model in ["left", "right"] {
        // Small chunks, so that the jobs' chunks mix on every partition.
        ns.apply(&format!(
            "apiVersion: ingest.batch-on-kafka.io/v1alpha1\nkind: IngestModel\nmetadata: {{name: {model}}}\n\
             spec:\n  chunkBytes: 65536\n  columns:{}\n",
            data::NARROW_COLUMNS
        ))?;
    }
    let mut file = vec![];
    let bad = data::narrow_csv(&mut file, ROWS, 100)?;
    let file = ns.file("rows.csv", file)?;

    let jobs = ["left", "right", "left", "right", "left"];
    let created: Vec<Result<String>> = thread::scope(|scope| {
        let start = |model: &'static str| {
            let (target, ns, file) = (&target, &ns, &file);
            scope.spawn(move || -> Result<String> {
                target.model_ready(&ns.name, model)?;
                let output = target.batch(&ns.name, &["job", "create", model, file])?.ok()?;
                Ok(output.split_whitespace().nth(1).context("job … created.")?.to_owned())
            })
        };
        let threads: Vec<_> = jobs.into_iter().map(start).collect();
        threads.into_iter().map(|t| t.join().unwrap_or_else(|_| anyhow::bail!("a thread panicked"))).collect()
    });
    for (model, job) in jobs.into_iter().zip(created) {
        let job = job?;
        let status = target.job_end(&ns.name, &job, Duration::from_secs(120))?;
        let counts = &status["counts"];
        assert_eq!(
            (&counts["total"], &counts["errors"]),
            (&ROWS.into(), &bad.into()),
            "{model}/{job}: {status}"
        );
        let table = target.model_ready(&ns.name, model)?["table"].as_str().context("a table")?.to_owned();
        let uid = target.kubectl(&["get", "-n", &ns.name, "ij", &job, "-o", "jsonpath={.metadata.uid}"])?;
        let stored =
            target.sql(&format!("SELECT count(), uniqExact(_row) FROM {table} WHERE _job = '{uid}'"))?;
        assert_eq!(stored, format!("{0}\t{0}", ROWS - bad), "what the table holds of {job}");
    }
    Ok(())
}
