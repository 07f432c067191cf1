//! Actions → small things done. Each asks and returns; what comes of it is seen by the next pass.

pub(crate) mod children;
mod ends;
mod launch;
mod memory;
mod pull;
mod sweep;
mod wait;
mod witness;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;

use crate::model::action::Action;
use crate::model::id::{PodId, Uid};
use crate::model::objects::Objects;
use crate::model::observed::PodObservation;
use crate::model::pull_environment::PullEnvironment;
use crate::model::time::Now;
use crate::paths::Places;
use crate::publish::{Published, remove, remove_tree};
use crate::rundir::goal::{self, Goal, GoalPlaces, StopOrder};
use crate::rundir::{lease, objects, starts};
use crate::sandbox::cgroup::Cgroups;
use crate::sandbox::spawn::SealedBinary;
use crate::sandbox::{mounts, network};

pub(crate) use pull::PULLS;

use children::Children;
pub(crate) use witness::Witness;

/// What actions are done with.
#[derive(Debug)]
pub(crate) struct Hands {
    pub(crate) places: Places,
    pub(crate) cgroups: Cgroups,
    pub(crate) binary: SealedBinary,
    /// Read end of the pipe that ends the pods of an `up` with it.
    pub(crate) lifeline: Option<OwnedFd>,
    pub(crate) logs: Logs,
    pub(crate) children: Children,
    /// For each pull to go by.
    pub(crate) pull_environment: PullEnvironment,
    /// None where the kernel keeps no ends.
    pub(crate) witness: Option<Witness>,
}

/// What becomes of a pod's logs when its object is forgotten.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Logs {
    Remove,
    Keep,
}

#[derive(Debug, thiserror::Error)]
pub(crate) enum ActError {
    #[error("cannot {operation} of pod {pod}")]
    Pod { operation: &'static str, pod: PodId, source: io::Error },
    #[error("cannot {operation} of image {image}")]
    Image { operation: &'static str, image: String, source: io::Error },
}

impl ActError {
    pub(crate) fn pod(operation: &'static str, pod: &PodId) -> impl FnOnce(io::Error) -> ActError {
        move |source| ActError::Pod { operation, pod: pod.clone(), source }
    }
}

/// Whether an action made a difference.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Acted {
    Done,
    AlreadySo,
}

impl From<Published> for Acted {
    fn from(published: Published) -> Acted {
        match published {
            Published::Written => Acted::Done,
            Published::Unchanged => Acted::AlreadySo,
        }
    }
}

impl Hands {
    pub(crate) fn act(&mut self, action: &Action, known: &Objects, now: Now) -> Result<Acted, ActError> {
        let acted = match action {
            Action::Pull(request) => self.pull(request, known, now)?,
            Action::Launch(plan) => self.launch(plan, now)?,
            Action::Tell(plan) => tell(&self.places, plan)?,
            Action::Remind { pod } => {
                goal::knock(&self.places.pod(&pod.uid));
                Acted::AlreadySo
            }
            Action::Stop { pod, why, grace } => {
                let order = StopOrder { why: *why, grace: *grace };
                goal::order_stop(&self.places.pod(&pod.uid), order)
                    .map_err(ActError::pod("order the stop", pod))?
                    .into()
            }
            Action::Wait { pod, why } => wait::write(&self.places, pod, why, now)?,
            Action::Sweep { pod, then } => {
                self.sweep(pod, *then, known, now)?;
                Acted::Done
            }
            Action::Forget { pod } => {
                self.forget(pod)?;
                Acted::Done
            }
            Action::Lose { pod } => {
                sweep::lose(&self.places, pod, known, now)?;
                Acted::Done
            }
        };
        if acted == Acted::Done {
            tell_log(action);
        }
        Ok(acted)
    }

    /// To be told of everything that was seen, before anything is done about it.
    pub(crate) fn witness(&mut self, pods: &BTreeMap<Uid, PodObservation>) {
        if let Some(witness) = &mut self.witness {
            witness.follow(&self.places, &self.cgroups, pods);
        }
    }

