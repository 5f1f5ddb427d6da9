//! Files to load. They are the same each time: no clock is used, and the only random numbers come from a counter.

use std::io::{self, Write};

/// A splitmix64 generator (<https://prng.di.unimi.it/splitmix64.c>): small, and with the same results everywhere.
#[derive(Clone, Debug)]
pub struct Numbers(u64);

impl Numbers {
    /// Makes a generator from a seed.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// Returns the next number below `below`.
    pub fn below(&mut self, below: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % below.max(1)
    }
}

/// The model of [`narrow_csv`]: the three columns of the quick start.
pub const NARROW_COLUMNS: &str = "
  - {name: event_id, type: String}
  - {name: timestamp, type: UInt32}
  - {name: amount, type: Float64}";

/// Writes `event_id,timestamp,amount`. One typed cell in `bad_every` is bad (0: none). Returns the number of bad rows.
pub fn narrow_csv(out: &mut impl Write, rows: u64, bad_every: u64) -> io::Result<u64> {
    let mut numbers = Numbers::new(1);
    let mut bad_rows = 0;
    out.write_all(b"event_id,timestamp,amount\n")?;
    for row in 0..rows {
        let bad = |n: &mut Numbers| bad_every > 0 && n.below(bad_every) == 0;
        let (time_bad, amount_bad) = (bad(&mut numbers), bad(&mut numbers));
        bad_rows += u64::from(time_bad || amount_bad);
        write!(out, "e{row:07},")?;
        if time_bad {
            write!(out, "{}", pick(&["soon", "4294967296", "-1", "1.5"], numbers.below(4)))?;
        } else {
            write!(out, "{}", 1_716_045_542 + row / 3)?;
        }
        if amount_bad {
            writeln!(out, ",{}", pick(&["twelve", "1.2.3", "1e999", "0x10"], numbers.below(4)))?;
        } else {
            writeln!(out, ",{}.{:02}", numbers.below(1000), numbers.below(100))?;
        }
    }
    Ok(bad_rows)
}

/// The model of [`wide_csv`]: twenty columns of many types.
pub const WIDE_COLUMNS: &str = "
  - {name: id, type: UInt64}
  - {name: event, type: UUID}
  - {name: created, type: DateTime}
  - {name: updated, type: DateTime64(3)}
  - {name: day, type: Date}
  - {name: price, type: 'Decimal(18, 4)'}
  - {name: ratio, type: Float64}
  - {name: score, type: Float32}
  - {name: delta, type: Int32}
  - {name: parent, type: Int64, nullable: true}
  - {name: active, type: Bool}
  - {name: country, type: LowCardinality(String)}
  - {name: status, type: \"Enum8('new' = 1, 'paid' = 2, 'sent' = 3, 'done' = 4, 'void' = 5)\"}
  - {name: a, type: UInt16}
  - {name: b, type: UInt8}
  - {name: c, type: Int8}
  - {name: d, type: Int16}
  - {name: title, type: String}
  - {name: note, type: String, nullable: true}
  - {name: code, type: String}";

/// Writes twenty columns. Some cells are quoted, with commas, quotes and newlines.
pub fn wide_csv(out: &mut impl Write, rows: u64) -> io::Result<()> {
    let countries = ["de", "fr", "pl", "us", "jp", "br", "in", "za"];
    let states = ["new", "paid", "sent", "done", "void"];
    let mut n = Numbers::new(2);
    writeln!(
        out,
        "id,event,created,updated,day,price,ratio,score,delta,parent,active,country,status,a,b,c,d,title,note,code"
    )?;
    for row in 0..rows {
        let (hi, lo) = (n.below(u64::MAX), n.below(u64::MAX));
        let (h, m, s, day) = (n.below(24), n.below(60), n.below(60), 1 + n.below(28));
        write!(
            out,
            "{row},{:08x}-{:04x}-{:04x}-{:04x}-{:012x}",
            hi >> 32,
            hi >> 16 & 0xffff,
            hi & 0xffff,
            lo >> 48,
            lo & 0xffff_ffff_ffff
        )?;
        write!(
            out,
            ",2026-03-{day:02} {h:02}:{m:02}:{s:02},2026-03-{day:02} {h:02}:{m:02}:{s:02}.{:03},2026-03-{day:02}",
            n.below(1000)
        )?;
        write!(
            out,
            ",{}.{:04},0.{},{}.{}",
            n.below(100_000),
            n.below(10_000),
            n.below(1_000_000),
            n.below(100),
            n.below(100)
        )?;
        write!(out, ",-{}", n.below(1_000_000))?;
        if n.below(4) == 0 {
            write!(out, ",")?;
        } else {
            write!(out, ",{}", n.below(1 << 40))?;
        }
        write!(out, ",{},{},{}", n.below(2) == 1, pick(&countries, n.below(8)), pick(&states, n.below(5)))?;
        write!(out, ",{},{},-{},{}", n.below(65_536), n.below(256), n.below(128), n.below(30_000))?;
        write!(out, ",title of the row {}", n.below(1_000_000))?;
        match n.below(3) {
            0 => write!(out, ",")?,
            1 => write!(out, ",\"a note, with \"\"quotes\"\"\nand {} lines\"", n.below(9))?,
            _ => write!(out, ",plain note {}", n.below(1000))?,
        }
        writeln!(out, ",c{:05}", n.below(100_000))?;
    }
    Ok(())
}

fn pick<'a>(list: &[&'a str], n: u64) -> &'a str {
    list[usize::try_from(n).unwrap_or(0) % list.len()]
}
