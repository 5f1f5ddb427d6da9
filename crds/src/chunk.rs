//! The headers of a chunk on Kafka: pairs of text that any Kafka tool can read.

use std::collections::HashMap;

/// The largest Kafka message that a producer of this project sends: the largest chunk and its headers.
pub const MAX_MESSAGE_BYTES: u32 = 24 * 1024 * 1024;
/// The limit of the bytes that the headers of a chunk add to its own bytes in a Kafka message. With the default
/// `chunkBytes` a message stays below 1,048,588 bytes, the limit of a broker without configuration.
pub const HEADER_BYTES: u32 = 64 * 1024;

/// What a worker must know about a chunk besides its bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChunkHeader {
    /// The job's uid.
    pub job: String,
    /// The job's name.
    pub name: String,
    /// The chunk's number in the job, from 0.
    pub chunk: u32,
    /// The number of its first record in the file, from 1; the header line does not count.
    pub first_row: u64,
    /// The number of its records.
    pub rows: u32,
    /// The batch it belongs to: consecutive chunks in one partition that one INSERT loads.
    pub batch: rows_types::BatchStart,
    /// Whether it is the last chunk of its batch.
    pub ends_batch: bool,
    /// The digest of its bytes. A chunk with the same number and another digest is a chunk of another file.
    pub digest: rows_types::Digest,
    /// The name of the ControllerRevision that the job uses.
    pub revision: String,
    /// How the bytes are read.
    pub input: rows_types::Input,
    /// The names in the file's header, if it has one.
    pub columns: Option<Vec<String>>,
}

/// Why a record is not a chunk. No worker can process it.
#[derive(Debug, thiserror::Error)]
pub enum ChunkHeaderError {
    /// A header is absent.
    #[error("the record has no header '{0}'")]
    Missing(&'static str),
    /// A header does not parse.
    #[error("the header '{name}' cannot be read: {why}")]
    Malformed {
        /// The name of the header.
        name: &'static str,
        /// Why.
        why: String,
    },
}

impl ChunkHeader {
    /// Returns the key of the record: `job/chunk`.
    #[must_use]
    pub fn key(&self) -> String {
        format!("{}/{}", self.job, self.chunk)
    }

    /// Returns the deduplication token of the chunk's batch. ClickHouse stores the rows under a token once.
    #[must_use]
    pub fn batch_token(&self) -> String {
        format!("{}/{}", self.job, self.batch.first_chunk)
    }

    /// Returns the headers as pairs of name and value.
    #[must_use]
    pub fn to_headers(&self) -> Vec<(&'static str, String)> {
        let mut headers = vec![
            ("job", self.job.clone()),
            ("name", self.name.clone()),
            ("chunk", self.chunk.to_string()),
            ("first-row", self.first_row.to_string()),
            ("rows", self.rows.to_string()),
            ("batch", self.batch.number.to_string()),
            ("batch-chunk", self.batch.first_chunk.to_string()),
            ("batch-row", self.batch.first_row.to_string()),
            ("ends-batch", self.ends_batch.to_string()),
            ("digest", self.digest.to_string()),
            ("revision", self.revision.clone()),
            ("input", serde_json::to_string(&self.input).unwrap_or_default()),
        ];
        if let Some(columns) = &self.columns {
            headers.push(("columns", serde_json::to_string(columns).unwrap_or_default()));
        }
        headers
    }

