//! `goal.json`: what a pod process is told. Replaced whole by whoever directs the pod, `watch`, `up`, `down` or
//! `delete`, who then knocks at the control socket: any connection makes the pod process look again. An inotify
//! instance for each pod would be the other way, and there are 128 of them for a user.

use std::io::{self, Write};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;

use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, connect, socket_with};
use serde::{Deserialize, Serialize};

use super::control::Request;
use crate::failpoint;
use crate::model::id::InstanceId;
use crate::model::pod_plan::PodPlan;
use crate::model::record::StopReason;
use crate::paths::{Places, PodDir};
use crate::publish::{Durability, Published, publish_json, read_json};

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Goal {
    pub(crate) format: u32,
    pub(crate) plan: PodPlan,
    pub(crate) stop: Option<StopOrder>,
    pub(crate) places: GoalPlaces,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct StopOrder {
    pub(crate) why: StopReason,
    /// Seconds, in place of the plan's.
    pub(crate) grace: Option<u32>,
}

/// The instance's directories, so that a pod process needs no other argument than its own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct GoalPlaces {
    pub(crate) instance: InstanceId,
    pub(crate) state: PathBuf,
    pub(crate) run: PathBuf,
    pub(crate) log: PathBuf,
    pub(crate) images: PathBuf,
}

impl GoalPlaces {
    pub(crate) fn of(places: &Places) -> Self {
        GoalPlaces {
            instance: places.id.clone(),
            state: places.state.clone(),
            run: places.run.clone(),
            log: places.log.clone(),
            images: places.images.clone(),
        }
    }

    pub(crate) fn places(&self) -> Places {
        Places {
            state: self.state.clone(),
            run: self.run.clone(),
            log: self.log.clone(),
            images: self.images.clone(),
            id: self.instance.clone(),
        }
    }
}

pub(crate) fn write(pod: &PodDir, goal: &Goal) -> io::Result<Published> {
    let published = publish_json(&pod.goal(), goal, Durability::Volatile)?;
    failpoint::reach("goal published")?;
    // Though it said the same before: whoever wrote that may have died right here.
    knock(pod);
    Ok(published)
}

/// Nobody at the door is a pod process that is still starting, and reads the goal once it listens. Where many wait at it
/// already, because the process gets no processor time, one more is of no use and must not wait too.
pub(crate) fn knock(pod: &PodDir) {
    let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
    let _ = SocketAddrUnix::new(pod.socket()).and_then(|door| {
        let visitor = socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
        connect(&visitor, &door)
    });
}

pub(crate) fn read(pod: &PodDir) -> io::Result<Option<Goal>> {
    read_json(&pod.goal())
}

/// Adds a stop order to the goal in force. An order to delete is not taken back by one to interrupt. Where the run
/// directory has no room for that, the pod is told by word, and its goal stays as it is.
pub(crate) fn order_stop(pod: &PodDir, order: StopOrder) -> io::Result<Published> {
    let Some(mut goal) = read(pod)? else { return Ok(Published::Unchanged) };
    let stronger = goal
        .stop
        .as_ref()
        .is_none_or(|present| present.why != StopReason::Deleted || order.why == StopReason::Deleted);
    if stronger {
        goal.stop = Some(order);
    }
    let ordered = write(pod, &goal).or_else(|error| match goal.stop {
        // The first failure is the one to tell.
        Some(order) => tell_stop(pod, order).map_err(|_| error),
        None => Err(error),
    })?;
    failpoint::reach("stop ordered")?;
    Ok(ordered)
}

fn tell_stop(pod: &PodDir, order: StopOrder) -> io::Result<Published> {
    let mut line = serde_json::to_vec(&Request::Stop(order))?;
    line.push(b'\n');
    UnixStream::connect(pod.socket())?.write_all(&line)?;
    Ok(Published::Unchanged)
}
