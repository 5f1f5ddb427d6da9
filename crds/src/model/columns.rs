//! The columns of a model: types, bounds, and which changes are allowed.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{IntegralFloats, NonFinite, OnInvalidUtf8, OnOverflow, OnPrecisionLoss};

/// One column of the table, and how its cells are checked.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("!(self.name in ['_job', '_row', 'job_in', 'row_in'])")
    .message("_job, _row, job_in and row_in are the names of the lineage columns that every table has"))]
#[x_kube(validation = Rule::new(WIDENING)
    .message("the type of a column can only be widened (UInt8 to UInt16, UInt32 or UInt64, likewise Int; Float32 to Float64): the table holds data"))]
#[x_kube(validation = Rule::new("!oldSelf.nullable || self.nullable")
    .message("a nullable column stays nullable: the table may hold NULLs"))]
pub struct ColumnSpec {
    /// The column's name in the table, and in a file's header.
    #[schemars(length(min = 1, max = 128), regex(pattern = "^[A-Za-z_][A-Za-z0-9_]*$"))]
    pub name: String,

    /// A ClickHouse type, such as `UInt32`, `DateTime64(3)`, `Enum8('a' = 1, 'b' = 2)` or `Array(String)`.
    #[serde(rename = "type")]
    #[schemars(length(min = 1, max = 1024))]
    pub ty: String,

    /// Whether the column can be NULL: `Nullable(T)`.
    #[serde(default)]
    pub nullable: bool,

    /// The value of an absent or empty cell, written as in a file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024))]
    pub default: Option<String>,

    /// Other names the column may have in a file's header.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16), inner(length(min = 1, max = 128)))]
    pub aliases: Vec<String>,

    /// How a date or time is written: a strptime pattern (`%d.%m.%Y`), or `epoch_seconds`, `epoch_millis`,
    /// `epoch_micros`, `epoch_nanos`. Default: ISO 8601. Each directive reads one form: `%d` two digits, `%-d` one or
    /// two, `%z` an offset or `Z`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 64))]
    pub format: Option<String>,

    /// Bounds beyond those of the type.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub constraints: Option<ConstraintsSpec>,

    /// Whether observed values of the column may be shown when a cell is rejected.
    #[serde(default, skip_serializing_if = "is_default")]
    pub pii: Pii,

    /// What happens to a number beyond the type's range.
    #[serde(default, skip_serializing_if = "is_default")]
    pub on_overflow: OnOverflow,

    /// What happens to `nan`, `inf` and `infinity` in a column of floats. A NaN makes the results of `min` and `max`
    /// wrong.
    #[serde(default, skip_serializing_if = "is_default")]
    pub non_finite: NonFinite,

    /// What happens to a decimal with more fractional digits than its type has, and to a date with a time of day.
    #[serde(default, skip_serializing_if = "is_default")]
    pub on_precision_loss: OnPrecisionLoss,

    /// What happens to an integer that is written with a fraction or an exponent (`1.0`, `1e3`) in a column of
    /// integers.
    #[serde(default, skip_serializing_if = "is_default")]
    pub integral_floats: IntegralFloats,

    /// What happens to bytes in a String that are not UTF-8.
    #[serde(default, skip_serializing_if = "is_default")]
    pub on_invalid_utf8: OnInvalidUtf8,

    /// What the column means. It becomes the comment of the column in ClickHouse.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024))]
    pub description: Option<String>,
}

/// The type changes that keep every stored value. The `ALTER` statements of `operator` make the same changes.
const WIDENING: &str = "self.type == oldSelf.type \
    || (oldSelf.type == 'UInt8' && self.type in ['UInt16', 'UInt32', 'UInt64']) \
    || (oldSelf.type == 'UInt16' && self.type in ['UInt32', 'UInt64']) \
    || (oldSelf.type == 'UInt32' && self.type == 'UInt64') \
    || (oldSelf.type == 'Int8' && self.type in ['Int16', 'Int32', 'Int64']) \
    || (oldSelf.type == 'Int16' && self.type in ['Int32', 'Int64']) \
    || (oldSelf.type == 'Int32' && self.type == 'Int64') \
    || (oldSelf.type == 'Float32' && self.type == 'Float64')";

/// Bounds on the values of a column.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("!has(self.min) || !has(self.max) || self.min <= self.max")
    .message("min must not be greater than max"))]
#[x_kube(validation = Rule::new("!has(self.minLength) || !has(self.maxLength) || self.minLength <= self.maxLength")
    .message("minLength must not be greater than maxLength"))]
pub struct ConstraintsSpec {
    /// The smallest number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min: Option<f64>,
    /// The largest number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max: Option<f64>,
    /// The smallest length of a text, in characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 1_048_576))]
    pub min_length: Option<u32>,
    /// The largest length of a text, in characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 1_048_576))]
    pub max_length: Option<u32>,
    /// A regular expression that must match a part of the text (anchor it with `^` and `$` to match all of it).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 512))]
    pub pattern: Option<String>,
    /// The only texts that are allowed.
    #[serde(default, rename = "enum", skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 256), inner(length(max = 256)))]
    pub one_of: Vec<String>,
}

/// Whether observed values of a column may be shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Pii {
    /// Shown in `rejected_rows`, masked in the status.
    #[default]
    None,
    /// Masked everywhere: letters become `a`, digits `9`.
    Mask,
    /// Shown nowhere.
    Drop,
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}
