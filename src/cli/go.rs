//! Values as Go prints them, which is what kubectl's output is made of.

use serde_json::{Number, Value};

/// As a jsonpath template prints a value: scalars bare, the rest as JSON.
pub(crate) fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Number(number) => number_in(number, fraction),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => json(value),
    }
}

/// As `fmt.Sprint`: `map[a:1 b:[x y]]`. Custom columns show so what is not a scalar.
pub(crate) fn sprint(value: &Value) -> String {
    match value {
        Value::Null => "<nil>".to_owned(),
        Value::Bool(_) | Value::Number(_) | Value::String(_) => text(value),
        Value::Array(items) => {
            let items: Vec<String> = items.iter().map(sprint).collect();
            format!("[{}]", items.join(" "))
        }
        Value::Object(fields) => {
            let fields: Vec<String> =
                fields.iter().map(|(key, value)| format!("{key}:{}", sprint(value))).collect();
            format!("map[{}]", fields.join(" "))
        }
    }
}

/// JSON in one line.
pub(crate) fn json(value: &Value) -> String {
    let mut written = String::new();
    write(value, None, &mut written);
    written
}

/// JSON indented by four spaces.
pub(crate) fn json_indented(value: &Value) -> String {
    let mut written = String::new();
    write(value, Some(0), &mut written);
    written
}

fn write(value: &Value, depth: Option<usize>, out: &mut String) {
    match value {
        Value::Null => out.push_str("null"),
        Value::Bool(known) => out.push_str(&known.to_string()),
        Value::Number(number) => out.push_str(&number_in(number, json_fraction)),
        Value::String(text) => quote(text, out),
        Value::Array(items) if items.is_empty() => out.push_str("[]"),
        Value::Object(fields) if fields.is_empty() => out.push_str("{}"),
        Value::Array(items) => {
            let deeper = depth.map(|depth| depth + 1);
            for (at, item) in items.iter().enumerate() {
                out.push(if at == 0 { '[' } else { ',' });
                line(deeper, out);
                write(item, deeper, out);
            }
            line(depth, out);
            out.push(']');
        }
        Value::Object(fields) => {
            let deeper = depth.map(|depth| depth + 1);
            for (at, (key, item)) in fields.iter().enumerate() {
                out.push(if at == 0 { '{' } else { ',' });
                line(deeper, out);
                quote(key, out);
                out.push_str(if depth.is_some() { ": " } else { ":" });
                write(item, deeper, out);
            }
            line(depth, out);
            out.push('}');
        }
    }
}

fn line(depth: Option<usize>, out: &mut String) {
    if let Some(depth) = depth {
        out.push('\n');
        out.push_str(&"    ".repeat(depth));
    }
}

/// Go's JSON writes as escapes what could end a script in a page.
fn quote(text: &str, out: &mut String) {
    for c in Value::from(text).to_string().chars() {
        match c {
            '<' | '>' | '&' | '\u{2028}' | '\u{2029}' => out.push_str(&format!("\\u{:04x}", u32::from(c))),
            c => out.push(c),
        }
    }
}

fn number_in(number: &Number, shape: fn(f64) -> String) -> String {
    match number.as_f64() {
        Some(float) if number.is_f64() => shape(float),
        Some(_) | None => number.to_string(),
    }
}

/// `%v` of a float64: with an exponent from a million on.
fn fraction(float: f64) -> String {
    let (digits, exponent) = scientific(float);
    if (-4..6).contains(&exponent) { float.to_string() } else { format!("{digits}e{}", signed(exponent, 2)) }
}

fn json_fraction(float: f64) -> String {
    let (digits, exponent) = scientific(float);
    if (-6..21).contains(&exponent) { float.to_string() } else { format!("{digits}e{}", signed(exponent, 1)) }
}

fn scientific(float: f64) -> (String, i32) {
    let text = format!("{float:e}");
    let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    (digits.to_owned(), exponent.parse().unwrap_or(0))
}

fn signed(exponent: i32, width: usize) -> String {
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{sign}{:0width$}", exponent.unsigned_abs())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn numbers_are_printed_as_go_prints_them() {
        let cases = [
            (json!(8080), "8080", "8080"),
            (json!(1.5), "1.5", "1.5"),
            (json!(100_000.5), "100000.5", "100000.5"),
            (json!(123_456_789.25), "1.2345678925e+08", "123456789.25"),
            (json!(0.00001), "1e-05", "0.00001"),
            (json!(1e-7), "1e-07", "1e-7"),
            (json!(1e20), "1e+20", "100000000000000000000"),
            (json!(1e22), "1e+22", "1e+22"),
        ];
        for (value, bare, in_json) in cases {
            assert_eq!((text(&value).as_str(), json(&value).as_str()), (bare, in_json), "{value}");
        }
    }

    #[test]
    fn what_is_no_scalar_has_two_faces() {
        let value = json!({"a": [1, "x y", null], "b": {"c": true}, "e": []});
        assert_eq!(text(&value), r#"{"a":[1,"x y",null],"b":{"c":true},"e":[]}"#);
        assert_eq!(sprint(&value), "map[a:[1 x y <nil>] b:map[c:true] e:[]]");
        assert_eq!(
            json_indented(&json!({"a": ["<&>"], "e": {}})),
            "{\n    \"a\": [\n        \"\\u003c\\u0026\\u003e\"\n    ],\n    \"e\": {}\n}"
        );
    }
}
