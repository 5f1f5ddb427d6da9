//! The statistics of a column, in bounded memory.

use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher};

use rows_bytes::text::is_json_number;
use rows_check::Columns;
use rows_types::{Column, SCALARS, Schema, Type};

use super::nested::Elements;
use super::numbers::Numbers;

/// Words that mean "no value" in many files.
pub(crate) const NULL_WORDS: [&str; 8] = ["\\N", "NULL", "null", "NA", "N/A", "NaN", "nan", "None"];
/// The maximum number of different values that are counted. A column with more has "many" values. It counts as unique
/// if the counted values were unique.
const MAX_DISTINCT: usize = 10_000;

const DAYS: [&str; 14] = [
    "%d.%m.%Y",
    "%d/%m/%Y",
    "%m/%d/%Y",
    "%d-%m-%Y",
    "%m-%d-%Y",
    "%Y/%m/%d",
    "%d %b %Y",
    "%d-%b-%Y",
    "%b %d, %Y",
    "%-d.%-m.%Y",
    "%-d/%-m/%Y",
    "%-m/%-d/%Y",
    "%-d %b %Y",
    "%b %-d, %Y",
];
const MOMENTS: [&str; 20] = [
    "%Y-%m-%d %H:%M",
    "%Y-%m-%dT%H:%M",
    "%d.%m.%Y %H:%M:%S",
    "%d.%m.%Y %H:%M",
    "%d/%m/%Y %H:%M:%S",
    "%d/%m/%Y %H:%M",
    "%m/%d/%Y %H:%M:%S",
    "%m/%d/%Y %H:%M",
    "%d-%m-%Y %H:%M:%S",
    "%d-%m-%Y %H:%M",
    "%m-%d-%Y %H:%M:%S",
    "%m-%d-%Y %H:%M",
    "%Y/%m/%d %H:%M:%S",
    "%Y/%m/%d %H:%M",
    "%Y-%m-%d %H:%M:%S%.f%z",
    "%Y-%m-%dT%H:%M:%S%.f%z",
    "%-d.%-m.%Y %-H:%M",
    "%-d/%-m/%Y %-H:%M",
    "%-m/%-d/%Y %-H:%M",
    "%-m/%-d/%Y %-I:%M:%S %p",
];

/// The types that a text is tried as, the most specific first; at most 128.
pub(crate) struct Candidates(Vec<Candidate>);

pub(crate) struct Candidate {
    pub ty: &'static str,
    pub format: Option<&'static str>,
    column: Columns,
}

impl Candidate {
    fn takes(&self, text: &[u8]) -> bool {
        self.column.takes(0, text)
    }
}

impl Candidates {
    pub(crate) fn new() -> Self {
        let iso = SCALARS.iter().flat_map(|info| info.inferred).map(|ty| (*ty, None));
        let days = DAYS.iter().flat_map(|day| [("Date", Some(*day)), ("Date32", Some(*day))]);
        let moments = MOMENTS.iter().flat_map(|m| [("DateTime", Some(*m)), ("DateTime64(3)", Some(*m))]);
        let candidate = |(ty, format): (&'static str, Option<&'static str>)| {
            let column =
                Column { format: format.map(str::to_owned), ..Column::new("", Type::parse(ty).ok()?) };
            let column = Columns::compile(Schema::new(vec![column], None).ok()?).ok()?;
            Some(Candidate { ty, format, column })
        };
        Self(iso.chain(days).chain(moments).filter_map(candidate).take(128).collect())
    }

    /// Whether a text is a value of one of these types. A number is one only if `DateTime` reads it as seconds since
    /// 1970.
    pub(crate) fn any(&self, text: &[u8]) -> bool {
        self.0.iter().any(|c| c.takes(text))
    }
}

/// The statistics of a column.
#[allow(clippy::struct_excessive_bools, reason = "each is a thing that was seen or was not")]
pub(crate) struct Stats {
    /// The number of values that are neither NULL nor empty.
    pub values: u64,
    /// The number of cells of every kind.
    pub cells: u64,
    /// Whether JSON null or one of the input's null values occurs.
    pub nulls: bool,
    /// Whether an empty text without quotes occurs.
    pub empty: bool,
    /// Whether an empty text in quotes occurs.
    pub empty_text: bool,
    /// Which of [`NULL_WORDS`] occur, one bit for each.
    pub null_words: u8,
    /// Whether JSON strings occur.
    pub strings: bool,
    /// Whether JSON numbers or booleans occur.
    pub words: bool,
    pub bools: bool,
    pub leading_zeros: bool,
    pub numbers: Numbers,
    pub elements: Option<Elements>,
    /// Which candidates accept every text so far, one bit for each.
    alive: u128,
    distinct: HashSet<u64>,
    many: bool,
    pub unique: bool,
}

