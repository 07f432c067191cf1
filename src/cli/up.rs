//! `up`: manifests in the foreground, in an instance of their own, of which nothing stays.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::sync::mpsc;

use crate::api::Object;
use crate::daemon::{self, Afterwards, BatchEnd, BatchReport, Ended, Mode, Root, Select};
use crate::manifest::{Declared, Strictness};
use crate::model::id::PodId;
use crate::paths::Places;
use crate::publish::{Durability, publish, remove_tree};
use crate::rundir::{lock, pods};
use crate::sandbox::instance::RunDirectory;
use crate::sandbox::instance::up::{self, Up};

use super::exit::Exit;
use super::failure::Failure;
use super::input::{self, Depth, Input};
use super::settings::{Settings, canonical};
use super::target::{self, Target};
use super::{departure, doctor, duration, tell, trace, watch};

mod onlooker;
mod summary;

/// Progress that is not read yet.
const ROOM: usize = 256;
/// Pods are looked at when something happens to them; this is for what tells nobody.
const RESCAN: Duration = Duration::from_secs(10);

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  droppod up -f job.yaml
  droppod up -f tests/ --timeout 10m --exit-code-from pod/tests:runner

It ends when every Job and every pod that ends by itself has ended; with only endless pods it runs until a
signal.
The first Ctrl-C stops the pods with their grace periods, the second kills them.")]
pub(crate) struct UpArgs {
    /// A manifest, a directory of them, or - for standard input
    #[arg(short, long = "filename", required = true, value_name = "PATH")]
    files: Vec<PathBuf>,
    /// Stop everything after this time, such as 10m; the exit code is then 11
    #[arg(long, value_name = "TIME", value_parser = duration::parse)]
    timeout: Option<Duration>,
    /// Leave records and logs behind
    #[arg(long)]
    keep: bool,
    /// Exit as this pod's container did
    #[arg(long, value_name = "KIND/NAME[:CONTAINER]")]
    exit_code_from: Option<String>,
}

pub(crate) fn run(args: &UpArgs, settings: &Settings) -> Result<Exit, Failure> {
    let exit_from = args.exit_code_from.as_deref().map(ExitFrom::parse).transpose()?;
    let inputs = input::collect(&args.files, Depth::Recursive)?;
    let declared = input::declared(&inputs, settings, Strictness::Strict)?;
    if declared.is_empty() {
        return Err(Failure::new(Exit::Invalid, "the manifests declare nothing"));
    }
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
    if let Some(from) = &exit_from {
        from.must_be_declared(&declared)?;
    }
    doctor::must_be_able()?;
    let session = Session::open(settings)?;
    let afterwards = if args.keep { Afterwards::Records } else { Afterwards::Nothing };
    let roots = session.roots_of(&args.files, &inputs)?;
    session.direct(roots, args.timeout, afterwards, exit_from.as_ref(), settings)
}

/// One pod from text, its exit code the program's: `run --rm`.
pub(crate) fn run_one(input: &Input, name: &str, settings: &Settings) -> Result<Exit, Failure> {
    doctor::must_be_able()?;
    let session = Session::open(settings)?;
    let exit_from = ExitFrom { pod: name.to_owned(), container: Some(name.to_owned()) };
    let root = session.root_of_copies(&[input])?;
    session.direct(vec![root], None, Afterwards::Nothing, Some(&exit_from), settings)
}

/// Whose exit code counts.
#[derive(Debug, PartialEq, Eq)]
struct ExitFrom {
    pod: String,
    /// `None` for the pod's only container, or the first that failed.
    container: Option<String>,
}

impl ExitFrom {
    fn parse(text: &str) -> Result<ExitFrom, Failure> {
        let (object, container) = match text.split_once(':') {
            Some((object, container)) => (object, Some(container.to_owned())),
            None => (text, None),
        };
        match target::slashed(object)? {
            Target { kind, name: Some(name) } if kind.kind == "Pod" => {
                Ok(ExitFrom { pod: name.to_owned(), container })
            }
            Target { .. } => Err(Failure::new(Exit::Usage, format!("`{text}` has no exit code"))
                .help("name a pod: --exit-code-from pod/NAME or pod/NAME:CONTAINER")),
        }
    }
}

