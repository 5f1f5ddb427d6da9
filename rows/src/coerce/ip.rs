//! `IPv4` and `IPv6` addresses.

use std::net::Ipv6Addr;

use super::cell_error::CellError;
use super::text::Text;
use super::uuid::{from_hex, is_hex};
use super::{Native, Read};
use crate::simd::{BLOCK, Lanes, Portable};

/// Reads `IPv4`: four decimal numbers 0 to 255 without leading zeros.
#[derive(Debug)]
pub(crate) struct Ipv4;

impl Read for Ipv4 {
    type Value = u32;

    #[inline(always)]
    fn read<L: Lanes>(&self, lanes: L, text: Text<'_>) -> Option<u32> {
        lanes.octets(text.front(&mut None), text.len())
    }

    fn explain(&self, text: &[u8]) -> CellError {
        if text.is_empty() { CellError::MissingValue } else { CellError::NotIpv4 }
    }

    fn refuse(&self, text: &[u8]) -> Option<CellError> {
        (!text.first()?.is_ascii_digit()).then_some(CellError::NotIpv4)
    }
}

/// The IPv4 address in the first `len` bytes, its first number in the highest byte. No branch depends on where the dots
/// are.
#[inline(always)]
pub(crate) fn octets(bytes: &[u8; 16], len: usize) -> Option<u32> {
    if len > 15 {
        return None;
    }
    let mut ends = positions(bytes, b'.') & ((1 << len) - 1);
    if ends.count_ones() != 3 {
        return None;
    }
    ends |= 1 << len;
    let all = u128::from_le_bytes(*bytes);
    let (mut address, mut start, mut valid) = (0, 0, true);
    for _ in 0..4 {
        let end = ends.trailing_zeros();
        ends &= ends - 1;
        let digits = end - start;
        let text = (all >> (8 * start)) as u32;
        // one to three digits, moved to the high end of the word, with zeros before them
        let shift = 32 - 8 * digits.clamp(1, 3);
        let word = (text << shift) | (0x3030_3030 & ((1 << shift) - 1));
        let plain = word ^ 0x3030_3030;
        let carried = plain.wrapping_add(0x0606_0606) | plain;
        let octet = ((plain >> 8) & 0xff) * 100 + ((plain >> 16) & 0xff) * 10 + (plain >> 24);
        let least = [0, 0, 10, 100][digits as usize & 3];
        valid &= digits.wrapping_sub(1) < 3 && carried & 0xf0f0_f0f0 == 0 && octet < 256 && octet >= least;
        address = (address << 8) | (octet & 0xff);
        start = end + 1;
    }
    valid.then_some(address)
}

/// Bit `i` is set if byte `i` is the needle; `N` is a multiple of 8.
#[inline(always)]
fn positions<const N: usize>(bytes: &[u8; N], needle: u8) -> u64 {
    const LOW: u64 = 0x7f7f_7f7f_7f7f_7f7f;
    let mut mask = 0;
    for (i, word) in bytes.as_chunks::<8>().0.iter().enumerate() {
        let x = u64::from_le_bytes(*word) ^ u64::from_le_bytes([needle; 8]);
        // 0x80 in each byte of x that is zero, exactly; then the high bits of eight bytes are gathered into one byte
        let zero = !(((x & LOW) + LOW) | x | LOW);
        mask |= ((zero >> 7).wrapping_mul(0x0102_0408_1020_4080) >> 56) << (8 * i);
    }
    mask
}

/// Reads `IPv6` (RFC 4291 section 2.2, without zone). Reads an IPv4 address as its mapped form `::ffff:a.b.c.d`, as
/// ClickHouse does.
#[derive(Debug)]
pub(crate) struct Ipv6;

/// Sixteen bytes in network order.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Octets([u8; 16]);

impl Native for Octets {
    const WIDTH: usize = 16;
    #[inline(always)]
    fn put(self, slot: &mut [u8]) {
        slot.copy_from_slice(&self.0);
    }
    fn get(slot: &[u8]) -> Self {
        let mut bytes = [0; 16];
        bytes.copy_from_slice(slot);
        Self(bytes)
    }
}

impl Read for Ipv6 {
    type Value = Octets;

    #[inline(always)]
    fn read<L: Lanes>(&self, lanes: L, text: Text<'_>) -> Option<Octets> {
        match lanes.groups(text.front(&mut None), text.len()) {
            Some(groups) => Some(Octets(groups)),
            None => other(text.bytes()),
        }
    }

