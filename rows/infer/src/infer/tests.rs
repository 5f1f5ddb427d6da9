//! A proposed schema accepts its sample.

use std::fmt::Write as _;
use std::sync::Arc;

use expect_test::{Expect, expect};
use proptest::prelude::*;

use super::*;
use rows_check::{Checker, Columns, Plan};
use rows_split::{Cutter, Limits, parse_header};
use rows_types::Schema;

fn cut(input: &Input, bytes: &[u8]) -> (Option<Vec<String>>, Vec<Chunk>) {
    let mut cutter = Cutter::new(input, Limits::plain(64));
    cutter.push(bytes).unwrap();
    cutter.finish().unwrap();
    let chunks = std::iter::from_fn(|| cutter.next_chunk()).collect();
    (cutter.header().map(|raw| parse_header(input, raw).unwrap()), chunks)
}

fn proposed(text: &str) -> Result<Proposal, InferError> {
    let input = detect(text.as_bytes(), &Known::default());
    let (header, chunks) = cut(&input, text.as_bytes());
    infer(input, header.as_deref(), &chunks)
}

/// The number of rows that the proposed schema rejects, as counted by a checker of its own.
fn bad_rows(proposal: &Proposal, text: &str) -> u32 {
    let columns = proposal.columns.iter().map(|c| c.column().unwrap()).collect();
    let schema = Schema::new(columns, proposal.row_key.as_deref()).unwrap();
    let (header, chunks) = cut(&proposal.input, text.as_bytes());
    let mut checker = Checker::new(Arc::new(
        Plan::bind(Columns::compile(schema).unwrap(), proposal.input.clone(), header.as_deref()).unwrap(),
    ));
    chunks.iter().map(|chunk| checker.check(&chunk.bytes, chunk.first_row, "").bad_rows()).sum()
}

fn check(text: &str, expected: &Expect) {
    let proposal = proposed(text).unwrap();
    assert_eq!(bad_rows(&proposal, text), 0);
    let mut shown = String::new();
    for c in &proposal.columns {
        let null = if c.nullable { " NULL" } else { "" };
        let rest: Vec<String> = c
            .aliases
            .iter()
            .chain(&c.default)
            .chain(&c.format)
            .chain(&c.notes)
            .map(|t| format!(" | {t}"))
            .collect();
        writeln!(shown, "{} {}{null}{}", c.name, c.ty, rest.concat()).unwrap();
    }
    writeln!(shown, "key {:?}, sorted by {:?}", proposal.row_key, proposal.order_by).unwrap();
    for note in &proposal.notes {
        writeln!(shown, "{note}").unwrap();
    }
    expected.assert_eq(&shown);
}