impl ExitFrom {
    fn must_be_declared(&self, declared: &[(usize, Declared)]) -> Result<(), Failure> {
        let pods = declared.iter().filter_map(|(_, one)| match &one.object {
            Object::Pod(pod) => Some((one.key.name.as_str(), pod.spec.as_ref())),
            Object::ConfigMap(_)
            | Object::Secret(_)
            | Object::Namespace(_)
            | Object::Job(_)
            | Object::CronJob(_)
            | Object::Unserved { .. } => None,
        });
        let named: Vec<(String, Vec<&str>)> = pods
            .map(|(name, spec)| {
                let init = spec.and_then(|spec| spec.init_containers.as_ref()).into_iter().flatten();
                let all = init.chain(spec.into_iter().flat_map(|spec| &spec.containers));
                (name.to_owned(), all.map(|container| container.name.as_str()).collect())
            })
            .collect();
        let refuse = |what: String, kind: &str, there: Vec<&str>| {
            let help = format!("the {kind} there are: {}", there.join(", "));
            Err(Failure::new(Exit::Usage, what).help(help))
        };
        let Some((_, containers)) = named.iter().find(|(name, _)| *name == self.pod) else {
            let there = named.iter().map(|(name, _)| name.as_str()).collect();
            return refuse(format!("the manifests declare no pod {}", self.pod), "pods", there);
        };
        match &self.container {
            Some(container) if !containers.contains(&container.as_str()) => {
                let what = format!("pod {} has no container {container}", self.pod);
                refuse(what, "containers", containers.clone())
            }
            Some(_) | None => Ok(()),
        }
    }
}

/// An instance below the machine's own, sharing only its images.
struct Session(Up);

/// What commands that were killed have left. It is in nobody's way, so what cannot be removed is only told.
pub(super) fn sweep_dead(machine: &Places) {
    if let Err(error) = up::sweep_dead(machine) {
        tell(&format!("warning: cannot remove what an `up` that was killed has left: {error}"));
    }
}

impl Session {
    fn open(settings: &Settings) -> Result<Session, Failure> {
        let failed =
            |error| Failure::new(Exit::Failed, "cannot make an instance for this run").because(error);
        sweep_dead(&settings.places);
        let up = up::make(&settings.places).map_err(failed)?;
        Ok(Session(up))
    }

    /// Directories and files where they lie, so that relative paths in them mean what they say.
    fn roots_of(&self, named: &[PathBuf], inputs: &[Input]) -> Result<Vec<Root>, Failure> {
        let mut directories = BTreeSet::new();
        for directory in named.iter().filter(|path| path.is_dir()) {
            let path = canonical(directory).map_err(|error| {
                Failure::new(Exit::Failed, format!("cannot read {}", directory.display())).because(error)
            })?;
            directories.insert(path);
        }
        let mut files: BTreeMap<&Path, BTreeSet<PathBuf>> = BTreeMap::new();
        let mut copies = Vec::new();
        for input in inputs {
            match input.path.as_deref().map(|path| (path, path.file_name())) {
                Some((path, _)) if directories.iter().any(|directory| path.starts_with(directory)) => {}
                Some((_, Some(name))) => {
                    files.entry(&input.base).or_default().insert(name.into());
                }
                Some((_, None)) | None => copies.push(input),
            }
        }
        let within_another =
            |path: &PathBuf| path.ancestors().skip(1).any(|above| directories.contains(above));
        let whole = directories.iter().filter(|path| !within_another(path));
        let mut roots: Vec<Root> =
            whole.map(|path| Root { path: path.clone(), select: Select::All }).collect();
        let picked = files.into_iter();
        roots
            .extend(picked.map(|(base, files)| Root { path: base.to_owned(), select: Select::Files(files) }));
        if !copies.is_empty() {
            roots.push(self.root_of_copies(&copies)?);
        }
        Ok(roots)
    }

    /// A folder with what is not in a file.
    fn root_of_copies(&self, inputs: &[&Input]) -> Result<Root, Failure> {
        let path = self.0.places.state.join("input");
        for (number, input) in inputs.iter().enumerate() {
            let file = path.join(format!("{number}.yaml"));
            let written = std::fs::create_dir_all(&path)
                .and_then(|()| publish(&file, &input.text, 0o600, Durability::Volatile));
            written.map_err(|error| {
                Failure::new(Exit::Failed, format!("cannot keep {}", input.name)).because(error)
            })?;
        }
        Ok(Root { path, select: Select::All })
    }

