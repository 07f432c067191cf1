use super::*;

mod scan;

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
        ("@every", "there is no such schedule macro"),
        ("@every 5", "the interval is not a span of time above zero"),
        ("@every m", "the interval is not a span of time above zero"),
        ("@every 5 m", "the interval is not a span of time above zero"),
        ("@every 1.2.3s", "the interval is not a span of time above zero"),
        ("@every 0s", "the interval is not a span of time above zero"),
        ("@every -5m", "the interval is not a span of time above zero"),
        ("@every 3000000h", "the interval is not a span of time above zero"),
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
fn an_interval_is_a_span_as_go_writes_it_in_whole_seconds() {
    let spans = [
        ("5m", 300),
        ("1h30m", 5_400),
        ("1.5h", 5_400),
        (".5m", 30),
        ("90s", 90),
        ("1500ms", 1),
        ("2m0.999s", 120),
        ("1ns", 1),
        ("+20s", 20),
        ("1\u{b5}s1\u{3bc}s1us", 1),
        ("2562047h", 2_562_047 * 3_600),
    ];
    for (span, seconds) in spans {
        let every = Schedule::parse(&format!("@every {span}")).unwrap();
        let start = at("2026-01-01T00:00:00.7Z");
        let next = every.next(start, &TimeZone::UTC, Dst::Kubernetes).unwrap();
        assert_eq!(next.as_second() - start.as_second(), seconds, "{span}");
        assert_eq!(next.subsec_nanosecond(), 0);
    }
}

#[test]
fn an_interval_counts_on_from_what_was_served() {
    let every = Schedule::parse("@every 7m").unwrap();
    let served = at("2026-01-01T00:00:10Z");
    let base = |text: &str| every.base(served, at(text)).to_string();
    assert_eq!(base("2026-01-01T00:07:09Z"), "2026-01-01T00:00:10Z");
    assert_eq!(base("2026-01-01T00:07:10Z"), "2026-01-01T00:07:10Z");
    assert_eq!(base("2026-01-01T01:00:00Z"), "2026-01-01T00:56:10Z");
    // By a clock that was set back, nothing comes before what was served.
    assert_eq!(base("2025-01-01T00:00:00Z"), "2026-01-01T00:00:10Z");
    let last = |until: &str| every.last(served, at(until), &TimeZone::UTC, Dst::Kubernetes);
    assert_eq!(last("2026-01-01T00:07:09Z"), None);
    assert_eq!(last("2026-01-01T00:15:00Z"), Some((at("2026-01-01T00:14:10Z"), 2)));
    assert_eq!(last("2027-01-01T00:00:00Z"), Some((at("2026-12-31T23:55:10Z"), MANY)));
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
