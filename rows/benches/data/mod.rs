//! Files for the benches: made from a seed, the same on every machine.
#![allow(
    missing_docs,
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    reason = "test data: small numbers, names that say all"
)]

use std::fmt::Write as _;

/// A small generator of numbers (splitmix64).
pub struct Numbers(pub u64);

impl Numbers {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub fn below(&mut self, n: u64) -> u64 {
        self.next() % n
    }
}

pub const NARROW: &[(&str, &str)] = &[("event_id", "String"), ("timestamp", "UInt32"), ("amount", "Float64")];

pub const WIDE: &[(&str, &str)] = &[
    ("id", "UInt64"),
    ("event_uuid", "UUID"),
    ("ts", "DateTime('UTC')"),
    ("ts64", "DateTime64(3, 'UTC')"),
    ("d", "Date"),
    ("amount", "Decimal(18, 4)"),
    ("price", "Float64"),
    ("score", "Float32"),
    ("qty", "Int32"),
    ("delta", "Nullable(Int64)"),
    ("flag", "Bool"),
    ("country", "LowCardinality(String)"),
    ("status", "Enum8('new' = 1, 'paid' = 2, 'shipped' = 3, 'done' = 4, 'failed' = 5)"),
    ("ip", "IPv4"),
    ("ip6", "IPv6"),
    ("city", "LowCardinality(String)"),
    ("name", "String"),
    ("note", "Nullable(String)"),
    ("code", "FixedString(6)"),
    ("level", "UInt8"),
];

fn cell(column: &str, n: &mut Numbers) -> String {
    let moment = |n: &mut Numbers| {
        let (y, mo, d) = (2020 + n.below(7), 1 + n.below(12), 1 + n.below(28));
        format!("{y}-{mo:02}-{d:02} {:02}:{:02}:{:02}", n.below(24), n.below(60), n.below(60))
    };
    match column {
        "event_id" => n.below(10_000_000).to_string(),
        "timestamp" => (1_700_000_000 + n.below(50_000_000)).to_string(),
        "amount" => format!("{}.{:02}", n.below(1000), n.below(100)),
        "id" => n.below(10_000_000_000).to_string(),
        "event_uuid" => {
            let h = format!("{:016x}{:016x}", n.next(), n.next());
            format!("{}-{}-{}-{}-{}", &h[..8], &h[8..12], &h[12..16], &h[16..20], &h[20..])
        }
        "ts" => moment(n),
        "ts64" => format!("{}.{:03}", moment(n), n.below(1000)),
        "d" => moment(n)[..10].to_owned(),
        "price" => format!("{}.{:04}", n.below(100_000), n.below(10_000)),
        "score" => format!("0.{:05}", n.below(100_000)),
        "qty" => (n.below(20_000) as i64 - 10_000).to_string(),
        "delta" if n.below(4) == 0 => String::new(),
        "delta" => (n.below(2_000_000_000) as i64 - 1_000_000_000).to_string(),
        "flag" => ["true", "false"][n.below(2) as usize].to_owned(),
        "country" => ["de", "fr", "us", "gb", "jp", "br", "in", "za"][n.below(8) as usize].to_owned(),
        "status" => ["new", "paid", "shipped", "done", "failed"][n.below(5) as usize].to_owned(),
        "ip" => std::net::Ipv4Addr::from(n.next() as u32).to_string(),
        "ip6" => std::net::Ipv6Addr::from((u128::from(n.next()) << 64) | u128::from(n.next())).to_string(),
        "city" => format!("city {}", n.below(200)),
        "name" => format!("customer {}", n.below(1_000_000)),
        "note" if n.below(3) == 0 => String::new(),
        "note" => format!("\"a note, \"\"{}\"\"\nwith a second line\"", n.below(1000)),
        "code" => format!("{:06}", n.below(1_000_000)),
        _ => n.below(256).to_string(),
    }
}

/// CSV records without a header; of each `bad` typed cells in 1000 one is no value of its type.
pub fn csv(columns: &[(&str, &str)], rows: usize, bad: u64) -> Vec<u8> {
    let mut numbers = Numbers(7);
    let mut out = Vec::new();
    for _ in 0..rows {
        for (i, (name, ty)) in columns.iter().enumerate() {
            let spoiled = numbers.below(1000) < bad && !ty.contains("String");
            let cell = if spoiled { "n/a".to_owned() } else { cell(name, &mut numbers) };
            out.extend_from_slice(cell.as_bytes());
            out.push(if i + 1 == columns.len() { b'\n' } else { b',' });
        }
    }
    out
}

/// JSON lines of the same values.
pub fn json(columns: &[(&str, &str)], rows: usize) -> Vec<u8> {
    let mut numbers = Numbers(7);
    let mut out = String::new();
    for _ in 0..rows {
        for (i, (name, ty)) in columns.iter().enumerate() {
            let cell = cell(name, &mut numbers);
            let number = ["Int", "Float", "Decimal"].iter().any(|t| ty.contains(t));
            let value = match cell.as_str() {
                "" => "null".to_owned(),
                cell if number => cell.to_owned(),
                cell => format!("\"{}\"", cell.replace('"', "").replace('\n', "\\n")),
            };
            out.push_str(if i == 0 { "{" } else { "," });
            let _ = write!(out, "\"{name}\":{value}");
        }
        out.push_str("}\n");
    }
    out.into_bytes()
}
