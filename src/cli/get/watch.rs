//! `get -w`: what is there, then each object that changes.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::os::fd::AsFd;

use rustix::event::PollFlags;
use serde_json::Value;

use crate::cli::exit::Exit;
use crate::cli::failure::Failure;
use crate::cli::print::{self, Format, resource_name, unprintable};
use crate::cli::records::Records;
use crate::cli::table::{self, Widths};
use crate::logs::follow::{Bell, Woken};
use crate::paths::Places;
use crate::sandbox::sys::clock;
use crate::status::to_yaml;

use super::{Answer, Found, GetArgs, Question, columns, layout};

/// Goes on until the reader leaves or a signal comes.
pub(super) fn run(
    args: &GetArgs,
    format: &Format,
    question: &Question<'_>,
    places: &Places,
    out: &mut dyn Write,
) -> Result<Exit, Failure> {
    let mut seen: Option<BTreeMap<String, Value>> = None;
    let mut widths = Widths::default();
    let mut headed = args.look.no_headers;
    let bell = Bell::hang();
    loop {
        bell.watch(&places.objects());
        bell.watch(&places.pods());
        let records = Records::load(places)?;
        for shown in &records.shown {
            bell.watch(&places.object(shown.uid()).0);
            bell.watch(&places.pod(shown.uid()).0);
        }
        let Answer { found, .. } = question.ask(&records);
        let mut rows = Vec::new();
        let mut present = BTreeMap::new();
        for one in found {
            let identity = identity(&one.object);
            let changed = match &seen {
                None => !args.watching.watch_only,
                Some(seen) => seen.get(&identity) != Some(&one.object),
            };
            if changed {
                let (header, row) = rows_of(args, format, question, &one)?;
                if !headed && let Some(header) = header {
                    rows.push(header);
                    headed = true;
                }
                rows.extend(row);
                print_document(format, &one.object, out)?;
            }
            present.insert(identity, one.object);
        }
        seen = Some(present);
        widths.fit(&rows);
        table::print(out, &widths, &rows).and_then(|()| out.flush()).map_err(Failure::of_output)?;
        // A pipe whose reader has left is hung up: nobody is there to go on for.
        let woken = bell.wait(io::stdout().as_fd(), PollFlags::empty()).map_err(Failure::of_output)?;
        if woken == Woken::ByOther {
            return Ok(Exit::Done);
        }
    }
}

/// What tells one object from another, also from a later one of the same name.
fn identity(object: &Value) -> String {
    let text = |pointer: &str| object.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
    format!("{}/{}/{}", text("/metadata/namespace"), resource_name(object), text("/metadata/uid"))
}

type Row = Vec<String>;

/// A row and what stands above it, where the format is one of tables.
fn rows_of(
    args: &GetArgs,
    format: &Format,
    question: &Question<'_>,
    one: &Found,
) -> Result<(Option<Row>, Option<Row>), Failure> {
    match format {
        Format::Table | Format::Wide => {
            let layout = layout(args, format, question, one.kind);
            let row = columns::row(&layout, &one.object, clock::wall());
            Ok((Some(columns::header(&layout)), Some(row)))
        }
        Format::CustomColumns(columns) => {
            let row = columns.row(&one.object).map_err(unprintable)?;
            Ok((Some(columns.header()), Some(row)))
        }
        Format::Name => Ok((None, Some(vec![resource_name(&one.object)]))),
        Format::Yaml | Format::Json | Format::JsonPath(_) | Format::JsonPathAsJson(_) => Ok((None, None)),
    }
}

fn print_document(format: &Format, object: &Value, out: &mut dyn Write) -> Result<(), Failure> {
    match format {
        Format::Table | Format::Wide | Format::CustomColumns(_) | Format::Name => Ok(()),
        Format::Yaml => write!(out, "---\n{}", to_yaml(object)).map_err(Failure::of_output),
        Format::Json | Format::JsonPath(_) | Format::JsonPathAsJson(_) => {
            print::print_one(format, object, out)
        }
    }
}
