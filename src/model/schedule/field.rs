//! One of the five fields of a schedule: numbers, names, ranges and steps, as a set of bits.

use std::ops::RangeInclusive;

use super::ScheduleError;

pub(super) struct Field {
    name: &'static str,
    range: RangeInclusive<u32>,
    /// Names of the values, from the first on.
    names: &'static [&'static str],
}

pub(super) const MINUTE: Field = Field { name: "minute", range: 0..=59, names: &[] };
pub(super) const HOUR: Field = Field { name: "hour", range: 0..=23, names: &[] };
pub(super) const DAY: Field = Field { name: "day of the month", range: 1..=31, names: &[] };
pub(super) const MONTH: Field = Field {
    name: "month",
    range: 1..=12,
    names: &["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"],
};
pub(super) const WEEKDAY: Field = Field {
    name: "day of the week",
    range: 0..=6,
    names: &["sun", "mon", "tue", "wed", "thu", "fri", "sat"],
};

/// Values of one field.
pub(super) struct Values {
    pub(super) bits: u64,
    /// `*` or `?` without a step is among its parts.
    pub(super) is_any: bool,
}

impl Field {
    pub(super) fn values(&self, text: &str) -> Result<Values, ScheduleError> {
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