#[test]
fn the_seeds_file_gets_the_types_that_its_values_have() {
    check(
        "event_id,timestamp,amount\n1001abcd,1716045542,12.5\n1002abcd,1716045543,8.0\n",
        &expect![[r#"
            event_id String
            timestamp UInt64 | if these are seconds since 1970: DateTime
            amount Float64
            key Some("event_id"), sorted by []
        "#]],
    );
}

#[test]
fn each_kind_of_cell_gets_the_tightest_type_that_loses_nothing() {
    check(
        "a,b,c,d,e,f,g,h,i,j\n\
         true,00123,12.50,2024-05-01,2024-05-01 10:00:00.123456,6f9619ff-8b86-d011-b42d-00cf4fc964ff,10.0.0.1,::1,31.12.1969,1\n\
         false,99999,8.00,2024-05-02,2024-05-01T10:00:00Z,6f9619ff-8b86-d011-b42d-00cf4fc964fe,10.0.0.2,10.0.0.1,01.02.2024,2.5\n",
        &expect![[r#"
            a Bool
            b String | text, to keep leading zeros
            c Decimal(18, 2) | always 2 fraction digits; a value with more is rejected
            d Date
            e DateTime64(6)
            f UUID
            g IPv4
            h IPv6
            i Date32 | %d.%m.%Y
            j Float64
            key Some("b"), sorted by ["e"]
        "#]],
    );
}

#[test]
fn null_is_allowed_only_where_it_was_seen() {
    check(
        "a,b,c,d,e,f\n1,,x,NA,NA,\n2,5,,7,y,\n,6,\"\",8,z,\n",
        &expect![[r#"
            a UInt16 NULL
            b UInt16 NULL
            c String NULL
            d UInt16 NULL
            e String NULL | a null value of another column means NULL here too
            f String NULL | no value was seen
            key None, sorted by ["a"]
        "#]],
    );
}

#[test]
fn a_date_that_can_be_read_both_ways_round_is_said_to_be() {
    check(
        "a,b\n03/04/2024,25/04/2024 10:00\n05/06/2024,03/04/2024 11:30\n",
        &expect![[r#"
            a Date | %d/%m/%Y | day and month could be the other way round: %m/%d/%Y
            b DateTime | %d/%m/%Y %H:%M
            key Some("a"), sorted by ["b"]
        "#]],
    );
}

#[test]
fn few_texts_in_many_rows_are_of_low_cardinality() {
    let rows =
        |n: usize| (0..n).fold("a,b\n".to_owned(), |t, i| t + &format!("{},x{i}\n", ["red", "green"][i % 2]));
    let ty = |n| proposed(&rows(n)).unwrap().columns[0].ty.clone();
    assert_eq!(ty(99), "String");
    assert_eq!(ty(100), "LowCardinality(String)");
    assert_eq!(proposed(&rows(100)).unwrap().columns[1].ty, "String");
}

#[test]
fn json_lines_get_arrays_and_objects_and_keep_strings_of_digits_as_text() {
    check(
        "{\"id\": \"1\", \"n\": 1, \"tags\": [\"a\"], \"o\": {\"x\": 1}, \"m\": [1, null], \"mixed\": 1, \"s\": \"2024-05-01\"}\n\
         {\"id\": \"2\", \"n\": -300, \"o\": null, \"m\": [], \"mixed\": [1], \"s\": \"2024-05-02\", \"new key\": 1.25}\n",
        &expect![[r#"
            id String
            n Int32
            tags Array(String) | []
            o JSON NULL
            m Array(Nullable(Int64))
            s Date
            new_key Float64 NULL | new key | named anew: a column's name has letters, digits and _
            key Some("id"), sorted by ["s"]
            mixed is left out: no type holds both single values and nested ones, or arrays of mixed kinds; unknownColumns: ignore passes over it
        "#]],
    );
}

#[test]
fn a_column_without_a_name_is_left_out_and_one_of_two_names_is_refused() {
    check(
        ",a\n0,x\n1,y\n",
        &expect![[r#"
            a String
            key Some("a"), sorted by []
            column 1 is left out: it has no name; unknownColumns: ignore passes over it
            all columns are text: if the first line is data, say --no-header
        "#]],
    );
    assert_eq!(proposed("a,b,a\n1,2,3\n"), Err(InferError::Duplicate { name: "a".into() }));
    assert_eq!(proposed("{}\n{}\n"), Err(InferError::NoColumns));
}

#[test]
fn rows_that_no_model_can_load_are_counted_and_do_not_change_a_type() {
    let text = "a,b\n1,2\nx\n3,4,5\n6,7\n";
    let proposal = proposed(text).unwrap();
    assert_eq!((proposal.rows, proposal.bad_rows), (4, 2));
    assert!(proposal.columns.iter().all(|c| c.ty == "UInt16"));
}

fn cells() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec![
        "",
        "\"\"",
        "0",
        "1",
        "-1",
        "255",
        "-0",
        "0.10",
        "12.50",
        "1e5",
        "1e999",
        "007",
        "+5",
        "true",
        "false",
        "True",
        "NA",
        "NULL",
        "\\N",
        "NaN",
        "x",
        "\"x,\ny\"",
        "2024-05-01",
        "2024-02-30",
        "1899-01-01",
        "2150-01-01",
        "2024-05-01 10:00:00",
        "2024-05-01T10:00:00.5Z",
        "1969-12-31 10:00",
        "01.02.2024",
        "13/01/2024",
        "01/13/2024",
        "1 Feb 2024",
        "10.0.0.1",
        "::1",
        "6f9619ff-8b86-d011-b42d-00cf4fc964ff",
        "18446744073709551616",
        "\u{e4}",
        "123456789012345678901234567890123456789012",
        "0.12345678901234567890",
    ])
}

fn values() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec![
        "null",
        "0",
        "-1",
        "1.5",
        "1e5",
        "1e999",
        "true",
        "false",
        "\"\"",
        "\"1\"",
        "\"NA\"",
        "\"x\"",
        "\"2024-05-01\"",
        "\"\\u00e4\"",
        "\"\\ud800\"",
        "[]",
        "[1]",
        "[1.5]",
        "[null]",
        "[\"x\"]",
        "[[1]]",
        "[1, \"x\"]",
        "[{}]",
        "{}",
        "{\"a\": 1}",
        "{\"a\": {\"b\": [1]}}",
        "[18446744073709551615]",
        "[-1, 18446744073709551615]",
        "[true]",
    ])
}

#[test]
fn an_array_of_objects_and_escaped_text_are_read_as_the_engine_reads_them() {
    let text = "[{\"a\": 1,\n\"b\": \"x\"}, {\"a\": 300, \"b\": \"y\"}]";
    let proposal = proposed(text).unwrap();
    assert_eq!((proposal.input.format, proposal.columns[0].ty.as_str()), (Format::Json, "UInt32"));
    assert_eq!(bad_rows(&proposal, text), 0);
    let text = "# c\na,b\n1,x\\,y\n\\N,z\n";
    let input = Input { escape: Some('\\'), comment: Some('#'), ..Input::default() };
    let input = detect(text.as_bytes(), &Known { input, ..Known::default() });
    let (header, chunks) = cut(&input, text.as_bytes());
    let proposal = infer(input, header.as_deref(), &chunks).unwrap();
    assert_eq!((proposal.columns[0].ty.as_str(), proposal.columns[0].nullable), ("UInt16", true));
    assert_eq!(bad_rows(&proposal, text), 0);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn a_proposal_takes_every_row_of_its_sample(pools in prop::collection::vec(prop::collection::vec(cells(), 1..4), 1..5), picks in prop::collection::vec(any::<u8>(), 0..60), tabs: bool) {
        let delimiter = if tabs { "\t" } else { "," };
        let names: Vec<String> = (0..pools.len()).map(|n| format!("c {n}")).collect();
        let mut text = names.join(delimiter) + "\n";
        for row in picks.chunks_exact(pools.len()) {
            let cells: Vec<&str> = row.iter().zip(&pools).map(|(pick, pool)| pool[*pick as usize % pool.len()]).collect();
            text += &(cells.join(delimiter) + "\n");
        }
        let input = Input { delimiter: if tabs { '\t' } else { ',' }, ..Input::default() };
        let known = Known { input, format: false, delimiter: true, header: true };
        let input = detect(text.as_bytes(), &known);
        let (header, chunks) = cut(&input, text.as_bytes());
        let proposal = infer(input, header.as_deref(), &chunks).unwrap();
        prop_assert_eq!(bad_rows(&proposal, &text), 0, "{:?}\n{}", proposal, text);
        prop_assert_eq!(proposal.bad_rows, 0);
    }

    #[test]
    fn a_proposal_for_json_takes_every_line_of_its_sample(lines in prop::collection::vec(prop::collection::vec(prop::option::of(values()), 3), 1..6)) {
        let mut text = String::new();
        for line in &lines {
            let keys = line.iter().enumerate().filter_map(|(at, value)| Some(format!("\"k{at}\": {}", (*value)?)));
            writeln!(text, "{{{}}}", keys.collect::<Vec<_>>().join(", ")).unwrap();
        }
        match proposed(&text) {
            // No type accepts half of a surrogate pair.
            Ok(proposal) if !text.contains("ud800") => {
                prop_assert_eq!(bad_rows(&proposal, &text), 0, "{:?}\n{}", proposal, text);
            }
            Ok(_) | Err(InferError::NoColumns) => {}
            Err(error) => prop_assert!(false, "{}", error),
        }
    }

    #[test]
    fn any_bytes_are_a_sample(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let bytes: Vec<u8> = bytes.into_iter().map(|b| b.max(1)).collect();
        let input = detect(&bytes, &Known::default());
        let mut cutter = Cutter::new(&input, Limits::plain(64));
        if cutter.push(&bytes).is_ok() && cutter.finish().is_ok() {
            let header = cutter.header().map(|raw| parse_header(&input, raw)).transpose();
            if let Ok(header) = header {
                let chunks: Vec<Chunk> = std::iter::from_fn(|| cutter.next_chunk()).collect();
                let _ = infer(input, header.as_deref(), &chunks);
            }
        }
    }
}

#[test]
fn a_column_that_rejects_a_cell_of_the_sample_is_widened_until_it_does_not() {
    let text = "a,b\n300,\n-1,5\n";
    let mut proposal = proposed(text).unwrap();
    for column in &mut proposal.columns {
        (column.ty, column.nullable) = ("UInt8".to_owned(), false);
    }
    let (header, chunks) = cut(&proposal.input, text.as_bytes());
    let candidates = Candidates::new();
    let mut stats = vec![Stats::new(&candidates), Stats::new(&candidates)];
    refine_on_sample::refine_on_sample(&mut proposal, &mut stats, header.as_deref(), &chunks);
    let columns: Vec<_> = proposal.columns.iter().map(|c| (c.ty.as_str(), c.nullable)).collect();
    assert_eq!(columns, [("String", false), ("UInt8", true)]);
    assert_eq!(proposal.columns[0].notes, ["not every value is a UInt8"]);
    assert_eq!((proposal.rows, proposal.bad_rows, bad_rows(&proposal, text)), (2, 0, 0));
}
