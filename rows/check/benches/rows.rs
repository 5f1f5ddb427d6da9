//! What a row costs: `cargo bench -p rows-check`. Times are for a complete chunk; "items" are rows, "bytes" are bytes of the
//! file.

#![allow(clippy::unwrap_used, reason = "a bench that cannot set up may stop")]

mod data;

use std::sync::Arc;

use divan::Bencher;
use divan::counter::{BytesCount, ItemsCount};
use rows_check::{Checker, Columns, Plan};
use rows_split::{Cutter, Limits};
use rows_types::{Column, Format, Input, Schema, Type, UnknownColumns};

/// About the size of a chunk, in bytes.
const CHUNK: usize = 4 << 20;

/// How many of 1000 typed cells are bad: 0, 1, 10 and 100 %.
const BAD: &[u64] = &[0, 10, 100, 1000];

fn main() {
    divan::main();
}

fn shaped(shape: &str) -> &'static [(&'static str, &'static str)] {
    if shape == "narrow" { data::NARROW } else { data::WIDE }
}

fn plan(columns: &[(&str, &str)], format: Format) -> Arc<Plan> {
    let columns = columns.iter().map(|(name, ty)| Column::new(*name, Type::parse(ty).unwrap()));
    let schema = Schema::new(columns.collect(), None).unwrap();
    let input = Input { format, header: false, ..Input::default() };
    Arc::new(Plan::bind(Columns::compile(schema).unwrap(), input, None).unwrap())
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

#[divan::bench(args = BAD)]
fn narrow_csv_bad_cells_in_1000(bencher: Bencher<'_, '_>, bad: u64) {
    check(bencher, plan(data::NARROW, Format::Csv), &data::csv(data::NARROW, CHUNK / 25, bad));
}

#[divan::bench(args = BAD)]
fn wide_csv_bad_cells_in_1000(bencher: Bencher<'_, '_>, bad: u64) {
    check(bencher, plan(data::WIDE, Format::Csv), &data::csv(data::WIDE, CHUNK / 264, bad));
}

#[divan::bench(args = &BAD[1..])]
fn wide_csv_bad_cells_in_1000_all_told(bencher: Bencher<'_, '_>, bad: u64) {
    check_and_tell(bencher, plan(data::WIDE, Format::Csv), &data::csv(data::WIDE, CHUNK / 264, bad));
}

#[divan::bench(args = BAD)]
fn narrow_json_bad_cells_in_1000(bencher: Bencher<'_, '_>, bad: u64) {
    check(bencher, plan(data::NARROW, Format::JsonLines), &data::json(data::NARROW, CHUNK / 60, bad));
}

#[divan::bench(args = BAD)]
fn wide_json_bad_cells_in_1000(bencher: Bencher<'_, '_>, bad: u64) {
    check(bencher, plan(data::WIDE, Format::JsonLines), &data::json(data::WIDE, CHUNK / 434, bad));
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
    check(bencher, plan(data::NARROW, Format::Json), &array(data::json(data::NARROW, CHUNK / 60, 0)));
}

/// A file of one column. Each time includes splitting and row numbers; for their cost see `one_of_twenty_columns` and
/// `String`.
#[divan::bench(args = data::TYPES.iter().map(|c| format!("{} from {}", c.1, c.0)).collect::<Vec<_>>())]
fn one_type(bencher: Bencher<'_, '_>, title: &str) {
    let column = data::TYPES.iter().find(|c| format!("{} from {}", c.1, c.0) == title).unwrap();
    let (plan, bytes) = (plan(&[*column], Format::Csv), data::csv(&[*column], 50_000, 0));
    assert_eq!(Checker::new(plan.clone()).check(&bytes, 1, "job").bad_rows(), 0);
    check(bencher, plan, &bytes);
}

/// The cost of finding the cells: of twenty columns only the shortest one is read; the others are unknown and ignored.
#[divan::bench]
fn one_of_twenty_columns(bencher: Bencher<'_, '_>) {
    let schema = Schema::new(vec![Column::new("level", Type::parse("UInt8").unwrap())], None).unwrap();
    let input = Input { unknown_columns: UnknownColumns::Ignore, ..Input::default() };
    let header: Vec<String> = data::WIDE.iter().map(|c| c.0.to_owned()).collect();
    let plan = Arc::new(Plan::bind(Columns::compile(schema).unwrap(), input, Some(&header)).unwrap());
    check(bencher, plan, &data::csv(data::WIDE, CHUNK / 264, 0));
}

/// The cost of writing a block: only one column is read; the others are filled with their defaults.
#[divan::bench]
fn twenty_columns_of_defaults(bencher: Bencher<'_, '_>) {
    let mut columns = vec![Column::new("level", Type::parse("UInt8").unwrap())];
    for at in 1..20 {
        let mut column = Column::new(format!("c{at}"), Type::parse(["UInt64", "String"][at % 2]).unwrap());
        column.default = Some("42".to_owned());
        columns.push(column);
    }
    let header = ["level".to_owned()];
    let plan = Plan::bind(
        Columns::compile(Schema::new(columns, None).unwrap()).unwrap(),
        Input::default(),
        Some(&header),
    )
    .unwrap();
    check(bencher, Arc::new(plan), &data::csv(&[("level", "UInt8")], 16_000, 0));
}

/// LZ4 of a block in parts of 1 MiB; "bytes" are bytes of the block.
#[divan::bench(args = ["narrow", "wide"])]
fn lz4(bencher: Bencher<'_, '_>, shape: &str) {
    let columns = shaped(shape);
    let mut checker = Checker::new(plan(columns, Format::Csv));
    let bytes = data::csv(columns, 4 * CHUNK / columns.len() / 10, 0);
    let block = checker.check(&bytes, 1, "job").block();
    let mut packed = vec![0; lz4_flex::block::get_maximum_output_size(1 << 20)];
    bencher.counter(BytesCount::new(block.len())).bench_local(|| {
        let parts = block.chunks(1 << 20);
        parts.map(|part| lz4_flex::block::compress_into(part, &mut packed).unwrap()).sum::<usize>()
    });
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
    let columns = shaped(shape);
    let bytes = data::csv(columns, 4 * CHUNK / columns.len() / 10, 0);
    cut_all(bencher, &Input { header: false, ..Input::default() }, &bytes);
}

#[divan::bench]
fn cut_json_array(bencher: Bencher<'_, '_>) {
    let bytes = array(data::json(data::WIDE, 4 * CHUNK / 434, 0));
    cut_all(bencher, &Input { format: Format::Json, ..Input::default() }, &bytes);
}

#[divan::bench]
fn cut_escaped(bencher: Bencher<'_, '_>) {
    let bytes = data::csv(data::WIDE, 4 * CHUNK / 264, 0);
    cut_all(bencher, &Input { header: false, escape: Some('\\'), ..Input::default() }, &bytes);
}

fn cut_all(bencher: Bencher<'_, '_>, input: &Input, bytes: &[u8]) {
    bencher.counter(BytesCount::new(bytes.len())).bench_local(|| {
        let mut cutter = Cutter::new(input, Limits::plain(CHUNK));
        let mut rows = 0;
        for piece in bytes.chunks(64 * 1024) {
            cutter.push(piece).unwrap();
            while let Some(chunk) = cutter.next_chunk() {
                rows += chunk.rows;
                cutter.recycle(chunk.bytes);
            }
        }
        cutter.finish().unwrap();
        rows + std::iter::from_fn(|| cutter.next_chunk()).map(|c| c.rows).sum::<u32>()
    });
}
