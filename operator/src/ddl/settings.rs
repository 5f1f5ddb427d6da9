//! The `MergeTree` settings that a model may give its table. Pure.
//!
//! This is a list of what is allowed, not of what is refused. Exactly-once loading depends on settings. The
//! deduplication windows, in all their spellings, must be set by the operator. A table that refuses every INSERT
//! (`table_readonly`, or a limit of zero parts) leaves a model that looks ready and jobs that never end. ClickHouse
//! has more than two hundred such settings and gets new ones with each release, so a list of the harmful ones is never
//! complete. Each setting here, within its bounds, can neither forget a token nor stop INSERTs permanently.
//!
//! Meaning and units: <https://clickhouse.com/docs/operations/settings/merge-tree-settings>.

use std::fmt::Write as _;

use super::table::SettingValue;

/// The values that a setting accepts.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Kind {
    /// 0, 1, true or false.
    Bool,
    /// An integer within bounds.
    Int(i64, i64),
    /// A number from 0 to 1.
    Share,
    /// One of these words.
    Word(&'static [&'static str]),
    /// A name from the configuration of ClickHouse.
    Name,
}

const KIB: i64 = 1 << 10;
const MIB: i64 = 1 << 20;
const TIB: i64 = 1 << 40;
const YEAR: i64 = 366 * 24 * 3600;
/// The defaults of ClickHouse are 1,000 parts to delay, 3,000 parts to refuse, and 100,000 parts in all. With lower
/// limits than these constants, ClickHouse would refuse a load of one INSERT a second.
const MIN_PARTS_TO_DELAY: i64 = 100;
const MIN_PARTS_TO_THROW: i64 = 300;
const MIN_PARTS_IN_TOTAL: i64 = 1000;
const MAX_PARTS: i64 = 1_000_000;

/// The settings that are allowed, by name.
const ALLOWED: [(&str, Kind); 40] = [
    ("add_minmax_index_for_numeric_columns", Kind::Bool),
    ("add_minmax_index_for_string_columns", Kind::Bool),
    ("add_minmax_index_for_temporal_columns", Kind::Bool),
    ("allow_nullable_key", Kind::Bool),
    ("compress_marks", Kind::Bool),
    ("compress_primary_key", Kind::Bool),
    // This is about merges, not about the deduplication of INSERTs.
    ("deduplicate_merge_projection_mode", Kind::Word(&["drop", "ignore", "rebuild", "throw"])),
    ("enable_mixed_granularity_parts", Kind::Bool),
    ("enable_vertical_merge_algorithm", Kind::Bool),
    ("fsync_after_insert", Kind::Bool),
    ("fsync_part_directory", Kind::Bool),
    ("index_granularity", Kind::Int(64, MIB)),
    ("index_granularity_bytes", Kind::Int(KIB, 1024 * MIB)),
    ("max_bytes_to_merge_at_max_space_in_pool", Kind::Int(MIB, 16 * TIB)),
    ("max_bytes_to_merge_at_min_space_in_pool", Kind::Int(MIB, 16 * TIB)),
    ("max_compress_block_size", Kind::Int(4 * KIB, 256 * MIB)),
    ("max_delay_to_insert", Kind::Int(1, 10)),
    ("max_number_of_merges_with_ttl_in_pool", Kind::Int(1, 100)),
    ("max_parts_in_total", Kind::Int(MIN_PARTS_IN_TOTAL, MAX_PARTS)),
    ("merge_max_block_size", Kind::Int(64, MIB)),
    ("merge_max_block_size_bytes", Kind::Int(64 * KIB, 1024 * MIB)),
    ("merge_with_recompression_ttl_timeout", Kind::Int(0, YEAR)),
    ("merge_with_ttl_timeout", Kind::Int(0, YEAR)),
    ("min_age_to_force_merge_on_partition_only", Kind::Bool),
    ("min_age_to_force_merge_seconds", Kind::Int(0, YEAR)),
    ("min_bytes_for_wide_part", Kind::Int(0, TIB)),
    ("min_compress_block_size", Kind::Int(4 * KIB, 256 * MIB)),
    ("min_rows_for_wide_part", Kind::Int(0, TIB)),
    ("old_parts_lifetime", Kind::Int(0, 30 * 24 * 3600)),
    ("parts_to_delay_insert", Kind::Int(MIN_PARTS_TO_DELAY, MAX_PARTS)),
    ("parts_to_throw_insert", Kind::Int(MIN_PARTS_TO_THROW, MAX_PARTS)),
    ("prefer_fetch_merged_part_time_threshold", Kind::Int(0, YEAR)),
    ("primary_key_lazy_load", Kind::Bool),
    ("ratio_of_defaults_for_sparse_serialization", Kind::Share),
    ("replace_long_file_name_to_hash", Kind::Bool),
    ("storage_policy", Kind::Name),
    ("ttl_only_drop_parts", Kind::Bool),
    ("vertical_merge_algorithm_min_bytes_to_activate", Kind::Int(0, TIB)),
    ("vertical_merge_algorithm_min_columns_to_activate", Kind::Int(0, 10_000)),
    ("vertical_merge_algorithm_min_rows_to_activate", Kind::Int(0, TIB)),
];

