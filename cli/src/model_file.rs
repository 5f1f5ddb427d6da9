//! The file that describes a model: a plain map of names to types, a spec, or a complete `IngestModel`; JSON or YAML.
//!
//! **Promise:** the columns have the order of the file. A field that does not exist in a model is refused, not
//! ignored.

use std::fmt;
use std::io::Read;
use std::path::Path;

use anyhow::{Context, Result, bail};
use crds::IngestModelSpec;
use crds::model::ColumnSpec;
use serde::de::{self, Deserialize, Deserializer, MapAccess, Visitor};
use serde::ser::{Serialize, SerializeMap, Serializer};
use serde_json::json;
use serde_yaml::{Mapping, Value};

/// Names to texts, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Schema(Vec<(String, String)>);

/// The content of a file.
#[derive(Clone, Debug, PartialEq)]
pub struct ModelFile {
    body: Body,
    /// From the metadata of a complete `IngestModel`.
    name: Option<String>,
    namespace: Option<String>,
}

#[derive(Clone, Debug, PartialEq)]
enum Body {
    Map(Schema),
    /// The spec as it was written, and as it was parsed.
    Spec(Value, Box<IngestModelSpec>),
}

impl ModelFile {
    /// Reads a file; `-` is standard input.
    pub fn read(path: &Path) -> Result<Self> {
        let mut text = String::new();
        if path == Path::new("-") {
            std::io::stdin().read_to_string(&mut text).context("failed to read standard input")?;
        } else {
            text = std::fs::read_to_string(path)
                .with_context(|| format!("failed to read {}", path.display()))?;
        }
        Self::parse(&text).with_context(|| format!("failed to read a model from {}", path.display()))
    }

    /// Reads the text of a file.
    pub fn parse(text: &str) -> Result<Self> {
        // YAML refuses tabs, but JSON may be indented with them.
        let value: Value =
            if text.trim_start().starts_with('{') && serde_json::from_str::<de::IgnoredAny>(text).is_ok() {
                serde_json::from_str(text)?
            } else {
                serde_yaml::from_str(text).context("it is neither JSON nor YAML")?
            };
        let Value::Mapping(map) = value else {
            bail!("expected a map of column names to types, or an IngestModel");
        };
        if map.contains_key("kind") || map.contains_key("apiVersion") {
            return complete_model(&map);
        }
        if map.get("spec").is_some_and(Value::is_mapping) {
            return spec(map["spec"].clone());
        }
        if map.get("columns").is_some_and(Value::is_sequence) {
            return spec(Value::Mapping(map));
        }
        Ok(Self { body: Body::Map(plain(map)?), name: None, namespace: None })
    }

    /// Refuses a file that names another model than the command.
    pub fn check_names(&self, name: &str, namespace: &str) -> Result<()> {
        if let Some(other) = self.name.as_deref().filter(|n| *n != name) {
            bail!(
                "the file is of the model '{other}', not '{name}': give that name, or change metadata.name"
            );
        }
        if let Some(other) = self.namespace.as_deref().filter(|n| *n != namespace) {
            bail!(
                "the file is of the namespace '{other}', not '{namespace}': add -n {other}, or change metadata.namespace"
            );
        }
        Ok(())
    }

    /// Returns the request body for the API.
    pub fn request(&self, name: &str) -> impl Serialize + use<> {
        match &self.body {
            Body::Map(schema) => {
                Request { name: name.to_owned(), key: "schema", value: Part::Map(schema.clone()) }
            }
            Body::Spec(written, _) => {
                Request { name: name.to_owned(), key: "spec", value: Part::Spec(written.clone()) }
            }
        }
    }

    /// Returns the spec, to check rows locally.
    pub fn into_spec(self) -> Result<IngestModelSpec> {
        match self.body {
            Body::Spec(_, spec) => Ok(*spec),
            Body::Map(Schema(columns)) => {
                let column = |(name, ty)| ColumnSpec { name, ty, ..ColumnSpec::default() };
                let columns: Vec<ColumnSpec> = columns.into_iter().map(column).collect();
                // Through JSON, so that serde sets the defaults of the other fields.
                Ok(serde_json::from_value(json!({"columns": columns}))?)
            }
        }
    }
}

fn complete_model(map: &Mapping) -> Result<ModelFile> {
    let kind = map.get("kind").and_then(Value::as_str).unwrap_or_default();
    if kind != "IngestModel" {
        bail!("expected kind: IngestModel, found kind: {kind}");
    }
    let text = |key: &str| map.get("metadata")?.get(key)?.as_str().map(str::to_owned);
    let (name, namespace) = (text("name"), text("namespace"));
    let found = map.get("spec").context("the IngestModel has no spec")?;
    Ok(ModelFile { name, namespace, ..spec(found.clone())? })
}

fn spec(written: Value) -> Result<ModelFile> {
    let mut unknown = Vec::new();
    let spec =
        serde_ignored::deserialize(&written, |path| unknown.push(path.to_string())).context("in the spec")?;
    if !unknown.is_empty() {
        bail!(
            "the spec has fields that no IngestModel has: {}; remove them or fix their names",
            unknown.join(", ")
        );
    }
    Ok(ModelFile { body: Body::Spec(written, Box::new(spec)), name: None, namespace: None })
}

