//! `up`: manifests in the foreground, in an instance of their own, of which nothing stays.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Child;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;

use crate::api::Object;
use crate::daemon::{self, BatchEnd, BatchReport, Ended, Mode, Obstacle, Patience, PodReport, Root, Terms};
use crate::manifest::{Declared, Strictness};
use crate::model::id::PodId;
use crate::model::object::ObjectKey;
use crate::publish::{Durability, publish};
use crate::sandbox::instance::Retirement;

use super::exit::Exit;
use super::failure::Failure;
use super::input::{self, Depth, Input};
use super::settings::Settings;
use super::table::cell;
use super::{doctor, duration, pull, tell, terminal, trace, watch};

mod events;
mod exit_from;
mod facts;
mod junit;
mod live;
mod onlooker;
mod outlet;
mod own;
mod session;
mod table;
mod voice;

pub(super) use own::{Streams, run_one};
pub(super) use session::sweep_dead;

use exit_from::ExitFrom;
use onlooker::Closing;
use session::Session;
use voice::Show;

/// News that are not read yet.
const ROOM: usize = 1024;
/// Pods are looked at when something happens to them; this is for what tells nobody.
const RESCAN: Duration = Duration::from_secs(10);

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  droppod up -f job.yaml
  droppod up -f tests/ --timeout 10m --fail-fast --junit report.xml
  droppod up -f server.yaml -f tests.yaml --exit-code-from job/tests:runner

It ends when every Job and every pod that ends by itself has ended; with only endless pods it runs until a signal. \
An image that is not there or not for you ends it at once with 13; a registry that is in trouble is asked again, \
until the --timeout or, without one, five times. The first Ctrl-C stops the pods with their grace periods, the \
second kills them.

With --output json each line of stdout is an object: {\"type\": \"status\", …} when the STATUS of a pod changes, \
`started` and `exited` for each run of a container, `log` for each line it writes, at last `summary`.")]
pub(crate) struct UpArgs {
    /// A manifest, a directory of them, or - for standard input
    #[arg(short, long = "filename", required = true, value_name = "PATH")]
    files: Vec<PathBuf>,
    /// Stop everything after this time, such as 10m; the exit code is then 11
    #[arg(long, value_name = "TIME", value_parser = duration::parse)]
    timeout: Option<Duration>,
    /// Stop everything as soon as one pod can never start, whatever else runs
    #[arg(long)]
    fail_fast: bool,
    /// Leave records and logs behind
    #[arg(long)]
    keep: bool,
    /// Leave them behind unless the exit code is 0
    #[arg(long)]
    keep_on_failure: bool,
    /// Exit as this pod's container did, or that of this Job's pod which failed last; one of another namespace is
    /// meant only if there is no other of its name
    #[arg(long, value_name = "KIND/NAME[:CONTAINER]")]
    exit_code_from: Option<String>,
    /// What is written to stdout
    #[arg(short, long, value_enum, default_value = "text", value_name = "FORMAT")]
    output: Output,
    /// Write a test report: a case for each index of a Job, each other pod
    #[arg(long, value_name = "FILE")]
    junit: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Output {
    /// The logs, each line with its pod and container
    Text,
    /// Events, an object on each line
    Json,
}

/// What stays of records and logs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Keep {
    Nothing,
    Everything,
    AfterFailure,
}

/// How a batch is run and told of.
struct Manner {
    timeout: Option<Duration>,
    /// By when the first pod has to run.
    start: Option<Duration>,
    patience: Patience,
    keep: Keep,
    exit_from: Option<ExitFrom>,
    show: Show,
    junit: Option<PathBuf>,
    /// Connects the caller to the pod.
    attached: Option<Child>,
}

