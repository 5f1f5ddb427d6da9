//! Digests of bytes that arrive in parts: CRC-64/NVME.

use std::fmt;
use std::str::FromStr;

use crc_fast::CrcAlgorithm::Crc64Nvme;

/// The CRC-64/NVME of bytes. The default is the digest of no bytes.
///
/// Why a CRC: its value is its complete state. After a crash, the digest of a prefix is enough to continue, and digests
/// of parts can be joined to the digest of all bytes. S3 uses the same CRC for the same reason. It detects accidents: a
/// flipped bit, or a part that is missing, doubled or out of order. It does not detect a forger, who could deceive only
/// their own job.
///
/// As text it is `crc64nvme:` and 16 lower-case hexadecimal digits.
///
/// Source: <https://reveng.sourceforge.io/crc-catalogue/all.htm#crc.cat.crc-64-nvme>.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub struct Digest(u64);

/// The beginning of a digest's text.
const PREFIX: &str = "crc64nvme:";
/// How many hexadecimal digits a digest has.
const DIGITS: usize = 16;

/// The text is no digest.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("'{text}' is not a digest; write {PREFIX} and {DIGITS} lower-case hexadecimal digits")]
pub struct DigestError {
    /// The text as it was written.
    pub text: String,
}

impl Digest {
    /// The digest of no bytes.
    pub const EMPTY: Self = Self(0);

    /// The digest of these bytes.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        Self(crc_fast::checksum(Crc64Nvme, bytes))
    }

    /// The digest of the bytes of this digest followed by those of `next`, of which there are `next_len`.
    ///
    /// This takes some microseconds, so join digests of kilobytes, not of bytes. `crc-fast` can join digests too, but
    /// takes a hundred times as long.
    #[must_use]
    pub fn then(self, next: Self, next_len: u64) -> Self {
        Self(product(self.0, power(next_len)) ^ next.0)
    }

    /// The digest of this value.
    #[must_use]
    pub const fn from_u64(value: u64) -> Self {
        Self(value)
    }

    /// The value.
    #[must_use]
    pub const fn as_u64(self) -> u64 {
        self.0
    }
}

/// The polynomial of CRC-64/NVME. In this module the highest bit of a polynomial is the factor of 1, the next bit that
/// of x. The polynomial has degree 64; the factor of x^64 is left out.
const POLYNOMIAL: u64 = 0x9a6c_9329_ac4b_c9b5;
/// The polynomial 1.
const ONE: u64 = 1 << 63;

/// The product of two polynomials, modulo [`POLYNOMIAL`].
fn product(a: u64, mut b: u64) -> u64 {
    let mut sum = 0;
    for factor in (0..u64::BITS).rev() {
        sum ^= if a >> factor & 1 == 1 { b } else { 0 };
        b = b >> 1 ^ if b & 1 == 1 { POLYNOMIAL } else { 0 };
    }
    sum
}

/// x to the power of `8 * bytes`, modulo [`POLYNOMIAL`]. A digest times this power, plus the digest of the next `bytes`
/// bytes, is the digest of both.
fn power(bytes: u64) -> u64 {
    let (mut power, mut square, mut left) = (ONE, ONE >> u8::BITS, bytes);
    while left > 0 {
        if left & 1 == 1 {
            power = product(power, square);
        }
        square = product(square, square);
        left >>= 1;
    }
    power
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{PREFIX}{:0DIGITS$x}", self.0)
    }
}

impl FromStr for Digest {
    type Err = DigestError;

    fn from_str(text: &str) -> Result<Self, DigestError> {
        let error = || DigestError { text: text.chars().take(64).collect() };
        let digits = text.strip_prefix(PREFIX).filter(|digits| digits.len() == DIGITS).ok_or_else(error)?;
        if !digits.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')) {
            return Err(error());
        }
        u64::from_str_radix(digits, 16).map(Self).map_err(|_| error())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_digest_is_the_crc_of_the_catalogue() {
        assert_eq!(Digest::of(b"123456789").as_u64(), 0xae8b_1486_0a79_9888);
        assert_eq!(Digest::of(b""), Digest::default());
        assert_eq!(Digest::EMPTY, Digest::default());
    }

    #[test]
    fn a_text_that_is_no_digest_is_refused() {
        let good = "crc64nvme:ae8b14860a799888";
        assert_eq!(good.parse(), Ok(Digest::of(b"123456789")));
        let bad = [
            "",
            "ae8b14860a799888",
            "crc64nvme:",
            "crc64nvme:ae8b14860a79988",
            "crc64nvme:ae8b14860a7998880",
            "crc64nvme:AE8B14860A799888",
            "crc64nvme:+e8b14860a799888",
            "crc64nvme: e8b14860a799888",
            "CRC64NVME:ae8b14860a799888",
            "sha256:ae8b14860a799888",
        ];
        for text in bad {
            let error = text.parse::<Digest>().unwrap_err();
            assert_eq!(error.text, text);
        }
        let error = "ü".repeat(100).parse::<Digest>().unwrap_err();
        assert_eq!(error.text.chars().count(), 64);
        let message = "'x' is not a digest; write crc64nvme: and 16 lower-case hexadecimal digits";
        assert_eq!("x".parse::<Digest>().unwrap_err().to_string(), message);
    }

    proptest! {
        #[test]
        fn long_digests_are_joined_as_crc_fast_joins_them(first: u64, next: u64, len in 1_u64..) {
            let joined = Digest(first).then(Digest(next), len);
            prop_assert_eq!(joined.0, crc_fast::checksum_combine(Crc64Nvme, first, next, len));
        }

        #[test]
        fn digests_of_parts_join_to_the_digest_of_the_whole(parts in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..600), 0..6)) {
            let joined = parts.iter().fold(Digest::default(), |so_far, part| so_far.then(Digest::of(part), part.len() as u64));
            prop_assert_eq!(joined, Digest::of(&parts.concat()));
        }

        #[test]
        fn a_digest_is_read_as_it_is_shown(value: u64) {
            let digest = Digest::from_u64(value);
            prop_assert_eq!(digest.to_string().parse(), Ok(digest));
            prop_assert_eq!(digest.as_u64(), value);
        }
    }
}
