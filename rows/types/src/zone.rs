//! Time zones, from the IANA database that is compiled in.

use jiff::tz::{TimeZone, TimeZoneDatabase};

/// The time zone with an IANA name.
#[must_use]
pub fn zone(name: &str) -> Option<TimeZone> {
    TimeZoneDatabase::bundled().get(name).ok()
}
