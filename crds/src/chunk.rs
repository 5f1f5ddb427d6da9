//! The header of a chunk on Kafka: text pairs, readable with any Kafka tool.

use std::collections::HashMap;

/// The largest Kafka message a producer of ours sends: the largest chunk, the record it may end with, and the headers.
pub const MAX_MESSAGE_BYTES: u32 = 24 * 1024 * 1024;

/// What a worker must know of a chunk besides its bytes.
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
    /// How many records it holds.
    pub rows: u32,
    /// The name of the ControllerRevision by which the job is judged.
    pub revision: String,
    /// How the bytes are to be read.
    pub input: rows::Input,
    /// The file's header, where it has one.
    pub columns: Option<Vec<String>>,
}

/// Why a record is no chunk of ours. No worker can process it.
#[derive(Debug, thiserror::Error)]
pub enum ChunkHeaderError {
    /// A header is absent.
    #[error("the record has no header '{0}'")]
    Missing(&'static str),
    /// A header does not parse.
    #[error("the header '{name}' cannot be read: {why}")]
    Malformed {
        /// Which one.
        name: &'static str,
        /// Why.
        why: String,
    },
}

impl ChunkHeader {
    /// The record's key: `job/chunk`.
    #[must_use]
    pub fn key(&self) -> String {
        format!("{}/{}", self.job, self.chunk)
    }

    /// The token under which ClickHouse takes the chunk's rows once.
    #[must_use]
    pub fn token(&self) -> String {
        self.key()
    }

    /// As pairs of name and value.
    #[must_use]
    pub fn to_headers(&self) -> Vec<(&'static str, String)> {
        let mut headers = vec![
            ("job", self.job.clone()),
            ("name", self.name.clone()),
            ("chunk", self.chunk.to_string()),
            ("first-row", self.first_row.to_string()),
            ("rows", self.rows.to_string()),
            ("revision", self.revision.clone()),
            ("input", serde_json::to_string(&self.input).unwrap_or_default()),
        ];
        if let Some(columns) = &self.columns {
            headers.push(("columns", serde_json::to_string(columns).unwrap_or_default()));
        }
        headers
    }

    /// From pairs of name and value; unknown names are passed over.
    pub fn parse<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a [u8])>) -> Result<Self, ChunkHeaderError> {
        let pairs: HashMap<&str, &[u8]> = pairs.into_iter().collect();
        let text = |name: &'static str| -> Result<&str, ChunkHeaderError> {
            let bytes = pairs.get(name).ok_or(ChunkHeaderError::Missing(name))?;
            std::str::from_utf8(bytes).map_err(|e| malformed(name, &e))
        };
        Ok(Self {
            job: text("job")?.to_owned(),
            name: text("name")?.to_owned(),
            chunk: text("chunk")?.parse().map_err(|e| malformed("chunk", &e))?,
            first_row: text("first-row")?.parse().map_err(|e| malformed("first-row", &e))?,
            rows: text("rows")?.parse().map_err(|e| malformed("rows", &e))?,
            revision: text("revision")?.to_owned(),
            input: serde_json::from_str(text("input")?).map_err(|e| malformed("input", &e))?,
            columns: if pairs.contains_key("columns") {
                Some(serde_json::from_str(text("columns")?).map_err(|e| malformed("columns", &e))?)
            } else {
                None
            },
        })
    }
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
            revision: "purchases-0a1b2c3d".into(),
            input: rows::Input::default(),
            columns: Some(vec!["event_id".into(), "größe, \"x\"".into()]),
        }
    }

    #[test]
    fn a_header_survives_kafka() {
        let header = header();
        let pairs = header.to_headers();
        let back = ChunkHeader::parse(pairs.iter().map(|(n, v)| (*n, v.as_bytes()))).unwrap();
        assert_eq!(back, header);
        assert_eq!(back.key(), "8d7c2f3e/7");
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
}
