//! Copies bytes between the caller's streams and the command's until the command has ended.

use std::io::{self, Write};
use std::os::fd::OwnedFd;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
use rustix::io::Errno;

use crate::rundir::control::{Answer, Request};
use crate::sandbox::sys::signal::SignalFd;

use super::talk::Talk;

const CHUNK: usize = 32 * 1024;
/// What a terminal reads as the end of input, Ctrl-D.
const END_OF_INPUT: u8 = 4;
const CTRL_P: u8 = 16;
const CTRL_Q: u8 = 17;

/// How a session ended.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::cli) enum End {
    Code(i32),
    /// By the caller, and what was looked on at goes on.
    Left,
    Refused(String),
}

/// What becomes of the caller's signals.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::cli) enum Signals {
    /// To the command; one that comes a second time ends the session.
    PassOn,
    Leave,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::cli) enum Standard {
    Output,
    Error,
}

pub(in crate::cli) struct Output {
    /// `None` once nothing more comes or nobody wants it.
    from: Option<OwnedFd>,
    to: Standard,
}

/// From the caller's stdin.
pub(in crate::cli) struct Input {
    to: Option<OwnedFd>,
    pending: Vec<u8>,
    at_end: AtEnd,
    source: Source,
    keys: Keys,
}

/// Keys that leave a terminal without ending what runs on it: Ctrl-P Ctrl-Q.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Keys {
    None,
    Waiting,
    /// The first was pressed, and is held back.
    Begun,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum AtEnd {
    Close,
    TypeEndOfInput,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Source {
    Open,
    Ended,
}

pub(in crate::cli) struct Relay {
    pub(in crate::cli) talk: Talk,
    pub(in crate::cli) input: Option<Input>,
    pub(in crate::cli) outputs: Vec<Output>,
    pub(in crate::cli) signals: Signals,
}

impl Input {
    pub(in crate::cli) fn to_pipe(to: OwnedFd) -> io::Result<Input> {
        Input::new(to, AtEnd::Close)
    }

    pub(in crate::cli) fn to_terminal(to: OwnedFd) -> io::Result<Input> {
        Input::new(to, AtEnd::TypeEndOfInput)
    }

    fn new(to: OwnedFd, at_end: AtEnd) -> io::Result<Input> {
        // A command that does not read must not keep its output from being read.
        fcntl_setfl(&to, fcntl_getfl(&to)? | OFlags::NONBLOCK)?;
        Ok(Input { to: Some(to), pending: Vec::new(), at_end, source: Source::Open, keys: Keys::None })
    }

    pub(in crate::cli) fn leaving_on_keys(self) -> Input {
        Input { keys: Keys::Waiting, ..self }
    }

    fn wants_to_read(&self) -> bool {
        self.pending.is_empty() && self.source == Source::Open && self.to.is_some()
    }

    fn read(&mut self) -> io::Result<Pressed> {
        let mut buffer = [0; CHUNK];
        match rustix::io::read(io::stdin(), &mut buffer) {
            Ok(0) => {
                self.source = Source::Ended;
                match self.at_end {
                    AtEnd::Close => self.to = None,
                    AtEnd::TypeEndOfInput => self.pending.push(END_OF_INPUT),
                }
            }
            Ok(count) => return Ok(self.take(&buffer[..count])),
            Err(Errno::INTR | Errno::AGAIN) => {}
            Err(error) => return Err(error.into()),
        }
        Ok(Pressed::Other)
    }

    fn take(&mut self, bytes: &[u8]) -> Pressed {
        for byte in bytes {
            self.keys = match (self.keys, *byte) {
                (Keys::None, other) => {
                    self.pending.push(other);
                    Keys::None
                }
                (Keys::Waiting, CTRL_P) => Keys::Begun,
                (Keys::Waiting, other) => {
                    self.pending.push(other);
                    Keys::Waiting
                }
                (Keys::Begun, CTRL_Q) => return Pressed::Leave,
                (Keys::Begun, CTRL_P) => {
                    self.pending.push(CTRL_P);
                    Keys::Begun
                }
                (Keys::Begun, other) => {
                    self.pending.extend([CTRL_P, other]);
                    Keys::Waiting
                }
            };
        }
        Pressed::Other
    }

    fn write(&mut self) {
        let Some(to) = &self.to else { return };
        match rustix::io::write(to, &self.pending) {
            Ok(count) => drop(self.pending.drain(..count)),
            Err(Errno::INTR | Errno::AGAIN) => {}
            // The command has closed its input; it may go on without.
            Err(_) => self.to = None,
        }
    }
}

impl Output {
    pub(in crate::cli) fn new(from: OwnedFd, to: Standard) -> Output {
        Output { from: Some(from), to }
    }

    fn copy(&mut self) {
        let Some(from) = &self.from else { return };
        let mut buffer = [0; CHUNK];
        match rustix::io::read(from, &mut buffer) {
            Ok(count) if count > 0 => {
                // Nobody reads on: closing tells the command so.
                if self.to.write(&buffer[..count]).is_err() {
                    self.from = None;
                }
            }
            Err(Errno::INTR | Errno::AGAIN) => {}
            // A terminal's master says EIO when its last process has gone.
            Ok(_) | Err(_) => self.from = None,
        }
    }
}

impl Standard {
    fn write(self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Standard::Output => {
                let mut out = io::stdout().lock();
                out.write_all(bytes)?;
                out.flush()
            }
            Standard::Error => io::stderr().lock().write_all(bytes),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Pressed {
    Leave,
    Other,
}

/// What the caller's signals have asked for.
enum Asked {
    GoOn,
    GiveUp(End),
}

impl Relay {
    pub(in crate::cli) fn run(mut self) -> io::Result<End> {
        let signals =
            SignalFd::block(&[libc::SIGINT, libc::SIGTERM, libc::SIGHUP, libc::SIGQUIT, libc::SIGWINCH])?;
        let mut sent = Vec::new();
        loop {
            while let Some(answer) = self.talk.next() {
                match answer {
                    Answer::Started { .. } => {}
                    Answer::Ended { code } => {
                        self.drain()?;
                        return Ok(End::Code(code));
                    }
                    Answer::Refused { why } => return Ok(End::Refused(why)),
                }
            }
            let ready = self.wait(&signals)?;
            if ready.signal
                && let Asked::GiveUp(end) = self.pass_on(&signals, &mut sent)?
            {
                return Ok(end);
            }
            if let Some(input) = &mut self.input {
                if ready.stdin && input.read()? == Pressed::Leave {
                    return Ok(End::Left);
                }
                if !input.pending.is_empty() {
                    input.write();
                }
            }
            for at in ready.outputs {
                self.outputs[at].copy();
            }
            if ready.talk {
                self.talk.receive()?;
            }
        }
    }

    /// What the command wrote before it ended is in the pipes by now. Processes it left behind may hold them open.
    fn drain(&mut self) -> io::Result<()> {
        for output in &mut self.outputs {
            while let Some(from) = &output.from {
                let mut fds = [PollFd::new(from, PollFlags::IN)];
                if poll(&mut fds, Some(&Timespec { tv_sec: 0, tv_nsec: 0 }))? == 0 {
                    break;
                }
                output.copy();
            }
        }
        Ok(())
    }

    fn wait(&self, signals: &SignalFd) -> io::Result<Ready> {
        let stdin = io::stdin();
        let mut fds = vec![PollFd::new(signals, PollFlags::IN), PollFd::new(&self.talk, PollFlags::IN)];
        let mut outputs = Vec::new();
        for (at, output) in self.outputs.iter().enumerate() {
            if let Some(from) = &output.from {
                outputs.push((at, fds.len()));
                fds.push(PollFd::new(from, PollFlags::IN));
            }
        }
        let mut reads = None;
        if let Some(input) = &self.input {
            if input.wants_to_read() {
                reads = Some(fds.len());
                fds.push(PollFd::new(&stdin, PollFlags::IN));
            } else if let (Some(to), false) = (&input.to, input.pending.is_empty()) {
                fds.push(PollFd::new(to, PollFlags::OUT));
            }
        }
        match poll(&mut fds, None) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        let rang = |at: usize| !fds[at].revents().is_empty();
        Ok(Ready {
            signal: rang(0),
            talk: rang(1),
            stdin: reads.is_some_and(rang),
            outputs: outputs.into_iter().filter(|(_, fd)| rang(*fd)).map(|(at, _)| at).collect(),
        })
    }

    /// Signals go to the command. One that comes a second time ends the session.
    fn pass_on(&mut self, signals: &SignalFd, sent: &mut Vec<i32>) -> io::Result<Asked> {
        for signal in signals.read()? {
            if signal == libc::SIGWINCH {
                self.talk.ask(&Request::Resize(super::window_size()), &[])?;
            } else if self.signals == Signals::Leave {
                return Ok(Asked::GiveUp(End::Left));
            } else if sent.contains(&signal) {
                return Ok(Asked::GiveUp(End::Code(128 + signal)));
            } else {
                sent.push(signal);
                self.talk.ask(&Request::Signal(signal), &[])?;
            }
        }
        Ok(Asked::GoOn)
    }
}

struct Ready {
    signal: bool,
    talk: bool,
    stdin: bool,
    /// Places in `Relay::outputs`.
    outputs: Vec<usize>,
}
