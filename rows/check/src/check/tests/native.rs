//! A reader for the parts of the `Native` format that the engine writes.

use jiff::{Timestamp, civil};
use rows_types::{Base, Scalar, Type};

pub(crate) struct Row {
    pub number: u64,
    pub job: String,
    pub values: Vec<String>,
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, n: usize) -> &'a [u8] {
        let (front, rest) = self.0.split_at(n);
        self.0 = rest;
        front
    }
    fn length(&mut self) -> usize {
        let mut n = 0;
        for shift in (0..).step_by(7) {
            let byte = self.take(1)[0];
            n |= usize::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                break;
            }
        }
        n
    }
    fn text(&mut self) -> &'a [u8] {
        let n = self.length();
        self.take(n)
    }
    fn uint(&mut self, bytes: usize) -> u128 {
        self.take(bytes).iter().rev().fold(0, |n, b| (n << 8) | u128::from(*b))
    }
    fn int(&mut self, bytes: usize) -> i128 {
        let shift = 128 - 8 * bytes as u32;
        ((self.uint(bytes) << shift) as i128) >> shift
    }
}

/// The rows of a block; none if the block is empty.
pub(crate) fn rows(block: &[u8]) -> Vec<Row> {
    if block.is_empty() {
        return Vec::new();
    }
    let mut reader = Reader(block);
    let (columns, rows) = (reader.length(), reader.length());
    let mut all = Vec::new();
    for _ in 0..columns {
        let _name = reader.text();
        let ty = Type::parse(std::str::from_utf8(reader.text()).unwrap()).unwrap();
        all.push(column(&mut reader, &ty, rows));
    }
    assert!(reader.0.is_empty(), "bytes are left over");
    let (numbers, jobs) = (all.pop().unwrap(), all.pop().unwrap());
    let row = |i: usize| Row {
        number: numbers[i].parse().unwrap(),
        job: jobs[i].clone(),
        values: all.iter().map(|c| c[i].clone()).collect(),
    };
    (0..rows).map(row).collect()
}

fn column(reader: &mut Reader<'_>, ty: &Type, rows: usize) -> Vec<String> {
    versions(reader, ty);
    data(reader, ty, rows)
}

fn versions(reader: &mut Reader<'_>, ty: &Type) {
    match &ty.base {
        _ if ty.low_cardinality => assert_eq!(reader.uint(8), 1),
        Base::Scalar(Scalar::Json) => assert_eq!(reader.uint(8), 1),
        Base::Array(element) => versions(reader, element),
        Base::Tuple(elements) => elements.iter().for_each(|(_, ty)| versions(reader, ty)),
        Base::Map(key, value) => {
            versions(reader, key);
            versions(reader, value);
        }
        Base::Scalar(_) => {}
    }
}

fn data(reader: &mut Reader<'_>, ty: &Type, rows: usize) -> Vec<String> {
    if ty.low_cardinality && rows == 0 {
        return Vec::new();
    }
    if ty.low_cardinality {
        let kind = reader.uint(8);
        assert_eq!(kind & !3, 0x600);
        let keys = reader.uint(8);
        let mut keys: Vec<String> = (0..keys).map(|_| value(reader, ty.scalar().unwrap())).collect();
        if ty.nullable {
            keys[0] = "NULL".to_owned();
        }
        assert_eq!(reader.uint(8), rows as u128);
        return (0..rows).map(|_| keys[reader.uint(1 << (kind & 3)) as usize].clone()).collect();
    }
    let nulls: Vec<u8> = if ty.nullable { reader.take(rows).to_vec() } else { vec![0; rows] };
    let values = parts(reader, &ty.base, rows);
    nulls.into_iter().zip(values).map(|(null, v)| if null == 0 { v } else { "NULL".to_owned() }).collect()
}

