//! Ten years, minute by minute, as clocks on the walls of five zones show them: what is due is told field by field.

use super::*;

const ZONES: [&str; 5] =
    ["UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu"];
const SCHEDULES: [&str; 8] = [
    "20 */2 * * *",
    "30 2 * * *",
    "*/7 2 * * *",
    "0 0 1 * *",
    "15 1,2 * 3,10,11 sun",
    "0 12 13 * fri",
    "59 23 31 12 *",
    "0 */5 */2 * mon",
];
const FIRST_DAY: i64 = 20_089;
const DAYS: i64 = 3_652;
const DAY: i64 = 1_440;
const QUARTER: i64 = 15;

/// What a schedule says of the clock on the wall.
struct Face {
    text: &'static str,
    minutes: Vec<bool>,
    /// Whether there is a minute that fits in a quarter of an hour.
    quarters: Vec<bool>,
    /// Of days as they are counted since 1970.
    days: Vec<bool>,
}

impl Face {
    fn of(text: &'static str) -> Face {
        let fields: Vec<&str> = text.split(' ').collect();
        let minute_fits = |minute: i64| fits(fields[0], minute % 60, 0) && fits(fields[1], minute / 60, 0);
        let day_fits = |day: i64| {
            let date = Timestamp::from_second(day * 86_400).unwrap().to_zoned(TimeZone::UTC).date();
            let of_month = fits(fields[2], date.day().into(), 1);
            let of_week = fits(fields[4], date.weekday().to_sunday_zero_offset().into(), 0);
            let any = fields[2] == "*" || fields[4] == "*";
            fits(fields[3], date.month().into(), 1)
                && if any { of_month && of_week } else { of_month || of_week }
        };
        let minutes: Vec<bool> = (0..DAY).map(minute_fits).collect();
        Face {
            text,
            quarters: minutes.chunks(QUARTER as usize).map(|quarter| quarter.contains(&true)).collect(),
            minutes,
            days: (FIRST_DAY - 1..=FIRST_DAY + DAYS).map(day_fits).collect(),
        }
    }

    fn fits_day(&self, local: i64) -> bool {
        self.days[(local / DAY - FIRST_DAY + 1) as usize]
    }

    /// Whether a minute of local time, counted as if it were UTC, fits.
    fn shows(&self, local: i64) -> bool {
        self.fits_day(local) && self.minutes[(local % DAY) as usize]
    }

    /// Whether one of the quarter of an hour that begins so does.
    fn shows_in_quarter(&self, local: i64) -> bool {
        self.quarters[(local % DAY / QUARTER) as usize] && self.fits_day(local)
    }

    /// Whether daylight saving is anything to it: not where it goes by elapsed hours.
    fn heeds(&self) -> bool {
        !self.text.split(' ').nth(1).unwrap().contains('*')
    }
}

/// Whether a value is in a list of numbers, ranges and steps; `low` is where the field begins.
fn fits(field: &str, value: i64, low: i64) -> bool {
    let number = |text: &str| match text {
        "sun" => 0,
        "mon" => 1,
        "fri" => 5,
        text => text.parse().unwrap(),
    };
    field.split(',').any(|part| {
        let (range, step) = part.split_once('/').unwrap_or((part, "1"));
        let (first, last) = match range.split_once('-') {
            Some((first, last)) => (number(first), number(last)),
            None if range == "*" => (low, i64::MAX),
            None => (number(range), number(range)),
        };
        (first..=last).contains(&value) && (value - first) % step.parse::<i64>().unwrap() == 0
    })
}

/// Local minutes that a clock shows, one quarter of an hour after the other: none has two offsets.
fn quarters(zone: &TimeZone) -> Vec<(i64, i64)> {
    let offset = |minute: i64| {
        let seconds = zone.to_offset(Timestamp::from_second(minute * 60).unwrap()).seconds();
        assert_eq!(seconds % 900, 0);
        i64::from(seconds / 60)
    };
    let starts = (FIRST_DAY * DAY..(FIRST_DAY + DAYS) * DAY).step_by(QUARTER as usize);
    let mut before = (0, offset(FIRST_DAY * DAY));
    let local = |start| {
        let now = (start, offset(start));
        if now.1 != before.1 {
            assert_eq!(offset(start - 1), before.1, "the offset changes within {}", before.0);
        }
        before = now;
        (start, start + now.1)
    };
    starts.map(local).collect()
}

/// Minutes at which a schedule is due: whenever the clock shows what fits. With `Once` those that were shown before
/// do not count, and those that are skipped come at the moment that skips them.
fn due(face: &Face, quarters: &[(i64, i64)], dst: Dst) -> Vec<i64> {
    let heeds = dst == Dst::Once && face.heeds();
    let mut due = Vec::new();
    let mut newest = quarters[0].1 - 1;
    for (start, local) in quarters {
        let is_skipped = heeds && (newest + 1..*local).any(|skipped| face.shows(skipped));
        if is_skipped && !face.shows(*local) {
            due.push(*start);
        }
        let is_repeated = heeds && *local <= newest;
        if !is_repeated && face.shows_in_quarter(*local) {
            due.extend((0..QUARTER).filter(|minute| face.shows(local + minute)).map(|minute| start + minute));
        }
        newest = newest.max(local + QUARTER - 1);
    }
    due
}

#[test]
fn times_are_those_that_a_scan_of_all_minutes_of_ten_years_finds() {
    let faces = SCHEDULES.map(Face::of);
    for name in ZONES {
        let zone = zone(name);
        let quarters = quarters(&zone);
        for face in &faces {
            let schedule = Schedule::parse(face.text).unwrap();
            for dst in
                [Dst::Kubernetes, Dst::Once].into_iter().filter(|dst| *dst == Dst::Kubernetes || face.heeds())
            {
                let mut next = Timestamp::from_second(FIRST_DAY * 86_400 - 1).unwrap();
                for minute in due(face, &quarters, dst) {
                    next = schedule.next(next, &zone, dst).unwrap();
                    assert_eq!(next.as_second(), minute * 60, "{} in {name}, {dst:?}", face.text);
                }
                let next = schedule.next(next, &zone, dst).unwrap();
                assert!(next.as_second() >= (FIRST_DAY + DAYS) * 86_400, "{} in {name}, {dst:?}", face.text);
            }
        }
    }
}

#[test]
fn each_minute_comes_once_through_each_change_of_the_clock() {
    let schedule = Schedule::parse("* * * * *").unwrap();
    for name in ZONES {
        let zone = zone(name);
        let quarters = quarters(&zone);
        let is_change = |pair: &&[(i64, i64)]| pair[1].1 - pair[0].1 != QUARTER;
        for change in quarters.windows(2).filter(is_change).map(|pair| pair[1].0) {
            for minute in change - 240..change + 240 {
                let before = Timestamp::from_second(minute * 60 - 1).unwrap();
                let next = schedule.next(before, &zone, Dst::Kubernetes).unwrap();
                assert_eq!(next.as_second(), minute * 60, "in {name}");
            }
        }
    }
}
