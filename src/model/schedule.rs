//! When a CronJob is due: five fields as Kubernetes reads them (its parser is robfig/cron's), in a time zone.

use std::ops::RangeInclusive;

use jiff::tz::{Offset, TimeZone};

use super::time::Timestamp;

#[cfg(test)]
mod tests;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Schedule {
    minutes: u64,
    hours: u64,
    days: u64,
    months: u64,
    weekdays: u64,
    /// Day of month or day of week is `*` or `?`: both must fit then, else one of the two.
    any_day: bool,
    /// The hour is `*` in some form: what counts is elapsed time, and no hour is missing or there twice.
    any_hour: bool,
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
    #[error("intervals by `@every` are not served")]
    Every,
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

struct Field {
    name: &'static str,
    range: RangeInclusive<u32>,
    /// Names of the values, from the first on.
    names: &'static [&'static str],
}

const MINUTE: Field = Field { name: "minute", range: 0..=59, names: &[] };
const HOUR: Field = Field { name: "hour", range: 0..=23, names: &[] };
const DAY: Field = Field { name: "day of the month", range: 1..=31, names: &[] };
const MONTH: Field = Field {
    name: "month",
    range: 1..=12,
    names: &["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"],
};
const WEEKDAY: Field = Field {
    name: "day of the week",
    range: 0..=6,
    names: &["sun", "mon", "tue", "wed", "thu", "fri", "sat"],
};

/// Values of one field.
struct Values {
    bits: u64,
    /// `*` or `?` without a step is among its parts.
    is_any: bool,
}

impl Schedule {
    pub(crate) fn parse(text: &str) -> Result<Schedule, ScheduleError> {
        let text = text.trim();
        if text.contains("TZ=") {
            return Err(ScheduleError::Zone);
        }
        if let Some(name) = text.strip_prefix('@') {
            return Schedule::named(name);
        }
        let fields: Vec<&str> = text.split_whitespace().collect();
        let [minute, hour, day, month, weekday] = fields[..] else {
            return Err(ScheduleError::Fields(fields.len()));
        };
        let (days, weekdays) = (DAY.values(day)?, WEEKDAY.values(weekday)?);
        Ok(Schedule {
            minutes: MINUTE.values(minute)?.bits,
            hours: HOUR.values(hour)?.bits,
            days: days.bits,
            months: MONTH.values(month)?.bits,
            weekdays: weekdays.bits,
            any_day: days.is_any || weekdays.is_any,
            any_hour: hour.contains(['*', '?']),
        })
    }

    fn named(name: &str) -> Result<Schedule, ScheduleError> {
        if name.starts_with("every ") {
            return Err(ScheduleError::Every);
        }
        Schedule::parse(match name {
            "yearly" | "annually" => "0 0 1 1 *",
            "monthly" => "0 0 1 * *",
            "weekly" => "0 0 * * 0",
            "daily" | "midnight" => "0 0 * * *",
            "hourly" => "0 * * * *",
            _ => return Err(ScheduleError::Macro),
        })
    }

    /// The first time after `after`; `None` if there is none in the next five years.
    pub(crate) fn next(&self, after: Timestamp, zone: &TimeZone, dst: Dst) -> Option<Timestamp> {
        let mut from = after.as_second() + 1;
        let last = from + FIVE_YEARS;
        if self.heeds(dst)
            && let Some(change) = zone.preceding(Timestamp::from_second(from + 1).ok()?).next()
        {
            from = from.max(end_of_repeat(zone, change.timestamp()));
        }
        while from <= last {
            let start = Timestamp::from_second(from).ok()?;
            let offset = i64::from(zone.to_offset(start).seconds());
            let change = zone.following(start).next().map(|change| change.timestamp());
            let end = change.map_or(last, |change| change.as_second().min(last));
            if let Some(found) = self.first_in(from + offset, end + offset) {
                return Timestamp::from_second(found - offset).ok();
            }
            let change = change?;
            from = change.as_second();
            if self.heeds(dst) {
                let after_it = i64::from(zone.to_offset(change).seconds());
                if self.first_in(from + offset, from + after_it).is_some() {
                    return Some(change);
                }
                from = end_of_repeat(zone, change);
            }
        }
        None
    }

    fn heeds(&self, dst: Dst) -> bool {
        dst == Dst::Once && !self.any_hour
    }

