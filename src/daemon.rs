//! The loop of `watch` and `up`: look, think, act, report. Anything that happens only wakes it; each pass looks at
//! everything again.

mod batch;
mod execute;
pub(crate) mod folder;
mod inventory;
mod observe;
mod pass;
mod report;
mod start;
mod watch;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc;

use crate::image::store::Store;
use crate::manifest::Strictness;
use crate::model::action::Wake;
use crate::model::time::Moment;
use crate::paths::Places;
use crate::sandbox::instance;
use crate::sandbox::sys::clock;

pub(crate) use batch::{BatchEnd, BatchReport, Progress};
pub(crate) use folder::{Root, Select};

use batch::Batch;
use execute::Logs;
use execute::children::Children;
use folder::settle::{Heed, Sight};
use folder::trust::Trust;
use folder::{Folder, FolderError, chain, earlier};
use inventory::file::Reader;
use inventory::{Caution, Inventory};
use pass::{Complaints, Passed, Wish, World};
use report::{Reporter, Tense};
use start::{Locked, Tie};
use watch::ends::Ends;
use watch::{Ears, Heard};

/// Where pods cannot be watched, they are looked at this often.
const BLIND: Duration = Duration::from_secs(1);
/// After a pass that could not see what is there.
const TRY_AGAIN: Duration = Duration::from_secs(2);
/// How long the reader of an `up`'s logs is waited for before what it reads is removed.
const READ_OUT: Duration = Duration::from_secs(10);

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
}

#[derive(Debug)]
pub(crate) enum Mode {
    /// Until a signal; pods stay.
    Watch,
    /// Until nothing is left to be done; pods stay.
    Once,
    /// Until the pods have ended; nothing stays.
    Batch {
        timeout: Option<Duration>,
        afterwards: Afterwards,
        /// Whoever reads from it drops it once it has read the logs: they are removed then.
        progress: mpsc::Sender<Progress>,
    },
}

/// What a batch leaves behind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Afterwards {
    Nothing,
    /// Records and logs; no process.
    Records,
}

#[derive(Debug)]
pub(crate) enum Ended {
    /// By a signal; pods run on.
    Stopped,
    /// What could be done once has been.
    Settled,
    /// Nothing was started on account of these files.
    Invalid(Vec<PathBuf>),
    Batch(BatchEnd, BatchReport),
}

