//! A JSON array.

use expect_test::expect;

use super::{check, run, schema};
use crate::Checker;
use rows_types::{Format, Input, MAX_RECORD_BYTES};

const SPEC: &str = "id UInt64, name String, n Nullable(Float64)";

fn json() -> Input {
    Input { format: Format::Json, ..Input::default() }
}

#[test]
fn records_span_lines_and_stand_close_together_alike() {
    check(
        SPEC,
        &json(),
        "[\n  {\n    \"id\": 1,\r\n    \"name\": \"a\",\n\t\"n\": 1.5\n  },\n  {\"name\":\"]},{\\\"\\\\\",\"id\":2},{\"id\":3,\"name\":\"\",\"n\":null}\n]\n",
        &expect![[r#"
            1: 1 | a | 1.5
            2: 2 | ]},{\"\\ | NULL
            3: 3 |  | NULL
        "#]],
    );
}

#[test]
fn an_element_that_is_no_object_is_malformed() {
    check(
        "id UInt64",
        &json(),
        "[1, \"a\", null, [{\"id\":1}], {\"id\":2}, {\"id\":3]}, {\"id\":[4}, {\"id\":5\n,}, tru]",
        &expect![[r#"
            5: 2
            1   MALFORMED_ROW "1" The element is not a JSON object
            2   MALFORMED_ROW "\"a\"" The element is not a JSON object
            3   MALFORMED_ROW "null" The element is not a JSON object
            4   MALFORMED_ROW "[{\"id\":1}]" The element is not a JSON object
            6 3  MALFORMED_ROW "{\"id\":3]}" The element is not a JSON object
            7   MALFORMED_ROW "{\"id\":[4}" The element is not a JSON object
            8 5  MALFORMED_ROW "{\"id\":5\n,}" The element is not a JSON object
            9   MALFORMED_ROW "tru" The element is not a JSON object
        "#]],
    );
}

#[test]
fn cells_of_an_array_are_judged_like_those_of_json_lines() {
    check(
        SPEC,
        &json(),
        "[{\"id\":-1,\"name\":{\"a\":[1,2]}},\n{\"id\":1,\"name\":\"a\nb\"},\n{\"id\":1,\"id\":2},{\"x\":1,\"id\":1,\"name\":\"\"},{}]",
        &expect![[r#"
            1 -1 id OUT_OF_RANGE "-1" UInt64 holds no negative numbers; use a signed type or correct the value
            1 -1 name INVALID_TYPE "{\"a\":[1,2]}" An object or array cannot be a String; give a single value
            2 1  MALFORMED_ROW "{\"id\":1,\"name\":\"a\nb\"}" The element is not a JSON object
            3 1  MALFORMED_ROW "{\"id\":1,\"id\":2}" A key, or two names of the same column, occur twice in the object; keep one
            4 1  UNKNOWN_COLUMN "{\"x\":1,\"id\":1,\"name\":\"\"}" The object has keys that are no columns: 'x'; add them to the model or set unknownColumns: ignore
            5  id MISSING_COLUMN "" The required column 'id' is missing
            5  name MISSING_COLUMN "" The required column 'name' is missing
        "#]],
    );
}

#[test]
fn a_chunk_from_the_middle_of_an_array_begins_with_a_comma() {
    check(
        "id UInt64",
        &json(),
        " ,\n{\"id\":1} , {\"id\":2}",
        &expect![[r#"
        1: 1
        2: 2
    "#]],
    );
    check("id UInt64", &json(), "[]", &expect![[r#""#]]);
}

#[test]
fn an_array_takes_many_tiles() {
    let elements: Vec<String> = (0..50_000).map(|i| format!("{{\"id\": {i}, \"name\": \"x\"}}")).collect();
    let file = format!("[{}]", elements.join(",\n "));
    let shown = run(&schema(SPEC), &json(), file.as_bytes());
    let expected: Vec<String> = (0..50_000).map(|i| format!("{}: {i} | x | NULL", i + 1)).collect();
    assert!(shown.lines().eq(expected.iter().map(String::as_str)));
}

#[test]
fn depth_is_no_danger() {
    let depth = MAX_RECORD_BYTES / 2 - 1;
    let input = Input { format: Format::Json, ..Input::default() };
    let (plan, _) = super::plan(schema("a String"), &input, b"");
    let mut checker = Checker::new(plan);
    let array = format!("[{}{}", "[".repeat(depth), "]".repeat(depth));
    assert_eq!(checker.check(array.as_bytes(), 1, "").bad_rows(), 1);
    let object = format!("[{{\"a\":{}{}}}]", "[".repeat(depth), "]".repeat(depth));
    let outcome = checker.check(object.as_bytes(), 1, "");
    let codes: Vec<_> = outcome.rejects().map(|r| (r.column.to_owned(), r.code.to_string())).collect();
    assert_eq!(codes, [("a".to_owned(), "INVALID_TYPE".to_owned())]);
}
