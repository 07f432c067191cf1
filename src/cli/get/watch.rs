//! `get -w`: what is there, then each object that changes.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;

use serde_json::Value;

use crate::api::EVENT;
use crate::cli::exit::Exit;
use crate::cli::failure::Failure;
use crate::cli::print::{self, Format, resource_name, unprintable};
use crate::cli::table::{self, Widths};
use crate::cli::tell;
use crate::cli::watching;
use crate::manifest::to_yaml;
use crate::paths::Places;
use crate::sandbox::sys::clock;

use super::question::{Answer, Found, Question};
use super::{GetArgs, columns, layout, sorted};

/// An object that has gone is printed once more, as it was last.
pub(super) fn run(
    args: &GetArgs,
    format: &Format,
    question: &Question<'_>,
    places: &Places,
    out: &mut dyn Write,
) -> Result<Exit, Failure> {
    let mut seen: Option<BTreeMap<String, Found>> = None;
    let mut widths = Widths::default();
    let mut headed = args.look.no_headers;
    if args.sort_by.is_some() {
        tell("warning: --watch requested, --sort-by will be ignored for watch events received");
    }
    watching::each_change(places, |records| {
        let Answer { mut found, missing } = question.ask(records);
        if seen.is_none() {
            if let Some(failure) = missing.into_iter().next() {
                return Err(failure);
            }
            if let Some(written) = &args.sort_by {
                found = sorted(&found, written)?;
            }
        }
        let found: Vec<(String, Found)> = found.into_iter().map(|one| (identity(&one.object), one)).collect();
        let present: BTreeSet<&String> = found.iter().map(|(identity, _)| identity).collect();
        // Events go with their objects, which is no news of them.
        let is_gone = |(identity, one): &(&String, &Found)| !present.contains(identity) && *one.kind != EVENT;
        let gone = seen.iter().flatten().filter(is_gone);
        let changed = found.iter().filter(|(identity, one)| match &seen {
            None => !args.watching.watch_only,
            Some(seen) => seen.get(identity).is_none_or(|known| known.object != one.object),
        });
        let mut rows = Vec::new();
        for one in gone.map(|(_, one)| one).chain(changed.map(|(_, one)| one)) {
            let (header, row) = rows_of(args, format, question, one)?;
            if !headed && let Some(header) = header {
                rows.push(header);
                headed = true;
            }
            rows.extend(row);
            print_document(format, &one.object, out)?;
        }
        widths.fit(&rows);
        table::print(out, &widths, &rows).and_then(|()| out.flush()).map_err(Failure::of_output)?;
        seen = Some(found.into_iter().collect());
        Ok(())
    })
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
