//! `logs`: what containers wrote, also after their pod has ended.

use std::collections::VecDeque;
use std::io::{self, BufWriter, Write};
use std::os::fd::AsFd;
use std::time::Duration;

use rustix::event::PollFlags;

use crate::logs::bell::{Bell, Woken};
use crate::logs::follow::Origin;
use crate::logs::read::{Cursor, Line, runs};
use crate::model::record::ContainerState;
use crate::model::time::Timestamp;
use crate::paths::Places;
use crate::sandbox::sys::clock;

use super::duration;
use super::exit::Exit;
use super::failure::Failure;
use super::records::{Records, Shown};
use super::running::RunningArgs;
use super::selector::{self, Selector};
use super::settings::Settings;
use super::tell;
use choice::{containers, has_begun, pods, waiting_to_start};
use printer::{Printer, Style};

mod choice;
pub(super) mod printer;

/// As in kubectl: many pods at once show only their last lines unless told otherwise.
const TAIL_OF_MANY: i64 = 10;
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  droppod logs web
  droppod logs web -c main -f --tail=20
  droppod logs -p web
  droppod logs job/report --all-pods
  droppod logs -l app=web --all-containers --prefix")]
#[command(group = clap::ArgGroup::new("which").required(true).args(["pod", "selector"]))]
pub(crate) struct LogsArgs {
    /// NAME, pod/NAME or job/NAME
    pod: Option<String>,
    /// The container
    #[arg(conflicts_with_all = ["container", "selector"], hide = true)]
    second: Option<String>,
    /// The container [default: the pod's first]
    #[arg(short, long)]
    container: Option<String>,
    /// Pods with these labels
    #[arg(short = 'l', long, value_parser = selector::parse)]
    selector: Option<Selector>,
    /// Only this many of the last lines; -1 for all
    #[arg(long, value_name = "LINES", allow_negative_numbers = true)]
    tail: Option<i64>,
    /// Only what was written in the last such time, such as 5m
    #[arg(long, value_name = "TIME", value_parser = duration::parse)]
    since: Option<Duration>,
    /// Only what was written since then, such as 2026-01-31T23:59:00Z
    #[arg(long, value_name = "TIME", conflicts_with = "since")]
    since_time: Option<Timestamp>,
    #[command(flatten)]
    how: How,
    #[command(flatten)]
    running: RunningArgs,
    #[command(flatten)]
    _kubectl: Needless,
}

/// Flags of scripts for kubectl about its requests: here are none.
#[derive(Debug, Clone, Copy, Default, clap::Args)]
struct Needless {
    #[arg(long = "max-log-requests", hide = true, value_name = "NUMBER")]
    _max_log_requests: Option<u32>,
    #[arg(long = "ignore-errors", hide = true)]
    _ignore_errors: bool,
}

#[derive(Debug, Clone, Copy, clap::Args)]
#[expect(clippy::struct_excessive_bools, reason = "flags of the command line, each for itself")]
struct How {
    /// Go on until the containers have ended
    #[arg(short, long)]
    follow: bool,
    /// Of the run before this one
    #[arg(short, long, conflicts_with = "follow")]
    previous: bool,
    /// Begin each line with the time it was written at
    #[arg(long)]
    timestamps: bool,
    /// Name pod and container before each line
    #[arg(long)]
    prefix: bool,
    /// Of every container of the pod, init containers too
    #[arg(long, conflicts_with = "container")]
    all_containers: bool,
    /// Of a Job: every pod, each line with the name of its own
    #[arg(long)]
    all_pods: bool,
}

impl LogsArgs {
    fn named(&self) -> Option<&str> {
        self.container.as_deref().or(self.second.as_deref())
    }
}

struct Source {
    origin: Origin,
    cursor: Cursor,
}

pub(crate) fn run(args: &LogsArgs, settings: &Settings) -> Result<Exit, Failure> {
    if args.selector.is_some() && args.running.given().is_some() {
        return Err(Failure::new(Exit::Usage, "--pod-running-timeout waits for a pod or Job that is named")
            .help("-l shows the pods that there are; `droppod wait --for=create -l …` waits for one"));
    }
    let records =
        args.running.until(settings, |records| has_begun(args, &records, settings).map(|()| records))?;
    let mut sources = Vec::new();
    for shown in pods(args, &records, settings)? {
        for container in containers(args, shown)? {
            sources.extend(source(args, shown, container, &records, &settings.places)?);
        }
    }
    let style = Style {
        color: settings.color.for_stdout(),
        timestamps: args.how.timestamps,
        prefix: (args.how.prefix || args.how.all_pods).then_some(printer::Prefix::Kubectl),
    };
    let mut out = Printer::new(BufWriter::new(io::stdout().lock()), style);
    // As in kubectl, since no time at all is since ever.
    let ago = args.since.filter(|ago| !ago.is_zero()).map(|ago| {
        let ago = jiff::SignedDuration::try_from(ago).unwrap_or(jiff::SignedDuration::MAX);
        clock::wall().checked_sub(ago).unwrap_or(Timestamp::MIN)
    });
    let since = args.since_time.or(ago);
    let tail = args.tail.unwrap_or(if args.selector.is_some() { TAIL_OF_MANY } else { -1 });
    for source in &mut sources {
        first_look(source, usize::try_from(tail).ok(), since, &mut out)?;
    }
    out.flush().map_err(Failure::of_output)?;
    if args.how.follow {
        follow(sources, &settings.places, &mut out)?;
    }
    Ok(Exit::Done)
}