fn plain(map: Mapping) -> Result<Schema> {
    let mut columns = Vec::with_capacity(map.len());
    for (name, ty) in map {
        let Value::String(name) = name else { bail!("the name of each column must be text, found {name:?}") };
        let Value::String(ty) = ty else {
            bail!(
                "the type of column '{name}' must be text such as \"UInt32\"; for more than that write `columns: [{{name: {name}, type: …}}]`"
            );
        };
        columns.push((name, ty));
    }
    if columns.is_empty() {
        bail!("there is no column in it");
    }
    Ok(Schema(columns))
}

#[derive(Debug)]
struct Request {
    name: String,
    key: &'static str,
    value: Part,
}

#[derive(Debug)]
enum Part {
    Map(Schema),
    Spec(Value),
}

impl Serialize for Request {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let mut map = to.serialize_map(Some(2))?;
        map.serialize_entry("name", &self.name)?;
        match &self.value {
            Part::Map(schema) => map.serialize_entry(self.key, schema)?,
            Part::Spec(spec) => map.serialize_entry(self.key, spec)?,
        }
        map.end()
    }
}

impl<'a, const N: usize> From<[(&'a str, &'a str); N]> for Schema {
    fn from(pairs: [(&'a str, &'a str); N]) -> Self {
        Self(pairs.into_iter().map(|(name, ty)| (name.to_owned(), ty.to_owned())).collect())
    }
}

impl Serialize for Schema {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_map(self.0.iter().map(|(name, ty)| (name, ty)))
    }
}

impl<'de> Deserialize<'de> for Schema {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Pairs;
        impl<'de> Visitor<'de> for Pairs {
            type Value = Schema;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a map of column names to types")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Schema, A::Error> {
                let mut pairs = Vec::new();
                while let Some(pair) = map.next_entry()? {
                    pairs.push(pair);
                }
                Ok(Schema(pairs))
            }
        }
        from.deserialize_map(Pairs)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(text: &str) -> String {
        serde_json::to_string(&ModelFile::parse(text).unwrap().request("m")).unwrap()
    }

    fn problem(text: &str) -> String {
        format!("{:#}", ModelFile::parse(text).unwrap_err())
    }

    #[test]
    fn a_plain_map_keeps_its_order_in_json_and_in_yaml() {
        let sent = r#"{"name":"m","schema":{"zeta":"String","alpha":"UInt32","mid":"Float64"}}"#;
        assert_eq!(request("{\"zeta\": \"String\",\n\t\"alpha\": \"UInt32\", \"mid\": \"Float64\"}"), sent);
        assert_eq!(request("zeta: String\nalpha: UInt32\nmid: Float64\n"), sent);
        assert_eq!(request("{zeta: String, alpha: UInt32, mid: Float64}"), sent);
    }

    #[test]
    fn a_column_may_be_called_spec_or_columns() {
        assert_eq!(
            request("spec: String\ncolumns: UInt8"),
            r#"{"name":"m","schema":{"spec":"String","columns":"UInt8"}}"#
        );
    }

    #[test]
    fn a_spec_and_a_complete_model_are_sent_in_the_order_of_the_file() {
        let sent = r#"{"name":"m","spec":{"columns":[{"name":"b","type":"String"},{"name":"a","type":"UInt8"}],"rowKey":"a"}}"#;
        let spec = "columns: [{name: b, type: String}, {name: a, type: UInt8}]\nrowKey: a";
        assert_eq!(request(spec), sent);
        let indented = spec.replace('\n', "\n  ");
        assert_eq!(request(&format!("spec:\n  {indented}")), sent);
        let complete_model =
            format!("kind: IngestModel\nmetadata: {{name: m, namespace: shop}}\nspec:\n  {indented}");
        assert_eq!(request(&complete_model), sent);
        let file = ModelFile::parse(&complete_model).unwrap();
        assert!(file.check_names("m", "shop").is_ok());
        assert!(file.check_names("n", "shop").unwrap_err().to_string().contains("the model 'm', not 'n'"));
        assert!(file.check_names("m", "x").unwrap_err().to_string().contains("add -n shop"));
    }

    #[test]
    fn a_misspelt_field_is_named_with_its_path() {
        let text = problem("columns: [{name: a, type: String, nulable: true}]\ninputt: {}");
        assert!(text.contains("columns.0.nulable, inputt"), "{text}");
    }

    #[test]
    fn a_file_without_a_model_is_refused_with_what_was_expected() {
        for (text, part) in [
            ("[1, 2]", "expected a map of column names to types"),
            ("{}", "there is no column in it"),
            ("a: 3", "the type of column 'a' must be text"),
            ("a: {type: String}", "write `columns: [{name: a, type: …}]`"),
            ("kind: Pod", "expected kind: IngestModel, found kind: Pod"),
            ("{\"a\": \"String\", \"a\": \"UInt8\"}", "duplicate"),
            ("columns: [{name: a}]", "missing field `type`"),
        ] {
            let message = problem(text);
            assert!(message.contains(part), "{text}: {message}");
        }
    }

    #[test]
    fn a_plain_map_means_the_same_as_its_spec() {
        let map =
            ModelFile::parse("{\"a\": \"String\", \"b\": \"Nullable(UInt8)\"}").unwrap().into_spec().unwrap();
        let spec =
            ModelFile::parse("columns: [{name: a, type: String}, {name: b, type: Nullable(UInt8)}]").unwrap();
        assert_eq!(map, spec.into_spec().unwrap());
    }
}
