//! Every level returns the same as a plain definition.

use proptest::prelude::*;

use super::*;

struct Equal<'a>(&'a [u8; BLOCK], [u8; 2]);
impl Kernel for Equal<'_> {
    type Output = [u64; 2];
    #[inline(always)]
    fn run<L: Lanes>(self, lanes: L) -> [u64; 2] {
        lanes.equal(self.0, self.1)
    }
}
struct Positions(u64, u32);
impl Kernel for Positions {
    type Output = Vec<u32>;
    #[inline(always)]
    fn run<L: Lanes>(self, lanes: L) -> Vec<u32> {
        let mut out = [0; BLOCK];
        lanes.positions(self.0, self.1, &mut out);
        out[..self.0.count_ones() as usize].to_vec()
    }
}
struct Decimal([u8; DIGITS], usize);
impl Kernel for Decimal {
    type Output = Option<(u64, usize)>;
    #[inline(always)]
    fn run<L: Lanes>(self, lanes: L) -> Option<(u64, usize)> {
        lanes.decimal(&self.0, self.1)
    }
}
struct Special([u8; WIDE]);
impl Kernel for Special {
    type Output = (u32, u32);
    #[inline(always)]
    fn run<L: Lanes>(self, lanes: L) -> (u32, u32) {
        let front = *self.0.first_chunk().unwrap();
        (lanes.json_special(&self.0).trailing_zeros(), lanes.digits(&front))
    }
}
struct Controls([u8; BLOCK]);
impl Kernel for Controls {
    type Output = u64;
    #[inline(always)]
    fn run<L: Lanes>(self, lanes: L) -> u64 {
        lanes.controls(&self.0)
    }
}
struct Same([u8; WIDE], [u8; WIDE]);
impl Kernel for Same {
    type Output = u32;
    #[inline(always)]
    fn run<L: Lanes>(self, lanes: L) -> u32 {
        lanes.same(&self.0, &self.1)
    }
}
struct AnyOf([u8; WIDE], [u8; 3]);
impl Kernel for AnyOf {
    type Output = u32;
    #[inline(always)]
    fn run<L: Lanes>(self, lanes: L) -> u32 {
        lanes.any_of(&self.0, self.1)
    }
}
struct Undouble<'a>(&'a [u8], usize, usize);
impl Kernel for Undouble<'_> {
    type Output = Option<Vec<u8>>;
    #[inline(always)]
    fn run<L: Lanes>(self, lanes: L) -> Option<Vec<u8>> {
        let mut out = vec![b'?'; self.2];
        let n = lanes.undouble(self.0, self.1, b'"', &mut out)?;
        Some(out[..n].to_vec())
    }
}
struct Parity(u64);
impl Kernel for Parity {
    type Output = u64;
    #[inline(always)]
    fn run<L: Lanes>(self, lanes: L) -> u64 {
        lanes.parity(self.0)
    }
}

