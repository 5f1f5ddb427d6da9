//! What the arrays and objects of a JSON column have in common, and the type that holds them.

use serde_json::Value;

/// Which kinds of values occur.
#[derive(Debug, Default)]
#[allow(clippy::struct_excessive_bools, reason = "each is a thing that was seen or was not")]
pub(crate) struct Elements {
    whole: bool,
    negative: bool,
    /// Whether some whole number is beyond `Int64`.
    big: bool,
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
            Value::Number(n) if n.is_i64() => {
                self.whole = true;
                self.negative |= !n.is_u64();
            }
            Value::Number(n) if n.is_u64() => (self.whole, self.big) = (true, true),
            Value::Number(_) => self.fractions = true,
            Value::String(_) => self.strings = true,
            Value::Object(_) => self.objects = true,
            Value::Array(values) => {
                let elements = self.arrays.get_or_insert_default();
                for value in values {
                    elements.add(value);
                }
            }
        }
    }

    /// A type that holds all the values. `None` if no type does.
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
            (true, false, false) if self.big && self.negative => "Int128",
            (true, false, false) if self.big => "UInt64",
            (true, false, false) => "Int64",
            (false, true, false) => "Bool",
            // Numbers that are mixed with texts are kept as they are written.
            _ => "String",
        };
        Some(if self.nulls { format!("Nullable({ty})") } else { ty.to_owned() })
    }
}
