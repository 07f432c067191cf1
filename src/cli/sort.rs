//! `--sort-by`: objects in the order of one of their fields, as kubectl sorts them.

use std::cmp::Ordering;

use serde_json::Value;

use crate::model::quantity::milli;

use super::exit::Exit;
use super::failure::Failure;
use super::jsonpath::Path;
use super::print::unprintable;

/// Sorts; objects without the field come first. Equal ones keep their order.
pub(crate) fn by(path: &Path, written: &str, objects: &mut Vec<Value>) -> Result<(), Failure> {
    let mut keyed = Vec::new();
    for object in std::mem::take(objects) {
        let key = path.find(&object).map_err(unprintable)?.into_iter().next().cloned();
        keyed.push((key, object));
    }
    if !keyed.is_empty() && keyed.iter().all(|(key, _)| key.is_none()) {
        return Err(Failure::new(Exit::Failed, format!("no object has a field {written} to sort by")));
    }
    keyed.sort_by(|(a, _), (b, _)| match (a, b) {
        (None, None) => Ordering::Equal,
        (None, Some(_)) => Ordering::Less,
        (Some(_), None) => Ordering::Greater,
        (Some(a), Some(b)) => order(a, b),
    });
    objects.extend(keyed.into_iter().map(|(_, object)| object));
    Ok(())
}

fn order(a: &Value, b: &Value) -> Ordering {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => match (a.as_i64(), b.as_i64()) {
            (Some(a), Some(b)) => a.cmp(&b),
            _ => a.as_f64().partial_cmp(&b.as_f64()).unwrap_or(Ordering::Equal),
        },
        (Value::Bool(a), Value::Bool(b)) => a.cmp(b),
        (Value::String(a), Value::String(b)) => match (milli(a), milli(b)) {
            (Some(a), Some(b)) => a.cmp(&b),
            _ => natural(a, b),
        },
        _ => Ordering::Equal,
    }
}

/// Digits count as the number they are: `web-2` before `web-10`.
fn natural(a: &str, b: &str) -> Ordering {
    let (mut a, mut b) = (a, b);
    loop {
        let (digits_a, digits_b) = (digits(a), digits(b));
        if digits_a > 0 && digits_b > 0 {
            let (number_a, rest_a) = a.split_at(digits_a);
            let (number_b, rest_b) = b.split_at(digits_b);
            let value = |text: &str| text.trim_start_matches('0').to_owned();
            let (value_a, value_b) = (value(number_a), value(number_b));
            let order = value_a.len().cmp(&value_b.len()).then_with(|| value_a.cmp(&value_b));
            // As many zeros in front as are fewer come first.
            let order = order.then_with(|| digits_a.cmp(&digits_b));
            if order != Ordering::Equal {
                return order;
            }
            (a, b) = (rest_a, rest_b);
            continue;
        }
        match (a.chars().next(), b.chars().next()) {
            (Some(x), Some(y)) if x == y => (a, b) = (&a[x.len_utf8()..], &b[y.len_utf8()..]),
            (x, y) => return x.cmp(&y),
        }
    }
}

fn digits(text: &str) -> usize {
    text.bytes().take_while(u8::is_ascii_digit).count()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn sorted(values: &[Value]) -> Vec<Value> {
        let mut objects: Vec<Value> = values
            .iter()
            .map(|value| if value.is_null() { json!({}) } else { json!({"x": value}) })
            .collect();
        by(&Path::parse(".x").unwrap(), ".x", &mut objects).unwrap();
        objects.into_iter().map(|mut object| object["x"].take()).collect()
    }

    #[test]
    fn fields_are_sorted_by_what_they_are() {
        let words = json!(["web-10", "web-2", null, "api"]);
        assert_eq!(json!(sorted(words.as_array().unwrap())), json!([null, "api", "web-2", "web-10"]));
        let sizes = json!(["1Gi", "500Mi", "2G"]);
        assert_eq!(json!(sorted(sizes.as_array().unwrap())), json!(["500Mi", "1Gi", "2G"]));
        let numbers = json!([10, 9, 100]);
        assert_eq!(json!(sorted(numbers.as_array().unwrap())), json!([9, 10, 100]));
        let times = json!(["2026-01-02T00:00:00Z", "2025-12-31T23:59:59Z"]);
        assert_eq!(sorted(times.as_array().unwrap())[0], json!("2025-12-31T23:59:59Z"));
    }

    #[test]
    fn a_field_that_no_object_has_is_a_mistake() {
        assert!(by(&Path::parse(".y").unwrap(), ".y", &mut vec![json!({"x": 1})]).is_err());
        assert!(by(&Path::parse(".y").unwrap(), ".y", &mut Vec::new()).is_ok());
    }
}
