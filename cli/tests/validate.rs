//! `batch validate` end to end: runs the program on small files.
#![allow(clippy::unwrap_used, reason = "a test that cannot continue fails")]

use std::fmt::Write as _;
use std::fs;
use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use expect_test::{Expect, expect};

const MODEL: &str = r#"{"event_id": "String", "timestamp": "UInt32", "amount": "Float64"}"#;

/// Makes a separate folder for each test.
fn folder(test: &str) -> PathBuf {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("validate-{test}"));
    fs::create_dir_all(&folder).unwrap();
    folder
}

fn batch(folder: &PathBuf, args: &[&str], stdin: &[u8]) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_batch"))
        .current_dir(folder)
        .args(args)
        .env_remove("BATCH_API_URL")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(stdin).unwrap();
    child.wait_with_output().unwrap()
}

fn check(output: &Output, code: i32, stdout: &Expect, stderr: &Expect) {
    stdout.assert_eq(&String::from_utf8_lossy(&output.stdout));
    stderr.assert_eq(&String::from_utf8_lossy(&output.stderr));
    assert_eq!(output.status.code(), Some(code));
}

#[test]
fn a_file_without_bad_cells_has_exit_code_0_and_prints_only_the_header() {
    let folder = folder("clean");
    fs::write(folder.join("model.json"), MODEL).unwrap();
    fs::write(folder.join("data.csv"), "event_id,timestamp,amount\n1,1716045542,12.5\n2,1716045543,8.0\n")
        .unwrap();
    check(
        &batch(&folder, &["validate", "model.json", "data.csv"], b""),
        0,
        &expect![[r"
            ROW,EVENT_ID,COLUMN,TYPE,ERROR,OBSERVED,MESSAGE
        "]],
        &expect![[r#"
            {"total":2,"ok":2,"errors":0}
        "#]],
    );
}

#[test]
fn every_bad_cell_of_a_file_is_a_line_and_the_exit_code_is_1() {
    let folder = folder("bad");
    fs::write(folder.join("model.json"), MODEL).unwrap();
    fs::write(folder.join("bad.csv"), "event_id,timestamp,amount\n1001abcd,,12.5\n\"2,2\",x,y\n3,3,3\n")
        .unwrap();
    let output = batch(&folder, &["validate", "model.json", "bad.csv"], b"");
    // The messages belong to the row engine. This test only checks that there is one, in quotes.
    let text = String::from_utf8(output.stdout).unwrap();
    let without_message = |line| {
        str::rsplit_once(line, ",\"").filter(|(_, m)| m.ends_with('"')).map_or(line, |(cells, _)| cells)
    };
    let cells: Vec<&str> = text.lines().map(without_message).collect();
    assert_eq!(
        cells,
        [
            "ROW,EVENT_ID,COLUMN,TYPE,ERROR,OBSERVED,MESSAGE",
            "1,1001abcd,timestamp,UInt32,MISSING_VALUE,",
            "2,\"2,2\",amount,Float64,INVALID_TYPE,y",
            "2,\"2,2\",timestamp,UInt32,INVALID_TYPE,x",
        ]
    );
    assert_eq!(String::from_utf8(output.stderr).unwrap(), "{\"total\":3,\"ok\":1,\"errors\":2}\n");
    assert_eq!(output.status.code(), Some(1));
}

#[test]
fn a_missing_column_is_reported_as_in_the_quick_start() {
    let folder = folder("lacks");
    fs::write(folder.join("model.json"), MODEL).unwrap();
    let output = batch(&folder, &["validate", "model.json", "-"], b"event_id,amount\n1001abcd,12.5\n");
    assert_eq!(
        String::from_utf8_lossy(&output.stdout),
        "ROW,EVENT_ID,COLUMN,TYPE,ERROR,OBSERVED,MESSAGE\n\
         1,1001abcd,timestamp,UInt32,MISSING_COLUMN,,\"The required column 'timestamp' is missing\"\n"
    );
    assert_eq!(output.status.code(), Some(1));
}

#[test]
fn flags_and_file_names_determine_how_a_file_is_read() {
    let folder = folder("flags");
    fs::write(folder.join("model.yaml"), "columns: [{name: a, type: String}, {name: b, type: UInt8}]")
        .unwrap();
    fs::write(folder.join("lines.jsonl"), "{\"a\": \"x\", \"b\": 1}\n{\"a\": \"y\", \"b\": 2}\n").unwrap();
    fs::write(folder.join("tabs.tsv"), "a\tb\nx\t1\n").unwrap();
    fs::write(folder.join("array.json"), "[{\"a\": \"x\",\n \"b\": 1}]\n").unwrap();
    let summary = |args: &[&str], stdin: &[u8]| {
        let output = batch(&folder, args, stdin);
        assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stderr).unwrap()
    };
    let flags = ["validate", "model.yaml", "-", "--no-header", "--delimiter", ";"];
    assert_eq!(summary(&flags, b"x;1\ny;2\nz;3\n"), "{\"total\":3,\"ok\":3,\"errors\":0}\n");
    assert_eq!(
        summary(&["validate", "model.yaml", "lines.jsonl"], b""),
        "{\"total\":2,\"ok\":2,\"errors\":0}\n"
    );
    assert_eq!(
        summary(&["validate", "model.yaml", "tabs.tsv"], b""),
        "{\"total\":1,\"ok\":1,\"errors\":0}\n"
    );
    assert_eq!(
        summary(&["validate", "model.yaml", "array.json"], b""),
        "{\"total\":1,\"ok\":1,\"errors\":0}\n"
    );
    let flags = ["validate", "model.yaml", "-", "--format", "tsv", "--quote", "", "--escape", "\\"];
    let more = ["--comment", "#", "--line-end", "any", "--header-case", "ignore"];
    assert_eq!(
        summary(&[&flags[..], &more].concat(), b"#\rA\tB\r\"\\\t\t1\ry\t2\n"),
        "{\"total\":2,\"ok\":2,\"errors\":0}\n"
    );
    let flags = ["validate", "model.yaml", "-", "--columns-by", "position"];
    assert_eq!(summary(&flags, b"b,c\nx,1\n"), "{\"total\":1,\"ok\":1,\"errors\":0}\n");
}

#[test]
fn a_compressed_file_of_many_chunks_is_counted_to_the_last_row() {
    let folder = folder("compressed");
    fs::write(folder.join("model.json"), MODEL).unwrap();
    let mut text = String::from("event_id,timestamp,amount\n");
    for row in 1..=200_000 {
        let amount = if row == 150_001 { "bad".to_owned() } else { format!("{row}.5") };
        writeln!(text, "{row},{row},{amount}").unwrap();
    }
    let mut compressed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    compressed.write_all(text.as_bytes()).unwrap();
    fs::write(folder.join("data.csv.gz"), compressed.finish().unwrap()).unwrap();
    fs::write(folder.join("data.csv.zst"), zstd::encode_all(text.as_bytes(), 1).unwrap()).unwrap();
    let mut compressed = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::fast());
    compressed.write_all(text.as_bytes()).unwrap();
    fs::write(folder.join("data.csv.bz2"), compressed.finish().unwrap()).unwrap();
    fs::write(folder.join("data.csv.xz"), liblzma::encode_all(text.as_bytes(), 1).unwrap()).unwrap();
    let units: Vec<u8> =
        "\u{feff}".encode_utf16().chain(text.encode_utf16()).flat_map(u16::to_le_bytes).collect();
    fs::write(folder.join("data.csv"), units).unwrap();
    for file in ["data.csv.gz", "data.csv.zst", "data.csv.bz2", "data.csv.xz", "data.csv"] {
        let output = batch(&folder, &["validate", "model.json", file], b"");
        let rejected = String::from_utf8(output.stdout).unwrap();
        assert!(
            rejected.lines().nth(1).unwrap().starts_with("150001,150001,amount,Float64,INVALID_TYPE,bad,"),
            "{rejected}"
        );
        assert_eq!(rejected.lines().count(), 2);
        assert_eq!(
            String::from_utf8(output.stderr).unwrap(),
            "{\"total\":200000,\"ok\":199999,\"errors\":1}\n"
        );
    }
}

#[test]
fn good_rows_are_printed_as_the_table_will_store_them() {
    let folder = folder("print-rows");
    let model = r#"{"id": "String", "at": "DateTime('Europe/Berlin')", "price": "Nullable(Decimal(9, 2))"}"#;
    fs::write(folder.join("model.json"), model).unwrap();
    let mut text =
        String::from("price,id,at\n1.50,a/1,2026-07-01T10:00:00Z\nx,b,1000000000\n,\"c\"\"\",1000000000\n");
    // more than a chunk
    for row in 0..100_000 {
        writeln!(text, "{row},{row},1000000000").unwrap();
    }
    fs::write(folder.join("data.csv"), text).unwrap();
    fs::write(folder.join("good.jsonl"), "what was there before").unwrap();
    let output = batch(&folder, &["validate", "model.json", "data.csv", "--print-rows", "good.jsonl"], b"");
    assert_eq!(String::from_utf8(output.stderr).unwrap(), "{\"total\":100003,\"ok\":100002,\"errors\":1}\n");
    assert_eq!(output.status.code(), Some(1));
    let rejected = String::from_utf8(output.stdout).unwrap();
    assert!(rejected.contains("\n2,b,price,\"Nullable(Decimal(9, 2))\",INVALID_TYPE,x,"), "{rejected}");
    assert_eq!(rejected.lines().count(), 2);
    let good = fs::read_to_string(folder.join("good.jsonl")).unwrap();
    let last = r#"{"id":"99999","at":"2001-09-09 03:46:40","price":99999}"#;
    assert_eq!(good.lines().count(), 100_002);
    assert_eq!(good.lines().last(), Some(last));
    let first: Vec<&str> = good.lines().take(3).collect();
    expect![[r#"
        {"id":"a\/1","at":"2026-07-01 12:00:00","price":1.5}
        {"id":"c\"","at":"2001-09-09 03:46:40","price":null}
        {"id":"0","at":"2001-09-09 03:46:40","price":0}"#]]
    .assert_eq(&first.join("\n"));
}

#[test]
fn the_file_of_good_rows_is_not_created_before_the_input_could_be_read() {
    let folder = folder("print-rows-cannot");
    fs::write(folder.join("model.json"), MODEL).unwrap();
    fs::write(folder.join("data.csv"), "event_id,timestamp,amount\n").unwrap();
    fs::write(folder.join("other.csv"), "x,y\n1,2\n").unwrap();
    fs::write(folder.join("good.jsonl"), "before").unwrap();
    for (model, file, to, part) in [
        ("model.json", "data.csv", "-", "--print-rows needs a file name"),
        ("model.json", "data.csv", "./data.csv", "--print-rows would overwrite ./data.csv"),
        ("model.json", "data.csv", "model.json", "--print-rows would overwrite model.json"),
        ("model.json", "data.csv", "absent/good.jsonl", "failed to write absent/good.jsonl"),
        ("model.json", "absent.csv", "good.jsonl", "failed to read absent.csv"),
        ("model.json", "other.csv", "good.jsonl", "HeaderMismatch"),
    ] {
        let output = batch(&folder, &["validate", model, file, "--print-rows", to], b"");
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert!(stderr.contains(part), "{stderr}");
        assert_eq!(output.status.code(), Some(2), "{stderr}");
    }
    assert!(!folder.join("-").exists());
    assert_eq!(fs::read_to_string(folder.join("good.jsonl")).unwrap(), "before");
    assert_eq!(fs::read_to_string(folder.join("model.json")).unwrap(), MODEL);
    // a header that fits and no rows
    let output = batch(&folder, &["validate", "model.json", "data.csv", "--print-rows", "good.jsonl"], b"");
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(fs::read_to_string(folder.join("good.jsonl")).unwrap(), "");
}

#[test]
fn a_validation_that_cannot_run_has_exit_code_2_and_a_reason() {
    let folder = folder("cannot");
    fs::write(folder.join("model.json"), MODEL).unwrap();
    fs::write(folder.join("typo.json"), r#"{"a": "Flot64"}"#).unwrap();
    fs::write(folder.join("data.csv"), "event_id,timestamp,amount\n").unwrap();
    for name in ["broken.csv.gz", "broken.csv.zst", "broken.csv.bz2", "broken.csv.xz"] {
        fs::write(folder.join(name), "nothing of the kind").unwrap();
    }
    let nobody = ["--api-url", "http://127.0.0.1:9"];
    for (args, stdin, part) in [
        (&["validate", "model.json", "absent.csv"][..], &b""[..], "failed to read absent.csv"),
        (&["validate", "absent.json", "data.csv"], b"", "there is no file 'absent.json'"),
        (&["validate", "typo.json", "data.csv"], b"", "Flot64"),
        (&["validate", "model.json", "-"], b"", "EmptyFile"),
        (&["validate", "model.json", "-"], b"x,y\n1,2\n", "HeaderMismatch"),
        (&["validate", "model.json", "-"], b"x,y\n", "HeaderMismatch"),
        (&["validate", "model.json", "-"], b"event_id,timestamp,amount\n\0\0\n", "BinaryFile"),
        (
            &["validate", "model.json", "broken.csv.gz"],
            b"",
            "broken.csv.gz: the file cannot be read: it is not gzip",
        ),
        (&["validate", "model.json", "broken.csv.zst"], b"", "it is not zstd, or is cut off"),
        (&["validate", "model.json", "broken.csv.bz2"], b"", "it is not bzip2, or is cut off"),
        (
            &["validate", "model.json", "broken.csv.xz"],
            b"",
            "it is not xz (with a dictionary of at most 64 MiB)",
        ),
        (&["validate", "model.json", "-"], b"\xff\xfea\0\n", "UTF-16 and ends in the middle"),
        (&["validate", "model.json", "data.csv", "--delimiter", ";;"], b"", "one ASCII character"),
        (&["validate", "model.json", "data.csv", "--format", "xml"], b"", "possible values"),
    ] {
        let output = batch(&folder, &[&nobody, args].concat(), stdin);
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert!(stderr.contains(part), "{args:?}: {stderr}");
        assert_eq!(output.status.code(), Some(2), "{args:?}: {stderr}");
    }
}
