use super::*;

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn zone(name: &str) -> TimeZone {
    zone_named(name).unwrap()
}

fn times(schedule: &str, zone_name: &str, dst: Dst, after: &str, count: usize) -> Vec<String> {
    let schedule = Schedule::parse(schedule).unwrap();
    let mut last = at(after);
    let next = std::iter::from_fn(|| {
        last = schedule.next(last, &zone(zone_name), dst)?;
        Some(last.to_string())
    });
    next.take(count).collect()
}

#[test]
fn fields_are_read_as_kubernetes_reads_them() {
    let same = [
        ("@daily", "0 0 * * *"),
        ("@midnight", "0 0 * * *"),
        ("@hourly", "0 * * * *"),
        ("@weekly", "0 0 * * sun"),
        ("@monthly", "0 0 1 * *"),
        ("@annually", "@yearly"),
        ("*/15 * * * *", "0,15,30,45 * * * *"),
        ("5/20 * * * *", "5,25,45 * * * *"),
        ("0 0 * JAN-mar Mon-Fri", "0 0 * 1-3 1-5"),
        ("0 0 ? * ?", "0 0 * * *"),
        ("  0   0 * *\t*  ", "0 0 * * *"),
        ("0 9-17/4 * * *", "0 9,13,17 * * *"),
    ];
    for (one, other) in same {
        let (one, other) = (Schedule::parse(one).unwrap(), Schedule::parse(other).unwrap());
        let times = |schedule: &Schedule| {
            let mut last = at("2026-01-01T00:00:00Z");
            (0..50)
                .map(|_| {
                    last = schedule.next(last, &TimeZone::UTC, Dst::Kubernetes).unwrap();
                    last
                })
                .collect::<Vec<_>>()
        };
        assert_eq!(times(&one), times(&other));
    }
}

#[test]
fn what_is_no_schedule_is_told_by_its_field() {
    let cases = [
        ("* * * *", "a schedule has five fields, not 4"),
        ("0 * * * * *", "a schedule has five fields, not 6"),
        ("", "a schedule has five fields, not 0"),
        ("@fortnightly", "there is no such schedule macro"),
        ("@every 5m", "intervals by `@every` are not served"),
        ("CRON_TZ=UTC 0 0 * * *", "the time zone does not belong into the schedule"),
        ("60 * * * *", "the minute goes from 0 to 59"),
        ("0 0 * * 7", "the day of the week goes from 0 to 6"),
        ("0 0 0 * *", "the day of the month goes from 1 to 31"),
        ("0 5-3 * * *", "the hour has a range that ends before it begins"),
        ("*/0 * * * *", "the minute has a step that is no number above zero"),
        ("0 0 * foo *", "the month is not a number or a name"),
        (", * * * *", "the minute is not a number or a name"),
        ("-1 * * * *", "the minute is not a number or a name"),
    ];
    for (text, message) in cases {
        assert_eq!(Schedule::parse(text).unwrap_err().to_string(), message, "{text}");
    }
}

#[test]
fn two_restricted_days_are_either_and_a_star_is_both() {
    let either = times("0 0 13 * fri", "UTC", Dst::Kubernetes, "2026-02-01T00:00:00Z", 4);
    assert_eq!(
        either,
        ["2026-02-06T00:00:00Z", "2026-02-13T00:00:00Z", "2026-02-20T00:00:00Z", "2026-02-27T00:00:00Z"]
    );
    // A star with a step counts as restricted.
    let stepped = times("0 0 */10 * fri", "UTC", Dst::Kubernetes, "2026-02-01T00:00:00Z", 2);
    assert_eq!(stepped, ["2026-02-06T00:00:00Z", "2026-02-11T00:00:00Z"]);
}

#[test]
fn a_day_that_does_not_exist_never_comes() {
    assert!(times("0 0 31 2 *", "UTC", Dst::Kubernetes, "2026-01-01T00:00:00Z", 1).is_empty());
    assert_eq!(
        times("0 0 29 2 *", "UTC", Dst::Kubernetes, "2026-01-01T00:00:00Z", 1),
        ["2028-02-29T00:00:00Z"]
    );
}

#[test]
fn a_skipped_time_does_not_come_unless_once_is_asked_for() {
    let at_half_past_two = |dst| times("30 2 * * *", "Europe/Berlin", dst, "2026-03-28T12:00:00Z", 2);
    assert_eq!(at_half_past_two(Dst::Kubernetes), ["2026-03-30T00:30:00Z", "2026-03-31T00:30:00Z"]);
    assert_eq!(at_half_past_two(Dst::Once), ["2026-03-29T01:00:00Z", "2026-03-30T00:30:00Z"]);
}

#[test]
fn a_time_shown_twice_comes_twice_unless_once_is_asked_for() {
    let at_half_past_two = |dst, after| times("30 2 * * *", "Europe/Berlin", dst, after, 2);
    let before = "2026-10-24T12:00:00Z";
    assert_eq!(at_half_past_two(Dst::Kubernetes, before), ["2026-10-25T00:30:00Z", "2026-10-25T01:30:00Z"]);
    assert_eq!(at_half_past_two(Dst::Once, before), ["2026-10-25T00:30:00Z", "2026-10-26T01:30:00Z"]);
    // Also when it is asked for in the middle of the hour that comes again.
    assert_eq!(at_half_past_two(Dst::Once, "2026-10-25T01:10:00Z")[0], "2026-10-26T01:30:00Z");
}

