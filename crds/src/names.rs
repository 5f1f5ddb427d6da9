//! All names that are derived from other names.

use std::fmt;

use sha2::{Digest, Sha256};

/// The id of a model: the first 8 hex digits of SHA-256 of `namespace/name`.
///
/// It depends on nothing else: a model that is deleted and made again has the same table and topic.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ModelId(String);

impl ModelId {
    /// Returns the id of the model `name` in `namespace`.
    #[must_use]
    pub fn of(namespace: &str, name: &str) -> Self {
        Self(hex8(format!("{namespace}/{name}").as_bytes()))
    }

    /// Returns whether a text that a user typed has the form of an id.
    #[must_use]
    pub fn looks_like(text: &str) -> bool {
        text.len() == 8 && text.bytes().all(|b| b.is_ascii_hexdigit() && !b.is_ascii_uppercase())
    }

    /// Returns the 8 hex digits.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns the Kafka topic of the model, which is also the name of its consumer group.
    #[must_use]
    pub fn topic(&self) -> String {
        format!("ingest.{}", self.0)
    }

    /// Returns the topic for records that no worker can process.
    #[must_use]
    pub fn dead_letter_topic(&self) -> String {
        format!("ingest.{}.dlq", self.0)
    }

    /// Returns the table of a model that names no table.
    #[must_use]
    pub fn default_table(&self) -> String {
        format!("data_{}", self.0)
    }

    /// Returns the name of the workers' Deployment, and of their ServiceAccount, RoleBinding and Secret.
    #[must_use]
    pub fn worker(&self) -> String {
        format!("batch-worker-{}", self.0)
    }
}

impl fmt::Display for ModelId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Returns the name of the ControllerRevision that stores `data` of the model `model`.
#[must_use]
pub fn revision(model: &str, data: &[u8]) -> String {
    format!("{model}-{}", hex8(data))
}

/// The partition of jobs of one chunk.
pub const SMALL_PARTITION: i32 = 0;

/// Returns the partition of the chunks of a batch. The batches of a job are assigned to the partitions in turn. A chunk
/// that is sent again gets the same partition.
///
/// [`SMALL_PARTITION`] is reserved for jobs of one chunk (`single`), so that a small job does not wait behind a large
/// one. A topic of one partition has no such lane.
#[must_use]
pub fn partition(job_uid: &str, batch: u32, single: bool, partitions: u32) -> i32 {
    if single || partitions <= 1 {
        return SMALL_PARTITION;
    }
    let others = u64::from(partitions) - 1;
    let at = 1 + fnv1a64(job_uid.as_bytes()).wrapping_add(u64::from(batch)) % others;
    i32::try_from(at).unwrap_or(0)
}

/// Returns the first 8 hex digits of the SHA-256.
fn hex8(bytes: &[u8]) -> String {
    let digest = Sha256::digest(bytes);
    format!("{:08x}", digest.iter().take(4).fold(0_u32, |word, byte| word << 8 | u32::from(*byte)))
}

/// FNV-1a, 64 bits (<http://www.isthe.com/chongo/tech/comp/fnv/>). Its values never change, unlike those of `std`'s
/// hasher.
fn fnv1a64(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, b| (hash ^ u64::from(*b)).wrapping_mul(0x0100_0000_01b3))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_model_id_is_the_start_of_the_sha256_of_its_full_name() {
        // printf shop/purchases | sha256sum
        assert_eq!(ModelId::of("shop", "purchases").as_str(), "5231e672");
        assert_ne!(ModelId::of("shop", "purchases"), ModelId::of("shop2", "purchases"));
    }

    #[test]
    fn the_batches_of_a_large_job_use_every_partition_except_that_for_small_jobs() {
        let seen: Vec<i32> = (0..5).map(|batch| partition("u1", batch, false, 6)).collect();
        let mut sorted = seen.clone();
        sorted.sort_unstable();
        assert_eq!(sorted, [1, 2, 3, 4, 5]);
        assert_eq!(partition("u1", 5, false, 6), seen[0]);
    }

    #[test]
    fn a_job_of_one_chunk_goes_to_the_partition_for_small_jobs() {
        assert_eq!(partition("u1", 0, true, 6), 0);
        assert_eq!([true, false].map(|single| partition("u1", 0, single, 1)), [0, 0]);
    }

    #[test]
    fn fnv1a_matches_its_published_vectors() {
        assert_eq!(fnv1a64(b""), 0xcbf2_9ce4_8422_2325);
        assert_eq!(fnv1a64(b"foobar"), 0x8594_4171_f739_67e8);
    }
}
