//! What a reader returns for a text, for tests: on every level of this CPU, with any bytes after the text.

use rows_bytes::simd::{Kernel, Lanes, Level};
use rows_bytes::text::Text;

use super::{Native, Read};

struct One<'a, R>(&'a R, Text<'a>);

impl<R: Read> Kernel for One<'_, R> {
    type Output = Option<R::Value>;
    #[inline(always)]
    fn run<L: Lanes>(self, lanes: L) -> Self::Output {
        self.0.read(lanes, self.1)
    }
}

/// The value's bytes. They must be the same if nothing, little or much comes after the text.
#[track_caller]
pub(crate) fn read<R: Read>(reader: &R, text: &[u8]) -> Option<Vec<u8>> {
    let behind = b":.0-123456789abcdef0123456789abcdef0123456789abcdef:.::0123456789abcdef";
    let longer = [text, behind].concat();
    let mut values = [0, 5, behind.len()].into_iter().flat_map(|more| {
        let text = Text::new(&longer[..text.len() + more], text.len());
        Level::all().into_iter().map(move |level| {
            level.run_scalar(One(reader, text)).map(|value| {
                let mut bytes = vec![0; R::Value::WIDTH];
                value.put(&mut bytes);
                bytes
            })
        })
    });
    let first = values.next().flatten();
    for other in values {
        assert_eq!(first, other, "levels differ on {:?}", String::from_utf8_lossy(text));
    }
    first
}
