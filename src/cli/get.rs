//! `get`: objects as kubectl prints them.

use std::io::{self, BufWriter, Write};
use std::path::PathBuf;
use std::sync::Arc;

use crate::api::KindName;
use crate::manifest::Strictness;
use crate::sandbox::sys::clock;

use super::exit::Exit;
use super::failure::Failure;
use super::fields::{self, FieldSelector};
use super::input;
use super::jsonpath::Path;
use super::print::{self, Asked, Format, Headers};
use super::records::Records;
use super::selector::{self, Selector};
use super::settings::{Scope, Settings};
use super::table::{self, Widths};
use super::{sort, tell, tell_failure};

mod columns;
mod question;
mod watch;

use question::{Answer, Found, Question, depth};

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  droppod get pods
  droppod get pod/web -o yaml
  droppod get pods,configmaps -A --show-labels
  droppod get pods -l app=web -w
  droppod get pods -o jsonpath='{range .items[*]}{.metadata.name}{\"\\n\"}{end}'
  droppod get pods -o custom-columns=NAME:.metadata.name,IP:.status.podIP
  droppod get pods --field-selector status.phase=Running
  droppod get pods -A --sort-by .metadata.creationTimestamp
  droppod get -f web.yaml --local -o json      the file as droppod reads it")]
pub(crate) struct GetArgs {
    /// TYPE [NAME…] or TYPE/NAME…; TYPE is pods, jobs, cronjobs, configmaps, secrets, namespaces, events, all, or several: po,cm
    #[arg(required_unless_present = "files", value_name = "TYPE [NAME] | TYPE/NAME")]
    words: Vec<String>,
    /// The objects that these manifests declare
    #[arg(short, long = "filename", value_name = "PATH", conflicts_with = "words")]
    files: Vec<PathBuf>,
    /// Look into subdirectories
    #[arg(short = 'R', long, requires = "files")]
    recursive: bool,
    /// Show what the files say, not what is in force; needs -o
    #[arg(long, requires = "files", conflicts_with = "watch")]
    local: bool,
    /// wide, yaml, json, name, jsonpath=…, jsonpath-file=…, custom-columns=…, custom-columns-file=…
    #[arg(short, long, value_parser = print::parse, value_name = "FORMAT")]
    output: Option<Format>,
    /// Only objects with these labels, such as app=web,tier!=db
    #[arg(short = 'l', long, value_parser = selector::parse)]
    selector: Option<Selector>,
    /// Only objects with these fields, such as status.phase=Running,metadata.name!=web
    #[arg(long, value_parser = fields::parse, value_name = "SELECTOR")]
    field_selector: Option<FieldSelector>,
    /// Sort by a field, such as .metadata.creationTimestamp
    #[arg(long, value_name = "PATH")]
    sort_by: Option<String>,
    /// An object that is not there is no error
    #[arg(long)]
    ignore_not_found: bool,
    #[command(flatten)]
    watching: WatchArgs,
    #[command(flatten)]
    look: Look,
}

#[derive(Debug, Clone, Copy, clap::Args)]
struct WatchArgs {
    /// Go on, printing each object that changes
    #[arg(short, long)]
    watch: bool,
    /// Print only what changes from now on
    #[arg(long)]
    watch_only: bool,
}

#[derive(Debug, Clone, clap::Args)]
struct Look {
    /// Add a column with the labels
    #[arg(long)]
    show_labels: bool,
    /// Add a column for each of these labels
    #[arg(short = 'L', long, value_name = "LABEL", value_delimiter = ',')]
    label_columns: Vec<String>,
    /// Name the kind before each name
    #[arg(long)]
    show_kind: bool,
    /// Leave the line of column names out
    #[arg(long)]
    no_headers: bool,
}

pub(crate) fn run(args: &GetArgs, settings: &Settings) -> Result<Exit, Failure> {
    let format = args.output.as_ref().unwrap_or(&Format::Table);
    let mut out = BufWriter::new(io::stdout().lock());
    if args.local {
        local(args, format, settings, &mut out)?;
        return out.flush().map(|()| Exit::Done).map_err(Failure::of_output);
    }
    let question = Question::of(args, settings)?;
    if args.watching.watch || args.watching.watch_only {
        if question.kinds() > 1 {
            return Err(Failure::new(Exit::Usage, "only objects of one kind can be watched at once")
                .help("name one kind, or leave out -w"));
        }
        return watch::run(args, format, &question, &settings.places, &mut out);
    }
    let records = Records::load(&settings.places)?;
    for line in &records.unreadable {
        tell(&format!("warning: {line}"));
    }
    let Answer { mut found, mut missing } = question.ask(&records);
    if let Some(written) = &args.sort_by {
        found = sorted(&found, written)?;
    }
    if args.ignore_not_found {
        missing.clear();
    }
    let nothing = found.is_empty();
    if !(nothing && !missing.is_empty() && question.asked() == Asked::One) {
        print_all(args, format, &question, found, &mut out)?;
    }
    out.flush().map_err(Failure::of_output)?;
    for failure in &missing {
        tell_failure(failure, settings.color);
    }
    if !missing.is_empty() {
        return Ok(Exit::Failed);
    }
    if nothing && !args.ignore_not_found && matches!(format, Format::Table | Format::Wide) {
        tell(&settings.scope.nothing_found());
    }
    Ok(Exit::Done)
}

