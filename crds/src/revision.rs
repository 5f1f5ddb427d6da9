//! The part of a model's spec that a ControllerRevision stores, and that the rows of a job are checked against.

use serde::{Deserialize, Serialize};

use crate::model::{ColumnSpec, ConstraintsSpec, IngestModelSpec, InputSpec};

/// The data of a ControllerRevision.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RevisionData {
    /// The columns, in the table's order.
    pub columns: Vec<ColumnSpec>,
    /// The column that identifies a rejected row.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub row_key: Option<String>,
    /// How files are read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub input: Option<InputSpec>,
}

/// Why a model's schema cannot be used. The message names the field and the allowed values.
#[derive(Debug, thiserror::Error)]
pub enum SchemaProblem {
    /// The type of a column is wrong.
    #[error("spec.columns[{index}] ('{column}'): {source}")]
    Type {
        /// Position in `spec.columns`.
        index: usize,
        /// The column.
        column: String,
        /// What is wrong.
        source: rows_types::TypeError,
    },
    /// The columns do not fit together.
    #[error("spec.columns: {0}")]
    Schema(#[from] rows_types::SchemaError),
    /// A field of `input` is wrong.
    #[error("spec.input.{field}: {why}")]
    Input {
        /// The field.
        field: &'static str,
        /// What is wrong.
        why: &'static str,
    },
}

impl From<&IngestModelSpec> for RevisionData {
    fn from(spec: &IngestModelSpec) -> Self {
        Self { columns: spec.columns.clone(), row_key: spec.row_key.clone(), input: spec.input.clone() }
    }
}

impl RevisionData {
    /// Returns the columns for the row engine. Their names and types are checked; `rows_check::Columns::compile` checks
    /// defaults, formats, constraints and policies.
    pub fn schema(&self) -> Result<rows_types::Schema, SchemaProblem> {
        let columns = self.columns.iter().enumerate().map(|(index, c)| column(index, c));
        Ok(rows_types::Schema::new(columns.collect::<Result<_, _>>()?, self.row_key.as_deref())?)
    }

