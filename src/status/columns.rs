//! The columns of `get pods`, derived from the object alone, as kubectl derives them
//! (`pkg/printers/internalversion/printers.go`).

use std::collections::BTreeMap;
use std::time::Duration;

use k8s_openapi::api::core::v1::{ContainerStateTerminated, ContainerStatus};

use crate::api::{Container, Pod};
use crate::model::time::Timestamp;

use super::STOPPED;
use super::conditions::is_sidecar;

#[cfg(test)]
mod tests;

const GATED: &str = "SchedulingGated";

struct Columns {
    status: String,
    ready: usize,
    total: usize,
    restarts: i32,
    last_restart: Option<Timestamp>,
}

/// kubectl's STATUS column.
pub(crate) fn status_word(pod: &Pod) -> String {
    columns(pod).status
}

/// `1/2`
pub(crate) fn ready_column(pod: &Pod) -> String {
    let columns = columns(pod);
    format!("{}/{}", columns.ready, columns.total)
}

/// `3 (10s ago)`
pub(crate) fn restarts_column(pod: &Pod, now: Timestamp) -> String {
    let columns = columns(pod);
    match columns.last_restart {
        Some(last) if columns.restarts != 0 => {
            let ago = Duration::try_from(now.duration_since(last)).unwrap_or_default();
            format!("{} ({} ago)", columns.restarts, age(ago))
        }
        Some(_) | None => columns.restarts.to_string(),
    }
}

/// A duration in two units at most, the finer it is the shorter it is: `10s`, `2m3s`, `5h`, `3d4h`.
pub(crate) fn age(duration: Duration) -> String {
    let seconds = duration.as_secs();
    let (minutes, hours) = (seconds / 60, seconds / 3600);
    let (days, years) = (hours / 24, hours / 24 / 365);
    let two = |large: u64, unit: &str, small: u64, small_unit: &str| match small {
        0 => format!("{large}{unit}"),
        small => format!("{large}{unit}{small}{small_unit}"),
    };
    if seconds < 120 {
        format!("{seconds}s")
    } else if minutes < 10 {
        two(minutes, "m", seconds % 60, "s")
    } else if minutes < 180 {
        format!("{minutes}m")
    } else if hours < 8 {
        two(hours, "h", minutes % 60, "m")
    } else if hours < 48 {
        format!("{hours}h")
    } else if hours < 24 * 8 {
        two(days, "d", hours % 24, "h")
    } else if years < 2 {
        format!("{days}d")
    } else if years < 8 {
        two(years, "y", days % 365, "d")
    } else {
        format!("{years}y")
    }
}

fn columns(pod: &Pod) -> Columns {
    let declared: BTreeMap<&str, &Container> = pod
        .spec
        .iter()
        .flat_map(|spec| spec.init_containers.iter().flatten())
        .map(|container| (container.name.as_str(), container))
        .collect();
    let sidecar = |name: &str| declared.get(name).is_some_and(|container| is_sidecar(container));
    let status = pod.status.as_ref();
    let phase = status.and_then(|status| status.phase.as_deref()).unwrap_or("Unknown");
    let own_reason = status.and_then(|status| status.reason.as_deref()).filter(|reason| !reason.is_empty());
    let word = if is_gated(pod) { GATED } else { own_reason.unwrap_or(phase) };
    let mut columns = Columns {
        status: word.to_owned(),
        ready: 0,
        total: pod.spec.as_ref().map_or(0, |spec| spec.containers.len())
            + declared.values().filter(|container| is_sidecar(container)).count(),
        restarts: 0,
        last_restart: None,
    };
    let init = status.and_then(|status| status.init_container_statuses.as_deref()).unwrap_or_default();
    let app = status.and_then(|status| status.container_statuses.as_deref()).unwrap_or_default();
    let initializing = through_init(init, declared.len(), sidecar, &mut columns);
    if !initializing || has_condition(pod, "Initialized") {
        (columns.restarts, columns.last_restart) = (0, None);
        for status in init.iter().filter(|status| sidecar(&status.name)) {
            count_restarts(status, &mut columns);
        }
        through_app(pod, app, &mut columns);
    }
    let terminal = matches!(phase, "Succeeded" | "Failed");
    if own_reason == Some(STOPPED) {
        // Not `Init:Stopped`: it is the pod that was stopped, wherever it was.
        STOPPED.clone_into(&mut columns.status);
    }
    if pod.metadata.deletion_timestamp.is_some() {
        match own_reason {
            Some("NodeLost") => columns.status = "Unknown".to_owned(),
            Some(_) | None if !terminal => columns.status = "Terminating".to_owned(),
            Some(_) | None => {}
        }
    }
    columns
}

