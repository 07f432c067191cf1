//! The end of a pod: what it had is taken down, how it ended is put on disc, and its process leaves.

use std::fs::File;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::event_loop::{Course, Owed, Shim};
use super::{ShimError, ground};
use crate::model::observed::{Finished, Interrupted};
use crate::model::record::Outcome;
use crate::pod::{Effect, Event};
use crate::rundir::{objects, pods};
use crate::sandbox::instance::up;
use crate::sandbox::sys::clock;

/// Between two tries of what must not be left undone.
const TRY_AGAIN: Duration = Duration::from_secs(1);

pub(super) fn tear_down(shim: &mut Shim) {
    shim.sandbox = None;
    match ground::tear_down(&shim.at, shim.state.plan()) {
        Ok(()) => shim.happened.push_back(Event::ToreDown),
        Err(error) => owe(shim, Effect::TearDown, &error),
    }
}

pub(super) fn leave(shim: &mut Shim) {
    match try_leave(shim) {
        Ok(()) => shim.course = Course::Left,
        Err(error) => {
            shim.course = Course::Goes;
            owe(shim, Effect::Leave, &error);
        }
    }
}

/// What fails is tried again, however long it takes, and said once for as long as it fails in one way.
fn owe(shim: &mut Shim, effect: Effect, error: &dyn std::error::Error) {
    let why = format!("pod {}: {}", shim.state.plan().id, super::with_causes(error));
    if shim.said.as_ref() != Some(&why) {
        super::say(&why);
        shim.said = Some(why);
    }
    shim.owed = Some(Owed { effect, at: clock::boot() + TRY_AGAIN });
}

/// Nothing is ever written to the pipe of an `up`: readable means that its other end is gone.
fn has_ended(lifeline: Option<&File>) -> bool {
    let now = Timespec { tv_sec: 0, tv_nsec: 0 };
    lifeline.is_some_and(|pipe| matches!(poll(&mut [PollFd::new(pipe, PollFlags::IN)], Some(&now)), Ok(1..)))
}

/// The pod has ended: its end is on disc before anybody can react to it, then its directory goes. The lock is held
/// until this process is gone: whoever sees the directory without it knows that the process died.
fn try_leave(shim: &Shim) -> Result<(), ShimError> {
    let pid = rustix::process::getpid().as_raw_nonzero().get();
    let record = shim.state.record(pid);
    let places = &shim.at.places;
    let uid = &record.id.uid.clone();
    let failed = |operation| move |source| ShimError::Loop { operation, source };
    match record.outcome.clone() {
        Some(outcome @ (Outcome::Succeeded | Outcome::Failed { .. })) => {
            objects::finish(places, uid, &Finished { outcome, record })
                .map_err(failed("record the pod's end"))?;
        }
        Some(Outcome::Interrupted) => {
            // Only told to those who look: it must not keep the pod from leaving.
            let interrupted = Interrupted { at: clock::wall(), record: Some(record) };
            drop(objects::interrupt(places, uid, &interrupted));
        }
        Some(outcome @ Outcome::Deleted) => {
            // The same: who deletes a pod is not to wait for a disc.
            drop(objects::depart(places, uid, &Finished { outcome, record }));
        }
        None => {}
    }
    pods::leave(&shim.at.pod).map_err(failed("remove the pod's directory"))?;
    // Also if the command went just now: until a moment ago this pod was seen to live, and was left to clear up.
    if shim.orphaned || has_ended(shim.at.lifeline.as_ref()) {
        up::retire_orphaned(places).map_err(failed("clear up after the command that is gone"))?;
    }
    Ok(())
}
