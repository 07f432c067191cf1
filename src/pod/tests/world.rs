//! A world that performs what a pod asks for, in any order and with any outcome, and holds the laws against it.

use super::*;
use crate::pod::container::Status;
use crate::pod::halt::Why;

/// What is true of a container, whatever its pod believes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fact {
    Off,
    Starting,
    Running(Told),
}

/// How hard a running container has been asked to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Told {
    Nothing,
    Term,
    Kill,
}

/// One thing that may happen; numbers choose among what is possible.
#[derive(Debug, Clone)]
pub(super) enum Happening {
    Sandbox {
        fails: bool,
    },
    Start {
        which: usize,
        fails: bool,
    },
    End {
        which: usize,
        code: i32,
    },
    Torn,
    Wait {
        seconds: u64,
    },
    WaitUntilDue,
    Stop {
        why: StopReason,
        grace: Option<u32>,
    },
    NewImage {
        which: usize,
        image: u8,
    },
    NewDeadline {
        seconds: u32,
    },
    /// A probe or hook under way comes to an end.
    Handled {
        which: usize,
        verdict: Verdict,
    },
    /// An event that nothing led to.
    Noise {
        which: usize,
        kind: u8,
    },
}

pub(super) struct World {
    pub(super) state: PodState,
    pub(super) seconds: u64,
    facts: BTreeMap<String, Fact>,
    handlers: Vec<Errand>,
    sandbox_is_made: bool,
    is_torn: bool,
    pub(super) left: bool,
    runs: Vec<(String, u32)>,
    recorded: Vec<(String, u32)>,
}

impl World {
    pub(super) fn of(plan: PodPlan) -> World {
        let facts = plan.all_containers().map(|known| (known.name.clone(), Fact::Off)).collect();
        let (state, effects) = PodState::new(plan, &BTreeMap::new(), at(0));
        let mut world = World {
            state,
            seconds: 0,
            facts,
            handlers: Vec::new(),
            sandbox_is_made: false,
            is_torn: false,
            left: false,
            runs: Vec::new(),
            recorded: Vec::new(),
        };
        world.perform(&effects);
        world
    }

    pub(super) fn happens(&mut self, happening: &Happening) {
        match happening {
            Happening::Sandbox { fails } if self.sandbox_is_made => {
                self.sandbox_is_made = false;
                self.hears(if *fails {
                    Event::SandboxFailed { message: "no".to_owned() }
                } else {
                    Event::SandboxReady
                });
            }
            Happening::Start { which, fails } => {
                let Some(container) = self.nth(*which, |fact| fact == Fact::Starting) else { return };
                if *fails {
                    self.facts.insert(container.clone(), Fact::Off);
                    let message = "no".to_owned();
                    self.ends(Event::NotStarted { container, reason: "RunContainerError", message });
                } else {
                    self.facts.insert(container.clone(), Fact::Running(Told::Nothing));
                    self.hears(Event::Started { container, pid: 7 });
                }
            }
            Happening::End { which, code } => {
                let running = |fact| matches!(fact, Fact::Running(_));
                let Some(container) = self.nth(*which, running) else { return };
                self.exits(container, left_with(*code));
            }
            Happening::Handled { which, verdict } if !self.handlers.is_empty() => {
                let errand = self.handlers.swap_remove(which % self.handlers.len());
                self.hears(Event::HandlerEnded { errand, verdict: verdict.clone() });
            }
            Happening::Torn if self.is_torn => {
                self.is_torn = false;
                self.hears(Event::ToreDown);
            }
            Happening::Wait { seconds } => {
                self.seconds += seconds;
                self.hears(Event::Tick);
            }
            Happening::WaitUntilDue => {
                let Some(due) = self.state.wake_at() else { return };
                self.seconds = self.seconds.max(due.0.as_secs());
                self.hears(Event::Tick);
            }
            Happening::Stop { why, grace } => self.hears(Event::StopAsked { why: *why, grace: *grace }),
            Happening::NewImage { which, image } => {
                let mut plan = self.state.plan().clone();
                let nth = which % plan.containers.len();
                plan.containers[nth].image.authored = format!("busybox:{image}");
                self.hears(Event::PlanChanged(Box::new(plan)));
            }
            Happening::NewDeadline { seconds } => {
                let plan = self.state.plan().clone().deadline(*seconds);
                self.hears(Event::PlanChanged(Box::new(plan)));
            }
            Happening::Noise { which, kind } => {
                let Some(container) = self.nth(*which, |fact| fact == Fact::Off) else { return };
                let end = left_with(9);
                let event = match kind % 4 {
                    3 => {
                        let errand = Errand { container, purpose: Purpose::PreStop, number: 1 };
                        Event::HandlerEnded { errand, verdict: failure() }
                    }
                    0 => Event::Exited { container, end },
                    1 => Event::Started { container: "nobody".to_owned(), pid: 1 },
                    _ => Event::Exited { container: "nobody".to_owned(), end },
                };
                let known = self.recorded.len();
                self.hears(event);
                assert_eq!(self.recorded.len(), known, "an end of nothing was recorded");
            }
            Happening::Sandbox { .. } | Happening::Torn | Happening::Handled { .. } => {}
        }
    }

