//! Template × object → values, with client-go's notions of missing keys, bounds and comparisons.

use std::cmp::Ordering;

use serde_json::Value;

use super::{End, Filter, Operator, Part, Slice, Step, Test};

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum EvaluateError {
    #[error("what [] is applied to is {0}, not a list")]
    NotAList(&'static str),
    #[error("what [?()] is applied to is {0}, not a list")]
    NotToBeFiltered(&'static str),
    #[error("index {index} is out of bounds: the list has length {length}")]
    OutOfBounds { index: i64, length: usize },
    #[error("a slice that starts at {start} cannot end at {end}")]
    Backwards { start: i64, end: i64 },
    #[error("the step of a slice must be greater than 0")]
    Step,
    #[error("a filter compares one value with one value, here are {0}")]
    ManyCompared(usize),
    #[error("{left} cannot be compared with {right}")]
    Incomparable { left: &'static str, right: &'static str },
}

type Found<'a> = Vec<&'a Value>;

/// What each part of a template finds, in the order of printing.
pub(super) fn parts<'a>(parts: &'a [Part], object: &'a Value) -> Result<Vec<Found<'a>>, EvaluateError> {
    let mut results = Vec::new();
    within(parts, object, &mut results)?;
    Ok(results)
}

fn within<'a>(
    parts: &'a [Part],
    object: &'a Value,
    results: &mut Vec<Found<'a>>,
) -> Result<(), EvaluateError> {
    for part in parts {
        match part {
            Part::Text(text) => results.push(vec![text]),
            Part::Action(path) => results.push(steps(path, vec![object])?),
            Part::Range { over, body } => {
                for value in steps(over, vec![object])? {
                    within(body, value, results)?;
                }
            }
        }
    }
    Ok(())
}

pub(super) fn steps<'a>(path: &'a [Step], mut found: Found<'a>) -> Result<Found<'a>, EvaluateError> {
    for step in path {
        found = take(step, found)?;
    }
    Ok(found)
}

fn take<'a>(step: &'a Step, input: Found<'a>) -> Result<Found<'a>, EvaluateError> {
    let mut found = Vec::new();
    match step {
        Step::Field(name) => {
            found.extend(input.into_iter().filter_map(|value| value.as_object()?.get(name)));
        }
        Step::Wildcard => {
            for value in input {
                found.extend(children(value));
            }
        }
        Step::Descend => {
            for value in input {
                descend(value, &mut found);
            }
        }
        Step::Slice(slice) => {
            for value in input.into_iter().filter(|value| !value.is_null()) {
                let length = value.as_array().ok_or(EvaluateError::NotAList(kind(value)))?.len();
                let Some((start, end, by)) = bounds(*slice, length)? else { return Ok(found) };
                found.extend(children(value).into_iter().skip(start).take(end - start).step_by(by));
            }
        }
        Step::Union(members) => {
            for member in members {
                found.extend(steps(member, input.clone())?);
            }
        }
        Step::Filter(filter) => {
            for value in input {
                if !value.is_array() {
                    return Err(EvaluateError::NotToBeFiltered(kind(value)));
                }
                for child in children(value) {
                    if passes(filter, child)? {
                        found.push(child);
                    }
                }
            }
        }
        Step::Literal(literal) => {
            // A text stands for itself, a number or boolean once for each value before it.
            let times = if literal.is_string() { 1 } else { input.len() };
            found.extend(std::iter::repeat_n(literal, times));
        }
    }
    Ok(found)
}

/// What stands in an object or a list.
fn children(value: &Value) -> Found<'_> {
    match value {
        Value::Array(items) => items.iter().collect(),
        Value::Object(fields) => fields.values().collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => Vec::new(),
    }
}

/// Everything that has parts, each before its parts. A text counts as having some, as Go sees it.
fn descend<'a>(value: &'a Value, found: &mut Found<'a>) {
    let has_parts = match value {
        Value::Object(fields) => !fields.is_empty(),
        Value::Array(items) => !items.is_empty(),
        Value::String(text) => !text.is_empty(),
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
    };
    if has_parts {
        found.push(value);
        for child in children(value) {
            descend(child, found);
        }
    }
}