    fn direct(
        self,
        roots: Vec<Root>,
        timeout: Option<Duration>,
        afterwards: Afterwards,
        exit_from: Option<&ExitFrom>,
        settings: &Settings,
    ) -> Result<Exit, Failure> {
        trace::start(tracing::Level::WARN, settings);
        let (progress, receiver) = mpsc::channel(ROOM);
        let onlooker = onlooker::start(self.0.places.log.clone(), receiver, settings)?;
        let ended = watch::direct(daemon::Settings {
            places: self.0.places.clone(),
            roots,
            // What stays is removed here, once the logs have been read to their end.
            mode: Mode::Batch { timeout, afterwards: Afterwards::Records, progress },
            rescan: RESCAN,
            status_dir: None,
            strictness: Strictness::Strict,
            namespace: settings.namespace.clone(),
            pod_security: settings.pod_security,
            untrusted: BTreeSet::new(),
        });
        onlooker.finish();
        let cleaned = match afterwards {
            Afterwards::Nothing => self.remove(),
            Afterwards::Records => self.keep(),
        };
        let exit = conclude(ended?, exit_from, settings);
        cleaned?;
        exit
    }

    fn keep(&self) -> Result<(), Failure> {
        publish(&self.0.places.kept(), b"", 0o600, Durability::Volatile)
            .map_err(|error| Failure::new(Exit::Failed, "cannot mark the records as kept").because(error))?;
        tell(&self.where_to_look());
        Ok(())
    }

    fn remove(&self) -> Result<(), Failure> {
        let retired =
            self.remove_pods().and_then(|()| departure::retire(&self.0.places, RunDirectory::Remove));
        retired.map_err(|error| {
            let what = format!("cannot remove what is left in {}", self.0.places.run.display());
            Failure::new(Exit::Failed, what).because(error)
        })
    }

    /// Directories of pods that have ended or never started.
    fn remove_pods(&self) -> std::io::Result<()> {
        for uid in pods::list(&self.0.places)? {
            let pod = self.0.places.pod(&uid);
            if !lock::is_held(&pod.lock())? {
                remove_tree(&pod.0)?;
            }
        }
        Ok(())
    }

    fn where_to_look(&self) -> String {
        let Places { state, run, log, .. } = &self.0.places;
        let (state, run, log) = (state.display(), run.display(), log.display());
        let options = format!("--state-dir {state} --run-dir {run} --log-dir {log}");
        format!("kept; look with: droppod {options} get pods\nremove with:     droppod {options} down")
    }
}

fn conclude(ended: Ended, exit_from: Option<&ExitFrom>, settings: &Settings) -> Result<Exit, Failure> {
    let (end, report) = match ended {
        Ended::Batch(end, report) => (end, report),
        // They were read well a moment ago: they have changed since.
        Ended::Invalid(files) => {
            let files: Vec<String> = files.iter().map(|file| file.display().to_string()).collect();
            return Err(Failure::new(Exit::Invalid, format!("invalid: {}", files.join(", "))));
        }
        Ended::Stopped | Ended::Settled => return Ok(Exit::Done),
    };
    for (pod, course) in &report.pods {
        tell(&format!("{}: {}", name(pod, settings), summary::line(course)));
    }
    for job in &report.jobs {
        tell(&format!("{}: {}", job.key, summary::job_line(job)));
    }
    Ok(exit_of(end, &report, exit_from))
}

fn exit_of(end: BatchEnd, report: &BatchReport, exit_from: Option<&ExitFrom>) -> Exit {
    match end {
        BatchEnd::TimedOut => return Exit::TimedOut,
        BatchEnd::Interrupted => return Exit::Interrupted,
        BatchEnd::NoImage => return Exit::NoImage,
        BatchEnd::Blocked => return Exit::Failed,
        BatchEnd::Completed => {}
    }
    if let Some(ExitFrom { pod, container }) = exit_from {
        let of_pod = report.pods.iter().find(|(id, _)| id.name == *pod);
        let code = of_pod.and_then(|(_, course)| summary::exit_code(course, container.as_deref()));
        if let Some(code) = code {
            return Exit::of_program(code);
        }
    }
    let own = |pod: &PodId| !report.made.contains(&pod.uid);
    let pod_failed = report.pods.iter().any(|(pod, course)| own(pod) && summary::has_failed(course));
    if pod_failed || report.jobs.iter().any(summary::job_has_failed) { Exit::EndedFailed } else { Exit::Done }
}

/// A pod as the person who started it knows it.
fn name(pod: &PodId, settings: &Settings) -> String {
    if pod.namespace == settings.namespace { pod.name.clone() } else { pod.to_string() }
}
