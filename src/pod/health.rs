//! What a container's postStart hook and probes make of a run of it.
//!
//! ```text
//!   postStart ──done──► startup probe ──success──► started: liveness and readiness probes
//!       │ fails              │ fails often enough       │ liveness fails often enough
//!       ▼                    ▼                          ▼
//!    halted               halted                     halted
//! ```

use std::rc::Rc;

use crate::model::handler::{
    CallOrder, Errand, Hook, Judged, ProbeHandler, ProbeKind, ProbePlan, Purpose, Verdict, Work,
};
use crate::model::pod_plan::{ContainerPlan, RestartPolicy, Role};
use crate::model::time::{Moment, Now};

use super::Effect;
use super::container::{Begun, Container, Course, Status};
use super::halt::Why;
use super::note::Out;
use super::prober::{Finding, Prober};

#[derive(Debug, Clone, PartialEq)]
pub(super) struct Health {
    /// Absent once it is over.
    post_start: Option<PostStart>,
    startup: Option<Prober>,
    liveness: Option<Prober>,
    readiness: Option<Prober>,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum PostStart {
    UnderWay(u32),
    Sleeping(Moment),
    /// Failed or called off: the run ends without having been started.
    InVain,
}

impl Health {
    pub(super) fn new(plan: &ContainerPlan, since: Now) -> Health {
        let prober = |kind| plan.probes.of(kind).map(|plan| Prober::new(plan, since));
        Health {
            post_start: None,
            startup: prober(ProbeKind::Startup),
            liveness: prober(ProbeKind::Liveness),
            readiness: prober(ProbeKind::Readiness),
        }
    }

    fn prober(&mut self, kind: ProbeKind) -> Option<&mut Prober> {
        match kind {
            ProbeKind::Startup => self.startup.as_mut(),
            ProbeKind::Liveness => self.liveness.as_mut(),
            ProbeKind::Readiness => self.readiness.as_mut(),
        }
    }

    pub(super) fn post_start_is_over(&self) -> bool {
        self.post_start.is_none()
    }

    pub(super) fn is_started(&self) -> bool {
        let startup = self.startup.as_ref();
        self.post_start_is_over() && startup.is_none_or(|probe| probe.settled == Some(Finding::Success))
    }

    pub(super) fn is_ready(&self) -> bool {
        let readiness = self.readiness.as_ref();
        self.is_started() && readiness.is_none_or(|probe| probe.settled == Some(Finding::Success))
    }

    fn asks(&self, kind: ProbeKind) -> bool {
        match kind {
            ProbeKind::Startup => self.post_start_is_over(),
            ProbeKind::Liveness | ProbeKind::Readiness => self.is_started(),
        }
    }

    /// When time alone will change something about it.
    pub(super) fn due(&self) -> Option<Moment> {
        let probers = [
            (ProbeKind::Startup, &self.startup),
            (ProbeKind::Liveness, &self.liveness),
            (ProbeKind::Readiness, &self.readiness),
        ];
        let asked = probers.into_iter().filter(|(kind, _)| self.asks(*kind));
        let probes = asked.filter_map(|(_, prober)| prober.as_ref()?.due());
        let hook = match self.post_start {
            Some(PostStart::Sleeping(until)) => Some(until),
            Some(PostStart::UnderWay(_) | PostStart::InVain) | None => None,
        };
        probes.chain(hook).min()
    }
}

impl Container {
    pub(super) fn health(&self) -> Option<&Health> {
        match &self.status {
            Status::Running { health, .. } | Status::Halting { health, .. } => Some(health),
            Status::Idle | Status::Starting | Status::Resting { .. } | Status::Ended(_) => None,
        }
    }

    fn health_mut(&mut self) -> Option<&mut Health> {
        match &mut self.status {
            Status::Running { health, .. } | Status::Halting { health, .. } => Some(health),
            Status::Idle | Status::Starting | Status::Resting { .. } | Status::Ended(_) => None,
        }
    }

