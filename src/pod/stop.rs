//! Ending a pod: app containers first, then sidecars one by one in reverse order, all within one grace period.

use std::time::Duration;

use crate::model::pod_plan::Role;
use crate::model::record::{StopReason, Stopping};
use crate::model::time::{Moment, Now};

use super::container::{Container, Course, Status};
use super::halt::Kill;
use super::note::Out;

#[derive(Debug, Clone, PartialEq)]
pub(super) struct Stop {
    pub(super) why: Why,
    pub(super) since: Now,
    /// End of the grace period: what is left then is killed.
    pub(super) kill_at: Moment,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Why {
    /// Its own containers have decided how it ended.
    Over,
    Asked(StopReason),
}

impl Stop {
    pub(super) fn over(grace: Duration, now: Now) -> Stop {
        Stop { why: Why::Over, since: now, kill_at: now.boot + grace }
    }

    pub(super) fn asked(why: StopReason, grace: Duration, now: Now) -> Stop {
        Stop { why: Why::Asked(why), since: now, kill_at: now.boot + grace }
    }

    /// A stop can be hurried, never slowed; its reason stands, but for an interrupted pod whose object goes.
    pub(super) fn asked_again(self, why: StopReason, grace: Duration, now: Now) -> Stop {
        let why = match (self.why, why) {
            (Why::Asked(StopReason::Interrupted), StopReason::Deleted) => Why::Asked(StopReason::Deleted),
            (Why::Asked(StopReason::Interrupted), StopReason::Interrupted | StopReason::DeadlineExceeded)
            | (
                Why::Over | Why::Asked(StopReason::Deleted | StopReason::DeadlineExceeded),
                StopReason::Deleted | StopReason::Interrupted | StopReason::DeadlineExceeded,
            ) => self.why,
        };
        Stop { why, kill_at: self.kill_at.min(now.boot + grace), ..self }
    }

    pub(super) fn record(&self) -> Option<Stopping> {
        match self.why {
            Why::Over => None,
            Why::Asked(why) => Some(Stopping { since: self.since.wall, why }),
        }
    }
}

pub(super) fn advance(containers: &mut [Container], stop: &Stop, out: &mut Out) {
    for container in containers.iter_mut() {
        container.give_up();
        container.look_after(Course::ToTheEnd, out);
        container.press(stop.kill_at, out);
    }
    let mut in_the_way = false;
    for container in containers.iter_mut().filter(|container| !is_sidecar(container)) {
        container.halt(stop.kill_at, out);
        in_the_way |= holds_up(container, stop, out.now);
    }
    for container in containers.iter_mut().rev().filter(|container| is_sidecar(container)) {
        if in_the_way {
            break;
        }
        container.halt(stop.kill_at, out);
        in_the_way |= holds_up(container, stop, out.now);
    }
}

fn is_sidecar(container: &Container) -> bool {
    match container.plan.role {
        Role::Sidecar => true,
        Role::Init | Role::App => false,
    }
}

/// Whether those to be stopped after it have to wait: until it has ended, or been killed at the end of the grace.
fn holds_up(container: &Container, stop: &Stop, now: Now) -> bool {
    match &container.status {
        Status::Idle | Status::Resting { .. } | Status::Ended(_) => false,
        Status::Starting
        | Status::Running { .. }
        | Status::Halting { kill: Kill::Hooked { .. } | Kill::At { .. }, .. } => true,
        Status::Halting { kill: Kill::Sent, .. } => now.boot < stop.kill_at,
    }
}
