//! One pass: the whole road from changed files to status files.
//!
//! Longer than other files, so that the road can be read in one, from its beginning to its end.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::Duration;

use jiff::tz::TimeZone;

use crate::api::CronJob;
use crate::image::store::Store;
use crate::model::action::{Action, Plan, Wake};
use crate::model::desired::{Blocked, Cause, Desired, Waiting, Want};
use crate::model::id::Uid;
use crate::model::job::Present;
use crate::model::object::{Known, Source};
use crate::model::observed::ProcessObservation;
use crate::model::time::{Moment, Now, Timestamp};
use crate::plan;
use crate::rundir::deletions::{self, Wanted};
use crate::sandbox::instance::up;
use crate::sandbox::sys::clock;
use crate::status::{Course, Tense};
use crate::workload::{self, Machine};

use super::execute::{Acted, Hands};
use super::folder::scan::Beside;
use super::folder::trust::Trust;
use super::folder::{Folder, HasObjects, Look, Root, Select, chain, earlier};
use super::inventory::control::Carried;
use super::inventory::{FolderState, Inventory};
use super::observe::{Memory, ObserveError, Seen, observe};
use super::report::{Reporter, Scene};
use super::start;

/// After actions that made a difference.
const FOLLOW_UP: Duration = Duration::from_millis(100);
/// No event tells of the return of a folder that was lost.
const FIND_AGAIN: Duration = Duration::from_secs(1);
/// How long a pass starts pods: those that are left are started by the next, and what is to be told and stopped meanwhile
/// does not wait for a thousand of them.
const LAUNCHING: Duration = Duration::from_millis(500);
/// An action that failed is tried again after this.
const TRY_AGAIN: Duration = Duration::from_secs(2);
/// The API server's word for what policy does not let in.
const FORBIDDEN: &str = "Forbidden";
const PRUNE_HELD: &str = "PruneHeld";

/// Everything that a pass works with; nothing else changes any of it.
#[derive(Debug)]
pub(super) struct World {
    pub(super) folders: Vec<Folder>,
    /// Folders that have been read for good and are only reported on: those of an `up`.
    pub(super) read_folders: Vec<Folder>,
    pub(super) inventory: Inventory,
    pub(super) machine: Machine,
    /// The machine's own, for schedules that name none.
    pub(super) zone: TimeZone,
    /// Of folders, and of what lies in them.
    pub(super) trust: Trust,
    pub(super) memory: Memory,
    pub(super) store: Store,
    pub(super) hands: Hands,
    pub(super) reporter: Reporter,
    pub(super) complaints: Complaints,
    /// Why what an `up` has left that was killed could not be removed.
    pub(super) unswept: Option<String>,
}

/// What the world is brought to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wish {
    AsDeclared,
    /// Whatever files say, every pod is to stop and leave nothing.
    AllGone,
}

/// What a pass saw and did.
#[derive(Debug)]
pub(super) struct Passed {
    pub(super) desired: Desired,
    pub(super) seen: Seen,
    /// Actions and edits that made a difference.
    pub(super) changed: usize,
    /// An edit waits for its folder to come to rest, or for a second look.
    edits_wait: bool,
    pub(super) wake_at: Option<Moment>,
}

