//! Every type and every format of a file, on the complete path: what `batch` shows is what the table has.
#![allow(missing_docs, reason = "a test")]

use std::fs;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use e2e::{Namespace, Target, kinds};
use serde_json::Value;

const END: Duration = Duration::from_secs(60);

/// A namespace with the model of all kinds of columns.
struct Kinds<'a> {
    target: &'a Target,
    ns: Namespace<'a>,
    model: String,
    table: String,
}

impl<'a> Kinds<'a> {
    fn new(target: &'a Target, what: &str) -> Result<Self> {
        let ns = Namespace::new(target, what)?;
        let model = ns.file("model.json", kinds::model())?;
        target.batch(&ns.name, &["model", "create", "kinds", &model])?.ok()?;
        let table = target.model_ready(&ns.name, "kinds")?["table"].as_str().context("a table")?.to_owned();
        Ok(Self { target, ns, model, table })
    }

    /// Loads a file as the job with this name. All of its rows must be good.
    fn load(&self, job: &str, file: &str, flags: &[&str]) -> Result<()> {
        let args = [&["job", "create", "kinds", file, "--name", job, "--wait"], flags].concat();
        let output = self.target.batch(&self.ns.name, &args)?;
        if output.code != 0 {
            let rejected = self.target.batch(&self.ns.name, &["job", "rejected", job])?;
            return output.ok().with_context(|| format!("{}\n{flags:?}", rejected.stdout)).map(drop);
        }
        Ok(())
    }

    /// Returns ClickHouse's answer about the rows of a job.
    fn of_job(&self, what: &str, job: &str, format: &str) -> Result<String> {
        let uid = ["get", "-n", &self.ns.name, "ingestjob", job, "-o", "jsonpath={.metadata.uid}"];
        let uid = self.target.kubectl(&uid)?;
        self.target.sql(&format!(
            "SELECT {what} FROM {} WHERE _job = '{uid}' ORDER BY _row FORMAT {format}",
            self.table
        ))
    }
}

/// Splits a line of `JSONEachRow`: the text before the columns of type `JSON`, and these columns without keys that
/// have no value.
fn parts(line: &str) -> Result<(&str, Value)> {
    let at = line.find(&format!(",\"{}\":", kinds::FIRST_JSON)).with_context(|| line.to_owned())?;
    let mut json = serde_json::from_str(&format!("{{{}", &line[at + 1..]))?;
    drop_nulls(&mut json);
    Ok((&line[..at], json))
}

fn drop_nulls(value: &mut Value) {
    match value {
        Value::Object(object) => {
            object.retain(|_, value| !value.is_null());
            object.values_mut().for_each(drop_nulls);
        }
        Value::Array(array) => array.iter_mut().for_each(drop_nulls),
        _ => {}
    }
}

#[test]
fn the_table_has_what_validate_prints_of_every_type_and_the_bad_cell_is_explained() -> Result<()> {
    let target = Target::load()?;
    let kinds = Kinds::new(&target, "kinds")?;
    let ns = &kinds.ns;
    let mut records = kinds::csv_records();
    records.insert(2, kinds::csv_record_with("matrix", "[[1, 2147483648]]"));
    let file = ns.file("data.csv", records.join("\n"))?;
    let printed = ns.file("good.jsonl", "")?;

    let checked = target.batch(&ns.name, &["validate", &kinds.model, &file, "--print-rows", &printed])?;
    assert_eq!(checked.code, 1, "one row is bad: {checked:?}");
    let created = target.batch(&ns.name, &["job", "create", "kinds", &file, "--name", "mixed", "--wait"])?;
    assert_eq!(created.code, 1, "one row is bad: {created:?}");
    let status = target.job_end(&ns.name, "mixed", END)?;
    let counts = (&status["state"], &status["counts"]["ok"], &status["counts"]["errors"]);
    assert_eq!(counts, (&"PARTIAL_SUCCESS".into(), &kinds::ROWS.into(), &1.into()), "{status}");

    let (printed, stored) = (fs::read_to_string(printed)?, kinds.of_job("*", "mixed", "JSONEachRow")?);
    assert_eq!((printed.lines().count(), stored.lines().count()), (kinds::ROWS, kinds::ROWS));
    for (printed, stored) in printed.lines().zip(stored.lines()) {
        assert_eq!(parts(printed)?, parts(stored)?);
    }
    // A text that looks like a time stays a text.
    let types = kinds.of_job("JSONAllPathsWithTypes(document)['t']", "mixed", "TSV")?;
    assert_eq!(types, "String\n\nString");

    let (rejected, validated) =
        (target.batch(&ns.name, &["job", "rejected", "mixed"])?.ok()?, checked.stdout);
    assert_eq!(rejected, validated, "the job and `batch validate` report the same");
    let stored = target.sql(&format!(
        "SELECT row, column, type, error, observed FROM rejected_rows \
         WHERE job_uid = (SELECT any(_job) FROM {}) FORMAT TSV",
        kinds.table
    ))?;
    assert_eq!(stored, "2\tmatrix\tArray(Array(Nullable(Int32)))\tOUT_OF_RANGE\t[[1, 2147483648]]");
    Ok(())
}

