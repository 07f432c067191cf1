//! Probes and hooks under way: an exec in the container, or a child of ours that calls over the pod's network.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::MemfdFlags;
use rustix::pipe::PipeFlags;

use super::enter::{self, Passage, Straggler, TOO_LATE};
use super::event_loop::Shim;
use super::session::{self, Refusal};
use crate::failpoint;
use crate::model::handler::{CallOrder, Errand, Verdict, Work};
use crate::model::time::Moment;
use crate::pod::Event;
use crate::probe;
use crate::sandbox::oom;
use crate::sandbox::spawn::{Child, SealedBinary};
use crate::sandbox::sys::reap::Reaped;

/// What is kept of what a handler says, as the kubelet keeps it.
const OUTPUT_LIMIT: usize = 10 * 1024;

#[derive(Debug)]
pub(super) struct Handler {
    pub(super) errand: Errand,
    process: Process,
    /// Absent once every writer has closed it.
    output: Option<File>,
    said: Vec<u8>,
}

#[derive(Debug)]
enum Process {
    Exec(Passage),
    Call(Child),
}

impl Handler {
    fn new(errand: &Errand, process: Process, output: File) -> Handler {
        Handler { errand: errand.clone(), process, output: Some(output), said: Vec::new() }
    }

    /// Of the process whose end is its own.
    fn pid(&self) -> Option<i32> {
        match &self.process {
            Process::Exec(passage) => passage.pid(),
            Process::Call(child) => Some(child.pid),
        }
    }

    /// Until when it has to be in its container.
    pub(super) fn until(&self) -> Option<Moment> {
        match &self.process {
            Process::Exec(passage) => passage.until(),
            Process::Call(_) => None,
        }
    }

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

    /// Of a process that is not reaped yet.
    #[must_use = "a straggler is to be watched"]
    fn kill(&mut self) -> Option<Straggler> {
        match &mut self.process {
            Process::Exec(passage) => passage.call_off(),
            Process::Call(child) => {
                enter::kill_unreaped(child.pid);
                None
            }
        }
    }

    fn verdict(&mut self, ended: &Reaped) -> Verdict {
        if let Process::Exec(passage) = &self.process
            && let Some(why) = passage.verdict.failure()
        {
            return Verdict::Unknown(why);
        }
        let said = printable(&self.said);
        match (&self.process, ended.code) {
            (Process::Exec(_), 0) => Verdict::Success,
            (Process::Call(_), probe::SUCCESS) if said.is_empty() => Verdict::Success,
            (Process::Call(_), probe::SUCCESS) => Verdict::Warning(said),
            (Process::Exec(_), code) if said.is_empty() => Verdict::Failure(format!("exit code {code}")),
            (Process::Exec(_), _) | (Process::Call(_), probe::FAILURE) => Verdict::Failure(said),
            (Process::Call(_), code) => match said.lines().last() {
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
        Work::Call(order) => call(shim, &errand, order)
            .map_err(|error| Refusal::Why(format!("cannot start the probe's process: {error}"))),
    };
    let verdict = match begun {
        Ok(handler) => return shim.handlers.push(handler),
        Err(Refusal::TooLate) => Verdict::Failure(TOO_LATE.to_owned()),
        Err(Refusal::Why(why)) => Verdict::Unknown(why),
    };
    shim.happened.push_back(Event::HandlerEnded { errand, verdict });
}

fn exec(shim: &Shim, errand: &Errand, argv: &[String]) -> Result<Handler, Refusal> {
    let unwired = |error: io::Error| Refusal::Why(format!("cannot connect the command's output: {error}"));
    let (output, writer) = pipe().map_err(unwired)?;
    let other = writer.try_clone().map_err(unwired)?;
    let null = File::open("/dev/null").map_err(unwired)?;
    let passage = session::exec(shim, &errand.container, argv, None, vec![null.into(), writer, other])?;
    Ok(Handler::new(errand, Process::Exec(passage), output))
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
    Ok(Handler::new(errand, Process::Call(started?), output))
}

fn pipe() -> io::Result<(File, OwnedFd)> {
    let (reader, writer) = rustix::pipe::pipe_with(PipeFlags::CLOEXEC)?;
    rustix::io::ioctl_fionbio(&reader, true)?;
    Ok((reader.into(), writer))
}

/// It has something to say.
pub(super) fn serve(shim: &mut Shim, errand: &Errand) {
    if let Some(handler) = shim.handlers.iter_mut().find(|handler| handler.errand == *errand) {
        handler.read();
    }
}

/// A child has ended that is not reaped yet.
pub(super) fn look(shim: &mut Shim, pid: i32) {
    let mut lost = Vec::new();
    for handler in &mut shim.handlers {
        if let Process::Exec(passage) = &mut handler.process
            && passage.concerns(pid)
            && let Err(why) = passage.arrive()
        {
            lost.push((handler.errand.clone(), Verdict::Unknown(why)));
        }
    }
    tell(shim, lost);
}

/// A child has ended. Tells whether it was a handler.
pub(super) fn ended(shim: &mut Shim, ended: &Reaped) -> bool {
    let Some(at) = shim.handlers.iter().position(|handler| handler.pid() == Some(ended.pid)) else {
        return false;
    };
    let mut handler = shim.handlers.swap_remove(at);
    handler.finish();
    let verdict = handler.verdict(ended);
    failpoint::pass("handler ended");
    shim.happened.push_back(Event::HandlerEnded { errand: handler.errand, verdict });
    true
}

/// Not to have entered in time is a failure, as not to have answered is.
pub(super) fn end_late(shim: &mut Shim, now: Moment) {
    let late = |handler: &&Handler| handler.until().is_some_and(|until| until <= now);
    let late = shim.handlers.iter().filter(late).map(|handler| handler.errand.clone());
    let late: Vec<_> = late.map(|errand| (errand, Verdict::Failure(TOO_LATE.to_owned()))).collect();
    tell(shim, late);
}

/// Those have ended without a process that could tell.
fn tell(shim: &mut Shim, ends: Vec<(Errand, Verdict)>) {
    for (errand, verdict) in ends {
        end(shim, &errand);
        shim.happened.push_back(Event::HandlerEnded { errand, verdict });
    }
}

/// Nobody waits for it any more; its process is reaped like any stranger.
pub(super) fn end(shim: &mut Shim, errand: &Errand) {
    end_where(shim, |handler| handler.errand == *errand);
}

pub(super) fn end_all_of(shim: &mut Shim, container: &str) {
    end_where(shim, |handler| handler.errand.container == container);
}

fn end_where(shim: &mut Shim, which: impl Fn(&Handler) -> bool) {
    let Shim { handlers, stragglers, .. } = shim;
    handlers.retain_mut(|handler| {
        let ends = which(handler);
        if ends {
            stragglers.extend(handler.kill());
        }
        !ends
    });
}