    /// Reads the headers from pairs of name and value. Unknown names are ignored.
    pub fn parse<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a [u8])>) -> Result<Self, ChunkHeaderError> {
        let pairs: HashMap<&str, &[u8]> = pairs.into_iter().collect();
        let text = |name: &'static str| -> Result<&str, ChunkHeaderError> {
            let bytes = pairs.get(name).ok_or(ChunkHeaderError::Missing(name))?;
            std::str::from_utf8(bytes).map_err(|e| malformed(name, &e))
        };
        let number = |name| text(name)?.parse::<u32>().map_err(|e| malformed(name, &e));
        let row = |name| text(name)?.parse::<u64>().map_err(|e| malformed(name, &e));
        let header = Self {
            job: text("job")?.to_owned(),
            name: text("name")?.to_owned(),
            chunk: number("chunk")?,
            first_row: row("first-row")?,
            rows: number("rows")?,
            batch: rows_types::BatchStart {
                number: number("batch")?,
                first_chunk: number("batch-chunk")?,
                first_row: row("batch-row")?,
            },
            ends_batch: text("ends-batch")?.parse().map_err(|e| malformed("ends-batch", &e))?,
            digest: text("digest")?.parse().map_err(|e| malformed("digest", &e))?,
            revision: text("revision")?.to_owned(),
            input: serde_json::from_str(text("input")?).map_err(|e| malformed("input", &e))?,
            columns: if pairs.contains_key("columns") {
                Some(serde_json::from_str(text("columns")?).map_err(|e| malformed("columns", &e))?)
            } else {
                None
            },
        };
        if header.batch.first_chunk > header.chunk || header.batch.first_row > header.first_row {
            return Err(malformed("batch-chunk", &"the batch begins after the chunk"));
        }
        Ok(header)
    }
}

/// Returns what a chunk adds to the checksum of its job: its digest, weighted by its number. The sum over all chunks,
/// modulo 2^64, does not depend on their order, so the upload API and the ledger add it up independently. If both sums
/// are equal, the loaded chunks are those of one file.
#[must_use]
pub fn checksum_part(digest: rows_types::Digest, chunk: u32) -> i64 {
    digest.as_u64().wrapping_mul(2 * u64::from(chunk) + 1).cast_signed()
}

fn malformed(name: &'static str, why: &impl std::fmt::Display) -> ChunkHeaderError {
    ChunkHeaderError::Malformed { name, why: why.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header() -> ChunkHeader {
        ChunkHeader {
            job: "8d7c2f3e".into(),
            name: "e5f6a7b8".into(),
            chunk: 7,
            first_row: 123,
            rows: 2,
            batch: rows_types::BatchStart { number: 1, first_chunk: 5, first_row: 100 },
            ends_batch: true,
            digest: rows_types::Digest::of(b"1,2"),
            revision: "purchases-0a1b2c3d".into(),
            input: rows_types::Input::default(),
            columns: Some(vec!["event_id".into(), "größe, \"x\"".into()]),
        }
    }

    #[test]
    fn a_header_is_the_same_after_kafka() {
        let header = header();
        let pairs = header.to_headers();
        let back = ChunkHeader::parse(pairs.iter().map(|(n, v)| (*n, v.as_bytes()))).unwrap();
        assert_eq!(back, header);
        assert_eq!(back.key(), "8d7c2f3e/7");
    }

    #[test]
    fn the_checksum_of_a_job_differs_for_other_chunks_and_for_another_order() {
        let [a, b, c] = [b"a", b"b", b"c"].map(|bytes| rows_types::Digest::of(bytes));
        let sum = |chunks: [rows_types::Digest; 2]| {
            chunks.into_iter().zip(0..).fold(0_i64, |sum, (d, n)| sum.wrapping_add(checksum_part(d, n)))
        };
        assert_ne!(sum([a, b]), sum([a, c]));
        assert_ne!(sum([a, b]), sum([b, a]));
    }

    #[test]
    fn a_missing_or_broken_header_is_named() {
        let mut pairs = header().to_headers();
        pairs.retain(|(name, _)| *name != "first-row");
        let error = ChunkHeader::parse(pairs.iter().map(|(n, v)| (*n, v.as_bytes()))).unwrap_err();
        assert_eq!(error.to_string(), "the record has no header 'first-row'");
        pairs.push(("first-row", "-1".into()));
        let error = ChunkHeader::parse(pairs.iter().map(|(n, v)| (*n, v.as_bytes()))).unwrap_err();
        assert!(error.to_string().starts_with("the header 'first-row' cannot be read"), "{error}");
    }

    #[test]
    fn a_batch_that_begins_after_its_chunk_is_refused() {
        let mut header = header();
        header.batch.first_chunk = 8;
        let pairs = header.to_headers();
        let error = ChunkHeader::parse(pairs.iter().map(|(n, v)| (*n, v.as_bytes()))).unwrap_err();
        assert!(error.to_string().contains("the batch begins after the chunk"), "{error}");
    }
}
