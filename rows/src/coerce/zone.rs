//! Time zones, from the IANA database that is compiled in.
//!
//! Which offset belongs to a time on a zone's clock is worked out by jiff, once for each zone and not for each cell: the
//! answer changes only where the clock is set, some hundred times in the 400 years of `DateTime64`.

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use jiff::Timestamp;
use jiff::tz::{AmbiguousOffset, Offset, TimeZone, TimeZoneDatabase};

use super::cell_error::CellError;
use super::datetime::{FIRST, LAST};

/// The time zone of an IANA name.
pub(crate) fn zone(name: &str) -> Option<TimeZone> {
    TimeZoneDatabase::bundled().get(name).ok()
}

/// Stands for the offset of times that the clock skipped.
const SKIPPED: i32 = i32::MIN;

/// The times of a zone's clock, in spans of one offset, for the years 1900 to 2299.
#[derive(Debug)]
pub(crate) struct Clock {
    /// The first local second of each span, ascending.
    starts: Vec<i64>,
    /// For each span: seconds east of UTC, or [`SKIPPED`].
    offsets: Vec<i32>,
    /// The spans again, for each 2^[`STRETCH`] seconds since [`FIRST`].
    stretches: Vec<Stretch>,
}

/// The spans of a stretch of time, so that they are found without a search.
#[derive(Clone, Copy, Debug)]
struct Stretch {
    /// When the second and the third span start.
    next: [i64; 2],
    /// Seconds east of UTC; [`SKIPPED`] in all three if there are more spans.
    offsets: [i32; 3],
}

/// A quarter of a year, in which a clock is seldom set twice: that makes two spans, one of them skipped, or one.
const STRETCH: u32 = 23;

/// At most one for each zone of the database, of some 60 KiB: columns and jobs share them.
static CLOCKS: LazyLock<Mutex<BTreeMap<String, Arc<Clock>>>> = LazyLock::new(Mutex::default);

impl Clock {
    /// The clock of an IANA zone; `None` for one that always shows UTC, which needs none, and for unknown names.
    pub(crate) fn of(name: &str) -> Option<Arc<Self>> {
        let zone = zone(name)?;
        // the database's spelling, for names are found in any case
        let name = zone.iana_name().unwrap_or(name);
        let mut clocks = CLOCKS.lock().unwrap_or_else(PoisonError::into_inner);
        let clock = clocks.entry(name.to_owned()).or_insert_with(|| Arc::new(Self::new(&zone)));
        (clock.offsets != [0]).then(|| Arc::clone(clock))
    }

    fn new(zone: &TimeZone) -> Self {
        // a day more on both sides, for local times are not UTC
        let first = Timestamp::from_second(FIRST - 86_400).unwrap_or(Timestamp::MIN);
        let mut offset = zone.to_offset(first).seconds();
        let mut starts = vec![FIRST];
        for set in zone.following(first) {
            let at = set.timestamp().as_second();
            if at > LAST + 86_400 {
                break;
            }
            // what the clock shows before and after it is set
            starts.push(at + i64::from(offset));
            offset = set.offset().seconds();
            starts.push(at + i64::from(offset));
        }
        starts.retain(|start| (FIRST..=LAST).contains(start));
        starts.sort_unstable();
        let mut clock = Self { starts: Vec::new(), offsets: Vec::new(), stretches: Vec::new() };
        for start in starts {
            let offset = offset_at(zone, start).unwrap_or(SKIPPED);
            if clock.offsets.last() != Some(&offset) {
                clock.starts.push(start);
                clock.offsets.push(offset);
            }
        }
        clock.stretches = (FIRST..=LAST).step_by(1 << STRETCH).map(|first| clock.stretch(first)).collect();
        clock
    }

    fn stretch(&self, first: i64) -> Stretch {
        let at = self.span(first).unwrap_or(0);
        let [a, b, c] = [1, 2, 3].map(|n| self.starts.get(at + n).copied().unwrap_or(i64::MAX));
        let offsets = [0, 1, 2].map(|n| self.offsets.get(at + n).copied().unwrap_or(SKIPPED));
        let crowded = c < first + (1 << STRETCH);
        Stretch { next: [a, b], offsets: if crowded { [SKIPPED; 3] } else { offsets } }
    }

