//! Probes and hooks under way: an exec in the container, or a child of ours that calls over the pod's network.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::MemfdFlags;
use rustix::pipe::PipeFlags;
use rustix::process::{Pid, Signal};

use super::event_loop::Shim;
use super::{session, verdict};
use crate::model::handler::{CallOrder, Errand, Verdict, Work};
use crate::pod::Event;
use crate::probe;
use crate::sandbox::oom;
use crate::sandbox::spawn::SealedBinary;
use crate::sandbox::sys::pidfd;
use crate::sandbox::sys::reap::Reaped;

/// What is kept of what a handler says, as the kubelet keeps it.
const OUTPUT_LIMIT: usize = 10 * 1024;

#[derive(Debug)]
pub(super) struct Handler {
    errand: Errand,
    kind: Kind,
    pub(super) pid: i32,
    process: OwnedFd,
    /// Absent once every writer has closed it.
    output: Option<File>,
    said: Vec<u8>,
    /// Of a command in the container.
    started: Option<verdict::Verdict>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Exec,
    Call,
}

impl Handler {
    pub(super) fn output(&self) -> Option<BorrowedFd<'_>> {
        self.output.as_ref().map(AsFd::as_fd)
    }

    /// Takes one buffer; what is beyond the limit is read and dropped, so that nobody waits for us to read.
    fn read(&mut self) {
        let mut buffer = [0; 4096];
        match self.output.as_mut().map(|output| output.read(&mut buffer)) {
            Some(Ok(0)) => self.output = None,
            Some(Ok(count)) => {
                let room = OUTPUT_LIMIT - self.said.len();
                self.said.extend_from_slice(&buffer[..count.min(room)]);
            }
            Some(Err(error))
                if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => {}
            Some(Err(_)) => self.output = None,
            None => {}
        }
    }

    /// Takes what is still in the pipe. Somebody else may have the other end and keep on writing: no more than a pipe
    /// holds.
    fn finish(&mut self) {
        for _ in 0..16 {
            match &self.output {
                Some(output) if rustix::io::ioctl_fionread(output).unwrap_or(0) > 0 => self.read(),
                Some(_) | None => break,
            }
        }
    }

    /// Of a process that is not reaped yet, so that the number of its group is still its own.
    fn kill(&self) {
        if let Some(group) = Pid::from_raw(self.pid) {
            // There is no such group if it ended before it made one of its own.
            let _ = rustix::process::kill_process_group(group, Signal::KILL);
        }
        drop(pidfd::signal(&self.process, libc::SIGKILL));
    }

    fn verdict(&mut self, ended: &Reaped) -> Verdict {
        if let Some(why) = self.started.as_ref().and_then(verdict::Verdict::failure) {
            return Verdict::Unknown(why);
        }
        let said = printable(&self.said);
        match (self.kind, ended.code) {
            (Kind::Exec, 0) | (Kind::Call, probe::SUCCESS) if said.is_empty() => Verdict::Success,
            (Kind::Exec, 0) => Verdict::Success,
            (Kind::Call, probe::SUCCESS) => Verdict::Warning(said),
            (Kind::Exec, code) if said.is_empty() => Verdict::Failure(format!("exit code {code}")),
            (Kind::Exec, _) | (Kind::Call, probe::FAILURE) => Verdict::Failure(said),
            (Kind::Call, code) => match said.lines().last() {
                Some(last) => Verdict::Unknown(last.to_owned()),
                None => Verdict::Unknown(format!("the probe's process ended with {code}")),
            },
        }
    }
}

/// What a container says ends on somebody's terminal.
fn printable(said: &[u8]) -> String {
    let shown = |letter: char| match letter {
        '\n' | '\t' => letter,
        control if control.is_control() => char::REPLACEMENT_CHARACTER,
        other => other,
    };
    String::from_utf8_lossy(said).trim_end().chars().map(shown).collect()
}

pub(super) fn run(shim: &mut Shim, errand: Errand, work: &Work) {
    let begun = match work {
        Work::Exec(argv) => exec(shim, &errand, argv),
        Work::Call(order) => {
            call(shim, &errand, order).map_err(|error| format!("cannot start the probe's process: {error}"))
        }
    };
    match begun {
        Ok(handler) => shim.handlers.push(handler),
        Err(why) => {
            shim.happened.push_back(Event::HandlerEnded { errand, verdict: Verdict::Unknown(why) });
        }
    }
}

fn exec(shim: &Shim, errand: &Errand, argv: &[String]) -> Result<Handler, String> {
    let unwired = |error: io::Error| format!("cannot connect the command's output: {error}");
    let (output, writer) = pipe().map_err(unwired)?;
    let other = writer.try_clone().map_err(unwired)?;
    let null = File::open("/dev/null").map_err(unwired)?;
    let begun = session::exec(shim, &errand.container, argv, None, vec![null.into(), writer, other])?;
    Ok(Handler {
        errand: errand.clone(),
        kind: Kind::Exec,
        pid: begun.pid,
        process: begun.process,
        output: Some(output),
        said: Vec::new(),
        started: Some(begun.verdict),
    })
}

/// The order goes by a file in memory, as it may hold a password and be of any size.
fn call(shim: &Shim, errand: &Errand, order: &CallOrder) -> io::Result<Handler> {
    let mut file = File::from(rustix::fs::memfd_create("probe", MemfdFlags::CLOEXEC)?);
    file.write_all(&serde_json::to_vec(order)?)?;
    file.seek(SeekFrom::Start(0))?;
    let (output, writer) = pipe()?;
    let binary = SealedBinary::copy()?;
    let score = shim.running.get(&errand.container).map_or(0, |running| running.score);
    // Where the score is refused, an event of the container has told so when it started.
    let (started, _) =
        oom::lend(score, || binary.start(&[OsStr::new("probe")], writer.as_fd(), &[file.as_fd()]));
    let child = started?;
    Ok(Handler {
        errand: errand.clone(),
        kind: Kind::Call,
        pid: child.pid,
        process: child.pidfd,
        output: Some(output),
        said: Vec::new(),
        started: None,
    })
}

fn pipe() -> io::Result<(File, OwnedFd)> {
    let (reader, writer) = rustix::pipe::pipe_with(PipeFlags::CLOEXEC)?;
    rustix::io::ioctl_fionbio(&reader, true)?;
    Ok((reader.into(), writer))
}

/// It has something to say.
pub(super) fn serve(shim: &mut Shim, pid: i32) {
    if let Some(handler) = shim.handlers.iter_mut().find(|handler| handler.pid == pid) {
        handler.read();
    }
}

/// A child has ended. Tells whether it was a handler.
pub(super) fn ended(shim: &mut Shim, ended: &Reaped) -> bool {
    let Some(at) = shim.handlers.iter().position(|handler| handler.pid == ended.pid) else { return false };
    let mut handler = shim.handlers.swap_remove(at);
    handler.finish();
    let verdict = handler.verdict(ended);
    shim.happened.push_back(Event::HandlerEnded { errand: handler.errand, verdict });
    true
}

/// Nobody waits for it any more; its process is reaped like any stranger.
pub(super) fn end(shim: &mut Shim, errand: &Errand) {
    end_where(shim, |handler| handler.errand == *errand);
}

pub(super) fn end_all_of(shim: &mut Shim, container: &str) {
    end_where(shim, |handler| handler.errand.container == container);
}

fn end_where(shim: &mut Shim, which: impl Fn(&Handler) -> bool) {
    shim.handlers.retain(|handler| {
        let ends = which(handler);
        if ends {
            handler.kill();
        }
        !ends
    });
}
