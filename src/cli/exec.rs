//! `exec`: a command in a running container, its streams handed straight to it.

use std::fs::File;
use std::io::{self, IsTerminal, pipe};
use std::os::fd::{AsFd, OwnedFd};

use rustix::termios::tcgetwinsize;

use crate::model::record::ContainerState;
use crate::rundir::control::{Answer, Request, WindowSize};
use crate::sandbox::sys::pty::RawMode;

use super::exit::Exit;
use super::failure::Failure;
use super::records::Shown;
use super::running::{self, RunningArgs};
use super::settings::Settings;
use super::tell;
use relay::{Input, Output, Relay, Signals, Standard};
use talk::Talk;

pub(super) mod relay;
pub(super) mod talk;

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  droppod exec web -- cat /etc/hosts
  droppod exec -it web -c main -- sh
  tar c . | droppod exec -i web -- tar x -C /data")]
pub(crate) struct ExecArgs {
    /// NAME, pod/NAME, or job/NAME for a pod of it
    pod: String,
    /// The container [default: the pod's first]
    #[arg(short, long)]
    container: Option<String>,
    /// Pass standard input on
    #[arg(short = 'i', long)]
    stdin: bool,
    /// Give the command a terminal
    #[arg(short, long)]
    tty: bool,
    /// Show nothing but what the command writes
    #[arg(short, long)]
    quiet: bool,
    #[command(flatten)]
    running: RunningArgs,
    /// The program and its arguments
    #[arg(last = true, required = true, value_name = "CMD")]
    command: Vec<String>,
}

pub(crate) fn run(args: ExecArgs, settings: &Settings) -> Result<Exit, Failure> {
    let named = args.container.as_deref();
    let (shown, container) = running::find(&args.pod, named, args.running, settings)?;
    if !args.quiet {
        running::tell_default(&shown, named, &container);
    }
    let broken = |error: io::Error| {
        Failure::new(Exit::Failed, format!("cannot run the command in pod {}", shown.pod_id()))
            .because(error)
            .help("`droppod get pod` shows whether the pod still runs")
    };
    let talk = Talk::open(&settings.places.pod(shown.uid())).map_err(broken)?;
    let terminal = args.tty.then(window_size);
    let request = Request::Exec { container, argv: args.command, terminal };
    let code = if args.tty {
        in_terminal(talk, &request, args.stdin).map_err(broken)?
    } else {
        with_pipes(talk, &request, args.stdin).map_err(broken)?
    };
    match code {
        relay::End::Code(code) => Ok(Exit::of_program(code)),
        // Only `attach` is left.
        relay::End::Left => Ok(Exit::Done),
        relay::End::Refused(why) => {
            Err(Failure::new(Exit::Failed, format!("pod {} refuses: {why}", shown.pod_id())))
        }
    }
}

/// The named container, or the one commands mean.
pub(crate) fn choose(shown: &Shown, named: Option<&str>) -> Result<String, Failure> {
    let names = shown.container_names();
    let chosen = named.map(str::to_owned).or_else(|| shown.default_container());
    match chosen {
        Some(name) if names.contains(&name) => Ok(name),
        Some(name) => {
            let what = format!("container {name} is not in pod {}", shown.pod_id());
            Err(Failure::new(Exit::Failed, what).help(format!("its containers are {}", names.join(", "))))
        }
        None => Err(Failure::new(Exit::Failed, format!("pod {} has no container", shown.pod_id()))),
    }
}

