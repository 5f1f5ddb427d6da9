//! Removes personal data from what is shown of bad cells.

use std::borrow::Cow;
use std::collections::HashMap;

use crds::model::{ColumnSpec, Pii};

/// What may be shown of each column.
#[derive(Clone, Debug, Default)]
pub struct Privacy {
    /// The columns of which something must be hidden.
    hidden: HashMap<String, Pii>,
    /// The policy of the column that identifies a row.
    row_key: Pii,
}

impl Privacy {
    /// Makes the policies from the columns of a model. `row_key` is the column that identifies a row.
    #[must_use]
    pub fn of(columns: &[ColumnSpec], row_key: &str) -> Self {
        let hidden: HashMap<String, Pii> =
            columns.iter().filter(|c| c.pii != Pii::None).map(|c| (c.name.clone(), c.pii)).collect();
        Self { row_key: hidden.get(row_key).copied().unwrap_or_default(), hidden }
    }

    /// Returns what may be shown of the value that identifies the row.
    #[must_use]
    pub fn event_id<'a>(&self, text: &'a str) -> Cow<'a, str> {
        show(self.row_key, text)
    }

    /// Returns what may be shown of the text of a bad cell. If the column is not of the model (a record that cannot be
    /// split, an unknown key), the text may be of any column: it is shown only if no column of the model is hidden.
    #[must_use]
    pub fn observed<'a>(&self, column: &str, known: bool, text: &'a str) -> Cow<'a, str> {
        show(self.rule(column, known), text)
    }

    /// Returns the message about a bad cell, without the text of the cell if that must not be shown.
    #[must_use]
    pub fn message<'a>(&self, column: &str, known: bool, observed: &str, message: &'a str) -> Cow<'a, str> {
        let rule = self.rule(column, known);
        if rule == Pii::None || observed.is_empty() || !message.contains(observed) {
            return Cow::Borrowed(message);
        }
        Cow::Owned(message.replace(observed, if rule == Pii::Mask { "(masked)" } else { "(hidden)" }))
    }

    /// Returns the raw record. All of it is hidden if a part of it must be.
    #[must_use]
    pub fn record<'a>(&self, record: &'a str) -> &'a str {
        if self.hidden.is_empty() { record } else { "" }
    }

    /// Returns what may be shown of a sample in the status. The sample is masked already.
    #[must_use]
    pub fn sample<'a>(&self, column: &str, known: bool, sample: &'a str) -> &'a str {
        if self.rule(column, known) == Pii::Drop { "" } else { sample }
    }

    fn rule(&self, column: &str, known: bool) -> Pii {
        match self.hidden.get(column) {
            Some(rule) => *rule,
            None if known || self.hidden.is_empty() => Pii::None,
            None => Pii::Drop,
        }
    }
}

fn show(rule: Pii, text: &str) -> Cow<'_, str> {
    match rule {
        Pii::None => Cow::Borrowed(text),
        Pii::Mask => Cow::Owned(rows_types::mask(text)),
        Pii::Drop => Cow::Borrowed(""),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn column(name: &str, pii: Pii) -> ColumnSpec {
        ColumnSpec { name: name.into(), ty: "String".into(), pii, ..ColumnSpec::default() }
    }

    fn privacy() -> Privacy {
        Privacy::of(&[column("id", Pii::Mask), column("mail", Pii::Drop), column("amount", Pii::None)], "id")
    }

    #[test]
    fn a_cell_is_shown_masked_or_dropped_as_its_column_specifies() {
        let privacy = privacy();
        assert_eq!(privacy.observed("id", true, "Ab-12"), "Aa-99");
        assert_eq!(privacy.observed("mail", true, "a@b.c"), "");
        assert_eq!(privacy.observed("amount", true, "12.x"), "12.x");
        assert_eq!(privacy.event_id("Ab-12"), "Aa-99");
    }

    #[test]
    fn a_record_with_a_hidden_column_is_hidden_completely() {
        assert_eq!(privacy().record("Ab-12,a@b.c,12.x"), "");
        assert_eq!(Privacy::of(&[column("a", Pii::None)], "a").record("x"), "x");
    }

    #[test]
    fn text_that_belongs_to_no_column_is_hidden_if_any_column_is() {
        assert_eq!(privacy().observed("", false, "Ab-12,a@b.c"), "");
        assert_eq!(Privacy::default().observed("", false, "1,2"), "1,2");
    }

    #[test]
    fn a_message_does_not_contain_a_cell_that_must_not_be_shown() {
        let privacy = privacy();
        assert_eq!(privacy.message("mail", true, "a@b.c", "'a@b.c' is no number"), "'(hidden)' is no number");
        assert_eq!(privacy.message("amount", true, "12.x", "'12.x' is no number"), "'12.x' is no number");
    }

    #[test]
    fn a_sample_of_a_dropped_column_is_empty() {
        assert_eq!(
            (privacy().sample("mail", true, "a@a.a"), privacy().sample("id", true, "Aa-99")),
            ("", "Aa-99")
        );
    }
}