proptest! {
    #[test]
    fn every_level_finds_the_same_bytes(block in prop::array::uniform32(0u8..4), a in 0u8..4, b: u8) {
        let mut bytes = [0xffu8; BLOCK];
        bytes[16..48].copy_from_slice(&block);
        bytes[50] = b;
        let expected = [a, b].map(|n| bytes.iter().enumerate().fold(0u64, |m, (i, x)| m | (u64::from(*x == n) << i)));
        for level in Level::all() {
            prop_assert_eq!(level.run(Equal(&bytes, [a, b])), expected);
        }
    }

    #[test]
    fn every_level_gives_the_same_positions(a: u64, b: u64, sparse: bool, base: u32) {
        for mask in [if sparse { a & b } else { a | b }, 0, !0] {
            let expected: Vec<u32> =
                (0..64).filter(|i| mask >> i & 1 == 1).map(|i| base.wrapping_add(i)).collect();
            for level in Level::all() {
                prop_assert_eq!(&level.run(Positions(mask, base)), &expected);
                prop_assert_eq!(&level.run_scalar(Positions(mask, base)), &expected);
            }
        }
    }

    #[test]
    fn every_level_reads_the_same_decimals(
        text in "[0-9]{0,12}[.0-9/:]?[0-9]{0,3}", behind in prop::array::uniform16(any::<u8>()), len in 0usize..20,
    ) {
        let mut bytes = behind;
        for (to, from) in bytes.iter_mut().zip(text.bytes()) {
            *to = from;
        }
        for len in [len, text.len()] {
            let expected = bytes.get(..len).and_then(|text| {
                let point = text.iter().position(|b| *b == b'.').unwrap_or(len);
                let digits: Vec<u8> =
                    text.iter().enumerate().filter(|(i, _)| *i != point).map(|(_, b)| *b).collect();
                let plain = digits.iter().all(u8::is_ascii_digit);
                let number = std::str::from_utf8(&digits).ok().filter(|_| plain)?.parse().ok()?;
                Some((number, point))
            });
            for level in Level::all() {
                prop_assert_eq!(level.run(Decimal(bytes, len)), expected);
            }
        }
    }

    #[test]
    fn every_level_finds_digits_and_the_end_of_a_json_string(text in "[0-9a-z/:ü]{0,31}[\"\\\\\u{1f}\u{0}\u{80}\u{ff}]?[ 0-9]{0,9}") {
        let mut bytes = [b' '; WIDE];
        for (to, from) in bytes.iter_mut().zip(text.bytes()) {
            *to = from;
        }
        let special = bytes.iter().position(|b| matches!(b, b'"' | b'\\' | 0..0x20)).unwrap_or(32) as u32;
        let digits = bytes[..16].iter().enumerate().fold(0, |m, (i, b)| m | (u32::from(b.is_ascii_digit()) << i));
        for level in Level::all() {
            prop_assert_eq!(level.run(Special(bytes)), (special, digits));
        }
    }

    #[test]
    fn every_level_finds_the_same_control_characters(low in prop::array::uniform32(0u8..0x40), any in prop::array::uniform32(any::<u8>())) {
        let mut bytes = [0; BLOCK];
        bytes[..32].copy_from_slice(&low);
        bytes[32..].copy_from_slice(&any);
        let expected = bytes.iter().enumerate().fold(0u64, |m, (i, b)| m | (u64::from(*b < 0x20) << i));
        for level in Level::all() {
            prop_assert_eq!(level.run(Controls(bytes)), expected);
        }
    }

    #[test]
    fn every_level_finds_the_same_stops(bytes in prop::array::uniform32(0u8..9), stops in prop::array::uniform3(0u8..9)) {
        let expected = bytes.iter().enumerate().fold(0, |m, (i, b)| m | (u32::from(stops.contains(b)) << i));
        for level in Level::all() {
            prop_assert_eq!(level.run(AnyOf(bytes, stops)), expected);
        }
    }

    #[test]
    fn every_level_finds_the_bytes_that_are_the_same(a in prop::array::uniform32(any::<u8>()), other in prop::array::uniform32(any::<u8>()), differ: u32) {
        let mut b = a;
        let mut expected = !0u32;
        for i in 0..WIDE {
            if differ >> i & 1 == 1 {
                b[i] = if i % 2 == 0 { other[i] } else { a[i] ^ 0x80 };
            }
            expected &= !(u32::from(a[i] != b[i]) << i);
        }
        for level in Level::all() {
            prop_assert_eq!(level.run(Same(a, b)), expected);
        }
    }

    #[test]
    fn every_level_makes_one_quote_of_two(
        text in "[ab\"]{0,80}|[a-z]{0,70}[\"]{0,3}|\"{0,70}", behind in "[x\"]{0,140}", buffer in 0usize..200,
    ) {
        let doubled = text.replace('"', "\"\"");
        let tail = format!("{doubled}{behind}");
        for level in Level::all() {
            let read = level.run(Undouble(tail.as_bytes(), doubled.len(), buffer));
            if let Some(read) = &read {
                prop_assert_eq!(std::str::from_utf8(read).unwrap(), &text);
            }
            let near = behind.len() >= BLOCK && buffer >= text.len() + BLOCK;
            prop_assert!(read.is_some() || !near);
        }
    }

    #[test]
    fn every_level_gives_the_running_parity(mask: u64) {
        let expected = (0..64).fold(0u64, |m, i| m | u64::from((mask << (63 - i)).count_ones() % 2) << i);
        for level in Level::all() {
            prop_assert_eq!(level.run(Parity(mask)), expected);
        }
    }
}