/// All that a container has written.
pub(super) fn show_all(pod: &str, container: Option<&str>, settings: &Settings) -> Result<Exit, Failure> {
    let how = How {
        follow: false,
        previous: false,
        timestamps: false,
        prefix: false,
        all_containers: false,
        all_pods: false,
    };
    let args = LogsArgs {
        pod: Some(pod.to_owned()),
        second: None,
        container: container.map(str::to_owned),
        selector: None,
        tail: None,
        since: None,
        since_time: None,
        how,
        running: RunningArgs::AT_ONCE,
        _kubectl: Needless::default(),
    };
    run(&args, settings)
}

/// `None` for a container of many that has not started.
fn source(
    args: &LogsArgs,
    shown: &Shown,
    container: String,
    records: &Records,
    places: &Places,
) -> Result<Option<Source>, Failure> {
    let how = args.how;
    let pod = shown.pod_id();
    let directory = places.pod_logs(&pod).join(&container);
    let unread = |error: io::Error| {
        Failure::new(Exit::Failed, format!("cannot read the log of {pod}, container {container}"))
            .because(error)
    };
    let runs = runs(&directory).map_err(unread)?;
    let current = shown.container(&container).map_or(0, |record| record.restart_count);
    let run = if how.previous {
        let before = runs.range(..current).next_back();
        *before.ok_or_else(|| {
            let what = format!("container {container} of pod {pod} has no run before this one");
            Failure::new(Exit::Failed, what)
        })?
    } else {
        // A container that is about to start again shows how its last run ended.
        runs.range(..=current).next_back().or(runs.last()).copied().unwrap_or(current)
    };
    let has_ended = shown
        .container(&container)
        .is_some_and(|record| matches!(record.state, ContainerState::Terminated(_)));
    if runs.is_empty() && (has_ended || !how.follow) {
        let failure = if has_ended {
            let what = format!("the log of container {container} of pod {pod} is no more");
            Failure::new(Exit::Failed, what)
                .help("the oldest logs go when all together are beyond the --log-budget of `droppod watch`")
        } else {
            waiting_to_start(records, shown, &container)
        };
        if !how.all_containers && args.selector.is_none() {
            return Err(failure);
        }
        tell(failure.what());
        return Ok(None);
    }
    let cursor = if how.previous { Cursor::of_run(directory, run) } else { Cursor::at_run(directory, run) };
    Ok(Some(Source { origin: Origin { pod, container }, cursor }))
}

/// Prints what is there, or the last lines of it.
fn first_look(
    source: &mut Source,
    tail: Option<usize>,
    since: Option<Timestamp>,
    out: &mut Printer<impl Write>,
) -> Result<(), Failure> {
    let Source { origin, cursor, .. } = source;
    let mut kept = VecDeque::new();
    let mut take = |line: Line| {
        if since.is_some_and(|since| line.time < since) {
            return Ok(());
        }
        let Some(most) = tail else { return out.print(origin, &line) };
        kept.push_back(line);
        if kept.len() > most {
            kept.pop_front();
        }
        Ok(())
    };
    cursor.drain(&mut take).map_err(Failure::of_output)?;
    kept.iter().try_for_each(|line| out.print(origin, line)).map_err(Failure::of_output)
}

/// Prints what comes until every container has ended for good, or the reader has left.
fn follow(mut sources: Vec<Source>, places: &Places, out: &mut Printer<impl Write>) -> Result<(), Failure> {
    let bell = Bell::hang();
    while !sources.is_empty() {
        let mut over = Vec::new();
        let records = Records::load(places)?;
        for source in &mut sources {
            bell.watch(&places.pod(&source.origin.pod.uid).0);
            bell.watch(source.cursor.directory());
            // Asked before reading: what a container wrote before it ended is in its file by then.
            let shown = records.shown.iter().find(|shown| *shown.uid() == source.origin.pod.uid);
            over.push(shown.is_none_or(|shown| shown.is_over(&source.origin.container)));
            let origin = &source.origin;
            source.cursor.drain(&mut |line| out.print(origin, &line)).map_err(Failure::of_output)?;
        }
        for (source, _) in sources.iter_mut().zip(&over).filter(|(_, over)| **over) {
            let origin = &source.origin;
            source.cursor.give_pieces(&mut |line| out.print(origin, &line)).map_err(Failure::of_output)?;
        }
        let mut over = over.into_iter();
        sources.retain(|_| !over.next().unwrap_or(true));
        out.flush().map_err(Failure::of_output)?;
        if sources.is_empty() {
            break;
        }
        if bell.wait(io::stdout().as_fd(), PollFlags::empty()).map_err(Failure::of_output)? == Woken::ByOther
        {
            break;
        }
    }
    Ok(())
}