    /// Goes on until the pod has left: whatever can be done is done, what is told to end by SIGKILL ends, and what is
    /// told by SIGTERM does not.
    pub(super) fn settle(&mut self) {
        for _ in 0..400 {
            if self.left {
                return;
            }
            self.happens(&Happening::Sandbox { fails: false });
            self.happens(&Happening::Torn);
            self.happens(&Happening::Start { which: 0, fails: false });
            if let Some(container) = self.nth(0, |fact| fact == Fact::Running(Told::Kill)) {
                self.exits(container, killed());
            }
            self.happens(&Happening::WaitUntilDue);
        }
        panic!("the pod does not settle: {:?}", self.state);
    }

    /// Its handlers end with it.
    fn exits(&mut self, container: String, end: RawEnd) {
        self.facts.insert(container.clone(), Fact::Off);
        self.handlers.retain(|errand| errand.container != container);
        self.ends(Event::Exited { container, end });
    }

    fn ends(&mut self, event: Event) {
        let known = self.recorded.len();
        self.hears(event);
        assert_eq!(self.recorded.len(), known + 1, "each end is recorded once");
    }

    fn hears(&mut self, event: Event) {
        let (state, effects) = self.state.step(event, at(self.seconds));
        self.state = state;
        assert!(!self.left || effects.is_empty(), "something follows the end: {effects:?}");
        self.perform(&effects);
        let now = at(self.seconds);
        assert!(self.state.wake_at().is_none_or(|due| due > now.boot), "what is due is left undone");
        let (again, nothing) = self.state.step(Event::Tick, now);
        assert_eq!((&again, nothing), (&self.state, Vec::new()), "a second look finds more to do");
    }

    fn perform(&mut self, effects: &[Effect]) {
        for effect in effects {
            match effect {
                Effect::MakeSandbox => self.sandbox_is_made = true,
                Effect::Start { container, restart } => {
                    assert_eq!(self.facts[container], Fact::Off, "{container} is started while it runs");
                    let run = (container.clone(), *restart);
                    assert!(!self.runs.contains(&run), "{run:?} is started twice");
                    self.runs.push(run);
                    self.facts.insert(container.clone(), Fact::Starting);
                }
                Effect::Signal { container, .. } => self.tell(container, Told::Term),
                Effect::Kill { container } => self.tell(container, Told::Kill),
                Effect::RunHandler { errand, .. } => {
                    assert!(matches!(self.facts[&errand.container], Fact::Running(_)), "{errand:?}");
                    let same = |known: &&Errand| {
                        known.container == errand.container && known.purpose == errand.purpose
                    };
                    assert_eq!(self.handlers.iter().find(same), None, "twice at once");
                    self.handlers.push(errand.clone());
                }
                Effect::EndHandler { errand } => {
                    let at = self.handlers.iter().position(|known| known == errand);
                    self.handlers.remove(at.expect("ends what is not under way"));
                }
                Effect::RecordExit { container, restart, .. } => {
                    let run = (container.clone(), *restart);
                    assert!(self.runs.contains(&run) && !self.recorded.contains(&run), "{run:?}");
                    self.recorded.push(run);
                }
                Effect::TearDown => {
                    assert!(self.facts.values().all(|fact| *fact == Fact::Off), "torn down while in use");
                    self.is_torn = true;
                }
                Effect::Leave => {
                    assert!(!self.is_torn && !self.sandbox_is_made, "leaves something behind");
                    self.left = true;
                }
                Effect::ApplyResources | Effect::RefreshVolumes => {}
            }
        }
    }

    fn tell(&mut self, container: &str, how: Told) {
        let Fact::Running(told) = self.facts[container] else { panic!("{container} is told to end twice") };
        assert!(told < how, "{container} is told to end in the same way twice");
        let role = self.state.plan().container(container).unwrap().role;
        if role == Role::Sidecar && self.is_stopped_with_its_pod(container) {
            for app in &self.state.plan().containers {
                let fact = self.facts[&app.name];
                let killed_too = how == Told::Kill && fact == Fact::Running(Told::Kill);
                assert!(
                    fact == Fact::Off || killed_too,
                    "{container} is stopped before {}: {fact:?}",
                    app.name
                );
            }
        }
        self.facts.insert(container.to_owned(), Fact::Running(how));
    }

    /// And not, as by a probe, for a reason of its own.
    fn is_stopped_with_its_pod(&self, name: &str) -> bool {
        let container = self.state.containers.iter().find(|known| known.plan.name == name).unwrap();
        matches!(&container.status, Status::Halting { why: Why::Stopped, .. })
    }

    pub(super) fn starts(&self) -> usize {
        self.runs.len()
    }

    /// Ends every start that is under way.
    pub(super) fn let_starts_succeed(&mut self) {
        self.happens(&Happening::Sandbox { fails: false });
        for _ in 0..10 {
            self.happens(&Happening::Start { which: 0, fails: false });
        }
    }

    fn nth(&self, which: usize, is: impl Fn(Fact) -> bool) -> Option<String> {
        let fitting: Vec<&String> =
            self.facts.iter().filter(|(_, fact)| is(**fact)).map(|(name, _)| name).collect();
        (!fitting.is_empty()).then(|| fitting[which % fitting.len()].clone())
    }
}
