//! Eight plain decimal numbers at once, and masks that show what is in four of them.
//!
//! A text of at most 16 bytes is right-aligned in a lane of 16 bytes. A mask has 16 bits for each lane, and bit `i` of
//! these is for byte `i` of the lane. So the check for a number in JSON's grammar without an exponent is arithmetic on
//! 64 bits.

use super::DIGITS;

/// How many texts are read at once.
pub const EIGHT: usize = 8;

/// Texts in a buffer, in groups of eight. 16 bytes can be read from the start of each text.
#[derive(Clone, Copy)]
pub struct Texts<'a> {
    bytes: &'a [u8],
    starts: &'a [[u32; EIGHT]],
    lens: &'a [[u32; EIGHT]],
}

impl<'a> Texts<'a> {
    /// As many of the texts, from the first one on, as can be read in this way.
    #[inline]
    pub fn new(bytes: &'a [u8], starts: &'a [u32], lens: &'a [u32]) -> Self {
        let (starts, _) = starts.as_chunks();
        let (lens, _) = lens.as_chunks();
        let last = bytes.len().checked_sub(DIGITS);
        let near = |eight: &[u32; EIGHT]| {
            let far = eight.iter().fold(0, |far, start| far.max(*start));
            last.is_some_and(|last| far as usize <= last)
        };
        let len = starts.iter().take(lens.len()).take_while(|eight| near(eight)).count();
        Self { bytes, starts: &starts[..len], lens: &lens[..len] }
    }

    /// How many groups of eight there are.
    #[inline]
    #[allow(clippy::len_without_is_empty, reason = "no caller asks")]
    pub fn len(self) -> usize {
        self.starts.len()
    }

    /// The buffer, and the starts and lengths of one group of eight texts. Each start is at least 16 bytes before the
    /// end of the buffer.
    #[inline(always)]
    pub fn eight(self, at: usize) -> (&'a [u8], &'a [u32; EIGHT], &'a [u32; EIGHT]) {
        (self.bytes, &self.starts[at], &self.lens[at])
    }
}

/// Eight numbers of at most 16 bytes, in JSON's grammar without an exponent.
#[derive(Clone, Copy, Debug)]
pub struct Numbers {
    /// All digits without the point: less than 10^16. Unspecified for a refused text, 0 for an empty text.
    pub digits: [u64; EIGHT],
    /// How many of the digits are after the point: at most 14.
    pub fraction: [u16; EIGHT],
    /// The highest bit is set if there is a minus.
    pub sign: [u64; EIGHT],
    /// Bit `i`: text `i` is no such number, or longer than 16 bytes.
    pub refused: u32,
    /// Bit `i`: text `i` is empty; such a text is also refused.
    pub empty: u32,
}

impl Numbers {
    /// Bit `i` for each number `i` whose entry in `wrong` is not zero.
    #[inline(always)]
    pub fn wrong(wrong: &[u64; EIGHT]) -> u32 {
        // there is seldom any: check that first, because making the bits costs more
        if wrong.iter().fold(0, |any, wrong| any | wrong) == 0 {
            return 0;
        }
        wrong.iter().enumerate().fold(0, |bits, (at, wrong)| bits | (u32::from(*wrong != 0) << at))
    }

    /// All texts are refused.
    pub const NONE: Self =
        Self { digits: [0; EIGHT], fraction: [0; EIGHT], sign: [0; EIGHT], refused: 0xff, empty: 0 };
}

/// The lowest and the highest bit of each lane.
const LOW: u64 = 0x0001_0001_0001_0001;
const HIGH: u64 = LOW << 15;

/// What is at which place in four lanes.
#[derive(Clone, Copy)]
pub(crate) struct Masks {
    /// The first byte of the text. No bit if the text is empty or does not fit.
    pub first: u64,
    pub minus: u64,
    pub point: u64,
    /// Digits, and the bytes before the text.
    pub digit: u64,
    /// The bytes that are `0`. Unspecified for the bytes before the text.
    pub zero: u64,
}

/// The result of checking the masks.
#[derive(Clone, Copy)]
pub(crate) struct CheckedNumbers {
    /// The minus of each lane that has one.
    pub negative: u64,
    /// The point and all bytes before it; all bytes if there is no point.
    pub upto_point: u64,
    /// All bits of the lanes that have a point.
    pub has_point: u64,
    /// Not zero in the lanes of texts that are no number.
    pub bad: u64,
}