pub(crate) fn run(args: &UpArgs, settings: &Settings) -> Result<Exit, Failure> {
    let exit_from = args.exit_code_from.as_deref();
    let exit_from = exit_from.map(|from| ExitFrom::parse(from, &settings.namespace)).transpose()?;
    let junit = args.junit.as_deref().map(writable).transpose()?;
    let inputs = input::collect(&args.files, Depth::Recursive)?;
    input::must_be_nameable(&inputs)?;
    let declared = input::declared(&inputs, settings, Strictness::Strict)?;
    if declared.is_empty() {
        return Err(Failure::new(Exit::Invalid, "the manifests declare nothing"));
    }
    must_differ(&declared, &inputs)?;
    let runs = |object: &Object| match object {
        Object::Pod(_) | Object::Job(_) | Object::CronJob(_) => true,
        Object::ConfigMap(_) | Object::Secret(_) | Object::Namespace(_) | Object::Unserved { .. } => false,
    };
    if !declared.iter().any(|(_, one)| runs(&one.object)) {
        let kinds: BTreeSet<&str> = declared.iter().map(|(_, one)| one.key.kind.as_str()).collect();
        let kinds = kinds.into_iter().collect::<Vec<_>>().join(", ");
        return Err(Failure::new(Exit::Invalid, "the manifests declare no pod")
            .because(format!("they hold only {kinds}"))
            .help("this version runs Pods, Jobs and CronJobs"));
    }
    let exit_from = exit_from.map(|from| from.among(&declared)).transpose()?;
    if declared.iter().filter(|(_, one)| runs(&one.object)).all(|(_, one)| is_suspended(&one.object)) {
        let what = "every Job and CronJob is suspended, nothing will run";
        if args.fail_fast {
            return Err(Failure::new(Exit::Failed, what).help("take away their `suspend: true`"));
        }
        tell(&format!("warning: {what} until a signal ends this"));
    }
    doctor::must_be_able()?;
    let session = Session::open(settings)?;
    let keep = match (args.keep, args.keep_on_failure) {
        (true, _) => Keep::Everything,
        (false, true) => Keep::AfterFailure,
        (false, false) => Keep::Nothing,
    };
    let patience = if args.fail_fast { Patience::FailFast } else { Patience::WithOthers };
    let roots = session.roots_of(&args.files, &inputs)?;
    let show = match args.output {
        Output::Text => Show::Prefixed(voice::widest(declared.iter().map(|(_, one)| &*one.object))),
        Output::Json => Show::Json,
    };
    let (timeout, start) = (args.timeout, None);
    let manner = Manner { timeout, start, patience, keep, exit_from, show, junit, attached: None };
    let files = inputs.iter().filter_map(|input| input.path.clone());
    direct(session, roots, watch::hidden(settings, files), manner, settings)
}

/// Of two that declare one object, none could be told to be the one that is meant.
fn must_differ(declared: &[(usize, Declared)], inputs: &[Input]) -> Result<(), Failure> {
    let mut places: BTreeMap<&ObjectKey, (usize, usize)> = BTreeMap::new();
    for (input, one) in declared {
        let Some((first, line)) = places.insert(&one.key, (*input, one.line)) else { continue };
        let (first, second) = (&inputs[first].name, &inputs[*input].name);
        let what = format!(
            "{} is declared in {first}, line {line}, and in {second}, line {}; nothing was started",
            one.key, one.line
        );
        return Err(Failure::new(Exit::Invalid, what).help("take one of them out, or give it another name"));
    }
    Ok(())
}

/// The files are read once, so that it stays so.
fn is_suspended(object: &Object) -> bool {
    match object {
        Object::Job(job) => job.spec.as_ref().is_some_and(|spec| spec.suspend == Some(true)),
        Object::CronJob(cron) => cron.spec.suspend == Some(true),
        Object::Pod(_)
        | Object::ConfigMap(_)
        | Object::Secret(_)
        | Object::Namespace(_)
        | Object::Unserved { .. } => false,
    }
}

/// Told before anything runs, not at the end of it. The report of an earlier run would be taken for that of this one if
/// this one never comes to write its own.
fn writable(path: &Path) -> Result<PathBuf, Failure> {
    let failed = || Failure::new(Exit::Usage, format!("cannot write a test report to {}", path.display()));
    let whole = std::path::absolute(path).map_err(|error| failed().because(error))?;
    match whole.parent().map(Path::is_dir) {
        Some(true) if !whole.is_dir() => {
            if whole.is_file() {
                std::fs::remove_file(&whole).map_err(|error| failed().because(error))?;
            }
            Ok(whole)
        }
        Some(_) | None => Err(failed().help("name a file in a directory that is there")),
    }
}

