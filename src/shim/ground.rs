//! What the pod's containers stand on: namespaces, network, cgroup, `/dev/shm`, files below `/etc`, volumes; and
//! for each container its root file system with every mount target in place.

mod etc;
mod room;

use std::fs::{DirBuilder, File};
use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use rustix::mount::UnmountFlags;

use super::pause::PidNamespace;
use super::start::Started;
use super::unenforced;
use crate::bundle::{Bind, Ground};
use crate::failpoint;
use crate::image::rootfs::{self, HeldLayers, HostRootMask, Kind};
use crate::image::store::Store;
use crate::model::image::ImageRef;
use crate::model::pod_plan::{
    Access, ContainerPlan, IpcMode, NetworkPlan, PidMode, PodPlan, Privilege, Propagation, VolumePlan,
};
use crate::rundir::{hidden, objects};
use crate::sandbox::sys::identity;
use crate::sandbox::{heat, host_devices, namespace, network};
use crate::volume;

/// Asks for the host's root without its masks.
const HOST_ROOT: &str = "droppod.dev/host-root";

/// Ground that has been made, all of it gone with this process's mount namespace and `tear_down`.
#[derive(Debug)]
pub(super) struct Sandbox {
    shm: PathBuf,
    /// Of `shareProcessNamespace`.
    processes: Option<PidNamespace>,
    /// What the pod was to have and this machine cannot give, in words for its events.
    pub(super) lacks: Vec<String>,
}

impl Sandbox {
    /// That of `shareProcessNamespace`, for a container to be born into.
    pub(super) fn process_namespace(&self) -> io::Result<Option<File>> {
        self.processes.as_ref().map(PidNamespace::open).transpose()
    }

    /// Makes the pod's process namespace anew if it ended with its pid 1, which the kernel may kill for its memory.
    pub(super) fn mend(&mut self, at: &Started, plan: &PodPlan) -> Result<(), GroundError> {
        if self.processes.as_ref().is_some_and(|processes| !processes.is_alive()) {
            self.processes = process_namespace(at, plan)?;
        }
        Ok(())
    }
}