/// The first init container that is not over says what the pod is doing.
fn through_init(
    init: &[ContainerStatus],
    total: usize,
    sidecar: impl Fn(&str) -> bool,
    columns: &mut Columns,
) -> bool {
    for (index, status) in init.iter().enumerate() {
        count_restarts(status, columns);
        let state = status.state.as_ref();
        let terminated = state.and_then(|state| state.terminated.as_ref());
        let waiting = state.and_then(|state| state.waiting.as_ref()?.reason.as_deref());
        if terminated.is_some_and(|terminated| terminated.exit_code == 0) {
            continue;
        }
        if sidecar(&status.name) && status.started == Some(true) {
            columns.ready += usize::from(status.ready);
            continue;
        }
        columns.status = match (terminated, waiting) {
            (Some(terminated), _) => format!("Init:{}", end_word(terminated)),
            (None, Some(reason)) if !reason.is_empty() && reason != "PodInitializing" => {
                format!("Init:{reason}")
            }
            (None, Some(_) | None) => format!("Init:{index}/{total}"),
        };
        return true;
    }
    false
}

/// The first app container with something to say has the last word.
fn through_app(pod: &Pod, app: &[ContainerStatus], columns: &mut Columns) {
    let mut has_running = false;
    for status in app.iter().rev() {
        count_restarts(status, columns);
        let state = status.state.as_ref();
        let waiting = state.and_then(|state| state.waiting.as_ref()?.reason.as_deref());
        let terminated = state.and_then(|state| state.terminated.as_ref());
        if let Some(reason) = waiting.filter(|reason| !reason.is_empty()) {
            reason.clone_into(&mut columns.status);
        } else if let Some(terminated) = terminated {
            columns.status = end_word(terminated);
        } else if status.ready && state.is_some_and(|state| state.running.is_some()) {
            has_running = true;
            columns.ready += 1;
        }
    }
    if columns.status == "Completed" && has_running {
        let word = if has_condition(pod, "Ready") { "Running" } else { "NotReady" };
        word.clone_into(&mut columns.status);
    }
}

fn count_restarts(status: &ContainerStatus, columns: &mut Columns) {
    columns.restarts += status.restart_count;
    let last = status.last_state.as_ref().and_then(|last| last.terminated.as_ref());
    let ended = last.and_then(|last| last.finished_at.as_ref()).map(|time| time.0);
    columns.last_restart = columns.last_restart.max(ended);
}

fn end_word(terminated: &ContainerStateTerminated) -> String {
    let reason = terminated.reason.as_deref().filter(|reason| !reason.is_empty());
    let signal = terminated.signal.filter(|signal| *signal != 0);
    match (reason, signal) {
        (Some(reason), _) => reason.to_owned(),
        (None, Some(signal)) => format!("Signal:{signal}"),
        (None, None) => format!("ExitCode:{}", terminated.exit_code),
    }
}

fn is_gated(pod: &Pod) -> bool {
    let mut conditions = pod.status.iter().flat_map(|status| status.conditions.iter().flatten());
    conditions
        .any(|condition| condition.type_ == "PodScheduled" && condition.reason.as_deref() == Some(GATED))
}

fn has_condition(pod: &Pod, type_: &str) -> bool {
    let conditions = pod.status.iter().flat_map(|status| status.conditions.iter().flatten());
    conditions.into_iter().any(|condition| condition.type_ == type_ && condition.status == "True")
}
