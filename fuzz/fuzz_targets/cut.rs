//! Any bytes cut in any pieces, on every level of the CPU: the same chunks, and in them the records that the checker
//! counts.
#![no_main]

use libfuzzer_sys::fuzz_target;
use rows::{Checker, Chunk, CutError, Cutter, Input};

fn cut(mut cutter: Cutter, bytes: &[u8], piece: usize) -> Result<Vec<Chunk>, CutError> {
    let mut chunks = Vec::new();
    for piece in bytes.chunks(piece) {
        cutter.push(piece)?;
        chunks.extend(std::iter::from_fn(|| cutter.next_chunk()));
    }
    chunks.extend(cutter.finish()?);
    Ok(chunks)
}

fuzz_target!(|bytes: &[u8]| {
    let [size, piece, bytes @ ..] = bytes else { return };
    let (size, piece) = (usize::from(*size) + 1, usize::from(*piece) + 1);
    let input = Input { header: false, ..Input::default() };
    let whole = cut(Cutter::new(&input, size), bytes, usize::MAX);
    for cutter in Cutter::on_every_level(&input, size) {
        assert_eq!(whole, cut(cutter, bytes, piece));
    }
    let mut checker = Checker::new(rows_fuzz::plan(&input));
    for chunk in whole.into_iter().flatten() {
        assert_eq!(checker.check(&chunk.bytes, chunk.first_row, "job").rows(), chunk.rows);
    }
});