/// First index, the index after the last, and the step; nothing where the slice is empty.
fn bounds(slice: Slice, length: usize) -> Result<Option<(usize, usize, usize)>, EvaluateError> {
    let whole = i64::try_from(length).unwrap_or(i64::MAX);
    let from_the_end = |index: i64| if index < 0 { index.saturating_add(whole) } else { index };
    let start = from_the_end(slice.start.unwrap_or(0));
    let end = match slice.end {
        End::Open => whole,
        End::At(end) => from_the_end(end),
        // Reckoned before the end of the list comes in: after -1 is the end.
        End::AfterStart => match slice.start.unwrap_or(0).saturating_add(1) {
            0 => whole,
            end => from_the_end(end),
        },
    };
    if start == end {
        return Ok(None);
    }
    let within = |index: i64, bound: usize| usize::try_from(index).ok().filter(|index| *index < bound);
    let first = within(start, length).ok_or(EvaluateError::OutOfBounds { index: start, length })?;
    let after = within(end, length.saturating_add(1));
    let after = after.ok_or(EvaluateError::OutOfBounds { index: end - 1, length })?;
    if first > after {
        return Err(EvaluateError::Backwards { start, end });
    }
    let step = usize::try_from(slice.step.unwrap_or(1)).ok().filter(|step| *step > 0);
    Ok(Some((first, after, step.ok_or(EvaluateError::Step)?)))
}

fn passes<'a>(filter: &'a Filter, value: &'a Value) -> Result<bool, EvaluateError> {
    let left = steps(&filter.left, vec![value]);
    let (operator, right) = match &filter.test {
        // What cannot be looked up is not there.
        Test::Exists => return Ok(left.is_ok_and(|left| !left.is_empty())),
        Test::Compare(operator, right) => (*operator, right),
    };
    let Some(left) = single(left?)? else { return Ok(false) };
    let Some(right) = single(steps(right, vec![value])?)? else { return Ok(false) };
    compare(operator, left, right)
}

fn single(mut found: Found<'_>) -> Result<Option<&Value>, EvaluateError> {
    match found.len() {
        0 | 1 => Ok(found.pop()),
        many => Err(EvaluateError::ManyCompared(many)),
    }
}

/// Only values of one kind compare; booleans have no order.
fn compare(operator: Operator, left: &Value, right: &Value) -> Result<bool, EvaluateError> {
    let incomparable = || EvaluateError::Incomparable { left: kind(left), right: kind(right) };
    let order = match (left, right) {
        (Value::String(left), Value::String(right)) => left.cmp(right),
        (Value::Number(left), Value::Number(right)) => match (left.as_i64(), right.as_i64()) {
            (Some(left), Some(right)) => left.cmp(&right),
            (None, None) => left.as_f64().partial_cmp(&right.as_f64()).ok_or_else(incomparable)?,
            (Some(_), None) | (None, Some(_)) => return Err(incomparable()),
        },
        (Value::Bool(left), Value::Bool(right)) => match operator {
            Operator::Equal => return Ok(left == right),
            Operator::NotEqual => return Ok(left != right),
            Operator::Less | Operator::LessOrEqual | Operator::Greater | Operator::GreaterOrEqual => {
                return Err(incomparable());
            }
        },
        _ => return Err(incomparable()),
    };
    Ok(match operator {
        Operator::Equal => order == Ordering::Equal,
        Operator::NotEqual => order != Ordering::Equal,
        Operator::Less => order == Ordering::Less,
        Operator::LessOrEqual => order != Ordering::Greater,
        Operator::Greater => order == Ordering::Greater,
        Operator::GreaterOrEqual => order != Ordering::Less,
    })
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(number) if number.is_f64() => "a number with a fraction",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}
