//! What the numbers of a column have in common, and the type that holds them.
#![allow(clippy::cast_possible_wrap, reason = "the digits of a number are fewer than 2^63")]

use rows_bytes::text::is_json_number;

/// The statistics of a column's cells, which are added as texts.
#[derive(Debug, Default)]
#[allow(clippy::struct_excessive_bools, reason = "each is a thing that was seen or was not")]
pub(crate) struct Numbers {
    /// Whether some cell is no number.
    pub broken: bool,
    seen: bool,
    min: i128,
    max: i128,
    exponent: bool,
    /// Whether the integer part of some number is beyond `Int128`.
    huge: bool,
    whole_digits: usize,
    fraction: Option<(usize, usize)>,
    /// Whether some number is another one after conversion to `Float64` and back.
    inexact: bool,
    /// A text that no program writes for a number, such as `12E5` or `1.10`. It may be an identifier or a version.
    unusual: Option<String>,
}

impl Numbers {
    pub(crate) fn add(&mut self, text: &str) {
        if self.broken {
            return;
        }
        if !is_json_number(text.as_bytes()) {
            self.broken = true;
            return;
        }
        let mantissa = text.split(['e', 'E']).next().unwrap_or_default();
        self.exponent |= mantissa.len() != text.len();
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        self.whole_digits = self.whole_digits.max(whole.trim_start_matches('-').len());
        let places = fraction.len();
        let (least, most) = self.fraction.unwrap_or((places, places));
        self.fraction = Some((least.min(places), most.max(places)));
        match whole.parse::<i128>() {
            Ok(n) if !self.seen => (self.min, self.max) = (n, n),
            Ok(n) => (self.min, self.max) = (self.min.min(n), self.max.max(n)),
            Err(_) => self.huge = true,
        }
        self.seen = true;
        self.inexact |= !survives_float64(text);
        if self.unusual.is_none() && !is_usual(text) {
            self.unusual = Some(text.to_owned());
        }
    }

    pub(crate) fn all(&self) -> bool {
        self.seen && !self.broken
    }

    pub(crate) fn is_whole(&self) -> bool {
        !self.exponent && self.fraction == Some((0, 0))
    }

    /// The minimum and maximum, if all are whole numbers that `Int128` holds.
    pub(crate) fn range(&self) -> Option<(i128, i128)> {
        (self.all() && self.is_whole() && !self.huge).then_some((self.min, self.max))
    }

    /// Why the column is text although all its cells are numbers.
    pub(crate) fn text_note(&self) -> String {
        match &self.unusual {
            Some(text) => format!(
                "text, because a number would not keep the form of {text}; Float64 if these are numbers"
            ),
            None => "no number type keeps all digits".to_owned(),
        }
    }

    /// The type, and a note on it. `None`: only text keeps every digit, or the form of every number.
    pub(crate) fn ty(&self, json: bool) -> Option<(String, Option<String>)> {
        if self.is_whole() {
            return (!self.huge).then(|| (whole(self.min, self.max).to_owned(), None));
        }
        let (least, most) = self.fraction.unwrap_or_default();
        if self.exponent && self.unusual.is_some() && !json {
            return None;
        }
        if least == most && least >= 2 && !self.exponent && !json {
            let note = format!("always {least} fraction digits; a value with more is rejected");
            // Three digits more than in the sample, for larger values.
            return decimal(self.whole_digits + 3, least).map(|ty| (ty, Some(note)));
        }
        if self.unusual.is_some() && !json {
            return None;
        }
        if !self.inexact {
            return Some(("Float64".to_owned(), None));
        }
        let note = "Float64 would lose digits".to_owned();
        if self.exponent { None } else { decimal(self.whole_digits + 3, most).map(|ty| (ty, Some(note))) }
    }
}