impl Stats {
    pub(crate) fn new(candidates: &Candidates) -> Self {
        Self {
            values: 0,
            cells: 0,
            nulls: false,
            empty: false,
            empty_text: false,
            null_words: 0,
            strings: false,
            words: false,
            bools: true,
            leading_zeros: false,
            numbers: Numbers::default(),
            elements: None,
            alive: u128::MAX >> (128 - candidates.0.len().max(1)),
            distinct: HashSet::new(),
            many: false,
            unique: true,
        }
    }

    /// Adds a cell that means NULL.
    pub(crate) fn null(&mut self) {
        self.cells += 1;
        self.nulls = true;
    }

    /// Adds the text of a cell. `null`: the text means NULL.
    pub(crate) fn text(&mut self, text: &[u8], quoted: bool, null: bool, candidates: &Candidates) {
        if null {
            return self.null();
        }
        if text.is_empty() {
            self.cells += 1;
            self.empty_text |= quoted;
            self.empty |= !quoted;
            return;
        }
        let word = if quoted { None } else { NULL_WORDS.iter().position(|w| w.as_bytes() == text) };
        match word {
            Some(word) => {
                self.count(text);
                self.null_words |= 1 << word;
            }
            None => self.value(text, candidates),
        }
    }

    /// Adds a JSON number or boolean.
    pub(crate) fn word(&mut self, text: &[u8], candidates: &Candidates) {
        self.words = true;
        self.value(text, candidates);
    }

    /// Adds a JSON array or object.
    pub(crate) fn nested(&mut self, text: &[u8]) {
        self.count(text);
        self.values += 1;
        let elements = self.elements.get_or_insert_default();
        // serde_json refuses some values, such as a number larger than any float; the engine checks them in `refine_on_sample`.
        if let Ok(value) = serde_json::from_slice(text) {
            elements.add(&value);
        }
    }

    fn value(&mut self, text: &[u8], candidates: &Candidates) {
        self.count(text);
        self.values += 1;
        self.bools &= matches!(text, b"true" | b"false");
        self.leading_zeros |= text.len() > 1 && text[0] == b'0' && text.iter().all(u8::is_ascii_digit);
        match std::str::from_utf8(text) {
            Ok(text) => self.numbers.add(text),
            Err(_) => self.numbers.broken = true,
        }
        // The engine also reads some numbers as moments. But a file writes all its moments in the same form, so a
        // number rules out every candidate.
        if is_json_number(text) {
            self.alive = 0;
        }
        let mut left = self.alive;
        while left != 0 {
            let at = left.trailing_zeros();
            left &= left - 1;
            let takes = candidates.0.get(at as usize).is_some_and(|c| c.takes(text));
            self.alive &= !(u128::from(!takes) << at);
        }
    }

    fn count(&mut self, text: &[u8]) {
        self.cells += 1;
        if self.many {
            return;
        }
        let mut hasher = DefaultHasher::new();
        text.hash(&mut hasher);
        self.unique &= self.distinct.insert(hasher.finish());
        self.many = self.distinct.len() > MAX_DISTINCT;
        if self.many {
            self.distinct = HashSet::new();
        }
    }

    /// The number of different values. `None`: more than are counted.
    pub(crate) fn distinct(&self) -> Option<usize> {
        (!self.many).then_some(self.distinct.len())
    }

    /// The most specific type that accepts all texts.
    pub(crate) fn candidate<'a>(&self, candidates: &'a Candidates) -> Option<&'a Candidate> {
        candidates.0.get(self.alive.trailing_zeros() as usize)
    }

    /// Whether a type with a format accepts all texts.
    pub(crate) fn takes(&self, candidates: &Candidates, ty: &str, format: &str) -> bool {
        let alive = |at: usize| self.alive >> at & 1 == 1;
        let mut all = candidates.0.iter().enumerate();
        all.any(|(at, c)| alive(at) && c.ty == ty && c.format == Some(format))
    }
}
