//! Which records of a batch are kept, and how the others are removed from columns of fixed width.

use super::GrowBuffer;

/// The good records of a record batch.
#[derive(Debug, Default)]
pub(crate) struct Selection {
    records: usize,
    kept: usize,
    /// The good records, in the first `kept` entries.
    each: Vec<u32>,
    /// Whether each entry of `each` equals its index.
    every: bool,
    /// How many good records come before the first bad one.
    unmoved: usize,
    /// The first record of each run of good records, and the record after its last. Empty if the runs are too short to
    /// be moved one run at a time.
    runs: Vec<(u32, u32)>,
}

/// Runs are moved one run at a time if they have this many good records on average.
const LONG: usize = 24;

impl Selection {
    /// The records that are not bad.
    pub(crate) fn of(bad: &[u8]) -> Self {
        let mut selection = Self::default();
        selection.set(bad, bad.iter().filter(|bad| **bad != 0).count());
        selection
    }

    /// Selects all records of the batch except the bad ones, of which there are `count`.
    pub(crate) fn set(&mut self, bad: &[u8], count: usize) {
        self.runs.clear();
        self.records = bad.len();
        self.kept = self.records - count;
        if count == 0 {
            if !self.every || self.each.len() < self.kept {
                self.each.clear();
                self.each.extend(0..self.kept as u32);
            }
            (self.every, self.unmoved) = (true, self.kept);
            return;
        }
        self.every = false;
        self.unmoved = memchr::memchr3(1, 2, 3, bad).unwrap_or(self.records);
        if self.kept < LONG * count {
            self.list(bad);
        } else {
            self.run(bad);
        }
    }

    /// Lists the good records, without a branch that depends on which they are.
    fn list(&mut self, bad: &[u8]) {
        // bad records at the end are written after the good ones, into one more entry
        self.each.resize(self.each.len().max(self.records), 0);
        let mut kept = 0;
        for (record, bad) in (0..).zip(bad) {
            self.each[kept] = record;
            kept += usize::from(*bad == 0);
        }
    }

    fn run(&mut self, bad: &[u8]) {
        self.each.clear();
        let bad = memchr::memchr3_iter(1, 2, 3, bad).map(|at| at as u32);
        let mut start = 0;
        for at in bad.chain(std::iter::once(self.records as u32)) {
            if at > start {
                self.runs.push((start, at));
                self.each.extend(start..at);
            }
            start = at + 1;
        }
    }

    /// The good records.
    pub(crate) fn each(&self) -> &[u32] {
        &self.each[..self.kept]
    }

    /// Removes the values of bad records. The values of the batch are the last ones of `data`.
    pub(crate) fn compact(&self, data: &mut GrowBuffer, width: usize) {
        let start = data.len() - width * self.records;
        let values = data.since(start);
        match width {
            1 => self.gather::<1>(values),
            2 => self.gather::<2>(values),
            4 => self.gather::<4>(values),
            8 => self.gather::<8>(values),
            16 => self.gather::<16>(values),
            32 => self.gather::<32>(values),
            _ => self.move_each(values, width),
        }
        data.truncate(start + self.kept * width);
    }

    fn gather<const W: usize>(&self, values: &mut [u8]) {
        if !self.runs.is_empty() {
            return self.move_runs(values, W);
        }
        let (values, _) = values.as_chunks_mut::<W>();
        for (to, from) in self.each().iter().enumerate().skip(self.unmoved) {
            values[to] = values[*from as usize];
        }
    }

    fn move_each(&self, values: &mut [u8], width: usize) {
        for (to, from) in self.each().iter().enumerate().skip(self.unmoved) {
            let from = *from as usize * width;
            values.copy_within(from..from + width, to * width);
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

    /// Writes the numbers of the good records; the first record of the batch has the number `first`.
    pub(crate) fn number(&self, first: u64, slots: &mut [[u8; 8]]) {
        for (slot, record) in slots.iter_mut().zip(self.each()) {
            *slot = (first + u64::from(*record)).to_le_bytes();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Selection;
    use crate::native::GrowBuffer;
    use proptest::prelude::*;

    /// Which records of a batch are bad, from few to nearly all.
    fn records() -> impl Strategy<Value = Vec<bool>> {
        (0u8..=100)
            .prop_flat_map(|share| prop::collection::vec((0u8..100).prop_map(move |n| n < share), 0..300))
    }

    fn set(selection: &mut Selection, bad: &[bool]) {
        // any of the three values of a bad record
        let byte = |(at, bad): (usize, &bool)| if *bad { 1 + (at % 3) as u8 } else { 0 };
        let bytes: Vec<u8> = bad.iter().enumerate().map(byte).collect();
        selection.set(&bytes, bad.iter().filter(|bad| **bad).count());
    }

    proptest! {
        #[test]
        fn what_stays_is_every_good_record_in_its_order(
            earlier in prop::collection::vec(records(), 0..3), bad in records(), width in 1usize..40, first: u32,
        ) {
            let mut selection = Selection::default();
            // the contents of earlier record batches must have no effect
            for earlier in earlier {
                set(&mut selection, &earlier);
            }
            set(&mut selection, &bad);

            let mut data = GrowBuffer::default();
            data.extend_from_slice(b"before");
            let value = |at: usize| (0..width).map(move |i| (7 * at + i) as u8);
            for at in 0..bad.len() {
                data.extend_from_slice(&value(at).collect::<Vec<_>>());
            }
            selection.compact(&mut data, width);
            let good = (0..bad.len()).filter(|at| !bad[*at]);
            let expected: Vec<u8> = b"before".iter().copied().chain(good.clone().flat_map(value)).collect();
            prop_assert_eq!(data.as_slice(), &expected[..]);
            prop_assert!(selection.each().iter().map(|at| *at as usize).eq(good.clone()));

            let mut slots = vec![[0; 8]; good.clone().count()];
            selection.number(u64::from(first), &mut slots);
            let numbers: Vec<[u8; 8]> = good.map(|at| (u64::from(first) + at as u64).to_le_bytes()).collect();
            prop_assert_eq!(slots, numbers);
        }
    }
}
