//! `complete`: what the scripts of `completion` ask at each press of Tab. A line for each candidate, what it means
//! after a tab; `:files` and `:directories` leave the rest to the shell.

use std::io::{Write, stdout};

use clap::{Arg, ArgAction, CommandFactory, ValueHint};

use crate::api::{EVENT, KINDS, kind_named};

use super::Cli;
use super::exit::Exit;
use super::failure::Failure;

mod line;
mod live;
#[cfg(test)]
mod tests;

use line::{Line, Spot};
use live::Live;

#[derive(Debug, clap::Args)]
pub(crate) struct CompleteArgs {
    /// The command line after the program's name; the last word is the one at the cursor
    #[arg(last = true, required = true)]
    words: Vec<String>,
}

pub(crate) fn run(args: &CompleteArgs) -> Result<Exit, Failure> {
    let mut root = Cli::command();
    root.build();
    let mut out = String::new();
    for Candidate { text, meaning } in candidates(&line::read(&root, &args.words), &Live::look) {
        out.push_str(&text);
        if !meaning.is_empty() {
            out.push('\t');
            out.push_str(&meaning);
        }
        out.push('\n');
    }
    stdout().write_all(out.as_bytes()).map(|()| Exit::Done).map_err(Failure::of_output)
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Candidate {
    text: String,
    meaning: String,
}

impl Candidate {
    fn is_left_to_the_shell(&self) -> bool {
        self.text.starts_with(':')
    }
}

fn candidates(line: &Line<'_>, look: &dyn Fn(&Line<'_>) -> Live) -> Vec<Candidate> {
    let mut found = match &line.at {
        Spot::Nothing => Vec::new(),
        Spot::Verb => verbs(line),
        Spot::Option => options(line),
        Spot::Value { arg, before, begun } => {
            let mut found = values(arg, line, begun, look);
            for one in found.iter_mut().filter(|one| !one.is_left_to_the_shell()) {
                one.text.insert_str(0, before);
            }
            found
        }
    };
    found.retain(|one| one.is_left_to_the_shell() || one.text.starts_with(line.current));
    found
}

fn verbs(line: &Line<'_>) -> Vec<Candidate> {
    let shown = line.command.get_subcommands().filter(|verb| !verb.is_hide_set());
    shown
        .map(|verb| Candidate { text: verb.get_name().to_owned(), meaning: first_line(verb.get_about()) })
        .collect()
}

/// The verb's own first. What was given and cannot be given twice is left out.
fn options(line: &Line<'_>) -> Vec<Candidate> {
    let again = |arg: &Arg| matches!(arg.get_action(), ArgAction::Append | ArgAction::Count);
    let given = |arg: &Arg| line.given.iter().any(|(given, _)| given.get_id() == arg.get_id());
    let all = line.command.get_arguments().filter(|arg| !arg.is_hide_set());
    let mut left: Vec<&Arg> = all.filter(|arg| again(arg) || !given(arg)).collect();
    left.sort_by_key(|arg| arg.is_global_set());
    let candidate = |arg: &&Arg| {
        Some(Candidate { text: format!("--{}", arg.get_long()?), meaning: first_line(arg.get_help()) })
    };
    left.iter().filter_map(candidate).collect()
}

fn first_line(help: Option<&clap::builder::StyledStr>) -> String {
    help.map(ToString::to_string).unwrap_or_default().lines().next().unwrap_or_default().replace('\t', " ")
}

