//! `events`: what happened, the latest last.

use std::collections::BTreeMap;
use std::io::{self, BufWriter, Write};

use k8s_openapi::api::core::v1::Event;
use serde_json::{Value, json};

use crate::sandbox::sys::clock;

use super::describe::interval;
use super::exit::Exit;
use super::failure::Failure;
use super::print::{self, Asked, Format, Headers};
use super::records::Records;
use super::settings::{Scope, Settings};
use super::table::{self, Widths};
use super::target::{self, Target};
use super::{tell, watching};

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  droppod events
  droppod events --for pod/web --watch
  droppod events -A --types=Warning")]
pub(crate) struct EventsArgs {
    /// Only events of this object
    #[arg(long = "for", value_name = "TYPE/NAME")]
    about: Option<String>,
    /// Only events of these types
    #[arg(long, value_enum, ignore_case = true, value_delimiter = ',', value_name = "TYPE")]
    types: Vec<EventType>,
    /// Go on, printing each event that comes
    #[arg(short, long)]
    watch: bool,
    /// Leave the line of column names out
    #[arg(long)]
    no_headers: bool,
    /// yaml, json, name, jsonpath=…, custom-columns=…
    #[arg(short, long, value_parser = print::parse, value_name = "FORMAT")]
    output: Option<Format>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum EventType {
    #[value(name = "Normal")]
    Normal,
    #[value(name = "Warning")]
    Warning,
}

impl EventType {
    fn word(self) -> &'static str {
        match self {
            EventType::Normal => "Normal",
            EventType::Warning => "Warning",
        }
    }
}

pub(crate) fn run(args: &EventsArgs, settings: &Settings) -> Result<Exit, Failure> {
    let about = args.about.as_deref().map(target::slashed).transpose()?;
    let mut out = BufWriter::new(io::stdout().lock());
    if args.watch {
        return watch(args, about, settings, &mut out);
    }
    let events = chosen(args, about, &Records::load(&settings.places)?, &settings.scope);
    match &args.output {
        Some(format @ (Format::Name | Format::Yaml | Format::Json | Format::JsonPath(_)))
        | Some(format @ (Format::JsonPathAsJson(_) | Format::CustomColumns(_))) => {
            let objects = events.iter().map(|event| json!(event)).collect();
            let headers = if args.no_headers { Headers::Hidden } else { Headers::Shown };
            print::print(format, objects, Asked::Many, headers, &mut out)?;
        }
        Some(Format::Table | Format::Wide) | None => {
            if events.is_empty() {
                tell(&match &settings.scope {
                    Scope::Namespace(namespace) => format!("No events found in {namespace} namespace."),
                    Scope::All => "No events found.".to_owned(),
                });
                return Ok(Exit::Done);
            }
            let mut rows: Vec<Vec<String>> = events.iter().map(|event| row(event, settings)).collect();
            if !args.no_headers {
                rows.insert(0, header(settings));
            }
            let mut widths = Widths::default();
            widths.fit(&rows);
            table::print(&mut out, &widths, &rows).map_err(Failure::of_output)?;
        }
    }
    out.flush().map(|()| Exit::Done).map_err(Failure::of_output)
}

fn chosen(args: &EventsArgs, about: Option<Target<'_>>, records: &Records, scope: &Scope) -> Vec<Event> {
    let mut events = records.events(scope);
    events.retain(|event| {
        let involved = &event.involved_object;
        let type_ = event.type_.as_deref().unwrap_or_default();
        about.is_none_or(|about| {
            involved.kind.as_deref() == Some(about.kind.kind) && involved.name.as_deref() == about.name
        }) && (args.types.is_empty() || args.types.iter().any(|wanted| wanted.word() == type_))
    });
    events
}

fn header(settings: &Settings) -> Vec<String> {
    let namespace = (settings.scope == Scope::All).then_some("NAMESPACE");
    let words = ["LAST SEEN", "TYPE", "REASON", "OBJECT", "MESSAGE"];
    namespace.into_iter().chain(words).map(str::to_owned).collect()
}

fn row(event: &Event, settings: &Settings) -> Vec<String> {
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    let mut row = Vec::new();
    if settings.scope == Scope::All {
        row.push(text(&event.metadata.namespace));
    }
    let involved = &event.involved_object;
    row.extend([interval(event, clock::wall()), text(&event.type_), text(&event.reason)]);
    row.push(format!("{}/{}", text(&involved.kind), text(&involved.name)));
    row.push(table::cell(text(&event.message).trim()));
    row
}

/// Prints each event that is there, and again each that comes or comes once more.
fn watch(
    args: &EventsArgs,
    about: Option<Target<'_>>,
    settings: &Settings,
    out: &mut dyn Write,
) -> Result<Exit, Failure> {
    let mut seen: BTreeMap<Option<String>, Option<i32>> = BTreeMap::new();
    let mut widths = Widths::default();
    let mut headed = args.no_headers;
    watching::each_change(&settings.places, |records| {
        let mut rows = Vec::new();
        for event in chosen(args, about, records, &settings.scope) {
            let known = seen.insert(event.metadata.name.clone(), event.count);
            if known == Some(event.count) {
                continue;
            }
            match &args.output {
                Some(Format::Table | Format::Wide) | None => {
                    if !headed {
                        rows.push(header(settings));
                        headed = true;
                    }
                    rows.push(row(&event, settings));
                }
                Some(format) => print_watched(format, &json!(event), out)?,
            }
        }
        widths.fit(&rows);
        table::print(out, &widths, &rows).and_then(|()| out.flush()).map_err(Failure::of_output)
    })
}

fn print_watched(format: &Format, event: &Value, out: &mut dyn Write) -> Result<(), Failure> {
    if *format == Format::Yaml {
        writeln!(out, "---").map_err(Failure::of_output)?;
    }
    print::print_one(format, event, out)
}
