//! Decides which type names are types, and with which arguments.
#![allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "each number is compared with its bounds before it is narrowed"
)]

use super::parse::{Arg, Node, clip};
use super::{Base, Type};

pub(super) enum Refusal {
    Unsupported,
    Malformed(String),
}

fn bad<T>(problem: impl Into<String>) -> Result<T, Refusal> {
    Err(Refusal::Malformed(problem.into()))
}

/// Whether there is a type of this name.
pub(super) fn is_known(name: &str) -> bool {
    plain(name).is_some() || WITH_ARGUMENTS.contains(&name)
}

pub(super) fn ty(node: &Node<'_>) -> Result<Type, Refusal> {
    match (node.name, node.args.as_slice()) {
        ("Nullable", [Arg::Type(inner)]) => {
            let inner = ty(inner)?;
            if inner.low_cardinality {
                return bad("write LowCardinality(Nullable(T)), not Nullable(LowCardinality(T))");
            }
            if inner.nullable {
                return bad("Nullable(Nullable(T)) is not a type");
            }
            if matches!(inner.base, Base::Array(_) | Base::Map(..)) {
                return bad("an Array or Map cannot be NULL; an empty one stands for nothing");
            }
            Ok(Type { nullable: true, ..inner })
        }
        ("LowCardinality", [Arg::Type(inner)]) => {
            let inner = ty(inner)?;
            if inner.low_cardinality {
                return bad("LowCardinality(LowCardinality(T)) is not a type");
            }
            if matches!(
                inner.base,
                Base::Decimal(..)
                    | Base::DateTime64(..)
                    | Base::Time
                    | Base::Time64(_)
                    | Base::BFloat16
                    | Base::Enum8(_)
                    | Base::Enum16(_)
                    | Base::Json
                    | Base::Array(_)
                    | Base::Tuple(_)
                    | Base::Map(..)
            ) {
                return bad(format!("LowCardinality cannot hold {}", inner.base));
            }
            Ok(Type { low_cardinality: true, ..inner })
        }
        ("Nullable" | "LowCardinality", _) => bad(format!("{} takes one type", node.name)),
        _ => base(node).map(Type::plain),
    }
}

fn tuple(args: &[Arg<'_>]) -> Result<Base, Refusal> {
    let element = |arg: &Arg<'_>| match arg {
        Arg::Type(node) => Ok((None, ty(node)?)),
        Arg::Named(name, node) => Ok((Some(name.clone()), ty(node)?)),
        _ => bad("a Tuple takes types, or names and types such as Tuple(x Int32, y Int32)"),
    };
    let elements: Vec<(Option<String>, Type)> = args.iter().map(element).collect::<Result<_, _>>()?;
    let mut names = std::collections::HashSet::new();
    if elements.is_empty() {
        return bad("a Tuple needs at least one element");
    }
    if elements.iter().any(|e| e.0.is_some()) {
        if elements.iter().any(|e| e.0.is_none()) {
            return bad("the elements of a Tuple have names, or none of them has");
        }
        if !elements.iter().all(|e| names.insert(e.0.as_deref())) {
            return bad("the names of a Tuple's elements must each occur once");
        }
    }
    Ok(Base::Tuple(elements))
}

fn map(key: &Node<'_>, value: &Node<'_>) -> Result<Base, Refusal> {
    let (key, value) = (ty(key)?, ty(value)?);
    if key.nullable {
        return bad("the key of a Map cannot be NULL");
    }
    if matches!(key.base, Base::Array(_) | Base::Tuple(_) | Base::Map(..) | Base::Json) {
        return bad("the key of a Map must be a single value, such as a String");
    }
    Ok(Base::Map(Box::new(key), Box::new(value)))
}

