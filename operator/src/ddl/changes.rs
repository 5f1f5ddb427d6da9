//! How an existing table differs from the table that a model wants. The result is the statements that change it, or
//! the conflict because of which it must not be touched.

use crds::sql::literal;
use crds::tables::{LINEAGE, LINEAGE_INDEX};

use super::table::{DataColumn, DataTable, TTL_UNITS};

/// A table as `system.tables` and `system.columns` show it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Existing {
    /// `system.tables.engine`.
    pub engine: String,
    /// `system.tables.engine_full`: keys, TTL and settings as text.
    pub engine_full: String,
    /// `system.tables.sorting_key`.
    pub sorting_key: String,
    /// `system.columns`, in order.
    pub columns: Vec<ExistingColumn>,
    /// Whether it has the index on `_job`.
    pub has_job_index: bool,
}

/// A column as `system.columns` shows it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ExistingColumn {
    /// Its name.
    pub name: String,
    /// Its type.
    pub ty: String,
    /// Empty, `DEFAULT`, `MATERIALIZED`, `EPHEMERAL` or `ALIAS`.
    pub default_kind: String,
    /// Its comment.
    pub comment: String,
    /// Whether the table is sorted or partitioned by it.
    pub in_key: bool,
}

/// Why a table is not touched. The message names the column.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "table {table} {what}; it was not touched: give the model a table of its own (spec.table.name), or make the table fit"
)]
pub struct Conflict {
    table: String,
    what: String,
}

/// Returns the statements that change `existing` into `wanted`, in order. The list is empty if they are the same.
pub fn compare(wanted: &DataTable, existing: &Existing) -> Result<Vec<String>, Conflict> {
    let conflict = |what: String| Conflict { table: wanted.name.plain(), what };
    shape(wanted, existing).map_err(conflict)?;
    let alter = format!("ALTER TABLE {}{}", wanted.name, wanted.on_cluster());
    let mut changes = vec![];
    let present: Vec<&ExistingColumn> = existing.columns.iter().filter(|c| !is_lineage(&c.name)).collect();
    for (index, ours) in wanted.columns.iter().enumerate() {
        let Some(theirs) = present.get(index) else {
            let previous =
                index.checked_sub(1).map(|before| format!(" AFTER {}", wanted.columns[before].name));
            let position = previous.unwrap_or_else(|| " FIRST".into());
            changes.push(format!("{alter} ADD COLUMN IF NOT EXISTS {}{position}", ours.definition()));
            continue;
        };
        if modified(ours, theirs).map_err(conflict)? {
            changes.push(format!("{alter} MODIFY COLUMN {} {}", ours.name, ours.ty));
        }
        if let Some(comment) = ours.comment.as_ref().filter(|comment| **comment != theirs.comment) {
            changes.push(format!("{alter} COMMENT COLUMN {} {}", ours.name, literal(comment)));
        }
    }
    if let Some(extra) = present.get(wanted.columns.len()) {
        return Err(conflict(format!("has the column '{}' which the model has not", extra.name)));
    }
    if !existing.has_job_index {
        // The table is from an earlier version. Its existing parts have no index until they are merged.
        let index = LINEAGE_INDEX.trim_start_matches("INDEX ");
        changes.push(format!("{alter} ADD INDEX IF NOT EXISTS {index}"));
    }
    changes.extend(ttl_change(wanted, existing).map(|change| format!("{alter} {change}")));
    Ok(changes)
}

/// Checks what cannot be altered at all.
fn shape(wanted: &DataTable, existing: &Existing) -> Result<(), String> {
    // A cloud service shows `SharedMergeTree` for a table that was created as `MergeTree`.
    let engine = existing.engine.replace("Shared", "");
    if engine != wanted.engine_name() {
        return Err(format!("has the engine {}, the model wants {}", existing.engine, wanted.engine_name()));
    }
    let key: Vec<&str> = wanted.order_by.iter().map(crds::Ident::as_str).collect();
    // ClickHouse shows the key as it was written: with or without parentheses and backticks.
    if existing.sorting_key.replace(['`', '(', ')'], "") != key.join(", ") {
        return Err(format!(
            "is ordered by ({}), the model wants ({})",
            existing.sorting_key,
            key.join(", ")
        ));
    }
    for (name, definition) in LINEAGE {
        let ty = definition.split(' ').next().unwrap_or_default();
        match existing.columns.iter().find(|c| c.name == name) {
            None => return Err(format!("lacks the lineage column '{name}'")),
            Some(column) if column.ty != ty => {
                return Err(format!("has the lineage column '{name}' as {}, not as {ty}", column.ty));
            }
            Some(_) => {}
        }
    }
    let window = wanted.deduplication_setting();
    if !existing.engine_full.contains(window) && window.starts_with("non_") {
        return Err(format!("has no {window}, without which a row could be loaded twice"));
    }
    Ok(())
}

