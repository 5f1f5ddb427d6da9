//! Counts the rejects of a chunk.

use rows_split::cells::Cell;
use rows_types::{Code, mask};

use super::Summary;
use super::build::Texts;
use crate::faults::FaultLog;
use crate::plan::Plan;

/// Bad cells of one column with one code.
#[derive(Clone, Copy)]
struct Group {
    column: u16,
    code: Code,
    count: u64,
    /// The first record with such a cell.
    record: u32,
    /// The bad cell of that record.
    cell: Cell,
}

/// The bad cells of a chunk by column and code, the most frequent first.
pub(crate) fn summary(plan: &Plan, bytes: &[u8], log: &FaultLog, first_row: u64) -> Vec<Summary> {
    let columns = plan.schema().columns().len();
    let lacks = |column: usize, count: u64, record: u32| Group {
        column: column as u16,
        code: Code::MissingColumn,
        count,
        record,
        cell: Cell::MISSING,
    };
    // an entry for each code, for each column and for complete records
    let mut table = vec![lacks(0, 0, 0); (columns + 1) * Code::COUNT];
    let mut at = 0;
    for row in &log.bad_rows {
        for fault in &log.faults()[at..row.faults as usize] {
            let place = usize::from(fault.column).min(columns);
            let group = &mut table[place * Code::COUNT + fault.error.code() as usize];
            if group.count == 0 {
                let (column, code) = (fault.column, fault.error.code());
                *group = Group { column, code, count: 0, record: row.record, cell: fault.cell() };
            }
            group.count += 1;
        }
        at = row.faults as usize;
    }
    let mut groups: Vec<Group> = table;
    let lacking = log.missing.columns.iter().enumerate();
    groups.extend(lacking.map(|(at, (count, first))| lacks(at, *count, *first)));
    if let Some(first) = log.first_valid {
        let count = u64::from(log.rows - log.malformed);
        groups.extend(plan.binding.missing.iter().map(|at| lacks(*at, count, first)));
    }
    groups.retain(|group| group.count > 0);
    groups.sort_unstable_by_key(|group| (std::cmp::Reverse(group.count), group.column, group.code));
    let texts = Texts::new(plan, bytes);
    let entry = |Group { column, code, count, record, cell }| {
        let at = usize::from(column);
        let (column, sample) = if let Some(column) = plan.schema().columns().get(at) {
            (column.name.clone(), mask(&texts.text(cell, at)))
        } else {
            let row = log.bad_rows.binary_search_by_key(&record, |row| row.record);
            (String::new(), row.map_or(String::new(), |at| mask(&texts.observed(log.bad_rows[at]))))
        };
        Summary { column, error: code, count, first_row: first_row + u64::from(record), sample }
    };
    groups.into_iter().map(entry).collect()
}
