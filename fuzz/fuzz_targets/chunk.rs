//! Any columns, any dialect, any bytes. However the file is cut, split and read, the result for each record is the
//! same.
#![no_main]

use libfuzzer_sys::fuzz_target;
use rows_fuzz::{Model, check, cut_and_check};
use rows_types::Format;

fuzz_target!(|bytes: &[u8]| {
    let Some((model, file)) = Model::of(bytes) else { return };
    let Ok(Some((plan, records, at_once))) = cut_and_check(&model, usize::MAX, file) else { return };
    assert!(at_once.blocks.len() < 2);
    // one record in each chunk, so the blocks differ
    let (_, _, pieces) = cut_and_check(&model, 1, file).expect("a file").expect("a plan");
    assert_eq!((pieces.good, &pieces.rejects), (at_once.good, &at_once.rejects));
    // all levels of the CPU
    let regular = check(&plan, &records, 2);
    if model.input.format.is_json() || records.is_empty() {
        return;
    }
    // if the first record has too many fields, the index refuses all records: they are split one by one
    let (delimiter, quote) = (model.input.delimiter, model.input.quote);
    let delimiter = if model.input.format == Format::Tsv && delimiter == ',' { '\t' } else { delimiter };
    let special = [Some(delimiter), Some(quote), model.input.escape, model.input.comment];
    let letter =
        ['v', 'w', 'x', 'y', 'z'].into_iter().find(|c| !special.contains(&Some(*c))).expect("a letter");
    let mut ragged = format!("{letter}{delimiter}").repeat(40).into_bytes();
    ragged.push(b'\n');
    ragged.extend_from_slice(&records);
    let mut alone = check(&plan, &ragged, 1);
    if alone.good.first() == Some(&1) {
        return; // the header has that many names
    }
    alone.rejects.retain(|reject| reject.0 > 1);
    assert_eq!(regular, alone, "records split at once and one by one are read differently");
});
