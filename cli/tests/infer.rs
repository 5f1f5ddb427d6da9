//! `batch model infer` end to end: it prints a model that accepts the file.
#![allow(clippy::unwrap_used, reason = "a test that cannot continue fails")]

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use expect_test::expect;

fn folder(test: &str) -> PathBuf {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("infer-{test}"));
    fs::create_dir_all(&folder).unwrap();
    folder
}

fn batch(folder: &Path, args: &[&str], stdin: &[u8]) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_batch"))
        .current_dir(folder)
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // The program does not read its input when it prints help or an error.
    let _ = child.stdin.take().unwrap().write_all(stdin);
    child.wait_with_output().unwrap()
}

/// Infers a model and checks the file with it. Returns the model.
fn round_trip(folder: &Path, file: &str, flags: &[&str]) -> String {
    let inferred = batch(folder, &[&["model", "infer", file], flags].concat(), b"");
    let stderr = String::from_utf8_lossy(&inferred.stderr);
    assert_eq!(inferred.status.code(), Some(0), "{stderr}");
    let model = folder.join("model.yaml");
    fs::write(&model, &inferred.stdout).unwrap();
    let checked = batch(folder, &["validate", "model.yaml", file], b"");
    let (bad, stderr) = (String::from_utf8_lossy(&checked.stdout), String::from_utf8_lossy(&checked.stderr));
    assert_eq!(checked.status.code(), Some(0), "{bad}{stderr}");
    String::from_utf8(inferred.stdout).unwrap()
}

#[test]
fn the_model_that_is_proposed_for_a_file_accepts_the_file() {
    let folder = folder("csv");
    let text = "\u{feff}order id;customer;price;zip;born;updated;ok;n\r\n\
                1;Zoë;12.50;00123;01.02.1960;2024-05-01 10:00:00;true;NA\r\n\
                2;\"x;y\";8.00;12345;13.02.1990;2024-05-01 10:00:00.5;false;5\r\n";
    let units: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
    fs::write(folder.join("Orders 2024.csv.xz"), liblzma::encode_all(&units[..], 1).unwrap()).unwrap();
    expect![[r#"
        # Proposed from 2 rows (all). Look it over before use.
        apiVersion: ingest.batch-on-kafka.io/v1alpha1
        kind: IngestModel
        metadata:
          name: orders-2024
        spec:
          columns:
            - {name: order_id, type: UInt16, aliases: ["order id"]}  # named anew: a column's name has letters, digits and _
            - {name: customer, type: String}
            - {name: price, type: "Decimal(18, 2)"}  # always 2 fraction digits; a value with more is rejected
            - {name: zip, type: String}  # text, to keep leading zeros
            - {name: born, type: Date32, format: "%d.%m.%Y"}
            - {name: updated, type: "DateTime64(3)"}
            - {name: ok, type: Bool}
            - {name: "n", type: UInt16, nullable: true}
          rowKey: order_id  # the first column with a value of its own in each row
          table: {orderBy: [updated]}  # cannot be changed later: put first what most queries filter by
          input: {delimiter: ";", nullValues: ["", NA]}
    "#]]
    .assert_eq(&round_trip(&folder, "Orders 2024.csv.xz", &[]));
}

#[test]
fn every_format_gives_a_model_that_reads_it() {
    let folder = folder("formats");
    fs::write(
        folder.join("a.jsonl"),
        "{\"a b\": 1, \"t\": [\"x\"]}\n{\"o\": {\"k\": null}, \"y\": \"no\"}\n",
    )
    .unwrap();
    fs::write(folder.join("b.tsv"), "1\t2024-05-01\n2\t2024-05-02\n").unwrap();
    fs::write(folder.join("c.txt"), "a|b\n'x|y'|\n").unwrap();
    fs::write(folder.join("d.csv"), "a\tb\n1\t2\n").unwrap();
    let yaml = round_trip(&folder, "a.jsonl", &["--name", "yes"]);
    assert!(yaml.contains("name: \"yes\"\n") && yaml.contains("input: {format: JSONLines}"), "{yaml}");
    let yaml = round_trip(&folder, "b.tsv", &[]);
    assert!(yaml.contains("input: {format: TSV, header: false}"), "{yaml}");
    let yaml = round_trip(&folder, "c.txt", &["--quote", "'"]);
    assert!(yaml.contains("input: {delimiter: \"|\", quote: \"'\"}"), "{yaml}");
    assert!(round_trip(&folder, "d.csv", &[]).contains("input: {format: TSV}"));
}

#[test]
fn only_the_first_rows_of_a_large_file_are_read_and_all_files_count() {
    let folder = folder("sample");
    let rows = |from: usize, last: &str| {
        (from..from + 50_000).fold("id\n".to_owned(), |t, i| t + &format!("{i}\n")) + last
    };
    fs::write(folder.join("a.csv"), rows(0, "x\n")).unwrap();
    fs::write(folder.join("b.csv"), rows(300_000, "")).unwrap();
    let infer = |flags: &[&str]| {
        let output = batch(&folder, &[&["model", "infer", "a.csv", "b.csv"], flags].concat(), b"");
        String::from_utf8(output.stdout).unwrap()
    };
    let all = infer(&[]);
    assert!(all.contains("from 100001 rows (all)") && all.contains("type: String"), "{all}");
    let first = infer(&["--sample-rows", "1000"]);
    assert!(first.contains("(the first of them)") && first.contains("type: UInt64"), "{first}");
    fs::write(folder.join("c.csv"), "id,more\n1,2\n").unwrap();
    let output = batch(&folder, &["model", "infer", "a.csv", "c.csv"], b"");
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(stderr.contains("c.csv") && stderr.contains("its header differs"), "{stderr}");
}

#[test]
fn json_is_complete_on_stdout_and_the_notes_are_on_stderr() {
    let output = batch(&folder("json"), &["model", "infer", "-", "-o", "json"], b"a,b\n1,x\n2,y\n");
    let model: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(model["spec"]["columns"][0], serde_json::json!({"name": "a", "type": "UInt16"}));
    assert_eq!(model["metadata"]["name"], "model");
    assert!(String::from_utf8(output.stderr).unwrap().starts_with("Proposed from 2 rows (all)."));
}

#[test]
fn a_file_that_cannot_be_inferred_has_exit_code_2_and_an_explanation() {
    let folder = folder("cannot");
    for (args, stdin, part) in [
        (&["absent.csv"][..], &b""[..], "failed to read absent.csv"),
        (&["-"], b"", "EmptyFile"),
        (&["-"], b"a,a\n1,2\n", "names column 'a' twice"),
        (&["-"], b"PK\x03\x04\0", "BinaryFile"),
        (&["-", "--delimiter", ";;"], b"a\n", "one ASCII character"),
        (&["-", "-o", "csv"], b"a\n1\n", "use -o yaml or -o json"),
        (&[], b"", "<FILE>"),
    ] {
        let output = batch(&folder, &[&["model", "infer"], args].concat(), stdin);
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert!(stderr.contains(part), "{args:?}: {stderr}");
        assert_eq!(output.status.code(), Some(2), "{args:?}: {stderr}");
    }
}
