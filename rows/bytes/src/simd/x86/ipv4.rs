//! `a.b.c.d` to 32 bits.

use std::arch::x86_64::{
    _mm_add_epi8, _mm_cmpeq_epi8, _mm_cvtsi128_si64, _mm_loadu_si128, _mm_madd_epi16, _mm_maddubs_epi16,
    _mm_min_epu8, _mm_movemask_epi8, _mm_set1_epi8, _mm_set1_epi16, _mm_set1_epi32, _mm_setr_epi8,
    _mm_shuffle_epi8, _mm_sub_epi8,
};

/// Where an address has its dots, and so where its digits are.
struct Shape {
    /// A shuffle that moves the hundreds, tens and ones of each octet into three bytes, with zeros for missing digits.
    /// The fourth byte is a byte that must not be 0: the first of two or three digits, or a dot.
    shuffle: [u8; 16],
    /// The bits of the dots, and of the end of the address.
    ends: u32,
}

/// Gives each of the 81 shapes a slot of its own among 256; found by trial.
const MULTIPLIER: u32 = 0xd6af_10d1;

#[inline(always)]
const fn slot(ends: u32) -> u8 {
    (ends.wrapping_mul(MULTIPLIER) >> 24) as u8
}

static SHAPES: [Shape; 256] = {
    let mut shapes = [const { Shape { shuffle: [0; 16], ends: 0 } }; 256];
    let mut n = 0;
    while n < 81 {
        let lengths = [1 + n / 27, 1 + n / 9 % 3, 1 + n / 3 % 3, 1 + n % 3];
        let mut shape = Shape { shuffle: [0x80; 16], ends: 0 };
        let (mut start, mut octet) = (0, 0);
        while octet < 4 {
            let len = lengths[octet];
            let mut digit = 0;
            while digit < len {
                shape.shuffle[4 * octet + 3 - len + digit] = (start + digit) as u8;
                digit += 1;
            }
            // for one digit: the dot after it; in the last octet the dot before it
            let dot = if octet < 3 { start + 1 } else { start - 1 };
            shape.shuffle[4 * octet + 3] = if len > 1 { start } else { dot } as u8;
            shape.ends |= 1 << (start + len);
            start += len + 1;
            octet += 1;
        }
        let at = slot(shape.ends) as usize;
        assert!(shapes[at].ends == 0, "two shapes have one slot");
        shapes[at] = shape;
        n += 1;
    }
    shapes
};

/// The same as [`crate::ip::octets`]. No branch depends on where the dots are.
///
/// Method: Daniel Lemire, "Parsing IP addresses crazily fast" (2023), with a shuffle for each of the 81 shapes of an
/// address.
///
/// # Safety
/// The CPU has SSE4.1.
#[inline(always)]
pub(super) unsafe fn octets(bytes: &[u8; 16], len: usize) -> Option<u32> {
    if len > 15 {
        return None;
    }
    // SAFETY: the caller guarantees that the CPU has the instructions. The loads read the 16 bytes that each reference
    // covers.
    unsafe {
        let text = _mm_loadu_si128(bytes.as_ptr().cast());
        let dots = _mm_movemask_epi8(_mm_cmpeq_epi8(text, _mm_set1_epi8(b'.'.cast_signed()))).cast_unsigned();
        let ends = (dots & ((1 << len) - 1)) | (1 << len);
        let shape = &SHAPES[usize::from(slot(ends))];
        let values = _mm_sub_epi8(text, _mm_set1_epi8(b'0'.cast_signed()));
        let digits = _mm_shuffle_epi8(values, _mm_loadu_si128(shape.shuffle.as_ptr().cast()));
        // a digit is at most 9; in the fourth byte 0 becomes 255, which is too large
        #[rustfmt::skip]
        let shifted = _mm_add_epi8(digits, _mm_setr_epi8(0, 0, 0, -1, 0, 0, 0, -1, 0, 0, 0, -1, 0, 0, 0, -1));
        let most = _mm_setr_epi8(9, 9, 9, -2, 9, 9, 9, -2, 9, 9, 9, -2, 9, 9, 9, -2);
        let small = _mm_movemask_epi8(_mm_cmpeq_epi8(_mm_min_epu8(shifted, most), shifted)) == 0xffff;
        // the weights 100, 10, 1 and 0
        let sums = _mm_maddubs_epi16(digits, _mm_set1_epi32(0x0001_0a64));
        let octets = _mm_madd_epi16(sums, _mm_set1_epi16(1));
        // the low bytes of the four numbers, the last number first, and then their high bytes
        #[rustfmt::skip]
        let order = _mm_setr_epi8(12, 8, 4, 0, 13, 9, 5, 1, -1, -1, -1, -1, -1, -1, -1, -1);
        let both = _mm_cvtsi128_si64(_mm_shuffle_epi8(octets, order)).cast_unsigned();
        let address = both as u32;
        (shape.ends == ends && small && both == u64::from(address)).then_some(address)
    }
}
