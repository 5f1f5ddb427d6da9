//! The part of `make bench-rows` that runs the row engine. It makes the files, reports their columns, and loads them as
//! `batch validate` does: on one thread, to blocks and rejects that are dropped.
//!
//! `engine schema narrow|wide`, `engine make narrow|wide CSV|JSONLines BAD MB FILE` (BAD: how many of 1000 typed cells
//! are bad), `engine load narrow|wide CSV|JSONLines FILE [--portable] [--stages]`.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a bench that cannot go on may stop")]

#[path = "../data/mod.rs"]
mod data;

use std::fs::File;
use std::io::{BufWriter, Read, Write};
use std::sync::Arc;
use std::time::Duration;

use rows_check::{Checker, Plan};
use rows_split::{Chunk, Cutter, Limits, parse_header};
use rows_types::{Column, Format, Input, LOCAL_CHUNK_BYTES, Schema, Type};
use rustix::time::{ClockId, clock_gettime};

type Columns = &'static [(&'static str, &'static str)];

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    match args.as_slice() {
        ["schema", shape] => println!("{}", serde_json::to_string(columns(shape)).unwrap()),
        ["make", shape, format, bad, mb, file] => {
            make(columns(shape), parse_format(format), bad.parse().unwrap(), mb.parse().unwrap(), file);
        }
        ["load", shape, format, file, flags @ ..] => {
            let load = Load {
                columns: columns(shape),
                input: Input { format: parse_format(format), ..Input::default() },
                portable: flags.contains(&"--portable"),
                stages: flags.contains(&"--stages"),
            };
            println!("{}", load.run(file));
        }
        _ => panic!(
            "schema SHAPE | make SHAPE FORMAT BAD MB FILE | load SHAPE FORMAT FILE [--portable] [--stages]"
        ),
    }
}

fn columns(shape: &str) -> Columns {
    if shape == "narrow" { data::NARROW } else { data::WIDE }
}

fn parse_format(name: &str) -> Format {
    serde_json::from_value(name.into()).unwrap()
}

fn make(columns: Columns, format: Format, bad: u64, mb: usize, file: &str) {
    // in large writes, as most programs write files: a file of small writes is read at half the speed by every tool
    let mut out = BufWriter::with_capacity(1 << 20, File::create(file).unwrap());
    let mut numbers = data::Numbers(7);
    let mut record = Vec::new();
    let json = format == Format::JsonLines;
    if !json {
        let names: Vec<&str> = columns.iter().map(|c| c.0).collect();
        writeln!(out, "{}", names.join(",")).unwrap();
    }
    let mut written = 0;
    while written < mb * 1_000_000 {
        record.clear();
        if json {
            data::json_record(&mut record, &mut numbers, columns, bad);
        } else {
            data::csv_record(&mut record, &mut numbers, columns, bad);
        }
        out.write_all(&record).unwrap();
        written += record.len();
    }
    out.flush().unwrap();
}

struct Load {
    columns: Columns,
    input: Input,
    portable: bool,
    /// Whether to measure LZ4 too, which is not part of the load itself.
    stages: bool,
}

/// CPU seconds of each stage, and counts of the results.
#[derive(Default)]
struct Sums {
    read: f64,
    cut: f64,
    check: f64,
    tell: f64,
    lz4: f64,
    block_bytes: u64,
    rows: u64,
    ok: u64,
    rejects: u64,
    told_bytes: u64,
}

/// CPU seconds of this thread.
fn cpu() -> f64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::try_from(time).unwrap().as_secs_f64()
}

impl Load {
    fn run(&self, file: &str) -> String {
        let every = Cutter::on_every_level(&self.input, Limits::plain(LOCAL_CHUNK_BYTES));
        let mut cutter = self.level(every);
        let mut checker = None;
        let mut packed = Vec::new();
        let mut sums = Sums::default();
        let mut file = File::open(file).unwrap();
        let mut chunks = Vec::new();
        let mut more = true;
        while more {
            let start = cpu();
            let n = file.read(cutter.spare_memory()).unwrap();
            more = n > 0;
            let read = cpu();
            let taken = if more { cutter.filled(n) } else { cutter.finish() };
            taken.unwrap();
            chunks.extend(std::iter::from_fn(|| cutter.next_chunk()));
            sums.read += read - start;
            sums.cut += cpu() - read;
            for chunk in chunks.drain(..) {
                let checker = checker.get_or_insert_with(|| self.checker(cutter.header()));
                self.check(checker, &chunk, &mut packed, &mut sums);
                cutter.recycle(chunk.bytes);
            }
        }
        sums.show()
    }

    /// The portable one of `every`, or the one for this CPU.
    fn level<T>(&self, mut every: Vec<T>) -> T {
        if self.portable { every.swap_remove(0) } else { every.pop().unwrap() }
    }

    fn checker(&self, header: Option<&[u8]>) -> Checker {
        let columns = self.columns.iter().map(|(name, ty)| Column::new(*name, Type::parse(ty).unwrap()));
        let schema = Schema::new(columns.collect(), None).unwrap();
        let header = header.map(|record| parse_header(&self.input, record).unwrap());
        let plan =
            Plan::bind(rows_check::Columns::compile(schema).unwrap(), self.input.clone(), header.as_deref())
                .unwrap();
        self.level(Checker::on_every_level(&Arc::new(plan)))
    }

    fn check(&self, checker: &mut Checker, chunk: &Chunk, packed: &mut Vec<u8>, sums: &mut Sums) {
        let start = cpu();
        let outcome = checker.check(&chunk.bytes, chunk.first_row, "00000000-0000-0000-0000-000000000000");
        let judged = cpu();
        for reject in outcome.rejects() {
            sums.rejects += 1;
            sums.told_bytes += (reject.message.len() + reject.observed.len() + reject.record.len()) as u64;
        }
        let told = cpu();
        sums.check += judged - start;
        sums.tell += told - judged;
        sums.rows += u64::from(outcome.rows());
        sums.ok += u64::from(outcome.ok());
        sums.block_bytes += outcome.block_parts().map(<[u8]>::len).sum::<usize>() as u64;
        if self.stages {
            for part in outcome.block().chunks(1 << 20) {
                packed.resize(lz4_flex::block::get_maximum_output_size(part.len()), 0);
                lz4_flex::block::compress_into(part, packed).unwrap();
            }
            sums.lz4 += cpu() - told;
        }
    }
}

impl Sums {
    fn show(&self) -> String {
        let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
        let peak = status.lines().find_map(|l| l.strip_prefix("VmHWM:")?.trim().strip_suffix(" kB"));
        serde_json::json!({
            "cpu": self.read + self.cut + self.check + self.tell,
            "rows": self.rows, "ok": self.ok, "rejects": self.rejects, "peak_kib": peak.and_then(|kb| kb.parse::<u64>().ok()),
            "read": self.read, "cut": self.cut, "check": self.check, "tell": self.tell, "lz4": self.lz4,
            "block_bytes": self.block_bytes, "told_bytes": self.told_bytes,
        })
        .to_string()
    }
}