/// Returns whether the type of the column must be widened.
fn modified(ours: &DataColumn, theirs: &ExistingColumn) -> Result<bool, String> {
    let (name, ty) = (ours.name.as_str(), ours.ty.to_string());
    if theirs.name != name {
        return Err(format!("has the column '{}' where the model has '{name}'", theirs.name));
    }
    if !matches!(theirs.default_kind.as_str(), "" | "DEFAULT") {
        return Err(format!("computes the column '{name}' ({})", theirs.default_kind));
    }
    let current = rows_types::Type::parse(&theirs.ty);
    if current.as_ref().is_ok_and(|current| *current == ours.ty) {
        return Ok(false);
    }
    if !current.is_ok_and(|current| widens(&current, &ours.ty)) {
        return Err(format!("has the column '{name}' as {}, the model wants {ty}", theirs.ty));
    }
    if theirs.in_key {
        return Err(format!(
            "is sorted or partitioned by '{name}', so its type {} cannot become {ty}",
            theirs.ty
        ));
    }
    Ok(true)
}

/// Returns whether every value of `from` is a value of `to`: the widenings that the CRD allows, and `Nullable`.
fn widens(from: &rows_types::Type, to: &rows_types::Type) -> bool {
    const CHAINS: [&[&str]; 3] = [
        &["UInt8", "UInt16", "UInt32", "UInt64"],
        &["Int8", "Int16", "Int32", "Int64"],
        &["Float32", "Float64"],
    ];
    if from.is_nullable() && !to.is_nullable() {
        return false;
    }
    let (Ok(from), Ok(to)) = (from.nullable(), to.nullable()) else { return false };
    let (from, to) = (from.to_string(), to.to_string());
    let at = |chain: &[&str], ty: &str| chain.iter().position(|link| format!("Nullable({link})") == ty);
    from == to
        || CHAINS
            .iter()
            .any(|chain| matches!((at(chain, &from), at(chain, &to)), (Some(a), Some(b)) if a < b))
}

/// Returns `MODIFY TTL …` or `REMOVE TTL` if the TTL differs.
fn ttl_change(wanted: &DataTable, existing: &Existing) -> Option<String> {
    let shown = existing.engine_full.replace('`', "");
    let Some(ttl) = &wanted.ttl else {
        return shown.contains(" TTL ").then(|| "REMOVE TTL".into());
    };
    let unit = TTL_UNITS.iter().find(|(sql, _)| *sql == ttl.unit).map_or("", |(_, shown)| shown);
    let same = format!(" TTL {} + toInterval{unit}({})", ttl.column.as_str(), ttl.amount);
    (!shown.contains(&same)).then(|| format!("MODIFY TTL {ttl}"))
}

fn is_lineage(name: &str) -> bool {
    LINEAGE.iter().any(|(lineage, _)| *lineage == name)
}

#[cfg(test)]
mod tests {
    use super::super::table::Ttl;
    use super::super::table::tests::{column, table};
    use super::*;

    fn existing(columns: &[(&str, &str)]) -> Existing {
        let column = |name: &str, ty: &str, kind: &str| ExistingColumn {
            name: name.into(),
            ty: ty.into(),
            default_kind: kind.into(),
            comment: String::new(),
            in_key: name == "event_id",
        };
        let mut all: Vec<ExistingColumn> = columns.iter().map(|(name, ty)| column(name, ty, "")).collect();
        all.push(column("_job", "LowCardinality(String)", "MATERIALIZED"));
        all.push(column("_row", "UInt64", "MATERIALIZED"));
        all.push(column("job_in", "LowCardinality(String)", "EPHEMERAL"));
        all.push(column("row_in", "UInt64", "EPHEMERAL"));
        Existing {
            engine: "MergeTree".into(),
            engine_full: "MergeTree ORDER BY event_id SETTINGS non_replicated_deduplication_window = 10000"
                .into(),
            sorting_key: "event_id".into(),
            columns: all,
            has_job_index: true,
        }
    }

    const SAME: [(&str, &str); 3] = [("event_id", "String"), ("timestamp", "UInt32"), ("amount", "Float64")];

    fn conflict(wanted: &DataTable, existing: &Existing) -> String {
        compare(wanted, existing).unwrap_err().to_string()
    }

    #[test]
    fn a_table_that_matches_is_not_changed() {
        let parenthesised = Existing { sorting_key: "(`event_id`)".into(), ..existing(&SAME) };
        assert_eq!(compare(&table(), &parenthesised), Ok(vec![]));
        assert_eq!(compare(&table(), &existing(&SAME)), Ok(vec![]));
    }

    #[test]
    fn a_table_of_an_earlier_version_gets_the_index_on_its_jobs() {
        let old = Existing { has_job_index: false, ..existing(&SAME) };
        assert_eq!(
            compare(&table(), &old).unwrap(),
            [
                "ALTER TABLE `default`.`data_5231e672` ADD INDEX IF NOT EXISTS _job_index _job TYPE bloom_filter(0.01) GRANULARITY 8"
            ]
        );
    }