#[derive(Debug, thiserror::Error)]
pub(crate) enum DaemonError {
    #[error("another droppod holds {path}: {holder}")]
    Held { path: PathBuf, holder: String },
    #[error("cannot {operation} {path}")]
    Io { operation: &'static str, path: PathBuf, source: io::Error },
    #[error(transparent)]
    Folder(FolderError),
    #[error("cannot take up the objects in force: {0}")]
    Objects(String),
    #[error("cannot listen for signals")]
    Signals(#[source] io::Error),
}

impl From<FolderError> for DaemonError {
    fn from(error: FolderError) -> DaemonError {
        match error {
            FolderError::Held(path) => {
                DaemonError::Held { path, holder: "a watch of another instance".to_owned() }
            }
            FolderError::Open { .. } | FolderError::Untrusted { .. } => DaemonError::Folder(error),
        }
    }
}

/// Directs an instance until the mode's end. To be run on a current-thread runtime: a pass blocks it.
pub(crate) async fn run(settings: Settings) -> Result<Ended, DaemonError> {
    let Settings { places, roots, mode, rescan, status_dir, strictness, namespace } = settings;
    let signals = Signals::listen().map_err(DaemonError::Signals)?;
    let (word, tie, logs) = match &mode {
        Mode::Watch | Mode::Once => ("watch", Tie::Free, Logs::Remove),
        Mode::Batch { .. } => ("up", Tie::Lifeline, Logs::Keep),
    };
    let locked = Locked::take(&places, word)?;
    let (trust, caution) = match &mode {
        Mode::Watch | Mode::Once => (Trust::Checked, Caution::Wait),
        Mode::Batch { .. } => (Trust::NamedByUser, Caution::Trust),
    };
    let paths: Vec<PathBuf> = match &mode {
        Mode::Watch | Mode::Once => roots.iter().map(|root| root.path.clone()).collect(),
        // The files are read once.
        Mode::Batch { .. } => Vec::new(),
    };
    let mut folders: Vec<Folder> = Vec::new();
    for root in roots {
        // Named twice is named once; a second lock of the same folder would be refused.
        if folders.iter().all(|folder| folder.root != root) {
            folders.push(Folder::open(root, trust, Sight::Polling, &places)?);
        }
    }
    let ready = locked.prepare(&places, tie, logs)?;
    // Events are heard before the first look, so that no change falls between the two.
    let ears = Ears::open(&paths, &places);
    let (mut inventory, failures) = Inventory::load(&places, Reader { namespace, strictness }, caution)
        .map_err(|error| DaemonError::Objects(chain(&error)))?;
    let renewed = inventory.renew(&places, &ready.machine.boot_id, clock::now());
    for failure in failures.iter().chain(&renewed) {
        tracing::warn!(reason = chain(failure), "object not taken up");
    }
    let reporter = Reporter::new(status_dir, ready.machine.host_ip.to_string());
    let world = World {
        folders,
        read_folders: Vec::new(),
        inventory,
        machine: ready.machine,
        store: Store::at(&places.images),
        hands: ready.hands,
        reporter,
        complaints: Complaints::default(),
    };
    let mut directing = Directing { world, ears, ends: Ends::new(), signals, rescan };
    let ended = match mode {
        Mode::Watch => directing.watch().await,
        Mode::Once => directing.once().await,
        Mode::Batch { timeout, afterwards, progress } => {
            directing.batch(timeout, afterwards, progress).await?
        }
    };
    directing.world.hands.children.end_pulls();
    // Held until here: the one says who directs the instance, at the other's end the pods of an `up` stop.
    drop((ready.lock, ready.lifeline));
    Ok(ended)
}

/// The loop and all that wakes it.
#[derive(Debug)]
struct Directing {
    world: World,
    ears: Ears,
    ends: Ends,
    signals: Signals,
    rescan: Duration,
}

/// What ended a wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Next {
    Look(Wake),
    Stop,
}

impl Directing {
    async fn watch(&mut self) -> Ended {
        let mut wake = Wake::Startup;
        loop {
            let wake_at = self.pass(wake, Wish::AsDeclared).map_or_else(blind, |passed| passed.wake_at);
            match self.next(wake_at).await {
                Next::Look(next) => wake = next,
                Next::Stop => {
                    tracing::info!("stopped, pods run on");
                    return Ended::Stopped;
                }
            }
        }
    }

    async fn once(&mut self) -> Ended {
        let mut wake = Wake::Startup;
        loop {
            let passed = self.pass(wake, Wish::AsDeclared);
            if passed.as_ref().is_some_and(|passed| passed.is_settled(&self.world.hands)) {
                return Ended::Settled;
            }
            // What was just done shows in a look soon after it, whether or not an event tells of it.
            let soon = Some(clock::boot() + folder::settle::QUIET);
            match self.next(earlier(soon, passed.and_then(|passed| passed.wake_at))).await {
                Next::Look(next) => wake = next,
                Next::Stop => return Ended::Stopped,
            }
        }
    }

    async fn batch(
        &mut self,
        timeout: Option<Duration>,
        afterwards: Afterwards,
        progress: mpsc::Sender<Progress>,
    ) -> Result<Ended, DaemonError> {
        let mut complaints = Vec::new();
        self.world.read_manifests(&mut complaints, clock::now());
        let mut bad = self.world.bad_files();
        bad.extend(self.world.lost_folders());
        if !bad.is_empty() {
            self.retire()?;
            return Ok(Ended::Invalid(bad));
        }
        self.world.read_folders = std::mem::take(&mut self.world.folders);
        let mut batch = Batch::new(timeout, progress, clock::boot());
        let mut wake = Wake::Startup;
        let end = loop {
            let passed = self.pass(wake, batch.wish());
            let stage = batch.wish();
            let end = passed.as_ref().and_then(|passed| batch.follow(&self.world, passed, clock::boot()));
            if let Some(end) = end {
                break end;
            }
            if batch.wish() != stage {
                if let Some(passed) = &passed {
                    self.world.report(&BTreeMap::new(), &passed.seen, Tense::Past, clock::now());
                }
                wake = Wake::Asked;
                continue;
            }
            let wake_at = earlier(passed.map_or_else(blind, |passed| passed.wake_at), batch.deadline());
            match self.next(wake_at).await {
                Next::Look(next) => wake = next,
                Next::Stop => {
                    batch.interrupt(&self.world);
                    wake = Wake::Asked;
                }
            }
        };
        let (report, progress) = batch.report();
        if afterwards == Afterwards::Nothing {
            // The receiver is dropped by whoever reads the logs when it has read them.
            let _ = tokio::time::timeout(READ_OUT, progress.closed()).await;
            self.retire()?;
        }
        Ok(Ended::Batch(end, report))
    }

