//! Waits for something to happen, tells the state machine, does what it says, publishes what came of it.

use std::collections::{BTreeMap, VecDeque};
use std::os::fd::{AsFd, BorrowedFd};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::again::{self, Again};
use super::audience::Audience;
use super::control::{self, Connection};
use super::end::{self, Remains};
use super::enter::Straggler;
use super::execute::{self, Running};
use super::farewell::{self, Farewell};
use super::ground::Sandbox;
use super::handler::{self, Handler};
use super::leave;
use super::session::{self, Session};
use super::start::Started;
use super::{ShimError, attach};
use crate::logs::write::Stream;
use crate::model::handler::Errand;
use crate::model::record::StopReason;
use crate::model::time::Moment;
use crate::pod::{Effect, Event, PodState};
use crate::rundir::goal::{self, Goal, StopOrder};
use crate::rundir::{pods, starts};
use crate::sandbox::sys::clock;

/// How often a container that waits for the reader of its log looks whether that has gone on. Its files hold more than it
/// can write meanwhile.
const LOOK_AT_READER: Duration = Duration::from_millis(50);

pub(super) struct Shim {
    pub(super) at: Started,
    pub(super) state: PodState,
    pub(super) sandbox: Option<Sandbox>,
    pub(super) running: BTreeMap<String, Running>,
    pub(super) remains: BTreeMap<String, Remains>,
    /// To those who were attached to containers that have ended.
    pub(super) farewells: Vec<Farewell>,
    pub(super) connections: Vec<Connection>,
    pub(super) sessions: Vec<Session>,
    /// Probes and hooks under way.
    pub(super) handlers: Vec<Handler>,
    /// Killed on their way into a container, and not gone yet.
    pub(super) stragglers: Vec<Straggler>,
    /// What effects led to, not told to the state machine yet.
    pub(super) happened: VecDeque<Event>,
    /// The `up` that this pod belongs to is gone: whoever is last clears up after it.
    pub(super) orphaned: bool,
    /// What could not be done for now, such as an end that a full disc did not take.
    pub(super) owed: Option<Owed>,
    pub(super) again: Again,
    /// Why, as it was said last.
    pub(super) said: Option<String>,
    pub(super) course: Course,
}

/// Whether this process goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Course {
    Goes,
    /// Once nobody is left to say farewell to.
    Leaves,
    Left,
}

/// An effect that is done again until it succeeds.
#[derive(Debug)]
pub(super) struct Owed {
    pub(super) effect: Effect,
    pub(super) at: Moment,
}

/// A source that can be ready.
#[derive(Debug, Clone)]
enum Source {
    Signals,
    Lifeline,
    Listener,
    Connection(usize),
    Session(usize),
    /// Of a session whose process has not entered its container yet.
    Caller(usize),
    Output(String, Stream),
    /// Somebody attached takes output again.
    Behind(String),
    /// Somebody attached says something.
    Attached(String),
    /// Somebody takes the rest of a container's output.
    Farewell(usize),
    Verdict(String),
    Handler(Errand),
}

impl Source {
    fn flags(&self) -> PollFlags {
        match self {
            Source::Behind(_) | Source::Farewell(_) => PollFlags::OUT,
            // What it says can wait; only whether it is still there is seen.
            Source::Caller(_) => PollFlags::empty(),
            Source::Signals
            | Source::Lifeline
            | Source::Listener
            | Source::Connection(_)
            | Source::Session(_)
            | Source::Output(..)
            | Source::Attached(_)
            | Source::Handler(_)
            | Source::Verdict(_) => PollFlags::IN,
        }
    }
}

