//! How many rows of a batch are good and bad, and its bad cells by kind.

/// The counts of a chunk or a batch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RowCounts {
    /// All rows.
    pub rows: u32,
    /// The rows in the block.
    pub ok: u32,
    /// The rows with a bad cell.
    pub bad_rows: u32,
    /// The bad cells.
    pub bad_cells: u64,
}

impl RowCounts {
    /// Adds the counts of another chunk.
    pub fn add(&mut self, other: Self) {
        self.rows += other.rows;
        self.ok += other.ok;
        self.bad_rows += other.bad_rows;
        self.bad_cells += other.bad_cells;
    }
}

/// Bad cells of one kind, as they are in the ledger.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kind {
    /// The column.
    pub column: String,
    /// The code of the error.
    pub error: &'static str,
    /// The number of these bad cells.
    pub count: u64,
    /// The first row with such a bad cell.
    pub first_row: u64,
    /// The text of that cell, masked.
    pub sample: String,
}

/// Adds the kinds of another chunk. The sample is that of the first row.
pub fn merge(all: &mut Vec<Kind>, more: Vec<Kind>) {
    for kind in more {
        match all.iter_mut().find(|known| known.error == kind.error && known.column == kind.column) {
            Some(known) => {
                known.count += kind.count;
                if kind.first_row < known.first_row {
                    (known.first_row, known.sample) = (kind.first_row, kind.sample);
                }
            }
            None => all.push(kind),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(column: &str, error: &'static str, count: u64, first_row: u64, sample: &str) -> Kind {
        Kind { column: column.into(), error, count, first_row, sample: sample.into() }
    }

    #[test]
    fn kinds_add_up_and_show_the_sample_of_the_first_row() {
        let mut all = vec![kind("a", "X", 2, 20, "late")];
        merge(
            &mut all,
            vec![kind("a", "X", 3, 7, "early"), kind("a", "Y", 1, 8, "y"), kind("b", "X", 1, 9, "b")],
        );
        merge(&mut all, vec![kind("a", "X", 1, 30, "later")]);
        assert_eq!(
            all,
            [kind("a", "X", 6, 7, "early"), kind("a", "Y", 1, 8, "y"), kind("b", "X", 1, 9, "b")]
        );
    }
}
