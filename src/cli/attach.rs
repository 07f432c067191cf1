//! `attach`: the caller's streams connected to a running container's own.

use std::io::{self, IsTerminal, pipe};
use std::os::fd::AsFd;

use crate::rundir::control::{Answer, InputWish, Request};
use crate::sandbox::sys::pty::RawMode;

use super::exec::relay::{End, Input, Output, Relay, Signals, Standard};
use super::exec::talk::Talk;
use super::exec::{choose, must_run, window_size};
use super::exit::Exit;
use super::failure::Failure;
use super::records::Records;
use super::settings::Settings;
use super::{target, tell};

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  droppod attach web
  droppod attach -it shell
  echo done | droppod attach -i reader

Input needs `stdin: true` in the container's manifest. The exit code is the
container's; Ctrl-C, or Ctrl-P Ctrl-Q with -it, leaves it running.")]
pub(crate) struct AttachArgs {
    /// NAME or pod/NAME
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
}

pub(crate) fn run(args: &AttachArgs, settings: &Settings) -> Result<Exit, Failure> {
    let records = Records::load(&settings.places)?;
    let shown = records.pod(&settings.namespace, target::pod_name(&args.pod)?)?;
    let container = choose(shown, args.container.as_deref())?;
    must_run(shown, &container)?;
    let pod = shown.pod_id();
    let broken = |error: io::Error| {
        Failure::new(Exit::Failed, format!("cannot attach to pod {pod}"))
            .because(error)
            .help("`droppod get pod` shows whether the pod still runs")
    };
    let talk = Talk::open(&settings.places.pod(shown.uid())).map_err(broken)?;
    match attach(talk, container, args).map_err(broken)? {
        End::Code(code) => Ok(Exit::of_program(code)),
        End::Left => {
            tell("detached, the container runs on");
            Ok(Exit::Done)
        }
        End::Refused(why) => Err(Failure::new(Exit::Failed, format!("pod {pod} refuses: {why}"))),
    }
}

fn attach(mut talk: Talk, container: String, args: &AttachArgs) -> io::Result<End> {
    let (output, their_output) = pipe()?;
    let (errors, their_errors) = pipe()?;
    let input = if args.stdin { InputWish::Connect } else { InputWish::None };
    let request = Request::Attach { container, input, terminal: args.tty.then(window_size) };
    talk.ask(&request, &[their_output.as_fd(), their_errors.as_fd()])?;
    // As long as these are open here, no end of file would be seen.
    drop((their_output, their_errors));
    match talk.wait()? {
        Answer::Started { .. } => {}
        Answer::Refused { why } => return Ok(End::Refused(why)),
        Answer::Ended { code } => return Ok(End::Code(code)),
    }
    let mine = io::stdin();
    let raw = args.stdin && args.tty && mine.is_terminal();
    let _raw = raw.then(|| RawMode::enter(mine.as_fd())).transpose()?;
    let input = match (talk.descriptor(), args.tty) {
        (Some(theirs), true) => Some(Input::to_terminal(theirs)?.leaving_on_keys()),
        (Some(theirs), false) => Some(Input::to_pipe(theirs)?),
        (None, _) => None,
    };
    let outputs =
        vec![Output::new(output.into(), Standard::Output), Output::new(errors.into(), Standard::Error)];
    Relay { talk, input, outputs, signals: Signals::Leave }.run()
}
