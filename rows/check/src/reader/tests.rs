//! What every reader refuses at a glance.

use proptest::prelude::*;
use rows_bytes::simd::Portable;
use rows_bytes::text::Text;
use rows_types::{IntegralFloats, NonFinite, OnOverflow, OnPrecisionLoss, Policies, Type};

use super::Reader;
use crate::coerce::Read;

const TYPES: &[&str] = &[
    "Bool",
    "Int8",
    "UInt64",
    "Int128",
    "UInt256",
    "Float32",
    "Float64",
    "BFloat16",
    "Decimal(9, 2)",
    "Decimal(76, 5)",
    "Date",
    "Date32",
    "DateTime",
    "DateTime64(3)",
    "Time",
    "Time64(3)",
    "UUID",
    "IPv4",
    "IPv6",
    "Enum8('n/a' = 1)",
];

/// A text that `refuse` rejects is no value, and the slower check returns the same error.
fn hold(ty: &str, format: Option<&str>, policies: Policies, text: &[u8]) -> bool {
    let reader = Reader::new(&Type::parse(ty).unwrap().base, format).unwrap().unwrap();
    with_reader!(&reader, reader => {
        let Some(error) = reader.refuse(text) else { return false };
        assert!(reader.read(Portable, Text::whole(text)).is_none(), "{ty} {text:?}");
        assert_eq!(reader.lenient(text, policies).err(), Some(error), "{ty} {text:?}");
        true
    }, texts => false)
}

proptest! {
    #[test]
    fn what_is_refused_at_a_glance_is_refused_for_the_same_reason(
        text in "[-+.0-9eEnaifty/: \t]{0,12}|[-]?([nN][aA][nN]|[iI][nN][fF](inity)?)|[0-9]{9,10}|\\PC{0,40}|[0-9]{4}-[0-9]{2}-[0-9]{2}[ T0-9:.]{0,12}|[-0-9a-f:.]{0,40}",
        broken: bool,
        lenient: bool,
    ) {
        let mut bytes = text.into_bytes();
        if broken {
            bytes.push(0xff);
        }
        let policies = if lenient {
            Policies {
                non_finite: NonFinite::Accept,
                integral_floats: IntegralFloats::Accept,
                on_overflow: OnOverflow::Clamp,
                on_precision_loss: OnPrecisionLoss::Round,
                ..Policies::default()
            }
        } else {
            Policies::default()
        };
        for ty in TYPES {
            hold(ty, None, policies, &bytes);
        }
        hold("Date", Some("%d.%m.%Y"), policies, &bytes);
        hold("DateTime", Some("%d.%m.%Y %H:%M"), policies, &bytes);
    }
}

#[test]
fn the_usual_bad_text_is_refused_at_a_glance() {
    let refused = |ty: &&&str| hold(ty, None, Policies::default(), b"n/a");
    assert_eq!(TYPES.iter().filter(refused).count(), TYPES.len() - 1, "all but the enum");
}
