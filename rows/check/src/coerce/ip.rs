//! `IPv4` and `IPv6` addresses.

use std::net::Ipv6Addr;

use rows_bytes::simd::{Lanes, Portable};
use rows_bytes::text::Text;
use rows_types::CellError;

use super::{Native, Read};

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
    use crate::coerce::every::read;
    use proptest::prelude::*;
    use rows_bytes::spoil::{SUSPECTS, spoiled};

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
