//! The fixed plans of `e2e/plans`: a short one with every kind of fault, and one for each bug that the fault suite found.
#![allow(missing_docs, reason = "a test")]

use std::fs;
use std::path::Path;
use std::sync::Mutex;

use anyhow::{Context, Result, ensure};
use e2e::Target;
use e2e::faults::expected::{Expected, reject_hash};
use e2e::faults::inputs::{self, Bad, Format};
use e2e::faults::plan::Plan;
use e2e::faults::reader::{self, Cell, Cells};
use e2e::faults::run::run_plan;
use e2e::faults::shape::Shape;

/// The faults of one test would affect the results of another, so only one test runs at a time.
static ALONE: Mutex<()> = Mutex::new(());

#[test]
fn the_expected_rows_of_a_clean_file_are_those_that_clickhouse_reads() -> Result<()> {
    let _alone = ALONE.lock();
    let target = Target::load()?;
    let path = std::env::temp_dir().join(format!("fault-plans-{}", std::process::id()));
    let table = format!("e2e_plain_{}", std::process::id());
    for shape in [Shape::Narrow, Shape::Wide, Shape::Partitioned] {
        for format in [Format::Csv, Format::JsonLines] {
            let file = inputs::File { shape, format, rows: 5000, bad: Bad::None, days: 30, seed: 3 };
            let mut bytes = vec![];
            inputs::write(&mut bytes, &file)?;
            fs::write(&path, &bytes)?;
            let expected = Expected::of(&path, shape, format)?;
            let columns = shape.columns_sql();
            target
                .sql(&format!("CREATE OR REPLACE TABLE {table} ({columns}, _row UInt64) ENGINE = Memory"))?;
            let reader = if format == Format::Csv { "CSVWithNames" } else { "JSONEachRow" };
            let structure = columns.replace('\'', "\\'");
            target.sql(&format!(
                "INSERT INTO {table} SELECT *, rowNumberInAllBlocks() + 1 FROM input('{structure}') \
                 SETTINGS input_format_parallel_parsing = 0, max_threads = 1 FORMAT {reader}\n{}",
                String::from_utf8(bytes)?
            ))?;
            let sum =
                target.sql(&format!("SELECT count(), sum(sipHash64({})) FROM {table}", shape.row_sql()))?;
            assert_eq!(sum, format!("{}\t{}", expected.good, expected.row_sum), "{shape:?} {format:?}");
        }
    }
    target.sql(&format!("DROP TABLE {table}"))?;
    Ok(fs::remove_file(path)?)
}

#[test]
fn the_expected_bad_cells_of_a_bad_file_are_those_of_batch_validate() -> Result<()> {
    let _alone = ALONE.lock();
    let target = Target::load()?;
    let folder = std::env::temp_dir().join(format!("fault-plans-bad-{}", std::process::id()));
    fs::create_dir_all(&folder)?;
    for shape in [Shape::Narrow, Shape::Wide, Shape::Partitioned] {
        for format in [Format::Csv, Format::JsonLines] {
            for bad in [Bad::OnePercent, Bad::All] {
                let path = folder.join(format!("file.{}", format.extension()));
                let mut bytes = vec![];
                inputs::write(
                    &mut bytes,
                    &inputs::File { shape, format, rows: 3000, bad, days: 30, seed: 4 },
                )?;
                fs::write(&path, &bytes)?;
                let expected = Expected::of(&path, shape, format)?;
                let model = folder.join("model.yaml");
                fs::write(&model, format!("columns:{}\n", shape.columns_yaml()))?;
                let args = ["validate".as_ref(), model.as_os_str(), path.as_os_str()];
                let output = target.shell.run("batch", &args)?;
                let mut found = Expected::default();
                let mut lines = output.stdout.as_bytes();
                reader::csv(&mut lines, 7)?;
                while let Some(Cells::Split(cells)) = reader::csv(&mut lines, 7)? {
                    let text = |index: usize| match &cells[index] {
                        Cell::Text(text) => text.clone(),
                        Cell::Nothing => String::new(),
                    };
                    found.bad_cells += 1;
                    found.reject_sum = found.reject_sum.wrapping_add(reject_hash(text(0).parse()?, &text(2)));
                }
                let context = format!("{shape:?} {format:?} {bad:?}: {}", output.stderr);
                assert_eq!(
                    (found.bad_cells, found.reject_sum),
                    (expected.bad_cells, expected.reject_sum),
                    "{context}"
                );
            }
        }
    }
    Ok(fs::remove_dir_all(folder)?)
}

/// This is one test, because a fault of one plan would affect the loads of another.
#[test]
fn no_row_is_lost_duplicated_or_mixed_under_the_fixed_fault_plans() -> Result<()> {
    let _alone = ALONE.lock();
    let target = Target::load()?;
    if !target.parts.local {
        println!("skipped: faults affect only the processes of the local stack");
        return Ok(());
    }
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("plans");
    let mut files: Vec<_> =
        fs::read_dir(folder)?.map(|entry| entry.map(|e| e.path())).collect::<Result<_, _>>()?;
    files.sort();
    ensure!(!files.is_empty(), "no plans");
    for file in files {
        let plan = Plan::parse(&fs::read_to_string(&file)?).with_context(|| file.display().to_string())?;
        println!("{}: {}", file.display(), plan.about);
        let report = run_plan(&target, &plan).with_context(|| file.display().to_string())?;
        println!("{report}");
    }
    Ok(())
}
