//! Rules as scripts over a pod that does what it is told, laws over one that does anything.

mod changes;
mod hooks;
mod laws;
mod probes;
mod rules;
mod stopping;
mod world;

use std::collections::BTreeMap;
use std::time::Duration;

use crate::model::handler::*;
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

/// An app container `x` with probes.
fn probed(policy: RestartPolicy, probes: Probes) -> PodPlan {
    let mut plan = pod(policy).app("x");
    plan.containers[0].probes = probes;
    plan
}

/// Every 10 s, after 3 failures, within 1 s.
fn probe() -> ProbePlan {
    ProbePlan {
        handler: ProbeHandler::Exec(vec!["true".to_owned()]),
        initial_delay: Duration::ZERO,
        timeout: Duration::from_secs(1),
        period: Duration::from_secs(10),
        success_threshold: 1,
        failure_threshold: 3,
        grace: None,
    }
}

fn failure() -> Verdict {
    Verdict::Failure("no".to_owned())
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

    /// Says what the handler that was run last for this came to.
    fn comes_to(&mut self, container: &str, purpose: Purpose, verdict: Verdict) -> &mut Script {
        let number = self.state.containers.iter().find(|known| known.plan.name == container).unwrap().errands;
        let errand = Errand { container: container.to_owned(), purpose, number };
        self.hears(Event::HandlerEnded { errand, verdict })
    }

    fn probed(&mut self, kind: ProbeKind, verdict: Verdict) -> &mut Script {
        self.comes_to("x", Purpose::Probe(kind), verdict)
    }

    /// What handlers the last step has run, and which it has ended.
    fn handlers(&self) -> Vec<(&'static str, Purpose)> {
        let handlers = self.asked.iter().filter_map(|effect| match effect {
            Effect::RunHandler { errand, .. } => Some(("run", errand.purpose)),
            Effect::EndHandler { errand } => Some(("end", errand.purpose)),
            _ => None,
        });
        handlers.collect()
    }

    #[track_caller]
    fn runs(&mut self, kinds: &[ProbeKind]) -> &mut Script {
        let expected: Vec<_> = kinds.iter().map(|kind| ("run", Purpose::Probe(*kind))).collect();
        assert_eq!(self.handlers(), expected);
        self
    }

    /// `seconds` after the pod's begin.
    fn at(&mut self, seconds: u64) -> &mut Script {
        self.seconds = seconds;
        self.hears(Event::Tick)
    }

    /// The last step asked for this, besides exit records and handlers.
    #[track_caller]
    fn asks(&mut self, expected: &[Effect]) -> &mut Script {
        let is_beside = |effect: &&Effect| {
            matches!(
                effect,
                Effect::RecordExit { .. } | Effect::RunHandler { .. } | Effect::EndHandler { .. }
            )
        };
        let asked: Vec<&Effect> = self.asked.iter().filter(|effect| !is_beside(effect)).collect();
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