    fn explain(&self, text: &[u8]) -> CellError {
        if text.is_empty() { CellError::MissingValue } else { CellError::NotIpv6 }
    }

    fn refuse(&self, text: &[u8]) -> Option<CellError> {
        (!matches!(text.first()?, b':' | b'0'..=b'9' | b'a'..=b'f' | b'A'..=b'F'))
            .then_some(CellError::NotIpv6)
    }
}

/// The address in the first `len` bytes, if it consists of hexadecimal groups only and does not end with an IPv4
/// address.
#[inline(always)]
pub(crate) fn groups(bytes: &[u8; BLOCK], len: usize) -> Option<[u8; 16]> {
    if len > 39 {
        return None;
    }
    eight_groups(bytes, len).or_else(|| hex_groups(&bytes[..len]))
}

/// Eight groups of one to four hexadecimal digits, separated by seven colons, in the first `len` (at most 39) bytes.
#[inline(always)]
fn eight_groups(head: &[u8; BLOCK], len: usize) -> Option<[u8; 16]> {
    let mut ends = positions(head.first_chunk::<40>()?, b':') & ((1 << len) - 1);
    if ends.count_ones() != 7 {
        return None;
    }
    ends |= 1 << len;
    let (mut out, mut start, mut valid) = ([0; 16], 0, true);
    let mut group = || {
        let end = ends.trailing_zeros();
        ends &= ends - 1;
        let digits = end - start;
        let text = head.get(start as usize..).and_then(|h| h.first_chunk::<4>());
        let text = text.map_or(0, |t| u32::from_le_bytes(*t));
        // moved to the high end of the word, with zeros before them
        let shift = 32 - 8 * digits.clamp(1, 4);
        valid &= digits.wrapping_sub(1) < 4;
        start = end + 1;
        (text << shift) | (0x3030_3030 & ((1u64 << shift) - 1) as u32)
    };
    let mut hex = true;
    for four in out.as_chunks_mut::<4>().0 {
        let word = u64::from(group()) | (u64::from(group()) << 32);
        hex &= is_hex(word);
        *four = (from_hex(word) as u32).to_be_bytes();
    }
    (valid && hex).then_some(out)
}

/// Groups of one to four hexadecimal digits, eight of them, or fewer with one `::`. Reads the usual spelling in one
/// pass.
#[inline(always)]
fn hex_groups(bytes: &[u8]) -> Option<[u8; 16]> {
    let mut groups = [0u16; 8];
    let (mut n, mut value, mut digits) = (0usize, 0u32, 0u32);
    let mut gap = None;
    let mut at = 0;
    if bytes.starts_with(b"::") {
        gap = Some(0);
        at = 2;
    }
    while let Some(byte) = bytes.get(at) {
        at += 1;
        let nibble = HEX[usize::from(*byte)];
        if nibble < 16 {
            value = (value << 4) | u32::from(nibble);
            digits += 1;
            if digits > 4 {
                return None;
            }
        } else if *byte == b':' && digits > 0 && n < 7 {
            groups[n] = value as u16;
            n += 1;
            (value, digits) = (0, 0);
            if bytes.get(at) == Some(&b':') {
                if gap.is_some() {
                    return None;
                }
                gap = Some(n);
                at += 1;
            } else if at == bytes.len() {
                return None;
            }
        } else {
            return None;
        }
    }
    if digits > 0 {
        groups[n] = value as u16;
        n += 1;
    }
    match gap {
        None if n == 8 => {}
        Some(gap) if n < 8 => {
            groups.copy_within(gap..n, gap + 8 - n);
            groups[gap..gap + 8 - n].fill(0);
        }
        _ => return None,
    }
    let mut out = [0; 16];
    for (to, group) in out.chunks_exact_mut(2).zip(groups) {
        to.copy_from_slice(&group.to_be_bytes());
    }
    Some(out)
}

const HEX: [u8; 256] = {
    let mut table = [0xff; 256];
    let mut i = 0u8;
    while i < 16 {
        let digits = *b"0123456789abcdef";
        table[digits[i as usize] as usize] = i;
        table[digits[i as usize].to_ascii_uppercase() as usize] = i;
        i += 1;
    }
    table
};

