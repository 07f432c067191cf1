//! When a CronJob is due: five fields, or an interval, as Kubernetes reads them (its parser is robfig/cron's), in a
//! time zone.

use jiff::tz::TimeZone;

use super::time::Timestamp;
use calendar::Calendar;
use interval::Interval;

mod calendar;
mod field;
mod interval;

#[cfg(test)]
mod tests;

/// As many missed times as are counted.
pub(crate) const MANY: u32 = 101;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Schedule {
    Calendar(Calendar),
    /// `@every`
    Interval(Interval),
}

/// What daylight saving does to a schedule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Dst {
    /// A time that the clock skips does not come, one that it shows twice comes twice.
    Kubernetes,
    /// A time that is skipped comes when the clock has skipped it, one that is shown twice comes once.
    Once,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ScheduleError {
    #[error("a schedule has five fields, not {0}")]
    Fields(usize),
    #[error("there is no such schedule macro")]
    Macro,
    #[error("the interval is not a span of time above zero")]
    Interval,
    #[error("the time zone does not belong into the schedule")]
    Zone,
    #[error("the {field} is not a number or a name")]
    Word { field: &'static str },
    #[error("the {field} goes from {low} to {high}")]
    Range { field: &'static str, low: u32, high: u32 },
    #[error("the {field} has a range that ends before it begins")]
    Backwards { field: &'static str },
    #[error("the {field} has a step that is no number above zero")]
    Step { field: &'static str },
}

impl Schedule {
    pub(crate) fn parse(text: &str) -> Result<Schedule, ScheduleError> {
        let text = text.trim();
        if text.contains("TZ=") {
            return Err(ScheduleError::Zone);
        }
        let fields = match text.strip_prefix('@') {
            None => text,
            Some(name) => match name {
                "yearly" | "annually" => "0 0 1 1 *",
                "monthly" => "0 0 1 * *",
                "weekly" => "0 0 * * 0",
                "daily" | "midnight" => "0 0 * * *",
                "hourly" => "0 * * * *",
                name => {
                    let span = name.strip_prefix("every ").ok_or(ScheduleError::Macro)?;
                    return Interval::parse(span).map(Schedule::Interval).ok_or(ScheduleError::Interval);
                }
            },
        };
        Calendar::parse(fields).map(Schedule::Calendar)
    }

    /// From where the times after `at` are looked for, if `served` was the last for which something was done: an
    /// interval counts on from that.
    pub(crate) fn base(&self, served: Timestamp, at: Timestamp) -> Timestamp {
        match self {
            Schedule::Calendar(_) => at,
            Schedule::Interval(interval) => interval.last(served, at).map_or(served, |(last, _)| last),
        }
    }

    /// The first time after `after`; `None` if there is none in the next five years.
    pub(crate) fn next(&self, after: Timestamp, zone: &TimeZone, dst: Dst) -> Option<Timestamp> {
        match self {
            Schedule::Calendar(calendar) => calendar.next(after, zone, dst),
            Schedule::Interval(interval) => interval.next(after),
        }
    }

    /// The last time in `(after, until]`, and how many there are, counted up to `MANY`.
    pub(crate) fn last(
        &self,
        after: Timestamp,
        until: Timestamp,
        zone: &TimeZone,
        dst: Dst,
    ) -> Option<(Timestamp, u32)> {
        match self {
            Schedule::Calendar(calendar) => calendar.last(after, until, zone, dst),
            Schedule::Interval(interval) => interval.last(after, until),
        }
    }

    /// Whether no two times fall into one minute.
    pub(crate) fn has_minutes_of_its_own(&self) -> bool {
        match self {
            Schedule::Calendar(_) => true,
            Schedule::Interval(interval) => !interval.is_below_a_minute(),
        }
    }
}

/// A zone by its name in the tz database, which is part of the program.
pub(crate) fn zone_named(name: &str) -> Option<TimeZone> {
    jiff::tz::TimeZoneDatabase::bundled().get(name).ok()
}

/// Of all zones of the tz database.
pub(crate) fn zone_names() -> Vec<String> {
    jiff::tz::TimeZoneDatabase::bundled().available().map(|name| name.to_string()).collect()
}
