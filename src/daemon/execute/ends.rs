//! How containers ended whose pod process has died: the state that it published may be behind by an end and by a start.

use std::io;

use crate::model::observed::lost_exit;
use crate::model::pod_plan::{PodPlan, RestartPolicy, Role};
use crate::model::record::{ContainerRecord, ContainerState, Exit, PodRecord};
use crate::model::time::Now;
use crate::paths::PodDir;
use crate::pod::runs_again;
use crate::rundir::exits::{self, ExitRecord};

/// How the present run ended, if it has begun: its record was written before the state that tells of it. A run that left
/// none is lost.
pub(super) fn of(pod: &PodDir, container: &ContainerRecord, now: Now) -> io::Result<Option<Exit>> {
    if let ContainerState::Terminated(end) = &container.state {
        return Ok(Some(end.clone()));
    }
    if let Some(record) = exits::read(pod, &container.name, container.restart_count)? {
        return Ok(Some(record.exit));
    }
    let since = match &container.state {
        ContainerState::Running { since, .. } => Some(*since),
        ContainerState::Waiting { .. } | ContainerState::Terminated(_) => None,
    };
    let has_begun = since.is_some() || exits::has_begun(pod, &container.name, container.restart_count)?;
    Ok(has_begun.then(|| lost_exit(since, now.wall)))
}

/// Whether nothing of a pod is to run again, by what its containers left.
pub(super) fn are_final(pod: &PodDir, plan: &PodPlan, last: Option<&PodRecord>) -> io::Result<bool> {
    if plan.restart_policy == RestartPolicy::Never {
        return exits::any_last_run(pod);
    }
    let Some(last) = last else { return Ok(false) };
    let mut apps = Vec::new();
    for container in &last.containers {
        match (container.role, final_end(pod, plan, container)?) {
            (Role::Init, Some(end)) if end.code != 0 => return Ok(true),
            (Role::App, end) => apps.push(end.is_some()),
            (Role::Init | Role::Sidecar, _) => {}
        }
    }
    Ok(!apps.is_empty() && apps.iter().all(|is_final| *is_final))
}

/// How a container ended that is not to run again. The pod process knows why one was ended that it ended itself; of what
/// the kernel alone saw, its policy tells.
pub(super) fn final_end(
    pod: &PodDir,
    plan: &PodPlan,
    container: &ContainerRecord,
) -> io::Result<Option<Exit>> {
    if let ContainerState::Terminated(end) = &container.state {
        return Ok(Some(end.clone()));
    }
    let ExitRecord { exit, again } = match exits::read(pod, &container.name, container.restart_count)? {
        Some(record) => record,
        None => return Ok(None),
    };
    let again = again.unwrap_or_else(|| {
        plan.container(&container.name).is_none_or(|planned| {
            // Another image is to run in its place.
            planned.image.authored != container.image
                || runs_again(container.role, planned.restart_policy, exit.code)
        })
    });
    Ok((!again).then_some(exit))
}
