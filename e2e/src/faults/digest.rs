//! The two checksums that both sides can compute: one for a file, one for a row.

#![allow(deprecated, reason = "std's SipHash-2-4 is deprecated as a Hasher, not as an algorithm")]

use std::hash::{Hasher, SipHasher};

/// The CRC-64/NVME of the bytes written to it, computed one byte at a time.
#[derive(Clone, Copy, Debug)]
pub struct Crc64(u64);

impl Crc64 {
    /// Makes the checksum of no bytes.
    #[must_use]
    pub fn new() -> Self {
        Self(u64::MAX)
    }

    /// Adds bytes.
    pub fn write(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            let low = usize::from(self.0.to_le_bytes()[0] ^ byte);
            self.0 = TABLE[low] ^ (self.0 >> 8);
        }
    }

    /// Returns the form of the status: `crc64nvme:` and 16 hexadecimal digits.
    #[must_use]
    pub fn shown(self) -> String {
        format!("crc64nvme:{:016x}", !self.0)
    }
}

impl Default for Crc64 {
    fn default() -> Self {
        Self::new()
    }
}

static TABLE: [u64; 256] = table();

const fn table() -> [u64; 256] {
    let mut table = [0; 256];
    let mut index = 0;
    while index < 256 {
        let mut word = index as u64;
        let mut bit = 0;
        while bit < 8 {
            word = if word & 1 == 1 { (word >> 1) ^ 0x9a6c_9329_ac4b_c9b5 } else { word >> 1 };
            bit += 1;
        }
        table[index] = word;
        index += 1;
    }
    table
}

/// Returns the same as ClickHouse's `sipHash64(String)`: SipHash-2-4 with the key 0.
#[must_use]
pub fn sip_hash64(bytes: &[u8]) -> u64 {
    let mut hasher = SipHasher::new();
    hasher.write(bytes);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_crc_matches_its_published_check_value() {
        let mut crc = Crc64::new();
        crc.write(b"12345");
        crc.write(b"6789");
        assert_eq!(crc.shown(), "crc64nvme:ae8b14860a799888");
    }

    #[test]
    fn the_hash_is_that_of_clickhouse() {
        // SELECT sipHash64('abc'), sipHash64('')
        assert_eq!(sip_hash64(b"abc"), 4_596_069_200_710_135_518);
        assert_eq!(sip_hash64(b""), 2_202_906_307_356_721_367);
    }
}
