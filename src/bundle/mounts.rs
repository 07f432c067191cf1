//! What a container sees below its root: kernel file systems, the pod's files, volumes.

use std::path::Path;

use oci_spec::OciSpecError;
use oci_spec::runtime::{Mount, MountBuilder};

use crate::model::pod_plan::{ContainerPlan, IpcMode, PodPlan, Privilege, RootAccess};

use super::{CgroupView, Ground};

/// In the order of mounting, parents before what lies below them. A volume displaces what would be at its place.
pub(super) fn mounts(
    pod: &PodPlan,
    container: &ContainerPlan,
    ground: &Ground,
) -> Result<Vec<Mount>, OciSpecError> {
    let volumes =
        ground.binds.iter().map(|volume| bind(&volume.source, &volume.target, volume.options.iter()));
    let volumes = volumes.collect::<Result<Vec<_>, _>>()?;
    let taken = |mount: &Mount| ground.binds.iter().any(|volume| volume.target == *mount.destination());
    let mut mounts = kernel_mounts(container, ground)?;
    mounts.extend(cgroup_mounts(container, &ground.cgroup_view)?);
    mounts.extend(pod_mounts(pod, container, ground)?);
    mounts.retain(|mount| !taken(mount));
    mounts.extend(volumes);
    // Stable, so that what lies equally deep stays in the order given.
    mounts.sort_by_key(|mount| mount.destination().components().count());
    Ok(mounts)
}

fn kernel_mounts(container: &ContainerPlan, ground: &Ground) -> Result<Vec<Mount>, OciSpecError> {
    let sysfs: &[&str] = match container.security.privilege {
        Privilege::Privileged => &["nosuid", "noexec", "nodev"],
        Privilege::NoEscalation | Privilege::Ordinary => &["nosuid", "noexec", "nodev", "ro"],
    };
    let pts = ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"];
    let proc = match &ground.shared_proc {
        // Mounted anew it would show the processes of whoever mounts it.
        Some(shared) => bind(shared, Path::new("/proc"), ["bind", "nosuid", "noexec", "nodev"])?,
        None => mount("proc", "/proc", &["nosuid", "noexec", "nodev"])?,
    };
    Ok(vec![
        proc,
        // Without it libcontainer makes device nodes in the root file system, where the next run finds them.
        mount("tmpfs", "/dev", &["nosuid", "strictatime", "mode=755", "size=65536k"])?,
        mount("sysfs", "/sys", sysfs)?,
        mount("devpts", "/dev/pts", &pts)?,
        mount("mqueue", "/dev/mqueue", &["nosuid", "noexec", "nodev"])?,
    ])
}

/// A container sees itself as the root of all control groups, and changes none.
fn cgroup_mounts(container: &ContainerPlan, view: &CgroupView) -> Result<Vec<Mount>, OciSpecError> {
    let access = match container.security.privilege {
        Privilege::Privileged => "rw",
        Privilege::NoEscalation | Privilege::Ordinary => "ro",
    };
    let place = Path::new("/sys/fs/cgroup");
    match view {
        CgroupView::Unified => {
            Ok(vec![mount("cgroup", "/sys/fs/cgroup", &["nosuid", "noexec", "nodev", "relatime", access])?])
        }
        CgroupView::Hierarchies(hierarchies) => {
            let around = mount("tmpfs", "/sys/fs/cgroup", &["nosuid", "noexec", "nodev", "mode=755"]);
            let each = hierarchies.iter().map(|(name, directory)| {
                bind(directory, &place.join(name), ["bind", "nosuid", "noexec", "nodev", access])
            });
            std::iter::once(around).chain(each).collect()
        }
    }
}

fn pod_mounts(pod: &PodPlan, container: &ContainerPlan, ground: &Ground) -> Result<Vec<Mount>, OciSpecError> {
    let shm = match pod.ipc {
        IpcMode::Pod => ground.shm.as_path(),
        IpcMode::Host => Path::new("/dev/shm"),
    };
    let access = match container.security.root {
        RootAccess::Writable => "rw",
        RootAccess::ReadOnly => "ro",
    };
    let etc = ["rbind", access];
    Ok(vec![
        bind(shm, Path::new("/dev/shm"), ["rbind", "rw"])?,
        bind(&ground.hosts, Path::new("/etc/hosts"), etc)?,
        bind(&ground.hostname, Path::new("/etc/hostname"), etc)?,
        bind(&ground.resolv_conf, Path::new("/etc/resolv.conf"), etc)?,
        bind(&ground.termination_message, &container.termination_message.path, ["rbind", "rw"])?,
    ])
}

fn mount(kind: &str, target: &str, options: &[&str]) -> Result<Mount, OciSpecError> {
    let options: Vec<String> = options.iter().map(|option| (*option).to_owned()).collect();
    MountBuilder::default().typ(kind).source(kind).destination(target).options(options).build()
}

fn bind(
    source: &Path,
    target: &Path,
    options: impl IntoIterator<Item = impl Into<String>>,
) -> Result<Mount, OciSpecError> {
    let options: Vec<String> = options.into_iter().map(Into::into).collect();
    MountBuilder::default().typ("bind").source(source).destination(target).options(options).build()
}
