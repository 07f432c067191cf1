//! One container of a pod: its state, and what start, signal and end do to it.

use std::rc::Rc;

use crate::model::desired::Waiting;
use crate::model::pod_plan::{ContainerPlan, Role};
use crate::model::record::{Exit, Past};
use crate::model::time::{Moment, Now};

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
    crashes: u32,
    pub(super) begun: Begun,
    /// How the run before the present or last one ended.
    pub(super) last: Option<Exit>,
}

/// Whether a run has ever got as far as to start: what a sidecar's successors wait for.
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
    },
    /// Told to end.
    Halting {
        pid: i32,
        since: Now,
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

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kill {
    At(Moment),
    Sent,
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
    pub(super) fn new(plan: &ContainerPlan, past: Option<&Past>) -> Container {
        Container {
            plan: Rc::new(plan.clone()),
            status: Status::Idle,
            restart: past.map_or(0, |past| past.runs),
            crashes: 0,
            begun: Begun::Never,
            last: past.and_then(|past| past.last.clone()),
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
                self.status = Status::Running { pid, since: out.now };
                self.begun = Begun::Once;
                out.started(&self.plan.name);
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
                self.end(exit, course, Some(Waiting { reason: reason.to_owned(), message }), out);
            }
            Status::Idle
            | Status::Running { .. }
            | Status::Halting { .. }
            | Status::Resting { .. }
            | Status::Ended(_) => {}
        }
    }

    pub(super) fn exited(&mut self, end: RawEnd, course: Course, out: &mut Out) {
        match (&self.status, course) {
            (Status::Starting, Course::Onwards | Course::ToTheEnd) => {
                self.end(phase::exit(end, None, out.now), course, None, out);
            }
            (Status::Running { since, .. }, Course::Onwards | Course::ToTheEnd)
            | (Status::Halting { since, .. }, Course::ToTheEnd) => {
                let since = *since;
                if out.now.boot - since.boot >= restart::LASTING {
                    self.crashes = 0;
                }
                self.end(phase::exit(end, Some(since), out.now), course, None, out);
            }
            (Status::Halting { since, .. }, Course::Onwards) => {
                let exit = phase::exit(end, Some(*since), out.now);
                self.end_for_new_image(exit, out);
            }
            (
                Status::Idle | Status::Resting { .. } | Status::Ended(_),
                Course::Onwards | Course::ToTheEnd,
            ) => {}
        }
    }

    fn end(&mut self, exit: Exit, course: Course, told: Option<Waiting>, out: &mut Out) {
        self.record(&exit, out);
        self.crashes += 1;
        let again = restart::again(self.plan.role, self.plan.restart_policy, exit.code);
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
        self.record(&exit, out);
        self.crashes = 0;
        let waiting = Waiting { reason: "ContainerCreating".to_owned(), message: String::new() };
        self.status = Status::Resting { exit, until: out.now.boot, waiting };
    }

    fn record(&self, exit: &Exit, out: &mut Out) {
        out.effects.push(Effect::RecordExit {
            container: self.plan.name.clone(),
            restart: self.restart,
            exit: exit.clone(),
        });
    }

    /// Gives a container whose image has changed over to it: a running one by halting it, a resting one at once.
    pub(super) fn renew(&mut self, plan: &ContainerPlan, kill_at: Moment, out: &mut Out) {
        if plan.image.authored == self.plan.image.authored {
            return;
        }
        match &mut self.status {
            Status::Running { .. } => {
                out.killing_for_change(&plan.name);
                self.signal(kill_at, out);
            }
            Status::Resting { until, .. } => {
                *until = out.now.boot;
                self.crashes = 0;
            }
            // One that starts is halted once it runs; one that idles starts from the plan in force; one that has
            // ended for good stays so.
            Status::Idle | Status::Starting | Status::Halting { .. } | Status::Ended(_) => {}
        }
    }

    pub(super) fn halt(&mut self, kill_at: Moment, out: &mut Out) {
        match self.status {
            Status::Running { .. } => {
                out.killing(&self.plan.name);
                self.signal(kill_at, out);
            }
            Status::Idle
            | Status::Starting
            | Status::Halting { .. }
            | Status::Resting { .. }
            | Status::Ended(_) => {}
        }
    }

    fn signal(&mut self, kill_at: Moment, out: &mut Out) {
        if let Status::Running { pid, since } = self.status {
            self.status = Status::Halting { pid, since, kill: Kill::At(kill_at) };
            if kill_at > out.now.boot {
                let signal = self.plan.stop_signal;
                out.effects.push(Effect::Signal { container: self.plan.name.clone(), signal });
            }
        }
        self.kill_if_due(kill_at, out);
    }

    /// Kills one that was told to end and has not by the time it was given, or by `latest`.
    pub(super) fn kill_if_due(&mut self, latest: Moment, out: &mut Out) {
        if let Status::Halting { kill: kill @ Kill::At(_), .. } = &mut self.status
            && let Kill::At(at) = *kill
            && at.min(latest) <= out.now.boot
        {
            *kill = Kill::Sent;
            out.effects.push(Effect::Kill { container: self.plan.name.clone() });
        }
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

    /// When time alone will change something about it.
    pub(super) fn due(&self) -> Option<Moment> {
        match &self.status {
            Status::Resting { until, .. } => Some(*until),
            Status::Halting { kill: Kill::At(at), .. } => Some(*at),
            Status::Halting { kill: Kill::Sent, .. }
            | Status::Idle
            | Status::Starting
            | Status::Running { .. }
            | Status::Ended(_) => None,
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
            Role::App => true,
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
