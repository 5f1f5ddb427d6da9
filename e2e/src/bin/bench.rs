//! Rows a second from upload to visible, beside ClickHouse's own CSV load of the same file in the same run, with the CPU
//! seconds and the memory of each part. The machine is shared and noisy: read the ratios.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{BufWriter, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use clap::Parser;
use e2e::processes::{Usage, forget_peaks, usage};
use e2e::{Namespace, Target, data};

/// Measures the whole path and its stages on the local stack
#[derive(Parser)]
struct Args {
    /// Rows of the three-column file
    #[arg(long, default_value_t = 10_000_000)]
    narrow_rows: u64,
    /// Rows of the twenty-column file
    #[arg(long, default_value_t = 1_000_000)]
    wide_rows: u64,
    /// Bytes of a chunk; default: the model's default
    #[arg(long)]
    chunk_bytes: Option<u32>,
    /// Times each load is done; the best one counts
    #[arg(long, default_value_t = 3)]
    runs: usize,
    /// MiB of one more upload, for the memory of API and worker; 0: none
    #[arg(long, default_value_t = 2048)]
    big_mib: u64,
}

fn main() -> Result<()> {
    let args = Args::parse();
    let target = Target::load()?;
    ensure!(target.parts.local, "the bench reads the parts' processes: it runs on the local stack only");
    let ns = Namespace::new(&target, "bench")?;
    let dir = std::env::temp_dir().join(&ns.name);
    fs::create_dir_all(&dir)?;
    for (name, columns, rows) in
        [("narrow", data::NARROW_COLUMNS, args.narrow_rows), ("wide", data::WIDE_COLUMNS, args.wide_rows)]
    {
        if rows == 0 {
            continue;
        }
        let file = dir.join(format!("{name}.csv"));
        let mut out = BufWriter::new(File::create(&file)?);
        match name {
            "narrow" => data::narrow_csv(&mut out, rows, 0).map(drop)?,
            _ => data::wide_csv(&mut out, rows)?,
        }
        out.flush()?;
        Case {
            target: &target,
            ns: &ns.name,
            name,
            columns,
            file: &file,
            rows,
            chunk_bytes: args.chunk_bytes,
        }
        .run(args.runs)?;
    }
    if args.big_mib > 0 {
        big_upload(&target, &ns.name, &dir, &args)?;
    }
    Ok(())
}

struct Case<'a> {
    target: &'a Target,
    ns: &'a str,
    name: &'a str,
    columns: &'a str,
    file: &'a Path,
    rows: u64,
    chunk_bytes: Option<u32>,
}

/// One load: how long, and what each part used meanwhile.
struct Load {
    wall: Duration,
    parts: BTreeMap<&'static str, Usage>,
}

