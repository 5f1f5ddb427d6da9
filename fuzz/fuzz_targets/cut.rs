//! Any bytes cut in any pieces, pushed or read into the cutter's own room, on every level of the CPU: the same chunks, and in them the records that the checker
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

fn read(mut cutter: Cutter, mut bytes: &[u8], most: usize) -> Result<Vec<Chunk>, CutError> {
    let mut chunks = Vec::new();
    while !bytes.is_empty() {
        let room = cutter.room();
        let (piece, rest) = bytes.split_at(bytes.len().min(room.len()).min(most));
        room[..piece.len()].copy_from_slice(piece);
        cutter.filled(piece.len())?;
        while let Some(chunk) = cutter.next_chunk() {
            chunks.push(chunk.clone());
            cutter.recycle(chunk.bytes);
        }
        bytes = rest;
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
    for cutter in Cutter::on_every_level(&input, size) {
        assert_eq!(whole, read(cutter, bytes, piece));
    }
    let mut checker = Checker::new(rows_fuzz::plan(&input));
    for chunk in whole.into_iter().flatten() {
        assert_eq!(checker.check(&chunk.bytes, chunk.first_row, "job").rows(), chunk.rows);
    }
});
