//! One step of a pod: taking the event in, then doing what is due.

use std::rc::Rc;
use std::time::Duration;

use crate::model::pod_plan::PodPlan;
use crate::model::record::StopReason;
use crate::model::time::Now;

use super::container::{Container, Course};
use super::note::Out;
use super::stop::Stop;
use super::{Effect, Event, PodState, Stage, change, phase, restart, startup, stop};

/// One step on its way.
pub(super) struct Turn {
    state: PodState,
    out: Out,
}

impl Turn {
    pub(super) fn begin(mut state: PodState, now: Now) -> Turn {
        let events = std::mem::take(&mut state.events);
        Turn { out: Out::new(Rc::clone(&state.plan), events, now), state }
    }

    pub(super) fn end(mut self) -> (PodState, Vec<Effect>) {
        self.state.events = self.out.events;
        self.state.note_conditions(self.out.now);
        (self.state, self.out.effects)
    }

    pub(super) fn take_in(&mut self, event: Event) {
        let stage = self.state.stage.clone();
        self.state.stage = match (stage, event) {
            (Stage::Making { owed, .. }, Event::SandboxReady) => {
                self.out.effects.extend(owed);
                Stage::Live
            }
            (Stage::Making { failures, .. }, Event::SandboxFailed { message }) => {
                self.out.sandbox_failed(&message);
                self.out.effects.push(Effect::TearDown);
                Stage::Undoing { failures: failures + 1, message }
            }
            (Stage::Abandoning(stop), Event::SandboxReady | Event::SandboxFailed { .. }) => {
                self.out.effects.push(Effect::TearDown);
                Stage::TearingDown(stop)
            }
            (Stage::Undoing { failures, message }, Event::ToreDown) => {
                let at = self.out.now.boot + restart::delay(failures);
                Stage::Retrying { failures, message, at }
            }
            (Stage::TearingDown(stop), Event::ToreDown) => self.leave(stop),
            (stage @ (Stage::Live | Stage::Stopping(_)), Event::Started { container, pid }) => {
                self.with(&container, |container, out| container.started(pid, out));
                stage
            }
            (
                stage @ (Stage::Live | Stage::Stopping(_)),
                Event::NotStarted { container, reason, message },
            ) => {
                let course = Course::of(&stage);
                self.with(&container, |container, out| container.not_started(reason, message, course, out));
                stage
            }
            (stage @ (Stage::Live | Stage::Stopping(_)), Event::Exited { container, end }) => {
                let course = Course::of(&stage);
                self.with(&container, |container, out| container.exited(end, course, out));
                stage
            }
            (stage @ (Stage::Live | Stage::Stopping(_)), Event::HandlerEnded { errand, verdict }) => {
                let course = Course::of(&stage);
                self.with(&errand.container, |container, out| container.heard(&errand, verdict, course, out));
                stage
            }
            (stage, Event::Lacks { container, what }) => {
                self.out.lacks(container.as_deref(), what);
                stage
            }
            (stage, Event::PlanChanged(plan)) => self.change_plan(stage, *plan),
            (stage, Event::StopAsked { why, grace }) => self.ask_to_stop(stage, why, grace),
            (stage, Event::Tick) => stage,
            // What the stage does not wait for.
            (
                stage @ (Stage::Making { .. }
                | Stage::Abandoning(_)
                | Stage::Retrying { .. }
                | Stage::Live
                | Stage::Stopping(_)
                | Stage::Gone(_)),
                Event::ToreDown,
            )
            | (
                stage @ (Stage::Undoing { .. }
                | Stage::Retrying { .. }
                | Stage::Live
                | Stage::Stopping(_)
                | Stage::TearingDown(_)
                | Stage::Gone(_)),
                Event::SandboxReady | Event::SandboxFailed { .. },
            )
            | (
                stage @ (Stage::Making { .. }
                | Stage::Abandoning(_)
                | Stage::Undoing { .. }
                | Stage::Retrying { .. }
                | Stage::TearingDown(_)
                | Stage::Gone(_)),
                Event::Started { .. }
                | Event::NotStarted { .. }
                | Event::Exited { .. }
                | Event::HandlerEnded { .. },
            ) => stage,
        };
    }

