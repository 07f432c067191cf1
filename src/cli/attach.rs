//! `attach`: the caller's streams connected to a running container's own.

use std::io::{self, IsTerminal, pipe};
use std::os::fd::AsFd;

use rustix::event::{Timespec, poll};

use crate::model::id::PodId;
use crate::model::record::ContainerState;
use crate::rundir::control::{Answer, InputWish, Request};
use crate::sandbox::sys::pty::RawMode;

use super::exec::relay::{End, Input, Output, Relay, Signals, Standard};
use super::exec::talk::Talk;
use super::exec::{choose, window_size};
use super::exit::Exit;
use super::failure::Failure;
use super::records::Records;
use super::running::{self, RunningArgs};
use super::settings::Settings;
use super::{logs, tell};

const LOOK_AGAIN: Timespec = Timespec { tv_sec: 0, tv_nsec: 20_000_000 };

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  droppod attach web
  droppod attach -it shell
  echo done | droppod attach -i reader

Input needs `stdin: true` in the container's manifest. The exit code is the
container's; Ctrl-C, or Ctrl-P Ctrl-Q with -it, leaves it running.")]
#[expect(clippy::struct_excessive_bools, reason = "flags of the command line, each for itself")]
pub(crate) struct AttachArgs {
    /// NAME, pod/NAME, or job/NAME for a pod of it
    pod: String,
    /// The container [default: the pod's first]
    #[arg(short, long)]
    container: Option<String>,
    /// Pass standard input on
    #[arg(short = 'i', long)]
    stdin: bool,
    /// The container has a terminal: keys go to it as they are pressed
    #[arg(short, long)]
    tty: bool,
    /// Show nothing but what the container writes
    #[arg(short, long)]
    quiet: bool,
    #[command(flatten)]
    running: RunningArgs,
    /// Wait until it runs; if it has ended by then, show its log
    #[arg(long, hide = true)]
    from_start: bool,
}

pub(crate) fn run(args: &AttachArgs, settings: &Settings) -> Result<Exit, Failure> {
    let line = if args.from_start {
        match wait_for_start(args, settings)? {
            // It may have ended meanwhile.
            Start::Runs => connect(args, settings).ok(),
            Start::Missed => None,
        }
    } else {
        Some(connect(args, settings)?)
    };
    let Some(Line { pod, talk, outputs }) = line else {
        // One that never ran has written nothing; who waits for it tells why.
        return logs::show_all(&args.pod, args.container.as_deref(), settings)
            .map_err(|_| Failure::Quiet(Exit::Failed));
    };
    match relay(talk, outputs, args).map_err(|error| broken(&pod, error))? {
        End::Code(code) => Ok(Exit::of_program(code)),
        End::Left => {
            tell("detached, the container runs on");
            Ok(Exit::Done)
        }
        End::Refused(why) => Err(refused(&pod, &why)),
    }
}

/// To a container that has taken the caller on.
struct Line {
    pod: PodId,
    talk: Talk,
    outputs: Vec<Output>,
}

fn connect(args: &AttachArgs, settings: &Settings) -> Result<Line, Failure> {
    let named = args.container.as_deref();
    let (shown, container) = running::find(&args.pod, named, args.running, settings)?;
    if !args.quiet && !args.from_start {
        running::tell_default(&shown, named, &container);
    }
    let pod = shown.pod_id();
    let input = if args.stdin { InputWish::Connect } else { InputWish::None };
    let request = Request::Attach { container, input, terminal: args.tty.then(window_size) };
    let asked = Talk::open(&settings.places.pod(shown.uid())).and_then(|talk| ask(talk, &request));
    let (talk, outputs, answer) = asked.map_err(|error| broken(&pod, error))?;
    match answer {
        Answer::Started { .. } | Answer::Ended { .. } => Ok(Line { pod, talk, outputs }),
        Answer::Refused { why } => Err(refused(&pod, &why)),
    }
}

fn ask(mut talk: Talk, request: &Request) -> io::Result<(Talk, Vec<Output>, Answer)> {
    let (output, their_output) = pipe()?;
    let (errors, their_errors) = pipe()?;
    talk.ask(request, &[their_output.as_fd(), their_errors.as_fd()])?;
    // As long as these are open here, no end of file would be seen.
    drop((their_output, their_errors));
    let answer = talk.wait()?;
    let outputs =
        vec![Output::new(output.into(), Standard::Output), Output::new(errors.into(), Standard::Error)];
    Ok((talk, outputs, answer))
}

fn relay(mut talk: Talk, outputs: Vec<Output>, args: &AttachArgs) -> io::Result<End> {
    let mine = io::stdin();
    let raw = args.stdin && args.tty && mine.is_terminal();
    let _raw = raw.then(|| RawMode::enter(mine.as_fd())).transpose()?;
    let input = match (talk.descriptor(), args.tty) {
        (Some(theirs), true) => Some(Input::to_terminal(theirs)?.leaving_on_keys()),
        (Some(theirs), false) => Some(Input::to_pipe(theirs)?),
        (None, _) => None,
    };
    Relay { talk, input, outputs, signals: Signals::Leave }.run()
}

fn broken(pod: &PodId, error: io::Error) -> Failure {
    Failure::new(Exit::Failed, format!("cannot attach to pod {pod}"))
        .because(error)
        .help("`droppod get pod` shows whether the pod still runs")
}

fn refused(pod: &PodId, why: &str) -> Failure {
    Failure::new(Exit::Failed, format!("pod {pod} refuses: {why}"))
}

/// What became of a container that was to start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Start {
    Runs,
    /// It has ended, or will never be.
    Missed,
}

fn wait_for_start(args: &AttachArgs, settings: &Settings) -> Result<Start, Failure> {
    loop {
        // Read first: what has ended since is seen after it.
        let over = settings.places.over().exists();
        // The instance may be in the making.
        if let Ok(records) = Records::load(&settings.places)
            && let Ok(shown) = records.pod(&settings.namespace, &args.pod)
            && let Ok(container) = choose(shown, args.container.as_deref())
        {
            match shown.container(&container).map(|record| &record.state) {
                Some(ContainerState::Running { .. }) if shown.outcome().is_none() => return Ok(Start::Runs),
                Some(ContainerState::Terminated(_)) => return Ok(Start::Missed),
                Some(ContainerState::Running { .. } | ContainerState::Waiting { .. }) | None => {}
            }
        }
        if over {
            return Ok(Start::Missed);
        }
        poll(&mut [], Some(&LOOK_AGAIN)).map_err(|error| {
            Failure::new(Exit::Failed, "cannot wait for the pod to start")
                .because(std::io::Error::from(error))
        })?;
    }
}
