//! Shows what happens while the loop works, in a thread of its own: logs to stdout, progress to stderr, or both as
//! events to stdout.

use std::io::{self, BufWriter, PipeReader, PipeWriter, Stdout, pipe, stdout};
use std::os::fd::AsFd;
use std::sync::mpsc::{self, SyncSender, sync_channel};

use rustix::event::PollFlags;
use tokio::sync::mpsc::Receiver;

use crate::cli::exit::Exit;
use crate::cli::failure::Failure;
use crate::cli::logs::printer::{Prefix, Printer, Style};
use crate::cli::settings::Settings;
use crate::cli::tell;
use crate::daemon::Progress;
use crate::logs::follow::{Bell, Tails, Woken};
use crate::model::id::PodId;
use crate::paths::Places;
use crate::rundir::exits;
use crate::sandbox::sys::clock;

use super::events::Events;

type Out = BufWriter<Stdout>;

/// What is said, and how.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Show {
    /// Each line with its pod and container, and progress.
    Prefixed,
    Json,
    /// The lines alone.
    Bare,
    /// Somebody else shows them.
    Nothing,
}

impl Show {
    pub(super) fn tells_progress(self) -> bool {
        match self {
            Show::Prefixed | Show::Json => true,
            Show::Bare | Show::Nothing => false,
        }
    }
}

pub(super) struct Onlooker {
    shown: mpsc::Receiver<Option<Events<Out>>>,
    /// Closed when nothing more will happen.
    going_on: PipeWriter,
}

impl Onlooker {
    /// Returns when every line has been shown; with what still has an end to tell.
    pub(super) fn finish(self) -> Option<Events<Out>> {
        drop(self.going_on);
        // Not the end of the thread: closing what it has listened to takes the kernel a while that nobody waits for.
        self.shown.recv().unwrap_or_else(|_| {
            tell("warning: not every log line was shown");
            None
        })
    }
}

pub(super) fn start(
    places: Places,
    progress: Receiver<Progress>,
    show: Show,
    settings: &Settings,
) -> Result<Onlooker, Failure> {
    let failed = |error| Failure::new(Exit::Failed, "cannot follow the pods' logs").because(error);
    let (over, going_on) = pipe().map_err(failed)?;
    let voice = Voice::new(show, settings);
    let (all, shown) = sync_channel(1);
    std::thread::Builder::new()
        .name("logs".to_owned())
        .spawn(move || look_on(&places, progress, &over, voice, &all))
        .map_err(failed)?;
    Ok(Onlooker { shown, going_on })
}

fn look_on(
    places: &Places,
    mut progress: Receiver<Progress>,
    over: &PipeReader,
    mut voice: Voice,
    all: &SyncSender<Option<Events<Out>>>,
) {
    let mut tails = Tails::of(places.log.clone());
    let bell = Bell::hang();
    let mut shown: io::Result<()> = Ok(());
    let mut last = Woken::ByChange;
    loop {
        let steps: Vec<Progress> = std::iter::from_fn(|| progress.try_recv().ok()).collect();
        // A reader of stdout that leaves early does not end the pods.
        if shown.is_ok() {
            shown = voice.show(&steps, places, &mut tails, &bell);
        }
        for step in steps.iter().filter(|step| step.course.outcome().is_some()) {
            tails.close(places.pod_logs(&step.pod));
        }
        // The files were read once more after the end was told.
        if last == Woken::ByOther {
            break;
        }
        last = bell.wait(over.as_fd(), PollFlags::IN).unwrap_or(Woken::ByOther);
    }
    let is_read = shown.is_ok();
    if let Err(error) = shown
        && error.kind() != io::ErrorKind::BrokenPipe
    {
        tell(&format!("warning: the logs could not be shown to their end: {error}"));
    }
    let events = match voice {
        Voice::Json(events) if is_read => Some(events),
        Voice::Json(_) | Voice::Text { .. } | Voice::Bare(_) | Voice::None => None,
    };
    // Nobody waits for it any more if the command is being left.
    drop(all.send(events));
}

/// How it is said.
enum Voice {
    Text { lines: Printer<Out>, home: String, words: std::collections::BTreeMap<PodId, String> },
    Json(Events<Out>),
    Bare(Printer<Out>),
    None,
}

impl Voice {
    fn new(show: Show, settings: &Settings) -> Voice {
        let out = BufWriter::new(stdout());
        let color = settings.color.for_stdout();
        match show {
            Show::Prefixed => {
                let style = Style { color, timestamps: false, prefix: Some(Prefix::Aligned) };
                let home = settings.namespace.clone();
                Voice::Text { lines: Printer::new(out, style), home, words: Default::default() }
            }
            Show::Json => Voice::Json(Events::new(out)),
            Show::Bare => Voice::Bare(Printer::new(out, Style { color, timestamps: false, prefix: None })),
            Show::Nothing => Voice::None,
        }
    }

    fn show(
        &mut self,
        steps: &[Progress],
        places: &Places,
        tails: &mut Tails,
        bell: &Bell,
    ) -> io::Result<()> {
        match self {
            Voice::Text { lines, home, words } => {
                tails.drain(bell, &mut |origin, line| lines.print(origin, &line))?;
                lines.flush()?;
                for Progress { pod, word, .. } in steps {
                    if words.get(pod) != Some(word) {
                        tell(&format!("{}: {word}", super::name(pod, home)));
                        words.insert(pod.clone(), word.clone());
                    }
                }
                Ok(())
            }
            Voice::Bare(lines) => {
                tails.drain(bell, &mut |origin, line| lines.print(origin, &line))?;
                lines.flush()
            }
            Voice::None => Ok(()),
            Voice::Json(events) => {
                let past = |pod: &PodId, container: &str, run: u32| {
                    exits::read(&places.pod(&pod.uid), container, run).ok().flatten()
                };
                for step in steps {
                    events.starts(step, clock::wall(), &past)?;
                }
                tails.drain(bell, &mut |origin, line| events.log(origin, &line))?;
                for step in steps {
                    events.ends(step, clock::wall(), &past)?;
                }
                events.flush()
            }
        }
    }
}
