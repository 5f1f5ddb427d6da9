//! The good rows.

use bytes::Bytes;
use crds::ChunkHeader;

use super::Inserter;
use crate::error::Failure;
use crate::plan::Target;

impl Inserter {
    /// Inserts a block of good rows under the chunk's token.
    pub async fn data(&self, header: &ChunkHeader, target: &Target, block: Bytes) -> Result<(), Failure> {
        self.send(&target.insert, header.token(), block).await
    }
}
