//! The loop itself: a pass, a wait for a reason to look again, and the next.

use std::io;
use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::oneshot;

use crate::logs::budget::{self, Life};
use crate::model::action::Wake;
use crate::model::id::PodId;
use crate::model::time::Moment;
use crate::sandbox::instance;
use crate::sandbox::sys::clock;

use super::batch::{Batch, Terms};
use super::execute::children::Children;
use super::folder::settle::{self, Heed, Hint, Sight};
use super::folder::{Folder, chain, earlier};
use super::pass::{Passed, Wish, World};
use super::service::Service;
use super::watch::ends::Ends;
use super::watch::{Ears, Heard};
use super::{DaemonError, Ended};

/// Where pods cannot be watched, they are looked at this often.
const BLIND: Duration = Duration::from_secs(1);
/// Between two passes that changes of manifests lead to.
const PACE: Duration = Duration::from_millis(20);
/// After a pass that could not see what is there.
const TRY_AGAIN: Duration = Duration::from_secs(2);

/// Between two looks at how much the logs have come to.
const LOGS_LOOKED_AT: Duration = Duration::from_secs(60);

/// The loop and all that wakes it.
#[derive(Debug)]
pub(super) struct Directing {
    pub(super) world: World,
    pub(super) ears: Ears,
    ends: Ends,
    signals: Signals,
    pub(super) service: Service,
    rescan: Duration,
    /// When all of the folders is looked at, whatever was heard.
    rescan_at: Moment,
    /// When the last pass was done.
    passed_at: Moment,
}

/// What ended a wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Next {
    Look(Wake),
    /// All files are to be read again.
    ReadAgain,
    Stop,
}

impl Directing {
    /// `rescan`: the longest time between two looks at all of the folders.
    pub(super) fn new(world: World, ears: Ears, signals: Signals, rescan: Duration) -> Directing {
        let now = clock::boot();
        let (ends, service) = (Ends::new(), Service::default());
        Directing { world, ears, ends, signals, service, rescan, rescan_at: now, passed_at: now }
    }

    pub(super) async fn watch(&mut self, ready: oneshot::Sender<()>, log_budget: Option<u64>) -> Ended {
        self.world.folders.iter_mut().for_each(Folder::rely_on_events);
        let mut wake = Wake::Startup;
        let mut logs_due = clock::boot();
        let mut ready = Some(ready);
        let mut is_told = false;
        loop {
            let began = clock::boot();
            let passed = self.pass(wake, Wish::AsDeclared);
            let now = clock::now();
            let figures_due = self.service.note(&self.world, passed.as_ref(), now.boot - began, now);
            if passed.is_some()
                && let Some(ready) = ready.take()
            {
                // Nobody may be waiting for it.
                let _ = ready.send(());
            }
            if passed.is_some() && !is_told {
                self.service.ready();
                is_told = true;
            }
            if let Some(passed) = &passed
                && logs_due <= clock::boot()
            {
                self.keep_logs(passed, log_budget);
                logs_due = clock::boot() + LOGS_LOOKED_AT;
            }
            let wake_at = earlier(passed.map_or_else(blind, |passed| passed.wake_at), figures_due);
            match self.next(wake_at).await {
                Next::Look(next) => wake = next,
                Next::ReadAgain => {
                    tracing::info!("all files are read again");
                    self.service.reloading();
                    is_told = false;
                    let now = clock::boot();
                    self.world.folders.iter_mut().for_each(|folder| folder.read_again(now));
                    wake = Wake::Asked;
                }
                Next::Stop => {
                    self.service.stopping();
                    tracing::info!("stopped, pods run on");
                    return Ended::Stopped;
                }
            }
        }
    }

    fn keep_logs(&self, passed: &Passed, log_budget: Option<u64>) {
        let places = &self.world.hands.places;
        let observed = &passed.seen.observed;
        let ended = observed.ended.iter().filter(|(uid, _)| !observed.pods.contains_key(*uid));
        let logs = observed.pods.iter().chain(ended).map(|(uid, pod)| {
            let id = PodId { namespace: pod.namespace.clone(), name: pod.name.clone(), uid: uid.clone() };
            // One that was told of anything may have somebody who writes.
            let life = if pod.told.is_some() { Life::Living } else { Life::Ended };
            (places.pod_logs(&id), life)
        });
        let kept = log_budget
            .map_or_else(|| budget::usual(&places.log), Ok)
            .and_then(|bytes| budget::keep(logs, bytes));
        match kept {
            Ok(0) => {}
            Ok(bytes) => tracing::info!(bytes, "logs beyond their budget removed"),
            Err(error) => tracing::warn!(%error, "logs not kept within their budget"),
        }
    }

    pub(super) async fn once(&mut self) -> Ended {
        let mut wake = Wake::Startup;
        loop {
            let passed = self.pass(wake, Wish::AsDeclared);
            if passed.as_ref().is_some_and(|passed| passed.is_settled(&self.world.hands)) {
                return Ended::Settled;
            }
            // What was just done shows in a look soon after it, whether or not an event tells of it.
            let soon = Some(clock::boot() + settle::QUIET);
            match self.next(earlier(soon, passed.and_then(|passed| passed.wake_at))).await {
                Next::Look(next) => wake = next,
                Next::ReadAgain | Next::Stop => return Ended::Stopped,
            }
        }
    }

