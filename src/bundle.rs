//! Pod + image configuration → OCI runtime spec.
//!
//! A container has mount and cgroup namespaces of its own and, unless the pod shares it, a PID namespace; network, IPC and UTS
//! namespaces are those of the pod process, which is in the pod's, so the spec does not name them. Nor does it set
//! the hostname, which the pod process has set, nor `oomScoreAdj`, which libcontainer would apply to its caller.

pub(crate) mod devices;
mod limits;
mod mounts;
mod process;
pub(crate) mod seccomp;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};

use oci_spec::OciSpecError;
use oci_spec::runtime::{
    Linux, LinuxBuilder, LinuxNamespace, LinuxNamespaceBuilder, LinuxNamespaceType, Process, RootBuilder,
    Spec, SpecBuilder,
};

pub(crate) use limits::{oom_score_adj, page_size};

use crate::model::pod_plan::{
    ContainerPlan, MountPlan, PidMode, PodPlan, Privilege, Propagation, RootAccess, Stdin,
};

/// What runc and containerd hide, beside what [`Ground::throttles`] finds.
const MASKED: &[&str] = &[
    "/proc/acpi",
    "/proc/asound",
    "/proc/interrupts",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/sched_debug",
    "/proc/scsi",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/sys/devices/virtual/powercap",
    "/sys/firmware",
];

const READ_ONLY: &[&str] =
    &["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger", "/sys/fs/cgroup"];

/// What the pod process has made ready for one container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Ground {
    pub(crate) rootfs: PathBuf,
    /// Below every hierarchy's mount point, `/droppod/<instance>/pods/<uid>/<container>`.
    pub(crate) cgroup: PathBuf,
    /// Source and mount of each volume the container mounts, in order, sources already anchored.
    pub(crate) binds: Vec<Bind>,
    /// The pod's one `/dev/shm`.
    pub(crate) shm: PathBuf,
    pub(crate) hosts: PathBuf,
    pub(crate) resolv_conf: PathBuf,
    pub(crate) hostname: PathBuf,
    /// Host file bound at `terminationMessagePath`.
    pub(crate) termination_message: PathBuf,
    /// Looked up inside the root file system.
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    pub(crate) groups: Vec<u32>,
    pub(crate) home: String,
    /// The `/proc` of the process namespace that the pod's containers share, for `shareProcessNamespace`.
    pub(crate) shared_proc: Option<PathBuf>,
    /// What it sees of its own control groups.
    pub(crate) cgroup_view: CgroupView,
    /// Nodes of the machine's devices, for a privileged container.
    pub(crate) host_devices: Vec<DeviceNode>,
    /// What the kernel tells of each processor's heat, by which one container learns what another does.
    pub(crate) throttles: Vec<String>,
    /// Controllers that this kernel has; limits of others are left out.
    pub(crate) controllers: Controllers,
}

/// How `/sys/fs/cgroup` is filled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum CgroupView {
    /// The one hierarchy of version 2, mounted anew: its root is that of the container's cgroup namespace.
    Unified,
    /// Name and own directory in each hierarchy of version 1. Mounted anew they would be writable.
    Hierarchies(Vec<(String, PathBuf)>),
}

/// A device as it stands in the machine's `/dev`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct DeviceNode {
    pub(crate) path: PathBuf,
    pub(crate) kind: DeviceKind,
    pub(crate) major: u32,
    pub(crate) minor: u32,
    /// Permission bits.
    pub(crate) mode: u32,
    pub(crate) uid: u32,
    pub(crate) gid: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum DeviceKind {
    Character,
    Block,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Bind {
    pub(crate) source: PathBuf,
    pub(crate) target: PathBuf,
    pub(crate) options: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a fact about the kernel, independent of the others"
)]
pub(crate) struct Controllers {
    pub(crate) memory: bool,
    pub(crate) cpu: bool,
    pub(crate) pids: bool,
    pub(crate) devices: bool,
    pub(crate) huge_pages: bool,
}

#[derive(Debug, thiserror::Error)]
pub(crate) enum BundleError {
    #[error("cannot build the runtime spec of container {container}")]
    Spec { container: String, source: oci_spec::OciSpecError },
    #[error("container {container} asks for unknown capability {capability}")]
    Capability { container: String, capability: String },
    #[error("container {container} mounts volume {volume} at {path}, which belongs to the runtime")]
    Mount { container: String, volume: String, path: PathBuf },
}

/// The runtime spec of one container.
pub(crate) fn spec(pod: &PodPlan, container: &ContainerPlan, ground: &Ground) -> Result<Spec, BundleError> {
    refuse_runtime_paths(container, ground)?;
    let terminal = match container.stdin {
        Stdin::Closed | Stdin::Pipe | Stdin::PipeOnce => Terminal::No,
        Stdin::Terminal => Terminal::Yes,
    };
    let process = exec_process(container, ground, &container.argv, terminal)?;
    assemble(pod, container, ground, process)
        .map_err(|source| BundleError::Spec { container: container.name.clone(), source })
}

