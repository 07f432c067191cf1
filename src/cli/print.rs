//! `-o`: how objects are printed, with kubectl's words for it.

mod custom;

use std::io::{self, Write};

use serde_json::{Value, json};

use crate::manifest::to_yaml;

use super::exit::Exit;
use super::failure::Failure;
use super::go;
use super::jsonpath::{EvaluateError, Template};
use super::table::{self, Widths};

pub(crate) use custom::CustomColumns;

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Format {
    Table,
    Wide,
    Name,
    Yaml,
    Json,
    JsonPath(Template),
    JsonPathAsJson(Template),
    CustomColumns(CustomColumns),
}

const WORDS: &str = "wide, yaml, json, name, jsonpath=TEMPLATE, jsonpath-file=FILE, jsonpath-as-json=TEMPLATE, \
                     custom-columns=SPEC, custom-columns-file=FILE";

/// For clap: a format, or why it is none.
pub(crate) fn parse(text: &str) -> Result<Format, String> {
    let (word, given) = match text.split_once('=') {
        Some((word, given)) => (word, given),
        None => (text, ""),
    };
    let template = |text: &str| {
        if text.is_empty() {
            return Err(format!("a template is missing, such as {word}='{{.metadata.name}}'"));
        }
        Template::parse(text).map_err(|error| format!("the template cannot be read: {error}"))
    };
    match word {
        "wide" if text == word => Ok(Format::Wide),
        "yaml" if text == word => Ok(Format::Yaml),
        "json" if text == word => Ok(Format::Json),
        "name" if text == word => Ok(Format::Name),
        "jsonpath" => template(given).map(Format::JsonPath),
        "jsonpath-as-json" => template(given).map(Format::JsonPathAsJson),
        "jsonpath-file" => template(&file(given)?).map(Format::JsonPath),
        "custom-columns" => custom::parse(given).map(Format::CustomColumns),
        "custom-columns-file" => custom::parse_file(&file(given)?).map(Format::CustomColumns),
        "go-template" | "go-template-file" | "template" | "templatefile" => {
            Err("Go templates are not served; a jsonpath template does most of what they do".to_owned())
        }
        _ => Err(format!("there are {WORDS}")),
    }
}

/// For clap: a format that is no table.
pub(crate) fn parse_document(text: &str) -> Result<Format, String> {
    match parse(text)? {
        Format::Table | Format::Wide | Format::CustomColumns(_) => {
            Err("there are name, yaml, json and jsonpath=TEMPLATE".to_owned())
        }
        format @ (Format::Name
        | Format::Yaml
        | Format::Json
        | Format::JsonPath(_)
        | Format::JsonPathAsJson(_)) => Ok(format),
    }
}

fn file(name: &str) -> Result<String, String> {
    if name.is_empty() {
        return Err("the name of a file is missing after the =".to_owned());
    }
    std::fs::read_to_string(name).map_err(|error| format!("cannot read {name}: {error}"))
}

/// Whether one object was asked for by its name, or whatever there is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Asked {
    One,
    Many,
}

/// Whether columns are named above them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Headers {
    Shown,
    Hidden,
}

/// `pod/web`, `job.batch/index`.
pub(crate) fn resource_name(object: &Value) -> String {
    let word = |pointer: &str| object.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
    let kind = word("/kind").to_lowercase();
    match word("/apiVersion").split_once('/') {
        Some((group, _)) => format!("{kind}.{group}/{}", word("/metadata/name")),
        None => format!("{kind}/{}", word("/metadata/name")),
    }
}

/// Prints in every format but those of tables, which depend on the kind.
pub(crate) fn print(
    format: &Format,
    objects: Vec<Value>,
    asked: Asked,
    headers: Headers,
    out: &mut dyn Write,
) -> Result<(), Failure> {
    match format {
        Format::Table | Format::Wide => Ok(()),
        Format::Name => objects.iter().try_for_each(|object| writeln!(out, "{}", resource_name(object))),
        Format::CustomColumns(columns) => {
            let mut rows = columns.rows(&objects).map_err(unprintable)?;
            if headers == Headers::Shown {
                rows.insert(0, columns.header());
            }
            let mut widths = Widths::default();
            widths.fit(&rows);
            table::print(out, &widths, &rows)
        }
        Format::Yaml | Format::Json | Format::JsonPath(_) | Format::JsonPathAsJson(_) => {
            return document(objects, asked).map_or(Ok(()), |document| print_one(format, &document, out));
        }
    }
    .map_err(Failure::of_output)
}

/// Many objects are one List.
fn document(mut objects: Vec<Value>, asked: Asked) -> Option<Value> {
    match asked {
        Asked::One => objects.pop(),
        Asked::Many => {
            let metadata = json!({"resourceVersion": ""});
            Some(json!({"apiVersion": "v1", "items": objects, "kind": "List", "metadata": metadata}))
        }
    }
}

/// One object or List.
pub(crate) fn print_one(format: &Format, object: &Value, out: &mut dyn Write) -> Result<(), Failure> {
    let text = match format {
        Format::Table | Format::Wide | Format::CustomColumns(_) => String::new(),
        Format::Name => format!("{}\n", resource_name(object)),
        Format::Yaml => to_yaml(object),
        Format::Json => format!("{}\n", go::json_indented(object)),
        Format::JsonPath(template) => template.text(object).map_err(unprintable)?,
        Format::JsonPathAsJson(template) => {
            let arrays = template.arrays(object).map_err(unprintable)?;
            arrays.iter().map(|found| format!("{}\n", go::json_indented(found))).collect()
        }
    };
    out.write_all(text.as_bytes()).map_err(|error: io::Error| Failure::of_output(error))
}

pub(crate) fn unprintable(error: EvaluateError) -> Failure {
    Failure::new(Exit::Failed, "cannot evaluate the template").because(error)
}