    fn forget(&self, pod: &PodId) -> Result<(), ActError> {
        forget(&self.cgroups, &self.places, pod, self.logs)
    }
}

/// Removes all that is left of a pod whose process is gone, its object last: with that gone, nobody would look.
pub(crate) fn forget(cgroups: &Cgroups, places: &Places, pod: &PodId, logs: Logs) -> Result<(), ActError> {
    clear(cgroups, places, pod)?;
    if logs == Logs::Remove {
        remove_tree(&places.pod_logs(pod)).map_err(ActError::pod("remove the logs", pod))?;
    }
    starts::forget(places, &pod.uid).map_err(ActError::pod("forget the events", pod))?;
    objects::forget(places, &pod.uid).map_err(ActError::pod("forget the object", pod))
}

/// What a pod has on this machine, apart from its object and its logs.
fn clear(cgroups: &Cgroups, places: &Places, pod: &PodId) -> Result<(), ActError> {
    cgroups.remove(&places.pod_cgroup(&pod.uid)).map_err(ActError::pod("remove the cgroup", pod))?;
    if lease::is_held(places, &pod.uid).map_err(ActError::pod("look up the address", pod))? {
        // Before the address is anybody else's.
        network::release(&places.id, &pod.uid).map_err(ActError::pod("close the host ports", pod))?;
    }
    lease::release(places, &pod.uid).map_err(ActError::pod("release the address", pod))?;
    objects::remove_drafts(places, &pod.uid).map_err(ActError::pod("remove half-written records", pod))?;
    clear_directory(&places.scratch(&pod.uid), pod)?;
    clear_directory(&places.pod(&pod.uid).0, pod)
}

fn clear_directory(directory: &Path, pod: &PodId) -> Result<(), ActError> {
    mounts::detach_within(directory).map_err(ActError::pod("unmount the volumes", pod))?;
    remove_tree(directory).map_err(ActError::pod("remove the directories", pod))
}

/// A stop that was ordered stays ordered, whoever ordered it.
fn tell(places: &Places, plan: &crate::model::pod_plan::PodPlan) -> Result<Acted, ActError> {
    let directory = places.pod(&plan.id.uid);
    let failed = |source| ActError::pod("write the goal", &plan.id)(source);
    let stop = goal::read(&directory).map_err(failed)?.and_then(|goal| goal.stop);
    let goal = goal_of(places, plan, stop);
    remove(&directory.waiting()).map_err(failed)?;
    Ok(goal::write(&directory, &goal).map_err(failed)?.into())
}

fn goal_of(places: &Places, plan: &crate::model::pod_plan::PodPlan, stop: Option<StopOrder>) -> Goal {
    Goal { format: crate::model::record::FORMAT, plan: plan.clone(), stop, places: GoalPlaces::of(places) }
}

/// One line for each transition that this process makes.
fn tell_log(action: &Action) {
    match action {
        Action::Pull(request) => tracing::info!(what = %request, "pull started"),
        Action::Launch(plan) => tracing::info!(pod = %plan.id, uid = %plan.id.uid, "pod started"),
        Action::Tell(plan) => tracing::info!(pod = %plan.id, uid = %plan.id.uid, "pod told its new plan"),
        Action::Remind { pod } => tracing::info!(%pod, uid = %pod.uid, "pod reminded"),
        Action::Stop { pod, why, .. } => tracing::info!(%pod, uid = %pod.uid, %why, "pod told to stop"),
        Action::Wait { pod, why } => tracing::info!(%pod, uid = %pod.uid, %why, "pod waits"),
        Action::Sweep { pod, then } => tracing::info!(%pod, uid = %pod.uid, %then, "pod swept"),
        Action::Forget { pod } => tracing::info!(%pod, uid = %pod.uid, "pod forgotten"),
        Action::Lose { pod } => tracing::info!(%pod, uid = %pod.uid, "pod lost to a restart of the machine"),
    }
}
