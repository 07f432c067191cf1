//! An exec under way: a process in a container, and the caller that waits for its end.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;

use oci_spec::runtime::BoxBuilder;

use super::birth;
use super::control::{answer, take_line};
use super::enter::{self, Entry};
use super::event_loop::Shim;
use super::launch::Stdio;
use super::verdict::Verdict;
use crate::bundle::{self, Terminal};
use crate::rundir::control::{Answer, LINE_LIMIT, Request, WindowSize};
use crate::sandbox::oom;
use crate::sandbox::sys::{pidfd, pty, scm};

#[derive(Debug)]
pub(super) struct Session {
    stream: Option<UnixStream>,
    pid: i32,
    process: OwnedFd,
    text: Vec<u8>,
    master: Option<OwnedFd>,
    verdict: Verdict,
}

impl Session {
    pub(super) fn new(stream: UnixStream, begun: Begun) -> Session {
        let Begun { pid, process, master, verdict } = begun;
        Session { stream: Some(stream), pid, process, text: Vec::new(), master, verdict }
    }

    pub(super) fn pid(&self) -> Option<i32> {
        self.stream.as_ref().map(|_| self.pid)
    }

    pub(super) fn is_open(&self) -> bool {
        self.stream.is_some()
    }

    /// The process has ended: the caller is told, and the session is over.
    pub(super) fn ended(&mut self, code: i32) {
        if let Some(stream) = self.stream.take() {
            let last = match self.verdict.failure() {
                Some(why) => Answer::Refused { why },
                None => Answer::Ended { code },
            };
            answer(&stream, &last);
        }
    }
}

impl AsFd for Session {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.stream.as_ref().expect("closed sessions are dropped before the next poll").as_fd()
    }
}

/// A process that was started, and its terminal's master if it has one.
pub(super) struct Begun {
    pub(super) pid: i32,
    pub(super) process: OwnedFd,
    pub(super) master: Option<OwnedFd>,
    pub(super) verdict: Verdict,
}

/// Starts a process in a running container; what stands against it comes back in words.
pub(super) fn exec(
    shim: &Shim,
    container: &str,
    argv: &[String],
    terminal: Option<WindowSize>,
    descriptors: Vec<OwnedFd>,
) -> Result<Begun, String> {
    let plan =
        shim.state.plan().container(container).ok_or_else(|| format!("there is no container {container}"))?;
    let running = shim
        .running
        .get(container)
        .filter(|running| running.verdict.is_none())
        .ok_or_else(|| format!("container {container} is not running"))?;
    let kind = if terminal.is_some() { Terminal::Yes } else { Terminal::No };
    let mut process = bundle::exec_process(plan, &running.ground, argv, kind)
        .map_err(|error| super::with_causes(&error))?;
    let stdio = match terminal {
        None => Some(stdio(descriptors)?),
        Some(size) => {
            let (height, width) = (u64::from(size.rows), u64::from(size.columns));
            // A terminal of the wrong size is better than none.
            process.set_console_size(BoxBuilder::default().height(height).width(width).build().ok());
            None
        }
    };
    let filter = running.filter.clone();
    let loading = birth::loading(shim.state.plan(), plan, filter.as_deref())?;
    let cgroup = &running.ground.cgroup;
    let doors = shim.at.cgroups.doors(cgroup).map_err(|error| super::with_causes(&error))?;
    let entry = Entry { beside: running.pid, cgroup, doors, process, stdio, filter, loading };
    // Where the score is refused, an event of the container has told so when it started.
    let (entered, _) = oom::lend(running.score, || enter::enter(entry));
    let (launched, master) = entered.map_err(|error| super::with_causes(&error))?;
    let process = pidfd::open(launched.pid).map_err(|error| error.to_string())?;
    Ok(Begun { pid: launched.pid, process, master, verdict: launched.verdict })
}

fn stdio(descriptors: Vec<OwnedFd>) -> Result<Stdio, String> {
    let [stdin, stdout, stderr] = <[OwnedFd; 3]>::try_from(descriptors)
        .map_err(|given| format!("{} descriptors were handed over instead of three", given.len()))?;
    Ok(Stdio { stdin, stdout, stderr })
}

/// The caller has something to say, or has gone.
pub(super) fn serve(shim: &mut Shim, at: usize) {
    let Some(session) = shim.sessions.get_mut(at) else { return };
    let Some(stream) = session.stream.take() else { return };
    let mut buffer = [0; 4096];
    match scm::receive(&stream, &mut buffer) {
        // Descriptors are of no use here and are closed.
        Ok(received) if received.bytes > 0 && session.text.len() + received.bytes <= LINE_LIMIT => {
            session.text.extend_from_slice(&buffer[..received.bytes]);
            while let Some(line) = take_line(&mut session.text) {
                obey(session, &line);
            }
            session.stream = Some(stream);
        }
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => session.stream = Some(stream),
        Ok(_) | Err(_) => {
            // Ended already is as good as hung up on.
            drop(pidfd::signal(&session.process, libc::SIGHUP));
        }
    }
}

fn obey(session: &Session, line: &[u8]) {
    match serde_json::from_slice(line) {
        Ok(Request::Resize(size)) => {
            if let Some(master) = &session.master {
                drop(pty::set_size(master.as_fd(), size.rows, size.columns));
            }
        }
        Ok(Request::Signal(number)) => {
            drop(pidfd::signal(&session.process, number));
        }
        // A second wish needs a second connection.
        Ok(Request::Exec { .. } | Request::Attach { .. } | Request::Stop(_)) | Err(_) => {}
    }
}
