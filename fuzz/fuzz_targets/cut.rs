//! Any bytes, cut into any pieces, pushed or read into the cutter's own buffer, on every level of the CPU, and resumed
//! after any chunk. The chunks, batches and digests are always the same, and the chunks have as many records as the
//! checker counts.
#![no_main]

use libfuzzer_sys::fuzz_target;
use rows_check::Checker;
use rows_split::{Chunk, CutError, Cutter, Limits, Position};
use rows_types::{BATCH_WEIGHT, Digest, Input};

type Cut = Result<Vec<(Chunk, Position)>, CutError>;

/// Moves the finished chunks to `cut`, each with the position after it.
fn drain(cutter: &mut Cutter, cut: &mut Vec<(Chunk, Position)>) {
    while let Some(chunk) = cutter.next_chunk() {
        cut.push((chunk.clone(), cutter.position()));
        cutter.recycle(chunk.bytes);
    }
}

fn finish(mut cutter: Cutter, file: &[u8], mut chunks: Vec<(Chunk, Position)>) -> Cut {
    cutter.finish()?;
    drain(&mut cutter, &mut chunks);
    assert_eq!(cutter.digest(), Digest::of(file));
    Ok(chunks)
}

fn cut(mut cutter: Cutter, file: &[u8], bytes: &[u8], piece: usize) -> Cut {
    let mut chunks = Vec::new();
    for piece in bytes.chunks(piece) {
        cutter.push(piece)?;
        drain(&mut cutter, &mut chunks);
    }
    finish(cutter, file, chunks)
}

fn read(mut cutter: Cutter, file: &[u8], most: usize) -> Cut {
    let mut chunks = Vec::new();
    let mut bytes = file;
    while !bytes.is_empty() {
        let spare_memory = cutter.spare_memory();
        let (piece, rest) = bytes.split_at(bytes.len().min(spare_memory.len()).min(most));
        spare_memory[..piece.len()].copy_from_slice(piece);
        cutter.filled(piece.len())?;
        drain(&mut cutter, &mut chunks);
        bytes = rest;
    }
    finish(cutter, file, chunks)
}

fuzz_target!(|bytes: &[u8]| {
    let [size, piece, bytes @ ..] = bytes else { return };
    let (size, piece) = (usize::from(*size) + 1, usize::from(*piece) + 1);
    let input = Input { header: false, ..Input::default() };
    // so low that each of them ends a chunk or a batch
    let limits = Limits {
        chunk_bytes: size,
        chunk_rows: if piece % 2 == 0 { 3 } else { u32::MAX },
        row_weight: BATCH_WEIGHT / 16,
        byte_weight: BATCH_WEIGHT / 1024,
    };
    let expected = cut(Cutter::new(&input, limits).with_digests(), bytes, bytes, usize::MAX);
    for cutter in Cutter::on_every_level(&input, limits) {
        assert_eq!(expected, cut(cutter.with_digests(), bytes, bytes, piece));
    }
    for cutter in Cutter::on_every_level(&input, limits) {
        assert_eq!(expected, read(cutter.with_digests(), bytes, piece));
    }
    let Ok(chunks) = expected else { return };
    let mut checker = Checker::new(rows_fuzz::plan(&input));
    for (chunk, _) in &chunks {
        assert!(chunk.bytes.len() <= size || chunk.rows == 1);
        assert_eq!(
            (chunk.digest, chunk.last),
            (Digest::of(&chunk.bytes), chunk.number as usize + 1 == chunks.len())
        );
        assert_eq!(checker.check(&chunk.bytes, chunk.first_row, "job").rows(), chunk.rows);
    }
    let after = piece % (chunks.len() + 1);
    let at = after.checked_sub(1).map_or(Position::START, |last| chunks[last].1);
    let resumed = Cutter::resume(&input, limits, at).with_digests();
    let start = at.offset as usize;
    assert_eq!(at.digest, Digest::of(&bytes[..start]));
    assert_eq!(cut(resumed, bytes, &bytes[start..], piece).as_deref(), Ok(&chunks[after..]));
});
