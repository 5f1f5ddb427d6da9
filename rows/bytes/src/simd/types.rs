//! Tests that every level reads parts of texts as their plain definitions do.

use std::net::{Ipv4Addr, Ipv6Addr};

use proptest::prelude::*;

use super::{BLOCK, Kernel, Lanes, Level};
use crate::date::Day;
use crate::spoil::{SUSPECTS, spoiled};

macro_rules! kernel {
    ($name:ident($($arg:tt: $ty:ty),*) -> $output:ty, $method:ident($($pass:expr),*)) => {
        struct $name($($ty),*);
        impl Kernel for $name {
            type Output = Option<$output>;
            #[inline(always)]
            fn run<L: Lanes>(self, lanes: L) -> Self::Output {
                let Self($($arg),*) = self;
                lanes.$method($($pass),*)
            }
        }
    };
}
kernel!(Uuid(text: [u8; 36]) -> [u64; 2], uuid(&text));
kernel!(Octets(bytes: [u8; 16], len: usize) -> u32, octets(&bytes, len));
kernel!(Groups(bytes: [u8; BLOCK], len: usize) -> [u8; 16], groups(&bytes, len));
kernel!(Date(bytes: [u8; 16]) -> Day, day(&bytes));
kernel!(Moment(bytes: [u8; 19]) -> (Day, u32), moment(&bytes));

/// The text, with other bytes after it.
fn padded<const N: usize>(text: &[u8], behind: &[u8]) -> [u8; N] {
    let mut bytes = [0; N];
    let longer = text.iter().chain(behind.iter().cycle());
    bytes.iter_mut().zip(longer).for_each(|(to, from)| *to = *from);
    bytes
}

fn number(digits: &[u8]) -> Option<u32> {
    let digits = std::str::from_utf8(digits).ok().filter(|d| d.bytes().all(|b| b.is_ascii_digit()))?;
    digits.parse().ok()
}

fn day(text: &[u8]) -> Option<Day> {
    let hyphens = text[4] == b'-' && text[7] == b'-';
    let month_day = 128 * number(&text[5..7])? + number(&text[8..10])?;
    Some(Day { year: number(&text[..4])?, month_day }).filter(|_| hyphens)
}

fn moment(text: &[u8]) -> Option<(Day, u32)> {
    let between = matches!(text[10], b' ' | b'T') && text[13] == b':' && text[16] == b':';
    let [hours, minutes, seconds] = [number(&text[11..13])?, number(&text[14..16])?, number(&text[17..19])?];
    let real = hours < 24 && minutes < 60 && seconds < 60;
    Some((day(text)?, hours * 3600 + minutes * 60 + seconds)).filter(|_| between && real)
}

fn uuid(text: &[u8]) -> Option<[u64; 2]> {
    let hyphens = [8, 13, 18, 23].iter().all(|at| text[*at] == b'-');
    let digits: Vec<u8> = text.iter().copied().filter(u8::is_ascii_hexdigit).collect();
    let digits = std::str::from_utf8(&digits).ok().filter(|d| hyphens && d.len() == 32)?;
    Some([u64::from_str_radix(&digits[..16], 16).ok()?, u64::from_str_radix(&digits[16..], 16).ok()?])
}

proptest! {
    #[test]
    fn every_level_reads_the_same_uuids(
        text in "[0-9a-fA-F]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9A-F]{4}-[0-9a-fA-F]{12}", at in 0usize..72,
        byte in prop::sample::select(SUSPECTS),
    ) {
        let text = spoiled(text.into_bytes(), at, byte);
        for level in Level::all() {
            prop_assert_eq!(level.run(Uuid(padded(&text, b"-"))), uuid(&text));
        }
    }

    #[test]
    fn every_level_reads_the_same_ipv4_addresses(
        text in "([0-9]{1,3}\\.){3}[0-9]{1,3}|((0|1?[1-9]?[0-9])\\.){2,4}[0-9.]{0,3}", at in 0usize..30,
        byte in prop::sample::select(SUSPECTS), behind in "[.0-9]{1,5}",
    ) {
        let text = spoiled(text.into_bytes(), at, byte);
        let expected = std::str::from_utf8(&text).ok().and_then(|t| t.parse::<Ipv4Addr>().ok()).map(Ipv4Addr::to_bits);
        for level in Level::all() {
            prop_assert_eq!(level.run(Octets(padded(&text, behind.as_bytes()), text.len())), expected);
        }
    }

    #[test]
    fn every_level_reads_the_same_ipv6_addresses(
        text in "([0-9a-fA-F]{1,4}:){7}[0-9a-fA-F]{1,4}|([0-9a-f]{1,4}:){0,4}:([0-9a-f]{1,4}:){0,3}[0-9a-f]{0,4}|([0-9a-f]{1,4}:){0,4}:(:[0-9a-f]{1,4}){0,4}|::ffff:[0-9]\\.0\\.0\\.9",
        at in 0usize..80, byte in prop::sample::select(SUSPECTS), behind in "[:0-9a-f]{1,5}",
    ) {
        let text = spoiled(text.into_bytes(), at, byte);
        let written = std::str::from_utf8(&text).ok().filter(|t| !t.contains('.'));
        let expected = written.and_then(|t| t.parse::<Ipv6Addr>().ok()).map(|a| a.octets());
        for level in Level::all() {
            prop_assert_eq!(level.run(Groups(padded(&text, behind.as_bytes()), text.len())), expected);
        }
    }

    #[test]
    fn every_level_reads_the_same_days_and_moments(
        text in "[0-9]{4}-[0-9]{2}-[0-9]{2}[ T]([0-9]{2}:[0-9]{2}:[0-9]{2}|[0-2][0-9]:[0-5][0-9]:[0-5][0-9])", at in 0usize..38,
        byte in prop::sample::select(SUSPECTS),
    ) {
        let text = spoiled(text.into_bytes(), at, byte);
        for level in Level::all() {
            prop_assert_eq!(level.run(Date(padded(&text[..10], &text[10..]))), day(&text));
            prop_assert_eq!(level.run(Moment(padded(&text, b"0"))), moment(&text));
        }
    }
}
