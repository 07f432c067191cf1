//! How long what failed rests before the next try: containers, pod processes and pulls alike.

use std::time::Duration;

/// A run this long makes the failures before it forgotten.
pub(crate) const LASTING: Duration = Duration::from_secs(600);

const FIRST: Duration = Duration::from_secs(10);
const LONGEST: Duration = Duration::from_secs(300);

/// After `failures` in a row: none, 10 s, 20 s, 40 s and so on to 5 minutes.
pub(crate) fn delay(failures: u32) -> Duration {
    match failures {
        0 | 1 => Duration::ZERO,
        more => FIRST.saturating_mul(1u32.checked_shl(more - 2).unwrap_or(u32::MAX)).min(LONGEST),
    }
}

/// As Go prints it, which kubelet's messages show: `40s`, `1m20s`, `5m0s`.
pub(crate) fn in_words(delay: Duration) -> String {
    let seconds = delay.as_secs();
    match seconds / 60 {
        0 => format!("{seconds}s"),
        minutes => format!("{minutes}m{}s", seconds % 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_try_is_at_once_and_the_rest_doubles_to_five_minutes() {
        let rests: Vec<u64> = (0..10).map(|failures| delay(failures).as_secs()).collect();
        assert_eq!(rests, [0, 0, 10, 20, 40, 80, 160, 300, 300, 300]);
        assert_eq!(delay(u32::MAX).as_secs(), 300);
    }
}
