//! What a row costs: `cargo bench -p rows`. Times are for a whole chunk; "items" are rows, "bytes" the file's bytes.

#![allow(clippy::unwrap_used, reason = "a bench that cannot set up may stop")]

mod data;

use std::sync::Arc;

use divan::Bencher;
use divan::counter::{BytesCount, ItemsCount};
use rows::{Checker, Column, Cutter, Format, Input, Plan, Schema, Type};

/// About the size of a chunk.
const CHUNK: usize = 4 << 20;

fn main() {
    divan::main();
}

fn plan(columns: &[(&str, &str)], format: Format) -> Arc<Plan> {
    let columns = columns.iter().map(|(name, ty)| Column::new(*name, Type::parse(ty).unwrap()));
    let schema = Schema::new(columns.collect(), None).unwrap();
    let input = Input { format, header: false, ..Input::default() };
    Arc::new(Plan::bind(schema, input, None).unwrap())
}

fn check(bencher: Bencher<'_, '_>, plan: Arc<Plan>, bytes: &[u8]) {
    let mut checker = Checker::new(plan);
    let rows = checker.check(bytes, 1, "job").rows();
    bencher
        .counter(ItemsCount::new(rows))
        .counter(BytesCount::new(bytes.len()))
        .bench_local(|| checker.check(bytes, 1, "job").ok());
}

fn check_and_tell(bencher: Bencher<'_, '_>, plan: Arc<Plan>, bytes: &[u8]) {
    let mut checker = Checker::new(plan);
    let rows = checker.check(bytes, 1, "job").rows();
    bencher.counter(ItemsCount::new(rows)).counter(BytesCount::new(bytes.len())).bench_local(|| {
        let outcome = checker.check(bytes, 1, "job");
        (outcome.summary().len(), outcome.rejects().map(|r| r.message.len()).sum::<usize>())
    });
}

#[divan::bench(args = [0, 10, 100])]
fn narrow_csv_bad_cells_in_1000(bencher: Bencher<'_, '_>, bad: u64) {
    check(bencher, plan(data::NARROW, Format::Csv), &data::csv(data::NARROW, CHUNK / 25, bad));
}

#[divan::bench(args = [0, 10, 100])]
fn wide_csv_bad_cells_in_1000(bencher: Bencher<'_, '_>, bad: u64) {
    check(bencher, plan(data::WIDE, Format::Csv), &data::csv(data::WIDE, CHUNK / 264, bad));
}

#[divan::bench(args = [10, 100])]
fn wide_csv_bad_cells_in_1000_all_told(bencher: Bencher<'_, '_>, bad: u64) {
    check_and_tell(bencher, plan(data::WIDE, Format::Csv), &data::csv(data::WIDE, CHUNK / 264, bad));
}

#[divan::bench]
fn narrow_json(bencher: Bencher<'_, '_>) {
    check(bencher, plan(data::NARROW, Format::JsonLines), &data::json(data::NARROW, CHUNK / 60));
}

#[divan::bench]
fn wide_json(bencher: Bencher<'_, '_>) {
    check(bencher, plan(data::WIDE, Format::JsonLines), &data::json(data::WIDE, CHUNK / 434));
}

/// An array of the same objects.
fn array(lines: Vec<u8>) -> Vec<u8> {
    let mut bytes = lines;
    bytes.insert(0, b'[');
    let last = bytes.len() - 1;
    bytes[last] = b']';
    bytes.iter_mut().filter(|b| **b == b'\n').for_each(|b| *b = b',');
    bytes
}

#[divan::bench]
fn narrow_json_array(bencher: Bencher<'_, '_>) {
    check(bencher, plan(data::NARROW, Format::Json), &array(data::json(data::NARROW, CHUNK / 60)));
}

/// Each type in a column of its own, beside a short text.
#[divan::bench(args = data::WIDE.iter().map(|c| c.0).collect::<Vec<_>>())]
fn one_column(bencher: Bencher<'_, '_>, name: &str) {
    let column = data::WIDE.iter().find(|c| c.0 == name).unwrap();
    let columns = [*column, ("level", "UInt8")];
    let columns = if name == "level" { &columns[..1] } else { &columns[..] };
    check(bencher, plan(columns, Format::Csv), &data::csv(columns, 50_000, 0));
}

#[divan::bench]
fn records_that_are_not_regular(bencher: Bencher<'_, '_>) {
    let mut bytes = data::csv(data::NARROW, CHUNK / 25, 0);
    for i in (0..bytes.len()).step_by(100_000) {
        bytes[i] = b'\n';
    }
    check(bencher, plan(data::NARROW, Format::Csv), &bytes);
}

#[divan::bench(args = ["narrow", "wide"])]
fn cut(bencher: Bencher<'_, '_>, shape: &str) {
    let columns = if shape == "narrow" { data::NARROW } else { data::WIDE };
    let bytes = data::csv(columns, 4 * CHUNK / columns.len() / 10, 0);
    cut_all(bencher, &Input { header: false, ..Input::default() }, &bytes);
}

#[divan::bench]
fn cut_json_array(bencher: Bencher<'_, '_>) {
    let bytes = array(data::json(data::WIDE, 4 * CHUNK / 434));
    cut_all(bencher, &Input { format: Format::Json, ..Input::default() }, &bytes);
}

#[divan::bench]
fn cut_escaped(bencher: Bencher<'_, '_>) {
    let bytes = data::csv(data::WIDE, 4 * CHUNK / 264, 0);
    cut_all(bencher, &Input { header: false, escape: Some('\\'), ..Input::default() }, &bytes);
}

fn cut_all(bencher: Bencher<'_, '_>, input: &Input, bytes: &[u8]) {
    bencher.counter(BytesCount::new(bytes.len())).bench_local(|| {
        let mut cutter = Cutter::new(input, CHUNK);
        let mut rows = 0;
        for piece in bytes.chunks(64 * 1024) {
            cutter.push(piece).unwrap();
            rows += cutter.next_chunk().map_or(0, |c| c.rows);
        }
        rows + cutter.finish().unwrap().map_or(0, |c| c.rows)
    });
}
