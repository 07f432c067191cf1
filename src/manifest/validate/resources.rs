//! `resources`: names, quantities, requests below limits.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::ResourceRequirements;
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;

use crate::manifest::fault::Fault;
use crate::manifest::node::At;
use crate::manifest::unknown::similar;
use crate::model::quantity;

use super::Rules;
use super::names::QUALIFIED;

const NAMES: &[&str] = &["cpu", "memory", "ephemeral-storage"];
const OF_POD: &[&str] = &["cpu", "memory"];
const HUGE_PAGES: &str = "hugepages-";

/// Thousandths, by name.
type Amounts<'r> = BTreeMap<&'r str, i128>;

pub(super) fn check(resources: &ResourceRequirements, at: &At<'_>, rules: &mut Rules) {
    amounts(resources, NAMES, at, rules);
}

/// A pod's own resources: no devices, no storage.
pub(super) fn of_pod(resources: &ResourceRequirements, at: &At<'_>, rules: &mut Rules) {
    amounts(resources, OF_POD, at, rules);
    for list in [at.key("limits"), at.key("requests")] {
        for place in list.each_entry() {
            let name = place.last_key();
            if name == "ephemeral-storage" || name.contains('/') {
                let fault =
                    Fault::at_key(&place, "a pod as a whole has no such resource", "not allowed here");
                rules.push(fault.help("give it to a container"));
            }
        }
    }
}

fn amounts(resources: &ResourceRequirements, known: &[&str], at: &At<'_>, rules: &mut Rules) {
    let (limits_at, requests_at) = (at.key("limits"), at.key("requests"));
    let limits = quantities(resources.limits.as_ref(), known, &limits_at, rules);
    let requests = quantities(resources.requests.as_ref(), known, &requests_at, rules);
    for (name, request) in &requests {
        let (request_at, limit_at) = (requests_at.key(name), limits_at.key(name));
        match limits.get(name) {
            Some(limit) if limit < request => {
                let fault = Fault::at(&request_at, "more is requested than the limit allows", "more than")
                    .label(limit_at.span(), "this limit")
                    .help("raise the limit, or lower the request");
                rules.push(fault);
            }
            Some(limit) if limit != request && !is_shared(name) => {
                let fault = Fault::at(
                    &request_at,
                    "this resource is not shared, so its limit equals its request",
                    "not equal",
                )
                .label(limit_at.span(), "to this limit")
                .help("make the two equal, or leave out the request");
                rules.push(fault);
            }
            None if !is_shared(name) => {
                let fault = Fault::at_key(
                    &request_at,
                    "this resource is not shared, so it needs a limit",
                    "no limit",
                );
                rules.push(fault.help("write it under `limits`, with the same amount"));
            }
            Some(_) | None => {}
        }
    }
    let names = || limits_at.each_entry().chain(requests_at.each_entry()).map(|place| place.last_key());
    if let Some(huge) = limits.keys().chain(requests.keys()).find(|name| name.starts_with(HUGE_PAGES))
        && !names().any(|name| matches!(name, "cpu" | "memory"))
    {
        let (limit_at, request_at) = (limits_at.key(huge), requests_at.key(huge));
        let huge_at = if limit_at.is_set() { &limit_at } else { &request_at };
        let fault = Fault::at_key(huge_at, "huge pages are given only together with cpu or memory", "alone");
        rules.push(fault.help("add a limit of cpu or memory"));
    }
}

/// Whether containers may ask for more of it than there is.
fn is_shared(name: &str) -> bool {
    NAMES.contains(&name)
}

/// The valid ones.
fn quantities<'r>(
    given: Option<&'r BTreeMap<String, Quantity>>,
    known: &[&str],
    at: &At<'_>,
    rules: &mut Rules,
) -> Amounts<'r> {
    let mut valid = BTreeMap::new();
    for place in at.each_entry() {
        let Some((name, given)) = given.and_then(|given| given.get_key_value(place.last_key())) else {
            continue;
        };
        if name.contains('/') {
            rules.key_name(&place, &QUALIFIED);
        } else if !NAMES.contains(&name.as_str()) && !name.starts_with(HUGE_PAGES) {
            rules.push(no_such_resource(name, known, &place));
            continue;
        }
        if let Some(amount) = quantity_at(&given.0, &place, rules) {
            if !is_shared(name) && amount % 1000 != 0 {
                let fault = Fault::at(&place, "this resource comes in whole units only", "a fraction");
                rules.push(fault.help("write a whole number"));
            } else if name.starts_with(HUGE_PAGES) {
                whole_pages(name, amount, &place, rules);
            } else if name != "cpu" {
                whole_bytes(amount, &place, rules);
            }
            valid.insert(name.as_str(), amount);
        }
    }
    valid
}