    /// Which span the time is in.
    fn span(&self, local: i64) -> Option<usize> {
        self.starts.partition_point(|start| *start <= local).checked_sub(1)
    }

    /// Seconds since 1970 UTC of what the clock showed, in seconds since 1970 as if it showed UTC.
    #[inline(always)]
    pub(crate) fn to_utc(&self, local: i64) -> Result<i64, CellError> {
        let at = local.wrapping_sub(FIRST) >> STRETCH;
        match self.stretches.get(at as usize) {
            Some(Stretch { next: [a, b], offsets: [first, second, third] }) => {
                // no branches, for nobody can tell which of them is next
                let offset = if *a <= local { *second } else { *first };
                let offset = if *b <= local { *third } else { offset };
                if offset == SKIPPED { self.search(local) } else { Ok(local - i64::from(offset)) }
            }
            None => self.search(local),
        }
    }

    #[cold]
    fn search(&self, local: i64) -> Result<i64, CellError> {
        match self.span(local).and_then(|at| self.offsets.get(at)) {
            Some(&SKIPPED) => Err(CellError::Gap),
            Some(offset) => Ok(local - i64::from(*offset)),
            None => Err(CellError::OutOfRange),
        }
    }
}

/// The offset at a time on the zone's clock, the first one of a time that it showed twice; `None` if it skipped it.
fn offset_at(zone: &TimeZone, local: i64) -> Option<i32> {
    let shown = Offset::UTC.to_datetime(Timestamp::from_second(local).ok()?);
    match zone.to_ambiguous_timestamp(shown).offset() {
        AmbiguousOffset::Unambiguous { offset } => Some(offset.seconds()),
        AmbiguousOffset::Gap { .. } => None,
        AmbiguousOffset::Fold { before, .. } => Some(before.seconds()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn assert_like_jiff(name: &str, clock: &Clock, zone: &TimeZone, local: i64) {
        let expected = offset_at(zone, local).map(|offset| local - i64::from(offset)).ok_or(CellError::Gap);
        assert_eq!(clock.to_utc(local), expected, "{name} at {local}");
    }

    #[test]
    fn every_clock_of_the_database_is_jiffs_around_each_time_it_is_set() {
        for name in TimeZoneDatabase::bundled().available() {
            let (name, zone) = (name.as_str(), zone(name.as_str()).unwrap());
            let Some(clock) = Clock::of(name) else { continue };
            let around = clock.starts.iter().flat_map(|start| [start - 1, *start, start + 1]);
            for local in around.chain([FIRST, LAST]).filter(|local| (FIRST..=LAST).contains(local)) {
                assert_like_jiff(name, &clock, &zone, local);
            }
        }
    }

    #[test]
    fn utc_needs_no_clock_and_a_zone_has_one_for_all_its_spellings() {
        assert!(Clock::of("UTC").is_none());
        assert!(Clock::of("Etc/UTC").is_none());
        assert!(Clock::of("Nowhere/Land").is_none());
        let berlin = Clock::of("Europe/Berlin").unwrap();
        assert!(Arc::ptr_eq(&berlin, &Clock::of("europe/berlin").unwrap()));
    }

    #[test]
    fn a_time_before_the_table_is_out_of_range() {
        let clock = Clock::of("Asia/Tokyo").unwrap();
        assert_eq!(clock.to_utc(FIRST - 1), Err(CellError::OutOfRange));
    }

    proptest! {
        #[test]
        fn a_clock_shows_what_jiffs_does(
            name in prop::sample::select(TimeZoneDatabase::bundled().available().map(|n| n.to_string()).collect::<Vec<_>>()),
            locals in prop::collection::vec(FIRST..=LAST, 50),
        ) {
            if let Some(clock) = Clock::of(&name) {
                let zone = zone(&name).unwrap();
                for local in locals {
                    assert_like_jiff(&name, &clock, &zone, local);
                }
            }
        }
    }
}