/// What an argument takes is told by what its place is called in the help.
fn values(arg: &Arg, line: &Line<'_>, begun: &str, look: &dyn Fn(&Line<'_>) -> Live) -> Vec<Candidate> {
    let possible = arg.get_possible_values();
    if !possible.is_empty() {
        let shown = possible.iter().filter(|value| !value.is_hide_set());
        let meaning = |value: &clap::builder::PossibleValue| first_line(value.get_help());
        return shown
            .map(|value| Candidate { text: value.get_name().to_owned(), meaning: meaning(value) })
            .collect();
    }
    let called = arg.get_value_names().and_then(|names| names.first()).map_or("", |name| name.as_str());
    let verb = line.verbs.first().copied().unwrap_or_default();
    match (called, arg.get_id().as_str()) {
        ("DIR" | "DIRECTORY", _) => bare([":directories"]),
        (_, "words") => objects(verb, line, begun, look),
        (_, "from") => bare(look(line).slashed(&["CronJob"])),
        ("TYPE/NAME", _) if verb == "rerun" => bare(look(line).slashed(&["Job", "Pod"])),
        ("TYPE/NAME", _) => bare(look(line).slashed(&[])),
        ("KIND/NAME[:CONTAINER]", _) => bare(look(line).slashed(&["Pod", "Job"])),
        ("POD", _) => {
            let live = look(line);
            let jobs = live.slashed(&["Job"]);
            let pods = live.names("Pod").into_iter();
            let slashed = if begun.contains('/') { live.slashed(&["Pod"]) } else { Vec::new() };
            bare(pods.chain(slashed).chain(jobs))
        }
        (_, "container") => bare(containers(line, &look(line))),
        (_, "namespace") => {
            let live = look(line);
            let mut all: Vec<String> = live
                .objects
                .iter()
                .map(|seen| if seen.kind.namespaced { &seen.namespace } else { &seen.name }.clone())
                .collect();
            all.sort();
            all.dedup();
            bare(all)
        }
        ("FORMAT", _) => bare(formats(verb)),
        ("WHAT", _) => bare(GOALS),
        ("REFERENCE", _) => bare(look(line).images),
        _ if arg.get_value_hint() == ValueHint::AnyPath => bare([":files"]),
        _ => Vec::new(),
    }
}

/// Of `wait --for`.
const GOALS: [&str; 6] =
    ["condition=Ready", "condition=Complete", "delete", "create", "finished", "jsonpath="];

fn formats(verb: &str) -> Vec<&'static str> {
    let all = [
        "wide",
        "yaml",
        "json",
        "name",
        "jsonpath=",
        "jsonpath-file=",
        "custom-columns=",
        "custom-columns-file=",
    ];
    all.into_iter().filter(|format| verb == "get" || *format != "wide").collect()
}

fn bare<T: Into<String>>(texts: impl IntoIterator<Item = T>) -> Vec<Candidate> {
    texts.into_iter().map(|text| Candidate { text: text.into(), meaning: String::new() }).collect()
}

/// `TYPE NAME…` or `TYPE/NAME…`.
fn objects(verb: &str, line: &Line<'_>, begun: &str, look: &dyn Fn(&Line<'_>) -> Live) -> Vec<Candidate> {
    if let Some((kind, _)) = begun.split_once('/') {
        let names = kind_named(kind).map(|kind| look(line).names(kind.kind)).unwrap_or_default();
        return bare(names.into_iter().map(|name| format!("{kind}/{name}")));
    }
    match line.words.first() {
        None => kinds(verb, begun),
        Some(first) if first.contains('/') => bare(look(line).slashed(&[])),
        Some(first) => {
            let live = look(line);
            let kinds = first.split(',').filter_map(kind_named);
            let names = kinds.flat_map(|kind| live.names(kind.kind));
            bare(names.filter(|name| !line.words.contains(&name.as_str())))
        }
    }
}

/// Also after a comma.
fn kinds(verb: &str, begun: &str) -> Vec<Candidate> {
    let before = begun.rfind(',').map_or("", |at| &begun[..=at]);
    let shown = if verb == "get" { vec![EVENT.plural, "all"] } else { Vec::new() };
    let all = KINDS.iter().map(|kind| kind.plural).chain(shown);
    bare(
        all.filter(|kind| !before.split(',').any(|given| given == *kind))
            .map(|kind| format!("{before}{kind}")),
    )
}

/// Of the pod that the line names.
fn containers(line: &Line<'_>, live: &Live) -> Vec<String> {
    let Some(word) = line.words.first() else { return Vec::new() };
    let name = word.rsplit('/').next().unwrap_or(word);
    let pod = live.within().find(|seen| seen.kind.kind == "Pod" && seen.name == name);
    pod.map(|pod| pod.containers.clone()).unwrap_or_default()
}