pub(super) fn run(started: Started) -> Result<(), ShimError> {
    // What cannot be read of earlier processes is history only.
    let before = starts::read(&started.places, &started.goal.plan.id.uid).ok().flatten().unwrap_or_default();
    let (state, effects) = PodState::new(started.goal.plan.clone(), &before.past, clock::now());
    let mut shim = Shim {
        at: started,
        state,
        sandbox: None,
        running: BTreeMap::new(),
        remains: BTreeMap::new(),
        farewells: Vec::new(),
        connections: Vec::new(),
        sessions: Vec::new(),
        handlers: Vec::new(),
        stragglers: Vec::new(),
        happened: VecDeque::new(),
        orphaned: false,
        owed: None,
        again: Again::default(),
        said: None,
        course: Course::Goes,
    };
    publish(&mut shim);
    for effect in effects {
        execute::execute(&mut shim, effect);
    }
    // A stop may have been ordered before this process began to watch.
    look_at_goal(&mut shim);
    loop {
        settle(&mut shim);
        if shim.course == Course::Leaves && shim.farewells.is_empty() {
            leave::leave(&mut shim);
            if shim.course == Course::Goes {
                publish(&mut shim);
            }
        }
        if shim.course == Course::Left {
            return Ok(());
        }
        again::try_due(&mut shim, clock::boot());
        let ready =
            wait(&shim).map_err(|error| ShimError::Loop { operation: "wait", source: error.into() })?;
        for source in ready {
            serve(&mut shim, source);
        }
        shim.connections.retain(Connection::is_open);
        shim.sessions.retain(Session::is_open);
        for running in shim.running.values_mut() {
            running.output.look_at_reader();
        }
        let now = clock::boot();
        farewell::say_due(&mut shim.farewells, now);
        session::end_late(&mut shim, now);
        handler::end_late(&mut shim, now);
        if shim.state.wake_at().is_some_and(|due| due <= now) {
            shim.happened.push_back(Event::Tick);
        }
        if let Some(owed) = shim.owed.take_if(|owed| owed.at <= now) {
            execute::execute(&mut shim, owed.effect);
        }
    }
}

/// Tells the state machine everything that has happened, and does what it says, until nothing more happens. Handlers are
/// begun once: what comes of them by itself waits for a look around, or a pod whose probes are always due would see nothing
/// else.
fn settle(shim: &mut Shim) {
    let mut changed = false;
    let mut begun = false;
    while !begun && let Some(event) = shim.happened.pop_front() {
        let (state, effects) = shim.state.step(event, clock::now());
        // Most probes change nothing that anybody could see.
        changed |= state != shim.state && state.record(0) != shim.state.record(0);
        shim.state = state;
        for effect in effects {
            begun |= matches!(effect, Effect::RunHandler { .. });
            execute::execute(shim, effect);
        }
    }
    // The end is published by its record: that is on disc before anybody can react to it.
    if changed && shim.course == Course::Goes {
        publish(shim);
    }
}

pub(super) fn publish(shim: &mut Shim) {
    let pid = rustix::process::getpid().as_raw_nonzero().get();
    // tmpfs may be full.
    shim.again.unpublished = pods::write_record(&shim.at.pod, &shim.state.record(pid)).is_err();
}