/// Why a setting is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadSetting {
    /// The operator sets it.
    #[error("'{0}' is set by the operator: exactly-once loading depends on it; remove it")]
    Reserved(String),
    /// It is not in the list of settings that are known to be harmless.
    #[error(
        "'{0}' is not allowed: it could stop the table's INSERTs or repeat them; remove it, or set it on the server; allowed are {list}",
        list = allowed()
    )]
    NotAllowed(String),
    /// Its value has the wrong kind, or is out of bounds.
    #[error("'{name}' must be {expected}, not '{value}'")]
    Value {
        /// The setting.
        name: &'static str,
        /// The values that the setting accepts.
        expected: String,
        /// The value in the spec.
        value: String,
    },
}

/// Returns the value of a setting with its type.
pub fn parse(name: &str, value: &str) -> Result<(&'static str, SettingValue), BadSetting> {
    let Some((name, kind)) = ALLOWED.iter().find(|(allowed, _)| *allowed == name) else {
        return Err(if name.contains("dedup") {
            BadSetting::Reserved(name.to_owned())
        } else {
            BadSetting::NotAllowed(name.to_owned())
        });
    };
    match typed(*kind, value) {
        Some(value) => Ok((name, value)),
        None => Err(BadSetting::Value { name, expected: kind.expected(), value: value.to_owned() }),
    }
}

fn typed(kind: Kind, value: &str) -> Option<SettingValue> {
    match kind {
        Kind::Bool => match value {
            "1" | "true" => Some(SettingValue::Int(1)),
            "0" | "false" => Some(SettingValue::Int(0)),
            _ => None,
        },
        Kind::Int(min, max) => {
            let number = value.parse().ok()?;
            (min..=max).contains(&number).then_some(SettingValue::Int(number))
        }
        Kind::Share => {
            let number: f64 = value.parse().ok()?;
            (0.0..=1.0).contains(&number).then_some(SettingValue::Float(number))
        }
        Kind::Word(words) => words.contains(&value).then(|| SettingValue::Text(value.to_owned())),
        Kind::Name => Some(SettingValue::Text(value.to_owned())),
    }
}

impl Kind {
    fn expected(self) -> String {
        match self {
            Self::Bool => "0 or 1".into(),
            Self::Int(min, max) => format!("a whole number from {min} to {max}"),
            Self::Share => "a number from 0 to 1".into(),
            Self::Word(words) => format!("one of {}", words.join(", ")),
            Self::Name => "a name".into(),
        }
    }
}

fn allowed() -> String {
    let mut out = String::new();
    for (at, (name, _)) in ALLOWED.iter().enumerate() {
        let _ = write!(out, "{}{name}", if at == 0 { "" } else { ", " });
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem(name: &str, value: &str) -> String {
        parse(name, value).unwrap_err().to_string()
    }

    #[test]
    fn every_setting_that_exactly_once_requires_is_set_by_the_operator() {
        let names = [
            "non_replicated_deduplication_window",
            "replicated_deduplication_window",
            "replicated_deduplication_window_seconds",
            "replicated_deduplication_window_for_async_inserts",
            "replicated_deduplication_window_seconds_for_async_inserts",
            "insert_deduplicate",
            "deduplication_hashes_cache_update_wait_ms",
            "use_async_block_ids_cache_for_deduplication",
        ];
        for name in names {
            for value in ["0", "1", "10000"] {
                assert!(problem(name, value).contains("is set by the operator"), "{name}");
            }
        }
    }

    #[test]
    fn settings_that_stop_every_insert_are_refused_by_name_or_by_value() {
        assert!(problem("table_readonly", "1").contains("'table_readonly' is not allowed"));
        assert!(problem("readonly", "1").contains("is not allowed"));
        let bounded = [
            ("parts_to_throw_insert", "0"),
            ("parts_to_throw_insert", "-1"),
            ("parts_to_throw_insert", "299"),
            ("parts_to_delay_insert", "0"),
            ("max_parts_in_total", "0"),
            ("max_delay_to_insert", "3600"),
        ];
        for (name, value) in bounded {
            assert!(problem(name, value).contains("must be a whole number from"), "{name}");
        }
        for name in [
            "inactive_parts_to_throw_insert",
            "max_partitions_to_read",
            "min_free_disk_bytes_to_perform_insert",
        ] {
            assert!(problem(name, "1").contains("is not allowed"), "{name}");
        }
    }

    #[test]
    fn a_refusal_lists_what_is_allowed() {
        let text = problem("max_suspicious_broken_parts", "1");
        assert!(
            text.contains("allowed are add_minmax_index_for_numeric_columns, ")
                && text.contains("storage_policy"),
            "{text}"
        );
    }

    #[test]
    fn a_value_has_the_kind_of_its_setting() {
        assert_eq!(parse("index_granularity", "4096"), Ok(("index_granularity", SettingValue::Int(4096))));
        assert_eq!(parse("ttl_only_drop_parts", "true"), Ok(("ttl_only_drop_parts", SettingValue::Int(1))));
        assert_eq!(
            parse("storage_policy", "cold"),
            Ok(("storage_policy", SettingValue::Text("cold".into())))
        );
        let share = "ratio_of_defaults_for_sparse_serialization";
        assert_eq!(parse(share, "0.5"), Ok((share, SettingValue::Float(0.5))));
        assert!(problem(share, "NaN").contains("a number from 0 to 1"));
        assert!(problem("ttl_only_drop_parts", "2").contains("must be 0 or 1, not '2'"));
        assert!(problem("index_granularity", "8k").contains("must be a whole number"));
        assert!(
            problem("deduplicate_merge_projection_mode", "x").contains("one of drop, ignore, rebuild, throw")
        );
    }

    #[test]
    fn the_list_is_sorted_and_has_no_duplicates() {
        assert!(ALLOWED.windows(2).all(|pair| pair[0].0 < pair[1].0));
    }
}
