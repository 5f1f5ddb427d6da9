//! Decides which type names are types, and with which arguments.
#![allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "each number is compared with its bounds before it is narrowed"
)]

use super::parse::{Arg, Node, clip};
use super::scalar::{Arguments, ScalarInfo};
use super::{Base, Scalar, Type};

pub(super) enum Refusal {
    Unsupported,
    Malformed(String),
}

fn bad<T>(problem: impl Into<String>) -> Result<T, Refusal> {
    Err(Refusal::Malformed(problem.into()))
}

/// Whether there is a type of this name.
pub(super) fn is_known(name: &str) -> bool {
    !matches!(ty(&Node { name, args: Vec::new(), has_parens: false }), Err(Refusal::Unsupported))
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
            if !inner.scalar().is_some_and(|scalar| scalar.info().low_cardinality) {
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
    if key.is_nested() {
        return bad("the key of a Map must be a single value, such as a String");
    }
    Ok(Base::Map(Box::new(key), Box::new(value)))
}

fn base(node: &Node<'_>) -> Result<Base, Refusal> {
    if let Some(info) = ScalarInfo::of(node.name) {
        return scalar(info, node).map(Base::Scalar);
    }
    match (node.name, node.args.as_slice()) {
        ("Array", [Arg::Type(element)]) => Ok(Base::Array(Box::new(ty(element)?))),
        ("Array", _) => bad("Array takes one type"),
        ("Tuple", args) => tuple(args),
        ("Map", [Arg::Type(key), Arg::Type(value)]) => map(key, value),
        ("Map", _) => bad("Map takes the type of its keys and the type of its values"),
        _ => alias(node).map(Base::Scalar),
    }
}

fn scalar(info: &ScalarInfo, node: &Node<'_>) -> Result<Scalar, Refusal> {
    let name = info.name;
    Ok(match (&info.arguments, node.args.as_slice()) {
        (Arguments::None(scalar), _) if !node.has_parens => scalar.clone(),
        (Arguments::None(_), _) => return bad(format!("{name} takes no arguments")),
        (Arguments::Length(of), [Arg::Number(n @ 1..=65_536)]) => of(*n as u32),
        (Arguments::Length(_), _) => return bad(format!("{name} takes a length of 1 to 65536 bytes")),
        (Arguments::Precision(of), args) => {
            let (p, s) = decimal(args, 76)?;
            of(p, s)
        }
        (Arguments::Zone(of), []) => of(None),
        (Arguments::Zone(of), [Arg::Text(zone)]) => of(Some(known_zone(zone)?)),
        (Arguments::Zone(_), _) => return bad(format!("{name} takes at most a time zone in quotes")),
        (Arguments::Digits(of), [Arg::Number(p @ 0..=9)]) => of(*p as u8),
        (Arguments::Digits(_), _) => return bad(format!("{name} takes 0 to 9 fraction digits")),
        (Arguments::DigitsZone(of), [Arg::Number(p @ 0..=9)]) => of(*p as u8, None),
        (Arguments::DigitsZone(of), [Arg::Number(p @ 0..=9), Arg::Text(zone)]) => {
            of(*p as u8, Some(known_zone(zone)?))
        }
        (Arguments::DigitsZone(_), _) => {
            return bad(format!("{name} takes 0 to 9 fraction digits and maybe a time zone in quotes"));
        }
        (Arguments::Names(of), args) => {
            let least = of(Vec::new()).width().map_or(0, |width| i64::MIN >> (64 - 8 * width));
            of(names(args, least..=-(least + 1))?)
        }
    })
}

/// Names that stand for another type.
fn alias(node: &Node<'_>) -> Result<Scalar, Refusal> {
    let precision = match node.name {
        "Enum" => {
            let of = |name| scalar(ScalarInfo::of(name).ok_or(Refusal::Unsupported)?, node);
            return of("Enum8").or_else(|_| of("Enum16"));
        }
        "Decimal32" => 9,
        "Decimal64" => 18,
        "Decimal128" => 38,
        "Decimal256" => 76,
        _ => return Err(Refusal::Unsupported),
    };
    let [Arg::Number(scale)] = node.args[..] else { return bad(format!("{} takes a scale", node.name)) };
    let (p, s) = decimal(&[Arg::Number(precision), Arg::Number(scale)], precision)?;
    Ok(Scalar::Decimal(p, s))
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

/// A precision and a scale.
fn decimal(args: &[Arg<'_>], max: i64) -> Result<(u8, u8), Refusal> {
    let (p, s) = match args {
        [Arg::Number(p)] => (*p, 0),
        [Arg::Number(p), Arg::Number(s)] => (*p, *s),
        _ => return bad("Decimal takes a precision and a scale, such as Decimal(18, 4)"),
    };
    if !(1..=max).contains(&p) || !(0..=p).contains(&s) {
        return bad(format!("precision must be 1 to {max} and scale 0 to the precision"));
    }
    Ok((p as u8, s as u8))
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
