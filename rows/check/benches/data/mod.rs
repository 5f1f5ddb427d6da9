//! Files for the benches. They are made from a seed, so they are the same on every machine.
#![allow(
    dead_code,
    missing_docs,
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    reason = "test data: small numbers, names that say all; each bench uses a part"
)]

/// A small generator of pseudorandom numbers (splitmix64).
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
    ("tags", "Array(String)"),
    ("name", "String"),
    ("note", "Nullable(String)"),
    ("code", "FixedString(6)"),
    ("level", "UInt8"),
];

/// Each type once, as a column that is never empty.
pub const TYPES: &[(&str, &str)] = &[
    ("name", "String"),
    ("code", "FixedString(6)"),
    ("country", "LowCardinality(String)"),
    ("city", "LowCardinality(String)"),
    ("name", "Nullable(String)"),
    ("tags", "Array(String)"),
    ("flag", "Bool"),
    ("i8", "Int8"),
    ("i16", "Int16"),
    ("qty", "Int32"),
    ("i64", "Int64"),
    ("i64", "Nullable(Int64)"),
    ("i128", "Int128"),
    ("i256", "Int256"),
    ("level", "UInt8"),
    ("u16", "UInt16"),
    ("timestamp", "UInt32"),
    ("id", "UInt64"),
    ("u128", "UInt128"),
    ("u256", "UInt256"),
    ("score", "Float32"),
    ("price", "Float64"),
    ("amount", "Decimal(9, 2)"),
    ("amount", "Decimal(18, 4)"),
    ("i64", "Decimal(38, 10)"),
    ("i128", "Decimal(76, 10)"),
    ("d", "Date"),
    ("d", "Date32"),
    ("ts", "DateTime('UTC')"),
    ("ts", "DateTime('Asia/Tokyo')"),
    ("local", "DateTime('Europe/Berlin')"),
    ("timestamp", "DateTime"),
    ("ts64", "DateTime64(3, 'UTC')"),
    ("event_uuid", "UUID"),
    ("ip", "IPv4"),
    ("ip6", "IPv6"),
    ("status", "Enum8('new' = 1, 'paid' = 2, 'shipped' = 3, 'done' = 4, 'failed' = 5)"),
    ("status", "Enum16('new' = 1, 'paid' = 2, 'shipped' = 300, 'done' = 400, 'failed' = 500)"),
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
        // never a time of the hour that clocks skip in spring
        "local" => moment(n).replace(" 02:", " 12:"),
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
        "tags" => tags(n),
        "name" => format!("customer {}", n.below(1_000_000)),
        "note" if n.below(3) == 0 => String::new(),
        "note" => format!("\"a note, \"\"{}\"\"\nwith a second line\"", n.below(1000)),
        "code" => format!("{:06}", n.below(1_000_000)),
        "i8" => (n.below(256) as i64 - 128).to_string(),
        "i16" => (n.below(65_536) as i64 - 32_768).to_string(),
        "i64" => (n.next() as i64).to_string(),
        "i128" => ((i128::from(n.next() as i64) << 60) | i128::from(n.next() >> 4)).to_string(),
        "i256" => format!("-{}{}{}", n.next(), n.next(), n.next()),
        "u16" => n.below(65_536).to_string(),
        "u128" => ((u128::from(n.next()) << 64) | u128::from(n.next())).to_string(),
        "u256" => format!("{}{}{}", 1 + n.below(1 << 60), n.next(), n.next()),
        _ => n.below(256).to_string(),
    }
}

/// An array as ClickHouse writes it, in quotes if it has a comma.
fn tags(n: &mut Numbers) -> String {
    const WORDS: [&str; 8] = ["new", "b2b", "mobile", "gift", "express", "eu", "returned", "vip"];
    let texts: Vec<_> = (0..n.below(5)).map(|_| format!("'{}'", WORDS[n.below(8) as usize])).collect();
    let quote = if texts.len() > 1 { "\"" } else { "" };
    format!("{quote}[{}]{quote}", texts.join(","))
}

/// CSV records without a header. Of 1000 typed cells, `bad` are no value of their type.
pub fn csv(columns: &[(&str, &str)], rows: usize, bad: u64) -> Vec<u8> {
    let mut numbers = Numbers(7);
    let mut out = Vec::new();
    for _ in 0..rows {
        csv_record(&mut out, &mut numbers, columns, bad);
    }
    out
}

pub fn csv_record(out: &mut Vec<u8>, numbers: &mut Numbers, columns: &[(&str, &str)], bad: u64) {
    for (i, (name, ty)) in columns.iter().enumerate() {
        let cell = if spoiled(numbers, ty, bad) { "n/a".to_owned() } else { cell(name, numbers) };
        out.extend_from_slice(cell.as_bytes());
        out.push(if i + 1 == columns.len() { b'\n' } else { b',' });
    }
}

/// JSON lines of the same values.
pub fn json(columns: &[(&str, &str)], rows: usize, bad: u64) -> Vec<u8> {
    let mut numbers = Numbers(7);
    let mut out = Vec::new();
    for _ in 0..rows {
        json_record(&mut out, &mut numbers, columns, bad);
    }
    out
}

pub fn json_record(out: &mut Vec<u8>, numbers: &mut Numbers, columns: &[(&str, &str)], bad: u64) {
    for (i, (name, ty)) in columns.iter().enumerate() {
        out.extend_from_slice(if i == 0 { b"{" } else { b"," });
        out.extend_from_slice(format!("\"{name}\":").as_bytes());
        if spoiled(numbers, ty, bad) {
            out.extend_from_slice(b"\"n/a\"");
            continue;
        }
        let cell = cell(name, numbers);
        let bare = *ty == "Bool" || ["Int", "Float", "Decimal"].iter().any(|t| ty.contains(t));
        let value = match cell.as_str() {
            "" => "null".to_owned(),
            cell if bare => cell.to_owned(),
            cell if ty.starts_with("Array") => cell.replace('"', "").replace('\'', "\""),
            cell => format!("\"{}\"", cell.replace('"', "").replace('\n', "\\n")),
        };
        out.extend_from_slice(value.as_bytes());
    }
    out.extend_from_slice(b"}\n");
}

/// Whether to write a bad cell. Any text is a value of a text column; of the other cells, arrays included, `bad` of
/// 1000 are bad.
fn spoiled(numbers: &mut Numbers, ty: &str, bad: u64) -> bool {
    numbers.below(1000) < bad && (!ty.contains("String") || ty.starts_with("Array"))
}
