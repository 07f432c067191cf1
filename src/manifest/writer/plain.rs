//! Which texts kubectl's reader takes for something else than text, so that they are written in quotes
//! (goyaml.v2 `resolve.go`).

use super::super::scalar;

pub(super) fn reads_as_text(text: &str) -> bool {
    scalar::is_plain_text(text) && !is_time(text) && !is_base_60(text)
}

/// `12:30:45` was a number in YAML 1.1; nobody reads it as one any more, all quote it.
/// `[-+]?[0-9][0-9_]*(:[0-5]?[0-9])+(\.[0-9_]*)?`
fn is_base_60(text: &str) -> bool {
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    let (whole, fraction) = unsigned.split_once('.').unwrap_or((unsigned, ""));
    let digits_or_lines = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit() || byte == b'_');
    let mut parts = whole.split(':');
    let first = parts.next().unwrap_or_default();
    let sixtieth = |part: &str| match part.as_bytes() {
        [digit] => digit.is_ascii_digit(),
        [b'0'..=b'5', digit] => digit.is_ascii_digit(),
        _ => false,
    };
    let mut sixtieths = parts.peekable();
    sixtieths.peek().is_some()
        && first.starts_with(|c: char| c.is_ascii_digit())
        && digits_or_lines(first)
        && digits_or_lines(fraction)
        && sixtieths.all(sixtieth)
}

/// A date, or a date and a time of day, as Go's `time.Parse` takes them.
fn is_time(text: &str) -> bool {
    let Some((year, rest)) = text.split_once('-') else { return false };
    let Some((month, rest)) = rest.split_once('-') else { return false };
    let days = rest.bytes().take_while(u8::is_ascii_digit).count();
    let (day, rest) = rest.split_at(days);
    if year.len() != 4 || !year.bytes().all(|byte| byte.is_ascii_digit()) {
        return false;
    }
    let (Some(month), Some(day)) = (short(month), short(day)) else { return false };
    let Ok(year) = year.parse() else { return false };
    if jiff::civil::Date::new(year, month, day).is_err() {
        return false;
    }
    match rest.chars().next() {
        None => true,
        Some(' ') => time_of_day(&rest[1..]).is_some_and(str::is_empty),
        Some('T' | 't') => time_of_day(&rest[1..]).is_some_and(is_zone),
        Some(_) => false,
    }
}

/// One or two digits.
fn short(text: &str) -> Option<i8> {
    let fits = (1..=2).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
    fits.then(|| text.parse().ok()).flatten()
}

/// `15:4:5.123`; yields what comes after it.
fn time_of_day(text: &str) -> Option<&str> {
    let (hour, rest) = text.split_once(':')?;
    let (minute, rest) = rest.split_once(':')?;
    let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
    let (second, rest) = rest.split_at(digits);
    let in_range = short(hour)? < 24 && short(minute)? < 60 && short(second)? < 60;
    let fraction =
        rest.strip_prefix(['.', ',']).filter(|rest| rest.starts_with(|c: char| c.is_ascii_digit()));
    let rest = fraction.map_or(rest, |fraction| fraction.trim_start_matches(|c: char| c.is_ascii_digit()));
    in_range.then_some(rest)
}

/// `Z` or `+01:00`.
fn is_zone(text: &str) -> bool {
    let two = |part: &str, most| part.len() == 2 && short(part).is_some_and(|number| number <= most);
    let offset = text.strip_prefix(['-', '+']).and_then(|rest| rest.split_once(':'));
    text == "Z" || offset.is_some_and(|(hours, minutes)| two(hours, 24) && two(minutes, 60))
}
