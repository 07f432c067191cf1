//! An exec under way: a process in a container, and the caller that waits for its end.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;

use oci_spec::runtime::BoxBuilder;

use super::birth;
use super::control::{answer, line, take_line};
use super::enter::{self, Entry, Passage, TOO_LATE};
use super::event_loop::Shim;
use super::launch::Stdio;
use crate::bundle::{self, Terminal};
use crate::model::time::Moment;
use crate::rundir::control::{Answer, LINE_LIMIT, Request, WindowSize};
use crate::sandbox::sys::{pty, scm};

#[derive(Debug)]
pub(super) struct Session {
    stream: Option<UnixStream>,
    passage: Passage,
    text: Vec<u8>,
    master: Option<OwnedFd>,
}

impl Session {
    pub(super) fn new(stream: UnixStream, passage: Passage) -> Session {
        Session { stream: Some(stream), passage, text: Vec::new(), master: None }
    }

    pub(super) fn pid(&self) -> Option<i32> {
        self.stream.as_ref().and_then(|_| self.passage.pid())
    }

    pub(super) fn is_open(&self) -> bool {
        self.stream.is_some()
    }

    pub(super) fn until(&self) -> Option<Moment> {
        self.passage.until()
    }

    /// The caller is told that the process has entered and given its terminal's master, or why it has not.
    fn arrive(&mut self) {
        let arrived = self.passage.arrive();
        match (arrived, self.passage.pid(), &self.stream) {
            (Ok(master), Some(pid), Some(stream)) => {
                let handed: Vec<BorrowedFd<'_>> = master.iter().map(AsFd::as_fd).collect();
                // A caller that is gone already is seen as such by the next poll.
                drop(scm::send(stream, &line(&Answer::Started { pid }), &handed));
                self.master = master;
            }
            (Ok(_), _, _) => {}
            (Err(why), _, _) => self.refuse(why),
        }
    }

    fn refuse(&mut self, why: String) {
        if let Some(stream) = self.stream.take() {
            answer(&stream, &Answer::Refused { why });
        }
    }

    /// The process has ended: the caller is told, and the session is over.
    pub(super) fn ended(&mut self, code: i32) {
        if let Some(stream) = self.stream.take() {
            let last = match self.passage.verdict.failure() {
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

/// Why no process was begun.
pub(super) enum Refusal {
    /// The container takes none in.
    TooLate,
    Why(String),
}

/// Begins a process that is to enter a running container.
pub(super) fn exec(
    shim: &Shim,
    container: &str,
    argv: &[String],
    terminal: Option<WindowSize>,
    descriptors: Vec<OwnedFd>,
) -> Result<Passage, Refusal> {
    if enter::is_stuck(&shim.stragglers, container) {
        return Err(Refusal::TooLate);
    }
    begin(shim, container, argv, terminal, descriptors).map_err(Refusal::Why)
}

fn begin(
    shim: &Shim,
    container: &str,
    argv: &[String],
    terminal: Option<WindowSize>,
    descriptors: Vec<OwnedFd>,
) -> Result<Passage, String> {
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
    let doors = shim.at.cgroups.doors(&running.ground.cgroup, running.pid);
    let mut doors = doors.map_err(|error| super::with_causes(&error))?;
    if plan.resources.cpu_limit_milli.is_some() {
        // To be born there saves a wait of a hundredth of a second, but takes processor time that a limit may not leave.
        doors.birthplace = None;
    }
    let entry = Entry {
        container,
        beside: running.pid,
        score: running.score,
        doors,
        process,
        stdio,
        filter,
        loading,
    };
    enter::begin(entry).map_err(|error| super::with_causes(&error))
}

fn stdio(descriptors: Vec<OwnedFd>) -> Result<Stdio, String> {
    let [stdin, stdout, stderr] = <[OwnedFd; 3]>::try_from(descriptors)
        .map_err(|given| format!("{} descriptors were handed over instead of three", given.len()))?;
    Ok(Stdio { stdin, stdout, stderr })
}

/// A child has ended that is not reaped yet.
pub(super) fn look(shim: &mut Shim, pid: i32) {
    for session in shim.sessions.iter_mut().filter(|session| session.passage.concerns(pid)) {
        session.arrive();
    }
}

/// The container has ended: nobody enters it any more.
pub(super) fn end_all_of(shim: &mut Shim, container: &str) {
    let why = format!("container {container} has ended");
    end_where(shim, &why, |session| session.passage.enters(container));
}

pub(super) fn end_late(shim: &mut Shim, now: Moment) {
    end_where(shim, TOO_LATE, |session| session.until().is_some_and(|until| until <= now));
}

fn end_where(shim: &mut Shim, why: &str, which: impl Fn(&Session) -> bool) {
    for session in shim.sessions.iter_mut().filter(|session| which(session)) {
        shim.stragglers.extend(session.passage.call_off());
        session.refuse(why.to_owned());
    }
}

/// The caller has something to say, or has gone.
pub(super) fn serve(shim: &mut Shim, at: usize) {
    let Some(session) = shim.sessions.get_mut(at) else { return };
    let Some(stream) = session.stream.take() else { return };
    if session.until().is_some() {
        shim.stragglers.extend(session.passage.call_off());
        return;
    }
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
        Ok(_) | Err(_) => session.passage.signal(libc::SIGHUP),
    }
}

fn obey(session: &Session, line: &[u8]) {
    match serde_json::from_slice(line) {
        Ok(Request::Resize(size)) => {
            if let Some(master) = &session.master {
                drop(pty::set_size(master.as_fd(), size.rows, size.columns));
            }
        }
        Ok(Request::Signal(number)) => session.passage.signal(number),
        // A second wish needs a second connection.
        Ok(Request::Exec { .. } | Request::Attach { .. } | Request::Stop(_)) | Err(_) => {}
    }
}