/// `amount` in thousandths of a byte.
fn whole_pages(name: &str, amount: i128, at: &At<'_>, rules: &mut Rules) {
    match quantity::page_size(name) {
        Some(size) if amount % (i128::from(size) * 1000) == 0 => {}
        Some(_) => {
            let fault = Fault::at(at, "the amount is no whole number of pages", "a part of a page");
            rules.push(fault.help("write a multiple of the size of a page, which is in the name"));
        }
        None => {
            let fault = Fault::at_key(at, "the name does not say how large a page is", "no size");
            rules.push(fault.help("write `hugepages-2Mi` or another size that the machine has"));
        }
    }
}

fn no_such_resource(name: &str, known: &[&str], at: &At<'_>) -> Fault {
    let fault = Fault::at_key(at, "there is no such resource", "unknown resource");
    match similar(name, known.iter().copied()) {
        Some(similar) => fault.help(format!("did you mean `{similar}`?")),
        None => fault.help(format!("a resource is {}", known.join(" or "))),
    }
}

/// A quantity that is neither malformed nor below zero.
pub(super) fn quantity_at(text: &str, at: &At<'_>, rules: &mut Rules) -> Option<i128> {
    match quantity::milli(text) {
        Some(amount) if amount >= 0 => Some(amount),
        Some(_) => {
            rules
                .push(Fault::at(at, "a quantity cannot be below zero", "below zero").help("write 0 or more"));
            None
        }
        None => {
            let fault = Fault::at(at, "the value is not a quantity", "not a quantity");
            rules.push(fault.help(remedy(text)));
            None
        }
    }
}

/// `memory: 500m` is half a byte.
pub(super) fn whole_bytes(milli: i128, at: &At<'_>, rules: &mut Rules) {
    if milli % 1000 != 0 {
        let fault = Fault::at(at, "the amount is no whole number of bytes", "a fraction of a byte");
        rules
            .push(fault.help("write whole bytes, or a suffix such as `Mi`; `m` means thousandths").warning());
    }
}

/// Units that people write, and the suffix that means them.
const UNITS: &[(&str, &str)] = &[
    ("b", "without a unit, in bytes"),
    ("byte", "without a unit, in bytes"),
    ("bytes", "without a unit, in bytes"),
    ("kb", "with the suffix `Ki` (1024) or `k` (1000)"),
    ("kib", "with the suffix `Ki`"),
    ("ki", "with the suffix `Ki`"),
    ("k", "with the suffix `Ki` (1024) or `k` (1000)"),
    ("mb", "with the suffix `Mi` (1024 squared) or `M` (1000 squared)"),
    ("mib", "with the suffix `Mi`"),
    ("mi", "with the suffix `Mi`"),
    ("g", "with the suffix `Gi` (1024 cubed) or `G` (1000 cubed)"),
    ("gb", "with the suffix `Gi` (1024 cubed) or `G` (1000 cubed)"),
    ("gib", "with the suffix `Gi`"),
    ("gi", "with the suffix `Gi`"),
    ("t", "with the suffix `Ti` or `T`"),
    ("tb", "with the suffix `Ti` or `T`"),
    ("ti", "with the suffix `Ti`"),
    ("tib", "with the suffix `Ti`"),
    ("core", "without a unit, in cores, or with the suffix `m` in thousandths of a core"),
    ("cores", "without a unit, in cores, or with the suffix `m` in thousandths of a core"),
    ("cpu", "without a unit, in cores, or with the suffix `m` in thousandths of a core"),
    ("cpus", "without a unit, in cores, or with the suffix `m` in thousandths of a core"),
];

fn remedy(text: &str) -> String {
    let unit =
        text.trim_start_matches(|c: char| c.is_ascii_digit() || matches!(c, '.' | ',' | ' ' | '+' | '-'));
    let lower = unit.to_ascii_lowercase();
    if text.contains(',') {
        "write a decimal point, not a comma".to_owned()
    } else if let Some((_, how)) = UNITS.iter().find(|(name, _)| *name == lower) {
        format!("write it {how}")
    } else if text.contains(' ') {
        "write the suffix without a blank before it".to_owned()
    } else if text.ends_with('%') {
        "write an amount, not a share: 500m is half a core".to_owned()
    } else {
        "write a number and a suffix, such as 500m for cpu or 64Mi for memory".to_owned()
    }
}
