//! What the quick check of every reader refuses.

use proptest::prelude::*;
use rows_bytes::simd::Portable;
use rows_bytes::text::Text;
use rows_types::{
    Family, IntegralFloats, NonFinite, OnOverflow, OnPrecisionLoss, Policies, SCALARS, ScalarInfo, Type,
};

use super::Reader;
use crate::coerce::Read;

/// An example of each scalar type, and those that no example has.
fn types() -> impl Iterator<Item = String> {
    let others = ["Decimal(18, 0)", "Decimal(38, 10)", "Decimal(76, 5)", "Enum8('n/a' = 1)"];
    SCALARS.iter().map(ScalarInfo::example).chain(others.map(str::to_owned))
}

fn reader(ty: &str, format: Option<&str>) -> Reader {
    Reader::new(Type::parse(ty).unwrap().scalar().unwrap(), format).unwrap()
}

#[test]
fn a_reader_makes_values_of_the_width_in_the_table() {
    for ty in types() {
        let scalar = Type::parse(&ty).unwrap();
        assert_eq!(reader(&ty, None).width(), scalar.scalar().unwrap().width(), "{ty}");
    }
}

/// A text that `refuse` rejects is no value, and the slower check returns the same error.
fn hold(ty: &str, format: Option<&str>, policies: Policies, text: &[u8]) -> bool {
    with_reader!(&reader(ty, format), reader => {
        let Some(error) = reader.refuse(text) else { return false };
        assert!(reader.read(Portable, Text::whole(text)).is_none(), "{ty} {text:?}");
        assert_eq!(reader.lenient(text, policies).err(), Some(error), "{ty} {text:?}");
        true
    }, texts => false)
}

proptest! {
    #[test]
    fn what_the_quick_check_refuses_is_refused_for_the_same_reason(
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
        for ty in types() {
            hold(&ty, None, policies, &bytes);
        }
        hold("Date", Some("%d.%m.%Y"), policies, &bytes);
        hold("DateTime", Some("%d.%m.%Y %H:%M"), policies, &bytes);
    }
}

#[test]
fn the_quick_check_refuses_the_usual_bad_text() {
    for ty in types() {
        // an enum can have any name, and text any content
        let scalar = Type::parse(&ty).unwrap().scalar().unwrap().info();
        let any = matches!(scalar.family, Family::Text | Family::Object | Family::Enum);
        assert_eq!(hold(&ty, None, Policies::default(), b"n/a"), !any, "{ty}");
    }
}
