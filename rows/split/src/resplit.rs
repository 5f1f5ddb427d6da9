//! Splits one record again, for the message about it.

use rows_bytes::simd::Portable;

use crate::binding::Binding;
use crate::cells::Cell;
use crate::csv;
use crate::json::Keys;

/// Splits a bad record again.
pub struct Resplit {
    keys: Keys,
    /// For each column: its cell in the record.
    pub cells: Vec<Cell>,
    /// The fields of the record.
    pub fields: Vec<csv::Field>,
}

impl Resplit {
    /// For the file of this binding.
    #[must_use]
    pub fn new(binding: &Binding) -> Self {
        Self { keys: binding.keys(), cells: Vec::new(), fields: Vec::new() }
    }

    /// Splits `bytes[start..end]`, as far as the record can be read.
    pub fn split(&mut self, binding: &Binding, bytes: &[u8], start: usize, end: usize) {
        self.cells.clear();
        self.cells.resize(binding.schema().columns().len(), Cell::MISSING);
        self.fields.clear();
        // the errors are ignored: what is wrong is known already
        if binding.is_json() {
            if self.keys.again(Portable, bytes, start, &mut self.cells) != Some(end) {
                self.cells.fill(Cell::MISSING);
                let _ = self.keys.line(bytes, start, end, &mut self.cells);
            }
        } else {
            csv::record(&bytes[..end], start, binding.dialect, |field| self.fields.push(field));
            let _ = binding.place(bytes, &self.fields, None, &mut self.cells);
        }
    }
}
