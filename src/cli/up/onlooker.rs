//! Shows what happens while the loop works, in a thread of its own.

use std::io::{self, PipeReader, PipeWriter, pipe};
use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::mpsc::{self, SyncSender, sync_channel};

use rustix::event::PollFlags;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc::Receiver;
use tokio::sync::oneshot;

use crate::cli::exit::Exit;
use crate::cli::failure::Failure;
use crate::cli::settings::Settings;
use crate::cli::{tell, watch};
use crate::daemon::{BatchEnd, BatchReport, News, Progress};
use crate::logs::bell::{Bell, Woken};
use crate::logs::follow::{Origin, Tails};
use crate::logs::read::Left;
use crate::logs::reader::Marks;
use crate::paths::Places;

use super::outlet::Outlet;
use super::voice::{Show, Voice};

/// Containers whose unread logs are told each by itself.
const LOSSES_TOLD: usize = 5;

pub(super) struct Onlooker {
    shown: oneshot::Receiver<io::Result<()>>,
    /// The last that there is to show.
    closing: SyncSender<Closing>,
    /// Hung up when nothing more will happen.
    going_on: PipeWriter,
    /// Hung up when a reader that stands still is not waited for any more.
    patience: PipeWriter,
}

/// How everything ended.
#[derive(Clone)]
pub(super) struct Closing {
    pub(super) end: BatchEnd,
    pub(super) report: Arc<BatchReport>,
    pub(super) exit: Exit,
}

impl Onlooker {
    /// Returns when every line has been shown. A reader of stdout that stands still is waited for after a batch that
    /// went its way, until a signal; not after one that was told to end.
    pub(super) fn finish(self, closing: Option<Closing>) -> Result<(), Failure> {
        let Onlooker { mut shown, closing: closings, going_on, patience } = self;
        let told_to_end = closing.as_ref().is_some_and(|closing| {
            matches!(closing.end, BatchEnd::TimedOut | BatchEnd::NotRunning | BatchEnd::Interrupted)
        });
        let mut patience = Some(patience).filter(|_| !told_to_end);
        // A thread that is gone has said why.
        drop(closing.map(|closing| closings.send(closing)));
        drop(closings);
        drop(going_on);
        // Not the end of the thread: closing what it has listened to takes the kernel a while that nobody waits for.
        let shown = watch::runtime()?.block_on(async {
            let listen = |kind| {
                signal(kind)
                    .map_err(|error| Failure::new(Exit::Failed, "cannot listen for signals").because(error))
            };
            let (mut interrupt, mut terminate) =
                (listen(SignalKind::interrupt())?, listen(SignalKind::terminate())?);
            loop {
                tokio::select! {
                    biased;
                    shown = &mut shown => return Ok(shown),
                    _ = interrupt.recv() => drop(patience.take()),
                    _ = terminate.recv() => drop(patience.take()),
                }
            }
        })?;
        match shown {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => match Failure::of_output(error) {
                Failure::Quiet(_) => Ok(()),
                told @ Failure::Told(_) => Err(told),
            },
            Err(_) => {
                tell("warning: not every log line was shown");
                Ok(())
            }
        }
    }
}

pub(super) fn start(
    places: Places,
    news: Receiver<News>,
    show: Show,
    said: Option<mpsc::Receiver<Vec<u8>>>,
    settings: &Settings,
) -> Result<Onlooker, Failure> {
    let failed = |error| Failure::new(Exit::Failed, "cannot follow the pods' logs").because(error);
    let (over, going_on) = pipe().map_err(failed)?;
    let (impatience, patience) = pipe().map_err(failed)?;
    // Before any container writes: from now on what it writes is kept until it is read.
    let tails = match show {
        Show::Prefixed(_) | Show::Json | Show::Bare => {
            Some(Tails::of(places.log.clone(), Marks::begin(places.reading()).map_err(failed)?))
        }
        Show::Nothing => None,
    };
    let (shown_to, shown) = oneshot::channel();
    let (closing, closings) = sync_channel(1);
    let (color, home) = (settings.color, settings.namespace.clone());
    std::thread::Builder::new()
        .name("logs".to_owned())
        .spawn(move || {
            let voice = Voice::new(show, Outlet::new(impatience), color, home, said);
            let looking = Looking { places, news, over, voice, pending: Vec::new() };
            let bell = Bell::hang();
            let mut tails = tails;
            let shown = tails.as_mut().map_or(Ok(()), |tails| looking.on(tails, &bell, &closings));
            // Nobody waits for it any more if the command is being left.
            drop(shown_to.send(shown));
        })
        .map_err(failed)?;
    Ok(Onlooker { shown, closing, going_on, patience })
}

