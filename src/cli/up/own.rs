//! One pod from the command line: its streams are the caller's own, and nothing is told but what went wrong.

use std::process::{Child, Command};
use std::time::Duration;

use crate::cli::exec::window_size;
use crate::cli::exit::Exit;
use crate::cli::failure::Failure;
use crate::cli::input::Input;
use crate::cli::settings::Settings;
use crate::cli::{doctor, tell, watch};
use crate::daemon::Patience;
use crate::paths::Places;
use crate::publish::{Durability, publish};
use crate::rundir::terminal;

use super::exit_from::ExitFrom;
use super::session::Session;
use super::voice::Show;
use super::{Keep, Manner, direct};

/// What of the caller the program gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Streams {
    /// Its output is shown.
    Output,
    /// It also reads what the caller's standard input holds.
    Input,
    /// It reads keys, on a terminal.
    Keys,
}

/// Its exit code is the program's. It may have `start` to run.
pub(crate) fn run_one(
    input: &Input,
    name: &str,
    streams: Streams,
    start: Option<Duration>,
    settings: &Settings,
) -> Result<Exit, Failure> {
    doctor::must_be_able()?;
    let session = Session::open(settings)?;
    let root = session.root_of_copies(&[input])?;
    hand_over_size(streams, session.places())?;
    let attached = match streams {
        Streams::Output => None,
        Streams::Input => Some(attach(session.places(), name, &["-i"], settings)?),
        Streams::Keys => Some(attach(session.places(), name, &["-i", "-t"], settings)?),
    };
    let manner = Manner {
        timeout: None,
        start,
        patience: Patience::WithOthers,
        keep: Keep::Nothing,
        exit_from: Some(ExitFrom::of_pod(&settings.namespace, name)),
        show: if attached.is_some() { Show::Nothing } else { Show::Bare },
        junit: None,
        attached,
    };
    let hidden = watch::hidden(settings, std::iter::empty());
    direct(session, vec![root], hidden, manner, settings)
}

/// The program may look at its terminal before anybody is attached to it.
fn hand_over_size(streams: Streams, places: &Places) -> Result<(), Failure> {
    match streams {
        Streams::Output | Streams::Input => Ok(()),
        Streams::Keys => terminal::write(places, window_size()).map_err(|error| {
            Failure::new(Exit::Failed, "cannot hand over the size of the terminal").because(error)
        }),
    }
}

/// A process of its own, because it takes signals and the terminal for itself. It shows the log of a pod that has
/// ended before it could attach.
fn attach(places: &Places, name: &str, flags: &[&str], settings: &Settings) -> Result<Child, Failure> {
    let failed = |error| Failure::new(Exit::Failed, "cannot start what attaches to the pod").because(error);
    let mut command = Command::new(std::env::current_exe().map_err(failed)?);
    for (option, place) in
        [("--state-dir", &places.state), ("--run-dir", &places.run), ("--log-dir", &places.log)]
    {
        command.arg(option).arg(place);
    }
    command.arg("-n").arg(&settings.namespace).arg("attach").args(flags).args(["--from-start", name]);
    command.spawn().map_err(failed)
}

/// It ends with the pod, or with the word that there will be none.
pub(super) fn wait_for(mut attached: Child, places: &Places) {
    let over = publish(&places.over(), b"", 0o600, Durability::Volatile).map(drop);
    if let Err(error) = over.and_then(|()| attached.wait().map(drop)) {
        tell(&format!("warning: what attached to the pod was not waited for: {error}"));
    }
}
