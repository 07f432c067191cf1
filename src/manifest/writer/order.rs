//! The order in which kubectl writes fields: numbers in names count as numbers (goyaml.v2 `sorter.go`).

use std::cmp::Ordering;

use super::tree::Tree;

pub(super) fn sort(tree: &mut Tree) {
    match tree {
        Tree::Bare(_) | Tree::Text(_) => {}
        Tree::List(items) => items.iter_mut().for_each(sort),
        Tree::Map(fields) => {
            fields.iter_mut().for_each(|(_, value)| sort(value));
            *fields = sorted(std::mem::take(fields));
        }
    }
}

/// By halves and not by `sort_by`, which may panic: kubectl's order has circles (`a15`, `a1x`, `a2`).
fn sorted(mut fields: Vec<(String, Tree)>) -> Vec<(String, Tree)> {
    if fields.len() < 2 {
        return fields;
    }
    let back = sorted(fields.split_off(fields.len() / 2));
    let mut merged = Vec::with_capacity(fields.len() + back.len());
    let (mut front, mut back) = (sorted(fields).into_iter().peekable(), back.into_iter().peekable());
    while let (Some(one), Some(other)) = (front.peek(), back.peek()) {
        let first = if compare(&other.0, &one.0) == Ordering::Less { &mut back } else { &mut front };
        merged.extend(first.next());
    }
    merged.extend(front);
    merged.extend(back);
    merged
}

fn compare(a: &str, b: &str) -> Ordering {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let Some(at) = a.iter().zip(&b).position(|(a, b)| a != b) else { return a.len().cmp(&b.len()) };
    match (a[at].is_alphabetic(), b[at].is_alphabetic()) {
        (true, true) => return a[at].cmp(&b[at]),
        (true, false) => return Ordering::Greater,
        (false, true) => return Ordering::Less,
        (false, false) => {}
    }
    // A zero behind another digit is worth something, one at the front is not.
    let before = a[..at].iter().rev().take_while(|c| c.is_ascii_digit());
    let behind = (a[at] == '0' || b[at] == '0') && before.clone().any(|c| *c != '0');
    let (a_number, a_length) = number(&a[at..], behind);
    let (b_number, b_length) = number(&b[at..], behind);
    a_number.cmp(&b_number).then(a_length.cmp(&b_length)).then(a[at].cmp(&b[at]))
}

/// The number at the front of a text, and its digits.
fn number(text: &[char], behind: bool) -> (i64, usize) {
    let digits = text.iter().map_while(|c| c.to_digit(10));
    let number = digits
        .clone()
        .fold(i64::from(behind), |number, digit| number.wrapping_mul(10).wrapping_add(i64::from(digit)));
    (number, digits.count())
}