    /// Begins the postStart hook of a run whose program has just taken over.
    pub(super) fn run_post_start(&mut self, out: &mut Out) {
        let plan = Rc::clone(&self.plan);
        let begun = match &plan.hooks.post_start {
            None => None,
            Some(Hook::Sleep(duration)) => Some(PostStart::Sleeping(out.now.boot + *duration)),
            Some(Hook::Exec(argv)) => {
                let work = Work::Exec(argv.clone());
                Some(PostStart::UnderWay(self.send(Purpose::PostStart, work, out)))
            }
            Some(Hook::Call(call)) => {
                let order = CallOrder { call: call.clone(), judged: Judged::ByArrival, timeout: None };
                Some(PostStart::UnderWay(self.send(Purpose::PostStart, Work::Call(order), out)))
            }
        };
        if let Some(health) = self.health_mut() {
            health.post_start = begun;
        }
    }

    /// Runs a handler; gives the number that its verdict will bear.
    pub(super) fn send(&mut self, purpose: Purpose, work: Work, out: &mut Out) -> u32 {
        self.errands += 1;
        let errand = Errand { container: self.plan.name.clone(), purpose, number: self.errands };
        out.effects.push(Effect::RunHandler { errand, work });
        self.errands
    }

    pub(super) fn call_off(&self, purpose: Purpose, number: u32, out: &mut Out) {
        let errand = Errand { container: self.plan.name.clone(), purpose, number };
        out.effects.push(Effect::EndHandler { errand });
    }

    /// What time has made of hook and probes: runs what is due, and takes what takes too long for a failure.
    pub(super) fn look_after(&mut self, course: Course, out: &mut Out) {
        match course {
            Course::Onwards => {}
            // Whether it is well counts no more; whether it is ready does until the end.
            Course::ToTheEnd => self.call_off_judges(out),
        }
        let now = out.now.boot;
        if let Some(health) = self.health_mut()
            && let Some(PostStart::Sleeping(until)) = health.post_start
            && until <= now
        {
            health.post_start = None;
        }
        for kind in ProbeKind::ALL {
            self.look_after_probe(kind, out);
        }
        self.note_begun();
    }

    fn look_after_probe(&mut self, kind: ProbeKind, out: &mut Out) {
        let (plan, now) = (Rc::clone(&self.plan), out.now.boot);
        let Some(probe) = plan.probes.of(kind) else { return };
        if let Some(number) = self.health_mut().and_then(|health| health.prober(kind)?.overdue(now)) {
            self.call_off(Purpose::Probe(kind), number, out);
            self.probed(kind, number, Verdict::Failure(too_long(probe)), out);
        }
        let due = |health: &mut Health| {
            health.asks(kind) && health.prober(kind).is_some_and(|prober| prober.is_due(now))
        };
        if self.health_mut().is_some_and(due) {
            let number = self.send(Purpose::Probe(kind), work(probe), out);
            if let Some(prober) = self.health_mut().and_then(|health| health.prober(kind)) {
                prober.run(probe, number, now);
            }
        }
    }

    /// A handler of this container has ended. What nobody waits for any more is ignored.
    pub(super) fn heard(&mut self, errand: &Errand, verdict: Verdict, course: Course, out: &mut Out) {
        match errand.purpose {
            Purpose::Probe(kind) => self.probed(kind, errand.number, verdict, out),
            Purpose::PostStart => self.post_start_ended(errand.number, verdict, course, out),
            Purpose::PreStop => self.pre_stop_ended(errand.number, &verdict, out),
        }
    }

    fn probed(&mut self, kind: ProbeKind, number: u32, verdict: Verdict, out: &mut Out) {
        let plan = Rc::clone(&self.plan);
        let Some(probe) = plan.probes.of(kind) else { return };
        let Some(prober) = self.health_mut().and_then(|health| health.prober(kind)) else { return };
        if !prober.is_back(number) {
            return;
        }
        let finding = match verdict {
            Verdict::Success => Finding::Success,
            Verdict::Warning(why) => {
                out.probe_warning(&plan.name, kind, &why);
                Finding::Success
            }
            Verdict::Failure(why) => {
                out.probe_failed(&plan.name, kind, &why);
                Finding::Failure
            }
            Verdict::Unknown(why) => return out.probe_errored(&plan.name, kind, &why),
        };
        match (kind, prober.count(finding, probe)) {
            (ProbeKind::Startup | ProbeKind::Liveness, Some(Finding::Failure)) => {
                self.condemn(kind, probe, out);
            }
            (ProbeKind::Startup, Some(Finding::Success)) => {
                prober.end();
            }
            (ProbeKind::Liveness, Some(Finding::Success))
            | (ProbeKind::Readiness, Some(Finding::Success | Finding::Failure))
            | (ProbeKind::Startup | ProbeKind::Liveness | ProbeKind::Readiness, None) => {}
        }
    }

