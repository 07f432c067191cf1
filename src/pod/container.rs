//! One container of a pod: its state, and what start and end do to it.

use std::rc::Rc;

use crate::model::desired::Waiting;
use crate::model::pod_plan::{ContainerPlan, Role};
use crate::model::record::{Exit, Past};
use crate::model::time::{Moment, Now};

use super::halt::{Kill, Why};
use super::health::Health;
use super::note::Out;
use super::{Effect, RawEnd, Stage, phase, restart};

#[derive(Debug, Clone, PartialEq)]
pub(super) struct Container {
    /// What the present run was started from: its image and stop signal count, whatever the pod's plan says since.
    pub(super) plan: Rc<ContainerPlan>,
    pub(super) status: Status,
    /// Number of the present or last run.
    pub(super) restart: u32,
    /// Runs that ended, since the last one that lasted.
    pub(super) crashes: u32,
    pub(super) begun: Begun,
    /// Runs of its handlers, over all runs of it.
    pub(super) errands: u32,
    /// How the run before the present or last one ended.
    pub(super) last: Option<Exit>,
}

/// Whether a run has ever got as far as its successors wait for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Begun {
    Never,
    Once,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Status {
    /// Its turn has not come.
    Idle,
    /// Told to start, and nothing heard since.
    Starting,
    Running {
        pid: i32,
        since: Now,
        health: Health,
    },
    /// Told to end.
    Halting {
        pid: i32,
        since: Now,
        health: Health,
        why: Why,
        kill: Kill,
    },
    /// Between two runs.
    Resting {
        exit: Exit,
        until: Moment,
        waiting: Waiting,
    },
    /// For good.
    Ended(Exit),
}

/// Whether a run that ends may be followed by another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Course {
    Onwards,
    ToTheEnd,
}

impl Course {
    pub(super) fn of(stage: &Stage) -> Course {
        match stage {
            Stage::Live => Course::Onwards,
            Stage::Making { .. }
            | Stage::Abandoning(_)
            | Stage::Undoing { .. }
            | Stage::Retrying { .. }
            | Stage::Stopping(_)
            | Stage::TearingDown(_)
            | Stage::Gone(_) => Course::ToTheEnd,
        }
    }
}

impl Container {
    /// One whose last run under an earlier process was its last at all stays ended.
    pub(super) fn new(plan: &ContainerPlan, past: Option<&Past>) -> Container {
        let fresh = Container {
            plan: Rc::new(plan.clone()),
            status: Status::Idle,
            restart: past.map_or(0, |past| past.runs),
            crashes: 0,
            begun: Begun::Never,
            errands: 0,
            last: past.and_then(|past| past.last.clone()),
        };
        match past {
            Some(Past { runs, last: Some(end), is_over: true }) => Container {
                status: Status::Ended(end.clone()),
                restart: runs.saturating_sub(1),
                begun: Begun::Once,
                last: None,
                ..fresh
            },
            Some(_) | None => fresh,
        }
    }

    /// Starts the first run or, if its time has come, the next.
    pub(super) fn start(&mut self, plan: &ContainerPlan, out: &mut Out) {
        match &self.status {
            Status::Idle => {}
            Status::Resting { exit, until, .. } if *until <= out.now.boot => {
                self.last = Some(exit.clone());
                self.restart += 1;
            }
            Status::Resting { .. }
            | Status::Starting
            | Status::Running { .. }
            | Status::Halting { .. }
            | Status::Ended(_) => return,
        }
        self.plan = Rc::new(plan.clone());
        self.status = Status::Starting;
        out.effects.push(Effect::Start { container: plan.name.clone(), restart: self.restart });
    }

    pub(super) fn started(&mut self, pid: i32, out: &mut Out) {
        match self.status {
            Status::Starting => {
                let health = Health::new(&self.plan, out.now);
                self.status = Status::Running { pid, since: out.now, health };
                out.started(&self.plan.name);
                self.run_post_start(out);
            }
            Status::Idle
            | Status::Running { .. }
            | Status::Halting { .. }
            | Status::Resting { .. }
            | Status::Ended(_) => {}
        }
    }

    /// Counts as a run that ended with 128, as for kubelet once the container is created. One that cannot even be
    /// created kubelet leaves waiting, also under `Never`; here it ends too, or a batch would never.
    pub(super) fn not_started(&mut self, reason: &str, message: String, course: Course, out: &mut Out) {
        match self.status {
            Status::Starting => {
                out.not_started(&self.plan.name, &message);
                let exit = phase::start_error(reason, &message, out.now);
                let again = self.runs_again(&exit);
                self.end(exit, again, course, Some(Waiting::passing(reason, message)), out);
            }
            Status::Idle
            | Status::Running { .. }
            | Status::Halting { .. }
            | Status::Resting { .. }
            | Status::Ended(_) => {}
        }
    }

