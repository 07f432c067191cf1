//! The loop of `watch` and `up`: look, think, act, report. Anything that happens only wakes it; each pass looks at
//! everything again.

pub(crate) mod aftermath;
mod batch;
mod directing;
mod execute;
pub(crate) mod exhibit;
pub(crate) mod folder;
pub(crate) mod inventory;
mod observe;
mod pass;
mod report;
mod service;
mod start;
pub(crate) mod supervisor;
mod watch;

#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

use jiff::tz::TimeZone;
use tokio::sync::oneshot;

use crate::image::store::Store;
use crate::manifest::Strictness;
use crate::manifest::podsecurity::Level;
use crate::model::network::PodCidr;
use crate::model::pull_environment::PullEnvironment;
use crate::paths::Places;
use crate::rundir::watcher::{self, Watcher};
use crate::rundir::{drafts, hidden as hidden_file, objects, starts};
use crate::sandbox::instance::Retirement;
use crate::sandbox::oom;
use crate::sandbox::sys::clock;

pub(crate) use batch::{
    BatchEnd, BatchReport, CronStanding, ImageStanding, JobReport, JobStanding, News, Obstacle, Patience,
    PodReport, Progress, Standing, Terms,
};
pub(crate) use execute::PULLS;
pub(crate) use folder::{Root, Select};

use directing::{Directing, Hangups, Signals};
use execute::Logs;
use exhibit::{Address, Exhibit};
use folder::settle::Sight;
use folder::trust::Trust;
use folder::{Folder, FolderError, chain};
use inventory::file::Reader;
use inventory::{Caution, Inventory};
use pass::{Complaints, World};
use report::Reporter;
use service::Service;
use start::{Locked, Order, Tie};
use supervisor::Supervisor;
use watch::Ears;

#[derive(Debug)]
pub(crate) struct Settings {
    pub(crate) places: Places,
    pub(crate) roots: Vec<Root>,
    pub(crate) mode: Mode,
    /// Longest time between two looks.
    pub(crate) rescan: Duration,
    /// In place of beside the manifests.
    pub(crate) status_dir: Option<PathBuf>,
    pub(crate) strictness: Strictness,
    /// Given to objects that name none.
    pub(crate) namespace: String,
    pub(crate) pod_security: Level,
    /// Those of the roots that others can write to, and that are watched all the same.
    pub(crate) untrusted: BTreeSet<PathBuf>,
    /// What the machine's root does not show to pods.
    pub(crate) hidden: Vec<PathBuf>,
    pub(crate) pull_environment: PullEnvironment,
    /// Where the range of the instance is taken from; `None` for the usual.
    pub(crate) pod_cidr: Option<PodCidr>,
}

#[derive(Debug)]
pub(crate) enum Mode {
    /// Until a signal; pods stay.
    Watch {
        /// Told once the first pass is done.
        ready: oneshot::Sender<()>,
        supervisor: Option<Supervisor>,
        /// Where figures and health are shown, if anywhere.
        metrics: Option<Address>,
        /// Bytes of all logs; in place of the usual.
        log_budget: Option<u64>,
    },
    /// Until nothing is left to be done; pods stay.
    Once,
    /// Until the pods have ended; records and logs stay, no process.
    Batch(Terms),
}

/// What follows from the mode alone.
struct Posture {
    /// As the lock is signed.
    word: &'static str,
    hangups: Hangups,
    tie: Tie,
    logs: Logs,
    trust: Trust,
    caution: Caution,
}

impl Mode {
    fn posture(&self) -> Posture {
        let watch = |hangups| Posture {
            word: "watch",
            hangups,
            tie: Tie::Free,
            logs: Logs::Remove,
            trust: Trust::Checked,
            caution: Caution::Wait,
        };
        match self {
            Mode::Watch { .. } => watch(Hangups::ReadAgain),
            Mode::Once => watch(Hangups::End),
            Mode::Batch(_) => Posture {
                word: "up",
                hangups: Hangups::End,
                tie: Tie::Lifeline,
                logs: Logs::Keep,
                trust: Trust::NamedByUser,
                caution: Caution::Trust,
            },
        }
    }

    /// Folders that are looked at for as long as it runs.
    fn watched(&self, roots: &[Root]) -> Vec<PathBuf> {
        match self {
            Mode::Watch { .. } | Mode::Once => roots.iter().map(|root| root.path.clone()).collect(),
            // The files are read once.
            Mode::Batch(_) => Vec::new(),
        }
    }

    /// What an `up` that is killed leaves to its pods to say.
    fn lasting(&self, reporter: Reporter, places: &Places) -> Reporter {
        match self {
            Mode::Watch { .. } | Mode::Once => reporter,
            Mode::Batch(_) => reporter.with_last_words(places.clone()),
        }
    }
}

#[derive(Debug)]
pub(crate) enum Ended {
    /// By a signal; pods run on.
    Stopped,
    /// What could be done once has been.
    Settled,
    /// Nothing was started on account of these files.
    Invalid(Vec<PathBuf>),
    Batch(BatchEnd, BatchReport, Retirement),
}

