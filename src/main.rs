//! The one binary: every verb, and the processes that droppod starts of itself.

use std::process::ExitCode;

fn main() -> ExitCode {
    droppod::cli::main()
}
