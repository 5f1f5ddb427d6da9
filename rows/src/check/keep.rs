//! Which records of a tile stay, and how the others are taken out of columns of fixed width.

use crate::native::Room;

/// The good records of a tile.
#[derive(Debug, Default)]
pub(crate) struct Keep {
    records: usize,
    /// Runs of good records, first and behind the last.
    runs: Vec<(u32, u32)>,
    kept: usize,
    /// Each good record behind the first bad one, where runs are too short to be moved one by one.
    each: Vec<u32>,
}

/// Good records of a run on average for which it is moved as one.
const LONG: usize = 24;

impl Keep {
    /// Of so many records all but the bad ones, which are in order.
    pub(super) fn set(&mut self, records: usize, bad: impl ExactSizeIterator<Item = u32>) {
        self.runs.clear();
        self.each.clear();
        self.records = records;
        self.kept = records - bad.len();
        let mut start = 0;
        for at in bad.chain(std::iter::once(records as u32)) {
            if at > start {
                self.runs.push((start, at));
            }
            start = at + 1;
        }
        if self.kept < LONG * self.runs.len() {
            let behind = self.runs.iter().filter(|(start, _)| *start > 0);
            self.each.extend(behind.flat_map(|(start, end)| *start..*end));
        }
    }

    /// How many stay in front of the first bad one.
    fn unmoved(&self) -> usize {
        self.runs.first().filter(|(start, _)| *start == 0).map_or(0, |(_, end)| *end as usize)
    }

    /// Removes the values of bad records; those of the tile are the last ones of `data`.
    pub(super) fn compact(&self, data: &mut Room, width: usize) {
        let start = data.len() - width * self.records;
        let values = data.since(start);
        match width {
            1 => self.gather::<1>(values),
            2 => self.gather::<2>(values),
            4 => self.gather::<4>(values),
            8 => self.gather::<8>(values),
            16 => self.gather::<16>(values),
            32 => self.gather::<32>(values),
            _ => self.move_runs(values, width),
        }
        data.truncate(start + self.kept * width);
    }

    fn gather<const W: usize>(&self, values: &mut [u8]) {
        if self.each.is_empty() {
            return self.move_runs(values, W);
        }
        let (values, _) = values.as_chunks_mut::<W>();
        for (to, from) in (self.unmoved()..).zip(&self.each) {
            values[to] = values[*from as usize];
        }
    }

    fn move_runs(&self, values: &mut [u8], width: usize) {
        let mut to = 0;
        for (start, end) in &self.runs {
            let (start, end) = (*start as usize, *end as usize);
            if start > to {
                values.copy_within(start * width..end * width, to * width);
            }
            to += end - start;
        }
    }

    /// The numbers of the good records, of which the tile's first one would have `first`.
    pub(super) fn number(&self, first: u64, mut slots: &mut [[u8; 8]]) {
        if self.each.is_empty() {
            for (start, end) in &self.runs {
                let (run, behind) = slots.split_at_mut((end - start) as usize);
                for (slot, number) in run.iter_mut().zip(first + u64::from(*start)..) {
                    *slot = number.to_le_bytes();
                }
                slots = behind;
            }
            return;
        }
        let (unmoved, behind) = slots.split_at_mut(self.unmoved());
        for (slot, number) in unmoved.iter_mut().zip(first..) {
            *slot = number.to_le_bytes();
        }
        for (slot, record) in behind.iter_mut().zip(&self.each) {
            *slot = (first + u64::from(*record)).to_le_bytes();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Keep;
    use crate::native::Room;
    use proptest::prelude::*;

    /// Records of a tile, from few bad ones to few good ones.
    fn records() -> impl Strategy<Value = Vec<bool>> {
        (0u8..=100)
            .prop_flat_map(|share| prop::collection::vec((0u8..100).prop_map(move |n| n < share), 0..300))
    }

    proptest! {
        #[test]
        fn what_stays_is_every_good_record_in_its_order(bad in records(), width in 1usize..40, first: u32) {
            let mut keep = Keep::default();
            // what an earlier tile left does not count
            keep.set(50, [1, 3].into_iter());
            let places: Vec<u32> = (0..).zip(&bad).filter(|(_, bad)| **bad).map(|(at, _)| at).collect();
            keep.set(bad.len(), places.into_iter());

            let mut data = Room::default();
            data.extend_from_slice(b"before");
            let value = |at: usize| (0..width).map(move |i| (7 * at + i) as u8);
            for at in 0..bad.len() {
                data.extend_from_slice(&value(at).collect::<Vec<_>>());
            }
            keep.compact(&mut data, width);
            let good = (0..bad.len()).filter(|at| !bad[*at]);
            let expected: Vec<u8> = b"before".iter().copied().chain(good.clone().flat_map(value)).collect();
            prop_assert_eq!(data.as_slice(), &expected[..]);

            let mut slots = vec![[0; 8]; good.clone().count()];
            keep.number(u64::from(first), &mut slots);
            let numbers: Vec<[u8; 8]> = good.map(|at| (u64::from(first) + at as u64).to_le_bytes()).collect();
            prop_assert_eq!(slots, numbers);
        }
    }
}
