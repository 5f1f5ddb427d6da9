//! The few types of ClickHouse's `RowBinary` that rejects and ledger need
//! (<https://clickhouse.com/docs/interfaces/formats/RowBinary>). The checking thread makes these rows. It is not
//! async, so it cannot use the `clickhouse` crate, which awaits each row.

/// Rows that are being written.
#[derive(Debug, Default)]
pub struct RowBinary(Vec<u8>);

impl RowBinary {
    /// Appends a `String`, or a `LowCardinality(String)`.
    pub fn text(&mut self, text: &str) -> &mut Self {
        self.length(text.len());
        self.0.extend_from_slice(text.as_bytes());
        self
    }

    /// Appends a `UInt32`.
    pub fn u32(&mut self, number: u32) -> &mut Self {
        self.0.extend_from_slice(&number.to_le_bytes());
        self
    }

    /// Appends a `UInt64`.
    pub fn u64(&mut self, number: u64) -> &mut Self {
        self.0.extend_from_slice(&number.to_le_bytes());
        self
    }

    /// Appends the length of what follows, as LEB128: of a text in bytes, of an array in elements.
    pub fn length(&mut self, mut length: usize) -> &mut Self {
        loop {
            let low = length.to_le_bytes()[0] & 0x7f;
            length >>= 7;
            if length == 0 {
                self.0.push(low);
                return self;
            }
            self.0.push(low | 0x80);
        }
    }

    /// Returns the number of bytes so far.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Returns the rows.
    pub fn into_bytes(self) -> bytes::Bytes {
        self.0.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_little_endian_and_texts_start_with_their_length_as_a_varint() {
        let mut row = RowBinary::default();
        row.u32(1).u64(2).text("é");
        assert_eq!(&row.into_bytes()[..], b"\x01\0\0\0\x02\0\0\0\0\0\0\0\x02\xc3\xa9");
        let mut row = RowBinary::default();
        row.length(300);
        assert_eq!(&row.into_bytes()[..], b"\xac\x02");
    }
}