/// An IPv6 address that ends with an IPv4 address, or an IPv4 address alone.
#[inline(never)]
fn other(bytes: &[u8]) -> Option<Octets> {
    if bytes.len() > 45 {
        return None;
    }
    let text = std::str::from_utf8(bytes).ok()?;
    if let Ok(address) = text.parse::<Ipv6Addr>() {
        return Some(Octets(address.octets()));
    }
    let v4 = Ipv4.read(Portable, Text::whole(bytes))?;
    Some(Octets(std::net::Ipv4Addr::from(v4).to_ipv6_mapped().octets()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::coerce::every::{SUSPECTS, read, spoiled};
    use proptest::prelude::*;

    fn v4(text: &[u8]) -> Option<Vec<u8>> {
        let text = std::str::from_utf8(text).ok()?;
        text.parse::<std::net::Ipv4Addr>().ok().map(|a| a.to_bits().to_le_bytes().to_vec())
    }

    fn v6(text: &[u8]) -> Option<Vec<u8>> {
        let text = std::str::from_utf8(text).ok()?;
        text.parse::<Ipv6Addr>().ok().map(|a| a.octets().to_vec())
    }

    #[test]
    fn every_length_of_every_octet_is_read() {
        let octets = [
            "0", "9", "10", "99", "100", "199", "255", "", "00", "01", "001", "256", "300", "999", "1000",
            "1x",
        ];
        for n in 0..octets.len().pow(4) {
            let [a, b, c, d] = [0, 1, 2, 3].map(|i| octets[n / octets.len().pow(i) % octets.len()]);
            let text = format!("{a}.{b}.{c}.{d}");
            assert_eq!(read(&Ipv4, text.as_bytes()), v4(text.as_bytes()), "{text}");
        }
    }

    #[test]
    fn no_byte_but_a_digit_stands_for_one() {
        for (at, byte) in [0, 1, 2, 10].into_iter().flat_map(|at| (0..=u8::MAX).map(move |byte| (at, byte))) {
            let mut text = *b"192.0.2.111";
            text[at] = byte;
            assert_eq!(read(&Ipv4, &text), v4(&text), "{text:?}");
        }
    }

    #[test]
    fn every_place_of_the_double_colon_is_read() {
        for (before, after) in (0..10).flat_map(|before| (0..10).map(move |after| (before, after))) {
            for group in ["0", "f", "1a", "1A2", "1a2B", "", "1a2b3", "g"] {
                for gap in ["::", ":", ":::", "::1::"] {
                    let groups = |n| vec![group; n].join(":");
                    let text = format!("{}{gap}{}", groups(before), groups(after));
                    if text.len() <= 45 {
                        assert_eq!(read(&Ipv6, text.as_bytes()), v6(text.as_bytes()), "{text}");
                    }
                }
            }
        }
    }

    proptest! {
        #[test]
        fn an_ipv4_address_is_what_the_standard_library_says(
            text in "([0-9]{1,3}\\.){3}[0-9]{1,3}|(0|[1-9][0-9]?|1[0-9][0-9]|2[0-5][0-9]|[.x/:])(\\.(0|[1-9]?[0-9x]?|25[0-9])){2,4}",
        ) {
            prop_assert_eq!(read(&Ipv4, text.as_bytes()), v4(text.as_bytes()));
        }

        #[test]
        fn an_ipv6_address_is_what_the_standard_library_says(
            text in "([0-9a-fA-F]{1,4}:){7}[0-9a-fA-F]{1,4}|([0-9a-f]{1,4}:){3}[0-9a-g/]{1,4}(:[0-9a-f]{1,4}){4}|([0-9a-fG]{0,5}:){6,8}[0-9a-f/]{0,5}|([0-9a-f]{1,4}:){0,4}:([0-9a-f]{1,4}:){0,3}[0-9a-f]{0,4}",
        ) {
            prop_assert_eq!(read(&Ipv6, text.as_bytes()), v6(text.as_bytes()));
        }

        #[test]
        fn an_address_with_a_byte_changed_is_what_the_standard_library_says(
            address: u128, kept: u128, at in 0usize..80, byte in prop::sample::select(SUSPECTS),
        ) {
            // with groups of zeros, so that some can be left out of the text
            let text = Ipv6Addr::from(address & kept & kept.rotate_left(16)).to_string();
            let text = spoiled(text.into_bytes(), at, byte);
            // an IPv4 address is accepted as well
            let mapped = v4(&text).is_some();
            prop_assert_eq!(read(&Ipv6, &text).filter(|_| !mapped), v6(&text));
            let text = spoiled(std::net::Ipv4Addr::from(address as u32).to_string().into_bytes(), at, byte);
            prop_assert_eq!(read(&Ipv4, &text), v4(&text));
        }
    }
}