impl Masks {
    #[inline(always)]
    pub(crate) fn check(self) -> CheckedNumbers {
        let Self { first, minus, point, digit, zero } = self;
        let negative = minus & first;
        // the bits must not move into the next lane
        let next = |mask: u64| (mask << 1) & !LOW;
        let leading = (first & !minus) | next(negative);
        let others = !digit & !(negative | point);
        // subtracting one inverts the bits up to the lowest set one; the highest bit keeps the borrow inside the lane
        let lowest = |mask: u64| (mask | HIGH).wrapping_sub(LOW);
        let upto_point = lowest(point) ^ (point | HIGH);
        let second_point = point & lowest(point);
        let point_at_an_end = point & (leading | HIGH);
        let digit_after_zero = next(zero & leading) & !point;
        let nothing = HIGH & !(leading | lowest(leading));
        let bad = others | second_point | point_at_an_end | digit_after_zero | nothing;
        // the mask includes the highest bit only if there is no point
        let has_point = !(((upto_point >> 15) & LOW) * 0xffff);
        CheckedNumbers { negative, upto_point, has_point, bad }
    }
}

#[cfg(test)]
mod tests {
    use super::{EIGHT, Numbers, Texts};
    use crate::simd::{DIGITS, Kernel, Lanes, Level};
    use crate::text::is_json_number;
    use proptest::prelude::*;

    struct Read<'a>(Texts<'a>, bool, bool);
    impl Kernel for Read<'_> {
        type Output = Option<Numbers>;
        #[inline(always)]
        fn run<L: Lanes>(self, lanes: L) -> Option<Numbers> {
            (self.0.len() > 0).then(|| match (self.1, self.2) {
                (true, _) => lanes.numbers::<true, true>(self.0, 0),
                (false, true) => lanes.numbers::<false, true>(self.0, 0),
                (false, false) => lanes.numbers::<false, false>(self.0, 0),
            })
        }
    }

    /// Digits, how many of them are after the point, and whether there is a minus, with the standard library.
    fn plainly(text: &str) -> Option<(u64, usize, bool)> {
        let plain = text.len() <= DIGITS && !text.contains(['e', 'E']) && is_json_number(text.as_bytes());
        let digits: String = text.chars().filter(char::is_ascii_digit).collect();
        let fraction = text.find('.').map_or(0, |point| text.len() - point - 1);
        plain.then(|| (digits.parse().unwrap(), fraction, text.starts_with('-')))
    }

    fn check(texts: &[String], after: &str) {
        let (mut bytes, mut starts, mut lens) = (Vec::new(), [0; EIGHT], [0; EIGHT]);
        for (at, text) in texts.iter().enumerate() {
            (starts[at], lens[at]) = (bytes.len() as u32, text.len() as u32);
            bytes.extend_from_slice(text.as_bytes());
        }
        bytes.extend_from_slice(after.as_bytes());
        let buffer = starts.iter().all(|start| *start as usize + DIGITS <= bytes.len());
        let kinds = [(true, true), (false, true), (false, false)];
        for (level, (point, minus)) in
            Level::all().into_iter().flat_map(|level| kinds.map(|kind| (level, kind)))
        {
            let read = level.run(Read(Texts::new(&bytes, &starts, &lens), point, minus));
            assert_eq!(read.is_some(), buffer);
            let Some(read) = read else { continue };
            for (at, text) in texts.iter().enumerate() {
                let refused = read.refused >> at & 1 == 1;
                let number = (read.digits[at], usize::from(read.fraction[at]), read.sign[at] >> 63 == 1);
                match plainly(text) {
                    // with these settings such texts may be refused
                    Some((_, 1.., _)) if !point && refused => {}
                    Some((_, _, true)) if !minus && refused => {}
                    Some(expected) => {
                        assert!(!refused, "{level:?} refused {text:?} of {texts:?}");
                        assert_eq!(number, expected, "{level:?} {text:?} of {texts:?}");
                    }
                    None => assert!(refused, "{level:?} took {text:?} of {texts:?}"),
                }
                assert_eq!(read.empty >> at & 1 == 1, text.is_empty());
                if text.is_empty() {
                    assert_eq!((read.digits[at], read.sign[at]), (0, 0), "an empty text is 0");
                }
            }
        }
    }

    fn texts(pattern: &'static str) -> impl Strategy<Value = Vec<String>> {
        prop::collection::vec(pattern, EIGHT)
    }

    proptest! {
        #[test]
        fn every_level_reads_the_same_numbers(texts in texts("-?(0|[1-9][0-9]{0,15})([.][0-9]{1,14})?")) {
            check(&texts, "0123456789.-0123");
        }

        #[test]
        fn every_level_refuses_the_same_texts(
            texts in texts("-?[0-9]{0,17}|[-0-9.]{0,17}|-?[0-9]{0,3}[.]?[0-9]{0,3}[-./:eE+ü\u{0}]?[0-9]{0,3}|[0.-]{0,4}"),
            after in "[0-9.-]{0,20}",
        ) {
            check(&texts, &after);
        }
    }

    #[test]
    fn a_long_text_is_refused_whatever_its_length() {
        for len in [17, 18, 31, 32, 63, 64, 65, 255, 256, 257, 32_768, 65_535, 65_536, 65_537, 65_552] {
            for at in 0..EIGHT {
                let mut texts = vec!["7".to_owned(); EIGHT];
                texts[at] = "1".repeat(len);
                check(&texts, "0123456789012345");
            }
        }
    }
}
