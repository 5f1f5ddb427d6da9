//! UTF-16 becomes the same text in UTF-8, in whatever pieces its bytes arrive.

use proptest::prelude::*;

use super::*;

fn bytes(units: &[u16], big_endian: bool) -> Vec<u8> {
    units.iter().flat_map(|u| if big_endian { u.to_be_bytes() } else { u.to_le_bytes() }).collect()
}

fn encode(text: &str, big_endian: bool) -> Vec<u8> {
    bytes(&text.encode_utf16().collect::<Vec<_>>(), big_endian)
}

fn transcode(pieces: &[&[u8]]) -> Result<Vec<u8>, TranscodeError> {
    let mut transcoder = Transcoder::new();
    let mut out = Vec::new();
    for piece in pieces {
        out.extend_from_slice(transcoder.push(piece));
    }
    out.extend_from_slice(transcoder.finish()?);
    Ok(out)
}

#[test]
fn utf_16_with_a_mark_becomes_utf_8_wherever_it_is_split() {
    let text = "\u{feff}id,name,a long run of plain letters\n1,Zoë,\n2,漢字,\n3,😀\u{10ffff},\n";
    for big_endian in [false, true] {
        let whole = encode(text, big_endian);
        for at in 0..=whole.len() {
            let (head, tail) = whole.split_at(at);
            assert_eq!(transcode(&[head, tail]).unwrap(), text.as_bytes(), "split at {at}");
        }
        let single: Vec<&[u8]> = whole.chunks(1).collect();
        assert_eq!(transcode(&single).unwrap(), text.as_bytes());
    }
}

#[test]
fn bytes_without_a_mark_are_passed_on_without_being_copied() {
    let text = b"\xef\xbb\xbfa,b\n";
    let mut transcoder = Transcoder::new();
    assert_eq!(transcoder.push(text).as_ptr(), text.as_ptr());
    assert!(transcoder.passes_on());
    for start in [&b""[..], b"\xff", b"\xfe", b"\xff\xff", b"\xfe,", b"a", b"\xff\xffx"] {
        for at in 0..=start.len() {
            let (head, tail) = start.split_at(at);
            assert_eq!(transcode(&[head, tail]).unwrap(), start, "{start:?} split at {at}");
        }
    }
}

#[test]
fn what_is_taken_up_again_is_utf_8_already() {
    assert_eq!(Transcoder::resume().push(b"\xff\xfea\0"), b"\xff\xfea\0");
}

#[test]
fn half_a_code_unit_at_the_end_is_an_error() {
    for text in ["\u{feff}a", "\u{feff}a,b\n1,2\n", "\u{feff}😀"] {
        let mut cut = encode(text, false);
        cut.push(b'\n');
        assert_eq!(transcode(&[&cut]), Err(TranscodeError::CutOff), "{text:?}");
        assert_eq!(transcode(&[&cut[..cut.len() - 2]]), Err(TranscodeError::CutOff), "{text:?}");
    }
}

proptest! {
    #[test]
    fn any_code_units_become_what_the_standard_library_reads_in_them(units in prop::collection::vec(prop_oneof![0u16..0x80, 0xd7f0u16..0xe010, any::<u16>()], 0..80), big_endian: bool, sizes in prop::collection::vec(1usize..40, 1..5)) {
        let units: Vec<u16> = std::iter::once(0xfeff).chain(units).collect();
        let stream = bytes(&units, big_endian);
        let mut pieces = Vec::new();
        let mut rest = stream.as_slice();
        for size in sizes.iter().cycle() {
            if rest.is_empty() {
                break;
            }
            let (piece, after) = rest.split_at(rest.len().min(*size));
            pieces.push(piece);
            rest = after;
        }
        let mut expected = Vec::new();
        for c in char::decode_utf16(units) {
            match c {
                Ok(c) => expected.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
                Err(e) => {
                    let half = u32::from(e.unpaired_surrogate());
                    expected.extend([0xed, 0x80 | (half >> 6 & 0x3f) as u8, 0x80 | (half & 0x3f) as u8]);
                }
            }
        }
        prop_assert_eq!(transcode(&pieces), Ok(expected));
    }
}