impl World {
    pub(super) fn pass(&mut self, wake: Wake, wish: Wish, now: Now) -> Result<Passed, ObserveError> {
        tracing::debug!(%wake, "pass");
        let reaped = self.hands.reap(self.inventory.objects(), now);
        let mut complaints: Vec<String> = reaped.iter().map(|failure| chain(failure)).collect();
        complaints.extend(self.unswept.clone());

        let (mut edits, read_again_at, beside) = self.read_manifests(&mut complaints, now);
        edits += self.delete_asked(&mut complaints, now);
        let found_at = self.has_lost_folder().then_some(now.boot + FIND_AGAIN);
        let mut seen = self.look()?;
        complaints.extend(seen.failures.iter().map(|failure| chain(failure)));
        let controlled = match wish {
            Wish::AsDeclared => self.control(&mut seen, now),
            Wish::AllGone => Carried::default(),
        };
        complaints.extend(controlled.failures.iter().map(|failure| chain(failure)));
        let desired = self.want(&seen, wish, now);
        let plan = plan::diff(&desired, &seen.observed, &self.machine.boot_id, now);
        let mut wake_at = earlier(earlier(read_again_at, found_at), plan.wake_at);
        wake_at = earlier(wake_at, controlled.wake_at);
        let (acted, left, failures) = self.act(&plan, &seen, now);
        complaints.extend(self.inventory.write_removals(&self.hands.places));
        if !self.inventory.unwritten().is_empty() {
            wake_at = earlier(wake_at, Some(now.boot + TRY_AGAIN));
        }
        let acted = acted + controlled.changed;
        if acted > 0 {
            // What was done is seen by the next pass only; this one must not be the last to look.
            wake_at = earlier(wake_at, Some(now.boot + FOLLOW_UP));
        }
        if left > 0 {
            wake_at = Some(now.boot);
        }
        if !failures.is_empty() {
            wake_at = earlier(wake_at, Some(now.boot + TRY_AGAIN));
        }
        complaints.extend(failures);
        if wish == Wish::AsDeclared {
            wake_at = earlier(wake_at, self.report(&beside, &seen, &BTreeMap::new(), Tense::Present, now));
        }

        self.complaints.tell(complaints);
        let (changed, edits_wait) = (edits + acted, read_again_at.is_some());
        Ok(Passed { desired, seen, changed, edits_wait, wake_at })
    }

    /// Changed files → objects in force. Tells how many objects changed, when to read again, and how status files
    /// lie in folders all of which was looked at.
    pub(super) fn read_manifests(
        &mut self,
        complaints: &mut Vec<String>,
        now: Now,
    ) -> (usize, Option<Moment>, BTreeMap<PathBuf, Beside>) {
        let mut again_at = None;
        let mut beside = BTreeMap::new();
        for folder in &mut self.folders {
            let root = folder.root.path.clone();
            let has_objects =
                if self.inventory.has_objects(&root) { HasObjects::Yes } else { HasObjects::No };
            let look = folder.look(&self.hands.places, has_objects, now);
            match &look {
                Look::Seen(news) => {
                    again_at = earlier(again_at, news.again_at);
                    beside.extend(news.beside.clone().map(|beside| (root.clone(), beside)));
                }
                Look::Lost(why) => {
                    complaints
                        .push(format!("folder {} is lost, its pods are left alone: {why}", root.display()));
                }
                Look::Refused(why) => {
                    complaints.push(format!(
                        "folder {} is not safe, its files are not read: {why}",
                        root.display()
                    ));
                }
            }
            self.inventory.absorb(&root, look);
        }
        let reconciled = self.inventory.reconcile(&self.hands.places, now);
        complaints.extend(reconciled.failures.iter().map(|failure| chain(failure)));
        (reconciled.changed, earlier(again_at, reconciled.again_at), beside)
    }

    /// What a person has deleted that no file declares. Tells how many objects are to go by it.
    fn delete_asked(&mut self, complaints: &mut Vec<String>, now: Now) -> usize {
        let places = &self.hands.places;
        let asked = deletions::asked(places).unwrap_or_else(|error| {
            complaints.push(format!("cannot tell which objects are deleted: {error}"));
            BTreeMap::new()
        });
        let (mut gone, mut taken) = (0, Vec::new());
        for (uid, Wanted { grace }) in asked {
            match self.inventory.delete_made(places, &uid, grace, now) {
                Ok(changed) => {
                    gone += usize::from(changed);
                    taken.push(uid);
                }
                Err(failure) => complaints.push(chain(&failure)),
            }
        }
        // Nothing but the wish says so, which is taken away now.
        if !taken.is_empty() {
            // Told by the end of the pass, which tries once more.
            self.inventory.write_removals(places);
        }
        for uid in taken.into_iter().filter(|uid| !self.inventory.unwritten().contains(uid)) {
            if let Err(error) = deletions::done(places, &uid) {
                complaints.push(format!("cannot take away that object {uid} is deleted: {error}"));
            }
        }
        gone
    }

    /// The next pass looks at all that is in the folders. What others have left is removed: nobody says that they were killed.
    pub(super) fn scan(&mut self) {
        self.unswept = up::sweep_dead(&self.hands.places).err().map(|error| chain(&error));
        if self.store.has_sessions() {
            let store = self.store.clone();
            // It may be much, and nobody waits for it. What cannot be removed is told by the next pull.
            drop(std::thread::Builder::new().spawn(move || store.sweep()));
        }
        self.folders.iter_mut().for_each(|folder| folder.settling.look_everywhere());
        self.inventory.look_at_strangers();
    }

