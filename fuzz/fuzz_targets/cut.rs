//! Any bytes cut in any pieces: the same chunks, and in them the records that the checker counts.
#![no_main]

use libfuzzer_sys::fuzz_target;
use rows::{Checker, Chunk, CutError, Cutter, Input};

fn cut(bytes: &[u8], chunk_bytes: usize, piece: usize) -> Result<Vec<Chunk>, CutError> {
    let input = Input { header: false, ..Input::default() };
    let mut cutter = Cutter::new(&input, chunk_bytes);
    let mut chunks = Vec::new();
    for piece in bytes.chunks(piece) {
        cutter.push(piece)?;
        chunks.extend(std::iter::from_fn(|| cutter.next_chunk()));
    }
    chunks.extend(cutter.finish()?);
    Ok(chunks)
}

fuzz_target!(|input: (u8, u8, &[u8])| {
    let (size, piece, bytes) = input;
    let whole = cut(bytes, usize::from(size) + 1, usize::MAX);
    assert_eq!(whole, cut(bytes, usize::from(size) + 1, usize::from(piece) + 1));
    let mut checker = Checker::new(rows_fuzz::plan(&Input::default()));
    for chunk in whole.into_iter().flatten() {
        assert_eq!(checker.check(&chunk.bytes, chunk.first_row, "job").rows(), chunk.rows);
    }
});