#[test]
fn every_format_of_the_same_rows_loads_the_same_rows() -> Result<()> {
    let target = Target::load()?;
    let kinds = Kinds::new(&target, "formats")?;
    let ns = &kinds.ns;
    let records = kinds::csv_records();
    let text = records.join("\n") + "\n";
    let csv = ns.file("data.csv", &text)?;
    kinds.load("csv", &csv, &[])?;
    let expected = kinds.of_job("_row, *", "csv", "JSONEachRow")?;
    ensure!(expected.lines().count() == kinds::ROWS, "{expected}");

    for (program, end) in [("xz", "xz"), ("bzip2", "bz2")] {
        target.shell.run(program, &["--keep", &csv])?.ok()?;
        kinds.load(end, &format!("{csv}.{end}"), &[])?;
    }
    let units = "\u{feff}".encode_utf16().chain(text.encode_utf16());
    let utf16: Vec<u8> = units.flat_map(u16::to_le_bytes).collect();
    kinds.load("utf16", &ns.file("utf16.csv", utf16)?, &[])?;
    let comment = "# written \"by hand\r";
    let mac = format!("{comment}{}\r{comment}", records.join(&format!("\r{comment}")));
    kinds.load("mac", &ns.file("mac.csv", mac)?, &["--line-end", "any", "--comment", "#"])?;
    let lines = kinds::objects("").join("\n");
    kinds.load("jsonl", &ns.file("data.jsonl", lines)?, &[])?;
    let array = format!("[\n  {}\n]\n", kinds::objects("\n    ").join(",\n  "));
    kinds.load("json", &ns.file("data.json", array)?, &[])?;
    // The output of ClickHouse for these rows.
    let tsv = kinds.of_job("*", "csv", "TabSeparatedWithNames")? + "\n";
    kinds.load("tsv", &ns.file("data.tsv", tsv)?, &["--quote", "", "--escape", "\\"])?;

    for job in ["xz", "bz2", "utf16", "mac", "jsonl", "json", "tsv"] {
        assert_eq!(kinds.of_job("_row, *", job, "JSONEachRow")?, expected, "{job}");
    }
    Ok(())
}

#[test]
fn a_model_that_was_inferred_loads_the_file_it_was_inferred_from() -> Result<()> {
    let target = Target::load()?;
    let ns = Namespace::new(&target, "infer")?;
    let orders = "order id;zip;price;day;at;paid;note\n\
                  1;01067;12.50;2024-02-29;2024-02-29 10:00:00;true;\"a;b\"\n\
                  2;80331;8.00;2024-03-01;2024-03-01 11:30:00;false;\n\
                  70000;10115;0.99;2024-03-02;2024-03-02 12:00:00;true;x\n";
    let lines = "{\"id\": 1, \"tags\": [\"a\"], \"size\": 1.5, \"user\": {\"name\": \"Zoë\"}}\n\
                 {\"id\": 2, \"tags\": [], \"size\": null, \"user\": {\"name\": \"x\", \"age\": 7}}\n";
    for (name, file, rows) in
        [("orders", ns.file("orders.csv", orders)?, 3), ("lines", ns.file("lines.jsonl", lines)?, 2)]
    {
        let model = target.batch(&ns.name, &["model", "infer", &file, "--name", name])?.ok()?;
        ns.apply(&model)?;
        let table = target.model_ready(&ns.name, name)?["table"].as_str().context("a table")?.to_owned();
        target.batch(&ns.name, &["job", "create", name, &file, "--wait"])?.ok().context(model)?;
        assert_eq!(target.sql(&format!("SELECT count() FROM {table}"))?, rows.to_string());
    }
    Ok(())
}
