//! One process per pod, one thread: it is the pod. It holds the namespaces, runs the containers, writes their
//! logs, restarts them, records their ends, and cleans up after itself.
//!
//! ```text
//! start list → Shim { state machine, ground, running containers, sessions }
//!                 │ poll: signals · goal.json · control socket · outputs · lifeline · next deadline
//!                 ▼
//!              Event → pod::step → Effects → done at once, what they lead to comes back as an Event
//! ```

mod again;
mod attach;
mod audience;
mod birth;
mod console;
mod control;
mod end;
pub(crate) mod enter;
mod event_loop;
mod execute;
mod farewell;
mod filter;
mod ground;
mod handler;
mod launch;
mod leave;
mod output;
pub(crate) mod pause;
mod reap;
mod session;
mod start;
mod streams;
mod unenforced;
mod verdict;
mod verify;
mod wires;

use std::ffi::OsString;
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use crate::paths::PodDir;

#[derive(Debug, thiserror::Error)]
pub(crate) enum ShimError {
    #[error("cannot {operation}")]
    Start { operation: &'static str, source: io::Error },
    #[error("there is no goal in {0}")]
    NoGoal(PathBuf),
    #[error("the lock of {0} was not handed over")]
    NoLock(PathBuf),
    #[error("cannot {operation}")]
    Loop { operation: &'static str, source: io::Error },
}

/// `droppod shim POD-DIRECTORY`: becomes the pod whose goal lies there. Nobody waits for the answer, so what goes
/// wrong is said.
pub(crate) fn main(pod_directory: &OsString) -> ExitCode {
    let pod = PodDir(PathBuf::from(pod_directory));
    match start::start(pod).and_then(event_loop::run) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            say(&with_causes(&error));
            ExitCode::FAILURE
        }
    }
}

/// To stderr, which whoever started the pod has given. Where that takes nothing more, as a file on a full disc, the pod
/// goes on: `eprintln!` would end it.
fn say(line: &str) {
    writeln!(io::stderr(), "droppod: {line}").ok();
}

/// An error and what caused it, in one line.
fn with_causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let more = error.to_string();
        // libcontainer repeats a cause in the error around it.
        if !text.ends_with(&more) {
            text.push_str(": ");
            text.push_str(&more);
        }
        cause = error.source();
    }
    text
}
