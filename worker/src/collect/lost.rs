//! Decides whether the rest of an incomplete batch can no longer come. Pure.

/// Returns the last offset of a job in a partition, from `status.upload.lastOffsets` of a complete upload. `None` if it
/// is not known: while the upload is not complete, more chunks may be sent.
#[must_use]
pub fn last_offset(last_offsets: Option<&[i64]>, partition: i32) -> Option<i64> {
    let offset = last_offsets?.get(usize::try_from(partition).ok()?)?;
    Some(*offset).filter(|offset| *offset >= 0)
}

/// Returns whether the other chunks of an incomplete batch no longer exist in Kafka: every record up to the job's last
/// offset in the partition has `arrived`, and these chunks were not among them. A parked batch is kept: its chunks come
/// again from the dead-letter topic, after that offset.
#[must_use]
pub fn is_lost(last_offset: Option<i64>, arrived: Option<i64>, parked: bool) -> bool {
    let (Some(last), Some(arrived)) = (last_offset, arrived) else { return false };
    !parked && arrived > last
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_is_kept_while_its_upload_is_not_complete() {
        let last = last_offset(None, 0);
        assert!(!is_lost(last, Some(i64::MAX), false));
    }

    #[test]
    fn a_batch_is_kept_where_the_last_offset_of_its_partition_is_not_known() {
        for (offsets, partition) in [(&[7][..], 1), (&[-1, 7], 0), (&[7], -1), (&[], 0)] {
            let last = last_offset(Some(offsets), partition);
            assert!(!is_lost(last, Some(i64::MAX), false), "{offsets:?} {partition}");
        }
    }

    #[test]
    fn a_batch_is_lost_once_everything_up_to_the_last_offset_has_arrived() {
        let last = last_offset(Some(&[3, 7]), 1);
        assert_eq!(
            [None, Some(7), Some(8)].map(|arrived| is_lost(last, arrived, false)),
            [false, false, true]
        );
    }

    #[test]
    fn a_parked_batch_is_kept() {
        assert!(!is_lost(Some(7), Some(8), true));
    }
}
