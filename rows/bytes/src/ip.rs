//! `IPv4` and `IPv6` addresses.

use crate::uuid::{from_hex, is_hex};
use crate::words::BLOCK;

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
