//! `wait`: until objects are as they should be.

use std::io::{self, Write, stdout};
use std::os::fd::AsFd;
use std::path::PathBuf;
use std::time::Duration;

use rustix::event::PollFlags;
use serde_json::Value;

use crate::logs::bell::Bell;
use crate::model::object::ObjectKey;
use crate::sandbox::sys::clock;

use super::exit::Exit;
use super::failure::Failure;
use super::fields::{self, FieldSelector};
use super::input::{self, Depth};
use super::print::{self, Format};
use super::records::{Records, Shown, not_found};
use super::selector::{self, Selector};
use super::settings::{Scope, Settings};
use super::{duration, target};

mod goal;

use goal::{Goal, Progress};

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  droppod wait pod/web --for=condition=Ready
  droppod wait pod/web --for=delete --timeout=60s
  droppod wait pods -l app=web --for=jsonpath='{.status.phase}'=Running
  droppod wait pod/batch --for=finished

Exit codes: 0 all are so, 1 not so in time or not there; for finished 0 Complete, 10 Failed, 11 timeout.")]
pub(crate) struct WaitArgs {
    /// TYPE/NAME…, TYPE NAME…, or TYPE with -l or --all
    #[arg(required_unless_present = "files", value_name = "TYPE/NAME")]
    words: Vec<String>,
    /// The objects that these manifests declare
    #[arg(short, long = "filename", value_name = "PATH", conflicts_with = "words")]
    files: Vec<PathBuf>,
    /// condition=NAME[=VALUE], jsonpath='{PATH}'[=VALUE], finished, create or delete
    #[arg(long = "for", value_parser = goal::parse, value_name = "WHAT")]
    goal: Goal,
    /// Objects with these labels, such as app=web,tier!=db
    #[arg(short = 'l', long, value_parser = selector::parse)]
    selector: Option<Selector>,
    /// Objects with these fields, such as status.phase=Running
    #[arg(long, value_parser = fields::parse, value_name = "SELECTOR")]
    field_selector: Option<FieldSelector>,
    /// All objects of the type
    #[arg(long, conflicts_with = "selector")]
    all: bool,
    /// Give up after this time; 0 looks once, a negative time is without end
    #[arg(long, value_parser = patience, default_value = "30s", allow_hyphen_values = true, value_name = "TIME")]
    timeout: Patience,
    /// Print the objects as name, yaml, json or jsonpath=…, each as soon as it is so
    #[arg(short, long, value_parser = print::parse_document, value_name = "FORMAT")]
    output: Option<Format>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Patience {
    Until(Duration),
    Endless,
}

fn patience(text: &str) -> Result<Patience, String> {
    match text.strip_prefix('-') {
        Some(rest) => duration::parse(rest).map(|_| Patience::Endless),
        None => duration::parse(text).map(Patience::Until),
    }
}

/// One object that is waited for, alone.
struct Awaited {
    key: ObjectKey,
    plural: &'static str,
    /// The identity it had at first: another object of the same name is not the one to be deleted.
    uid: Option<String>,
}

pub(crate) fn run(args: &WaitArgs, settings: &Settings) -> Result<Exit, Failure> {
    let records = Records::load(&settings.places)?;
    let mut left = awaited(args, settings, &records)?;
    if left.is_empty() {
        return match args.goal {
            Goal::Delete => Ok(Exit::Done),
            Goal::Condition { .. } | Goal::JsonPath { .. } | Goal::Finished | Goal::Create => {
                Err(Failure::new(Exit::Failed, "no matching resources found"))
            }
        };
    }
    let bell = Bell::hang();
    let deadline = match args.timeout {
        Patience::Until(time) => Some(clock::boot() + time),
        Patience::Endless => None,
    };
    let mut failed = false;
    loop {
        bell.watch(&settings.places.objects());
        bell.watch(&settings.places.pods());
        let records = Records::load(&settings.places)?;
        let mut waiting = Vec::new();
        for one in left {
            let shown = records.shown.iter().find(|shown| shown.known.record.key == one.key);
            if let Some(shown) = shown {
                bell.watch(&settings.places.object(shown.uid()).0);
                bell.watch(&settings.places.pod(shown.uid()).0);
            }
            let progress = progress(&args.goal, &one, shown, &records)?;
            if let (Progress::Met | Progress::Failed, Some(shown)) = (&progress, shown) {
                shown.settle(&settings.places)?;
            }
            match progress {
                // As in kubectl: that what was never there is gone is no news.
                Progress::Met if one.uid.is_none() && args.goal == Goal::Delete => {}
                Progress::Met => args.say(&one.key, shown, &records, "condition met")?,
                Progress::Failed => {
                    args.say(&one.key, shown, &records, "has failed")?;
                    failed = true;
                }
                Progress::NotYet => waiting.push(one),
            }
        }
        if waiting.is_empty() {
            return Ok(if failed { Exit::EndedFailed } else { Exit::Done });
        }
        if deadline.is_some_and(|deadline| clock::boot() >= deadline) {
            return Err(timed_out(&args.goal, &waiting));
        }
        left = waiting;
        bell.wait(io::stderr().as_fd(), PollFlags::empty()).map_err(Failure::of_output)?;
    }
}

fn awaited(args: &WaitArgs, settings: &Settings, records: &Records) -> Result<Vec<Awaited>, Failure> {
    let known = |key: ObjectKey, plural| {
        let shown = records.shown.iter().find(|shown| shown.known.record.key == key);
        Awaited { uid: shown.map(|shown| shown.uid().to_string()), key, plural }
    };
    let mut awaited = Vec::new();
    if !args.files.is_empty() {
        let inputs = input::collect(&args.files, Depth::Flat)?;
        for (_, declared) in input::declared(&inputs, settings, crate::manifest::Strictness::Strict)? {
            let plural = crate::api::kind_named(&declared.key.kind).map_or("objects", |kind| kind.plural);
            awaited.push(known(declared.key, plural));
        }
        return Ok(awaited);
    }
    for target in target::parse(&args.words)? {
        let kind = target.kind;
        let Some(name) = target.name else {
            if !args.all && args.selector.is_none() && args.field_selector.is_none() {
                return Err(Failure::new(Exit::Usage, "no object is named")
                    .help("name some, such as `pod/web`, or choose with -l or --all"));
            }
            let selector = args.selector.clone().unwrap_or_default();
            let chosen = args.field_selector.clone().unwrap_or_default();
            chosen.must_fit(kind)?;
            let objects = records.of(kind, &settings.scope, &selector);
            let objects = objects.filter(|shown| chosen.matches(&records.full(shown)));
            awaited.extend(objects.map(|shown| known(shown.known.record.key.clone(), kind.plural)));
            continue;
        };
        let namespace = match (&settings.scope, kind.namespaced) {
            (_, false) => String::new(),
            (Scope::Namespace(namespace), true) => namespace.clone(),
            (Scope::All, true) => {
                return Err(Failure::new(Exit::Usage, "an object cannot be named across all namespaces")
                    .help("leave out -A, or choose with -l or --all"));
            }
        };
        let (group, kind_name) = (kind.group.to_owned(), kind.kind.to_owned());
        let key = ObjectKey { group, kind: kind_name, namespace, name: name.to_owned() };
        awaited.push(known(key, kind.plural));
    }
    Ok(awaited)
}

/// An object that is not there is waited for only if it is to be created.
fn progress(
    goal: &Goal,
    one: &Awaited,
    shown: Option<&Shown>,
    records: &Records,
) -> Result<Progress, Failure> {
    let object: Option<Value> = shown.map(|shown| records.full(shown));
    match (goal, shown, object) {
        (Goal::Delete, Some(shown), _) if one.uid.as_deref() == Some(shown.uid().as_str()) => {
            Ok(Progress::NotYet)
        }
        (Goal::Delete, _, _) | (Goal::Create, Some(_), _) => Ok(Progress::Met),
        (Goal::Create, None, _) => Ok(Progress::NotYet),
        (Goal::Condition { .. } | Goal::JsonPath { .. } | Goal::Finished, _, Some(object)) => {
            goal.progress(&object)
        }
        (Goal::Condition { .. } | Goal::JsonPath { .. } | Goal::Finished, _, None) => {
            Err(not_found(one.plural, &one.key.name))
        }
    }
}

impl WaitArgs {
    /// Of an object that is gone, there is nothing to print but that it is.
    fn say(
        &self,
        key: &ObjectKey,
        shown: Option<&Shown>,
        records: &Records,
        what: &str,
    ) -> Result<(), Failure> {
        match (&self.output, shown) {
            (Some(format), Some(shown)) => {
                print::print_one(format, &records.full(shown), &mut stdout().lock())
            }
            (Some(_) | None, _) => writeln!(stdout(), "{key} {what}").map_err(Failure::of_output),
        }
    }
}

fn timed_out(goal: &Goal, waiting: &[Awaited]) -> Failure {
    let exit = match goal {
        Goal::Finished => Exit::TimedOut,
        Goal::Condition { .. } | Goal::JsonPath { .. } | Goal::Create | Goal::Delete => Exit::Failed,
    };
    let names: Vec<String> = waiting.iter().map(|one| format!("{}/{}", one.plural, one.key.name)).collect();
    Failure::new(exit, format!("timed out waiting for the condition on {}", names.join(", ")))
}