    /// Returns how a file is read. The job's fields override the model's, which override the defaults.
    pub fn input(&self, job: Option<&InputSpec>) -> Result<rows_types::Input, SchemaProblem> {
        let mut input = rows_types::Input::default();
        let layers: Vec<&InputSpec> = self.input.iter().chain(job).collect();
        // The format comes first, because it determines the default delimiter.
        if let Some(format) = layers.iter().rev().find_map(|l| l.format) {
            input.format = format;
            if input.format == rows_types::Format::Tsv {
                input.delimiter = '\t';
            }
        }
        for layer in layers {
            overlay(&mut input, layer)?;
        }
        match input.problem() {
            Some((field, why)) => Err(SchemaProblem::Input { field, why }),
            None => Ok(input),
        }
    }
}

fn column(index: usize, spec: &ColumnSpec) -> Result<rows_types::Column, SchemaProblem> {
    let problem = |source| SchemaProblem::Type { index, column: spec.name.clone(), source };
    let ty = rows_types::Type::parse(&spec.ty).map_err(problem)?;
    Ok(rows_types::Column {
        name: spec.name.clone(),
        ty: if spec.nullable { ty.nullable().map_err(problem)? } else { ty },
        aliases: spec.aliases.clone(),
        default: spec.default.clone(),
        format: spec.format.clone(),
        constraints: spec.constraints.as_ref().map(constraints).unwrap_or_default(),
        policies: spec.policies(),
    })
}

fn constraints(spec: &ConstraintsSpec) -> rows_types::Constraints {
    rows_types::Constraints {
        min: spec.min,
        max: spec.max,
        min_length: spec.min_length,
        max_length: spec.max_length,
        pattern: spec.pattern.clone(),
        one_of: spec.one_of.clone(),
    }
}

fn overlay(input: &mut rows_types::Input, layer: &InputSpec) -> Result<(), SchemaProblem> {
    if let Some(header) = layer.header {
        input.header = header;
    }
    if let Some(text) = &layer.delimiter {
        input.delimiter = one_ascii("delimiter", text)?;
    }
    if let Some(text) = &layer.quote {
        input.quote = one_ascii_or_none("quote", text)?.unwrap_or('\0');
    }
    if let Some(text) = &layer.escape {
        input.escape = one_ascii_or_none("escape", text)?;
    }
    if let Some(text) = &layer.comment {
        input.comment = one_ascii_or_none("comment", text)?;
    }
    if let Some(values) = &layer.null_values {
        input.null_values.clone_from(values);
    }
    input.unknown_columns = layer.unknown_columns.unwrap_or(input.unknown_columns);
    input.line_end = layer.line_end.unwrap_or(input.line_end);
    input.header_case = layer.header_case.unwrap_or(input.header_case);
    input.columns_by = layer.columns_by.unwrap_or(input.columns_by);
    Ok(())
}

fn one_ascii_or_none(field: &'static str, text: &str) -> Result<Option<char>, SchemaProblem> {
    if text.is_empty() { Ok(None) } else { one_ascii(field, text).map(Some) }
}

fn one_ascii(field: &'static str, text: &str) -> Result<char, SchemaProblem> {
    let mut chars = text.chars();
    match (chars.next(), chars.next()) {
        (Some(c), None) if c.is_ascii() && !matches!(c, '\n' | '\r' | '\0') => Ok(c),
        _ => Err(SchemaProblem::Input { field, why: "must be one ASCII character, and no line end" }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn revision(yaml: &str) -> RevisionData {
        serde_yaml::from_str(yaml).unwrap()
    }

    #[test]
    fn a_wrong_type_is_named_with_its_column() {
        let problem =
            revision("columns: [{name: a, type: String}, {name: b, type: Flot64}]").schema().unwrap_err();
        let text = problem.to_string();
        assert!(text.starts_with("spec.columns[1] ('b'): ") && text.contains("Flot64"), "{text}");
    }

    #[test]
    fn every_policy_of_a_column_reaches_the_row_engine() {
        let policies = |yaml: &str| revision(yaml).schema().map(|s| s.columns()[0].policies);
        let default = rows_types::Policies::default();
        for (yaml, expected) in [
            (
                "type: UInt8, onOverflow: clamp",
                rows_types::Policies { on_overflow: rows_types::OnOverflow::Clamp, ..default },
            ),
            (
                "type: Float32, nonFinite: accept",
                rows_types::Policies { non_finite: rows_types::NonFinite::Accept, ..default },
            ),
            (
                "type: 'Decimal(9, 2)', onPrecisionLoss: round",
                rows_types::Policies { on_precision_loss: rows_types::OnPrecisionLoss::Round, ..default },
            ),
            (
                "type: Int8, integralFloats: accept",
                rows_types::Policies { integral_floats: rows_types::IntegralFloats::Accept, ..default },
            ),
            (
                "type: String, onInvalidUtf8: replace",
                rows_types::Policies { on_invalid_utf8: rows_types::OnInvalidUtf8::Replace, ..default },
            ),
            ("type: String", default),
        ] {
            assert_eq!(policies(&format!("columns: [{{name: a, {yaml}}}]")).unwrap(), expected, "{yaml}");
        }
    }

    #[test]
    fn the_input_of_a_job_overrides_that_of_the_model() {
        let model = revision("columns: [{name: a, type: String}]\ninput: {delimiter: ';', header: false}");
        let job: InputSpec = serde_yaml::from_str("{header: true, nullValues: [NA]}").unwrap();
        let input = model.input(Some(&job)).unwrap();
        assert_eq!((input.delimiter, input.header, input.null_values), (';', true, vec!["NA".to_owned()]));
    }

    #[test]
    fn tsv_has_tabs_unless_another_delimiter_is_set() {
        let model = revision("columns: [{name: a, type: String}]\ninput: {format: TSV}");
        assert_eq!(model.input(None).unwrap().delimiter, '\t');
    }

    #[test]
    fn every_setting_of_a_model_reaches_the_row_engine_and_a_job_may_override_it() {
        let model = revision(
            r##"{columns: [{name: a, type: String}], input: {format: TSV, quote: "", escape: "\\", comment: "#",
                 lineEnd: any, headerCase: ignore, columnsBy: position, unknownColumns: ignore, nullValues: []}}"##,
        );
        let expected = rows_types::Input {
            format: rows_types::Format::Tsv,
            header: true,
            delimiter: '\t',
            quote: '\0',
            escape: Some('\\'),
            comment: Some('#'),
            line_end: rows_types::LineEnd::Any,
            header_case: rows_types::HeaderCase::Ignore,
            columns_by: rows_types::ColumnsBy::Position,
            null_values: vec![],
            unknown_columns: rows_types::UnknownColumns::Ignore,
        };
        assert_eq!(model.input(None).unwrap(), expected);
        let job: InputSpec = serde_yaml::from_str(
            r#"{format: JSON, quote: "\"", escape: "", comment: "", lineEnd: lf, headerCase: exact,
                 columnsBy: name, unknownColumns: reject, nullValues: [""]}"#,
        )
        .unwrap();
        let plain = rows_types::Input { format: rows_types::Format::Json, ..rows_types::Input::default() };
        assert_eq!(model.input(Some(&job)).unwrap(), plain);
    }

    #[test]
    fn characters_that_are_invalid_or_ambiguous_are_refused_with_their_field() {
        for (input, expected) in [
            ("{delimiter: '\"'}", "spec.input.delimiter: must not be the quote character"),
            ("{delimiter: ''}", "spec.input.delimiter: must be one ASCII character, and no line end"),
            ("{escape: '\\\\'}", "spec.input.escape: must be one ASCII character, and no line end"),
            ("{escape: ','}", "spec.input.escape: must not be the delimiter"),
            ("{comment: é}", "spec.input.comment: must be one ASCII character, and no line end"),
        ] {
            let model = revision(&format!("{{columns: [{{name: a, type: String}}], input: {input}}}"));
            assert_eq!(model.input(None).unwrap_err().to_string(), expected, "{input}");
        }
    }
}
