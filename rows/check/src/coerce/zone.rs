//! Time zones, from the IANA database that is compiled in.
//!
//! The offset of a local time comes from jiff. It is computed once for each zone, not for each cell: it changes only
//! when the zone's clock is changed, which is a few hundred times in the 400 years of `DateTime64`.

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use jiff::Timestamp;
use jiff::tz::{AmbiguousOffset, Offset, TimeZone};
use rows_types::{CellError, zone};

/// 1900-01-01 and 2299-12-31 23:59:59 in seconds since 1970.
pub(super) const FIRST: i64 = -2_208_988_800;
pub(super) const LAST: i64 = 10_413_791_999;

/// Marks local times that the zone skipped; it is no offset.
const SKIPPED: i32 = i32::MIN;

/// The local times of a zone in the years 1900 to 2299, as spans with one offset each.
#[derive(Debug)]
pub(crate) struct Clock {
    /// The first local second of each span, ascending.
    starts: Vec<i64>,
    /// For each span: seconds east of UTC, or [`SKIPPED`].
    offsets: Vec<i32>,
    /// The spans once more, for each 2^[`STRETCH`] seconds since [`FIRST`].
    stretches: Vec<Stretch>,
}

/// The spans that begin in a stretch of time, and the one at its start, so that they are found without a search.
#[derive(Clone, Copy, Debug)]
struct Stretch {
    /// When the second and the third span start.
    next: [i64; 2],
    /// Seconds east of UTC for each span; all three are [`SKIPPED`] if there are more than three spans.
    offsets: [i32; 3],
}

/// 2^23 seconds are about a quarter of a year, in which a clock is seldom changed twice. One change begins one span, or
/// two spans of which the first is skipped.
const STRETCH: u32 = 23;

/// At most one for each zone of the database, each of about 60 KiB. Columns and jobs share them.
static CLOCKS: LazyLock<Mutex<BTreeMap<String, Arc<Clock>>>> = LazyLock::new(Mutex::default);

impl Clock {
    /// The clock of an IANA zone. `None` for an unknown name, and for a zone that always has UTC, which needs no clock.
    pub(crate) fn of(name: &str) -> Option<Arc<Self>> {
        let zone = zone(name)?;
        // the database's spelling, because names are found in any letter case
        let name = zone.iana_name().unwrap_or(name);
        let mut clocks = CLOCKS.lock().unwrap_or_else(PoisonError::into_inner);
        let clock = clocks.entry(name.to_owned()).or_insert_with(|| Arc::new(Self::new(&zone)));
        (clock.offsets != [0]).then(|| Arc::clone(clock))
    }

    fn new(zone: &TimeZone) -> Self {
        // one more day on both sides, because local times differ from UTC
        let first = Timestamp::from_second(FIRST - 86_400).unwrap_or(Timestamp::MIN);
        let mut offset = zone.to_offset(first).seconds();
        let mut starts = vec![FIRST];
        for set in zone.following(first) {
            let at = set.timestamp().as_second();
            if at > LAST + 86_400 {
                break;
            }
            // the local times just before and just after the change
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

    /// The span that contains the time.
    fn span(&self, local: i64) -> Option<usize> {
        self.starts.partition_point(|start| *start <= local).checked_sub(1)
    }

    /// Seconds since 1970 UTC for a local time, which is given in seconds since 1970 as if it were UTC.
    #[inline(always)]
    pub(crate) fn to_utc(&self, local: i64) -> Result<i64, CellError> {
        let at = local.wrapping_sub(FIRST) >> STRETCH;
        match self.stretches.get(at as usize) {
            Some(Stretch { next: [a, b], offsets: [first, second, third] }) => {
                // no branches, because the CPU cannot predict which span is next
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

/// The offset at a local time of the zone. If the zone had the time twice, the first offset; `None` if the zone skipped
/// it.
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
    use jiff::tz::TimeZoneDatabase;
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