impl Case<'_> {
    fn run(&self, runs: usize) -> Result<()> {
        let bytes = fs::metadata(self.file)?.len();
        println!("\n## {}: {} rows, {} MB\n", self.name, self.rows, bytes / 1_000_000);
        self.apply_model()?;
        // In turns, so that both meet the same neighbours.
        let mut direct: Option<Load> = None;
        let mut ours: Option<Load> = None;
        for _ in 0..runs {
            direct = Some(best(direct, self.clickhouse_alone()?));
            ours = Some(best(ours, self.through_us()?));
        }
        let (direct, ours) = (direct.context("a run")?, ours.context("a run")?);
        println!(
            "| | s | Mrows/s | MB/s | CPU s | CPU s of each part | peak MiB of each part |\n|---|---|---|---|---|---|---|"
        );
        self.line("ClickHouse's own CSV load", bytes, &direct);
        self.line("batch job create, upload to visible", bytes, &ours);
        println!(
            "\ntime: {:.2}x of ClickHouse's own load; CPU: {:.2}x\n",
            ours.wall.as_secs_f64() / direct.wall.as_secs_f64(),
            total(&ours) / total(&direct)
        );
        self.stages(bytes)
    }

    fn line(&self, what: &str, bytes: u64, load: &Load) {
        let seconds = load.wall.as_secs_f64();
        let each = |f: &dyn Fn(&Usage) -> String| {
            let shown: Vec<String> = load.parts.iter().map(|(part, u)| format!("{part} {}", f(u))).collect();
            shown.join(", ")
        };
        #[allow(clippy::cast_precision_loss, reason = "shown with two digits")]
        let (rows, mb) = (self.rows as f64 / 1e6 / seconds, bytes as f64 / 1e6 / seconds);
        println!(
            "| {what} | {seconds:.2} | {rows:.2} | {mb:.0} | {:.2} | {} | {} |",
            total(load),
            each(&|u| format!("{:.2}", u.cpu)),
            each(&|u| format!("{:.0}", u.peak_mib)),
        );
    }

    /// The same table, filled by ClickHouse's own reader over HTTP.
    fn clickhouse_alone(&self) -> Result<Load> {
        let ours = self.table()?;
        let table = format!("bench_{}", self.name);
        self.target.sql(&format!("DROP TABLE IF EXISTS {table} SYNC"))?;
        let types = self.target.sql(&format!(
            "SELECT arrayStringConcat(groupArray(name || ' ' || type), ', ') FROM (SELECT name, type FROM system.columns \
             WHERE database || '.' || table = '{ours}' AND default_kind NOT IN ('MATERIALIZED', 'EPHEMERAL') ORDER BY position) FORMAT TSVRaw"
        ))?;
        let key = self.target.sql(&format!(
            "SELECT sorting_key FROM system.tables WHERE database || '.' || name = '{ours}'"
        ))?;
        self.target.sql(&format!("CREATE TABLE {table} ({types}) ENGINE = MergeTree ORDER BY ({key})"))?;
        let load = measured(&["clickhouse"], || {
            self.target.sql_load(&format!("INSERT INTO {table} FORMAT CSVWithNames"), self.file)
        })?;
        let count = self.target.sql(&format!("SELECT count() FROM {table}"))?;
        ensure!(count == self.rows.to_string(), "ClickHouse loaded {count} rows");
        self.target.sql(&format!("DROP TABLE {table} SYNC"))?;
        Ok(load)
    }

    /// A job, from the start of its upload until its last row is visible and counted.
    fn through_us(&self) -> Result<Load> {
        let table = self.table()?;
        self.target.sql(&format!("TRUNCATE TABLE {table} SYNC"))?;
        let file = self.file.to_string_lossy().into_owned();
        let parts = ["ingest-api", "worker", "operator", "kafka", "clickhouse"];
        let load = measured(&parts, || {
            let output = self.target.batch(self.ns, &["job", "create", self.name, &file, "--wait"])?;
            output.ok().map(drop)
        })?;
        let count = self.target.sql(&format!("SELECT count() FROM {table}"))?;
        ensure!(count == self.rows.to_string(), "we loaded {count} rows");
        Ok(load)
    }

    fn apply_model(&self) -> Result<()> {
        let chunks = self.chunk_bytes.map_or(String::new(), |n| format!("chunkBytes: {n}\n  "));
        let yaml = format!(
            "apiVersion: ingest.batch-on-kafka.io/v1alpha1\nkind: IngestModel\nmetadata: {{name: {}}}\nspec:\n  {chunks}\
             workers: {{min: 1, max: 1}}\n  columns:{}\n",
            self.name, self.columns
        );
        self.target.apply(self.ns, &yaml)?.ok()?;
        self.target.model_ready(self.ns, self.name)?;
        let selector = format!("ingest.batch-on-kafka.io/model={}", self.name);
        self.target.kubectl(&[
            "wait",
            "-n",
            self.ns,
            "--for=condition=Available",
            "deployment",
            "-l",
            &selector,
            "--timeout=60s",
        ])?;
        Ok(())
    }

    fn table(&self) -> Result<String> {
        let status = self.target.model_ready(self.ns, self.name)?;
        Ok(status["table"].as_str().context("a table")?.to_owned())
    }

    /// What the row engine's stages cost on one thread of this process.
    fn stages(&self, bytes: u64) -> Result<()> {
        let spec: crds::IngestModelSpec = serde_yaml::from_str(&format!("columns:{}", self.columns))?;
        let revision = crds::RevisionData::from(&spec);
        let input = revision.input(None)?;
        let chunk_bytes = self.chunk_bytes.unwrap_or(spec.chunk_bytes) as usize;
        let mut cutter = rows::Cutter::new(&input, rows::Limits::of(&revision.schema()?, chunk_bytes));
        let mut chunks = vec![];
        let mut buffer = vec![0; 1 << 20];
        let mut reader = File::open(self.file)?;
        let mut cutting = Duration::ZERO;
        loop {
            let n = reader.read(&mut buffer)?;
            let start = Instant::now();
            if n == 0 {
                cutter.finish()?;
                while let Some(chunk) = cutter.next_chunk() {
                    chunks.push(chunk);
                }
                cutting += start.elapsed();
                break;
            }
            cutter.push(&buffer[..n])?;
            while let Some(chunk) = cutter.next_chunk() {
                chunks.push(chunk);
            }
            cutting += start.elapsed();
        }
        let header = rows::parse_header(&input, cutter.header().context("a header")?)?;
        let plan = Arc::new(rows::Plan::bind(revision.schema()?, input, Some(&header))?);
        let mut checker = rows::Checker::new(plan);
        let start = Instant::now();
        let mut native = 0;
        for chunk in &chunks {
            native += checker
                .check(&chunk.bytes, chunk.first_row, "00000000-0000-0000-0000-000000000000")
                .block_parts()
                .map(<[u8]>::len)
                .sum::<usize>();
        }
        let checking = start.elapsed();
        println!("stage, one thread | ns/row | GB/s\n---|---|---");
        for (stage, time) in [("cut (API)", cutting), ("check and encode (worker)", checking)] {
            #[allow(clippy::cast_precision_loss, reason = "shown with two digits")]
            let (row, rate) =
                (time.as_nanos() as f64 / self.rows as f64, bytes as f64 / time.as_nanos() as f64);
            println!("{stage} | {row:.1} | {rate:.2}");
        }
        println!("{} chunks, {} MB of Native blocks", chunks.len(), native / 1_000_000);
        Ok(())
    }
}

