//! `droppod enter`: becomes a process of a container in all but its place in the process namespace, step by step, each
//! before anything of the container can see or touch this process.

use std::convert::Infallible;
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::process::ExitCode;

use oci_spec::runtime::Process;
use rustix::fs::{CWD, Mode, OFlags, ResolveFlags, openat2};
use rustix::process::{DumpableBehavior, Gid, Uid};
use rustix::thread::{CapabilitySet, LinkNameSpaceType, move_into_link_name_space, set_capabilities};

use super::Orders;
use crate::sandbox::capability;
use crate::sandbox::cgroup::is_home;
use crate::sandbox::oom;
use crate::sandbox::sys::birth::Register;
use crate::sandbox::sys::{descriptor, keyring, prctl, scm};
use crate::shim::birth::{Entrant, only, pass};
use crate::shim::streams::{self, Nodes};
use crate::shim::{console, verify};

/// Where it finds what it is handed: the orders, the pipe of the verdict, the register, the namespaces, the doors of the
/// control groups, and three streams or the socket that its terminal's master is sent over.
const FIRST_FD: i32 = 3;

struct Handed(i32);

impl Handed {
    fn next(&mut self) -> Result<OwnedFd, String> {
        let taken = descriptor::inherited(self.0).ok_or("this is started by pod processes only")?;
        self.0 += 1;
        Ok(taken)
    }
}

/// One thread, and nobody who waits for more than its end.
pub(crate) fn main() -> ExitCode {
    let mut handed = Handed(FIRST_FD);
    let (Ok(orders), Ok(verdict)) = (handed.next(), handed.next()) else { return ExitCode::FAILURE };
    match become_part(File::from(orders), handed, &verdict) {
        Ok(never) => match never {},
        Err(why) => {
            // A reason that nobody reads any more is of no use to anybody.
            let _ = rustix::io::write(&verdict, why.as_bytes());
            ExitCode::FAILURE
        }
    }
}

fn become_part(orders: File, mut handed: Handed, verdict: &OwnedFd) -> Result<Infallible, String> {
    let cannot = |what: &'static str| move |error: io::Error| format!("cannot {what}: {error}");
    prctl::die_with_parent().map_err(cannot("make the process end with its pod"))?;
    rustix::process::set_dumpable_behavior(DumpableBehavior::NotDumpable)
        .map_err(|error| cannot("keep others from looking into the process")(error.into()))?;
    let orders = read_orders(orders).map_err(cannot("read the orders"))?;
    let process = &orders.process;
    // Where it is refused, an event of the container has told so when it started.
    drop(oom::set_own(orders.score));
    let register = Register::of(handed.next()?);
    let namespaces = [handed.next()?, handed.next()?, handed.next()?];
    let (early, late) = orders.doors;
    let early = (0..early).map(|_| handed.next()).collect::<Result<Vec<_>, _>>()?;
    let doors = (0..late).map(|_| handed.next()).collect::<Result<Vec<_>, _>>()?;
    let streams = match process.terminal() {
        Some(true) => Streams::Console(handed.next()?),
        Some(false) | None => Streams::Pipes([handed.next()?, handed.next()?, handed.next()?]),
    };
    keyring::join_new_session().map_err(cannot("make a session keyring"))?;
    let nodes = Nodes::new().map_err(cannot("find this process's descriptors"))?;
    if !orders.unified.is_some_and(|cgroup| is_home(&cgroup)) {
        pass(&early)?;
    }
    // What has an owner must not be closed behind its back, below: whoever fails then closes it again.
    drop(early);
    let kinds = [LinkNameSpaceType::Mount, LinkNameSpaceType::ControlGroup, LinkNameSpaceType::ProcessID];
    for (namespace, kind) in namespaces.into_iter().zip(kinds) {
        move_into_link_name_space(namespace.as_fd(), Some(kind))
            .map_err(|error| cannot("join the container's namespaces")(error.into()))?;
    }
    streams.connect(&nodes, process.user().uid()).map_err(cannot("connect the standard streams"))?;
    console::fit(process);
    drop(nodes);
    // Whatever else is open, nobody is to find it.
    let kept = [verdict.as_fd(), register.as_fd()].into_iter().chain(doors.iter().map(AsFd::as_fd));
    descriptor::close_all_but(&kept.collect::<Vec<_>>());
    if let Some(mask) = process.user().umask() {
        rustix::process::umask(Mode::from_raw_mode(mask));
    }
    let stayed_out = change_directory(process.cwd());
    let lent = take_on_user(process).map_err(cannot("take on the user"))?;
    if stayed_out.is_err() {
        // A file system may keep root out and let the user in.
        change_directory(process.cwd()).map_err(|error| {
            format!("cannot change to the working directory {}: {error}", process.cwd().display())
        })?;
    }
    verify::process(process, lent)?;
    let (filter, loading) = (orders.filter.as_ref(), orders.loading);
    Entrant { process, lent, filter, loading, verdict: verdict.as_fd(), register: &register, doors: &doors }
        .be_born()
}