    /// When a CronJob is due next; never while it is suspended.
    pub(super) fn next_of(&self, known: &Known, cron: &CronJob, now: Now) -> Option<Timestamp> {
        let record = self.inventory.controlled().crons.get(&known.record.uid);
        let served = record.and_then(|record| record.last_schedule).unwrap_or(known.record.created_at);
        workload::next_time(cron, served, now.wall, &self.zone)
    }

    fn has_lost_folder(&self) -> bool {
        self.folders
            .iter()
            .filter_map(|folder| self.inventory.folder(&folder.root.path))
            .any(|view| matches!(view.state, FolderState::Lost(_)))
    }

    fn look(&mut self) -> Result<Seen, ObserveError> {
        let stirred = self.inventory.take_stirred();
        let Hands { places, children, .. } = &self.hands;
        let objects = self.inventory.objects();
        self.memory.forget(stirred.iter().filter(|uid| !objects.contains_key(*uid)));
        let seen = observe(places, &self.store, objects, children, self.trust, &mut self.memory)?;
        self.hands.witness(&seen.observed.pods);
        Ok(seen)
    }

    /// What Jobs and CronJobs want made, ended and written down, before it is planned what runs. Pods whose end could
    /// not be counted are left alone: what is to be counted must not go.
    fn control(&mut self, seen: &mut Seen, now: Now) -> Carried {
        let present = Present { now, boot_id: &self.machine.boot_id };
        let due = self.inventory.due(now);
        let (objects, controlled) = (self.inventory.objects(), self.inventory.controlled());
        let steps = workload::control(objects, controlled, &seen.observed, &self.zone, present, &due);
        let carried = self.inventory.carry_out(&self.hands.places, steps, now);
        for uid in &carried.uncounted {
            seen.observed.pods.remove(uid);
            seen.unsure.insert(uid.clone());
        }
        self.inventory.let_rest(&seen.left);
        carried
    }

    fn want(&mut self, seen: &Seen, wish: Wish, now: Now) -> Desired {
        self.machine.resolv_conf = start::resolv_conf();
        let mut desired = workload::expand(self.inventory.objects(), &seen.observed, &self.machine, now);
        // Neither started nor ended: what is not sure to be gone may be there.
        desired.pods.retain(|uid, _| !seen.unsure.contains(uid));
        for (uid, why) in self.inventory.forbidden() {
            let why =
                Waiting { reason: FORBIDDEN.to_owned(), message: why.to_owned(), cause: Cause::Manifest };
            forbid(desired.pods.get_mut(uid).map(|pod| &mut pod.want), why);
        }
        for uid in self.inventory.held().filter(|uid| !seen.is_alive(uid)) {
            let message = "the file that declared the pod is gone, and its removal waits for a second look";
            let why = Waiting::passing(PRUNE_HELD, message.to_owned());
            forbid(desired.pods.get_mut(uid).map(|pod| &mut pod.want), why);
        }
        match wish {
            Wish::AsDeclared => {}
            Wish::AllGone => {
                desired.pulls.clear();
                for pod in desired.pods.values_mut() {
                    pod.want = Want::Gone { grace: None };
                }
            }
        }
        desired
    }

    /// Every action is tried, whatever becomes of the others. Tells how many made a difference, how many pods are left for
    /// the next pass to start, and what failed.
    fn act(&mut self, plan: &Plan, seen: &Seen, now: Now) -> (usize, usize, Vec<String>) {
        let (mut done, mut left) = (0, 0);
        let mut failures = Vec::new();
        let mut launching_since = None;
        for action in &plan.actions {
            if let Action::Launch(_) = action {
                let since = *launching_since.get_or_insert_with(clock::boot);
                if clock::boot() - since > LAUNCHING {
                    left += 1;
                    continue;
                }
            }
            match self.hands.act(action, self.inventory.objects(), now) {
                Ok(Acted::Done) => done += 1,
                Ok(Acted::AlreadySo) => {}
                Err(failure) => failures.push(chain(&failure)),
            }
        }
        tracing::debug!(actions = plan.actions.len(), pods = seen.observed.pods.len(), done, left, "acted");
        (done, left, failures)
    }

