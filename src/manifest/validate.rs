//! What Kubernetes demands of an object beyond its shape, and what this version of droppod cannot do. Rules yield
//! faults; all of them run.

mod claim;
pub(crate) mod config;
mod container;
mod cron;
mod environment;
mod job;
mod label_selector;
mod metadata;
mod names;
mod pod;
mod probe;
mod resources;
mod scheduling;
mod security;
mod volume;

pub(super) use security::UNCONFINED_TYPE;

use crate::api::Object;

use super::document::Type;
use super::fault::{Fault, MOST};
use super::node::{At, Kind};
use super::unknown::{Unknown, similar};

/// Where the rules put what they find.
#[derive(Debug, Default)]
pub(crate) struct Rules {
    pub(crate) faults: Vec<Fault>,
    /// Fields found wrong before; nothing more is said about them or what they hold.
    settled: Vec<String>,
}

impl Rules {
    pub(crate) fn settle(&mut self, wrong: &[Fault], unknown: &[Unknown]) {
        self.settled.extend(wrong.iter().chain(&self.faults).map(|fault| fault.field.clone()));
        self.settled.extend(unknown.iter().filter_map(|unknown| unknown.meant.clone()));
    }

    fn push(&mut self, fault: Fault) {
        let is_settled = self.settled.iter().any(|settled| {
            fault
                .field
                .strip_prefix(settled.as_str())
                .is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
        });
        if !is_settled && !self.is_full() {
            self.faults.push(fault);
        }
    }

    /// Enough is found: what takes time need not be looked for.
    fn is_full(&self) -> bool {
        self.faults.len() >= MOST
    }

    /// Whether a field directly in here was found wrong or mistyped: it may be the one that is missed.
    fn doubts(&self, at: &At<'_>) -> bool {
        let path = at.to_string();
        self.settled.iter().any(|settled| {
            settled.strip_prefix(path.as_str()).and_then(|rest| rest.strip_prefix('.')).is_some()
        })
    }

    fn wrong(&mut self, at: &At<'_>, message: &str, help: &str) {
        self.push(Fault::at(at, message, "").help(help));
    }

    /// Says so if a field is not there, or empty.
    fn required(&mut self, at: &At<'_>) {
        let is_empty = at.node.is_none_or(|node| match &node.kind {
            Kind::Null => true,
            Kind::Text(text) => text.is_empty(),
            Kind::Bool(_) | Kind::Number(_) | Kind::List(_) | Kind::Map(_) => false,
        });
        if is_empty {
            let name = at.last_key();
            let message = if at.node.is_some() { "the field is empty" } else { "the field is missing" };
            self.push(Fault::at(at, message, format!("`{name}` is needed here")));
        }
    }

    /// One of a few words.
    fn one_of(&mut self, at: &At<'_>, words: &[&str]) {
        let Some(text) = at.text().filter(|text| !words.contains(text)) else { return };
        let fault = Fault::at(at, "the value is not one that this field takes", "unknown here");
        let listed: Vec<String> =
            words.iter().filter(|word| !word.is_empty()).map(|word| format!("`{word}`")).collect();
        let help = match similar(text, words.iter().copied()) {
            Some(similar) => format!("did you mean `{similar}`?"),
            None => format!("write one of {}", listed.join(", ")),
        };
        self.push(fault.help(help));
    }

    fn within(&mut self, at: &At<'_>, number: Option<i64>, range: std::ops::RangeInclusive<i64>) {
        if number.is_some_and(|number| !range.contains(&number)) {
            let (low, high) = range.into_inner();
            let help = match high {
                i64::MAX => format!("write {low} or more"),
                _ if low == high => format!("write {low}"),
                _ => format!("write a number from {low} to {high}"),
            };
            let label = match number {
                Some(number) if number < low => format!("less than {low}"),
                Some(_) | None => format!("more than {high}"),
            };
            self.push(Fault::at(at, "the number is out of range", label).help(help));
        }
    }

    fn address(&mut self, at: &At<'_>, example: &str) {
        let fault = Fault::at(at, "the value is not an IP address", "not an address");
        self.push(fault.help(format!("write one such as {example}")));
    }

    /// The second of two that must differ; `what` is in the plural.
    fn twice(&mut self, second: &At<'_>, first: &At<'_>, what: &str) {
        let fault = Fault::at(second, format!("two {what} are the same"), "the same again")
            .label(first.span(), "first used here")
            .help("rename one of the two");
        self.push(fault);
    }
}

/// `at` is the whole object's place.
pub(crate) fn object(object: &Object, its: &Type, at: &At<'_>, rules: &mut Rules) {
    metadata::check(object, its, &at.key("metadata"), rules);
    match object {
        Object::Pod(pod) => pod::check(pod, at, rules),
        Object::ConfigMap(map) => config::config_map(map, at, rules),
        Object::Secret(secret) => config::secret(secret, at, rules),
        Object::Unserved { .. } if is_claim(its) => claim::check(&at.key("spec"), rules),
        Object::Job(job) => job::check(job, at, rules),
        Object::CronJob(cron) => cron::check(cron, at, rules),
        Object::Namespace(_) | Object::Unserved { .. } => {}
    }
}

/// A PersistentVolumeClaim is checked even where nothing serves it.
pub(crate) fn is_claim(its: &Type) -> bool {
    its.group.is_empty() && its.kind == "PersistentVolumeClaim"
}
