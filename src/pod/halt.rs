//! How a running container is told to end: its preStop hook, its stop signal, SIGKILL.
//!
//! ```text
//!   Running ──signal──► Hooked ──hook over, or no time left──► At ──time is up──► Sent
//!              └───────────── no hook ──────────────────────────┘
//! ```

use std::rc::Rc;
use std::time::Duration;

use crate::model::handler::{CallOrder, Hook, Judged, Purpose, Verdict, Work};
use crate::model::pod_plan::ContainerPlan;
use crate::model::time::Moment;

use super::Effect;
use super::container::{Container, Status};
use super::note::Out;

/// What a container has left to end in after its hook, even if that took all the grace there was: the kubelet's.
const AFTER_HOOK: Duration = Duration::from_secs(2);

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Why {
    Stopped,
    NewImage,
    /// By a startup or liveness probe.
    Condemned,
    /// The hook has failed, and why.
    PostStart(String),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kill {
    /// The preStop hook is under way.
    Hooked {
        by: Hooked,
        kill_at: Moment,
    },
    /// SIGKILL is due then, but not before `earliest`.
    At {
        kill_at: Moment,
        earliest: Moment,
    },
    Sent,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Hooked {
    Errand(u32),
    Sleep { until: Moment },
}

impl Kill {
    /// When time alone will change something, if all is to be over by `latest`.
    pub(super) fn due(self, latest: Moment) -> Option<Moment> {
        match self {
            Kill::Hooked { by: Hooked::Errand(_), kill_at } => Some(kill_at.min(latest)),
            Kill::Hooked { by: Hooked::Sleep { until }, kill_at } => Some(until.min(kill_at).min(latest)),
            Kill::At { kill_at, earliest } => Some(kill_at.min(latest).max(earliest)),
            Kill::Sent => None,
        }
    }
}

impl Container {
    /// Gives a container whose image has changed over to it: a running one by halting it, a resting one at once.
    pub(super) fn renew(&mut self, plan: &ContainerPlan, kill_at: Moment, out: &mut Out) {
        if plan.image.authored == self.plan.image.authored {
            return;
        }
        match &mut self.status {
            Status::Running { .. } => {
                out.killing_for_change(&plan.name);
                self.signal(kill_at, Why::NewImage, out);
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
                self.signal(kill_at, Why::Stopped, out);
            }
            Status::Idle
            | Status::Starting
            | Status::Halting { .. }
            | Status::Resting { .. }
            | Status::Ended(_) => {}
        }
    }

    /// Tells a running container to end, in the gentlest way that there is time for.
    pub(super) fn signal(&mut self, kill_at: Moment, why: Why, out: &mut Out) {
        self.call_off_post_start(out);
        self.call_off_judges(out);
        let Status::Running { pid, since, health } = &self.status else { return };
        let (pid, since, health) = (*pid, *since, health.clone());
        let kill = if kill_at <= out.now.boot {
            Kill::At { kill_at, earliest: out.now.boot }
        } else {
            self.first_word(kill_at, out)
        };
        self.status = Status::Halting { pid, since, health, why, kill };
        self.press(kill_at, out);
    }

    fn first_word(&mut self, kill_at: Moment, out: &mut Out) -> Kill {
        let plan = Rc::clone(&self.plan);
        let work = match &plan.hooks.pre_stop {
            None => {
                self.stop_signal(out);
                return Kill::At { kill_at, earliest: out.now.boot };
            }
            Some(Hook::Sleep(duration)) => {
                return Kill::Hooked { by: Hooked::Sleep { until: out.now.boot + *duration }, kill_at };
            }
            Some(Hook::Exec(argv)) => Work::Exec(argv.clone()),
            Some(Hook::Call(call)) => {
                Work::Call(CallOrder { call: call.clone(), judged: Judged::ByArrival, timeout: None })
            }
        };
        Kill::Hooked { by: Hooked::Errand(self.send(Purpose::PreStop, work, out)), kill_at }
    }

    fn stop_signal(&self, out: &mut Out) {
        let signal = self.plan.stop_signal;
        out.effects.push(Effect::Signal { container: self.plan.name.clone(), signal });
    }

    /// Does what is due to one that was told to end, if all is to be over by `latest`.
    pub(super) fn press(&mut self, latest: Moment, out: &mut Out) {
        let now = out.now.boot;
        if let Some(Kill::Hooked { by, .. }) = self.kill()
            && self.kill().and_then(|kill| kill.due(latest)).is_some_and(|due| due <= now)
        {
            match by {
                Hooked::Errand(number) => self.call_off(Purpose::PreStop, number, out),
                Hooked::Sleep { .. } => {}
            }
            self.hook_is_over(out);
        }
        if let Status::Halting { kill: kill @ Kill::At { .. }, .. } = &mut self.status
            && kill.due(latest).is_some_and(|due| due <= now)
        {
            *kill = Kill::Sent;
            out.effects.push(Effect::Kill { container: self.plan.name.clone() });
        }
    }

    fn kill(&self) -> Option<Kill> {
        match self.status {
            Status::Halting { kill, .. } => Some(kill),
            Status::Idle
            | Status::Starting
            | Status::Running { .. }
            | Status::Resting { .. }
            | Status::Ended(_) => None,
        }
    }

    fn hook_is_over(&mut self, out: &mut Out) {
        let now = out.now.boot;
        if let Status::Halting { kill: kill @ Kill::Hooked { .. }, .. } = &mut self.status
            && let Kill::Hooked { kill_at, .. } = *kill
        {
            *kill = Kill::At { kill_at, earliest: now + AFTER_HOOK };
            self.stop_signal(out);
        }
    }

    pub(super) fn pre_stop_ended(&mut self, number: u32, verdict: &Verdict, out: &mut Out) {
        match self.kill() {
            Some(Kill::Hooked { by: Hooked::Errand(known), .. }) if known == number => {}
            Some(Kill::Hooked { .. } | Kill::At { .. } | Kill::Sent) | None => return,
        }
        match verdict {
            Verdict::Success | Verdict::Warning(_) => {}
            Verdict::Failure(_) | Verdict::Unknown(_) => out.pre_stop_failed(&self.plan.name),
        }
        self.hook_is_over(out);
    }
}