#[derive(Debug, thiserror::Error)]
pub(crate) enum DaemonError {
    #[error("another droppod holds {path}: {holder}")]
    Held { path: PathBuf, holder: String },
    #[error("cannot {operation} {path}")]
    Io { operation: &'static str, path: PathBuf, source: io::Error },
    #[error(transparent)]
    Folder(#[from] FolderError),
    #[error("cannot make the instance's network")]
    Range(#[source] io::Error),
    #[error("cannot take up the objects in force: {0}")]
    Objects(String),
    #[error("cannot listen for signals")]
    Signals(#[source] io::Error),
    #[error("cannot show figures at {address}")]
    Exhibit { address: Address, source: io::Error },
}

/// Directs an instance until the mode's end. To be run on a current-thread runtime: a pass blocks it.
pub(crate) async fn run(settings: Settings) -> Result<Ended, DaemonError> {
    let Settings { places, roots, mode, rescan, status_dir, strictness, .. } = settings;
    let Settings { namespace, pod_security, untrusted, hidden, pull_environment, pod_cidr, .. } = settings;
    let Posture { word, hangups, tie, logs, trust, caution } = mode.posture();
    let signals = Signals::listen(hangups).map_err(DaemonError::Signals)?;
    let (locked, folders) = take_hold(&roots, &untrusted, trust, word, &places)?;
    if let Mode::Watch { .. } | Mode::Once = &mode {
        let watcher = Watcher {
            folders: roots.iter().map(|root| root.path.clone()).collect(),
            status_dir: status_dir.clone(),
            namespace: namespace.clone(),
            strictness,
            pod_security,
            untrusted: untrusted.clone(),
        };
        settle_in(&places, &watcher);
    }
    let paths = mode.watched(&roots);
    let ready = locked.prepare(&places, Order { tie, logs, pull_environment, pod_cidr })?;
    // Before any pod starts.
    hidden_file::write(&places, &hidden).map_err(|source| DaemonError::Io {
        operation: "write down what is hidden from pods, in",
        path: places.hidden(),
        source,
    })?;
    // Events are heard before the first look, so that no change falls between the two.
    let ears = Ears::open(&paths, &places);
    let reader = Reader { namespace, strictness, pod_security, untrusted };
    let (mut inventory, failures) =
        Inventory::load(&places, reader, caution).map_err(|error| DaemonError::Objects(chain(&error)))?;
    inventory.rename_roots(&places, &paths);
    if let Err(error) = objects::remove_halves(&places) {
        tracing::warn!(%error, "half-made objects not removed");
    }
    if let Err(error) = drafts::remove(&places) {
        tracing::warn!(%error, "half-written records not removed");
    }
    let uids = inventory.objects().keys().collect();
    if let Err(error) = starts::keep_only(&places, &uids) {
        tracing::warn!(%error, "what is remembered of earlier pods not removed");
    }
    let renewed = inventory.renew(&places, &ready.machine.boot_id, clock::now());
    for failure in failures.iter().chain(&renewed) {
        tracing::warn!(reason = chain(failure), "object not taken up");
    }
    let reporter = Reporter::new(status_dir, ready.machine.host_ip.to_string());
    let mut reporter = mode.lasting(reporter, &places);
    reporter.inherit(inventory.objects().values().map(|known| known.record.source.clone()));
    let world = World {
        folders,
        read_folders: Vec::new(),
        inventory,
        machine: ready.machine,
        // Without one, as in the initial RAM disc, schedules are read as UTC.
        zone: TimeZone::try_system().unwrap_or(TimeZone::UTC),
        trust,
        memory: observe::Memory::default(),
        store: Store::at(&places.images),
        hands: ready.hands,
        reporter,
        complaints: Complaints::default(),
        unswept: None,
    };
    let mut directing = Directing::new(world, ears, signals, rescan);
    let ended = match mode {
        Mode::Watch { ready, supervisor, metrics, log_budget } => {
            let exhibit = metrics.map(|address| {
                Exhibit::open(&address).map_err(|source| DaemonError::Exhibit { address, source })
            });
            directing.service = Service::new(supervisor, exhibit.transpose()?);
            directing.watch(ready, log_budget).await
        }
        Mode::Once => directing.once().await,
        Mode::Batch(terms) => directing.batch(terms).await?,
    };
    directing.world.hands.children.end_pulls();
    // Held until here: the one says who directs the instance, at the other's end the pods of an `up` stop.
    drop((ready.lock, ready.lifeline));
    Ok(ended)
}

/// Of the instance and of its folders, or of neither.
fn take_hold(
    roots: &[Root],
    untrusted: &BTreeSet<PathBuf>,
    trust: Trust,
    word: &str,
    places: &Places,
) -> Result<(Locked, Vec<Folder>), DaemonError> {
    let locked = Locked::take(places, word)?;
    match open_folders(roots, untrusted, trust, places) {
        Ok(folders) => Ok((locked, folders)),
        Err(error) => {
            locked.undo(places);
            Err(error)
        }
    }
}

/// What a watcher is better off with, and can do without.
fn settle_in(places: &Places, watcher: &Watcher) {
    if let Err(error) = oom::set_own(oom::OF_WATCHER) {
        let reason = chain(&error);
        tracing::warn!(reason, "neither the watcher nor pod processes are kept from the OOM killer");
    }
    // It is for `down` alone, and a full disc must not keep pods from being looked after.
    if let Err(error) = watcher::write(places, watcher) {
        tracing::warn!(%error, "what is watched is not written down");
    }
}

fn open_folders(
    roots: &[Root],
    untrusted: &BTreeSet<PathBuf>,
    trust: Trust,
    places: &Places,
) -> Result<Vec<Folder>, DaemonError> {
    let mut folders: Vec<Folder> = Vec::new();
    for root in roots {
        // Named twice is named once; a second lock of the same folder would be refused.
        if folders.iter().all(|folder| folder.root.path != root.path) {
            let trust = if untrusted.contains(&root.path) { Trust::Admitted } else { trust };
            folders.push(Folder::open(root.clone(), trust, Sight::Polling, places)?);
        }
    }
    Ok(folders)
}
