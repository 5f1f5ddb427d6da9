//! Chooses the row key and the columns to sort by.

use super::stats::Stats;
use super::{Proposal, Proposed};

/// Chooses both. If there is a moment, it is the sorting key, because most queries filter by it first. Without one, the
/// row key is a good sorting key.
pub(crate) fn choose(proposal: &mut Proposal, stats: &[Stats], rows: u64) {
    let is_key = |column: &Proposed, seen: &Stats| {
        let names_none = is_nested(&column.ty) || column.ty.starts_with("Float") || column.ty == "Bool";
        !names_none && !column.nullable && seen.unique && seen.values == rows && rows > 1
    };
    let mut columns = proposal.columns.iter().zip(stats);
    let key = columns.find(|(column, seen)| is_key(column, seen)).map(|(column, _)| column.name.clone());
    let first = |ty: &str| proposal.columns.iter().find(|c| c.ty.starts_with(ty) && !c.nullable);
    // `Date32` is proposed for days before 1970: these are more likely birthdays than days of events.
    let moment = first("DateTime").or_else(|| first("Date").filter(|c| c.ty == "Date"));
    let first_is_key = proposal.columns.first().is_some_and(|c| !c.nullable && !is_nested(&c.ty));
    if let Some(moment) = moment {
        proposal.order_by = vec![moment.name.clone()];
    } else if key.is_none() && !first_is_key {
        let any = |nullable: bool| {
            proposal
                .columns
                .iter()
                .find(|c| c.nullable == nullable && !is_nested(&c.ty))
                .map(|c| c.name.clone())
        };
        proposal.order_by = any(false).or_else(|| any(true)).into_iter().collect();
        if proposal.order_by.is_empty() {
            proposal.notes.push("no column can be sorted by: add one, or a table of your own".to_owned());
        }
    }
    proposal.row_key = key;
}

fn is_nested(ty: &str) -> bool {
    ty.starts_with("Array(") || ty == "JSON"
}