/// What the files say, with no look at the records.
fn local(args: &GetArgs, format: &Format, settings: &Settings, out: &mut dyn Write) -> Result<(), Failure> {
    if matches!(format, Format::Table | Format::Wide) {
        return Err(Failure::new(Exit::Usage, "a file has no columns of its own")
            .help("add -o yaml, json, name, jsonpath=… or custom-columns=…"));
    }
    let inputs = input::collect(&args.files, depth(args))?;
    let declared = input::declared(&inputs, settings, Strictness::Strict)?;
    let asked = if declared.len() == 1 { Asked::One } else { Asked::Many };
    let objects = declared.into_iter().map(|(_, declared)| Arc::unwrap_or_clone(declared.authored)).collect();
    print::print(format, objects, asked, headers(args), out)
}

fn sorted(found: &[Found], written: &str) -> Result<Vec<Found>, Failure> {
    let path = Path::parse(written)
        .map_err(|error| Failure::new(Exit::Usage, format!("cannot sort by {written}")).because(error))?;
    let mut sorted = Vec::new();
    for group in found.chunk_by(|a, b| a.kind == b.kind) {
        let mut objects = group.iter().map(|found| found.object.clone()).collect();
        sort::by(&path, written, &mut objects)?;
        sorted.extend(objects.into_iter().map(|object| Found { kind: group[0].kind, object }));
    }
    Ok(sorted)
}

fn headers(args: &GetArgs) -> Headers {
    if args.look.no_headers { Headers::Hidden } else { Headers::Shown }
}

fn print_all(
    args: &GetArgs,
    format: &Format,
    question: &Question<'_>,
    found: Vec<Found>,
    out: &mut dyn Write,
) -> Result<(), Failure> {
    match format {
        Format::Table | Format::Wide => {
            tables(args, format, question, &found, out).map_err(Failure::of_output)
        }
        Format::Name
        | Format::Yaml
        | Format::Json
        | Format::JsonPath(_)
        | Format::JsonPathAsJson(_)
        | Format::CustomColumns(_) => {
            let objects = found.into_iter().map(|found| found.object).collect();
            print::print(format, objects, question.asked(), headers(args), out)
        }
    }
}

/// One table for each kind, parted by an empty line.
fn tables(
    args: &GetArgs,
    format: &Format,
    question: &Question<'_>,
    found: &[Found],
    out: &mut dyn Write,
) -> io::Result<()> {
    for (at, group) in found.chunk_by(|a, b| a.kind == b.kind).enumerate() {
        if at > 0 {
            writeln!(out)?;
        }
        let layout = layout(args, format, question, group[0].kind);
        let mut rows = Vec::new();
        if !args.look.no_headers {
            rows.push(columns::header(&layout));
        }
        let now = clock::wall();
        rows.extend(group.iter().map(|found| columns::row(&layout, &found.object, now)));
        let mut widths = Widths::default();
        widths.fit(&rows);
        table::print(out, &widths, &rows)?;
    }
    Ok(())
}

fn layout(
    args: &GetArgs,
    format: &Format,
    question: &Question<'_>,
    kind: &'static KindName,
) -> columns::Layout {
    let mut extras = Vec::new();
    if question.settings.scope == Scope::All && kind.namespaced {
        extras.push(columns::Extra::Namespace);
    }
    let all = args.words.first().is_some_and(|word| word == "all");
    if question.kinds() > 1 || all || args.look.show_kind {
        extras.push(columns::Extra::KindPrefix);
    }
    if *format == Format::Wide {
        extras.push(columns::Extra::Wide);
    }
    extras.extend(args.look.label_columns.iter().cloned().map(columns::Extra::Label));
    if args.look.show_labels {
        extras.push(columns::Extra::Labels);
    }
    columns::Layout { kind, extras }
}
