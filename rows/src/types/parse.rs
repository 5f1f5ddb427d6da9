//! The grammar of type names: `Name`, `Name(argument, …)`, where an argument is a type, a number, a quoted text, or
//! `'name' = number`.

use super::{Scalar, Type, TypeError};

/// Longest type name read; ClickHouse has no limit of its own, a custom resource does.
const MAX_LEN: usize = 64 * 1024;

pub(super) fn parse(name: &str) -> Result<Type, TypeError> {
    let malformed = |problem: String| TypeError::Malformed { name: clip(name), problem };
    if name.len() > MAX_LEN {
        return Err(malformed("the name is too long".to_owned()));
    }
    let node = Tokens { rest: name }.whole().map_err(|problem| {
        // the arguments of a type that is not supported may be of any kind
        let first = name.trim_start().split(|c: char| !c.is_ascii_alphanumeric()).next().unwrap_or_default();
        let unsupported = !first.is_empty() && plain(first).is_none() && !WITH_ARGUMENTS.contains(&first);
        if unsupported { TypeError::Unsupported { name: clip(name) } } else { malformed(problem) }
    })?;
    build(&node).map_err(|e| match e {
        Refusal::Unsupported => TypeError::Unsupported { name: clip(name) },
        Refusal::Malformed(problem) => malformed(problem),
    })
}

fn clip(name: &str) -> String {
    name.chars().take(200).collect()
}

/// A name with its arguments, before any meaning.
#[derive(Debug)]
struct Node<'a> {
    name: &'a str,
    args: Vec<Arg<'a>>,
    has_parens: bool,
}

#[derive(Debug)]
enum Arg<'a> {
    Type(Node<'a>),
    Number(i64),
    Text(String),
    Pair(String, i64),
}

struct Tokens<'a> {
    rest: &'a str,
}

impl<'a> Tokens<'a> {
    fn whole(mut self) -> Result<Node<'a>, String> {
        let node = self.node(0)?;
        self.blanks();
        if self.rest.is_empty() { Ok(node) } else { Err(format!("'{}' is left over", clip(self.rest))) }
    }

    fn blanks(&mut self) {
        self.rest = self.rest.trim_start();
    }

    fn eat(&mut self, c: char) -> bool {
        self.blanks();
        match self.rest.strip_prefix(c) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    fn node(&mut self, depth: u8) -> Result<Node<'a>, String> {
        if depth > 8 {
            return Err("types are nested too deep".to_owned());
        }
        self.blanks();
        let end = self.rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(self.rest.len());
        let (name, rest) = self.rest.split_at(end);
        if name.is_empty() {
            return Err("a type name is missing".to_owned());
        }
        self.rest = rest;
        let mut node = Node { name, args: Vec::new(), has_parens: false };
        if self.eat('(') {
            node.has_parens = true;
            if self.eat(')') {
                return Ok(node);
            }
            loop {
                node.args.push(self.arg(depth)?);
                if self.eat(')') {
                    break;
                }
                if !self.eat(',') {
                    return Err("expected ',' or ')'".to_owned());
                }
            }
        }
        Ok(node)
    }

    fn arg(&mut self, depth: u8) -> Result<Arg<'a>, String> {
        self.blanks();
        match self.rest.chars().next() {
            Some('\'') => {
                let text = self.text()?;
                if self.eat('=') { Ok(Arg::Pair(text, self.number()?)) } else { Ok(Arg::Text(text)) }
            }
            Some('-' | '0'..='9') => self.number().map(Arg::Number),
            _ => self.node(depth + 1).map(Arg::Type),
        }
    }

    fn number(&mut self) -> Result<i64, String> {
        self.blanks();
        let sign = usize::from(self.rest.starts_with('-'));
        let digits = self.rest[sign..].bytes().take_while(u8::is_ascii_digit).count();
        let (text, rest) = self.rest.split_at(sign + digits);
        self.rest = rest;
        text.parse().map_err(|_| "expected a whole number".to_owned())
    }

    /// A quoted text; the escapes of ClickHouse's string literals that [`Type`]'s `Display` writes, and `''`.
    fn text(&mut self) -> Result<String, String> {
        let mut out = String::new();
        let mut chars = self.rest.char_indices().skip(1);
        while let Some((at, c)) = chars.next() {
            match c {
                '\'' if self.rest[at + 1..].starts_with('\'') => {
                    chars.next();
                    out.push('\'');
                }
                '\'' => {
                    self.rest = &self.rest[at + 1..];
                    return Ok(out);
                }
                '\\' => match chars.next() {
                    Some((_, c @ ('\\' | '\''))) => out.push(c),
                    Some((_, 'n')) => out.push('\n'),
                    Some((_, 't')) => out.push('\t'),
                    Some((_, 'r')) => out.push('\r'),
                    _ => return Err("a text may escape only \\\\ \\' \\n \\t \\r".to_owned()),
                },
                c => out.push(c),
            }
        }
        Err("a quoted text is not closed".to_owned())
    }
}

enum Refusal {
    Unsupported,
    Malformed(String),
}

fn bad<T>(problem: impl Into<String>) -> Result<T, Refusal> {
    Err(Refusal::Malformed(problem.into()))
}

