//! The result for a record depends neither on the records around it nor on how it was found.

use proptest::prelude::*;
use rows_bytes::simd::Level;

use super::{native, plan, schema};
use crate::{Checker, Outcome};
use rows_types::Input;

/// Columns for every kind of loop; those with inner structure are between the others. The empty text is a name of one
/// enum.
const SPEC: &str = "a Array(String), i Int32, m Map(String, UInt8), f Nullable(Float64), s Nullable(String), \
                    d Decimal(18, 4), n Array(Nullable(Int16)), t DateTime, u UUID, e Enum8('in' = 1, 'b' = 2), \
                    v Enum8('' = -1, 'red' = 1), \
                    x FixedString(3), p Tuple(Int8, String), ip IPv4, w Float32, l LowCardinality(String), b Bool";

/// A good cell for each column, and then cells that are bad in some columns.
const GOOD: [&str; 17] = [
    r#""['a','b']""#,
    "-7",
    r#""{'k':1,'l':2}""#,
    "2.5",
    "text",
    "1.25",
    r#""[1,NULL]""#,
    "2026-01-01 00:00:00",
    "00112233-4455-6677-8899-aabbccddeeff",
    "in",
    "red",
    "xyz",
    r#""(1,'p')""#,
    "192.0.2.1",
    "0.5",
    "low",
    "true",
];
const ODD: [&str; 26] = [
    "n/a",
    "",
    r#""""#,
    "[]",
    "['a']",
    "{}",
    "NULL",
    "null",
    "nan",
    "-",
    "+5",
    "007",
    "1.",
    " 1",
    "1e400",
    "é",
    "-inf",
    "in",
    "12345678901234567890",
    "0.1234567890123456789",
    r#""1""#,
    r#""n/a""#,
    r#""a ""b"" c""#,
    r#""[""a"",2]""#,
    "0x1f",
    "t",
];

/// The rows and rejects of a chunk. Neither contains an offset in the chunk.
fn owned(outcome: &Outcome<'_>) -> (Vec<(u64, Vec<String>)>, Vec<String>) {
    super::reconcile(outcome);
    let rows = native::rows(&outcome.block()).into_iter().map(|row| (row.number, row.values)).collect();
    (rows, outcome.rejects().map(|reject| format!("{reject:?}")).collect())
}

proptest! {
    // each case checks many chunks
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn a_record_is_judged_alike_alone_and_among_others(
        // for each record and each column: which cell of `ODD`, if it gets one
        picks in prop::collection::vec((1u8..40, prop::collection::vec((any::<u8>(), 0..ODD.len()), GOOD.len())), 1..40),
    ) {
        let record = |(rate, cells): &(u8, Vec<(u8, usize)>)| {
            let cell = |(good, (pick, odd)): (&&'static str, &(u8, usize))| if pick % rate == 0 && *rate < 30 { ODD[*odd] } else { good };
            GOOD.iter().zip(cells).map(cell).collect::<Vec<_>>().join(",") + "\n"
        };
        let records: Vec<String> = picks.iter().map(record).collect();
        let plain = Input { header: false, ..Input::default() };
        // with a comment character records are read one by one
        let other = Input { comment: Some('#'), ..plain.clone() };
        let mut all = Vec::new();
        for input in [plain, other] {
            let plan = plan(schema(SPEC), &input, b"").0;
            for level in Level::all() {
                let mut checker = Checker::at_level(plan.clone(), level);
                let (mut rows, mut rejects) = (Vec::new(), Vec::new());
                for (number, record) in (7..).zip(&records) {
                    let (row, reject) = owned(&checker.check(record.as_bytes(), number, "job"));
                    rows.extend(row);
                    rejects.extend(reject);
                }
                let together = owned(&checker.check(records.concat().as_bytes(), 7, "job"));
                prop_assert_eq!(&together.0, &rows);
                prop_assert_eq!(&together.1, &rejects);
                all.push(together);
            }
        }
        prop_assert!(all.windows(2).all(|two| two[0] == two[1]));
    }
}
