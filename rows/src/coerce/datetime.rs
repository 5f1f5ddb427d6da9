//! `DateTime` and `DateTime64`.
//!
//! Read are `YYYY-MM-DD HH:MM:SS` (or `T` between), with a fraction if need be, and with `Z` or an offset `±HH:MM` if
//! need be; and seconds since 1970-01-01 UTC of nine or ten digits (1973 to 2286), maybe with a fraction: fewer digits could
//! be a year or a day (`2024`, `20240105`), more could be milliseconds. Those want the column's `format`.
//!
//! * A time without offset is on the clock of the column's zone; of a plain `DateTime` it is UTC, whatever the
//!   server's zone is.
//! * A time that the zone's clock skipped is rejected. Of a time that it showed twice the first is taken.
//! * A fraction finer than the type keeps is `PRECISION_LOSS`, unless it is zeros. There is no second 60.
//! * Range: `DateTime` 1970-01-01 to 2106-02-07 06:28:15 UTC, `DateTime64` 1900-01-01 to 2299-12-31 23:59:59 (with nine
//!   digits to 2262-04-11), <https://clickhouse.com/docs/sql-reference/data-types/datetime64>.

use std::sync::Arc;

use super::date::{explain_day, ymd};
use super::format::{Format, Moment};
use super::text::{Text, digits};
use super::why::Why;
use super::zone::Clock;
use super::{Native, Read};
use crate::simd::Lanes;
use crate::words::{digit_pairs, is_digits, word_at};

/// 1900-01-01 and 2299-12-31 23:59:59 in seconds since 1970.
pub(super) const FIRST: i64 = -2_208_988_800;
pub(super) const LAST: i64 = 10_413_791_999;

const TENS: [i64; 10] =
    [1, 10, 100, 1000, 10_000, 100_000, 1_000_000, 10_000_000, 100_000_000, 1_000_000_000];

/// The integers that hold moments.
pub(crate) trait Ticks: Native {
    fn from_ticks(ticks: i64) -> Option<Self>;
}

impl Ticks for u32 {
    #[inline(always)]
    fn from_ticks(ticks: i64) -> Option<Self> {
        Self::try_from(ticks).ok()
    }
}

impl Ticks for i64 {
    #[inline(always)]
    fn from_ticks(ticks: i64) -> Option<Self> {
        Some(ticks)
    }
}

/// Reads `DateTime` (seconds in 32 bits) and `DateTime64` (10^-digits seconds in 64 bits).
#[derive(Debug)]
pub(crate) struct DateTime<T> {
    digits: u8,
    /// `None`: UTC.
    clock: Option<Arc<Clock>>,
    format: Format,
    marker: std::marker::PhantomData<T>,
}

impl<T: Ticks> DateTime<T> {
    pub(crate) fn new(digits: u8, zone: Option<&str>, format: Format) -> Self {
        let clock = zone.and_then(Clock::of);
        Self { digits, clock, format, marker: std::marker::PhantomData }
    }

    fn ticks(&self, seconds: i64, nanos: u32) -> Result<T, Why> {
        let unit = TENS[usize::from(9 - self.digits)];
        let (fraction, lost) = (i64::from(nanos) / unit, i64::from(nanos) % unit);
        if lost != 0 {
            return Err(Why::SubSecond);
        }
        self.join(seconds, fraction).ok_or(Why::OutOfRange)
    }

    /// Seconds and a fraction in the type's own unit, if in range.
    #[inline(always)]
    fn join(&self, seconds: i64, fraction: i64) -> Option<T> {
        if !(FIRST..=LAST).contains(&seconds) {
            return None;
        }
        let ticks = seconds.checked_mul(TENS[usize::from(self.digits)])?.checked_add(fraction)?;
        T::from_ticks(ticks)
    }

    #[inline(always)]
    fn at(&self, moment: Moment) -> Result<T, Why> {
        match moment {
            Moment::Universal(seconds, nanos) => self.ticks(seconds, nanos),
            Moment::Local(seconds, nanos) => self.ticks(self.to_utc(seconds)?, nanos),
        }
    }

    #[inline(always)]
    fn to_utc(&self, local: i64) -> Result<i64, Why> {
        self.clock.as_ref().map_or(Ok(local), |clock| clock.to_utc(local))
    }

    /// Every text but the usual 19 bytes.
    #[inline(never)]
    fn other(&self, text: Text<'_>) -> Result<T, Why> {
        if text.len() == 0 {
            return Err(Why::MissingValue);
        }
        if self.format != Format::Iso {
            return self.at(self.format.moment(text.bytes())?);
        }
        if let Some(moment) = epoch(text) {
            return self.at(moment);
        }
        self.at(iso(text)?)
    }
}

impl<T: Ticks> Read for DateTime<T> {
    type Value = T;

    #[inline(always)]
    fn read<L: Lanes>(&self, _lanes: L, text: Text<'_>) -> Option<T> {
        if self.format == Format::Iso
            && text.len() >= 19
            && let Some(local) = clock(text)
            && let Ok(seconds) = self.to_utc(local)
        {
            if text.len() == 19 {
                return self.join(seconds, 0);
            }
            let places = text.len() - 20;
            if text.byte(19) == b'.'
                && places <= usize::from(self.digits)
                && let Some(fraction) = digits(text, 20, places)
            {
                return self.join(seconds, fraction as i64 * TENS[usize::from(self.digits) - places]);
            }
        }
        self.other(text).ok()
    }