    fn retire(&mut self) -> Result<(), DaemonError> {
        self.world.hands.children.end_pulls();
        let places = &self.world.hands.places;
        instance::retire(places, instance::RunDirectory::Remove).map_err(|source| DaemonError::Io {
            operation: "retire the instance in",
            path: places.run.clone(),
            source,
        })
    }

    /// One pass, and ears for what it made. `None` if it could not be seen what is there.
    fn pass(&mut self, wake: Wake, wish: Wish) -> Option<Passed> {
        for folder in &mut self.world.folders {
            let heard = self.ears.watch_folder(&folder.root.path);
            folder.settling.see_by(if heard { Sight::Events } else { Sight::Polling });
        }
        let passed = match self.world.pass(wake, wish, clock::now()) {
            Ok(passed) => passed,
            Err(error) => {
                tracing::warn!(reason = chain(&error), "pass given up");
                return None;
            }
        };
        Some(self.listen_to_pods(passed))
    }

    fn listen_to_pods(&mut self, mut passed: Passed) -> Passed {
        let places = &self.world.hands.places;
        let told = passed.seen.observed.pods.iter().filter(|(_, pod)| pod.told.is_some()).map(|(uid, _)| uid);
        let children: &Children = &self.world.hands.children;
        let launched = children.pod_uids();
        let heard = self.ears.watch_pods(places, told.chain(launched));
        let pods = passed.seen.observed.pods.values();
        let adopted = pods.filter_map(|pod| pod.record.as_ref()).map(|record| record.shim_pid);
        for pid in adopted.chain(children.all().map(|child| child.pid)) {
            self.ends.watch(pid);
        }
        if !heard {
            passed.wake_at = earlier(passed.wake_at, Some(clock::boot() + BLIND));
        }
        passed
    }

    /// Waits for a reason to look again.
    async fn next(&mut self, wake_at: Option<Moment>) -> Next {
        let rescan = clock::boot() + self.rescan;
        loop {
            let due = wake_at.map_or(rescan, |wake_at| wake_at.min(rescan));
            let wait = due - clock::boot();
            let heard = tokio::select! {
                biased;
                () = self.signals.next() => return Next::Stop,
                () = self.ends.next() => return Next::Look(Wake::PodChanged),
                heard = self.ears.next() => heard,
                () = tokio::time::sleep(wait) => return Next::Look(Wake::TimerFired),
            };
            if let Some(wake) = self.heed(heard) {
                return Next::Look(wake);
            }
        }
    }

    /// Takes over everything that was heard; tells whether it is worth a pass.
    fn heed(&mut self, first: Heard) -> Option<Wake> {
        let now = clock::boot();
        let mut wake = None;
        for heard in std::iter::once(first).chain(self.ears.rest()) {
            match heard {
                Heard::Pod => wake = wake.or(Some(Wake::PodChanged)),
                Heard::Overflow => {
                    wake = Some(Wake::ManifestsChanged);
                    for folder in &mut self.world.folders {
                        folder.settling.hear(folder::settle::Hint::Overflow, now);
                    }
                }
                Heard::Folder { root, hint } => {
                    let folder = self.world.folders.iter_mut().find(|folder| folder.root.path == root);
                    match folder.map(|folder| folder.settling.hear(hint, now)) {
                        Some(Heed::Look) => wake = Some(Wake::ManifestsChanged),
                        Some(Heed::Wait) | None => {}
                    }
                }
            }
        }
        wake
    }
}

/// When to look again after a pass that saw nothing.
fn blind() -> Option<Moment> {
    Some(clock::boot() + TRY_AGAIN)
}

#[derive(Debug)]
struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    fn listen() -> io::Result<Signals> {
        Ok(Signals {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}
