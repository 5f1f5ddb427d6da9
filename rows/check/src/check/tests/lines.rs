//! JSON lines that are read many at a time give the same result as each line alone.

use std::sync::Arc;

use proptest::prelude::*;
use rows_bytes::simd::Level;

use super::{json_lines, plan, schema, show};
use crate::{Checker, Plan};
use rows_types::{Input, UnknownColumns};

const SPEC: &str = "k String, i Int64, f Nullable(Float64), b Bool, s LowCardinality(Nullable(String)), \
                    a_column_with_a_long_name_for_a_key Nullable(String), x Nullable(String), t Array(String), \
                    n Array(Nullable(Int64)), w FixedString(4)";

/// Rows and rejects, sorted as text.
fn sorted(shown: &str) -> Vec<String> {
    let mut lines: Vec<String> = shown.lines().map(str::to_owned).collect();
    lines.sort();
    lines
}

/// Checks each line with a checker of its own, which has read no line before.
fn one_by_one(plan: &Arc<Plan>, file: &[u8]) -> Vec<String> {
    let (mut row, mut shown) = (1, String::new());
    for line in file.split_inclusive(|b| *b == b'\n') {
        let mut checker = Checker::at_level(plan.clone(), Level::Portable);
        let outcome = checker.check(line, row, "job");
        row += u64::from(outcome.rows());
        shown.push_str(&show(&outcome));
    }
    sorted(&shown)
}

#[track_caller]
fn check(input: &Input, file: &[u8]) {
    let plan = plan(schema(SPEC), input, b"").0;
    let expected = one_by_one(&plan, file);
    for level in Level::all() {
        let mut checker = Checker::at_level(plan.clone(), level);
        let shown = show(&checker.check(file, 1, "job"));
        assert_eq!(sorted(&shown), expected, "{level:?} {}", String::from_utf8_lossy(file));
    }
}

fn string() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => "[a-z ü,:{}\\[\\]]{0,12}",
        1 => "([a-z]|\\\\[\"\\\\nt/]|\\\\u00[0-9a-f]{2}){0,40}",
        1 => "[a-z,]{60,70}",
    ]
    .prop_map(|text| format!("\"{text}\""))
}

fn number() -> impl Strategy<Value = String> {
    "-?(0|[1-9][0-9]{0,17})(\\.[0-9]{1,5})?([eE][+-]?[0-9])?"
}

/// Texts that are no value, that look like another value, or that are a value in an unusual form.
const ODD: &[&str] = &[
    r#""a"b""#,
    r#""a":"b""#,
    r#""a""b""#,
    r#""a" "b""#,
    r#""a"\""#,
    r#"""""#,
    r#"""#,
    r#""\""#,
    r#""a\\""#,
    r#""a\\\""#,
    r#""a\",\"i\":1}"#,
    "\"a\tb\"",
    "\"a\u{1f}\"",
    "\"a\nb\"",
    "\"a\rb\"",
    "nul",
    "nulll",
    "01",
    "-",
    "1.",
    ".5",
    "+1",
    "1e",
    "-01",
    "1.2.3",
    "--1",
    "1-",
    "1e5",
    "123456789012345",
    "1234567890123456",
    "12345678901234567",
    "0.12345678901234",
    "-0.1234567890123",
    "00",
    "0",
    "-0",
    "[1]",
    "{}",
    "[]",
    "[ ]",
    "[,]",
    "[1,]",
    "[1 ,2]",
    "[1,\t2]",
    "[1,  2]",
    "[01]",
    "[1",
    "1]",
    "[",
    "]",
    "][",
    "[]]",
    "[[]]",
    "[[1],[2,3]]",
    "[] []",
    "[]1",
    "['a','b']",
    "['']",
    "[nul]",
    "[null, true,false]",
    "[{},{\"a\":1,\"b\":[2]}]",
    "[{\"a\":1,\"b\":2}, {\"a]\":1}]",
    "[{\"a\":1,}]",
    "[1}",
    "{\"a\":1}",
    "{\"a\":[1,2],\"b\":2}",
    "{\"a\"}",
    "{1}",
    "[1\n,2]",
    "[1,\n2]",
    r#"["a","b]","[c"]"#,
    r#"["a"b"]"#,
    r#"["a":"b"]"#,
    r#"["a""b"]"#,
    r#"["a\"b","\\"]"#,
    r#"["a\"]"#,
    r#"["\x"]"#,
    r#"["\ud800"]"#,
    r#"["]"#,
    r#"["a]"#,
    r#"[a"]"#,
    "[\"a\tb\"]",
    "[\"a\nb\"]",
    "[\"a\u{1f}\",\"b\"]",
    "[\"a long text in an array, of more bytes than are looked at at once, it ends here\", \"b\"]",
    "[\"a long text in an array, of more bytes than are looked at at once, it ends here\", \"b\" ]",
    "\"\\x\"",
    "\"\\u12\"",
    "",
];

fn list(element: impl Strategy<Value = String>, blank: &'static str) -> impl Strategy<Value = String> {
    prop::collection::vec(element, 0..6).prop_map(move |all| format!("[{}]", all.join(&format!(",{blank}"))))
}

