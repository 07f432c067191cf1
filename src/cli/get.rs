//! `get`: objects as kubectl prints them.

use std::collections::BTreeMap;
use std::io::{self, BufWriter, Write};
use std::os::fd::AsFd;

use rustix::event::PollFlags;
use serde_json::{Value, json};

use crate::logs::follow::{Bell, Woken};
use crate::model::id::Uid;
use crate::paths::Places;
use crate::sandbox::sys::clock;
use crate::status::to_yaml;

use super::exit::Exit;
use super::failure::Failure;
use super::records::{Records, Shown, not_found};
use super::selector::{self, Selector};
use super::settings::{Scope, Settings};
use super::table::{self, Widths};
use super::target::{self, Target};
use super::tell;

mod columns;

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  droppod get pods
  droppod get pod/web -o yaml
  droppod get pods,configmaps -A --show-labels
  droppod get pods -l app=web -w")]
pub(crate) struct GetArgs {
    /// TYPE [NAME…] or TYPE/NAME…; TYPE is pods, jobs, cronjobs, configmaps, secrets, namespaces or all
    #[arg(required = true, value_name = "TYPE [NAME] | TYPE/NAME")]
    words: Vec<String>,
    #[arg(short, long, value_enum, default_value = "table", hide_default_value = true)]
    output: Output,
    /// Only objects with these labels, such as app=web,tier!=db
    #[arg(short = 'l', long, value_parser = selector::parse)]
    selector: Option<Selector>,
    /// Go on, printing each object that changes
    #[arg(short, long)]
    watch: bool,
    #[command(flatten)]
    look: Look,
}

#[derive(Debug, Clone, Copy, clap::Args)]
struct Look {
    /// Add a column with the labels
    #[arg(long)]
    show_labels: bool,
    #[arg(long)]
    no_headers: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Output {
    #[value(hide = true)]
    Table,
    Wide,
    Yaml,
    Json,
    Name,
}

pub(crate) fn run(args: &GetArgs, settings: &Settings) -> Result<Exit, Failure> {
    let targets = target::parse(&args.words)?;
    if settings.scope == Scope::All && targets.iter().any(|target| target.name.is_some()) {
        return Err(Failure::new(Exit::Usage, "an object cannot be got by name across all namespaces")
            .help("leave out -A, or choose with -l"));
    }
    let selector = args.selector.clone().unwrap_or_default();
    let question = Question { targets, scope: &settings.scope, selector: &selector };
    let mut out = BufWriter::new(io::stdout().lock());
    if args.watch {
        return watch(args, &question, &settings.places, &mut out);
    }
    let records = Records::load(&settings.places)?;
    for line in &records.unreadable {
        tell(&format!("warning: {line}"));
    }
    let Answer { found, missing } = question.ask(&records);
    print(args, &question, &records, &found, &mut out)
        .and_then(|()| out.flush())
        .map_err(Failure::of_output)?;
    for failure in &missing {
        tell(failure.to_string().trim_end());
    }
    if !missing.is_empty() {
        return Ok(Exit::Failed);
    }
    if found.is_empty() && matches!(args.output, Output::Table | Output::Wide | Output::Name) {
        let within = match &settings.scope {
            Scope::Namespace(namespace) if question.targets.iter().any(|target| target.kind.namespaced) => {
                format!(" in {namespace} namespace")
            }
            Scope::Namespace(_) | Scope::All => String::new(),
        };
        tell(&format!("No resources found{within}."));
    }
    Ok(Exit::Done)
}

struct Question<'a> {
    targets: Vec<Target<'a>>,
    scope: &'a Scope,
    selector: &'a Selector,
}

struct Answer<'a> {
    found: Vec<(Target<'a>, &'a Shown)>,
    missing: Vec<Failure>,
}

impl Question<'_> {
    fn ask<'a>(&'a self, records: &'a Records) -> Answer<'a> {
        let mut answer = Answer { found: Vec::new(), missing: Vec::new() };
        for target in &self.targets {
            let before = answer.found.len();
            let of_name = |shown: &&Shown| target.name.is_none_or(|name| shown.known.record.key.name == name);
            let objects = records.of(target.kind, self.scope, self.selector).filter(of_name);
            answer.found.extend(objects.map(|shown| (*target, shown)));
            if let Some(name) = target.name
                && answer.found.len() == before
            {
                answer.missing.push(not_found(target.kind.plural, name));
            }
        }
        answer
    }

    fn names_one(&self) -> bool {
        matches!(self.targets[..], [Target { name: Some(_), .. }])
    }

    fn kinds(&self) -> usize {
        let mut kinds: Vec<&str> = self.targets.iter().map(|target| target.kind.kind).collect();
        kinds.dedup();
        kinds.len()
    }
}

