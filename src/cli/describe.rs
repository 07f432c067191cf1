//! `describe`: an object and its events for a person, in kubectl's words and order.

use std::collections::BTreeMap;
use std::io::{Write, stdout};
use std::path::PathBuf;

use jiff::tz::TimeZone;
use k8s_openapi::api::core::v1::Event;
use serde_json::Value;

use crate::api::{ConfigMap, CronJob, Job, KindName, Namespace, Object, Pod, Secret};
use crate::manifest::{Declared, Strictness};
use crate::model::time::Timestamp;
use crate::sandbox::sys::clock;

use super::exit::Exit;
use super::failure::Failure;
use super::folder::NAMESPACE;
use super::input::{self, Depth};
use super::records::{Records, Shown, not_found};
use super::selector::{self, Selector};
use super::settings::{Scope, Settings};
use super::{go, target, tell, tell_failure};

mod container;
mod events;
mod job;
mod metadata;
mod others;
mod pod;
mod sheet;
#[cfg(test)]
mod tests;
mod volumes;

use sheet::Sheet;

pub(crate) use events::interval;

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  droppod describe pod web
  droppod describe pods -l app=web
  droppod describe cm/settings
  droppod describe -f web.yaml

A NAME that no object has describes those whose names begin with it.")]
pub(crate) struct DescribeArgs {
    /// TYPE [NAME…] or TYPE/NAME…; TYPE is pods, jobs, cronjobs, configmaps, secrets or namespaces
    #[arg(required_unless_present = "files", value_name = "TYPE [NAME] | TYPE/NAME")]
    words: Vec<String>,
    /// The objects that these manifests declare
    #[arg(short, long = "filename", value_name = "PATH", conflicts_with = "words")]
    files: Vec<PathBuf>,
    /// Look into subdirectories
    #[arg(short = 'R', long, requires = "files")]
    recursive: bool,
    /// Only objects with these labels, such as app=web,tier!=db
    #[arg(short = 'l', long, value_parser = selector::parse)]
    selector: Option<Selector>,
    /// Show the events; =false leaves them out
    #[arg(long, value_name = "BOOL", default_value = "true", num_args = 0..=1, default_missing_value = "true",
          require_equals = true, action = clap::ArgAction::Set)]
    show_events: bool,
}

pub(crate) fn run(args: &DescribeArgs, settings: &Settings) -> Result<Exit, Failure> {
    let wanted = wanted(args, settings)?;
    let selector = args.selector.clone().unwrap_or_default();
    let records = Records::load(&settings.places)?;
    let mut chosen: Vec<&Shown> = Vec::new();
    let mut missing = Vec::new();
    let mut undeclared = None;
    for Wanted { kind, name, scope } in &wanted {
        let objects: Vec<&Shown> = records.of(kind, scope, &selector).collect();
        let default = records.undeclared_default().filter(|_| kind.kind == "Namespace");
        let Some(name) = name else {
            chosen.extend(objects);
            undeclared = undeclared.or(default.filter(|_| selector.matches(&BTreeMap::new())));
            continue;
        };
        if default.is_some() && name == NAMESPACE {
            undeclared = default;
            continue;
        }
        let of_name = |shown: &&Shown| shown.known.record.key.name == *name;
        let begins = |shown: &&Shown| shown.known.record.key.name.starts_with(name);
        let found: Vec<&Shown> = match objects.iter().copied().find(of_name) {
            Some(one) => vec![one],
            None => objects.into_iter().filter(begins).collect(),
        };
        if found.is_empty() {
            missing.push(not_found(kind.plural, name));
        }
        chosen.extend(found);
    }
    let now = clock::wall();
    let zone = TimeZone::try_system().unwrap_or(TimeZone::UTC);
    let mut texts: Vec<String> = chosen
        .iter()
        .map(|shown| {
            let events = args.show_events.then(|| records.events_of(shown));
            described(&shown.known.object, &records.full(shown), events.as_deref(), &zone, now)
        })
        .collect();
    let nothing = Object::Namespace(Namespace::default());
    texts.extend(undeclared.map(|full| described(&nothing, &full, None, &zone, now)));
    write!(stdout(), "{}", texts.join("\n\n")).map_err(Failure::of_output)?;
    for failure in &missing {
        tell_failure(failure, settings.color);
    }
    if texts.is_empty() && missing.is_empty() {
        tell(&settings.scope.nothing_found());
    }
    Ok(if missing.is_empty() { Exit::Done } else { Exit::Failed })
}

struct Wanted {
    kind: &'static KindName,
    name: Option<String>,
    scope: Scope,
}

fn wanted(args: &DescribeArgs, settings: &Settings) -> Result<Vec<Wanted>, Failure> {
    if args.files.is_empty() {
        let wanted = target::parse(&args.words)?.into_iter().map(|target| Wanted {
            kind: target.kind,
            name: target.name.map(str::to_owned),
            scope: settings.scope.clone(),
        });
        return Ok(wanted.collect());
    }
    let depth = if args.recursive { Depth::Recursive } else { Depth::Flat };
    let inputs = input::collect(&args.files, depth)?;
    let declared = input::declared(&inputs, settings, Strictness::Strict)?;
    let wanted = declared.into_iter().map(|(_, Declared { key, .. })| {
        let kind = target::kind_of(&key)?;
        Ok(Wanted { kind, name: Some(key.name), scope: Scope::Namespace(key.namespace) })
    });
    wanted.collect()
}

/// `full` is the object as `get -o json` prints it.
///
/// `zone` is the machine's own, for schedules that name none.
fn described(
    object: &Object,
    full: &Value,
    events: Option<&[Event]>,
    zone: &TimeZone,
    now: Timestamp,
) -> String {
    let mut sheet = Sheet::default();
    let known = match object {
        Object::Pod(_) => read::<Pod>(full).map(|it| pod::describe(&it, now, &mut sheet)),
        Object::ConfigMap(_) => read::<ConfigMap>(full).map(|it| others::config_map(&it, &mut sheet)),
        Object::Secret(_) => read::<Secret>(full).map(|it| others::secret(&it, &mut sheet)),
        Object::Namespace(_) => read::<Namespace>(full).map(|it| others::namespace(&it, &mut sheet)),
        Object::Job(_) => read::<Job>(full).map(|it| job::job(&it, &mut sheet)),
        Object::CronJob(_) => read::<CronJob>(full).map(|it| job::cron_job(&it, zone, now, &mut sheet)),
        Object::Unserved { .. } => None,
    };
    if known.is_none() {
        metadata::any(full, &mut sheet);
    }
    match (object, events) {
        // Of these kubectl shows none.
        (Object::Secret(_) | Object::Namespace(_), _) | (_, None) => {}
        (
            Object::Pod(_)
            | Object::ConfigMap(_)
            | Object::Job(_)
            | Object::CronJob(_)
            | Object::Unserved { .. },
            Some(events),
        ) => {
            events::describe(events, now, &mut sheet);
        }
    }
    sheet.aligned()
}

fn read<T: serde::de::DeserializeOwned>(full: &Value) -> Option<T> {
    serde_json::from_value(full.clone()).ok()
}
