//! Text that was UTF-16.

use super::{bind, schema};
use crate::Checker;
use rows_split::{Cutter, Limits, Transcoder};
use rows_types::{Code, Input};
use std::sync::Arc;

#[test]
fn half_of_a_pair_is_a_reject_of_its_cell_and_of_nothing_else() {
    let mut units: Vec<u16> = "\u{feff}a,b\nx,".encode_utf16().collect();
    // A second half, a first half before a letter, two first halves, a second half before a pair, all in one cell.
    units.extend([0xdc00, 0xd800, u16::from(b'y'), 0xd800, 0xd800, 0xdc00, 0xdc00]);
    units.extend("\nz,😀\n".encode_utf16());
    let stream: Vec<u8> = units.iter().flat_map(|unit| unit.to_be_bytes()).collect();
    let mut transcoder = Transcoder::new();
    let mut text = transcoder.push(&stream).to_vec();
    text.extend_from_slice(transcoder.finish().unwrap());
    assert!(!String::from_utf8_lossy(&text[..8]).contains('\u{fffd}'));
    let mut cutter = Cutter::new(&Input::default(), Limits::plain(1 << 20));
    cutter.push(&text).unwrap();
    cutter.finish().unwrap();
    let chunk = cutter.next_chunk().unwrap();
    let header = ["a".to_owned(), "b".to_owned()];
    let plan = bind(schema("a String, b String"), Input::default(), Some(&header)).unwrap();
    let mut checker = Checker::new(Arc::new(plan));
    let outcome = checker.check(&chunk.bytes, 1, "");
    let rejects: Vec<_> = outcome.rejects().map(|r| (r.row, r.column.to_owned(), r.code)).collect();
    assert_eq!(rejects, [(1, "b".to_owned(), Code::InvalidUtf8)]);
    assert_eq!(outcome.ok(), 1);
}
