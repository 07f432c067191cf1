//! Shows what happens while the loop works: logs to stdout, progress to stderr, in a thread of its own.

use std::io::{self, BufWriter, PipeReader, PipeWriter, pipe, stdout};
use std::os::fd::AsFd;
use std::path::PathBuf;
use std::thread::JoinHandle;

use rustix::event::PollFlags;
use tokio::sync::mpsc::Receiver;

use crate::cli::exit::Exit;
use crate::cli::failure::Failure;
use crate::cli::logs::printer::{Prefix, Printer, Style};
use crate::cli::settings::Settings;
use crate::cli::tell;
use crate::daemon::Progress;
use crate::logs::follow::{Bell, Tails, Woken};

pub(super) struct Onlooker {
    thread: JoinHandle<()>,
    /// Closed when nothing more will happen.
    going_on: PipeWriter,
}

impl Onlooker {
    /// Returns when every line has been shown.
    pub(super) fn finish(self) {
        drop(self.going_on);
        if self.thread.join().is_err() {
            tell("warning: not every log line was shown");
        }
    }
}

pub(super) fn start(
    log: PathBuf,
    progress: Receiver<Progress>,
    settings: &Settings,
) -> Result<Onlooker, Failure> {
    let failed = |error| Failure::new(Exit::Failed, "cannot follow the pods' logs").because(error);
    let (over, going_on) = pipe().map_err(failed)?;
    let settings = settings.clone();
    let thread = std::thread::Builder::new()
        .name("logs".to_owned())
        .spawn(move || look_on(log, progress, &over, &settings))
        .map_err(failed)?;
    Ok(Onlooker { thread, going_on })
}

fn look_on(log: PathBuf, mut progress: Receiver<Progress>, over: &PipeReader, settings: &Settings) {
    let style =
        Style { color: settings.color.for_stdout(), timestamps: false, prefix: Some(Prefix::Aligned) };
    let mut out = Printer::new(BufWriter::new(stdout().lock()), style);
    let mut tails = Tails::of(log);
    let bell = Bell::hang();
    let mut shown: io::Result<()> = Ok(());
    let mut last = Woken::ByChange;
    loop {
        while let Ok(Progress { pod, word }) = progress.try_recv() {
            tell(&format!("{}: {word}", super::name(&pod, settings)));
        }
        // A reader of stdout that leaves early does not end the pods.
        if shown.is_ok() {
            shown =
                tails.drain(&bell, &mut |origin, line| out.print(origin, &line)).and_then(|()| out.flush());
        }
        // The files were read once more after the end was told.
        if last == Woken::ByOther {
            break;
        }
        last = bell.wait(over.as_fd(), PollFlags::IN).unwrap_or(Woken::ByOther);
    }
    if let Err(error) = shown
        && error.kind() != io::ErrorKind::BrokenPipe
    {
        tell(&format!("warning: the logs could not be shown to their end: {error}"));
    }
}
