//! `--dry-run` and `-o` of verbs that change something: whether it is done, and how it is told.

use std::io::{Write, stdout};

use serde_json::Value;

use crate::model::object::ObjectKey;

use super::failure::Failure;
use super::print::{self, Asked, Format, Headers};

#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Telling {
    #[command(flatten)]
    dry: DryRun,
    /// Print the objects as name, yaml, json or jsonpath=…
    #[arg(short, long, value_parser = print::parse_document, value_name = "FORMAT")]
    output: Option<Format>,
}

#[derive(Debug, Clone, Copy, clap::Args)]
pub(crate) struct DryRun {
    /// Only tell what would be done: client, server (the same here) or none
    #[arg(long = "dry-run", value_enum, value_name = "HOW", num_args = 0..=1, require_equals = true,
          default_missing_value = "client", hide_possible_values = true)]
    how: Option<How>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum How {
    Client,
    Server,
    None,
}

impl DryRun {
    pub(crate) fn is_on(self) -> bool {
        matches!(self.how, Some(How::Client | How::Server))
    }

    /// For the end of a line.
    pub(crate) fn mark(self) -> &'static str {
        if self.is_on() { " (dry run)" } else { "" }
    }
}

impl Telling {
    pub(crate) fn is_dry(&self) -> bool {
        self.dry.is_on()
    }

    pub(crate) fn has_format(&self) -> bool {
        self.output.is_some()
    }

    /// Each as soon as it is done, unless all are printed at the end.
    pub(crate) fn done(&self, key: &ObjectKey, word: &str) -> Result<(), Failure> {
        match self.output {
            Some(_) => Ok(()),
            None => writeln!(stdout(), "{key} {word}{}", self.dry.mark()).map_err(Failure::of_output),
        }
    }

    pub(crate) fn all_done(&self, objects: Vec<Value>) -> Result<(), Failure> {
        let Some(format) = &self.output else { return Ok(()) };
        let asked = if objects.len() == 1 { Asked::One } else { Asked::Many };
        print::print(format, objects, asked, Headers::Shown, &mut stdout().lock())
    }
}