    #[test]
    fn new_columns_are_added_in_order_before_the_lineage() {
        let mut wanted = table();
        wanted.columns.push(column("note", "Nullable(String)"));
        wanted.columns.push(column("flag", "Bool"));
        wanted.columns[4].default = Some("true".into());
        assert_eq!(
            compare(&wanted, &existing(&SAME)).unwrap(),
            [
                "ALTER TABLE `default`.`data_5231e672` ADD COLUMN IF NOT EXISTS `note` Nullable(String) AFTER `amount`",
                "ALTER TABLE `default`.`data_5231e672` ADD COLUMN IF NOT EXISTS `flag` Bool DEFAULT CAST('true', 'Bool') AFTER `note`",
            ]
        );
    }

    #[test]
    fn a_type_is_widened_and_made_nullable_but_never_narrowed() {
        let mut wanted = table();
        wanted.columns[1] = column("timestamp", "Nullable(UInt64)");
        assert_eq!(
            compare(&wanted, &existing(&SAME)).unwrap(),
            ["ALTER TABLE `default`.`data_5231e672` MODIFY COLUMN `timestamp` Nullable(UInt64)"]
        );
        for narrower in ["UInt16", "Int64", "String"] {
            wanted.columns[1] = column("timestamp", narrower);
            let text = conflict(&wanted, &existing(&SAME));
            assert!(
                text.contains(&format!("has the column 'timestamp' as UInt32, the model wants {narrower}")),
                "{text}"
            );
        }
        let nullable = existing(&[SAME[0], ("timestamp", "Nullable(UInt32)"), SAME[2]]);
        wanted.columns[1] = column("timestamp", "UInt32");
        assert!(conflict(&wanted, &nullable).contains("'timestamp' as Nullable(UInt32)"));
    }

    #[test]
    fn a_type_that_clickhouse_writes_differently_is_the_same_type() {
        let mut wanted = table();
        wanted.columns[1] = column("timestamp", "Decimal(10,2)");
        assert_eq!(
            compare(&wanted, &existing(&[SAME[0], ("timestamp", "Decimal(10, 2)"), SAME[2]])),
            Ok(vec![])
        );
    }

    #[test]
    fn a_key_column_cannot_change_its_type() {
        let mut wanted = table();
        wanted.columns[0] = column("event_id", "Nullable(String)");
        let text = conflict(&wanted, &existing(&SAME));
        assert!(text.contains("is sorted or partitioned by 'event_id'"), "{text}");
    }

    #[test]
    fn a_table_with_other_columns_is_a_conflict_that_names_the_column() {
        let wanted = table();
        let cases: [(Existing, &str); 6] = [
            (
                existing(&[SAME[0], SAME[2], SAME[1]]),
                "has the column 'amount' where the model has 'timestamp'",
            ),
            (
                existing(&[SAME[0], SAME[1], SAME[2], ("x", "UInt8")]),
                "has the column 'x' which the model has not",
            ),
            (
                Existing { columns: existing(&SAME).columns[..4].to_vec(), ..existing(&SAME) },
                "lacks the lineage column '_row'",
            ),
            (
                Existing { engine: "Log".into(), ..existing(&SAME) },
                "has the engine Log, the model wants MergeTree",
            ),
            (
                Existing { sorting_key: "amount".into(), ..existing(&SAME) },
                "is ordered by (amount), the model wants (event_id)",
            ),
            (Existing { engine_full: "MergeTree".into(), ..existing(&SAME) }, "could be loaded twice"),
        ];
        for (existing, expected) in cases {
            let text = conflict(&wanted, &existing);
            assert!(text.contains(expected), "{text}");
            assert!(text.starts_with("table default.data_5231e672 "), "{text}");
        }
    }

    #[test]
    fn a_comment_follows_the_description() {
        let mut wanted = table();
        wanted.columns[1].comment = Some("seconds since 1970".into());
        assert_eq!(
            compare(&wanted, &existing(&SAME)).unwrap(),
            ["ALTER TABLE `default`.`data_5231e672` COMMENT COLUMN `timestamp` 'seconds since 1970'"]
        );
    }

    #[test]
    fn the_ttl_is_changed_only_if_it_differs() {
        let mut wanted = table();
        wanted.ttl = Some(Ttl { column: "timestamp".parse().unwrap(), amount: 90, unit: "DAY" });
        let mut theirs = existing(&SAME);
        let ttl = "ALTER TABLE `default`.`data_5231e672` MODIFY TTL `timestamp` + INTERVAL 90 DAY";
        assert_eq!(compare(&wanted, &theirs).unwrap(), [ttl]);
        theirs.engine_full = "MergeTree ORDER BY event_id TTL timestamp + toIntervalDay(90) SETTINGS \
                              non_replicated_deduplication_window = 10000"
            .into();
        assert_eq!(compare(&wanted, &theirs), Ok(vec![]));
        wanted.ttl = None;
        assert_eq!(compare(&wanted, &theirs).unwrap(), ["ALTER TABLE `default`.`data_5231e672` REMOVE TTL"]);
    }
}