fn print(
    args: &GetArgs,
    question: &Question<'_>,
    records: &Records,
    found: &[(Target<'_>, &Shown)],
    out: &mut dyn Write,
) -> io::Result<()> {
    match args.output {
        Output::Table | Output::Wide => tables(args, question, records, found, out),
        Output::Name => found.iter().try_for_each(|(_, shown)| writeln!(out, "{}", shown.known.record.key)),
        Output::Yaml | Output::Json => {
            let mut objects: Vec<Value> = found.iter().map(|(_, shown)| records.full(shown)).collect();
            if question.names_one() && found.is_empty() {
                return Ok(());
            }
            let document = match (question.names_one(), objects.pop()) {
                (true, Some(object)) => object,
                (_, last) => {
                    objects.extend(last);
                    let metadata = json!({"resourceVersion": ""});
                    json!({"apiVersion": "v1", "items": objects, "kind": "List", "metadata": metadata})
                }
            };
            document_in(args.output, &document, out)
        }
    }
}

fn document_in(output: Output, document: &Value, out: &mut dyn Write) -> io::Result<()> {
    match output {
        Output::Json => {
            let indent = serde_json::ser::PrettyFormatter::with_indent(b"    ");
            let mut serializer = serde_json::Serializer::with_formatter(&mut *out, indent);
            serde::Serialize::serialize(document, &mut serializer)?;
            writeln!(out)
        }
        Output::Table | Output::Wide | Output::Yaml | Output::Name => {
            out.write_all(to_yaml(document).as_bytes())
        }
    }
}

/// One table for each kind, parted by an empty line.
fn tables(
    args: &GetArgs,
    question: &Question<'_>,
    records: &Records,
    found: &[(Target<'_>, &Shown)],
    out: &mut dyn Write,
) -> io::Result<()> {
    let several = question.kinds() > 1 || args.words[0] == "all";
    for (at, group) in found.chunk_by(|(a, _), (b, _)| a.kind == b.kind).enumerate() {
        if at > 0 {
            writeln!(out)?;
        }
        let layout = layout(args, question, group[0].0, several);
        let mut rows = Vec::new();
        if !args.look.no_headers {
            rows.push(columns::header(&layout));
        }
        let now = clock::wall();
        rows.extend(group.iter().map(|(_, shown)| columns::row(&layout, records, shown, now)));
        let mut widths = Widths::default();
        widths.fit(&rows);
        table::print(out, &widths, &rows)?;
    }
    Ok(())
}

fn layout(args: &GetArgs, question: &Question<'_>, target: Target<'_>, several: bool) -> columns::Layout {
    let mut extras = Vec::new();
    if *question.scope == Scope::All && target.kind.namespaced {
        extras.push(columns::Extra::Namespace);
    }
    if several {
        extras.push(columns::Extra::KindPrefix);
    }
    if args.output == Output::Wide {
        extras.push(columns::Extra::Wide);
    }
    if args.look.show_labels {
        extras.push(columns::Extra::Labels);
    }
    columns::Layout { kind: target.kind, extras }
}

/// Prints what is there, then each object that changes, until the reader leaves or a signal comes.
fn watch(
    args: &GetArgs,
    question: &Question<'_>,
    places: &Places,
    out: &mut dyn Write,
) -> Result<Exit, Failure> {
    let several = question.kinds() > 1;
    let mut seen: BTreeMap<Uid, Value> = BTreeMap::new();
    let mut widths = Widths::default();
    let mut headed = args.look.no_headers;
    let bell = Bell::hang();
    loop {
        bell.watch(&places.objects());
        bell.watch(&places.pods());
        let records = Records::load(places)?;
        let Answer { found, .. } = question.ask(&records);
        let mut rows = Vec::new();
        let mut present = BTreeMap::new();
        for (target, shown) in found {
            bell.watch(&places.object(shown.uid()).0);
            bell.watch(&places.pod(shown.uid()).0);
            let object = records.full(shown);
            if seen.get(shown.uid()) != Some(&object) {
                match args.output {
                    Output::Table | Output::Wide => {
                        let layout = layout(args, question, target, several);
                        if !headed {
                            rows.push(columns::header(&layout));
                            headed = true;
                        }
                        rows.push(columns::row(&layout, &records, shown, clock::wall()));
                    }
                    Output::Name => rows.push(vec![shown.known.record.key.to_string()]),
                    Output::Yaml => {
                        write!(out, "---\n{}", to_yaml(&object)).map_err(Failure::of_output)?;
                    }
                    Output::Json => {
                        document_in(args.output, &object, out).map_err(Failure::of_output)?;
                    }
                }
            }
            present.insert(shown.uid().clone(), object);
        }
        seen = present;
        widths.fit(&rows);
        table::print(out, &widths, &rows).and_then(|()| out.flush()).map_err(Failure::of_output)?;
        // A pipe whose reader has left is hung up: nobody is there to go on for.
        let woken = bell.wait(io::stdout().as_fd(), PollFlags::empty()).map_err(Failure::of_output)?;
        if woken == Woken::ByOther {
            return Ok(Exit::Done);
        }
    }
}
