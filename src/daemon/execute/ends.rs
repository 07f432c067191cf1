//! How containers ended whose pod process has died: the state that it published may be behind by an end and by a start.

use std::io;

use crate::model::observed::lost_exit;
use crate::model::pod_plan::{PodPlan, RestartPolicy, Role};
use crate::model::record::{ContainerRecord, ContainerState, Exit, PodRecord};
use crate::model::time::Now;
use crate::paths::PodDir;
use crate::pod::runs_again;
use crate::rundir::exits;

/// How the present run ended, if it has begun: its record was written before the state that tells of it. A run that left
/// none is lost.
pub(super) fn of(pod: &PodDir, container: &ContainerRecord, now: Now) -> io::Result<Option<Exit>> {
    if let ContainerState::Terminated(end) = &container.state {
        return Ok(Some(end.clone()));
    }
    if let Some(end) = exits::read(pod, &container.name, container.restart_count)? {
        return Ok(Some(end));
    }
    let since = match &container.state {
        ContainerState::Running { since, .. } => Some(*since),
        ContainerState::Waiting { .. } | ContainerState::Terminated(_) => None,
    };
    let has_begun = since.is_some() || exits::has_begun(pod, &container.name, container.restart_count)?;
    Ok(has_begun.then(|| lost_exit(since, now.wall)))
}

/// Whether nothing of a pod is to run again, by what its containers left.
pub(super) fn are_final(pod: &PodDir, plan: &PodPlan, record: &PodRecord, now: Now) -> io::Result<bool> {
    let mut apps = Vec::new();
    for container in &record.containers {
        let end = of(pod, container, now)?;
        if end.is_some() && plan.restart_policy == RestartPolicy::Never {
            return Ok(true);
        }
        if container.role == Role::App {
            let policy =
                plan.container(&container.name).map_or(plan.restart_policy, |own| own.restart_policy);
            apps.push(end.is_some_and(|end| !runs_again(Role::App, policy, end.code)));
        }
    }
    Ok(!apps.is_empty() && apps.iter().all(|is_final| *is_final))
}
