//! Pod + image configuration → OCI runtime spec.

use std::path::PathBuf;

use oci_spec::runtime::{Process, Spec};

use crate::model::pod_plan::{ContainerPlan, PodPlan};

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
    /// `/proc/<pid>/ns/pid` of the pod's pid 1, for `shareProcessNamespace`.
    pub(crate) pid_namespace: Option<PathBuf>,
    /// Controllers that this kernel has; limits of others are left out.
    pub(crate) controllers: Controllers,
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
}

#[derive(Debug, thiserror::Error)]
pub(crate) enum BundleError {
    #[error("cannot build the runtime spec of container {container}")]
    Spec { container: String, source: oci_spec::OciSpecError },
    #[error("container {container} asks for unknown capability {capability}")]
    Capability { container: String, capability: String },
}

/// The runtime spec of one container.
pub(crate) fn spec(pod: &PodPlan, container: &ContainerPlan, ground: &Ground) -> Result<Spec, BundleError> {
    let _ = (pod, container, ground);
    unimplemented!()
}

/// The process of an `exec` in that container: its user, groups, directory, environment, capabilities.
pub(crate) fn exec_process(
    container: &ContainerPlan,
    ground: &Ground,
    argv: &[String],
    terminal: Terminal,
) -> Result<Process, BundleError> {
    let _ = (container, ground, argv, terminal);
    unimplemented!()
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Terminal {
    No,
    Yes,
}
