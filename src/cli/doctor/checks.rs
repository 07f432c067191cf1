//! The facts that `doctor` looks at. Looking changes nothing.

use std::error::Error;
use std::fs::read_to_string;
use std::path::Path;

use rustix::fs::{CWD, Mode, OFlags, ResolveFlags};

use crate::cli::input::{Depth, manifests_in};
use crate::cli::report::safe;
use crate::paths::Places;
use crate::rundir::watcher;
use crate::sandbox::cgroup::Cgroups;
use crate::sandbox::mounts;
use crate::sandbox::network::tables::probe;
use crate::sandbox::sys::seccomp;

use super::{Check, Verdict};

const TMPFS_MAGIC: u64 = 0x0102_1994;
/// Bits of `CapEff`, capabilities(7).
const NET_ADMIN: u32 = 12;
const SYS_ADMIN: u32 = 21;
const SYS_RESOURCE: u32 = 24;

pub(super) fn all(places: &Places) -> Vec<Check> {
    let [addresses, frames] = tables();
    let mut checks = vec![
        kernel(),
        sys_admin(),
        capability("CAP_NET_ADMIN", NET_ADMIN, Verdict::Lacks("pods have no network but their own lo")),
        capability(
            "CAP_SYS_RESOURCE",
            SYS_RESOURCE,
            Verdict::Lacks("pod processes cannot be kept from the OOM killer, limits cannot be raised"),
        ),
    ];
    checks.extend(NAMESPACES.map(namespace));
    checks.extend(cgroups());
    checks.extend([
        overlay(),
        seccomp(),
        openat2(),
        pidfd(),
        inotify(),
        bridge(),
        addresses,
        frames,
        run_directory(&places.run),
        directory("state directory", &places.state),
        directory("log directory", &places.log),
    ]);
    checks.extend(unnameable(places));
    checks
}

/// Manifests in watched folders of which no status file can tell, if there are any.
fn unnameable(places: &Places) -> Option<Check> {
    // Without a watcher there is none.
    let watched = watcher::read(places).ok().flatten().map(|watcher| watcher.folders).unwrap_or_default();
    let listed = watched.iter().filter_map(|folder| manifests_in(folder, Depth::Recursive).ok());
    let odd = listed.flat_map(|listed| listed.odd).map(|(path, _)| path);
    let names: Vec<String> =
        odd.filter(|path| path.to_str().is_none()).map(|path| safe(&path.to_string_lossy())).collect();
    let cost = "not read until they are renamed: their paths are not UTF-8";
    (!names.is_empty()).then(|| check("manifests", false, Verdict::Lacks(cost), names.join(", ")))
}

/// What can be told for sure and at once: overlayfs, for one, may be a module that loads when it is asked for.
pub(super) fn indispensable() -> Vec<Check> {
    let mut checks = vec![kernel(), sys_admin()];
    checks.extend(NAMESPACES.map(namespace));
    checks.extend(cgroups());
    checks.extend([openat2(), pidfd()]);
    checks
}

pub(super) const SYS_ADMIN_NAME: &str = "CAP_SYS_ADMIN";
const NAMESPACES: [&str; 5] = ["mnt", "pid", "net", "ipc", "uts"];

fn sys_admin() -> Check {
    let otherwise = Verdict::Stops("namespaces and mounts need it: run as root");
    capability(SYS_ADMIN_NAME, SYS_ADMIN, otherwise)
}

fn check(subject: &'static str, found: bool, otherwise: Verdict, detail: impl Into<String>) -> Check {
    Check { subject, verdict: if found { Verdict::Ok } else { otherwise }, detail: detail.into() }
}

fn kernel() -> Check {
    let release = rustix::system::uname().release().to_string_lossy().into_owned();
    let number = |text: Option<&str>| text.and_then(|text| text.parse::<u32>().ok()).unwrap_or(0);
    let mut parts = release.split(|c: char| !c.is_ascii_digit());
    let version = (number(parts.next()), number(parts.next()));
    let old = Verdict::Stops("containers are mounted by calls of Linux 5.12 and later");
    check("kernel", version >= (5, 12), old, release)
}

fn capability(name: &'static str, bit: u32, otherwise: Verdict) -> Check {
    let status = read_to_string("/proc/self/status").unwrap_or_default();
    let effective = status
        .lines()
        .find_map(|line| line.strip_prefix("CapEff:"))
        .and_then(|hex| u64::from_str_radix(hex.trim(), 16).ok())
        .unwrap_or(0);
    check(name, effective & (1 << bit) != 0, otherwise, "")
}

fn namespace(kind: &'static str) -> Check {
    let subject = match kind {
        "mnt" => "mount namespaces",
        "pid" => "PID namespaces",
        "net" => "network namespaces",
        "ipc" => "IPC namespaces",
        _ => "UTS namespaces",
    };
    let found = Path::new("/proc/self/ns").join(kind).exists();
    check(subject, found, Verdict::Stops("the kernel is built without them"), "")
}