    pub(super) fn do_what_is_due(&mut self) {
        let late = self.state.deadline().is_some_and(|at| at <= self.out.now.boot);
        let stage = self.state.stage.clone();
        self.state.stage = match stage {
            Stage::Live if phase::is_over(&self.state.containers) => {
                Stage::Stopping(Stop::over(self.grace(None), self.out.now))
            }
            stage @ (Stage::Making { .. } | Stage::Undoing { .. } | Stage::Retrying { .. } | Stage::Live)
                if late =>
            {
                self.out.deadline_exceeded();
                self.ask_to_stop(stage, StopReason::DeadlineExceeded, None)
            }
            Stage::Retrying { failures, at, .. } if at <= self.out.now.boot => {
                self.out.effects.push(Effect::MakeSandbox);
                Stage::Making { failures, owed: Vec::new() }
            }
            stage @ (Stage::Making { .. }
            | Stage::Abandoning(_)
            | Stage::Undoing { .. }
            | Stage::Retrying { .. }
            | Stage::Live
            | Stage::Stopping(_)
            | Stage::TearingDown(_)
            | Stage::Gone(_)) => stage,
        };
        match self.state.stage.clone() {
            Stage::Live => startup::advance(&mut self.state.containers, &mut self.out),
            Stage::Stopping(stop) => {
                stop::advance(&mut self.state.containers, &stop, &mut self.out);
                if self.state.containers.iter().all(Container::is_quiet) {
                    self.out.effects.push(Effect::TearDown);
                    self.state.stage = Stage::TearingDown(stop);
                }
            }
            Stage::Making { .. }
            | Stage::Abandoning(_)
            | Stage::Undoing { .. }
            | Stage::Retrying { .. }
            | Stage::TearingDown(_)
            | Stage::Gone(_) => {}
        }
    }

    fn ask_to_stop(&mut self, stage: Stage, why: StopReason, grace: Option<u32>) -> Stage {
        let grace = self.grace(grace);
        let now = self.out.now;
        match stage {
            Stage::Making { .. } => Stage::Abandoning(Stop::asked(why, grace, now)),
            Stage::Undoing { .. } => Stage::TearingDown(Stop::asked(why, grace, now)),
            Stage::Retrying { .. } => self.leave(Stop::asked(why, grace, now)),
            Stage::Live => Stage::Stopping(Stop::asked(why, grace, now)),
            Stage::Abandoning(stop) => Stage::Abandoning(stop.asked_again(why, grace, now)),
            Stage::Stopping(stop) => Stage::Stopping(stop.asked_again(why, grace, now)),
            Stage::TearingDown(stop) => Stage::TearingDown(stop.asked_again(why, grace, now)),
            Stage::Gone(stop) => Stage::Gone(stop),
        }
    }

    fn change_plan(&mut self, stage: Stage, plan: PodPlan) -> Stage {
        if matches!(stage, Stage::Gone(_)) {
            return stage;
        }
        let Some((plan, asked)) = change::take_over(&self.state.plan, plan) else { return stage };
        self.state.plan = Rc::new(plan);
        self.out.plan = Rc::clone(&self.state.plan);
        match stage {
            Stage::Making { failures, mut owed } => {
                owed.retain(|effect| !asked.contains(effect));
                owed.extend(asked);
                Stage::Making { failures, owed }
            }
            stage @ (Stage::Live | Stage::Stopping(_)) => {
                self.out.effects.extend(asked);
                stage
            }
            // There is no sandbox that could show the change, or soon none.
            stage @ (Stage::Abandoning(_)
            | Stage::Undoing { .. }
            | Stage::Retrying { .. }
            | Stage::TearingDown(_)
            | Stage::Gone(_)) => stage,
        }
    }

    fn leave(&mut self, stop: Stop) -> Stage {
        self.out.effects.push(Effect::Leave);
        Stage::Gone(stop)
    }

    fn grace(&self, asked: Option<u32>) -> Duration {
        Duration::from_secs(asked.unwrap_or(self.state.plan.live.grace).into())
    }

    /// One that is not there is not heard of.
    fn with(&mut self, name: &str, hear: impl FnOnce(&mut Container, &mut Out)) {
        if let Some(container) = self.state.containers.iter_mut().find(|known| known.plan.name == name) {
            hear(container, &mut self.out);
        }
    }
}
