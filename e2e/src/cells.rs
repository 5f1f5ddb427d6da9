//! Cells of every type for the differential test: valid cells, edge cases, and texts that are nearly valid. The seed
//! makes the cells the same in every run.

#![allow(
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    reason = "numbers below a bound that is small"
)]

use rows_types::{Base, Scalar, Type};

use crate::data::Numbers;

/// Generates cells.
#[derive(Debug)]
pub struct Cells(Numbers);

impl Cells {
    /// Makes a generator whose cells depend only on the seed.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self(Numbers::new(seed))
    }

    fn next(&mut self) -> u64 {
        self.0.below(u64::MAX)
    }

    fn below(&mut self, n: u64) -> u64 {
        self.0.below(n)
    }

    fn one_of<'a>(&mut self, of: &[&'a str]) -> &'a str {
        of[self.below(of.len() as u64) as usize]
    }

    /// Returns a text for a column of the type. A quarter of the texts have one changed character. No text has a line
    /// end.
    pub fn cell(&mut self, ty: &Type) -> String {
        let text = self.valid(ty);
        if self.below(4) == 0 { self.mutated(&text) } else { text }
    }

    /// Replaces, inserts or removes one character.
    fn mutated(&mut self, text: &str) -> String {
        const CHARACTERS: &[&str] = &[
            "0", "1", "9", "+", "-", ".", ":", "e", "E", "T", "Z", " ", "a", "f", "x", "_", "/", "é", "'",
            "[", "]",
        ];
        let mut chars: Vec<char> = text.chars().collect();
        let at = self.below(chars.len() as u64 + 1) as usize;
        let new = self.one_of(CHARACTERS).chars().next().unwrap_or('0');
        match self.below(3) {
            0 => chars.insert(at, new),
            1 if at < chars.len() => chars[at] = new,
            _ if at < chars.len() => drop(chars.remove(at)),
            _ => chars.push(new),
        }
        chars.into_iter().collect()
    }

    fn valid(&mut self, ty: &Type) -> String {
        match &ty.base {
            Base::Scalar(scalar) => self.value(scalar),
            Base::Array(element) => self.list("[", "]", element),
            // only the cells of the fidelity table are compared
            Base::Tuple(_) | Base::Map(..) => String::new(),
        }
    }

    fn value(&mut self, scalar: &Scalar) -> String {
        match scalar {
            Scalar::Bool => self.one_of(&["true", "false", "1", "0", "True", "TRUE"]).to_owned(),
            Scalar::Int8
            | Scalar::Int16
            | Scalar::Int32
            | Scalar::Int64
            | Scalar::Int128
            | Scalar::Int256
            | Scalar::UInt8
            | Scalar::UInt16
            | Scalar::UInt32
            | Scalar::UInt64
            | Scalar::UInt128
            | Scalar::UInt256 => self.integer(scalar.width().map_or(64, |width| 8 * width as u32)),
            Scalar::Float32 | Scalar::Float64 | Scalar::BFloat16 => self.float(),
            Scalar::Decimal(..) => self.decimal(),
            Scalar::Date | Scalar::Date32 => self.day(),
            Scalar::DateTime(_) | Scalar::DateTime64(..) => self.moment(),
            Scalar::Time | Scalar::Time64(_) => self.time(),
            Scalar::Uuid => self.uuid(),
            Scalar::Ipv4 => self.ipv4(),
            Scalar::Ipv6 => self.ipv6(),
            Scalar::Enum8(_) | Scalar::Enum16(_) => {
                self.one_of(&["red", "deep blue", "low", "high", "7"]).to_owned()
            }
            Scalar::String | Scalar::FixedString(_) => self.text(),
            // as for tuples and maps
            Scalar::Json => String::new(),
        }
    }

    /// Returns an integer with any number of digits that the type can hold, or an edge value of any integer type.
    fn integer(&mut self, bits: u32) -> String {
        let sign = if self.below(3) == 0 { "-" } else { "" };
        let number = match self.below(3) {
            // near a power of two
            0 if bits <= 64 => {
                let edge = 1u128 << (bits - self.below(2) as u32);
                (edge + u128::from(self.below(5))).saturating_sub(2).to_string()
            }
            1 => self.below(1000).to_string(),
            _ => {
                let most = u64::from(bits) * 3 / 10 + 2;
                let length = 1 + self.below(most);
                self.digits(length)
            }
        };
        format!("{sign}{number}")
    }

    fn digits(&mut self, length: u64) -> String {
        let first = 1 + self.below(9);
        (1..length).fold(first.to_string(), |text, _| text + &self.below(10).to_string())
    }

    fn float(&mut self) -> String {
        let bits = self.next();
        let (wide, narrow) = (f64::from_bits(bits), f32::from_bits(bits as u32));
        match self.below(6) {
            0 if wide.is_finite() => format!("{wide:e}"),
            1 if narrow.is_finite() => format!("{narrow:e}"),
            // halfway between two floats
            2 => format!("{}.5", (1u64 << 53) + 2 * self.below(1000) + 1),
            3 => format!("{}", narrow_or_zero(narrow)),
            4 => {
                let (integer, fraction) = (self.below(25) + 1, self.below(25) + 1);
                format!("{}.{}e{}", self.digits(integer), self.digits(fraction), self.below(600) as i64 - 300)
            }
            _ => self.decimal(),
        }
    }

    fn decimal(&mut self) -> String {
        let sign = if self.below(3) == 0 { "-" } else { "" };
        let (integer, fraction) = (self.below(9) + 1, self.below(6));
        let integer = if self.below(5) == 0 { "0".to_owned() } else { self.digits(integer) };
        let fraction = if fraction == 0 { String::new() } else { format!(".{}", self.digits(fraction)) };
        format!("{sign}{integer}{fraction}")
    }

    /// Returns a day with a year around the ranges of all types. Sometimes the day does not exist in its month.
    fn day(&mut self) -> String {
        let year = match self.below(4) {
            0 => 1890 + self.below(420),
            1 => 2145 + self.below(10),
            _ => 1965 + self.below(150),
        };
        format!("{year:04}-{:02}-{:02}", self.below(14), self.below(32))
    }

    fn moment(&mut self) -> String {
        if self.below(6) == 0 {
            let fraction = self.one_of(&["", ".0", ".5", ".123", ".1234567"]);
            let length = 8 + self.below(4);
            return self.digits(length) + fraction;
        }
        let (hour, minute, second) = (self.below(25), self.below(61), self.below(61));
        let fraction = self.one_of(&["", "", ".5", ".000", ".123", ".123456789"]);
        let zone = self.one_of(&["", "", "Z", "+02:00", "-05:30"]);
        format!("{}{}{hour:02}:{minute:02}:{second:02}{fraction}{zone}", self.day(), self.one_of(&[" ", "T"]))
    }

    fn time(&mut self) -> String {
        let hours = if self.below(3) == 0 { self.below(1100) } else { self.below(25) };
        let sign = if self.below(5) == 0 { "-" } else { "" };
        let fraction = self.one_of(&["", "", ".5", ".000", ".123", ".1234"]);
        format!("{sign}{hours:02}:{:02}:{:02}{fraction}", self.below(61), self.below(61))
    }

    fn uuid(&mut self) -> String {
        let hex = format!("{:016x}{:016x}", self.next(), self.next());
        let text = format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]);
        if self.below(4) == 0 { text.to_uppercase() } else { text }
    }

    fn ipv4(&mut self) -> String {
        let part: Vec<String> = (0..4).map(|_| self.below(260).to_string()).collect();
        part.join(".")
    }

    fn ipv6(&mut self) -> String {
        let address = std::net::Ipv6Addr::from_bits(u128::from(self.next()) << 64 | u128::from(self.next()));
        match self.below(5) {
            0 => format!("::ffff:{}", self.ipv4()),
            1 => format!("{:x}::{:x}", self.below(0x10000), self.below(0x10000)),
            2 => format!("{}::", &address.to_string()[..9].trim_end_matches(':')),
            3 => address.to_string().to_uppercase(),
            _ => address.to_string(),
        }
    }

    fn text(&mut self) -> String {
        let length = self.below(12);
        (0..length)
            .map(|_| self.one_of(&["a", "Z", "0", "é", "😀", " ", ",", "\"", "'", "\\", "\t", "null", "NA"]))
            .collect()
    }

    fn list(&mut self, open: &str, close: &str, ty: &Type) -> String {
        let length = self.below(5);
        let quote = if *ty == Type::plain(Base::Scalar(Scalar::String)) { "'" } else { "" };
        let items: Vec<String> = (0..length)
            .map(|_| {
                let item = self.valid(ty).replace(['\'', '\\', '\t'], "");
                format!("{quote}{item}{quote}")
            })
            .collect();
        format!("{open}{}{close}", items.join(self.one_of(&[",", ", "])))
    }
}

fn narrow_or_zero(narrow: f32) -> f32 {
    if narrow.is_finite() { narrow } else { 0.0 }
}
