//! How it is said what happens: logs to stdout and progress to stderr, or both as events to stdout.

use std::collections::BTreeMap;
use std::io::{self, BufWriter};
use std::path::PathBuf;
use std::sync::mpsc::Receiver;

use crate::api::Object;
use crate::cli::logs::printer::{Prefix, Printer, Style};
use crate::cli::table::cell;
use crate::cli::terminal::{self, ColorChoice};
use crate::cli::{duration, tell};
use crate::daemon::{ImageStanding, News, Progress, Standing};
use crate::logs::bell::Bell;
use crate::logs::follow::{Origin, Tails};
use crate::logs::read::{Left, Line};
use crate::model::id::PodId;
use crate::model::observed::Outlook;
use crate::model::record::{ContainerState, Exit, Outcome};
use crate::model::time::Timestamp;
use crate::paths::Places;
use crate::rundir::{exits, pods};
use crate::sandbox::sys::clock;
use crate::status::age;

use super::events::Events;
use super::live::Live;
use super::onlooker::Closing;
use super::outlet::{Outlet, is_of_stdout};

type Out = BufWriter<Outlet>;

/// What is said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Show {
    /// Each line with its pod and container, in a column of at least this width, and progress.
    Prefixed(usize),
    Json,
    /// The lines alone.
    Bare,
    /// Somebody else shows them.
    Nothing,
}

pub(super) enum Voice {
    Text(Text),
    Json(Events<Out>),
    Bare(Printer<Out>),
    None,
}

pub(super) struct Text {
    lines: Printer<Out>,
    home: String,
    /// On a terminal, what goes on is shown in place.
    live: Option<Box<Live>>,
    words: BTreeMap<PodId, String>,
    /// The last that was told of why a pod's sandbox cannot be made.
    troubles: BTreeMap<PodId, String>,
    /// How often the pull of an image was told to have failed.
    tries: BTreeMap<String, u32>,
}

impl Voice {
    /// `said` is what the loop logs, where there is a terminal that shows what goes on.
    pub(super) fn new(
        show: Show,
        outlet: Outlet,
        color: ColorChoice,
        home: String,
        said: Option<Receiver<Vec<u8>>>,
    ) -> Voice {
        let out = BufWriter::new(outlet);
        let of_stdout = color.for_stdout();
        match show {
            Show::Prefixed(width) => {
                let style = Style { color: of_stdout, timestamps: false, prefix: Some(Prefix::Aligned) };
                let live = said
                    .map(|said| Box::new(Live::new(said, color.for_stderr(), home.clone(), clock::now())));
                let (words, troubles, tries) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
                Voice::Text(Text {
                    lines: Printer::new(out, style)
                        .aligned(width, terminal::stdout_width().map(|all| all / 2)),
                    home,
                    live,
                    words,
                    troubles,
                    tries,
                })
            }
            Show::Json => Voice::Json(Events::new(out)),
            Show::Bare => {
                Voice::Bare(Printer::new(out, Style { color: of_stdout, timestamps: false, prefix: None }))
            }
            Show::Nothing => Voice::None,
        }
    }

    /// What is told before the lines that have been written meanwhile.
    pub(super) fn hear(&mut self, news: &News, places: &Places) -> io::Result<()> {
        match (self, news) {
            (Voice::Text(Text { live: Some(live), .. }), news) => {
                live.hear(news, clock::now());
                Ok(())
            }
            (Voice::Text(text), News::Whole(standing)) => {
                text.tell_pulls(standing);
                Ok(())
            }
            (Voice::Json(events), News::Pod(step)) => {
                events.starts(step, clock::wall(), &|pod, container, run| past(places, pod, container, run))
            }
            (Voice::Text(_), News::Pod(_))
            | (Voice::Json(_), News::Whole(_))
            | (Voice::Bare(_) | Voice::None, _) => Ok(()),
        }
    }

    pub(super) fn show_lines(&mut self, tails: &mut Tails, bell: &Bell, places: &Places) -> io::Result<Left> {
        tails.turn(bell, &mut |origin, line| self.show_line(origin, &line, places))
    }

    fn show_line(&mut self, origin: &Origin, line: &Line, places: &Places) -> io::Result<()> {
        match self {
            Voice::Text(Text { lines, live, .. }) => {
                live.as_mut().map_or(Ok(()), |live| live.clear())?;
                lines.print(origin, line)
            }
            Voice::Bare(lines) => lines.print(origin, line),
            Voice::Json(events) => {
                events.log(origin, line, &|pod, container, run| begun(places, pod, container, run))
            }
            Voice::None => Ok(()),
        }
    }

    /// What is told after the lines that came before it, if those have been shown.
    pub(super) fn show_step(
        &mut self,
        step: &Progress,
        places: &Places,
        is_read: &dyn Fn(&str, u32) -> bool,
    ) -> io::Result<Left> {
        if let Voice::Json(events) = self {
            let past = |pod: &PodId, container: &str, run| past(places, pod, container, run);
            return events.ends(step, clock::wall(), &past, is_read);
        }
        let mut containers = step.course.record().into_iter().flat_map(|record| &record.containers);
        if step.course.outcome().is_some() && !containers.all(|one| is_read(&one.name, one.restart_count)) {
            return Ok(Left::More);
        }
        if let Voice::Text(text) = self {
            text.tell_word(step)?;
        }
        Ok(Left::Nothing)
    }

    /// Of a pod that writes no more.
    pub(super) fn close_logs(
        &mut self,
        tails: &mut Tails,
        logs: PathBuf,
        bell: &Bell,
        places: &Places,
    ) -> io::Result<()> {
        tails.close(logs, bell, &mut |origin, line| self.show_line(origin, &line, places))
    }