/// Whether a program writes a number so: a fraction has no zero at its end (except `.0`), and a power of ten has one
/// digit before the point, and a fraction or a sign in its exponent.
fn is_usual(text: &str) -> bool {
    let unsigned = text.trim_start_matches('-');
    let Some((mantissa, exponent)) = unsigned.split_once(['e', 'E']) else {
        let fraction = unsigned.split_once('.').map_or("", |(_, fraction)| fraction);
        return fraction == "0" || !fraction.ends_with('0');
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    whole.len() == 1 && whole != "0" && (!fraction.is_empty() || exponent.starts_with(['+', '-']))
}

/// The narrowest type that holds the range, then one size up, unless it has 64 bits or more.
fn whole(min: i128, max: i128) -> &'static str {
    let within = |low: i128, high: i128| min >= low && max <= high;
    if min >= 0 {
        return match max {
            0..=0xff => "UInt16",
            0x100..=0xffff => "UInt32",
            0x1_0000..=0xffff_ffff_ffff_ffff => "UInt64",
            _ => "UInt128",
        };
    }
    if within(-0x80, 0x7f) {
        "Int16"
    } else if within(-0x8000, 0x7fff) {
        "Int32"
    } else if within(i64::MIN.into(), i64::MAX.into()) {
        "Int64"
    } else {
        "Int128"
    }
}

fn decimal(whole: usize, fraction: usize) -> Option<String> {
    let precision = [18, 38, 76].into_iter().find(|p| whole + fraction <= *p)?;
    Some(format!("Decimal({precision}, {fraction})"))
}

/// Whether the shortest text of the nearest `Float64` is this number.
fn survives_float64(text: &str) -> bool {
    let Ok(value) = text.parse::<f64>() else { return false };
    value.is_finite() && digits(text) == digits(&format!("{value:e}"))
}

/// The sign, the digits without leading and trailing zeros, and the power of ten of the last digit.
fn digits(text: &str) -> Option<(bool, String, i64)> {
    let (mantissa, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
    let (negative, mantissa) = match mantissa.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, mantissa),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let all = format!("{whole}{fraction}");
    let kept = all.trim_end_matches('0');
    let power = exponent.parse::<i64>().ok()? - fraction.len() as i64 + (all.len() - kept.len()) as i64;
    let kept = kept.trim_start_matches('0');
    Some(if kept.is_empty() { (negative, String::new(), 0) } else { (negative, kept.to_owned(), power) })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ty(texts: &[&str]) -> Option<String> {
        let mut numbers = Numbers::default();
        for text in texts {
            numbers.add(text);
        }
        assert!(numbers.all());
        numbers.ty(false).map(|(ty, _)| ty)
    }

    #[test]
    fn whole_numbers_get_one_size_more_than_the_sample_needs() {
        for (texts, expected) in [
            (&["0", "255"][..], "UInt16"),
            (&["256"], "UInt32"),
            (&["65536"], "UInt64"),
            (&["18446744073709551615"], "UInt64"),
            (&["18446744073709551616"], "UInt128"),
            (&["-1", "127"], "Int16"),
            (&["-1", "128"], "Int32"),
            (&["-1", "32768"], "Int64"),
            (&["-1", "9223372036854775808"], "Int128"),
        ] {
            assert_eq!(ty(texts).as_deref(), Some(expected), "{texts:?}");
        }
        assert_eq!(ty(&["9".repeat(40).as_str()]), None);
    }

    #[test]
    fn fractions_are_decimals_only_where_all_have_as_many_digits() {
        for (texts, expected) in [
            (&["12.50", "8.00"][..], Some("Decimal(18, 2)")),
            (&["12.5", "8.0"], Some("Float64")),
            (&["12.50", "8"], None),
            (&["1.10", "1.20", "1.9"], None),
            (&["12E5", "45E7"], None),
            (&["1e10", "9e2", "123e4"], None),
            (&["1.5e3", "0.25", "1e-05"], Some("Float64")),
            (&["1.200000e+06", "2.500000e+06"], Some("Float64")),
            (&["0.1000000000000000055", "1.5"], Some("Decimal(38, 19)")),
            (&["1234567890123456.78"], Some("Decimal(38, 2)")),
            (&["1.00000000000000000001e5"], None),
            (&["1e999"], None),
        ] {
            assert_eq!(ty(texts).as_deref(), expected, "{texts:?}");
        }
    }
}