fn cgroups() -> Vec<Check> {
    let layout = layout();
    let Ok(cgroups) = Cgroups::probe() else {
        return vec![check(
            "cgroups",
            false,
            Verdict::Stops("no hierarchy is mounted at /sys/fs/cgroup"),
            layout,
        )];
    };
    let have = cgroups.controllers();
    let devices = cgroups.device_control();
    let lacks = Verdict::Lacks;
    vec![
        check("cgroups", true, Verdict::Ok, layout),
        check("memory controller", have.memory, lacks("memory limits have no effect"), ""),
        check("cpu controller", have.cpu, lacks("cpu limits and requests have no effect"), ""),
        check("pids controller", have.pids, lacks("a fork bomb in a pod is one of the machine"), ""),
        check("hugetlb controller", have.huge_pages, lacks("limits of huge pages have no effect"), ""),
        check(
            "device control",
            devices.is_ok(),
            lacks("device access is limited by capabilities alone"),
            devices.map_or_else(|error| error.to_string(), str::to_owned),
        ),
    ]
}

fn layout() -> String {
    let mounts = mounts::table().unwrap_or_default();
    let has = |kind: &str| mounts.iter().any(|mount| mount.kind == kind);
    match (has("cgroup2"), has("cgroup")) {
        (true, false) => "version 2",
        (true, true) => "hybrid, versions 1 and 2",
        (false, true) => "version 1",
        (false, false) => "none",
    }
    .to_owned()
}

fn overlay() -> Check {
    let known = read_to_string("/proc/filesystems").unwrap_or_default();
    let found = known.lines().any(|line| line.trim_end().ends_with("\toverlay"));
    let otherwise = Verdict::Stops("containers' roots are overlays: load the module with `modprobe overlay`");
    check("overlayfs", found, otherwise, "")
}

fn seccomp() -> Check {
    let otherwise = Verdict::Lacks("only containers with `seccompProfile: {type: Unconfined}` run");
    check("seccomp", seccomp::is_available(), otherwise, "")
}

fn openat2() -> Check {
    let opened = rustix::fs::openat2(
        CWD,
        "/",
        OFlags::PATH | OFlags::CLOEXEC,
        Mode::empty(),
        ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS,
    );
    check("openat2", opened.is_ok(), Verdict::Stops("images cannot be unpacked safely (Linux 5.6)"), "")
}

fn pidfd() -> Check {
    let own = rustix::process::getpid();
    let opened = rustix::process::pidfd_open(own, rustix::process::PidfdFlags::empty());
    check("pidfd", opened.is_ok(), Verdict::Stops("processes cannot be followed (Linux 5.3)"), "")
}

fn inotify() -> Check {
    let limit = |name: &str| {
        let path = format!("/proc/sys/fs/inotify/{name}");
        read_to_string(path).map_or_else(|_| "?".to_owned(), |text| text.trim().to_owned())
    };
    let detail = format!("{} instances, {} watches", limit("max_user_instances"), limit("max_user_watches"));
    let opened = rustix::fs::inotify::init(rustix::fs::inotify::CreateFlags::CLOEXEC);
    check("inotify", opened.is_ok(), Verdict::Lacks("changes are seen at the next scan only"), detail)
}

fn bridge() -> Check {
    // There once the module is loaded or built in; loading it is the kernel's own doing when a bridge is made.
    let loaded = Path::new("/sys/module/bridge").exists() || Path::new("/proc/sys/net/bridge").exists();
    let detail =
        if loaded { "" } else { "not loaded yet; the kernel loads it when the first bridge is made" };
    check("bridge", true, Verdict::Ok, detail)
}

fn tables() -> [Check; 2] {
    let (addresses, frames) = probe();
    let told = |answer: &std::io::Result<()>| match answer {
        Ok(()) => String::new(),
        Err(error) => error.source().map_or_else(|| error.to_string(), ToString::to_string),
    };
    [
        check(
            "nf_tables",
            addresses.is_ok(),
            Verdict::Lacks("pods have no network but their own lo, and no host ports"),
            told(&addresses),
        ),
        check(
            "bridge filter",
            frames.is_ok(),
            Verdict::Lacks(
                "pods on the bridge can send under each other's addresses (CONFIG_NF_TABLES_BRIDGE)",
            ),
            told(&frames),
        ),
    ]
}

fn run_directory(run: &Path) -> Check {
    let detail = run.display().to_string();
    match nearest(run) {
        Some(present) if present == run => {
            let tmpfs = rustix::fs::statfs(run).is_ok_and(|fs| u64::try_from(fs.f_type) == Ok(TMPFS_MAGIC));
            let cost = "records wear the disc; `droppod watch` mounts a tmpfs here when it starts";
            check("run directory", tmpfs, Verdict::Lacks(cost), detail)
        }
        Some(_) | None => check("run directory", true, Verdict::Ok, format!("{detail}, not made yet")),
    }
}

fn directory(subject: &'static str, path: &Path) -> Check {
    let Some(present) = nearest(path) else {
        return check(subject, false, Verdict::Stops("it cannot be made"), path.display().to_string());
    };
    let writable = rustix::fs::access(present, rustix::fs::Access::WRITE_OK).is_ok();
    let detail = if present == path { "" } else { ", not made yet" };
    let otherwise = Verdict::Stops("it cannot be written to");
    check(subject, writable, otherwise, format!("{}{detail}", path.display()))
}

fn nearest(path: &Path) -> Option<&Path> {
    path.ancestors().find(|path| path.exists())
}