pub(super) fn must_run(shown: &Shown, container: &str) -> Result<(), Failure> {
    let record = shown.container(container);
    let why = match record.map(|record| &record.state) {
        Some(ContainerState::Terminated(exit)) => said(&exit.reason, &exit.message),
        // What it once waited for will not come.
        Some(ContainerState::Running { .. } | ContainerState::Waiting { .. }) | None
            if shown.outcome().is_some() =>
        {
            "its pod has ended".to_owned()
        }
        Some(ContainerState::Waiting { reason, message }) => said(reason, message),
        Some(ContainerState::Running { .. }) => return Ok(()),
        None => held_up(shown, container),
    };
    let has_written = record.is_some_and(|record| {
        record.last.is_some() || !matches!(record.state, ContainerState::Waiting { .. })
    });
    let name = &shown.known.record.key.name;
    let help = if has_written {
        format!("`droppod logs {name} -c {container}` shows what it wrote")
    } else if shown.outcome().is_some() {
        format!("`droppod describe pod {name}` shows how it ended")
    } else {
        format!("`droppod describe pod {name}` shows what it waits for")
    };
    Err(Failure::new(Exit::Failed, format!("container {container} of pod {} does not run", shown.pod_id()))
        .because(why)
        .help(help))
}

/// What keeps a container from starting that has no record: itself, its pod, or another container of the pod.
fn held_up(shown: &Shown, container: &str) -> String {
    let why = shown.course.waiting.as_ref().map(|waiting| &waiting.why);
    let own = why.and_then(|why| why.containers.get(container).or(why.pod.as_ref()));
    let another = || why.and_then(|why| why.containers.iter().next());
    match (own, another()) {
        (Some(waiting), _) => waiting.to_string(),
        (None, Some((other, waiting))) => format!("container {other} waits: {waiting}"),
        (None, None) => NOT_STARTED.to_owned(),
    }
}

const NOT_STARTED: &str = "it has not been started";

fn said(reason: &str, message: &str) -> String {
    match (reason, message) {
        ("", "") => NOT_STARTED.to_owned(),
        (one, "") | ("", one) => one.to_owned(),
        (reason, message) => format!("{reason}: {message}"),
    }
}

/// The container's ends of three pipes are handed over; the other ends are ours.
fn with_pipes(mut talk: Talk, request: &Request, stdin: bool) -> io::Result<relay::End> {
    let (their_input, input) = if stdin {
        let (theirs, ours) = pipe()?;
        (OwnedFd::from(theirs), Some(Input::to_pipe(ours.into())?))
    } else {
        (File::open("/dev/null")?.into(), None)
    };
    let (output, their_output) = pipe()?;
    let (errors, their_errors) = pipe()?;
    talk.ask(request, &[their_input.as_fd(), their_output.as_fd(), their_errors.as_fd()])?;
    // As long as these are open here, no end of file would be seen.
    drop((their_input, their_output, their_errors));
    let outputs =
        vec![Output::new(output.into(), Standard::Output), Output::new(errors.into(), Standard::Error)];
    Relay { talk, input, outputs, signals: Signals::PassOn }.run()
}

/// The terminal's master comes back; the caller's own terminal only turns raw.
fn in_terminal(mut talk: Talk, request: &Request, stdin: bool) -> io::Result<relay::End> {
    talk.ask(request, &[])?;
    match talk.wait()? {
        Answer::Started { .. } => {}
        Answer::Refused { why } => return Ok(relay::End::Refused(why)),
        Answer::Ended { code } => return Ok(relay::End::Code(code)),
    }
    let master = talk.descriptor().ok_or_else(|| io::Error::other("the terminal did not arrive"))?;
    let mine = io::stdin();
    if stdin && !mine.is_terminal() {
        tell("warning: standard input is not a terminal");
    }
    let raw = stdin && mine.is_terminal();
    let _raw = raw.then(|| RawMode::enter(mine.as_fd())).transpose()?;
    let input = stdin.then(|| Input::to_terminal(master.try_clone()?)).transpose()?;
    let outputs = vec![Output::new(master, Standard::Output)];
    Relay { talk, input, outputs, signals: Signals::PassOn }.run()
}

/// Of the caller's terminal, whichever of its streams is one.
pub(crate) fn window_size() -> WindowSize {
    let size = [tcgetwinsize(io::stdin()), tcgetwinsize(io::stdout()), tcgetwinsize(io::stderr())];
    let known = size.into_iter().flatten().find(|size| size.ws_row > 0 && size.ws_col > 0);
    known.map_or(WindowSize { rows: 24, columns: 80 }, |size| WindowSize {
        rows: size.ws_row,
        columns: size.ws_col,
    })
}
