//! Rows per second from upload to visible, compared with ClickHouse's own CSV load of the same file in the same run,
//! with the CPU seconds and the memory of each part. The machine is shared and noisy: compare the ratios.

mod case;
mod jobs;
mod kafka_engine;
mod measure;
mod stages;

use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use anyhow::{Result, ensure};
use clap::Parser;
use e2e::{Namespace, Target, data};

use crate::case::Case;

/// Measures the complete path and its stages on the local stack
#[derive(Parser)]
struct Args {
    /// Rows of the three-column file; 0: none
    #[arg(long, default_value_t = 10_000_000)]
    narrow_rows: u64,
    /// Rows of the twenty-column file; 0: none
    #[arg(long, default_value_t = 1_000_000)]
    wide_rows: u64,
    /// Bytes of a chunk; default: the model's default
    #[arg(long)]
    chunk_bytes: Option<u32>,
    /// How many times each load runs; the best one counts
    #[arg(long, default_value_t = 3)]
    runs: usize,
    /// Also load the same chunks with ClickHouse's Kafka table engine; takes minutes
    #[arg(long)]
    kafka_engine: bool,
    /// Sizes of uploads in MiB, for the cost of a row by size
    #[arg(long, value_delimiter = ',')]
    sizes_mib: Vec<u64>,
    /// Numbers of workers, for the cost of a row by workers
    #[arg(long, value_delimiter = ',')]
    workers: Vec<u32>,
    /// Number of jobs of two rows, one after the other and many at the same time; 0: none
    #[arg(long, default_value_t = 0)]
    jobs: u32,
}

fn main() -> Result<()> {
    let args = Args::parse();
    let target = Target::load()?;
    ensure!(target.parts.local, "the bench reads the parts' processes: it runs on the local stack only");
    let ns = Namespace::new(&target, "bench")?;
    let dir = std::env::temp_dir().join(&ns.name);
    fs::create_dir_all(&dir)?;
    let case = |name, columns, file, rows| Case {
        target: &target,
        ns: &ns.name,
        name,
        columns,
        file,
        rows,
        chunk_bytes: args.chunk_bytes,
        workers: 1,
        kafka_engine: args.kafka_engine,
    };
    if args.narrow_rows > 0 {
        let file = narrow(&dir, args.narrow_rows)?;
        case("narrow", data::NARROW_COLUMNS, file, args.narrow_rows).beside_clickhouse(args.runs)?;
    }
    if args.wide_rows > 0 {
        let file = written(&dir, "wide.csv", |out| data::wide_csv(out, args.wide_rows))?;
        case("wide", data::WIDE_COLUMNS, file, args.wide_rows).beside_clickhouse(args.runs)?;
    }
    if !args.sizes_mib.is_empty() || !args.workers.is_empty() {
        println!("\n## By size and by workers: three columns\n");
        measure::header();
        for mib in &args.sizes_mib {
            let rows = rows_of(*mib);
            case("sizes", data::NARROW_COLUMNS, narrow(&dir, rows)?, rows).once(&format!("{mib} MiB"))?;
        }
        for workers in &args.workers {
            let rows = rows_of(1024);
            let mut case = case("workers", data::NARROW_COLUMNS, narrow(&dir, rows)?, rows);
            case.workers = *workers;
            case.once(&format!("1024 MiB, {workers} workers"))?;
        }
    }
    if args.jobs > 0 {
        jobs::run(&target, &ns, args.jobs)?;
    }
    Ok(())
}

/// Returns the rows of three columns that have `mib` MiB: about 27 bytes each.
fn rows_of(mib: u64) -> u64 {
    mib * 1024 * 1024 / 27
}

fn narrow(dir: &Path, rows: u64) -> Result<PathBuf> {
    written(dir, "narrow.csv", |out| data::narrow_csv(out, rows, 0).map(drop))
}

fn written(
    dir: &Path,
    name: &str,
    write: impl FnOnce(&mut BufWriter<File>) -> std::io::Result<()>,
) -> Result<PathBuf> {
    let file = dir.join(name);
    let mut out = BufWriter::new(File::create(&file)?);
    write(&mut out)?;
    out.flush()?;
    Ok(file)
}
