//! What the arrays and objects of a JSON column have in common, and the type that holds them.

use serde_json::Value;

/// What was seen.
#[derive(Debug, Default)]
pub(crate) struct Elements {
    whole: bool,
    negative: bool,
    fractions: bool,
    bools: bool,
    strings: bool,
    nulls: bool,
    pub objects: bool,
    arrays: Option<Box<Elements>>,
}

impl Elements {
    pub(crate) fn add(&mut self, value: &Value) {
        match value {
            Value::Null => self.nulls = true,
            Value::Bool(_) => self.bools = true,
            Value::Number(n) if n.is_u64() => self.whole = true,
            Value::Number(n) if n.is_i64() => (self.whole, self.negative) = (true, true),
            Value::Number(_) => self.fractions = true,
            Value::String(_) => self.strings = true,
            Value::Object(_) => self.objects = true,
            Value::Array(values) => {
                let elements = self.arrays.get_or_insert_default();
                values.iter().for_each(|value| elements.add(value));
            }
        }
    }

    /// The type of a value among these; `None`: no type holds them all.
    pub(crate) fn ty(&self) -> Option<String> {
        let numbers = self.whole || self.fractions;
        let scalars = numbers || self.bools || self.strings;
        match (&self.arrays, self.objects) {
            (Some(elements), false) if !scalars && !self.nulls => {
                return elements.ty().map(|ty| format!("Array({ty})"));
            }
            (None, true) if !scalars && !self.nulls => return Some("JSON".to_owned()),
            (None, false) => {}
            _ => return None,
        }
        let ty = match (numbers, self.bools, self.strings) {
            (true, false, false) if self.fractions => "Float64",
            (true, false, false) if self.negative => "Int64",
            (true, false, false) => "UInt64",
            (false, true, false) => "Bool",
            // Numbers among texts are kept as they are written.
            _ => "String",
        };
        Some(if self.nulls { format!("Nullable({ty})") } else { ty.to_owned() })
    }
}
