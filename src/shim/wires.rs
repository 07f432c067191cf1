//! What connects a container's streams with its pod process: pipes, or a terminal.

use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;

use rustix::pipe::{PipeFlags, pipe_with};

use super::audience::Expected;
use super::console::Console;
use super::event_loop::Shim;
use super::launch::{Launched, Stdio, Wiring};
use super::output::Output;
use super::streams;
use crate::logs::write::LogWriter;
use crate::model::pod_plan::Stdin;

/// A run's output, which is read from its start on, and the writing end of its input.
pub(super) struct Wires {
    pub(super) output: Output,
    pub(super) stdin: Option<OwnedFd>,
}

/// Starts a container of this user on pipes or on a terminal. `start` calls what it is given once the container is
/// created, before its program runs.
pub(super) fn start_wired(
    shim: &Shim,
    stdin: Stdin,
    uid: u32,
    log: LogWriter,
    start: impl FnOnce(Wiring, &mut dyn FnMut()) -> Result<Launched, String>,
) -> Result<(Launched, Wires), String> {
    let (wiring, wires) = match stdin {
        Stdin::Closed => on_pipes(log, null().map_err(unwired)?, None, Expected::No)?,
        Stdin::Pipe | Stdin::PipeOnce => {
            let (theirs, ours) = pipe_with(PipeFlags::CLOEXEC).map_err(|error| unwired(error.into()))?;
            on_pipes(log, theirs, Some(ours), Expected::Yes)?
        }
        Stdin::Terminal => {
            let console = Console::listen(&shim.at.pod).map_err(unwired)?;
            let mut master = None;
            let launched = start(Wiring::Console(console.path.clone()), &mut || {
                master = Some(console.master().inspect(|master| streams::give_terminal(master, uid)));
            })?;
            let output = master.unwrap_or_else(|| console.master());
            let output = output.and_then(|master| Output::of_terminal(master, log));
            // Without its terminal the program's first look at it ends it.
            return Ok((launched, Wires { output: output.map_err(unwired)?, stdin: None }));
        }
    };
    if let Wiring::Pipes(stdio) = &wiring {
        for stream in [&stdio.stdin, &stdio.stdout, &stdio.stderr] {
            streams::give(stream, uid);
        }
    }
    Ok((start(wiring, &mut || {})?, wires))
}

fn on_pipes(
    log: LogWriter,
    stdin: OwnedFd,
    ours: Option<OwnedFd>,
    expected: Expected,
) -> Result<(Wiring, Wires), String> {
    let (output, writers) = Output::new(log, expected).map_err(unwired)?;
    let stdio = Stdio { stdin, stdout: writers.stdout, stderr: writers.stderr };
    Ok((Wiring::Pipes(stdio), Wires { output, stdin: ours }))
}

#[expect(clippy::needless_pass_by_value, reason = "it stands where errors are mapped")]
fn unwired(error: io::Error) -> String {
    format!("cannot connect the container's streams: {error}")
}

fn null() -> std::io::Result<OwnedFd> {
    Ok(File::open("/dev/null")?.into())
}
