//! What was seen of a column, in bounded memory.

use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher};

use super::nested::Elements;
use super::numbers::Numbers;
use crate::coerce::text::is_json_number;
use crate::column::Compiled;
use crate::schema::Column;
use crate::types::Type;

/// Words that stand for "no value" in many files.
pub(crate) const NULL_WORDS: [&str; 8] = ["\\N", "NULL", "null", "NA", "N/A", "NaN", "nan", "None"];
/// Different values that are told apart. Beyond, a column counts as having many, and as unique if it was so far.
const MAX_DISTINCT: usize = 10_000;

const DAYS: [&str; 9] = [
    "%d.%m.%Y",
    "%d/%m/%Y",
    "%m/%d/%Y",
    "%d-%m-%Y",
    "%m-%d-%Y",
    "%Y/%m/%d",
    "%d %b %Y",
    "%d-%b-%Y",
    "%b %d, %Y",
];
const MOMENTS: [&str; 14] = [
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
];

/// The types that a text can turn out to be, the most telling first; at most 64.
pub(crate) struct Candidates(Vec<Candidate>);

pub(crate) struct Candidate {
    pub ty: &'static str,
    pub format: Option<&'static str>,
    reader: Compiled,
}

impl Candidates {
    pub(crate) fn new() -> Self {
        let iso = [
            "UUID",
            "IPv4",
            "IPv6",
            "Date",
            "Date32",
            "DateTime",
            "DateTime64(3)",
            "DateTime64(6)",
            "DateTime64(9)",
        ];
        let iso = iso.into_iter().map(|ty| (ty, None));
        let days = DAYS.iter().flat_map(|day| [("Date", Some(*day)), ("Date32", Some(*day))]);
        let moments = MOMENTS.iter().flat_map(|m| [("DateTime", Some(*m)), ("DateTime64(3)", Some(*m))]);
        let candidate = |(ty, format): (&'static str, Option<&'static str>)| {
            let column =
                Column { format: format.map(str::to_owned), ..Column::new("", Type::parse(ty).ok()?) };
            Some(Candidate { ty, format, reader: Compiled::new(&column).ok()? })
        };
        Self(iso.chain(days).chain(moments).filter_map(candidate).take(64).collect())
    }

    /// Whether a text is one of these types; numbers are none, though they could be moments.
    pub(crate) fn any(&self, text: &[u8]) -> bool {
        self.0.iter().any(|c| c.reader.reader.takes(text))
    }
}

/// What was seen of a column.
#[allow(clippy::struct_excessive_bools, reason = "each is a thing that was seen or was not")]
pub(crate) struct Stats {
    /// Values, neither NULL nor empty.
    pub values: u64,
    /// Cells, of every kind.
    pub cells: u64,
    /// JSON null, and texts that the input says mean NULL.
    pub nulls: bool,
    /// Empty text without quotes, and between them.
    pub empty: bool,
    pub empty_text: bool,
    /// Which of [`NULL_WORDS`].
    pub null_words: u8,
    /// JSON strings, and JSON numbers or booleans.
    pub strings: bool,
    pub words: bool,
    pub bools: bool,
    pub leading_zeros: bool,
    pub numbers: Numbers,
    pub elements: Option<Elements>,
    /// Which candidates take every text so far.
    alive: u64,
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
            alive: u64::MAX >> (64 - candidates.0.len().max(1)),
            distinct: HashSet::new(),
            many: false,
            unique: true,
        }
    }

    /// A cell that means NULL.
    pub(crate) fn null(&mut self) {
        self.cells += 1;
        self.nulls = true;
    }

    /// The text of a cell; `null`: it is one that stands for NULL.
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

    /// A JSON number or boolean.
    pub(crate) fn word(&mut self, text: &[u8], candidates: &Candidates) {
        self.words = true;
        self.value(text, candidates);
    }

    /// A JSON array or object.
    pub(crate) fn nested(&mut self, text: &[u8]) {
        self.count(text);
        self.values += 1;
        let elements = self.elements.get_or_insert_default();
        // What serde_json refuses, such as a number beyond all floats, the engine is asked about at the end.
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
        // The engine reads digits as a moment too; whoever writes moments writes all of them in one way.
        if is_json_number(text) {
            self.alive = 0;
        }
        let mut left = self.alive;
        while left != 0 {
            let at = left.trailing_zeros();
            left &= left - 1;
            let takes = candidates.0.get(at as usize).is_some_and(|c| c.reader.reader.takes(text));
            self.alive &= !(u64::from(!takes) << at);
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

    /// Different values; `None`: more than are told apart.
    pub(crate) fn distinct(&self) -> Option<usize> {
        (!self.many).then_some(self.distinct.len())
    }

    /// The most telling type that takes all texts.
    pub(crate) fn candidate<'a>(&self, candidates: &'a Candidates) -> Option<&'a Candidate> {
        candidates.0.get(self.alive.trailing_zeros() as usize)
    }

    /// Whether a type takes all texts.
    pub(crate) fn takes(&self, candidates: &Candidates, ty: &str, format: &str) -> bool {
        let alive = |at: usize| self.alive >> at & 1 == 1;
        let mut all = candidates.0.iter().enumerate();
        all.any(|(at, c)| alive(at) && c.ty == ty && c.format == Some(format))
    }
}
