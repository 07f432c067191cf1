//! Arguments and verbs, one file for each verb.

pub(crate) mod report;
pub(crate) mod validate;

use std::process::ExitCode;

/// Runs the verb that the arguments name.
#[must_use]
pub fn main() -> ExitCode {
    ExitCode::SUCCESS
}
