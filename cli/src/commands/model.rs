//! `batch model …`.

use std::io::Write;

use anyhow::{Context, Result};
use crds::status::{conditions, is_true};
use crds::{IngestModel, ModelId};
use serde_json::{Value, json};

use super::Outcome;
use crate::args::{Global, ModelCommand, Output};
use crate::client::Client;
use crate::model_file::{ModelFile, Schema};
use crate::output::table::Table;
use crate::output::{json as print_json, print_value};

pub async fn run(command: ModelCommand, global: &Global, out: &mut impl Write) -> Result<Outcome> {
    let client = || Client::new(&global.api_url, &global.namespace);
    match command {
        ModelCommand::Infer(args) => return super::infer::run(&args, global, out),
        ModelCommand::Create { name, file } => {
            let file = ModelFile::read(&file)?;
            file.check_names(&name, &global.namespace)?;
            let made: Created = client()?.post_json(&["models"], &file.request(&name)).await?;
            print_created(&made, global.output, out)?;
        }
        ModelCommand::List => {
            let list = client()?.get(&["models"]).await?;
            print_list(&list, global.output, out)?;
        }
        ModelCommand::Show { model } => {
            let value = client()?.get(&["models", &model]).await?;
            match global.output {
                None | Some(Output::Table) => show(&parse(&value)?, out)?,
                Some(output) => print_value(&value, output, out)?,
            }
        }
        ModelCommand::Delete { model } => {
            client()?.delete(&["models", &model]).await?;
            writeln!(out, "model {model} deleted.")?;
        }
    }
    Ok(Outcome::Done)
}

/// The answer of the API to a new model.
#[derive(Debug, serde::Deserialize)]
struct Created {
    id: String,
    name: String,
    schema: Schema,
}

/// Prints one line of JSON. The schema is JSON in a string, with the spaces that the quick start shows.
fn print_created(made: &Created, output: Option<Output>, out: &mut impl Write) -> Result<()> {
    let schema = print_json::spaced(&made.schema)?;
    if output == Some(Output::Yaml) {
        let value = json!({"id": made.id, "name": made.name, "schema": schema});
        return print_value(&value, Output::Yaml, out);
    }
    let line = print_json::spaced(&Schema::from([
        ("id", made.id.as_str()),
        ("name", made.name.as_str()),
        ("schema", schema.as_str()),
    ]))?;
    writeln!(out, "{line}")?;
    Ok(())
}

fn parse(value: &Value) -> Result<IngestModel> {
    serde_json::from_value(value.clone())
        .context("failed to read the API's answer as an IngestModel; are API and CLI of one version?")
}

fn print_list(list: &Value, output: Option<Output>, out: &mut impl Write) -> Result<()> {
    let output = output.unwrap_or(Output::Table);
    if matches!(output, Output::Json | Output::Yaml) {
        return print_value(list, output, out);
    }
    let items = list["items"].as_array().context("failed to read the API's answer: it has no items")?;
    let mut table = Table::new(["NAME", "ID", "TABLE", "READY", "WORKERS", "ROWS"]);
    for item in items {
        let model = parse(item)?;
        let status = model.status.clone().unwrap_or_default();
        table.row([
            model.metadata.name.clone().unwrap_or_default(),
            id_of(&model),
            status.table.unwrap_or_default(),
            if is_true(&status.conditions, conditions::READY) { "True" } else { "False" }.to_owned(),
            status.replicas.unwrap_or_default().to_string(),
            status.rows.map(|r| r.to_string()).unwrap_or_default(),
        ]);
    }
    table.print(output, out)
}

fn id_of(model: &IngestModel) -> String {
    let known = model.status.as_ref().and_then(|s| s.id.clone());
    known.unwrap_or_else(|| {
        let (namespace, name) = (model.metadata.namespace.as_deref(), model.metadata.name.as_deref());
        ModelId::of(namespace.unwrap_or_default(), name.unwrap_or_default()).to_string()
    })
}

