//! Five fields, and the times at which a clock on the wall shows what fits them.

use jiff::tz::{Offset, TimeZone};

use super::field::{DAY, HOUR, MINUTE, MONTH, WEEKDAY};
use super::{Dst, MANY, ScheduleError};
use crate::model::time::Timestamp;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Calendar {
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

impl Calendar {
    pub(super) fn parse(text: &str) -> Result<Calendar, ScheduleError> {
        let fields: Vec<&str> = text.split_whitespace().collect();
        let [minute, hour, day, month, weekday] = fields[..] else {
            return Err(ScheduleError::Fields(fields.len()));
        };
        let (days, weekdays) = (DAY.values(day)?, WEEKDAY.values(weekday)?);
        Ok(Calendar {
            minutes: MINUTE.values(minute)?.bits,
            hours: HOUR.values(hour)?.bits,
            days: days.bits,
            months: MONTH.values(month)?.bits,
            weekdays: weekdays.bits,
            any_day: days.is_any || weekdays.is_any,
            any_hour: hour.contains(['*', '?']),
        })
    }

    /// The first time after `after`; `None` if there is none in the next five years.
    pub(super) fn next(&self, after: Timestamp, zone: &TimeZone, dst: Dst) -> Option<Timestamp> {
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
    pub(super) fn last(
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
        if missed < MANY {
            return (missed > 0).then_some((first, missed));
        }
        // Many were missed: the last is looked for from the end, in windows that grow.
        let mut window = HOUR_LONG;
        loop {
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
