//! `--dry-run=client`: what would be made is printed instead.

use std::io::{Write, stdout};

use serde_json::Value;

use crate::status::to_yaml;

use super::exit::Exit;
use super::failure::Failure;

#[derive(Debug, Clone, Copy, clap::Args)]
pub(crate) struct DryRunArgs {
    /// Only tell what would be made; with -o print it
    #[arg(long, value_enum, value_name = "HOW")]
    dry_run: Option<How>,
    /// The form that --dry-run prints
    #[arg(short, long, value_enum, value_name = "FORMAT")]
    output: Option<Format>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum How {
    Client,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    Yaml,
    Json,
    Name,
}

/// What is asked for.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Wanted {
    Done,
    Printed(Print),
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct Print(Option<Format>);

impl DryRunArgs {
    pub(crate) fn wanted(self) -> Result<Wanted, Failure> {
        match (self.dry_run, self.output) {
            (Some(How::Client), format) => Ok(Wanted::Printed(Print(format))),
            (None, Some(_)) => {
                Err(Failure::new(Exit::Usage, "-o prints a manifest with --dry-run=client only"))
            }
            (None, None) => Ok(Wanted::Done),
        }
    }
}

impl Print {
    /// `name` is kubectl's, such as `pod/web`.
    pub(crate) fn print(self, manifest: &Value, name: &str) -> Result<Exit, Failure> {
        let text = match self.0 {
            Some(Format::Json) => format!("{manifest:#}\n"),
            Some(Format::Yaml) => to_yaml(manifest),
            Some(Format::Name) => format!("{name}\n"),
            None => format!("{name} created (dry run)\n"),
        };
        stdout().write_all(text.as_bytes()).map_err(Failure::of_output)?;
        Ok(Exit::Done)
    }
}