    pub(super) fn exited(&mut self, end: RawEnd, course: Course, out: &mut Out) {
        let (since, why) = match &self.status {
            Status::Idle | Status::Resting { .. } | Status::Ended(_) => return,
            Status::Starting => (None, None),
            Status::Running { since, .. } => (Some(*since), None),
            Status::Halting { since, why, .. } => (Some(*since), Some(why.clone())),
        };
        if since.is_some_and(|since| out.now.boot - since.boot >= restart::LASTING) {
            self.crashes = 0;
        }
        let exit = phase::exit(end, since, out.now);
        let again = self.runs_again(&exit);
        match (why, course) {
            (Some(Why::NewImage), Course::Onwards) => self.end_for_new_image(exit, out),
            (Some(Why::Condemned), Course::Onwards | Course::ToTheEnd) => {
                self.end(exit, self.runs_again_if_condemned(), course, None, out);
            }
            (Some(Why::PostStart(message)), Course::Onwards | Course::ToTheEnd) => {
                let told = Waiting::passing("PostStartHookError", message);
                self.end(exit, again, course, Some(told), out);
            }
            (Some(Why::Stopped) | None, Course::Onwards | Course::ToTheEnd)
            | (Some(Why::NewImage), Course::ToTheEnd) => self.end(exit, again, course, None, out),
        }
    }

    fn runs_again(&self, exit: &Exit) -> bool {
        restart::again(self.plan.role, self.plan.restart_policy, exit.code)
    }

    fn end(&mut self, exit: Exit, again: bool, course: Course, told: Option<Waiting>, out: &mut Out) {
        self.record(&exit, again, out);
        self.crashes += 1;
        match self.plan.role {
            // The kubelet goes on with the next, whatever has become of this one.
            Role::App => self.begun = Begun::Once,
            Role::Init | Role::Sidecar => {}
        }
        self.status = match course {
            Course::Onwards if again => {
                let delay = restart::delay(self.crashes);
                let back_off = out.back_off(&self.plan.name, delay);
                Status::Resting { exit, until: out.now.boot + delay, waiting: told.unwrap_or(back_off) }
            }
            Course::Onwards | Course::ToTheEnd => Status::Ended(exit),
        };
    }

    /// It runs again whatever its policy says.
    fn end_for_new_image(&mut self, exit: Exit, out: &mut Out) {
        self.record(&exit, true, out);
        self.crashes = 0;
        let waiting = Waiting::passing("ContainerCreating", String::new());
        self.status = Status::Resting { exit, until: out.now.boot, waiting };
    }

    fn record(&self, exit: &Exit, again: bool, out: &mut Out) {
        out.effects.push(Effect::RecordExit {
            container: self.plan.name.clone(),
            restart: self.restart,
            exit: exit.clone(),
            again,
        });
    }

    /// Makes an end that was to be followed by another run the last one.
    pub(super) fn give_up(&mut self) {
        match &self.status {
            Status::Resting { exit, .. } => self.status = Status::Ended(exit.clone()),
            Status::Idle
            | Status::Starting
            | Status::Running { .. }
            | Status::Halting { .. }
            | Status::Ended(_) => {}
        }
    }

    /// When time alone will change something about it, if one that was told to end is to have done so by `latest`.
    pub(super) fn due(&self, latest: Moment) -> Option<Moment> {
        match &self.status {
            Status::Resting { until, .. } => Some(*until),
            Status::Running { health, .. } => health.due(),
            Status::Halting { health, kill, .. } => health.due().into_iter().chain(kill.due(latest)).min(),
            Status::Idle | Status::Starting | Status::Ended(_) => None,
        }
    }

    /// No process of it is there, and none is being made.
    pub(super) fn is_quiet(&self) -> bool {
        match &self.status {
            Status::Idle | Status::Resting { .. } | Status::Ended(_) => true,
            Status::Starting | Status::Running { .. } | Status::Halting { .. } => false,
        }
    }

    /// Whether the container after it in the plan's order may start.
    pub(super) fn lets_next_start(&self) -> bool {
        match self.plan.role {
            Role::Init => self.last_end().is_some_and(|exit| exit.code == 0),
            Role::Sidecar => self.begun == Begun::Once,
            Role::App => self.plan.hooks.post_start.is_none() || self.begun == Begun::Once,
        }
    }

    /// How it ended for good.
    pub(super) fn last_end(&self) -> Option<&Exit> {
        match &self.status {
            Status::Ended(exit) => Some(exit),
            Status::Idle
            | Status::Starting
            | Status::Running { .. }
            | Status::Halting { .. }
            | Status::Resting { .. } => None,
        }
    }
}
