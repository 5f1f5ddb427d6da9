//! `IPv4` and `IPv6` addresses.

use std::net::Ipv6Addr;

use super::text::Text;
use super::why::Why;
use super::{Native, Read};

/// Reads `IPv4`: four decimal numbers 0 to 255 without leading zeros.
#[derive(Debug)]
pub(crate) struct Ipv4;

impl Read for Ipv4 {
    type Value = u32;

    #[inline]
    fn read(&self, text: Text<'_>) -> Option<u32> {
        if text.len() > 15 {
            return None;
        }
        let (mut address, mut octet, mut digits, mut dots) = (0u32, 0u32, 0, 0);
        for byte in text.bytes() {
            let digit = byte.wrapping_sub(b'0');
            if digit < 10 {
                if digits == 3 || (digits > 0 && octet == 0) {
                    return None;
                }
                octet = octet * 10 + u32::from(digit);
                digits += 1;
            } else if *byte == b'.' && digits > 0 && octet < 256 {
                address = (address << 8) | octet;
                (octet, digits) = (0, 0);
                dots += 1;
            } else {
                return None;
            }
        }
        (dots == 3 && digits > 0 && octet < 256).then_some((address << 8) | octet)
    }

    fn explain(&self, text: &[u8]) -> Why {
        if text.is_empty() { Why::MissingValue } else { Why::NotIpv4 }
    }
}

/// Reads `IPv6` (RFC 4291 section 2.2, without zone), and an IPv4 address as its mapped form `::ffff:a.b.c.d`, as
/// ClickHouse does.
#[derive(Debug)]
pub(crate) struct Ipv6;

/// Sixteen bytes in network order.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Octets([u8; 16]);

impl Native for Octets {
    const WIDTH: usize = 16;
    #[inline]
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

    #[inline]
    fn read(&self, text: Text<'_>) -> Option<Octets> {
        let bytes = text.bytes();
        if bytes.len() > 45 {
            return None;
        }
        if let Some(groups) = hex_groups(bytes) {
            return Some(Octets(groups));
        }
        other(bytes)
    }

    fn explain(&self, text: &[u8]) -> Why {
        if text.is_empty() { Why::MissingValue } else { Why::NotIpv6 }
    }
}

/// Eight groups of one to four hexadecimal digits, `::` once at most; the usual spelling, in one pass.
#[inline]
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

/// An IPv4 address at the end, or nothing but one.
#[inline(never)]
fn other(bytes: &[u8]) -> Option<Octets> {
    let text = std::str::from_utf8(bytes).ok()?;
    if let Ok(address) = text.parse::<Ipv6Addr>() {
        return Some(Octets(address.octets()));
    }
    let v4 = Ipv4.read(Text::whole(bytes))?;
    Some(Octets(std::net::Ipv4Addr::from(v4).to_ipv6_mapped().octets()))
}
