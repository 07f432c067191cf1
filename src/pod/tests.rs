//! Rules as scripts over a pod that does what it is told, laws over one that does anything.

mod changes;
mod laws;
mod rules;
mod stopping;
mod world;

use std::collections::BTreeMap;
use std::time::Duration;

use crate::model::pod_plan::*;
use crate::model::record::{ContainerRecord, ContainerState, Exit, PodRecord, StopReason};
use crate::model::time::{Moment, Now, Timestamp};

use super::{Effect, Event, PodState, RawEnd};

const TERM: i32 = 15;

fn at(seconds: u64) -> Now {
    let wall = Timestamp::from_second(1_000_000 + i64::try_from(seconds).unwrap()).unwrap();
    Now { wall, boot: Moment(Duration::from_secs(seconds)) }
}

fn pod(policy: RestartPolicy) -> PodPlan {
    PodPlan { restart_policy: policy, ..sample::pod() }
}

impl PodPlan {
    fn init(mut self, name: &str) -> PodPlan {
        let container = container(name, Role::Init, self.restart_policy);
        self.init_containers.push(container);
        self
    }

    fn sidecar(mut self, name: &str) -> PodPlan {
        self.init_containers.push(container(name, Role::Sidecar, RestartPolicy::Always));
        self
    }

    fn app(mut self, name: &str) -> PodPlan {
        let container = container(name, Role::App, self.restart_policy);
        self.containers.push(container);
        self
    }

    fn deadline(mut self, seconds: u32) -> PodPlan {
        self.live.active_deadline = Some(seconds);
        self
    }
}

fn container(name: &str, role: Role, policy: RestartPolicy) -> ContainerPlan {
    let mut container = sample::container(name);
    container.image.authored = "busybox:1".to_owned();
    ContainerPlan { role, restart_policy: policy, ..container }
}

fn left_with(code: i32) -> RawEnd {
    RawEnd { code, signal: None, oom_killed: false, message: String::new() }
}

fn killed() -> RawEnd {
    RawEnd { code: 137, signal: Some(9), oom_killed: false, message: String::new() }
}

/// A pod under test, and what it asked for in the last step.
struct Script {
    state: PodState,
    asked: Vec<Effect>,
    seconds: u64,
}

impl Script {
    fn of(plan: PodPlan) -> Script {
        let (state, asked) = PodState::new(plan, &BTreeMap::new(), at(0));
        Script { state, asked, seconds: 0 }
    }

    /// With its sandbox made.
    fn ready(plan: PodPlan) -> Script {
        let mut script = Script::of(plan);
        script.hears(Event::SandboxReady);
        script
    }

    fn hears(&mut self, event: Event) -> &mut Script {
        (self.state, self.asked) = self.state.step(event, at(self.seconds));
        self
    }

    fn started(&mut self, container: &str) -> &mut Script {
        self.hears(Event::Started { container: container.to_owned(), pid: 100 })
    }

    fn not_started(&mut self, container: &str, reason: &'static str) -> &mut Script {
        let message = "no such file: /bin/tru".to_owned();
        self.hears(Event::NotStarted { container: container.to_owned(), reason, message })
    }

    fn exits(&mut self, container: &str, end: RawEnd) -> &mut Script {
        self.hears(Event::Exited { container: container.to_owned(), end })
    }

    fn told_to_stop(&mut self, why: StopReason, grace: Option<u32>) -> &mut Script {
        self.hears(Event::StopAsked { why, grace })
    }

    fn told(&mut self, plan: PodPlan) -> &mut Script {
        self.hears(Event::PlanChanged(Box::new(plan)))
    }

    /// `seconds` after the pod's begin.
    fn at(&mut self, seconds: u64) -> &mut Script {
        self.seconds = seconds;
        self.hears(Event::Tick)
    }

    /// The last step asked for this, besides exit records.
    #[track_caller]
    fn asks(&mut self, expected: &[Effect]) -> &mut Script {
        let asked: Vec<&Effect> =
            self.asked.iter().filter(|effect| !matches!(effect, Effect::RecordExit { .. })).collect();
        assert_eq!(asked, expected.iter().collect::<Vec<_>>());
        self
    }

    #[track_caller]
    fn wakes_at(&mut self, seconds: Option<u64>) -> &mut Script {
        assert_eq!(self.state.wake_at(), seconds.map(|seconds| at(seconds).boot));
        self
    }

    fn record(&self) -> PodRecord {
        self.state.record(1)
    }

    fn container(&self, name: &str) -> ContainerRecord {
        self.record().containers.into_iter().find(|container| container.name == name).unwrap()
    }

    fn waiting(&self, name: &str) -> (String, String) {
        match self.container(name).state {
            ContainerState::Waiting { reason, message } => (reason, message),
            other => panic!("{name} does not wait: {other:?}"),
        }
    }

    fn end(&self, name: &str) -> Exit {
        match self.container(name).state {
            ContainerState::Terminated(exit) => exit,
            other => panic!("{name} has not ended: {other:?}"),
        }
    }

    fn events(&self) -> Vec<(String, String)> {
        self.record().events.into_iter().map(|event| (event.reason, event.message)).collect()
    }
}

fn start(container: &str, restart: u32) -> Effect {
    Effect::Start { container: container.to_owned(), restart }
}

fn signal(container: &str, signal: i32) -> Effect {
    Effect::Signal { container: container.to_owned(), signal }
}

fn kill(container: &str) -> Effect {
    Effect::Kill { container: container.to_owned() }
}
