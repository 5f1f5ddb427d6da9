//! The fidelity table, `rows/tests/fidelity.yaml`: what is read as what, by the row engine and by ClickHouse itself.
//!
//! Read by the test beside it, by the example that writes `docs/fidelity.md`, and by the differential test of `e2e`.
#![allow(dead_code, missing_docs, reason = "each of its three readers uses a part of it")]
#![allow(clippy::unwrap_used, reason = "a broken table stops whoever reads it")]

use std::sync::Arc;

use rows::{
    Column, Format, Input, IntegralFloats, NonFinite, OnInvalidUtf8, OnOverflow, OnPrecisionLoss, Plan,
    Schema, Type,
};
use serde::Deserialize;

/// Cells of columns that are declared alike.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Section {
    /// The column's type.
    #[serde(rename = "type")]
    pub ty: String,
    /// What is said of them in the documentation.
    pub about: String,
    /// ClickHouse has no such setting, so there is nothing to compare with.
    #[serde(default)]
    pub alone: bool,
    /// What the column says beside its type.
    #[serde(default)]
    pub column: Options,
    /// Texts that mean NULL.
    #[serde(default)]
    pub null_values: Vec<String>,
    /// The cells.
    pub cells: Vec<Cell>,
}

/// What a column says beside its type; the fields of the custom resource.
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

/// One cell and what becomes of it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cell {
    /// As it stands in a CSV file, quotes and all; `\xff` is the byte.
    pub csv: Option<String>,
    /// As it stands in a JSON line; `-`: the key is not there.
    pub json: Option<String>,
    /// What is loaded, as ClickHouse prints it in `JSONEachRow`, without quotes; absent: NULL, if there is no code.
    #[serde(default)]
    pub value: Option<String>,
    /// Why nothing is.
    #[serde(default)]
    pub code: Option<String>,
    /// What ClickHouse's own reader does, where it does something else: `refuses`, `loads null` or `loads VALUE`.
    #[serde(default)]
    pub clickhouse: Option<String>,
    /// Why we differ from it, or what is not plain to see.
    #[serde(default)]
    pub why: String,
}

/// What becomes of a cell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fate {
    /// A value, `None`: NULL.
    Loaded(Option<String>),
    /// A reject's code; empty where ClickHouse refuses.
    Refused(String),
}

/// The whole table.
pub fn load() -> Vec<Section> {
    serde_yaml::from_str(include_str!("../fidelity.yaml")).unwrap()
}

impl Section {
    /// The plan of a file of this one column `v`, CSV without a header or JSON lines.
    pub fn plan(&self, json: bool) -> Arc<Plan> {
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
        let format = if json { Format::JsonLines } else { Format::Csv };
        let mut input = Input { format, header: false, ..Input::default() };
        input.null_values.extend(self.null_values.iter().cloned());
        // the row's number stands first: a line of one empty cell would be no record
        let number = Column::new("n", Type::parse("UInt64").unwrap());
        let schema = Schema::new(vec![number, column], None).unwrap();
        Arc::new(Plan::bind(schema, input, None).unwrap())
    }
}

impl Cell {
    /// The record of number `n` with this cell, its line end included, and whether it is JSON.
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

    /// The bytes of the cell, if it is one of CSV, or of JSON with its key.
    pub fn text(&self, json: bool) -> Option<Vec<u8>> {
        let text = if json { self.json.as_deref().filter(|j| *j != "-") } else { self.csv.as_deref() };
        text.map(bytes)
    }

    /// What becomes of it here.
    pub fn ours(&self) -> Fate {
        match &self.code {
            Some(code) => Fate::Refused(code.clone()),
            None => Fate::Loaded(self.value.clone()),
        }
    }

    /// What becomes of it in ClickHouse.
    pub fn theirs(&self) -> Fate {
        match (self.clickhouse.as_deref(), self.ours()) {
            (None, Fate::Refused(_)) | (Some("refuses"), _) => Fate::Refused(String::new()),
            (None, loaded) => loaded,
            (Some("loads null"), _) => Fate::Loaded(None),
            (Some(text), _) => Fate::Loaded(text.strip_prefix("loads ").map(str::to_owned)),
        }
    }
}

/// The bytes of a text in which `\xff` is a byte.
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
