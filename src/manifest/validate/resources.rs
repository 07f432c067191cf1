//! `resources`: names, quantities, requests below limits.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::ResourceRequirements;
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;

use crate::manifest::fault::Fault;
use crate::manifest::node::At;
use crate::manifest::unknown::similar;
use crate::model::quantity;

use super::Rules;

const NAMES: &[&str] = &["cpu", "memory", "ephemeral-storage"];

pub(super) fn check(resources: &ResourceRequirements, at: &At<'_>, rules: &mut Rules) {
    let (limits_at, requests_at) = (at.key("limits"), at.key("requests"));
    let limits = quantities(resources.limits.as_ref(), &limits_at, rules);
    let requests = quantities(resources.requests.as_ref(), &requests_at, rules);
    for (name, request) in requests {
        if limits.get(name).is_some_and(|limit| *limit < request) {
            let fault =
                Fault::at(&requests_at.key(name), "more is requested than the limit allows", "more than")
                    .label(limits_at.key(name).span(), "this limit");
            rules.push(fault);
        }
    }
}

/// The valid ones, in thousandths.
fn quantities<'r>(
    given: Option<&'r BTreeMap<String, Quantity>>,
    at: &At<'_>,
    rules: &mut Rules,
) -> BTreeMap<&'r str, i128> {
    let mut valid = BTreeMap::new();
    for place in at.each_entry() {
        let Some((name, given)) = given.and_then(|given| given.get_key_value(place.last_key())) else {
            continue;
        };
        let known = NAMES.contains(&name.as_str()) || name.starts_with("hugepages-") || name.contains('/');
        if !known {
            let fault = Fault::at_key(&place, "there is no such resource", "unknown resource");
            rules.push(match similar(name, NAMES.iter().copied()) {
                Some(similar) => fault.help(format!("did you mean `{similar}`?")),
                None => fault.help("a resource is cpu, memory or ephemeral-storage"),
            });
        }
        if let Some(amount) = quantity_at(&given.0, &place, rules) {
            valid.insert(name.as_str(), amount);
        }
    }
    valid
}

/// A quantity that is neither malformed nor below zero.
pub(super) fn quantity_at(text: &str, at: &At<'_>, rules: &mut Rules) -> Option<i128> {
    match quantity::milli(text) {
        Some(amount) if amount >= 0 => Some(amount),
        Some(_) => {
            rules.wrong(at, "a quantity cannot be below zero", "write 0 or more");
            None
        }
        None => {
            let fault = Fault::at(at, "the value is not a quantity", "not a quantity")
                .help("write a number and a suffix, such as 500m for cpu or 64Mi for memory");
            rules.push(fault);
            None
        }
    }
}