/// The values of a line of one shape.
fn line() -> impl Strategy<Value = [String; 10]> {
    let nothing = || Just("null".to_owned());
    let whole = "-?(0|[1-9][0-9]{0,8})";
    let word = prop::sample::select(vec!["true", "false"]).prop_map(str::to_owned);
    let maybe = prop_oneof![2 => string(), 1 => nothing()];
    (
        string(),
        whole,
        prop_oneof![3 => number(), 1 => nothing()],
        word,
        maybe,
        string(),
        prop_oneof![6 => nothing(), 1 => string(), 1 => number(), 1 => Just("[1,2]".to_owned())],
        prop_oneof![4 => list(string(), ""), 1 => list(string(), " "), 1 => list(number(), "")],
        prop_oneof![4 => list("-?(0|[1-9][0-9]{0,8})", ""), 1 => list(prop_oneof![number(), nothing()], " "), 1 => nothing()],
        prop_oneof![30 => "\"[a-zü]{0,3}\"", 1 => "\"[a-zü]{2,5}\"", 1 => "\"([a-z]|\\\\[nu]){1,3}\""],
    )
        .prop_map(|(k, i, f, b, s, a, x, t, n, w)| [k, i, f, b, s, a, x, t, n, w])
}

fn write(values: &[String; 10], blank: &str, end: &str) -> String {
    let keys = ["k", "i", "f", "b", "s", "a_column_with_a_long_name_for_a_key", "x", "t", "n", "w"];
    let members: Vec<String> =
        keys.iter().zip(values).map(|(key, value)| format!("\"{key}\":{blank}{value}")).collect();
    format!("{{{}}}{end}", members.join(&format!(",{blank}")))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn many_lines_are_read_like_each_of_them_alone(
        lines in prop::collection::vec(line(), 1..150),
        blank in prop::sample::select(vec!["", "", " "]),
        end in prop::sample::select(vec!["\n", "\n", "\r\n"]),
        changes in prop::collection::vec((any::<prop::sample::Index>(), prop::sample::select(b"\"\"\\,:{}[][]\n\r\t 0-.e1nx\xff\0".to_vec()), 0u8..3), 0..6),
        odd in prop::collection::vec((any::<prop::sample::Index>(), 0usize..10, prop::sample::select(ODD)), 0..4),
        refuse: bool,
    ) {
        let mut lines = lines;
        for (at, field, value) in odd {
            let at = at.index(lines.len());
            value.clone_into(&mut lines[at][field]);
        }
        let mut file: Vec<u8> = lines.iter().flat_map(|values| write(values, blank, end).into_bytes()).collect();
        for (at, byte, how) in changes {
            let at = at.index(file.len());
            match how {
                0 => file[at] = byte,
                1 => file.insert(at, byte),
                _ => drop(file.remove(at)),
            }
            if file.is_empty() {
                file.push(byte);
            }
        }
        let unknown_columns = if refuse { UnknownColumns::Reject } else { UnknownColumns::Ignore };
        check(&Input { unknown_columns, ..json_lines() }, &file);
    }
}

#[test]
fn what_could_be_taken_for_one_string_is_not() {
    let good = "{\"k\":\"a\",\"i\":1}\n".repeat(9);
    for value in ODD {
        let spec = Input { unknown_columns: UnknownColumns::Reject, ..json_lines() };
        for line in [format!("{{\"k\":{value},\"i\":1}}\n"), format!("{{\"k\":\"a\",\"i\":{value}}}\n")] {
            check(&spec, format!("{good}{line}{good}").as_bytes());
        }
        for list in [r#"["a","b"]"#, "[1, 2]", "[]"] {
            let line = |k: &str, t: &str| format!("{{\"k\":{k},\"t\":{t},\"i\":1}}\n");
            let good = line("\"a\"", list).repeat(9);
            for odd in [line(value, list), line("\"a\"", value)] {
                check(&spec, format!("{good}{odd}{good}{odd}").as_bytes());
            }
        }
    }
}

#[test]
fn lines_end_as_they_like() {
    let line = "{\"k\":\"a\",\"i\":1}";
    for other in [
        "\r\n", "\r\r\n", "\n\n", " \n", "\n\r\n", "", "x\n", "}\n", ",\n", "\\\n", "\"\n", "\t\n", "\u{1}\n",
    ] {
        for end in ["\n", "\r\n"] {
            let some = format!("{line}{end}").repeat(5);
            check(&json_lines(), format!("{some}{line}{other}{some}").as_bytes());
            check(&json_lines(), format!("{some}{line}{other}").as_bytes());
        }
    }
}

#[test]
fn a_line_ends_behind_a_backslash_in_a_string_too() {
    // if the line feed were escaped, the string would continue on the next line
    let some = "{\"k\":\"a\",\"i\":1}\n".repeat(5);
    for broken in
        ["{\"k\":\"a\\\nb\",\"i\":1}\n", "{\"k\":\"a\\\\\nb\",\"i\":1}\n", "{\"k\":\"a\\\r\nb\",\"i\":1}\n"]
    {
        check(&json_lines(), format!("{some}{broken}{some}").as_bytes());
    }
}

#[test]
fn lines_longer_than_what_is_indexed_at_once_are_read() {
    let long = "x,y\\n".repeat(20_000);
    let line = |text: &str| format!("{{\"k\":\"{text}\",\"i\":1}}\n");
    let file = [line("a"), line(&long), line("b"), line("b"), line(&long), line("c")].concat();
    check(&json_lines(), file.repeat(3).as_bytes());
}