fn parts(reader: &mut Reader<'_>, base: &Base, rows: usize) -> Vec<String> {
    let counts = |reader: &mut Reader<'_>| {
        let totals: Vec<usize> = (0..rows).map(|_| reader.uint(8) as usize).collect();
        std::iter::once(0).chain(totals).collect::<Vec<_>>()
    };
    match base {
        Base::Array(element) => {
            let totals = counts(reader);
            let all = data(reader, element, totals[rows]);
            totals.windows(2).map(|w| format!("[{}]", all[w[0]..w[1]].join(", "))).collect()
        }
        Base::Map(key, value) => {
            let totals = counts(reader);
            let keys = data(reader, key, totals[rows]);
            let values = data(reader, value, totals[rows]);
            let entries: Vec<String> = keys.iter().zip(values).map(|(k, v)| format!("{k}: {v}")).collect();
            totals.windows(2).map(|w| format!("{{{}}}", entries[w[0]..w[1]].join(", "))).collect()
        }
        Base::Tuple(elements) => {
            let all: Vec<Vec<String>> = elements.iter().map(|(_, ty)| data(reader, ty, rows)).collect();
            (0..rows)
                .map(|i| format!("({})", all.iter().map(|c| c[i].as_str()).collect::<Vec<_>>().join(", ")))
                .collect()
        }
        Base::Scalar(scalar) => (0..rows).map(|_| value(reader, scalar)).collect(),
    }
}

fn value(r: &mut Reader<'_>, ty: &Scalar) -> String {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap().escape_debug().to_string();
    let moment = |nanos: i128| Timestamp::from_nanosecond(nanos).unwrap().to_string();
    match ty {
        Scalar::String | Scalar::Json => text(r.text()),
        Scalar::FixedString(n) => text(r.take(*n as usize)),
        Scalar::Bool => ["false", "true"][r.uint(1) as usize].to_owned(),
        Scalar::Int256 | Scalar::UInt256 | Scalar::Decimal(39.., _) => {
            let (low, high) = (r.uint(16), r.uint(16));
            format!("{high:032x}{low:032x}")
        }
        Scalar::Int8 | Scalar::Int16 | Scalar::Int32 | Scalar::Int64 | Scalar::Int128 => {
            r.int(ty.width().unwrap()).to_string()
        }
        Scalar::UInt8 | Scalar::UInt16 | Scalar::UInt32 | Scalar::UInt64 | Scalar::UInt128 => {
            r.uint(ty.width().unwrap()).to_string()
        }
        Scalar::Float32 => format!("{:?}", f32::from_bits(r.uint(4) as u32)),
        Scalar::BFloat16 => format!("{:?}", f32::from_bits((r.uint(2) as u32) << 16)),
        Scalar::Float64 => format!("{:?}", f64::from_bits(r.uint(8) as u64)),
        Scalar::Decimal(..) => r.int(ty.width().unwrap()).to_string(),
        Scalar::Time => r.int(4).to_string(),
        Scalar::Time64(_) => r.int(8).to_string(),
        Scalar::Date => day(r.uint(2) as i64),
        Scalar::Date32 => day(r.int(4) as i64),
        Scalar::DateTime(_) => moment(r.uint(4) as i128 * 1_000_000_000),
        Scalar::DateTime64(p, _) => moment(r.int(8) * 10i128.pow(9 - u32::from(*p))),
        Scalar::Uuid => {
            let n = (r.uint(8) << 64) | r.uint(8);
            let hex = format!("{n:032x}");
            format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
        }
        Scalar::Ipv4 => std::net::Ipv4Addr::from(r.uint(4) as u32).to_string(),
        Scalar::Ipv6 => std::net::Ipv6Addr::from(<[u8; 16]>::try_from(r.take(16)).unwrap()).to_string(),
        Scalar::Enum8(names) | Scalar::Enum16(names) => {
            let n = r.int(ty.width().unwrap());
            names.iter().find(|e| i128::from(e.1) == n).unwrap().0.clone()
        }
    }
}

fn day(days: i64) -> String {
    let epoch = civil::date(1970, 1, 1);
    epoch.checked_add(jiff::Span::new().days(days)).unwrap().to_string()
}