/// One upload of many MiB: what memory API and worker need for it.
fn big_upload(target: &Target, ns: &str, dir: &Path, args: &Args) -> Result<()> {
    let mib = args.big_mib;
    println!("\n## One upload of {mib} MiB\n");
    let file: PathBuf = dir.join("big.csv");
    let mut out = BufWriter::new(File::create(&file)?);
    // About 27 bytes a row.
    let rows = mib * 1024 * 1024 / 27;
    data::narrow_csv(&mut out, rows, 0)?;
    out.flush()?;
    let columns = data::NARROW_COLUMNS;
    let case = Case { target, ns, name: "narrow", columns, file: &file, rows, chunk_bytes: args.chunk_bytes };
    case.apply_model()?;
    let load = case.through_us()?;
    println!("{:.1} s, {} MB", load.wall.as_secs_f64(), fs::metadata(&file)?.len() / 1_000_000);
    for part in ["ingest-api", "worker", "operator"] {
        println!("peak memory of {part}: {:.0} MiB", load.parts.get(part).map_or(0.0, |u| u.peak_mib));
    }
    fs::remove_file(&file)?;
    Ok(())
}

/// Runs `work` and tells what the named parts used meanwhile.
fn measured(parts: &[&'static str], work: impl FnOnce() -> Result<()>) -> Result<Load> {
    forget_peaks()?;
    let before = usage()?;
    let start = Instant::now();
    work()?;
    let wall = start.elapsed();
    let mut after = usage()?;
    after.retain(|part, _| parts.contains(part));
    for (part, used) in &mut after {
        used.cpu -= before.get(part).map_or(0.0, |b| b.cpu);
    }
    Ok(Load { wall, parts: after })
}

fn best(old: Option<Load>, new: Load) -> Load {
    match old {
        Some(old) if old.wall <= new.wall => old,
        _ => new,
    }
}

fn total(load: &Load) -> f64 {
    load.parts.values().map(|u| u.cpu).sum()
}