/// Why something could not be made, in words for the pod's author.
#[derive(Debug, thiserror::Error)]
pub(super) enum GroundError {
    #[error("cannot {operation}: {source}")]
    Io { operation: &'static str, source: io::Error },
    #[error(transparent)]
    Volume(#[from] volume::VolumeError),
    #[error("{}", super::with_causes(.0))]
    Rootfs(#[from] rootfs::RootfsError),
    #[error("{}", super::with_causes(.0))]
    Account(#[from] rootfs::AccountError),
    #[error("cannot make {path} in the container: {source}")]
    Target { path: PathBuf, source: io::Error },
}

fn failed(operation: &'static str) -> impl FnOnce(io::Error) -> GroundError {
    move |source| GroundError::Io { operation, source }
}

/// Makes the pod's namespaces, its place on the network, its cgroup and its volumes.
pub(super) fn make(at: &Started, plan: &PodPlan) -> Result<Sandbox, GroundError> {
    let shared = volume::shared::SharedMounts::take(plan)?;
    network::make_ready(&at.places.id, &plan.network, &plan.host_ports)
        .map_err(failed("make the host's network ready for the pod"))?;
    namespace::unshare_pod(plan)
        .and_then(|()| failpoint::reach("namespaces made"))
        .map_err(failed("make the pod's namespaces"))?;
    let pinned = network::attach(&at.host, &at.places.id, &plan.id.uid, &plan.network, &plan.host_ports)
        .map_err(failed("attach the pod to its network"))?;
    let cgroup = at.places.pod_cgroup(&plan.id.uid);
    at.cgroups
        .make(&cgroup, &plan.live.resources)
        .and_then(|()| failpoint::reach("cgroup made"))
        .map_err(failed("make the pod's control group"))?;
    room::mount(&at.pod).map_err(failed("mount what the pod's containers can write to"))?;
    let shm = match plan.ipc {
        IpcMode::Pod => room::mount_shm(&at.pod).map_err(failed("mount the pod's /dev/shm"))?,
        IpcMode::Host => PathBuf::from("/dev/shm"),
    };
    let processes = process_namespace(at, plan)?;
    etc::write(&at.pod.etc(), plan)
        .and_then(|()| failpoint::reach("hosts file written"))
        .map_err(failed("write the pod's hosts file"))?;
    volume::make(plan, &at.pod, &at.places.scratch(&plan.id.uid), &shared)?;
    failpoint::reach("volumes made").map_err(failed("make the pod's volumes"))?;
    // Last, and before any container: a machine that restarts until here has interrupted nothing.
    identity::boot_id()
        .and_then(|boot| objects::mark_launched(&at.places, &plan.id.uid, &boot))
        .map_err(failed("mark the pod as started"))?;
    Ok(Sandbox { shm, processes, lacks: unenforced::by(plan, at.cgroups.controllers(), pinned) })
}

fn process_namespace(at: &Started, plan: &PodPlan) -> Result<Option<PidNamespace>, GroundError> {
    match plan.pid {
        PidMode::Container | PidMode::Host => Ok(None),
        PidMode::Pod => {
            let proc = at.pod.mounts().join("proc");
            // Of a namespace that is no more.
            while rustix::mount::unmount(&proc, UnmountFlags::DETACH).is_ok() {}
            make_directory(&proc, 0o755)
                .and_then(|()| PidNamespace::make(&at.cgroups, &at.places.pod_cgroup(&plan.id.uid), proc))
                .map(Some)
                .map_err(failed("make the pod's process namespace"))
        }
    }
}

/// Kills what is left in the pod's cgroup, goes back to the host's namespaces, gives back the address, removes
/// cgroup and scratch. Doing it twice is fine.
pub(super) fn tear_down(at: &Started, plan: &PodPlan) -> Result<(), GroundError> {
    let cgroup = at.places.pod_cgroup(&plan.id.uid);
    at.cgroups
        .kill(&cgroup)
        .and_then(|()| failpoint::reach("pod killed"))
        .map_err(failed("kill what is left of the pod"))?;
    // From here on none of the pod's mounts is seen, so nothing behind one can be removed.
    at.host
        .enter()
        .and_then(|()| failpoint::reach("mounts left"))
        .map_err(failed("go back to the host's namespaces"))?;
    at.cgroups
        .remove(&cgroup)
        .and_then(|()| failpoint::reach("cgroup removed"))
        .map_err(failed("remove the pod's control group"))?;
    crate::publish::remove_tree(&at.places.scratch(&plan.id.uid))
        .and_then(|()| failpoint::reach("scratch removed"))
        .map_err(failed("remove the pod's scratch space"))?;
    crate::publish::remove_tree(&at.pod.mounts()).map_err(failed("remove the pod's mount points"))?;
    match plan.network {
        NetworkPlan::Bridge { .. } => {
            network::release(&at.places.id, &plan.id.uid)
                .and_then(|()| failpoint::reach("ports closed"))
                .map_err(failed("close the pod's host ports"))?;
        }
        NetworkPlan::Host | NetworkPlan::Loopback => {}
    }
    crate::rundir::lease::release(&at.places, &plan.id.uid)
        .and_then(|()| failpoint::reach("address given back"))
        .map_err(failed("give back the pod's address"))
}

/// Mounts a fresh root for one run of a container and makes every mount target in it.
pub(super) fn prepare(
    at: &Started,
    sandbox: &Sandbox,
    plan: &PodPlan,
    container: &ContainerPlan,
    message: &Path,
) -> Result<(Ground, HeldLayers), GroundError> {
    let root = at.pod.rootfs(&container.name);
    release(at, container);
    make_directory(&root, 0o755).map_err(failed("make a mount point"))?;
    let layers = mount_root(at, plan, container, &root)?;
    failpoint::reach("root mounted").map_err(failed("mount the root"))?;
    let account = rootfs::account(&root, container)?;
    etc::write_message_file(message).map_err(failed("make the termination message file"))?;
    target(&root, &container.termination_message.path, Kind::File)?;
    let working_dir = PathBuf::from(&container.working_dir);
    target(&root, &working_dir, Kind::Directory)?;
    let binds = binds(at, &root, plan, container)?;
    failpoint::reach("targets made").map_err(failed("make the mount targets"))?;
    let etc = at.pod.etc();
    let mut groups = account.groups;
    groups.extend(plan.fs_group);
    let cgroup = at.places.pod_cgroup(&plan.id.uid).join(&container.name);
    let ground = Ground {
        rootfs: root,
        cgroup_view: at.cgroups.view(&cgroup).map_err(failed("make the container's control groups"))?,
        cgroup,
        binds,
        shm: sandbox.shm.clone(),
        hosts: etc.join("hosts"),
        resolv_conf: etc.join("resolv.conf"),
        hostname: etc.join("hostname"),
        termination_message: message.to_owned(),
        uid: account.uid,
        gid: account.gid,
        groups,
        home: account.home,
        shared_proc: sandbox.processes.as_ref().map(|processes| processes.proc.clone()),
        host_devices: match container.security.privilege {
            Privilege::Privileged => {
                host_devices::list(Path::new("/dev")).map_err(failed("list the machine's devices"))?
            }
            Privilege::Ordinary | Privilege::NoEscalation => Vec::new(),
        },
        throttles: heat::throttles(Path::new(heat::PROCESSORS))
            .map_err(failed("look for what tells of the processors' heat"))?,
        controllers: at.cgroups.controllers(),
    };
    Ok((ground, layers))
}

/// Unmounts what a run of a container stood on.
pub(super) fn release(at: &Started, container: &ContainerPlan) {
    let sub_paths = at.pod.mounts().join("sub-path").join(&container.name);
    for index in 0..container.mounts.len() {
        // Not mounted is the usual case, and what is left goes with the mount namespace.
        let _ = rustix::mount::unmount(sub_paths.join(index.to_string()), UnmountFlags::DETACH);
    }
    let root = at.pod.rootfs(&container.name);
    while rustix::mount::unmount(&root, UnmountFlags::DETACH).is_ok() {}
}

/// Its writable layer lies on disc for images, in memory for the host's root: an upper layer cannot lie inside its
/// lower one.
fn mount_root(
    at: &Started,
    plan: &PodPlan,
    container: &ContainerPlan,
    root: &Path,
) -> Result<HeldLayers, GroundError> {
    let mask = match plan.live.annotations.get(HOST_ROOT).map(String::as_str) {
        Some("full") => HostRootMask::Full,
        Some(_) | None => HostRootMask::Masked(
            hidden::read(&at.places).map_err(failed("read what of the machine's root is hidden"))?,
        ),
    };
    let store = Store::at(&at.places.images);
    let above = |layer: &Path| Ok(rootfs::mount(&store, container, &at.places, &mask, layer, root)?);
    match container.image.reference {
        ImageRef::HostRoot => room::with_layer(&at.pod, |room| above(&room.join(&container.name))),
        ImageRef::Registry(_) | ImageRef::Guest(_) | ImageRef::Local { .. } => {
            above(&at.places.scratch(&plan.id.uid).join("root").join(&container.name))
        }
    }
}

fn binds(
    at: &Started,
    root: &Path,
    plan: &PodPlan,
    container: &ContainerPlan,
) -> Result<Vec<Bind>, GroundError> {
    let sub_paths = at.pod.mounts().join("sub-path").join(&container.name);
    let mut binds = Vec::new();
    for (index, mount) in container.mounts.iter().enumerate() {
        let volume = at.pod.volume(&mount.volume);
        let source = match &mount.sub_path {
            Some(sub_path) => {
                let anchor = sub_paths.join(index.to_string());
                volume::sub_path::anchor(&mount.volume, &volume, sub_path, &anchor)?;
                anchor
            }
            None => volume,
        };
        let kind = if source.is_dir() { Kind::Directory } else { Kind::File };
        let target = target(root, &mount.path, kind)?;
        let written_by_us = matches!(plan.volumes.get(&mount.volume), Some(VolumePlan::Files { .. }));
        // As the kubelet has it: a container that could write there could lead our next update astray.
        let access = if written_by_us { Access::ReadOnly } else { mount.access };
        binds.push(Bind { source, target, options: options(access, mount.propagation) });
    }
    Ok(binds)
}

fn options(access: Access, propagation: Propagation) -> Vec<String> {
    let access = match access {
        Access::Writable => "rw",
        Access::ReadOnly => "ro",
        Access::ReadOnlyThroughout => "rro",
    };
    let propagation = match propagation {
        Propagation::None => "rprivate",
        Propagation::HostToContainer => "rslave",
        Propagation::Bidirectional => "rshared",
    };
    ["rbind", access, propagation].map(str::to_owned).to_vec()
}

/// Makes a mount target inside the root, through no symlink that leaves it, and says where it is.
fn target(root: &Path, path: &Path, kind: Kind) -> Result<PathBuf, GroundError> {
    let in_root = |source| GroundError::Target { path: path.to_owned(), source };
    let flags = rustix::fs::OFlags::PATH | rustix::fs::OFlags::DIRECTORY | rustix::fs::OFlags::CLOEXEC;
    let root =
        rustix::fs::open(root, flags, rustix::fs::Mode::empty()).map_err(|error| in_root(error.into()))?;
    let found = rootfs::ensure_target(root.as_fd(), path, kind).map_err(in_root)?;
    Ok(Path::new("/").join(found))
}

fn make_directory(path: &Path, mode: u32) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(mode).create(path)
}
