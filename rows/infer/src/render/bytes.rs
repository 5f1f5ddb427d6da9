//! Reads the bytes of a block from the front. Too few bytes are a [`Problem`], never a panic.

use rows_bytes::leb128::{self, Broken};

/// What is wrong with a block.
pub(super) type Problem = &'static str;

const SHORT: Problem = "it is cut off";

/// The bytes that are left to read.
#[derive(Clone, Copy)]
pub(super) struct Bytes<'a>(pub &'a [u8]);

impl<'a> Bytes<'a> {
    pub(super) fn take(&mut self, n: usize) -> Result<&'a [u8], Problem> {
        let (front, rest) = self.0.split_at_checked(n).ok_or(SHORT)?;
        self.0 = rest;
        Ok(front)
    }

    /// Takes `rows` values of `width` bytes.
    pub(super) fn values(&mut self, rows: usize, width: usize) -> Result<Self, Problem> {
        Ok(Self(self.take(rows.checked_mul(width).ok_or(SHORT)?)?))
    }

    /// Takes a length in LEB128.
    pub(super) fn length(&mut self) -> Result<usize, Problem> {
        let (n, width) = leb128::read(self.0).map_err(|broken| match broken {
            Broken::CutOff => SHORT,
            Broken::TooLong => "a length in it has more than 63 bits",
        })?;
        self.take(width)?;
        usize::try_from(n).map_err(|_| SHORT)
    }

    /// Takes a length and the text after it.
    pub(super) fn text(&mut self) -> Result<&'a [u8], Problem> {
        let n = self.length()?;
        self.take(n)
    }

    pub(super) fn u64(&mut self) -> Result<u64, Problem> {
        Ok(u64::from_le_bytes(self.array()?))
    }

    /// Takes a little-endian number of `width` bytes, at most 16.
    pub(super) fn uint(&mut self, width: usize) -> Result<u128, Problem> {
        Ok(self.take(width)?.iter().rev().fold(0, |n, b| (n << 8) | u128::from(*b)))
    }

    /// Takes a little-endian number with a sign, of `width` bytes, at most 16.
    pub(super) fn int(&mut self, width: usize) -> Result<i128, Problem> {
        let shift = (128 - 8 * width) as u32;
        Ok(((self.uint(width)? << shift) as i128) >> shift)
    }

    /// Takes a byte that is 1 or 0.
    pub(super) fn is_true(&mut self) -> Result<bool, Problem> {
        match self.array()? {
            [0] => Ok(false),
            [1] => Ok(true),
            _ => Err("it holds a truth value that is neither 0 nor 1"),
        }
    }

    pub(super) fn array<const N: usize>(&mut self) -> Result<[u8; N], Problem> {
        let (front, rest) = self.0.split_first_chunk::<N>().ok_or(SHORT)?;
        self.0 = rest;
        Ok(*front)
    }
}
