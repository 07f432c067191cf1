//! Scalars as kubectl reads them: YAML 1.1 booleans and octal numbers, as the YAML library of Kubernetes resolves
//! them (sigs.k8s.io/yaml, goyaml.v2 `resolve.go`). What looks like a date stays a string.

use k8s_openapi::ByteString;
use saphyr_parser::{ScalarStyle, Tag};
use serde::Deserialize;
use serde::de::IntoDeserializer;
use serde::de::value::{Error as ValueError, StrDeserializer};
use serde_json::Number;

use super::node::Kind;

/// A scalar that cannot be read as its tag says, or not be kept in JSON; in words for a person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct BadScalar(pub(crate) &'static str);

pub(crate) fn resolve(text: &str, style: ScalarStyle, tag: Option<&Tag>) -> Result<Kind, BadScalar> {
    let suffix = match tag {
        None if style == ScalarStyle::Plain => return plain(text),
        None => return Ok(Kind::Text(text.to_owned())),
        Some(tag) if tag.is_yaml_core_schema() => tag.suffix.as_str(),
        // A tag of somebody's own says nothing about the value.
        Some(_) => return Ok(Kind::Text(text.to_owned())),
    };
    let value = match suffix {
        "int" | "float" | "bool" | "null" => plain(text)?,
        "binary" => return binary(text),
        _ => return Ok(Kind::Text(text.to_owned())),
    };
    match (suffix, &value) {
        ("int", Kind::Number(_)) if integer(&text.replace('_', "")).is_none() => {
            Err(BadScalar("the value is not what its tag says"))
        }
        ("int" | "float", Kind::Number(_)) | ("bool", Kind::Bool(_)) | ("null", Kind::Null) => Ok(value),
        _ => Err(BadScalar("the value is not what its tag says")),
    }
}

fn plain(text: &str) -> Result<Kind, BadScalar> {
    if let Some(kind) = word(text) {
        return Ok(kind);
    }
    if is_not_finite(text) {
        return Err(BadScalar("infinity and not-a-number have no place in a manifest"));
    }
    let maybe_number = text.starts_with(|c: char| matches!(c, '0'..='9' | '+' | '-' | '.'));
    Ok(maybe_number.then(|| number(text)).flatten().map_or_else(|| Kind::Text(text.to_owned()), Kind::Number))
}

/// Without quotes it is still text.
pub(crate) fn is_plain_text(text: &str) -> bool {
    matches!(plain(text), Ok(Kind::Text(_)))
}

fn word(text: &str) -> Option<Kind> {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => Some(Kind::Null),
        "y" | "Y" | "yes" | "Yes" | "YES" | "true" | "True" | "TRUE" | "on" | "On" | "ON" => {
            Some(Kind::Bool(true))
        }
        "n" | "N" | "no" | "No" | "NO" | "false" | "False" | "FALSE" | "off" | "Off" | "OFF" => {
            Some(Kind::Bool(false))
        }
        _ => None,
    }
}

fn is_not_finite(text: &str) -> bool {
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    matches!(unsigned, ".inf" | ".Inf" | ".INF") || matches!(text, ".nan" | ".NaN" | ".NAN")
}

/// An integer in any base, else a decimal fraction. A fraction without a fractional part is an integer, as it is
/// after kubectl's way through JSON: `8e1` is 80, and `08`, which is no octal number, is 8.
fn number(text: &str) -> Option<Number> {
    let digits = if text.starts_with('.') { text.to_owned() } else { text.replace('_', "") };
    if let Some(integer) = integer(&digits) {
        return Some(integer);
    }
    let float: f64 = looks_decimal(&digits).then(|| digits.parse().ok()).flatten()?;
    // Below 2^53 every whole float is one integer.
    if float.fract() == 0.0 && float.abs() < 9_007_199_254_740_992.0 {
        #[expect(clippy::cast_possible_truncation, reason = "whole and below 2^53")]
        return Some(Number::from(float as i64));
    }
    Number::from_f64(float)
}

fn integer(text: &str) -> Option<Number> {
    let (negative, unsigned) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let (base, digits) = match unsigned.as_bytes() {
        [b'0', b'x' | b'X', ..] => (16, &unsigned[2..]),
        [b'0', b'o' | b'O', ..] => (8, &unsigned[2..]),
        [b'0', b'b' | b'B', ..] => (2, &unsigned[2..]),
        [b'0', _, ..] => (8, &unsigned[1..]),
        _ => (10, unsigned),
    };
    if !digits.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        return None;
    }
    let magnitude = u64::from_str_radix(digits, base).ok()?;
    if negative {
        0i64.checked_sub_unsigned(magnitude).map(Number::from)
    } else {
        Some(Number::from(magnitude))
    }
}

/// `[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?`
fn looks_decimal(text: &str) -> bool {
    let digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, exponent.strip_prefix(['-', '+']).unwrap_or(exponent)),
        None => (unsigned, "0"),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let some = !whole.is_empty() || !fraction.is_empty();
    some && !exponent.is_empty() && digits(whole) && digits(fraction) && digits(exponent)
}

fn binary(text: &str) -> Result<Kind, BadScalar> {
    let bytes = base64(text).ok_or(BadScalar("the value is not base64"))?;
    let text = String::from_utf8(bytes).map_err(|_| {
        BadScalar("the decoded value is not text; bytes go to `binaryData` or to a Secret's `data`")
    })?;
    Ok(Kind::Text(text))
}

/// Standard base64; line breaks count for nothing, as in Kubernetes.
pub(crate) fn base64(text: &str) -> Option<Vec<u8>> {
    let packed = without_breaks(text);
    let from: StrDeserializer<'_, ValueError> = packed.as_str().into_deserializer();
    ByteString::deserialize(from).ok().map(|bytes| bytes.0)
}

pub(crate) fn without_breaks(text: &str) -> String {
    text.chars().filter(|c| !matches!(c, '\r' | '\n')).collect()
}

/// A mapping's key. What kubectl makes of a fraction is nobody's intention: `1.0` would become `1`, and `1e6`
/// `1e+06`.
pub(crate) fn resolve_key(text: &str, style: ScalarStyle, tag: Option<&Tag>) -> Result<Kind, BadScalar> {
    let kind = resolve(text, style, tag)?;
    let whole = |text: &str| integer(&text.replace('_', "")).is_some_and(|number| number.is_i64());
    match kind {
        Kind::Number(_) if !whole(text) => {
            Err(BadScalar("a key that looks like a fraction or a very large number has to be in quotes"))
        }
        Kind::Null | Kind::Bool(_) | Kind::Number(_) | Kind::Text(_) | Kind::List(_) | Kind::Map(_) => {
            Ok(kind)
        }
    }
}

/// A mapping's key is text whatever it looks like: `on` is `true`, `0x10` is `16`.
pub(crate) fn key(kind: Kind) -> Result<String, BadScalar> {
    match kind {
        Kind::Text(text) => Ok(text),
        Kind::Bool(truth) => Ok(truth.to_string()),
        Kind::Number(number) => Ok(number.to_string()),
        Kind::Null => Err(BadScalar("a key cannot be null")),
        Kind::List(_) | Kind::Map(_) => Err(BadScalar("a key cannot be a list or a mapping")),
    }
}
