//! One value as JSON.

use std::net::{Ipv4Addr, Ipv6Addr};

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::{Offset, TimeZone};
use rows_types::Scalar;

use super::bytes::{Bytes, Problem};
use super::number::{self, shown};
use super::text;

const DAY: i64 = 86_400;

/// How the values of a type are stored and shown.
pub(super) struct Kind<'a> {
    scalar: &'a Scalar,
    /// The length of a value in bytes. `None`: the value is a text after its length.
    width: Option<usize>,
    /// The time zone. `None`: UTC.
    zone: Option<TimeZone>,
}

impl<'a> Kind<'a> {
    pub(super) fn new(scalar: &'a Scalar) -> Result<Self, Problem> {
        let zone = scalar.zone().map(|zone| rows_types::zone(zone).ok_or("its time zone is unknown"));
        Ok(Self { scalar, width: scalar.width(), zone: zone.transpose()? })
    }

    /// Skips the values of `rows` rows.
    pub(super) fn skip(&self, bytes: &mut Bytes<'_>, rows: usize) -> Result<(), Problem> {
        match self.width {
            Some(width) => bytes.values(rows, width).map(drop),
            None => (0..rows).try_for_each(|_| bytes.text().map(drop)),
        }
    }

    /// Takes a value and appends it.
    pub(super) fn show(&self, bytes: &mut Bytes<'_>, out: &mut Vec<u8>) -> Result<(), Problem> {
        let width = self.width.unwrap_or(0);
        match self.scalar {
            Scalar::String => text::quoted(bytes.text()?, out)?,
            Scalar::Json => text::object(bytes.text()?, out)?,
            Scalar::FixedString(_) => text::quoted(bytes.take(width)?, out)?,
            Scalar::Bool => shown(bytes.is_true()?, out),
            Scalar::Int8 | Scalar::Int16 | Scalar::Int32 | Scalar::Int64 | Scalar::Int128 => {
                shown(bytes.int(width)?, out);
            }
            Scalar::UInt8 | Scalar::UInt16 | Scalar::UInt32 | Scalar::UInt64 | Scalar::UInt128 => {
                shown(bytes.uint(width)?, out);
            }
            Scalar::Int256 => number::wide(&bytes.array()?, true, 0, out),
            Scalar::UInt256 => number::wide(&bytes.array()?, false, 0, out),
            Scalar::Float32 => number::float(f32::from_le_bytes(bytes.array()?), out),
            Scalar::Float64 => number::float(f64::from_le_bytes(bytes.array()?), out),
            // the upper 16 bits of a Float32
            Scalar::BFloat16 => number::float(f32::from_bits((bytes.uint(2)? as u32) << 16), out),
            Scalar::Decimal(_, scale) => {
                let stored = bytes.take(width)?;
                let sign = if stored.last().is_some_and(|b| *b >= 0x80) { 0xff } else { 0 };
                let mut wide = [sign; 32];
                wide[..width].copy_from_slice(stored);
                number::wide(&wide, true, usize::from(*scale), out);
            }
            Scalar::Date | Scalar::Date32 => {
                let days = if width == 2 { bytes.uint(2)? as i64 } else { bytes.int(4)? as i64 };
                let day = clock(days * DAY, None)?.date();
                out.push(b'"');
                shown(day, out);
                out.push(b'"');
            }
            Scalar::DateTime(_) => self.moment(bytes.uint(4)? as i64, 0, out)?,
            Scalar::DateTime64(digits, _) => self.moment(bytes.int(8)? as i64, *digits, out)?,
            Scalar::Time => time(bytes.int(4)? as i64, 0, out),
            Scalar::Time64(digits) => time(bytes.int(8)? as i64, *digits, out),
            Scalar::Uuid => uuid((bytes.uint(8)? << 64) | bytes.uint(8)?, out),
            Scalar::Ipv4 => {
                out.push(b'"');
                shown(Ipv4Addr::from(u32::from_le_bytes(bytes.array()?)), out);
                out.push(b'"');
            }
            Scalar::Ipv6 => ipv6(Ipv6Addr::from(bytes.array::<16>()?), out),
            Scalar::Enum8(names) | Scalar::Enum16(names) => {
                let value = bytes.int(width)?;
                let at = names.binary_search_by_key(&value, |(_, value)| i128::from(*value));
                let (name, _) =
                    names.get(at.unwrap_or(names.len())).ok_or("it holds a number without a name")?;
                text::quoted(name.as_bytes(), out)?;
            }
        }
        Ok(())
    }

    /// Appends the time in the zone, `ticks` times 10^-`digits` seconds after 1970-01-01 UTC.
    fn moment(&self, ticks: i64, digits: u8, out: &mut Vec<u8>) -> Result<(), Problem> {
        let unit = 10i64.pow(u32::from(digits));
        let at = clock(ticks.div_euclid(unit), self.zone.as_ref())?;
        out.push(b'"');
        shown(at.date(), out);
        shown(format_args!(" {:02}:{:02}:{:02}", at.hour(), at.minute(), at.second()), out);
        fraction(ticks.rem_euclid(unit).unsigned_abs(), digits, out);
        out.push(b'"');
        Ok(())
    }
}

/// Appends a time of `ticks` times 10^-`digits` seconds.
fn time(ticks: i64, digits: u8, out: &mut Vec<u8>) {
    let (unit, size) = (10u64.pow(u32::from(digits)), ticks.unsigned_abs());
    let (sign, seconds) = (if ticks < 0 { "-" } else { "" }, size / unit);
    let (hours, minutes) = (seconds / 3600, seconds / 60 % 60);
    shown(format_args!("\"{sign}{hours:02}:{minutes:02}:{:02}", seconds % 60), out);
    fraction(size % unit, digits, out);
    out.push(b'"');
}

fn fraction(ticks: u64, digits: u8, out: &mut Vec<u8>) {
    if digits > 0 {
        shown(format_args!(".{ticks:0places$}", places = usize::from(digits)), out);
    }
}

/// The local time in the zone, `seconds` seconds after 1970-01-01 UTC.
fn clock(seconds: i64, zone: Option<&TimeZone>) -> Result<DateTime, Problem> {
    let at = Timestamp::from_second(seconds).map_err(|_| "it holds a time that no calendar has")?;
    Ok(zone.map_or_else(|| Offset::UTC.to_datetime(at), |zone| zone.to_datetime(at)))
}

fn uuid(n: u128, out: &mut Vec<u8>) {
    let part = |shift: u32, digits: u32| (n >> shift) & ((1 << (4 * digits)) - 1);
    let (first, second, third, fourth, last) =
        (part(96, 8), part(80, 4), part(64, 4), part(48, 4), part(0, 12));
    shown(format_args!("\"{first:08x}-{second:04x}-{third:04x}-{fourth:04x}-{last:012x}\""), out);
}

/// Appends an address as the C library writes it: also `::a.b.c.d`, where Rust writes hexadecimal digits.
fn ipv6(address: Ipv6Addr, out: &mut Vec<u8>) {
    out.push(b'"');
    match address.segments() {
        [0, 0, 0, 0, 0, 0, high, low] if high > 0 => {
            let [a, b, c, d] = ((u32::from(high) << 16) | u32::from(low)).to_be_bytes();
            shown(format_args!("::{}", Ipv4Addr::new(a, b, c, d)), out);
        }
        _ => shown(address, out),
    }
    out.push(b'"');
}