    pub(super) async fn batch(&mut self, terms: Terms) -> Result<Ended, DaemonError> {
        let mut complaints = Vec::new();
        self.world.read_manifests(&mut complaints, clock::now());
        let mut bad = self.world.bad_files();
        bad.extend(self.world.lost_folders());
        if !bad.is_empty() {
            self.retire()?;
            return Ok(Ended::Invalid(bad));
        }
        self.world.read_folders = std::mem::take(&mut self.world.folders);
        let mut batch = Batch::new(terms, clock::boot());
        let mut wake = Wake::Startup;
        let mut retirement = None;
        let end = loop {
            let passed = self.pass(wake, batch.wish());
            let stage = batch.wish();
            let end = passed.as_ref().and_then(|passed| batch.follow(&self.world, passed, clock::now()));
            if let Some(end) = end {
                self.world.report_end(&batch.courses(), clock::now());
                break end;
            }
            if batch.wish() != stage {
                if passed.is_some_and(|passed| passed.has_run_out()) {
                    retirement = Some(instance::begin_to_retire(&self.world.hands.places));
                }
                wake = Wake::Asked;
                continue;
            }
            let wake_at = earlier(passed.map_or_else(blind, |passed| passed.wake_at), batch.deadline());
            match self.next(wake_at).await {
                Next::Look(next) => wake = next,
                Next::ReadAgain | Next::Stop => {
                    batch.interrupt(&self.world);
                    wake = Wake::Asked;
                }
            }
        };
        let retirement = retirement.unwrap_or_else(|| instance::begin_to_retire(&self.world.hands.places));
        Ok(Ended::Batch(end, batch.report(), retirement))
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
        if self.rescan_at <= clock::boot() {
            self.world.scan();
            self.ears.try_again();
            self.rescan_at = clock::boot() + self.rescan;
        }
        for folder in &mut self.world.folders {
            let heard = self.ears.watch_folder(&folder.root.path);
            folder.settling.see_by(if heard { Sight::Events } else { Sight::Polling });
        }
        let passed = self.world.pass(wake, wish, clock::now());
        self.passed_at = clock::boot();
        let passed = match passed {
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
        self.ends.watch(adopted.chain(children.all().map(|child| child.pid)));
        if !heard {
            passed.wake_at = earlier(passed.wake_at, Some(clock::boot() + BLIND));
        }
        passed
    }

    /// Waits for a reason to look again.
    async fn next(&mut self, wake_at: Option<Moment>) -> Next {
        let due = wake_at.map_or(self.rescan_at, |wake_at| wake_at.min(self.rescan_at));
        loop {
            let now = clock::boot();
            let until = earlier(Some(due), self.service.beat(now)).unwrap_or(due);
            let heard = tokio::select! {
                biased;
                next = self.signals.next() => return next,
                () = self.ends.next() => return Next::Look(Wake::PodChanged),
                heard = self.ears.next() => Some(heard),
                () = tokio::time::sleep(until - now) => None,
            };
            match heard {
                Some(heard) => {
                    if let Some(wake) = self.heed(heard) {
                        if wake == Wake::ManifestsChanged {
                            self.let_more_come().await;
                        }
                        return Next::Look(wake);
                    }
                }
                None if clock::boot() >= due => return Next::Look(Wake::TimerFired),
                // Only a sign of life is due.
                None => {}
            }
        }
    }

    /// Changes that follow each other closely are looked at together.
    async fn let_more_come(&mut self) {
        let wait = (self.passed_at + PACE).max(clock::boot()) - clock::boot();
        tokio::time::sleep(wait).await;
        for heard in self.ears.rest() {
            self.heed(heard);
        }
    }

    /// Takes over everything that was heard; tells whether it is worth a pass.
    fn heed(&mut self, first: Heard) -> Option<Wake> {
        let now = clock::boot();
        let mut wake = None;
        for heard in std::iter::once(first).chain(self.ears.rest()) {
            match heard {
                Heard::Pod => wake = wake.or(Some(Wake::PodChanged)),
                Heard::Deletion => wake = wake.or(Some(Wake::Asked)),
                Heard::Overflow => {
                    wake = Some(Wake::ManifestsChanged);
                    tracing::info!("file events were lost, everything is looked at again");
                    self.ears.watch_anew();
                    for folder in &mut self.world.folders {
                        folder.settling.hear(Hint::Overflow, now);
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
pub(super) struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hangup: Option<Signal>,
}

/// What SIGHUP means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Hangups {
    ReadAgain,
    /// The terminal has gone, and the command goes with it.
    End,
}

impl Signals {
    pub(super) fn listen(hangups: Hangups) -> io::Result<Signals> {
        let hangup = match hangups {
            Hangups::ReadAgain => Some(signal(SignalKind::hangup())?),
            Hangups::End => None,
        };
        let (terminate, interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
        Ok(Signals { terminate, interrupt, hangup })
    }

    async fn next(&mut self) -> Next {
        let Signals { terminate, interrupt, hangup } = self;
        let hung_up = async {
            match hangup {
                Some(hangup) => drop(hangup.recv().await),
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            _ = terminate.recv() => Next::Stop,
            _ = interrupt.recv() => Next::Stop,
            () = hung_up => Next::ReadAgain,
        }
    }
}
