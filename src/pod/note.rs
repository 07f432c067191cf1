//! What a step gives out: effects, and events in kubelet's words.

use std::rc::Rc;
use std::time::Duration;

use crate::model::desired::Waiting;
use crate::model::handler::ProbeKind;
use crate::model::pod_plan::PodPlan;
use crate::model::record::{EventKind, EventRecord, note};
use crate::model::time::{Moment, Now};

use super::{Effect, phase, restart};

pub(super) struct Out {
    pub(super) now: Now,
    /// The plan in force.
    pub(super) plan: Rc<PodPlan>,
    pub(super) effects: Vec<Effect>,
    pub(super) events: Vec<EventRecord>,
}

impl Out {
    pub(super) fn new(plan: Rc<PodPlan>, events: Vec<EventRecord>, now: Now) -> Out {
        Out { now, plan, effects: Vec::new(), events }
    }

    pub(super) fn started(&mut self, container: &str) {
        let created = format!("Created container: {container}");
        self.note(EventKind::Normal, "Created", created, Some(container));
        let started = format!("Started container {container}");
        self.note(EventKind::Normal, "Started", started, Some(container));
    }

    pub(super) fn not_started(&mut self, container: &str, message: &str) {
        self.note(EventKind::Warning, "Failed", format!("Error: {message}"), Some(container));
    }

    pub(super) fn killing(&mut self, container: &str) {
        self.note(EventKind::Normal, "Killing", format!("Stopping container {container}"), Some(container));
    }

    pub(super) fn killing_for_change(&mut self, container: &str) {
        let message = format!("Container {container} definition changed, will be restarted");
        self.note(EventKind::Normal, "Killing", message, Some(container));
    }

    /// As the kubelet words it.
    pub(super) fn killing_by_probe(&mut self, container: &str, kind: ProbeKind, runs_again: bool) {
        let course = if runs_again { ", will be restarted" } else { "" };
        let message = format!("Container {container} failed {kind} probe{course}");
        self.note(EventKind::Normal, "Killing", message, Some(container));
    }

    pub(super) fn killing_by_hook(&mut self, container: &str) {
        self.note(EventKind::Normal, "Killing", "FailedPostStartHook".to_owned(), Some(container));
    }

    pub(super) fn probe_failed(&mut self, container: &str, kind: ProbeKind, why: &str) {
        let message = format!("{} probe failed: {}", capitalized(kind), shortened(why));
        self.note(EventKind::Warning, "Unhealthy", message, Some(container));
    }

    pub(super) fn probe_errored(&mut self, container: &str, kind: ProbeKind, why: &str) {
        let message =
            format!("{} probe errored and resulted in unknown state: {}", capitalized(kind), shortened(why));
        self.note(EventKind::Warning, "Unhealthy", message, Some(container));
    }

    pub(super) fn probe_warning(&mut self, container: &str, kind: ProbeKind, why: &str) {
        let message = format!("{} probe warning: {}", capitalized(kind), shortened(why));
        self.note(EventKind::Warning, "ProbeWarning", message, Some(container));
    }

    /// Without what the hook said, which may be anything, as for the kubelet.
    pub(super) fn post_start_failed(&mut self, container: &str) {
        let message = "PostStartHook failed".to_owned();
        self.note(EventKind::Warning, "FailedPostStartHook", message, Some(container));
    }

    pub(super) fn pre_stop_failed(&mut self, container: &str) {
        let message = "PreStopHook failed".to_owned();
        self.note(EventKind::Warning, "FailedPreStopHook", message, Some(container));
    }

    /// Of one that is told to end now; `grace` in seconds, in place of the pod's.
    pub(super) fn end_of_grace(&self, grace: Option<u32>) -> Moment {
        let grace = grace.unwrap_or(self.plan.live.grace);
        self.now.boot + Duration::from_secs(grace.into())
    }

    /// Notes a rest that is more than none, and gives the words to wait with.
    pub(super) fn back_off(&mut self, container: &str, delay: Duration) -> Waiting {
        let id = &self.plan.id;
        let pod = format!("{}_{}({})", id.name, id.namespace, id.uid);
        let length = restart::in_words(delay);
        if !delay.is_zero() {
            let message = format!("Back-off restarting failed container {container} in pod {pod}");
            self.note(EventKind::Warning, "BackOff", message, Some(container));
        }
        let message = format!("back-off {length} restarting failed container={container} pod={pod}");
        Waiting::passing("CrashLoopBackOff", message)
    }

    pub(super) fn sandbox_failed(&mut self, message: &str) {
        let message = format!("Failed to create pod sandbox: {message}");
        self.note(EventKind::Warning, "FailedCreatePodSandBox", message, None);
    }

    pub(super) fn lacks(&mut self, container: Option<&str>, what: String) {
        self.note(EventKind::Warning, "Unenforced", what, container);
    }

    pub(super) fn deadline_exceeded(&mut self) {
        self.note(EventKind::Normal, "DeadlineExceeded", phase::DEADLINE_EXCEEDED.to_owned(), None);
    }

    fn note(&mut self, kind: EventKind, reason: &str, message: String, container: Option<&str>) {
        let at = self.now.wall;
        let event = EventRecord {
            kind,
            reason: reason.to_owned(),
            message,
            container: container.map(str::to_owned),
            count: 1,
            first: at,
            last: at,
        };
        note(&mut self.events, event);
    }
}

fn capitalized(kind: ProbeKind) -> &'static str {
    match kind {
        ProbeKind::Startup => "Startup",
        ProbeKind::Liveness => "Liveness",
        ProbeKind::Readiness => "Readiness",
    }
}

/// Bytes of a message that an event of Kubernetes may have.
const MESSAGE_LIMIT: usize = 1024;

fn shortened(why: &str) -> &str {
    // Room for what stands before it.
    let end = (0..=why.len().min(MESSAGE_LIMIT - 64)).rev().find(|end| why.is_char_boundary(*end));
    &why[..end.unwrap_or(0)]
}