    /// Observed → status files. Tells when a write that waits is due.
    fn report(
        &mut self,
        beside: &BTreeMap<PathBuf, Beside>,
        seen: &Seen,
        ends: &BTreeMap<Uid, Course>,
        tense: Tense,
        now: Now,
    ) -> Option<Moment> {
        let mut stir = self.inventory.take_untold();
        for uid in &seen.fresh {
            if let Some(known) = self.inventory.objects().get(uid) {
                stir.touch(&known.record.source);
            }
        }
        let folders = if self.folders.is_empty() { &self.read_folders } else { &self.folders };
        let scene = Scene { inventory: &self.inventory, seen, ends, tense, now: now.boot };
        self.reporter.report(folders, beside, scene, stir)
    }

    /// The last word on the manifests of a batch, of whose pods none is left: how they ended that were stopped, only
    /// `ends` tells.
    pub(super) fn report_end(&mut self, ends: &BTreeMap<Uid, Course>, now: Now) {
        match self.look() {
            Ok(seen) => drop(self.report(&BTreeMap::new(), &seen, ends, Tense::Past, now)),
            Err(error) => tracing::warn!(reason = chain(&error), "no last status written"),
        }
    }

    /// Files that keep a batch from being started: with mistakes, not read, or at odds with each other.
    pub(super) fn bad_files(&self) -> Vec<PathBuf> {
        let bad = self.inventory.files().iter().filter(|(source, file)| {
            let lost =
                self.inventory.folder(&source.root).map(|view| &view.state) != Some(&FolderState::Seen);
            lost || !file.is_good() || !self.inventory.conflicts(source).is_empty()
        });
        bad.map(|(source, _)| source.absolute()).collect()
    }
}

impl World {
    /// Folders that a batch was given and that tell nothing, or not of the file that was named.
    pub(super) fn lost_folders(&self) -> Vec<PathBuf> {
        let lost = self.folders.iter().filter(|folder| {
            let seen = self.inventory.folder(&folder.root.path).map(|view| &view.state);
            seen != Some(&FolderState::Seen) || !self.has_what_was_named(&folder.root)
        });
        lost.map(|folder| folder.root.path.clone()).collect()
    }

    fn has_what_was_named(&self, root: &Root) -> bool {
        match &root.select {
            Select::All => true,
            Select::Files(paths) => paths.iter().all(|path| {
                let source = Source { root: root.path.clone(), path: path.clone() };
                self.inventory.files().contains_key(&source)
            }),
        }
    }
}

impl Passed {
    /// No container runs, and pods that are there only have to go.
    pub(super) fn has_run_out(&self) -> bool {
        let mut pods = self.seen.observed.pods.values();
        pods.all(|pod| {
            pod.finished.is_some() || (pod.process != ProcessObservation::Alive && pod.told.is_none())
        })
    }

    /// Nothing was done and nothing is under way that another pass would have to follow. What failed is told,
    /// and waited for by nobody.
    pub(super) fn is_settled(&self, hands: &Hands) -> bool {
        let on_its_way = self.desired.pods.values().any(|pod| match pod.want {
            Want::Gone { .. } => true,
            Want::Run(_) | Want::Wait { .. } => false,
        });
        let unwanted = self.seen.observed.pods.iter().any(|(uid, pod)| {
            pod.process == ProcessObservation::Alive && !self.desired.pods.contains_key(uid)
        });
        self.changed == 0 && !self.edits_wait && !on_its_way && !unwanted && hands.children.pulls() == 0
    }
}

/// Keeps a pod from being started; one that is to go goes.
fn forbid(want: Option<&mut Want>, why: Waiting) {
    if let Some(want @ (Want::Run(_) | Want::Wait { .. })) = want {
        *want = Want::wait(Blocked { containers: BTreeMap::new(), pod: Some(why) });
    }
}

/// Failures that stand are told once, not by every pass.
#[derive(Debug, Default)]
pub(super) struct Complaints(BTreeSet<String>);

impl Complaints {
    pub(super) fn count(&self) -> u64 {
        self.0.len() as u64
    }

    fn tell(&mut self, complaints: Vec<String>) {
        let complaints: BTreeSet<String> = complaints.into_iter().collect();
        for complaint in complaints.difference(&self.0) {
            tracing::warn!(reason = complaint, "a pass has met trouble");
        }
        for healed in self.0.difference(&complaints) {
            tracing::info!(reason = healed, "trouble is over");
        }
        self.0 = complaints;
    }
}