/// The process of an `exec` in that container: its user, groups, directory, environment, capabilities.
pub(crate) fn exec_process(
    container: &ContainerPlan,
    ground: &Ground,
    argv: &[String],
    terminal: Terminal,
) -> Result<Process, BundleError> {
    process::process(container, ground, argv, terminal)
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Terminal {
    No,
    Yes,
}

/// With a volume in place of `/dev`, libcontainer would make its device nodes and links in the volume, be it the
/// host's own `/dev`; with one in place of `/proc` or a part of it, masks and labels would be written to files that
/// somebody made up (CVE-2019-19921, CVE-2025-52881).
fn refuse_runtime_paths(container: &ContainerPlan, ground: &Ground) -> Result<(), BundleError> {
    let of_runtime =
        |path: &Path| path == Path::new("/dev") || path == Path::new("/") || path.starts_with("/proc");
    // A symlink of the image may lead there, too.
    let targets =
        ground.binds.iter().map(|bind| bind.target.as_path()).map(Some).chain(std::iter::repeat(None));
    let mut mounts = container.mounts.iter().zip(targets);
    match mounts.find(|(mount, target)| of_runtime(&mount.path) || target.is_some_and(of_runtime)) {
        None => Ok(()),
        Some((mount, _)) => Err(BundleError::Mount {
            container: container.name.clone(),
            volume: mount.volume.clone(),
            path: mount.path.clone(),
        }),
    }
}

fn assemble(
    pod: &PodPlan,
    container: &ContainerPlan,
    ground: &Ground,
    process: Process,
) -> Result<Spec, OciSpecError> {
    let read_only = container.security.root == RootAccess::ReadOnly;
    let mut spec = SpecBuilder::default()
        .version("1.0.2")
        .process(process)
        .root(RootBuilder::default().path(ground.rootfs.clone()).readonly(read_only).build()?)
        .mounts(mounts::mounts(pod, container, ground)?)
        .linux(linux(pod, container, ground)?)
        .build()?;
    // The builder starts from examples, not from nothing.
    spec.set_hostname(None).set_annotations(None);
    Ok(spec)
}

fn linux(pod: &PodPlan, container: &ContainerPlan, ground: &Ground) -> Result<Linux, OciSpecError> {
    let mut linux = LinuxBuilder::default()
        .namespaces(namespaces(pod.pid, container.security.privilege)?)
        .cgroups_path(ground.cgroup.clone())
        .build()?;
    let (masked, read_only) = match container.security.privilege {
        Privilege::Privileged => (None, None),
        Privilege::NoEscalation | Privilege::Ordinary => {
            let masked = owned(MASKED).into_iter().chain(ground.throttles.iter().cloned());
            (Some(masked.collect()), Some(owned(READ_ONLY)))
        }
    };
    let devices = match container.security.privilege {
        Privilege::Privileged => Some(devices::nodes(&ground.host_devices)?),
        Privilege::NoEscalation | Privilege::Ordinary => None,
    };
    linux
        .set_masked_paths(masked)
        .set_readonly_paths(read_only)
        .set_devices(devices)
        .set_resources(limits::resources(pod, container, ground)?)
        .set_rootfs_propagation(root_propagation(&container.mounts));
    Ok(linux)
}

fn namespaces(pid: PidMode, privilege: Privilege) -> Result<Vec<LinuxNamespace>, OciSpecError> {
    let new = |typ| LinuxNamespaceBuilder::default().typ(typ).build();
    let mount = new(LinuxNamespaceType::Mount)?;
    let pid = match pid {
        // A shared one is entered last, when the container's root is there.
        PidMode::Host | PidMode::Pod => None,
        PidMode::Container => Some(new(LinuxNamespaceType::Pid)?),
    };
    let cgroup = match privilege {
        Privilege::Privileged => None,
        Privilege::NoEscalation | Privilege::Ordinary => Some(new(LinuxNamespaceType::Cgroup)?),
    };
    Ok([mount].into_iter().chain(pid).chain(cgroup).collect())
}

/// libcontainer knows the words without `r` only, and means them recursively.
fn root_propagation(mounts: &[MountPlan]) -> Option<String> {
    let wants = |propagation| mounts.iter().any(|mount| mount.propagation == propagation);
    if wants(Propagation::Bidirectional) {
        Some("shared".to_owned())
    } else if wants(Propagation::HostToContainer) {
        Some("slave".to_owned())
    } else {
        None
    }
}

fn owned(paths: &[&str]) -> Vec<String> {
    paths.iter().map(|path| (*path).to_owned()).collect()
}