fn build(node: &Node<'_>) -> Result<Type, Refusal> {
    match (node.name, node.args.as_slice()) {
        ("Nullable", [Arg::Type(inner)]) => {
            let inner = build(inner)?;
            if inner.low_cardinality {
                return bad("write LowCardinality(Nullable(T)), not Nullable(LowCardinality(T))");
            }
            if inner.nullable {
                return bad("Nullable(Nullable(T)) is not a type");
            }
            Ok(Type { nullable: true, ..inner })
        }
        ("LowCardinality", [Arg::Type(inner)]) => {
            let inner = build(inner)?;
            if inner.low_cardinality {
                return bad("LowCardinality(LowCardinality(T)) is not a type");
            }
            if matches!(
                inner.scalar,
                Scalar::Decimal(..) | Scalar::DateTime64(..) | Scalar::Enum8(_) | Scalar::Enum16(_)
            ) {
                return bad(format!("LowCardinality cannot hold {}", inner.scalar));
            }
            Ok(Type { low_cardinality: true, ..inner })
        }
        ("Nullable" | "LowCardinality", _) => bad(format!("{} takes one type", node.name)),
        _ => Ok(Type { scalar: scalar(node)?, nullable: false, low_cardinality: false }),
    }
}

fn scalar(node: &Node<'_>) -> Result<Scalar, Refusal> {
    if let Some(plain) = plain(node.name) {
        return if node.has_parens { bad(format!("{} takes no arguments", node.name)) } else { Ok(plain) };
    }
    match (node.name, node.args.as_slice()) {
        ("DateTime", []) => Ok(Scalar::DateTime(None)),
        ("DateTime", [Arg::Text(zone)]) => Ok(Scalar::DateTime(Some(known_zone(zone)?))),
        ("DateTime", _) => bad("DateTime takes at most a time zone in quotes"),
        ("DateTime64", [Arg::Number(p @ 0..=9)]) => Ok(Scalar::DateTime64(*p as u8, None)),
        ("DateTime64", [Arg::Number(p @ 0..=9), Arg::Text(zone)]) => {
            Ok(Scalar::DateTime64(*p as u8, Some(known_zone(zone)?)))
        }
        ("DateTime64", _) => bad("DateTime64 takes 0 to 9 fraction digits and maybe a time zone in quotes"),
        ("FixedString", [Arg::Number(n @ 1..=65_536)]) => Ok(Scalar::FixedString(*n as u32)),
        ("FixedString", _) => bad("FixedString takes a length of 1 to 65536 bytes"),
        ("Decimal", args) => decimal(args, 76),
        ("Decimal32", [Arg::Number(s)]) => decimal(&[Arg::Number(9), Arg::Number(*s)], 9),
        ("Decimal64", [Arg::Number(s)]) => decimal(&[Arg::Number(18), Arg::Number(*s)], 18),
        ("Decimal128", [Arg::Number(s)]) => decimal(&[Arg::Number(38), Arg::Number(*s)], 38),
        ("Decimal256", [Arg::Number(s)]) => decimal(&[Arg::Number(76), Arg::Number(*s)], 76),
        ("Decimal32" | "Decimal64" | "Decimal128" | "Decimal256", _) => {
            bad(format!("{} takes a scale", node.name))
        }
        ("Enum8", args) => names(args, i64::from(i8::MIN)..=i64::from(i8::MAX)).map(Scalar::Enum8),
        ("Enum16", args) => names(args, i64::from(i16::MIN)..=i64::from(i16::MAX)).map(Scalar::Enum16),
        ("Enum", args) => match names(args, i64::from(i8::MIN)..=i64::from(i8::MAX)) {
            Ok(names) => Ok(Scalar::Enum8(names)),
            Err(_) => names(args, i64::from(i16::MIN)..=i64::from(i16::MAX)).map(Scalar::Enum16),
        },
        _ => Err(Refusal::Unsupported),
    }
}

/// The names that [`scalar`] and [`build`] know beside the [`plain`] ones.
const WITH_ARGUMENTS: [&str; 13] = [
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

fn plain(name: &str) -> Option<Scalar> {
    let bits = |prefix: &str| {
        let bits = name.strip_prefix(prefix)?.parse().ok()?;
        [8, 16, 32, 64, 128, 256].contains(&bits).then_some(bits)
    };
    Some(match name {
        "String" => Scalar::String,
        "Bool" => Scalar::Bool,
        "Float32" => Scalar::Float32,
        "Float64" => Scalar::Float64,
        "Date" => Scalar::Date,
        "Date32" => Scalar::Date32,
        "UUID" => Scalar::Uuid,
        "IPv4" => Scalar::Ipv4,
        "IPv6" => Scalar::Ipv6,
        _ => return bits("Int").map(Scalar::Int).or_else(|| bits("UInt").map(Scalar::UInt)),
    })
}

fn known_zone(zone: &str) -> Result<String, Refusal> {
    match crate::coerce::zone(zone) {
        Some(_) => Ok(zone.to_owned()),
        None => bad(format!(
            "time zone '{}' is not known; write an IANA name such as 'Europe/Berlin'",
            clip(zone)
        )),
    }
}

fn decimal(args: &[Arg<'_>], max: i64) -> Result<Scalar, Refusal> {
    let (p, s) = match args {
        [Arg::Number(p)] => (*p, 0),
        [Arg::Number(p), Arg::Number(s)] => (*p, *s),
        _ => return bad("Decimal takes a precision and a scale, such as Decimal(18, 4)"),
    };
    if !(1..=max).contains(&p) || !(0..=p).contains(&s) {
        return bad(format!("precision must be 1 to {max} and scale 0 to the precision"));
    }
    Ok(Scalar::Decimal(p as u8, s as u8))
}

/// Names of an enum with their values; a name without one follows the name before it, the first is 1.
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
