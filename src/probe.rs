//! `droppod probe`: the short-lived child of a pod process that makes one call over the pod's network. What answers is
//! the container's to choose, so this process can do nothing else: no capability, nobody's user, no file, no child.
//!
//! Its exit code is the verdict; what it prints is why. A success that says something is a warning.

mod grpc;
mod http;
mod target;
mod wire;

use std::fs::File;
use std::io::{self, Read, Write};
use std::process::ExitCode;

use rustix::process::{DumpableBehavior, Gid, Resource, Rlimit, Uid, setrlimit};
use rustix::thread::{CapabilitySet, CapabilitySets};

use crate::model::handler::{Call, CallOrder, Verdict};
use crate::sandbox::capability;
use crate::sandbox::sys::{descriptor, prctl};

use wire::{Deadline, dial};

pub(crate) const SUCCESS: i32 = 0;
pub(crate) const FAILURE: i32 = 1;
const UNKNOWN: i32 = 2;

/// Where it finds its order.
const ORDER_FD: i32 = 3;
const NOBODY: u32 = 65_534;

const LIMITS: &[(Resource, u64)] = &[
    (Resource::As, 256 * 1024 * 1024),
    (Resource::Core, 0),
    (Resource::Cpu, 5),
    (Resource::Fsize, 0),
    (Resource::Nofile, 16),
    (Resource::Nproc, 0),
];

pub(crate) fn main() -> ExitCode {
    let verdict = prepare().map_or_else(
        |error| Verdict::Unknown(format!("cannot prepare the probe's process: {error}")),
        |order| carry_out(&order),
    );
    let (code, said) = match verdict {
        Verdict::Success => (SUCCESS, String::new()),
        Verdict::Warning(why) => (SUCCESS, why),
        Verdict::Failure(why) => (FAILURE, why),
        Verdict::Unknown(why) => (UNKNOWN, why),
    };
    // A reader that is gone does not want to know.
    io::stdout().write_all(said.as_bytes()).ok();
    ExitCode::from(u8::try_from(code).unwrap_or(u8::MAX))
}

fn prepare() -> io::Result<CallOrder> {
    let order = descriptor::inherited(ORDER_FD)
        .ok_or_else(|| io::Error::other("this is started by pod processes only"))?;
    become_nobody()?;
    let mut text = Vec::new();
    File::from(order).read_to_end(&mut text)?;
    Ok(serde_json::from_slice(&text)?)
}

fn become_nobody() -> io::Result<()> {
    rustix::process::set_dumpable_behavior(DumpableBehavior::NotDumpable)?;
    for (resource, limit) in LIMITS {
        setrlimit(*resource, Rlimit { current: Some(*limit), maximum: Some(*limit) })?;
    }
    capability::renounce(capability::bounding()?)?;
    // One thread: its credentials are the process's.
    let (user, group) = (Uid::from_raw(NOBODY), Gid::from_raw(NOBODY));
    rustix::thread::set_thread_groups(&[])?;
    rustix::thread::set_thread_res_gid(group, group, group)?;
    rustix::thread::set_thread_res_uid(user, user, user)?;
    let none = CapabilitySet::empty();
    let sets = CapabilitySets { effective: none, permitted: none, inheritable: none };
    rustix::thread::set_capabilities(None, sets)?;
    rustix::thread::set_no_new_privs(true)?;
    // Last: a change of credentials undoes it.
    prctl::die_with_parent()
}

fn carry_out(order: &CallOrder) -> Verdict {
    let deadline = Deadline::within(order.timeout);
    match &order.call {
        Call::Http { scheme, host, port, path, headers } => {
            let target = target::Target::new(*scheme, host, *port, path);
            http::get(target, headers, order.judged, deadline)
        }
        Call::Tcp { host, port } => match dial(host, *port, deadline) {
            Ok(_) => Verdict::Success,
            Err(error) => Verdict::Failure(error.to_string()),
        },
        Call::Grpc { scheme, host, port, service } => grpc::check(*scheme, host, *port, service, deadline),
    }
}
