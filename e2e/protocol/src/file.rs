//! Files, chunks, records and batches: a job of three chunks in two batches.

use std::fmt;

/// How many chunks each file has. Chunks 0 and 1 are the first batch, chunk 2 is the second.
pub const CHUNKS: u8 = 3;
/// The most partitions of the topic: one for each batch.
pub const PARTITIONS: usize = 2;

/// Which file a client sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum File {
    /// The file of the first request.
    First,
    /// See [`SecondFile`].
    Second,
}

/// How the second file differs from the first, whose chunks have 1, 2 and 1 rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SecondFile {
    /// There is no second file: the client always sends the same file.
    None,
    /// All chunks differ. The numbers of rows are the same.
    Different,
    /// The second and the third chunk differ. The numbers of rows are the same.
    SameStart,
    /// Like `SameStart`, but its second chunk has only one row.
    SameStartFewerRows,
}

impl SecondFile {
    /// Returns the contents of the chunks of a file.
    #[must_use]
    pub fn contents(self, file: File) -> Contents {
        match (file, self) {
            (File::First, _) | (_, Self::None) => Contents(0b000),
            (File::Second, Self::Different) => Contents(0b111),
            (File::Second, Self::SameStart | Self::SameStartFewerRows) => Contents(0b110),
        }
    }

    /// Returns the number of rows of a chunk.
    #[must_use]
    pub fn rows(self, chunk: u8, other: bool) -> u8 {
        match (chunk, other, self) {
            (1, true, Self::SameStartFewerRows) => 1,
            (1, _, _) => 2,
            _ => 1,
        }
    }
}

/// For each chunk, whether its content is that of the second file, if the two files differ. It represents the digests.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Contents(pub u8);

impl Contents {
    /// Returns whether this chunk has the content of the second file.
    #[must_use]
    pub fn other(self, chunk: u8) -> bool {
        self.0 & 1 << chunk != 0
    }

    /// Returns the contents with this chunk.
    #[must_use]
    pub fn with(self, chunk: u8, other: bool) -> Self {
        Self(self.0 & !(1 << chunk) | u8::from(other) << chunk)
    }

    /// Returns only the first `chunks` chunks.
    #[must_use]
    pub fn prefix(self, chunks: u8) -> Self {
        Self(self.0 & ((1 << chunks) - 1))
    }
}

impl fmt::Debug for Contents {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (0..CHUNKS).try_for_each(|chunk| f.write_str(if self.other(chunk) { "b" } else { "a" }))
    }
}

/// A chunk as it is in Kafka.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Record {
    /// Its number.
    pub chunk: u8,
    /// Whether its content is that of the second file.
    pub other: bool,
    /// Whether it was cut without regard to the earlier batches: chunks 1 and 2 are then one batch.
    pub recut: bool,
}

impl fmt::Debug for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (file, recut) = (if self.other { "b" } else { "a" }, if self.recut { " recut" } else { "" });
        write!(f, "{file}{}{recut}", self.chunk)
    }
}

impl Record {
    /// Returns the number of the first chunk of its batch: the token.
    #[must_use]
    pub fn first(self) -> u8 {
        match (self.chunk, self.recut) {
            (_, true) => 1,
            (2, false) => 2,
            _ => 0,
        }
    }

    /// Returns whether it is the last chunk of its batch.
    #[must_use]
    pub fn ends_batch(self) -> bool {
        self.chunk == 2 || (self.chunk == 1 && !self.recut)
    }
}

/// A batch, or the part of it that a worker has taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Batch {
    /// The number of its first chunk.
    pub first: u8,
    /// The number after its last chunk.
    pub end: u8,
    /// The contents of its chunks; 0 for other chunks.
    pub contents: Contents,
    /// The chunks that are in an INSERT of it, by bit. Each chunk represents one table partition of the batch.
    pub insert: u8,
}

impl Batch {
    /// Makes a batch that starts with this chunk.
    #[must_use]
    pub fn begin(record: Record) -> Self {
        let empty = Self { first: record.chunk, end: record.chunk, contents: Contents(0), insert: 0 };
        empty.with(record)
    }

    /// Returns the batch with this chunk, which must be the next.
    #[must_use]
    pub fn with(self, record: Record) -> Self {
        let contents = self.contents.with(record.chunk, record.other);
        Self { end: record.chunk + 1, contents, insert: self.insert | 1 << record.chunk, ..self }
    }

    /// Returns whether it has this chunk.
    #[must_use]
    pub fn has(self, chunk: u8) -> bool {
        (self.first..self.end).contains(&chunk)
    }

    /// Returns the numbers of its chunks.
    pub fn chunks(self) -> impl Iterator<Item = u8> {
        self.first..self.end
    }
}
