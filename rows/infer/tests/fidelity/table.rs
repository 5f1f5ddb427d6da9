//! The fidelity table, `rows/infer/tests/fidelity.yaml`: what is read as what, by the row engine and by ClickHouse itself.
//!
//! The test next to it, the example that writes `docs/fidelity.md`, and the differential test of `e2e` read it.
#![allow(dead_code, missing_docs, reason = "each of its three readers uses a part of it")]
#![allow(clippy::unwrap_used, reason = "a broken table stops whoever reads it")]

use std::sync::Arc;

use rows_check::{Columns, Plan};
use rows_types::{
    Column, Format, Input, IntegralFloats, NonFinite, OnInvalidUtf8, OnOverflow, OnPrecisionLoss, Schema,
    Type,
};
use serde::Deserialize;

/// Cells of columns with the same declaration.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Section {
    /// The column's type.
    #[serde(rename = "type")]
    pub ty: String,
    /// The description of the section in the documentation.
    pub about: String,
    /// ClickHouse has no such setting, so there is nothing to compare with.
    #[serde(default)]
    pub alone: bool,
    /// The settings of the column besides its type.
    #[serde(default)]
    pub column: Options,
    /// Texts that mean NULL.
    #[serde(default)]
    pub null_values: Vec<String>,
    /// The cells.
    pub cells: Vec<Cell>,
}

/// The settings of a column besides its type; the fields of the custom resource.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Options {
    pub default: Option<String>,
    pub format: Option<String>,
    pub on_overflow: Option<String>,
    pub non_finite: Option<String>,
    pub on_precision_loss: Option<String>,
    pub integral_floats: Option<String>,
    pub on_invalid_utf8: Option<String>,
}

/// One cell and its result.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cell {
    /// The cell in a CSV file, including quotes; `\xff` is the byte.
    pub csv: Option<String>,
    /// The cell in a JSON line; `-`: the key is missing.
    pub json: Option<String>,
    /// The loaded value, as ClickHouse prints it in `JSONEachRow`, without quotes. If it is absent and there is no
    /// code, NULL is loaded.
    #[serde(default)]
    pub value: Option<String>,
    /// The reject code, if nothing is loaded.
    #[serde(default)]
    pub code: Option<String>,
    /// What ClickHouse's own reader does if it differs: `refuses`, `loads null` or `loads VALUE`.
    #[serde(default)]
    pub clickhouse: Option<String>,
    /// Why the row engine differs from it, or what is not obvious.
    #[serde(default)]
    pub why: String,
}

/// The result of a cell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The value; `None` for NULL.
    Loaded(Option<String>),
    /// The code of a reject; empty if ClickHouse refuses.
    Refused(String),
}

/// The complete table.
pub fn load() -> Vec<Section> {
    serde_yaml::from_str(include_str!("../fidelity.yaml")).unwrap()
}

impl Section {
    /// The columns: `n`, the number of the record, and `v`. Without `n`, a line with one empty cell would be no record.
    pub fn schema(&self) -> Schema {
        let mut column = Column::new("v", Type::parse(&self.ty).unwrap());
        let o = &self.column;
        column.default.clone_from(&o.default);
        column.format.clone_from(&o.format);
        let set = |policy: &Option<String>, word: &str| {
            policy.as_deref().is_some_and(|p| {
                assert_eq!(p, word, "no such policy");
                true
            })
        };
        let policies = &mut column.policies;
        if set(&o.on_overflow, "clamp") {
            policies.on_overflow = OnOverflow::Clamp;
        }
        if set(&o.non_finite, "accept") {
            policies.non_finite = NonFinite::Accept;
        }
        if set(&o.on_precision_loss, "round") {
            policies.on_precision_loss = OnPrecisionLoss::Round;
        }
        if set(&o.integral_floats, "accept") {
            policies.integral_floats = IntegralFloats::Accept;
        }
        if set(&o.on_invalid_utf8, "replace") {
            policies.on_invalid_utf8 = OnInvalidUtf8::Replace;
        }
        let number = Column::new("n", Type::parse("UInt64").unwrap());
        Schema::new(vec![number, column], None).unwrap()
    }

    /// The plan for a file with these columns: CSV without a header, or JSON lines.
    pub fn plan(&self, json: bool) -> Arc<Plan> {
        let format = if json { Format::JsonLines } else { Format::Csv };
        let mut input = Input { format, header: false, ..Input::default() };
        input.null_values.extend(self.null_values.iter().cloned());
        Arc::new(Plan::bind(Columns::compile(self.schema()).unwrap(), input, None).unwrap())
    }
}

impl Cell {
    /// The record with number `n` and this cell, line end included, and whether it is JSON.
    pub fn record(&self, n: usize) -> (Vec<u8>, bool) {
        match (&self.csv, &self.json) {
            (Some(csv), _) => ([format!("{n},").into_bytes(), bytes(csv), b"\n".to_vec()].concat(), false),
            (None, Some(json)) if json == "-" => (format!("{{\"n\":{n}}}\n").into_bytes(), true),
            (None, json) => {
                let json = bytes(json.as_deref().unwrap_or_default());
                ([format!("{{\"n\":{n},\"v\":").into_bytes(), json, b"}\n".to_vec()].concat(), true)
            }
        }
    }

    /// The bytes of the cell, if it is a CSV cell, or a JSON cell with its key.
    pub fn text(&self, json: bool) -> Option<Vec<u8>> {
        let text = if json { self.json.as_deref().filter(|j| *j != "-") } else { self.csv.as_deref() };
        text.map(bytes)
    }

    /// The result of the row engine.
    pub fn ours(&self) -> Outcome {
        match &self.code {
            Some(code) => Outcome::Refused(code.clone()),
            None => Outcome::Loaded(self.value.clone()),
        }
    }

    /// The result of ClickHouse.
    pub fn theirs(&self) -> Outcome {
        match (self.clickhouse.as_deref(), self.ours()) {
            (None, Outcome::Refused(_)) | (Some("refuses"), _) => Outcome::Refused(String::new()),
            (None, loaded) => loaded,
            (Some("loads null"), _) => Outcome::Loaded(None),
            (Some(text), _) => Outcome::Loaded(text.strip_prefix("loads ").map(str::to_owned)),
        }
    }
}

/// The bytes of a text in which `\xff` means a byte.
fn bytes(text: &str) -> Vec<u8> {
    let mut parts = text.split("\\x");
    let mut bytes = parts.next().unwrap_or_default().as_bytes().to_vec();
    for part in parts {
        let byte = part.get(..2).and_then(|hex| u8::from_str_radix(hex, 16).ok());
        bytes.push(byte.unwrap_or(b'?'));
        bytes.extend_from_slice(part.get(2..).unwrap_or_default().as_bytes());
    }
    bytes
}