    fn condemn(&mut self, kind: ProbeKind, probe: &ProbePlan, out: &mut Out) {
        out.killing_by_probe(&self.plan.name, kind, self.runs_again_if_condemned());
        let kill_at = out.end_of_grace(probe.grace);
        self.signal(kill_at, Why::Condemned, out);
    }

    /// A condemned container that ends well under `OnFailure` has failed all the same.
    pub(super) fn runs_again_if_condemned(&self) -> bool {
        match (self.plan.role, self.plan.restart_policy) {
            (Role::Sidecar, RestartPolicy::Always | RestartPolicy::OnFailure | RestartPolicy::Never)
            | (Role::Init | Role::App, RestartPolicy::Always | RestartPolicy::OnFailure) => true,
            (Role::Init | Role::App, RestartPolicy::Never) => false,
        }
    }

    fn post_start_ended(&mut self, number: u32, verdict: Verdict, course: Course, out: &mut Out) {
        let Some(health) = self.health_mut() else { return };
        if health.post_start != Some(PostStart::UnderWay(number)) {
            return;
        }
        health.post_start = match verdict {
            Verdict::Success | Verdict::Warning(_) => None,
            Verdict::Failure(_) | Verdict::Unknown(_) => Some(PostStart::InVain),
        };
        match (verdict, course) {
            (Verdict::Success | Verdict::Warning(_), Course::Onwards | Course::ToTheEnd) => {}
            (Verdict::Failure(_) | Verdict::Unknown(_), Course::ToTheEnd) => {
                out.post_start_failed(&self.plan.name);
            }
            (Verdict::Failure(why) | Verdict::Unknown(why), Course::Onwards) => {
                out.post_start_failed(&self.plan.name);
                out.killing_by_hook(&self.plan.name);
                let kill_at = out.end_of_grace(None);
                self.signal(kill_at, Why::PostStart(why), out);
            }
        }
    }

    /// Ends the hook and the probes that could end the container: it ends anyway.
    pub(super) fn call_off_judges(&mut self, out: &mut Out) {
        let Some(health) = self.health_mut() else { return };
        let judges = [ProbeKind::Startup, ProbeKind::Liveness];
        let under_way = judges.map(|kind| (kind, health.prober(kind).and_then(Prober::end)));
        for (kind, number) in under_way {
            if let Some(number) = number {
                self.call_off(Purpose::Probe(kind), number, out);
            }
        }
    }

    /// Of a container that is told to end before its hook has ended.
    pub(super) fn call_off_post_start(&mut self, out: &mut Out) {
        let Some(hook) = self.health_mut().and_then(|health| health.post_start.as_mut()) else { return };
        match std::mem::replace(hook, PostStart::InVain) {
            PostStart::UnderWay(number) => self.call_off(Purpose::PostStart, number, out),
            PostStart::Sleeping(_) | PostStart::InVain => {}
        }
    }

    /// Lets the container's successors start: those of a sidecar once it counts as started, those of another that
    /// the kubelet would start after it once its hook is over.
    fn note_begun(&mut self) {
        let Status::Running { health, .. } = &self.status else { return };
        let begun = match self.plan.role {
            Role::Sidecar => health.is_started(),
            Role::Init | Role::App => health.post_start_is_over(),
        };
        if begun {
            self.begun = Begun::Once;
        }
    }
}

fn work(probe: &ProbePlan) -> Work {
    match &probe.handler {
        ProbeHandler::Exec(argv) => Work::Exec(argv.clone()),
        ProbeHandler::Call(call) => Work::Call(CallOrder {
            call: call.clone(),
            judged: Judged::ByAnswer,
            timeout: Some(probe.timeout),
        }),
    }
}

fn too_long(probe: &ProbePlan) -> String {
    let timeout = probe.timeout.as_secs();
    match &probe.handler {
        ProbeHandler::Exec(argv) => {
            format!("command timed out: {:?} timed out after {timeout}s", argv.join(" "))
        }
        ProbeHandler::Call(_) => format!("no answer within {timeout}s"),
    }
}
