//! `@every 1h30m`: a span as Go writes it, counted from the time that was last.

use super::MANY;
use crate::model::time::Timestamp;

/// In nanoseconds.
const UNITS: [(&str, i128); 8] = [
    ("ns", 1),
    ("us", 1_000),
    ("\u{b5}s", 1_000),
    ("\u{3bc}s", 1_000),
    ("ms", 1_000_000),
    ("s", SECOND),
    ("m", 60 * SECOND),
    ("h", 3_600 * SECOND),
];
const SECOND: i128 = 1_000_000_000;

/// In whole seconds, at least one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Interval(i64);

impl Interval {
    /// What is left of a second falls away, and what is less than one counts as one. Unlike in Kubernetes, which
    /// reads those as a second, too, a span of nothing or less is none.
    pub(super) fn parse(text: &str) -> Option<Interval> {
        let mut rest = text.strip_prefix('+').unwrap_or(text);
        let mut nanoseconds: i128 = 0;
        while !rest.is_empty() {
            let (number, tail) = rest.split_at(rest.find(|c| !is_of_number(c))?);
            let (unit, tail) = tail.split_at(tail.find(is_of_number).unwrap_or(tail.len()));
            let (_, unit) = UNITS.iter().find(|(name, _)| *name == unit)?;
            nanoseconds = nanoseconds.checked_add(times(number, *unit)?)?;
            rest = tail;
        }
        // Go counts nanoseconds in 64 bits.
        let nanoseconds = i64::try_from(nanoseconds).ok().filter(|span| *span > 0)?;
        Some(Interval((nanoseconds / 1_000_000_000).max(1)))
    }

    /// Whether two times of it can fall into one minute.
    pub(super) fn is_below_a_minute(self) -> bool {
        self.0 < 60
    }

    pub(super) fn next(self, after: Timestamp) -> Option<Timestamp> {
        Timestamp::from_second(after.as_second().checked_add(self.0)?).ok()
    }

    /// The last of the times that follow `after` and are not after `until`, and how many there are.
    pub(super) fn last(self, after: Timestamp, until: Timestamp) -> Option<(Timestamp, u32)> {
        let count = (until.as_second() - after.as_second()) / self.0;
        let last = Timestamp::from_second(after.as_second() + count * self.0).ok()?;
        (count > 0).then(|| (last, u32::try_from(count).unwrap_or(MANY).min(MANY)))
    }
}

fn is_of_number(character: char) -> bool {
    character.is_ascii_digit() || character == '.'
}

/// `1.5` of a unit.
fn times(number: &str, unit: i128) -> Option<i128> {
    let (whole, part) = number.split_once('.').unwrap_or((number, ""));
    if whole.is_empty() && part.is_empty() {
        return None;
    }
    let digits = |text: &str| if text.is_empty() { Some(0) } else { text.parse::<i128>().ok() };
    // Finer than a nanosecond of an hour nothing counts.
    let part = part.get(..part.len().min(18))?;
    let scale = 10_i128.checked_pow(u32::try_from(part.len()).ok()?)?;
    digits(whole)?.checked_mul(unit)?.checked_add(digits(part)? * unit / scale)
}
