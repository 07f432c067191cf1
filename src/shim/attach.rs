//! Attaching to a container: its input is handed over, its output goes to the caller as well as to the log.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;

use super::audience::{Attached, Audience};
use super::control::{answer, line, take_line};
use super::event_loop::Shim;
use super::execute::Running;
use crate::model::pod_plan::Stdin;
use crate::rundir::control::{Answer, InputWish, LINE_LIMIT, Request, WindowSize};
use crate::sandbox::sys::{pty, scm};

/// What a caller asked for.
pub(super) struct Wish {
    pub(super) container: String,
    pub(super) input: InputWish,
    pub(super) terminal: Option<WindowSize>,
}

/// Answers the caller either way.
pub(super) fn attach(shim: &mut Shim, stream: &UnixStream, wish: &Wish, descriptors: Vec<OwnedFd>) {
    let refused = |why: String| answer(stream, &Answer::Refused { why });
    let stdin = shim.state.plan().container(&wish.container).map(|container| container.stdin);
    let (Some(stdin), Some(running)) = (stdin, shim.running.get_mut(&wish.container)) else {
        return refused(format!("container {} is not running", wish.container));
    };
    if let Audience::Present(_) = running.output.audience {
        return refused(format!("somebody is attached to container {} already", wish.container));
    }
    let input = match input(running, stdin, wish) {
        Ok(input) => input,
        Err(why) => return refused(why),
    };
    let Ok([stdout, stderr]) = <[OwnedFd; 2]>::try_from(descriptors) else {
        return refused("stdout and stderr are to be handed over".to_owned());
    };
    if let Some(size) = wish.terminal {
        resize(running, size);
    }
    let handed: Vec<BorrowedFd<'_>> = input.iter().map(AsFd::as_fd).collect();
    // A caller that is gone already is seen as such by the next poll.
    drop(scm::send(stream, &line(&Answer::Started { pid: running.pid }), &handed));
    let words = stream.try_clone();
    match words.and_then(|stream| Attached::new(stream, stdout, stderr)) {
        Ok(attached) => running.output.audience.join(attached),
        Err(error) => refused(format!("cannot attach: {error}")),
    }
}

/// The writing end of the container's input. One that is for a single caller is given away: it ends with them.
fn input(running: &mut Running, stdin: Stdin, wish: &Wish) -> Result<Option<OwnedFd>, String> {
    match wish.input {
        InputWish::None => return Ok(None),
        InputWish::Connect => {}
    }
    let shared = |input: io::Result<OwnedFd>| match input {
        Ok(input) => Ok(Some(input)),
        Err(error) => Err(format!("cannot share the input: {error}")),
    };
    match stdin {
        Stdin::Closed => {
            Err(format!("container {} has no stdin; its manifest can ask for it", wish.container))
        }
        Stdin::Terminal => match running.output.master() {
            Some(master) => shared(master),
            None => Err(format!("the terminal of container {} is gone", wish.container)),
        },
        Stdin::Pipe => match &running.stdin {
            Some(stdin) => shared(stdin.try_clone()),
            None => Err(format!("container {} has no stdin", wish.container)),
        },
        Stdin::PipeOnce => match running.stdin.take() {
            Some(stdin) => Ok(Some(stdin)),
            None => {
                Err(format!("the stdin of container {} was for one caller, who has gone", wish.container))
            }
        },
    }
}

fn resize(running: &Running, size: WindowSize) {
    if let Some(Ok(master)) = running.output.master() {
        // A terminal of the wrong size is better than none.
        drop(pty::set_size(master.as_fd(), size.rows, size.columns));
    }
}

/// The caller has something to say, or has gone.
pub(super) fn serve(shim: &mut Shim, container: &str) {
    let Some(running) = shim.running.get_mut(container) else { return };
    let Audience::Present(attached) = &mut running.output.audience else { return };
    let mut buffer = [0; 4096];
    match scm::receive(&attached.stream, &mut buffer) {
        Ok(received) if received.bytes > 0 && attached.text.len() + received.bytes <= LINE_LIMIT => {
            attached.text.extend_from_slice(&buffer[..received.bytes]);
        }
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
        Ok(_) | Err(_) => return running.output.audience.leave(),
    }
    let mut sizes = Vec::new();
    while let Some(line) = take_line(&mut attached.text) {
        match serde_json::from_slice(&line) {
            Ok(Request::Resize(size)) => sizes.push(size),
            // A signal is for the caller itself; a second wish needs a second connection.
            Ok(Request::Signal(_) | Request::Exec { .. } | Request::Attach { .. } | Request::Stop(_))
            | Err(_) => {}
        }
    }
    for size in sizes {
        resize(running, size);
    }
}
