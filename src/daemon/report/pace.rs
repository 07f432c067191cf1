//! How often a status file is written: flash wears out, and what counts up is no news.

use std::time::Duration;

/// Between two writes of a file none of whose phases changed.
const OTHERWISE: Duration = Duration::from_secs(1);
/// Between two writes that differ in counters alone.
const COUNTERS: Duration = Duration::from_secs(30);

/// Lines that count, or say when something was counted last.
const COUNTING: [&str; 3] = ["count:", "lastTimestamp:", "restartCount:"];

/// How long a file with the text `before` is left alone before it is given the text `after`.
pub(super) fn rest(before: &str, after: &str) -> Duration {
    let same_length = before.lines().count() == after.lines().count();
    let mut differing = before.lines().zip(after.lines()).filter(|(before, after)| before != after);
    let counters = same_length && differing.all(|(before, after)| counts(before, after));
    if counters { COUNTERS } else { OTHERWISE }
}

fn counts(before: &str, after: &str) -> bool {
    let plain = |line: &str| line.trim_start().trim_start_matches("- ").to_owned();
    let (before, after) = (plain(before), plain(after));
    COUNTING.iter().any(|key| before.starts_with(key) && after.starts_with(key))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_only_counts_waits_half_a_minute_and_the_rest_a_second() {
        let text = |count: u32, message: &str| {
            format!(
                "items:\n- kind: Pod\n  events:\n  - message: {message}\n    count: {count}\n    lastTimestamp: {count}\n"
            )
        };
        assert_eq!(rest(&text(1, "a"), &text(2, "a")), COUNTERS);
        assert_eq!(rest(&text(1, "a"), &text(2, "b")), OTHERWISE);
        assert_eq!(rest(&text(1, "a"), &format!("{}more: 1\n", text(1, "a"))), OTHERWISE);
        assert_eq!(rest("restartCount: 1\n", "restartCount: 2\n"), COUNTERS);
        assert_eq!(rest("count: 1\n", "kind: 1\n"), OTHERWISE);
    }
}
