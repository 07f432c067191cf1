//! `droppod enter`: becomes a process of a container in all but its place in the process namespace, step by step, each
//! before anything of the container can see or touch this process.

use std::convert::Infallible;
use std::fs::File;
use std::io::{self, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::Path;
use std::process::ExitCode;

use oci_spec::runtime::Process;
use rustix::fs::{CWD, Mode, OFlags, ResolveFlags, openat2};
use rustix::process::{DumpableBehavior, Gid, Uid};
use rustix::pty::{OpenptFlags, ioctl_tiocgptpeer, unlockpt};
use rustix::thread::{CapabilitySet, LinkNameSpaceType, move_into_link_name_space, set_capabilities};

use super::Orders;
use crate::sandbox::capability;
use crate::sandbox::cgroup::is_home;
use crate::sandbox::sys::birth::Register;
use crate::sandbox::sys::{descriptor, keyring, prctl, scm};
use crate::shim::birth::{Entrant, only};
use crate::shim::{console, verify};

/// Where it finds what it is handed: the orders, the pipe of the verdict, the register, the namespaces, the doors of the
/// control groups, and three streams or the socket that its terminal's master is sent over.
const FIRST_FD: i32 = 3;

const DEVPTS_MAGIC: u64 = 0x1cd1;
/// Of the node in every devpts.
const PTMX_INODE: u64 = 2;

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
    let orders: Orders = serde_json::from_reader(io::BufReader::new(orders))
        .map_err(|error| format!("cannot read the orders: {error}"))?;
    let process = &orders.process;
    let register = Register::of(handed.next()?);
    let namespaces = [handed.next()?, handed.next()?, handed.next()?];
    let doors = (0..orders.doors).map(|_| handed.next()).collect::<Result<Vec<_>, _>>()?;
    let streams = match process.terminal() {
        Some(true) => Streams::Console(handed.next()?),
        Some(false) | None => Streams::Pipes([handed.next()?, handed.next()?, handed.next()?]),
    };
    keyring::join_new_session().map_err(cannot("make a session keyring"))?;
    // Of version 2 there is one, and who was born behind it need not go through.
    let to_join = if is_home(&orders.cgroup) { Vec::new() } else { doors };
    for door in to_join {
        // 0 is the writer.
        File::from(door).write_all(b"0").map_err(cannot("join the container's control groups"))?;
    }
    let kinds = [LinkNameSpaceType::Mount, LinkNameSpaceType::ControlGroup, LinkNameSpaceType::ProcessID];
    for (namespace, kind) in namespaces.into_iter().zip(kinds) {
        move_into_link_name_space(namespace.as_fd(), Some(kind))
            .map_err(|error| cannot("join the container's namespaces")(error.into()))?;
    }
    streams.connect().map_err(cannot("make a terminal"))?;
    console::fit(process);
    // Whatever else is open, nobody is to find it.
    descriptor::close_all_but(&[verdict.as_fd(), register.as_fd()]);
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
    Entrant { process, lent, filter, loading, verdict: verdict.as_fd(), register: &register }.be_born()
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
    fn connect(self) -> io::Result<()> {
        let [stdin, stdout, stderr] = match self {
            Streams::Pipes(pipes) => pipes,
            Streams::Console(socket) => {
                let (master, terminal) = open_terminal()?;
                scm::send(&socket, b"t", &[master.as_fd()])?;
                [terminal.try_clone()?, terminal.try_clone()?, terminal]
            }
        };
        rustix::stdio::dup2_stdin(&stdin)?;
        rustix::stdio::dup2_stdout(&stdout)?;
        rustix::stdio::dup2_stderr(&stderr)?;
        Ok(())
    }
}

/// A pair of the container's own devpts, whatever the container has put in place of names in `/dev` (CVE-2025-52565).
fn open_terminal() -> io::Result<(OwnedFd, OwnedFd)> {
    let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC;
    let resolve = ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
    let master = File::from(openat2(CWD, "/dev/pts/ptmx", flags, Mode::empty(), resolve)?);
    let found = master.metadata()?;
    let is_devpts = u64::try_from(rustix::fs::fstatfs(&master)?.f_type) == Ok(DEVPTS_MAGIC);
    let is_ptmx = found.file_type().is_char_device() && found.rdev() == libc::makedev(5, 2);
    if !(is_devpts && is_ptmx && found.ino() == PTMX_INODE) {
        return Err(io::Error::other("/dev/pts/ptmx in the container is something else"));
    }
    unlockpt(&master)?;
    let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
    let terminal = ioctl_tiocgptpeer(&master, flags)?;
    Ok((master.into(), terminal))
}