fn wait(shim: &Shim) -> rustix::io::Result<Vec<Source>> {
    let mut sources: Vec<(Source, BorrowedFd<'_>)> = vec![(Source::Signals, shim.at.signals.as_fd())];
    if control::has_room(shim) {
        sources.push((Source::Listener, shim.at.control.as_fd()));
    }
    sources.extend(shim.at.lifeline.iter().map(|pipe| (Source::Lifeline, pipe.as_fd())));
    for (at, connection) in shim.connections.iter().enumerate() {
        sources.push((Source::Connection(at), connection.as_fd()));
    }
    for (at, session) in shim.sessions.iter().enumerate() {
        let source = if session.until().is_some() { Source::Caller(at) } else { Source::Session(at) };
        sources.push((source, session.as_fd()));
    }
    for (name, running) in &shim.running {
        for (stream, pipe) in running.output.descriptors() {
            sources.push((Source::Output(name.clone(), stream), pipe));
        }
        if let Audience::Present(attached) = &running.output.audience {
            sources.push((Source::Attached(name.clone()), attached.stream.as_fd()));
        }
        sources.extend(running.output.audience.behind().map(|pipe| (Source::Behind(name.clone()), pipe)));
        sources.extend(running.verdict.iter().map(|pipe| (Source::Verdict(name.clone()), pipe.as_fd())));
    }
    for (at, farewell) in shim.farewells.iter().enumerate() {
        sources.extend(farewell.behind().map(|pipe| (Source::Farewell(at), pipe)));
    }
    for handler in &shim.handlers {
        sources.extend(handler.output().map(|pipe| (Source::Handler(handler.errand.clone()), pipe)));
    }
    let mut polled: Vec<PollFd<'_>> =
        sources.iter().map(|(source, fd)| PollFd::from_borrowed_fd(*fd, source.flags())).collect();
    match poll(&mut polled, timeout(shim).as_ref()) {
        Ok(_) | Err(rustix::io::Errno::INTR) => {}
        Err(error) => return Err(error),
    }
    let ready: Vec<bool> = polled.iter().map(|fd| !fd.revents().is_empty()).collect();
    Ok(sources.into_iter().zip(ready).filter(|(_, ready)| *ready).map(|((source, _), _)| source).collect())
}

/// Until the next deadline; for ever if there is none, and not at all if something has happened already.
fn timeout(shim: &Shim) -> Option<Timespec> {
    if !shim.happened.is_empty() {
        return Some(Timespec { tv_sec: 0, tv_nsec: 0 });
    }
    let owed = shim.owed.as_ref().map(|owed| owed.at);
    let is_held = shim.running.values().any(|running| running.output.is_held());
    let held = is_held.then(|| clock::boot() + LOOK_AT_READER);
    let farewells = shim.farewells.iter().map(Farewell::until);
    let sessions = shim.sessions.iter().filter_map(Session::until);
    let entering = shim.handlers.iter().filter_map(Handler::until).chain(sessions);
    let others = owed.into_iter().chain(shim.again.at()).chain(held).chain(farewells).chain(entering);
    let all = shim.state.wake_at().into_iter().chain(others);
    let due = all.min()? - clock::boot();
    // One millisecond on top: waking before the deadline would only mean waking twice.
    Timespec::try_from(due + Duration::from_millis(1)).ok()
}

fn serve(shim: &mut Shim, source: Source) {
    let now = clock::wall();
    match source {
        Source::Signals => serve_signals(shim),
        Source::Lifeline => {
            // Nothing is ever written to it: readable means that its other end is gone.
            shim.at.lifeline = None;
            shim.orphaned = true;
            shim.running.values_mut().for_each(|running| running.output.forget_reader());
            shim.happened.push_back(Event::StopAsked { why: StopReason::Interrupted, grace: None });
        }
        Source::Listener => {
            control::accept(shim);
            look_at_goal(shim);
        }
        Source::Connection(at) => control::serve(shim, at),
        Source::Session(at) | Source::Caller(at) => session::serve(shim, at),
        Source::Output(name, stream) => {
            if let Some(running) = shim.running.get_mut(&name) {
                running.output.read(stream, now);
            }
        }
        Source::Behind(name) => {
            if let Some(running) = shim.running.get_mut(&name) {
                running.output.audience.pass_on();
            }
        }
        Source::Attached(name) => attach::serve(shim, &name),
        Source::Farewell(at) => {
            if let Some(farewell) = shim.farewells.get_mut(at) {
                farewell.pass_on();
            }
        }
        Source::Verdict(name) => end::hear_verdict(shim, &name),
        Source::Handler(errand) => handler::serve(shim, &errand),
    }
}

fn serve_signals(shim: &mut Shim) {
    // A signal that cannot be read comes again or was SIGCHLD, and children are looked for anyway.
    for number in shim.at.signals.read().unwrap_or_default() {
        if number != libc::SIGCHLD {
            shim.happened.push_back(Event::StopAsked { why: StopReason::Interrupted, grace: None });
        }
    }
    super::reap::reap_all(shim);
}

/// Compares the goal with what this process knows of it. Looking twice changes nothing.
pub(super) fn look_at_goal(shim: &mut Shim) {
    // A goal that cannot be read is replaced by the next one; the pod lives on with the one it has.
    let Ok(Some(Goal { plan, stop, .. })) = goal::read(&shim.at.pod) else { return };
    if plan != shim.at.goal.plan {
        shim.happened.push_back(Event::PlanChanged(Box::new(plan.clone())));
        shim.at.goal.plan = plan;
    }
    if let Some(order) = stop {
        heed(shim, order);
    }
}

/// What was ordered by word stays ordered, though the goal says nothing of it.
pub(super) fn heed(shim: &mut Shim, order: StopOrder) {
    if shim.at.goal.stop.as_ref() != Some(&order) {
        shim.happened.push_back(Event::StopAsked { why: order.why, grace: order.grace });
        shim.at.goal.stop = Some(order);
    }
}
