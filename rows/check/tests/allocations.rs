//! A checker that has checked one chunk allocates nothing for the cells of the next chunk.
#![allow(unsafe_code, reason = "an allocator that counts has to be one")]
#![allow(clippy::unwrap_used, reason = "a test that cannot set up may stop")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::fmt::Write as _;
use std::sync::Arc;

use rows_check::{Checker, Columns, Plan};
use rows_types::{Column, Format, Input, Schema, Type};

thread_local!(static ALLOCATIONS: Cell<u64> = const { Cell::new(0) });

struct Counting;

// SAFETY: every call goes to the system's allocator with the same arguments. Counting accesses only a thread-local
// number, which needs no allocation.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.with(|n| n.set(n.get() + 1));
        // SAFETY: the caller keeps the contract of `alloc`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller keeps the contract of `dealloc`, and all memory is from the system's allocator.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        ALLOCATIONS.with(|n| n.set(n.get() + 1));
        // SAFETY: the caller keeps the contract of `realloc`, and all memory is from the system's allocator.
        unsafe { System.realloc(pointer, layout, size) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

const COLUMNS: &[(&str, &str)] = &[
    ("k", "String"),
    ("i", "Int32"),
    ("f", "Nullable(Float64)"),
    ("d", "Decimal(18, 4)"),
    ("t", "DateTime64(3)"),
    ("u", "UUID"),
    ("e", "Enum8('new' = 1, 'paid' = 2)"),
    ("l", "LowCardinality(Nullable(String))"),
    ("x", "FixedString(3)"),
    ("v", "IPv4"),
];

fn compiled(columns: Vec<Column>) -> Columns {
    Columns::compile(Schema::new(columns, None).unwrap()).unwrap()
}

fn allocations_of_a_second_chunk(input: &Input, bad: bool) -> u64 {
    let columns = COLUMNS.iter().map(|(name, ty)| Column::new(*name, Type::parse(ty).unwrap())).collect();
    let input = Input { header: false, ..input.clone() };
    let format = input.format;
    let plan = Arc::new(Plan::bind(compiled(columns), input, None).unwrap());
    let mut file = String::from(if format == Format::Json { "[" } else { "" });
    for i in 0..20_000 {
        let uuid = "550e8400-e29b-41d4-a716-446655440000";
        let f = if i % 3 == 0 { "" } else { "2.5" };
        let n = if bad && i % 10 == 0 { "x".to_owned() } else { i.to_string() };
        if format == Format::Csv {
            writeln!(
                file,
                "\"a \"\"{i}\"\"\",{n},{f},1.25,2026-01-01 00:00:00.125,{uuid},paid,eu {},abc,1.2.3.4",
                i % 50
            )
            .unwrap();
        } else {
            let (n, f) = (
                if bad && i % 10 == 0 { "\"x\"" } else { n.as_str() },
                if f.is_empty() { "null" } else { f },
            );
            file.push_str(if format == Format::Json && i > 0 { "," } else { "" });
            writeln!(
                file,
                r#"{{"k":"a \"{i}\"","i":{n},"f":{f},"d":1.25,"t":"2026-01-01 00:00:00.125","u":"{uuid}","e":"paid","l":"eu {}","x":"abc","v":"1.2.3.4"}}"#,
                i % 50
            )
            .unwrap();
        }
    }
    if format == Format::Json {
        file.push(']');
    }
    let mut checker = Checker::new(plan);
    checker.check(file.as_bytes(), 1, "job");
    let before = ALLOCATIONS.with(Cell::get);
    let outcome = checker.check(file.as_bytes(), 1, "job");
    assert_eq!(outcome.ok(), if bad { 18_000 } else { 20_000 });
    ALLOCATIONS.with(Cell::get) - before
}

fn inputs() -> [Input; 4] {
    let csv = Input::default();
    [
        Input { escape: Some('\\'), ..csv.clone() },
        Input { format: Format::JsonLines, ..csv.clone() },
        Input { format: Format::Json, ..csv.clone() },
        csv,
    ]
}

#[test]
fn good_cells_cost_no_allocation() {
    for input in inputs() {
        assert_eq!(allocations_of_a_second_chunk(&input, false), 0, "{input:?}");
    }
}

#[test]
fn bad_cells_cost_none_either_until_somebody_reads_them() {
    for input in inputs() {
        assert_eq!(allocations_of_a_second_chunk(&input, true), 0, "{input:?}");
    }
}

#[test]
fn telling_of_cells_that_stand_in_the_file_as_they_are_costs_none_a_cell() {
    let columns = [("k", "String"), ("i", "Int32"), ("d", "Date")];
    let columns = columns.map(|(name, ty)| Column::new(name, Type::parse(ty).unwrap())).to_vec();
    let input = Input { header: false, ..Input::default() };
    let plan = Arc::new(Plan::bind(compiled(columns), input, None).unwrap());
    let told = |rows: usize| {
        let file = "key,n/a,\"no day\"\n".repeat(rows);
        let mut checker = Checker::new(Arc::clone(&plan));
        let outcome = checker.check(file.as_bytes(), 1, "job");
        // each message is made once, at the first use
        assert!(outcome.rejects().next().is_some_and(|r| !r.message.is_empty()));
        outcome.rejects().count();
        let before = ALLOCATIONS.with(Cell::get);
        assert_eq!(outcome.rejects().count(), 2 * rows);
        ALLOCATIONS.with(Cell::get) - before
    };
    assert_eq!(told(10), told(10_000));
}
