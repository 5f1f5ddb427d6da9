//! A proposed model as an `IngestModel`: YAML with a comment at each value that is not certain, or JSON.

use std::fmt::Write as _;
use std::io::Write;

use anyhow::Result;
use rows_infer::Proposal;
use rows_types::{Format, Input};
use serde_json::{Map, Value, json};

/// Returns the complete object.
pub fn object(name: &str, proposal: &Proposal) -> Value {
    let columns: Vec<Value> = proposal.columns.iter().map(|c| Value::Object(column(c))).collect();
    let mut spec = Map::from_iter([("columns".to_owned(), Value::Array(columns))]);
    if let Some(key) = &proposal.row_key {
        spec.insert("rowKey".to_owned(), json!(key));
    }
    if !proposal.order_by.is_empty() {
        spec.insert("table".to_owned(), json!({"orderBy": proposal.order_by}));
    }
    let input = input(&proposal.input);
    if !input.is_empty() {
        spec.insert("input".to_owned(), Value::Object(input));
    }
    json!({"apiVersion": "ingest.batch-on-kafka.io/v1alpha1", "kind": "IngestModel", "metadata": {"name": name}, "spec": spec})
}

fn column(column: &rows_infer::Proposed) -> Map<String, Value> {
    fields(column).into_iter().map(|(key, value)| (key.to_owned(), value)).collect()
}

fn fields(column: &rows_infer::Proposed) -> Vec<(&'static str, Value)> {
    let mut fields = vec![("name", json!(column.name)), ("type", json!(column.ty))];
    if column.nullable {
        fields.push(("nullable", json!(true)));
    }
    if let Some(default) = &column.default {
        fields.push(("default", json!(default)));
    }
    if !column.aliases.is_empty() {
        fields.push(("aliases", json!(column.aliases)));
    }
    if let Some(format) = &column.format {
        fields.push(("format", json!(format)));
    }
    fields
}

/// Returns the fields that differ from the defaults, as a model has them.
fn input(input: &Input) -> Map<String, Value> {
    // Tabs are the default delimiter of TSV.
    let tabs = input.format == Format::Tsv && input.delimiter == '\t';
    let input = Input { delimiter: if tabs { ',' } else { input.delimiter }, ..input.clone() };
    let fields = |input: &Input| match serde_json::to_value(input) {
        Ok(Value::Object(fields)) => fields,
        _ => Map::new(),
    };
    let default = fields(&Input::default());
    let mut fields = fields(&input);
    fields.retain(|key, value| default.get(key) != Some(value));
    fields
}

/// Writes the object as YAML, one line for each column, with `about` above it.
pub fn yaml(name: &str, proposal: &Proposal, about: &[String], out: &mut impl Write) -> Result<()> {
    let mut text = about.iter().fold(String::new(), |text, line| text + "# " + line + "\n");
    writeln!(text, "apiVersion: ingest.batch-on-kafka.io/v1alpha1\nkind: IngestModel")?;
    writeln!(text, "metadata:\n  name: {}\nspec:\n  columns:", scalar(&json!(name)))?;
    for column in &proposal.columns {
        let fields: Vec<String> = fields(column).iter().map(|(k, v)| format!("{k}: {}", scalar(v))).collect();
        write!(text, "    - {{{}}}", fields.join(", "))?;
        if !column.notes.is_empty() {
            write!(text, "  # {}", column.notes.join("; "))?;
        }
        text.push('\n');
    }
    if let Some(key) = &proposal.row_key {
        writeln!(
            text,
            "  rowKey: {}  # the first column with a value of its own in each row",
            scalar(&json!(key))
        )?;
    }
    if !proposal.order_by.is_empty() {
        let why = "cannot be changed later: put first what most queries filter by";
        writeln!(text, "  table: {{orderBy: {}}}  # {why}", scalar(&json!(proposal.order_by)))?;
    }
    let input = input(&proposal.input);
    if !input.is_empty() {
        let fields: Vec<String> = input.iter().map(|(k, v)| format!("{k}: {}", scalar(v))).collect();
        writeln!(text, "  input: {{{}}}", fields.join(", "))?;
    }
    out.write_all(text.as_bytes())?;
    Ok(())
}

/// Writes a value in YAML's flow style: plain words unchanged, all else as JSON, which is also YAML.
fn scalar(value: &Value) -> String {
    match value {
        Value::String(text) if is_word(text) => text.clone(),
        Value::Array(values) => format!("[{}]", values.iter().map(scalar).collect::<Vec<_>>().join(", ")),
        value => value.to_string(),
    }
}

/// Returns whether a text without quotes is a string in every version of YAML.
fn is_word(text: &str) -> bool {
    const RESERVED: [&str; 9] = ["true", "false", "null", "yes", "no", "on", "off", "y", "n"];
    text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-'))
        && !RESERVED.contains(&text.to_ascii_lowercase().as_str())
}