#[test]
fn what_runs_each_quarter_of_an_hour_does_so_through_both_changes() {
    for dst in [Dst::Kubernetes, Dst::Once] {
        for after in ["2026-03-29T00:00:00Z", "2026-10-25T00:00:00Z"] {
            let found = times("*/15 * * * *", "Europe/Berlin", dst, after, 16);
            let first = at(after).as_second();
            for (number, time) in found.iter().enumerate() {
                assert_eq!(at(time).as_second(), first + 900 * (number as i64 + 1), "{dst:?} {after}");
            }
        }
    }
}

#[test]
fn the_last_of_many_missed_times_is_found_without_going_through_all() {
    let every_minute = Schedule::parse("* * * * *").unwrap();
    let (after, until) = (at("1970-01-01T00:00:00Z"), at("2026-05-05T05:05:30Z"));
    let last = every_minute.last(after, until, &TimeZone::UTC, Dst::Kubernetes);
    assert_eq!(last, Some((at("2026-05-05T05:05:00Z"), MANY)));
    let yearly = Schedule::parse("@yearly").unwrap();
    let last = yearly.last(at("1800-01-01T00:00:00Z"), until, &TimeZone::UTC, Dst::Kubernetes);
    assert_eq!(last, Some((at("2026-01-01T00:00:00Z"), MANY)));
    let last = yearly.last(at("2024-06-01T00:00:00Z"), until, &TimeZone::UTC, Dst::Kubernetes);
    assert_eq!(last, Some((at("2026-01-01T00:00:00Z"), 2)));
    assert_eq!(yearly.last(until, until, &TimeZone::UTC, Dst::Kubernetes), None);
}

const ZONES: [&str; 5] =
    ["UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu"];
const SCHEDULES: [&str; 8] = [
    "* * * * *",
    "30 2 * * *",
    "*/7 1-3 * * *",
    "0 0 1 * *",
    "15 1,2 * 3,10,11 sun",
    "0 12 13 * fri",
    "59 23 31 12 *",
    "0 */5 */2 * mon",
];

/// Whether the clock on the wall shows a time that fits, told field by field.
fn shows(schedule: &str, zone: &TimeZone, minute: i64) -> bool {
    let local = Timestamp::from_second(minute * 60).unwrap().to_zoned(zone.clone());
    let fields: Vec<&str> = schedule.split(' ').collect();
    let fits = |field: &str, value: i8, low: i8, high: i8| {
        field.split(',').any(|part| {
            let (range, step) = part.split_once('/').unwrap_or((part, "1"));
            let number = |text: &str| match text {
                "sun" => 0,
                "mon" => 1,
                "fri" => 5,
                text => text.parse().unwrap(),
            };
            let (first, last) = match range.split_once('-') {
                Some((first, last)) => (number(first), number(last)),
                None if range == "*" => (low, high),
                None => (number(range), number(range)),
            };
            (first..=last).contains(&value) && (value - first) % step.parse::<i8>().unwrap() == 0
        })
    };
    let day = fits(fields[2], local.day(), 1, 31);
    let weekday = fits(fields[4], local.weekday().to_sunday_zero_offset(), 0, 6);
    let any = fields[2] == "*" || fields[4] == "*";
    fits(fields[0], local.minute(), 0, 59)
        && fits(fields[1], local.hour(), 0, 23)
        && fits(fields[3], local.month(), 1, 12)
        && if any { day && weekday } else { day || weekday }
}

/// A few weeks around each change of the clock; ten years, minute by minute, with `DROPPOD_CRON_YEARS=10`.
#[test]
fn times_are_those_that_a_scan_of_all_minutes_finds() {
    let years = std::env::var("DROPPOD_CRON_YEARS").ok().and_then(|years| years.parse::<i64>().ok());
    let start = at("2025-01-01T00:00:00Z").as_second() / 60;
    let stretches: Vec<(i64, i64)> = match years {
        Some(years) => vec![(start, start + years * 525_960)],
        None => {
            [66, 87, 93, 277, 297, 304, 364].map(|day| (start + day * 1440, start + (day + 3) * 1440)).into()
        }
    };
    for name in ZONES {
        let zone = zone(name);
        for text in SCHEDULES {
            let schedule = Schedule::parse(text).unwrap();
            for (from, until) in &stretches {
                let mut next =
                    schedule.next(Timestamp::from_second(from * 60 - 1).unwrap(), &zone, Dst::Kubernetes);
                for minute in *from..*until {
                    let due = next.is_some_and(|next| next.as_second() == minute * 60);
                    assert_eq!(due, shows(text, &zone, minute), "{text} in {name} at minute {minute}");
                    if due {
                        next = next.and_then(|next| schedule.next(next, &zone, Dst::Kubernetes));
                    }
                }
            }
        }
    }
}