fn base(node: &Node<'_>) -> Result<Base, Refusal> {
    if let Some(plain) = plain(node.name) {
        return if node.has_parens { bad(format!("{} takes no arguments", node.name)) } else { Ok(plain) };
    }
    match (node.name, node.args.as_slice()) {
        ("DateTime", []) => Ok(Base::DateTime(None)),
        ("DateTime", [Arg::Text(zone)]) => Ok(Base::DateTime(Some(known_zone(zone)?))),
        ("DateTime", _) => bad("DateTime takes at most a time zone in quotes"),
        ("DateTime64", [Arg::Number(p @ 0..=9)]) => Ok(Base::DateTime64(*p as u8, None)),
        ("DateTime64", [Arg::Number(p @ 0..=9), Arg::Text(zone)]) => {
            Ok(Base::DateTime64(*p as u8, Some(known_zone(zone)?)))
        }
        ("DateTime64", _) => bad("DateTime64 takes 0 to 9 fraction digits and maybe a time zone in quotes"),
        ("Time64", [Arg::Number(p @ 0..=9)]) => Ok(Base::Time64(*p as u8)),
        ("Time64", _) => bad("Time64 takes 0 to 9 fraction digits"),
        ("Array", [Arg::Type(element)]) => Ok(Base::Array(Box::new(ty(element)?))),
        ("Array", _) => bad("Array takes one type"),
        ("Tuple", args) => tuple(args),
        ("Map", [Arg::Type(key), Arg::Type(value)]) => map(key, value),
        ("Map", _) => bad("Map takes the type of its keys and the type of its values"),
        ("FixedString", [Arg::Number(n @ 1..=65_536)]) => Ok(Base::FixedString(*n as u32)),
        ("FixedString", _) => bad("FixedString takes a length of 1 to 65536 bytes"),
        ("Decimal", args) => decimal(args, 76),
        ("Decimal32", [Arg::Number(s)]) => decimal(&[Arg::Number(9), Arg::Number(*s)], 9),
        ("Decimal64", [Arg::Number(s)]) => decimal(&[Arg::Number(18), Arg::Number(*s)], 18),
        ("Decimal128", [Arg::Number(s)]) => decimal(&[Arg::Number(38), Arg::Number(*s)], 38),
        ("Decimal256", [Arg::Number(s)]) => decimal(&[Arg::Number(76), Arg::Number(*s)], 76),
        ("Decimal32" | "Decimal64" | "Decimal128" | "Decimal256", _) => {
            bad(format!("{} takes a scale", node.name))
        }
        ("Enum8", args) => names(args, i64::from(i8::MIN)..=i64::from(i8::MAX)).map(Base::Enum8),
        ("Enum16", args) => names(args, i64::from(i16::MIN)..=i64::from(i16::MAX)).map(Base::Enum16),
        ("Enum", args) => match names(args, i64::from(i8::MIN)..=i64::from(i8::MAX)) {
            Ok(names) => Ok(Base::Enum8(names)),
            Err(_) => names(args, i64::from(i16::MIN)..=i64::from(i16::MAX)).map(Base::Enum16),
        },
        _ => Err(Refusal::Unsupported),
    }
}

/// The names that [`base`] and [`ty`] know in addition to those of [`plain`].
const WITH_ARGUMENTS: [&str; 17] = [
    "Array",
    "Tuple",
    "Map",
    "Time64",
    "Nullable",
    "LowCardinality",
    "FixedString",
    "DateTime",
    "DateTime64",
    "Decimal",
    "Decimal32",
    "Decimal64",
    "Decimal128",
    "Decimal256",
    "Enum",
    "Enum8",
    "Enum16",
];

fn plain(name: &str) -> Option<Base> {
    let bits = |prefix: &str| {
        let bits = name.strip_prefix(prefix)?.parse().ok()?;
        [8, 16, 32, 64, 128, 256].contains(&bits).then_some(bits)
    };
    Some(match name {
        "String" => Base::String,
        "Bool" => Base::Bool,
        "Float32" => Base::Float32,
        "Float64" => Base::Float64,
        "BFloat16" => Base::BFloat16,
        "Time" => Base::Time,
        "JSON" => Base::Json,
        "Date" => Base::Date,
        "Date32" => Base::Date32,
        "UUID" => Base::Uuid,
        "IPv4" => Base::Ipv4,
        "IPv6" => Base::Ipv6,
        _ => return bits("Int").map(Base::Int).or_else(|| bits("UInt").map(Base::UInt)),
    })
}

fn known_zone(zone: &str) -> Result<String, Refusal> {
    match crate::zone::zone(zone) {
        Some(_) => Ok(zone.to_owned()),
        None => bad(format!(
            "time zone '{}' is not known; write an IANA name such as 'Europe/Berlin'",
            clip(zone)
        )),
    }
}

fn decimal(args: &[Arg<'_>], max: i64) -> Result<Base, Refusal> {
    let (p, s) = match args {
        [Arg::Number(p)] => (*p, 0),
        [Arg::Number(p), Arg::Number(s)] => (*p, *s),
        _ => return bad("Decimal takes a precision and a scale, such as Decimal(18, 4)"),
    };
    if !(1..=max).contains(&p) || !(0..=p).contains(&s) {
        return bad(format!("precision must be 1 to {max} and scale 0 to the precision"));
    }
    Ok(Base::Decimal(p as u8, s as u8))
}

/// Names of an enum with their values. A name without a value has the value of the previous name plus 1; the first has
/// 1.
fn names(args: &[Arg<'_>], range: std::ops::RangeInclusive<i64>) -> Result<Vec<(String, i16)>, Refusal> {
    let mut out: Vec<(String, i16)> = Vec::with_capacity(args.len());
    let mut next = 1;
    for arg in args {
        let (name, value) = match arg {
            Arg::Text(name) => (name, next),
            Arg::Pair(name, value) => (name, *value),
            _ => return bad("an enum takes 'name' = number"),
        };
        if !range.contains(&value) {
            return bad(format!("the value {value} of '{name}' is out of the enum's range"));
        }
        next = value + 1;
        out.push((name.clone(), value as i16));
    }
    if out.is_empty() {
        return bad("an enum needs at least one 'name' = number");
    }
    let unique = |key: &dyn Fn(&(String, i16)) -> String| {
        out.iter().map(key).collect::<std::collections::HashSet<_>>().len() == out.len()
    };
    if !unique(&|e| e.0.clone()) || !unique(&|e| e.1.to_string()) {
        return bad("names and values of an enum must each occur once");
    }
    out.sort_by_key(|e| e.1);
    Ok(out)
}