fn read_orders(mut file: File) -> io::Result<Orders> {
    // In one piece, which is read several times as fast as a stream.
    let mut text = Vec::new();
    file.read_to_end(&mut text)?;
    Ok(serde_json::from_slice(&text)?)
}

/// No link of the container's making leads anywhere but into the container: those of `/proc` to somebody's directory or
/// descriptor are not followed (CVE-2024-21626).
fn change_directory(path: &Path) -> io::Result<()> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let directory = openat2(CWD, path, flags, Mode::empty(), ResolveFlags::NO_MAGICLINKS)?;
    rustix::process::fchdir(&directory)?;
    let reached = rustix::process::getcwd(Vec::new())?;
    if reached.to_bytes().starts_with(b"/") {
        Ok(())
    } else {
        Err(io::Error::new(io::ErrorKind::NotFound, "it lies outside of the container"))
    }
}

/// Bounding set, groups, user; then no more is permitted than the program is to have, and CAP_SYS_ADMIN for its filter,
/// which is given back if it is only lent.
fn take_on_user(process: &Process) -> io::Result<CapabilitySet> {
    let asked = process.capabilities().as_ref();
    let bounding = verify::set(asked.and_then(|sets| sets.bounding().as_ref()).into_iter().flatten());
    let permitted = verify::set(asked.and_then(|sets| sets.permitted().as_ref()).into_iter().flatten());
    capability::renounce(capability::bounding()? - bounding)?;
    let user = process.user();
    let groups: Vec<Gid> =
        user.additional_gids().iter().flatten().map(|group| Gid::from_raw(*group)).collect();
    rustix::thread::set_thread_groups(&groups)?;
    let (uid, gid) = (Uid::from_raw(user.uid()), Gid::from_raw(user.gid()));
    rustix::thread::set_thread_res_gid(gid, gid, gid)?;
    rustix::thread::set_keep_capabilities(true)?;
    rustix::thread::set_thread_res_uid(uid, uid, uid)?;
    rustix::thread::set_keep_capabilities(false)?;
    set_capabilities(None, only(permitted | CapabilitySet::SYS_ADMIN))?;
    if process.no_new_privileges() == Some(true) {
        rustix::thread::set_no_new_privs(true)?;
    }
    Ok(CapabilitySet::SYS_ADMIN - permitted)
}

enum Streams {
    Pipes([OwnedFd; 3]),
    /// Takes the master of a terminal.
    Console(OwnedFd),
}

impl Streams {
    /// To be called when the container's mounts are joined, by who may give them away.
    fn connect(self, nodes: &Nodes, uid: u32) -> io::Result<()> {
        let [stdin, stdout, stderr] = match self {
            Streams::Pipes(pipes) => pipes,
            Streams::Console(socket) => {
                let (master, terminal) = nodes.terminal()?;
                streams::give_terminal(&master, uid);
                scm::send(&socket, b"t", &[master.as_fd()])?;
                [terminal.try_clone()?, terminal.try_clone()?, terminal]
            }
        };
        for stream in [&stdin, &stdout, &stderr] {
            streams::give(stream, uid);
        }
        rustix::stdio::dup2_stdin(nodes.in_place_of_hosts(stdin)?)?;
        rustix::stdio::dup2_stdout(nodes.in_place_of_hosts(stdout)?)?;
        rustix::stdio::dup2_stderr(nodes.in_place_of_hosts(stderr)?)?;
        Ok(())
    }
}
