//! Lengths as ClickHouse writes them: LEB128, seven bits in each byte, the lowest first. The highest bit of a byte is
//! set if another one follows.

/// Why bytes are no length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Broken {
    /// They end within it.
    CutOff,
    /// It has more than 63 bits.
    TooLong,
}

/// Gives the bytes of a length to `push`.
#[inline(always)]
pub fn write(mut n: usize, mut push: impl FnMut(u8)) {
    while n >= 0x80 {
        push(n as u8 | 0x80);
        n >>= 7;
    }
    push(n as u8);
}

/// The length that the bytes begin with, and how many bytes it takes.
#[inline]
pub fn read(bytes: &[u8]) -> Result<(u64, usize), Broken> {
    let mut n = 0;
    for (at, shift) in (0..63).step_by(7).enumerate() {
        let byte = *bytes.get(at).ok_or(Broken::CutOff)?;
        n |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Ok((n, at + 1));
        }
    }
    Err(Broken::TooLong)
}

/// How many bytes a length takes.
#[inline]
#[must_use]
pub fn width(n: u64) -> u64 {
    u64::from((u64::BITS - n.leading_zeros()).div_ceil(7)).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_length_is_read_as_it_is_written(n in 0..1_u64 << 63, short in 0_u64..70_000, behind: u8) {
            for n in [n, short] {
                let mut bytes = Vec::new();
                write(n as usize, |byte| bytes.push(byte));
                let len = bytes.len();
                prop_assert_eq!(width(n), len as u64);
                prop_assert_eq!(read(&bytes[..len - 1]), Err(Broken::CutOff));
                bytes.push(behind);
                prop_assert_eq!(read(&bytes), Ok((n, len)));
            }
        }
    }

    #[test]
    fn a_length_of_more_than_63_bits_is_refused() {
        assert_eq!(read(&[0x80; 9]), Err(Broken::TooLong));
        assert_eq!(read(&[0x80; 8]), Err(Broken::CutOff));
    }
}
