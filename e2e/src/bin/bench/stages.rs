//! The cost of the row engine's stages on one thread of this process.

use std::fs::File;
use std::io::Read;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use crate::case::Case;

/// Measures the cost of the row engine's stages on one thread of this process.
pub fn run(case: &Case<'_>, bytes: u64) -> Result<()> {
    let spec: crds::IngestModelSpec = serde_yaml::from_str(&format!("columns:{}", case.columns))?;
    let revision = crds::RevisionData::from(&spec);
    let input = revision.input(None)?;
    let chunk_bytes = case.chunk_bytes.unwrap_or(spec.chunk_bytes) as usize;
    let mut cutter =
        rows_split::Cutter::new(&input, rows_split::Limits::of(&revision.schema()?, chunk_bytes));
    let mut chunks = vec![];
    let mut buffer = vec![0; 1 << 20];
    let mut reader = File::open(&case.file)?;
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
    let header = rows_split::parse_header(&input, cutter.header().context("a header")?)?;
    let plan = Arc::new(rows_check::Plan::bind(
        rows_check::Columns::compile(revision.schema()?)?,
        input,
        Some(&header),
    )?);
    let mut checker = rows_check::Checker::new(plan);
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
        let (row, rate) = (time.as_nanos() as f64 / case.rows as f64, bytes as f64 / time.as_nanos() as f64);
        println!("{stage} | {row:.1} | {rate:.2}");
    }
    println!("{} chunks, {} MB of Native blocks", chunks.len(), native / 1_000_000);
    Ok(())
}