/// `hidden`: what pods on the machine's own root are not to see.
fn direct(
    session: Session,
    roots: Vec<Root>,
    hidden: Vec<PathBuf>,
    manner: Manner,
    settings: &Settings,
) -> Result<Exit, Failure> {
    let Manner { timeout, start, patience, keep, exit_from, show, junit, attached } = manner;
    let (aside, said) = match show {
        Show::Prefixed(_) => live::channel().unzip(),
        Show::Json | Show::Bare | Show::Nothing => (None, None),
    };
    trace::start_beside(aside, settings);
    let (news, receiver) = mpsc::channel(ROOM);
    let onlooker = onlooker::start(session.places().clone(), receiver, show, said, settings)?;
    let ended = watch::direct(daemon::Settings {
        places: session.places().clone(),
        roots,
        mode: Mode::Batch(Terms { timeout, start, patience, news }),
        rescan: RESCAN,
        status_dir: None,
        strictness: Strictness::Strict,
        namespace: settings.namespace.clone(),
        pod_security: settings.pod_security,
        untrusted: BTreeSet::new(),
        hidden,
        pull_environment: pull::environment(),
        pod_cidr: settings.pod_cidr,
    });
    let (closing, retirement) = match ended.and_then(batch_of) {
        Ok((end, report, retirement)) => {
            let exit = exit_of(end, &report, exit_from.as_ref());
            (Ok(Closing { end, report: Arc::new(report), exit }), Some(retirement))
        }
        Err(failure) => (Err(failure), None),
    };
    let report = closing.as_ref().ok().map(|closing| Arc::clone(&closing.report));
    let shown = onlooker.finish(closing.as_ref().ok().cloned());
    if let Some(attached) = attached {
        own::wait_for(attached, session.places());
    }
    let exit = closing.and_then(|Closing { end, report, exit }| {
        if let Some((pod, why)) = &report.hopeless {
            tell(&format!("{} can never start: {}", name(pod, &settings.namespace), cell(why)));
        }
        if end == BatchEnd::NotRunning {
            tell("error: timed out waiting for the condition");
        }
        // What the program itself has said is enough, and what the last event says, where all went well.
        let is_told = match show {
            Show::Prefixed(_) => false,
            Show::Json => exit == Exit::Done,
            Show::Bare | Show::Nothing => {
                let has_begun = |one: &PodReport| !facts::has_not_begun(&one.course);
                end == BatchEnd::Completed && report.pods.iter().all(has_begun)
            }
        };
        if !is_told {
            let table = table::render(&report, &settings.namespace, terminal::stderr_width());
            if !table.is_empty() {
                tell(table.trim_end());
            }
        }
        if let Some(path) = &junit {
            let text = junit::render(end, &report);
            publish(path, text.as_bytes(), 0o644, Durability::Whole).map_err(|error| {
                Failure::new(Exit::Failed, format!("cannot write {}", path.display())).because(error)
            })?;
        }
        // How the batch ended says more than that it was not shown, unless it ended well.
        shown.map_err(|failure| if exit == Exit::Done { failure } else { failure.ending(exit) })?;
        Ok(exit)
    });
    let failed = exit.as_ref().map_or(true, |exit| exit.code() != 0 && *exit != Exit::Interrupted);
    drop(retirement);
    // What stays is removed only now that the logs have been read to their end.
    let cleaned = match keep {
        Keep::Everything => session.keep(report.as_deref()),
        Keep::AfterFailure if failed => session.keep(report.as_deref()),
        Keep::AfterFailure | Keep::Nothing => session.remove(),
    };
    let exit = exit?;
    cleaned?;
    Ok(exit)
}

fn batch_of(ended: Ended) -> Result<(BatchEnd, BatchReport, Retirement), Failure> {
    match ended {
        Ended::Batch(end, report, retirement) => Ok((end, report, retirement)),
        // They were read well a moment ago: they have changed since.
        Ended::Invalid(files) => {
            let files: Vec<String> = files.iter().map(|file| file.display().to_string()).collect();
            Err(Failure::new(Exit::Invalid, format!("invalid: {}", files.join(", "))))
        }
        Ended::Stopped | Ended::Settled => Err(Failure::Quiet(Exit::Done)),
    }
}

fn exit_of(end: BatchEnd, report: &BatchReport, exit_from: Option<&ExitFrom>) -> Exit {
    match end {
        BatchEnd::TimedOut | BatchEnd::NotRunning => return Exit::TimedOut,
        BatchEnd::Interrupted => return Exit::Interrupted,
        BatchEnd::NoImage | BatchEnd::Hopeless(Obstacle::Image) => return Exit::NoImage,
        // Nothing of what was to run has failed.
        BatchEnd::Hopeless(Obstacle::Reference) | BatchEnd::Blocked => return Exit::Failed,
        BatchEnd::Completed => {}
    }
    if let Some(code) = exit_from.and_then(|from| from.code(report)) {
        return Exit::of_program(code);
    }
    let failed = |one: &PodReport| one.owner.is_none() && facts::has_failed(&one.course);
    let any_failed = report.pods.iter().any(failed) || report.jobs.iter().any(facts::job_has_failed);
    if any_failed { Exit::EndedFailed } else { Exit::Done }
}

/// A pod as the person who started it knows it.
fn name(pod: &PodId, home: &str) -> String {
    if pod.namespace == home { pod.name.clone() } else { pod.to_string() }
}