fn show(model: &IngestModel, out: &mut impl Write) -> Result<()> {
    let status = model.status.clone().unwrap_or_default();
    let ready = status.conditions.iter().find(|c| c.type_ == conditions::READY);
    writeln!(out, "NAME     {}", model.metadata.name.as_deref().unwrap_or_default())?;
    writeln!(out, "ID       {}", id_of(model))?;
    writeln!(out, "TABLE    {}", status.table.as_deref().unwrap_or("not made yet"))?;
    writeln!(out, "TOPIC    {}", status.topic.as_deref().unwrap_or("not made yet"))?;
    match ready {
        Some(c) if c.status == "True" => writeln!(out, "READY    True")?,
        Some(c) => writeln!(out, "READY    {}: {}: {}", c.status, c.reason, c.message)?,
        None => writeln!(out, "READY    False: the operator has not seen the model yet")?,
    }
    writeln!(out, "WORKERS  {} of {}", status.replicas.unwrap_or_default(), model.spec.workers.max)?;
    writeln!(out)?;
    let mut table = Table::new(["COLUMN", "TYPE", "NULLABLE", "DEFAULT"]);
    for column in &model.spec.columns {
        table.row([
            column.name.clone(),
            column.ty.clone(),
            column.nullable.to_string(),
            column.default.clone().unwrap_or_default(),
        ]);
    }
    table.print(Output::Table, out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::expect;

    fn text(print: impl FnOnce(&mut Vec<u8>) -> Result<()>) -> String {
        let mut out = Vec::new();
        print(&mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_new_model_is_printed_as_the_quick_start_shows() {
        let answer = r#"{"id":"a1b2c3d4","name":"purchases","namespace":"default",
            "schema":{"event_id":"String","timestamp":"UInt32","amount":"Float64"}}"#;
        let made: Created = serde_json::from_str(answer).unwrap();
        let seed = "{\"id\": \"a1b2c3d4\", \"name\": \"purchases\", \"schema\": \"{\\\"event_id\\\": \\\"String\\\", \
                    \\\"timestamp\\\": \\\"UInt32\\\", \\\"amount\\\": \\\"Float64\\\"}\"}\n";
        assert_eq!(text(|out| print_created(&made, None, out)), seed);
    }

    fn model() -> Value {
        serde_yaml::from_str(
            "apiVersion: ingest.batch-on-kafka.io/v1alpha1
kind: IngestModel
metadata: {name: purchases, namespace: shop}
spec: {columns: [{name: event_id, type: String}, {name: amount, type: Float64, nullable: true, default: '0'}]}
status:
  table: default.data_5231e672
  replicas: 1
  rows: 12
  conditions: [{type: Ready, status: 'False', reason: TopicFailed, message: no broker, lastTransitionTime: ''}]",
        )
        .unwrap()
    }

    #[test]
    fn a_list_is_a_table_or_csv() {
        let list = json!({"items": [model()]});
        expect![[r"
            NAME       ID        TABLE                  READY  WORKERS  ROWS
            purchases  5231e672  default.data_5231e672  False  1        12
        "]]
        .assert_eq(&text(|out| print_list(&list, None, out)));
        expect![[r"
            NAME,ID,TABLE,READY,WORKERS,ROWS
            purchases,5231e672,default.data_5231e672,False,1,12
        "]]
        .assert_eq(&text(|out| print_list(&list, Some(Output::Csv), out)));
    }

    #[test]
    fn a_model_that_is_not_ready_shows_the_reason() {
        expect![[r"
            NAME     purchases
            ID       5231e672
            TABLE    default.data_5231e672
            TOPIC    not made yet
            READY    False: TopicFailed: no broker
            WORKERS  1 of 4

            COLUMN    TYPE     NULLABLE  DEFAULT
            event_id  String   false
            amount    Float64  true      0
        "]]
        .assert_eq(&text(|out| show(&parse(&model())?, out)));
    }
}