    fn explain(&self, text: &[u8]) -> Why {
        self.other(Text::whole(text)).err().unwrap_or(Why::NotDateTime)
    }

    fn refuse(&self, text: &[u8]) -> Option<Why> {
        let first = *text.first()?;
        // nine digits are seconds
        (self.format == Format::Iso && (text.len() < 9 || !first.is_ascii_digit()))
            .then_some(Why::NotDateTime)
    }
}

/// Seconds since 1970 of the `YYYY-MM-DD HH:MM:SS` in the first 19 bytes, read as UTC.
#[inline(always)]
fn clock(text: Text<'_>) -> Option<i64> {
    let head = text.head::<19>()?;
    let between = head[10];
    let seconds = hms(word_at::<11, 19>(head))?;
    if between != b' ' && between != b'T' {
        return None;
    }
    Some(i64::from(ymd(text)?) * 86_400 + seconds)
}

/// Seconds of the `HH:MM:SS` in the word.
#[inline(always)]
fn hms(word: u64) -> Option<i64> {
    let colons = (word >> 16) as u8 == b':' && (word >> 40) as u8 == b':';
    let packed =
        (word & 0xffff) | ((word >> 8) & 0xffff_0000) | ((word >> 16) & 0xffff_0000_0000) | (0x3030 << 48);
    if !colons || !is_digits(packed) {
        return None;
    }
    let pairs = digit_pairs(packed);
    let (hour, minute, second) = (pairs & 0xff, (pairs >> 16) & 0xff, (pairs >> 32) & 0xff);
    (hour < 24 && minute < 60 && second < 60).then_some((hour * 3600 + minute * 60 + second) as i64)
}

/// Seconds since 1970 in nine or ten digits, maybe with a fraction of at most nine.
fn epoch(text: Text<'_>) -> Option<Moment> {
    let bytes = text.bytes();
    let point = memchr::memchr(b'.', bytes).unwrap_or(bytes.len());
    let (whole, fraction) = (&bytes[..point], bytes.get(point + 1..));
    let plain = |d: &[u8]| !d.is_empty() && d.iter().all(u8::is_ascii_digit);
    if !(9..=10).contains(&whole.len()) || !plain(whole) || whole[0] == b'0' {
        return None;
    }
    let seconds = digits(text, 0, point)? as i64;
    match fraction {
        None => Some(Moment::Universal(seconds, 0)),
        Some(fraction) if plain(fraction) && fraction.len() <= 9 => {
            let nanos = digits(text, point + 1, fraction.len())? as i64 * TENS[9 - fraction.len()];
            Some(Moment::Universal(seconds, nanos as u32))
        }
        Some(_) => None,
    }
}

/// ISO 8601 with what may follow the seconds; or what is wrong with it.
fn iso(text: Text<'_>) -> Result<Moment, Why> {
    if text.len() < 19 {
        return Err(Why::NotDateTime);
    }
    let Some(seconds) = clock(text) else {
        return Err(explain_clock(text));
    };
    let mut rest = &text.bytes()[19..];
    let mut nanos = 0;
    if let [b'.', after @ ..] = rest {
        let places = after.iter().take_while(|b| b.is_ascii_digit()).count();
        if places == 0 {
            return Err(Why::NotDateTime);
        }
        let (kept, beyond) = after[..places].split_at(places.min(9));
        if beyond.iter().any(|b| *b != b'0') {
            return Err(Why::SubSecond);
        }
        nanos = kept.iter().fold(0, |n, b| n * 10 + u32::from(b - b'0')) * TENS[9 - kept.len()] as u32;
        rest = &after[places..];
    }
    match rest {
        [] => Ok(Moment::Local(seconds, nanos)),
        b"Z" => Ok(Moment::Universal(seconds, nanos)),
        [sign @ (b'+' | b'-'), h1, h2, b':', m1, m2]
            if [h1, h2, m1, m2].iter().all(|b| b.is_ascii_digit()) =>
        {
            let pair = |a: &u8, b: &u8| i64::from(a - b'0') * 10 + i64::from(b - b'0');
            let (hours, minutes) = (pair(h1, h2), pair(m1, m2));
            if hours > 18 || minutes > 59 {
                return Err(Why::NoSuchTime);
            }
            let offset = hours * 3600 + minutes * 60;
            Ok(Moment::Universal(if *sign == b'+' { seconds - offset } else { seconds + offset }, nanos))
        }
        _ => Err(Why::NotDateTime),
    }
}

fn explain_clock(text: Text<'_>) -> Why {
    if let Some(why) = explain_day(text) {
        return if why == Why::NotDate { Why::NotDateTime } else { why };
    }
    let time = &text.bytes()[11..19];
    let written =
        time.iter().enumerate().all(|(i, b)| if i % 3 == 2 { *b == b':' } else { b.is_ascii_digit() });
    if written && hms(text.word(11)).is_none() { Why::NoSuchTime } else { Why::NotDateTime }
}