struct Looking {
    places: Places,
    news: Receiver<News>,
    over: PipeReader,
    voice: Voice,
    /// Steps of which there is more to tell once the lines before have been shown.
    pending: Vec<Progress>,
}

impl Looking {
    fn on(mut self, tails: &mut Tails, bell: &Bell, closings: &mpsc::Receiver<Closing>) -> io::Result<()> {
        let shown = self.show_all(tails, bell).and_then(|()| match closings.recv() {
            Ok(closing) => self.voice.close(&closing),
            Err(_) => Ok(()),
        });
        let unread = tails.give_up();
        // With the terminal gone there is nobody to tell.
        drop(self.voice.leave_terminal());
        match shown {
            Err(error) if error.kind() == io::ErrorKind::TimedOut => {
                tell_losses(&unread.unwrap_or_default());
                Ok(())
            }
            // A reader of stdout that leaves early does not end the pods.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
            Err(error) => self.voice.failed(error),
            Ok(()) => Ok(()),
        }
    }

    /// Until nothing more will happen and every line has been shown.
    fn show_all(&mut self, tails: &mut Tails, bell: &Bell) -> io::Result<()> {
        let mut last = Woken::ByChange;
        loop {
            let left = self.show(tails, bell)?;
            if left == Left::More {
                continue;
            }
            // The files were read once more after the end was told.
            if last == Woken::ByOther {
                return self.voice.leave_terminal();
            }
            last = bell.wait(self.over.as_fd(), PollFlags::IN).unwrap_or(Woken::ByOther);
        }
    }

    fn show(&mut self, tails: &mut Tails, bell: &Bell) -> io::Result<Left> {
        let Looking { places, voice, pending, .. } = self;
        while let Ok(news) = self.news.try_recv() {
            voice.hear(&news, places)?;
            match news {
                News::Pod(step) => pending.push(*step),
                News::Whole(_) => {}
            }
        }
        let left = voice.show_lines(tails, bell, places)?;
        let mut waiting = Vec::new();
        for step in pending.drain(..) {
            let logs = places.pod_logs(&step.pod);
            let is_read = |container: &str, run: u32| tails.is_read(&logs, container, run);
            if voice.show_step(&step, places, &is_read)? == Left::More {
                waiting.push(step);
            } else if step.course.outcome().is_some() {
                voice.close_logs(tails, logs, bell, places)?;
            }
        }
        *pending = waiting;
        voice.rest()?;
        Ok(left)
    }
}

/// What was not shown though it was written.
fn tell_losses(unread: &[(Origin, u64)]) {
    let bytes = |(_, bytes): &(Origin, u64)| *bytes;
    for (Origin { pod, container }, bytes) in unread.iter().take(LOSSES_TOLD) {
        tell(&format!(
            "warning: {bytes} bytes of {pod}/{container} lost: nobody takes what is written to stdout"
        ));
    }
    let more = unread.len().saturating_sub(LOSSES_TOLD);
    if more > 0 {
        let rest: u64 = unread.iter().skip(LOSSES_TOLD).map(bytes).sum();
        tell(&format!("warning: {rest} bytes of {more} more containers lost"));
    }
}