    /// The last time in `(after, until]`, and how many there are, counted up to `MANY`.
    pub(crate) fn last(
        &self,
        after: Timestamp,
        until: Timestamp,
        zone: &TimeZone,
        dst: Dst,
    ) -> Option<(Timestamp, u32)> {
        let mut missed = 0;
        let mut first = after;
        while missed < MANY
            && let Some(next) = self.next(first, zone, dst).filter(|next| *next <= until)
        {
            (first, missed) = (next, missed + 1);
        }
        // Many were missed: the last is looked for from the end, in windows that grow.
        let mut window = HOUR_LONG;
        while missed == MANY {
            let start = Timestamp::from_second(until.as_second() - window).unwrap_or(first).max(first);
            let mut found = None;
            let mut at = start;
            while let Some(next) = self.next(at, zone, dst).filter(|next| *next <= until) {
                at = next;
                found = Some(next);
            }
            if found.is_some() || start == first {
                return Some((found.unwrap_or(first), missed));
            }
            window *= 24;
        }
        (missed > 0).then_some((first, missed))
    }

    /// First minute that fits in a stretch of local time, in seconds as if it were UTC.
    fn first_in(&self, from: i64, until: i64) -> Option<i64> {
        let mut at = from + (-from).rem_euclid(60);
        while at < until {
            let local = Offset::UTC.to_datetime(Timestamp::from_second(at).ok()?);
            let midnight = at - at.rem_euclid(86_400);
            if !self.fits_day(local.date()) {
                at = midnight + 86_400;
            } else if self.hours & bit(local.hour()) == 0 {
                at = at - at.rem_euclid(3_600) + 3_600;
            } else if self.minutes & bit(local.minute()) == 0 {
                at += 60;
            } else {
                return Some(at);
            }
        }
        None
    }

    fn fits_day(&self, date: jiff::civil::Date) -> bool {
        if self.months & bit(date.month()) == 0 {
            return false;
        }
        let day = self.days & bit(date.day()) != 0;
        let weekday = self.weekdays & bit(date.weekday().to_sunday_zero_offset()) != 0;
        if self.any_day { day && weekday } else { day || weekday }
    }
}

/// As many missed times as are counted.
pub(crate) const MANY: u32 = 101;
const HOUR_LONG: i64 = 3_600;
const FIVE_YEARS: i64 = 5 * 366 * 86_400;

/// When the clock, set back at `change`, shows again what it has not shown before; `change` where it was set forward.
fn end_of_repeat(zone: &TimeZone, change: Timestamp) -> i64 {
    let before = Timestamp::from_second(change.as_second() - 1).unwrap_or(change);
    let (before, after) = (zone.to_offset(before).seconds(), zone.to_offset(change).seconds());
    change.as_second() + i64::from(before.saturating_sub(after).max(0))
}

fn bit(value: i8) -> u64 {
    u32::try_from(value).map_or(0, |value| 1 << value)
}

impl Field {
    fn values(&self, text: &str) -> Result<Values, ScheduleError> {
        let mut values = Values { bits: 0, is_any: false };
        for part in text.split(',').filter(|part| !part.is_empty()) {
            let part = self.part(part)?;
            values.bits |= part.bits;
            values.is_any |= part.is_any;
        }
        if values.bits == 0 { Err(ScheduleError::Word { field: self.name }) } else { Ok(values) }
    }

    /// `*`, `5`, `5-9`, `mon-fri`, each with `/step` or without; `5/2` goes on to the end.
    fn part(&self, text: &str) -> Result<Values, ScheduleError> {
        let (range, step) = match text.split_once('/') {
            Some((range, step)) => (range, Some(step)),
            None => (text, None),
        };
        let step_is_wrong = ScheduleError::Step { field: self.name };
        let by = match step.map(str::parse::<usize>) {
            None => 1,
            Some(Ok(step)) if step > 0 => step,
            Some(Ok(_) | Err(_)) => return Err(step_is_wrong),
        };
        let (low, high) = (*self.range.start(), *self.range.end());
        let (first, last) = match range.split_once('-') {
            _ if range == "*" || range == "?" => (low, high),
            Some((first, last)) => (self.value(first)?, self.value(last)?),
            None if step.is_some() => (self.value(range)?, high),
            None => (self.value(range)?, self.value(range)?),
        };
        if last < first {
            return Err(ScheduleError::Backwards { field: self.name });
        }
        let bits = (first..=last).step_by(by).fold(0, |bits, value| bits | 1 << value);
        Ok(Values { bits, is_any: (range == "*" || range == "?") && by == 1 })
    }

    fn value(&self, text: &str) -> Result<u32, ScheduleError> {
        let (low, high) = (*self.range.start(), *self.range.end());
        let named = self.names.iter().position(|name| text.eq_ignore_ascii_case(name));
        let value = match named {
            Some(at) => u32::try_from(at).ok().map(|at| low + at),
            None => text.parse().ok(),
        };
        let value = value.ok_or(ScheduleError::Word { field: self.name })?;
        let range = ScheduleError::Range { field: self.name, low, high };
        if self.range.contains(&value) { Ok(value) } else { Err(range) }
    }
}

/// A zone by its name in the tz database, which is part of the program.
pub(crate) fn zone_named(name: &str) -> Option<TimeZone> {
    jiff::tz::TimeZoneDatabase::bundled().get(name).ok()
}