    /// For now there is nothing more to say.
    pub(super) fn rest(&mut self) -> io::Result<()> {
        match self {
            Voice::Text(Text { lines, live, .. }) => {
                lines.flush()?;
                // Below the last whole line.
                match live.as_mut().filter(|_| lines.is_at_line_start()) {
                    Some(live) => live.draw(clock::now()),
                    None => Ok(()),
                }
            }
            Voice::Bare(lines) => lines.flush(),
            Voice::Json(events) => events.flush(),
            Voice::None => Ok(()),
        }
    }

    /// The terminal belongs to others again.
    pub(super) fn leave_terminal(&mut self) -> io::Result<()> {
        match self {
            Voice::Text(Text { live: Some(live), .. }) => live.clear(),
            Voice::Text(_) | Voice::Json(_) | Voice::Bare(_) | Voice::None => Ok(()),
        }
    }

    pub(super) fn close(&mut self, closing: &Closing) -> io::Result<()> {
        match self {
            Voice::Json(events) => events.finish(closing.end, &closing.report, closing.exit, clock::wall()),
            Voice::Text(_) | Voice::Bare(_) | Voice::None => Ok(()),
        }
    }

    /// Whether it matters to the exit code: what was asked for and is not written does, and to programs all does.
    pub(super) fn failed(&self, error: io::Error) -> io::Result<()> {
        match self {
            Voice::Json(_) => Err(error),
            Voice::Text(_) | Voice::Bare(_) if is_of_stdout(&error) => Err(error),
            Voice::Text(_) | Voice::Bare(_) | Voice::None => {
                tell(&format!("warning: the logs could not be shown to their end: {error}"));
                Ok(())
            }
        }
    }
}

impl Text {
    fn tell_word(&mut self, step: &Progress) -> io::Result<()> {
        let Progress { pod, word, course } = step;
        if let Some(live) = &mut self.live {
            // What goes well is shown in place.
            match course.outcome() {
                None | Some(Outcome::Succeeded) => return Ok(()),
                Some(Outcome::Failed { .. } | Outcome::Deleted | Outcome::Interrupted) => live.clear()?,
            }
        }
        if self.words.get(pod) != Some(word) {
            tell(&format!("{}: {word}", super::name(pod, &self.home)));
            self.words.insert(pod.clone(), word.clone());
        }
        // The word stays the same while it is tried again and again.
        if let Some(why) = course.sandbox_trouble()
            && self.troubles.get(pod).map(String::as_str) != Some(why)
        {
            tell(&format!("{}: {word}: {}", super::name(pod, &self.home), cell(why)));
            self.troubles.insert(pod.clone(), why.to_owned());
        }
        Ok(())
    }

    fn tell_pulls(&mut self, standing: &Standing) {
        for (image, standing) in &standing.images {
            let ImageStanding::Failed { error, retry_at } = standing else { continue };
            if self.tries.insert(image.clone(), error.tries) != Some(error.tries) {
                let again = match error.outlook {
                    Outlook::MayPass => {
                        format!(", again in {}", age(duration::rounded_up(*retry_at - clock::boot())))
                    }
                    Outlook::Final => String::new(),
                };
                tell(&format!("cannot pull {image}{again}: {}", cell(&error.message)));
            }
        }
    }
}

/// Wider ones move the column when they come, where there is room.
const WIDEST: usize = 40;
/// What a controller puts at the end of a name, with the time of a CronJob's.
const OF_JOB: usize = "-abcde".len();
const OF_CRON_JOB: usize = "-12345678-abcde".len();

/// Columns of `pod/container`, for every container that can come of these.
pub(super) fn widest<'a>(declared: impl Iterator<Item = &'a Object>) -> usize {
    let width = |object: &Object| {
        let (spec, more) = match object {
            Object::Pod(pod) => (pod.spec.as_ref(), 0),
            Object::Job(job) => (job.spec.as_ref().and_then(|spec| spec.template.spec.as_ref()), OF_JOB),
            Object::CronJob(cron) => {
                let job = cron.spec.job_template.spec.as_ref();
                (job.and_then(|spec| spec.template.spec.as_ref()), OF_CRON_JOB)
            }
            Object::ConfigMap(_) | Object::Secret(_) | Object::Namespace(_) | Object::Unserved { .. } => {
                return None;
            }
        };
        let containers = spec?.init_containers.iter().flatten().chain(&spec?.containers);
        let longest = containers.map(|container| container.name.chars().count()).max()?;
        Some(object.metadata().name.as_ref()?.chars().count() + more + 1 + longest)
    };
    declared.filter_map(width).filter(|width| *width <= WIDEST).max().unwrap_or(0)
}

fn past(places: &Places, pod: &PodId, container: &str, run: u32) -> Option<Exit> {
    exits::read(&places.pod(&pod.uid), container, run).ok().flatten().map(|record| record.exit)
}

/// What the pod process has put down itself: the loop may not have looked since.
fn begun(places: &Places, pod: &PodId, container: &str, run: u32) -> Option<Timestamp> {
    let record = pods::read_record(&places.pod(&pod.uid)).ok().flatten();
    let mut containers = record.iter().flat_map(|record| &record.containers);
    let known = containers.find(|known| known.name == container && known.restart_count == run);
    let of_record = known.and_then(|known| match &known.state {
        ContainerState::Running { since, .. } => Some(*since),
        ContainerState::Terminated(exit) => exit.started_at,
        ContainerState::Waiting { .. } => None,
    });
    of_record.or_else(|| past(places, pod, container, run)?.started_at)
}
