//! Arguments and verbs, one file for each verb.

mod duration;
mod exit;
mod failure;
mod selector;
mod settings;
mod table;
mod terminal;

use std::process::ExitCode;

/// Runs the verb that the arguments name.
#[must_use]
pub fn main() -> ExitCode {
    ExitCode::SUCCESS
}
