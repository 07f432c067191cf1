//! What a pod process is given: every reference resolved, every default applied, nothing left to look up.
//!
//! Fields are grouped by what a change of them does to a living pod. `live` is taken over in place; a changed
//! `image.authored` restarts that container; everything else makes another pod. Changes are told by `Revision`,
//! which hashes only what the author wrote, so a newer droppod with other defaults replaces nothing.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::handler::{Hooks, Probes};
use super::id::PodId;
use super::image::{ImageRef, StoredImage};
use super::port::HostPort;

#[cfg(test)]
pub(crate) mod sample;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct PodPlan {
    pub(crate) id: PodId,
    pub(crate) revision: Revision,
    pub(crate) live: Live,
    pub(crate) restart_policy: RestartPolicy,
    pub(crate) hostname: String,
    pub(crate) network: NetworkPlan,
    /// Ports of the machine; on its own network those that the containers say they listen on.
    #[serde(default)]
    pub(crate) host_ports: Vec<HostPort>,
    pub(crate) pid: PidMode,
    pub(crate) ipc: IpcMode,
    /// Extra lines of `/etc/hosts`.
    pub(crate) host_aliases: Vec<HostAlias>,
    /// Whole text of `/etc/resolv.conf`.
    pub(crate) resolv_conf: String,
    pub(crate) sysctls: BTreeMap<String, String>,
    pub(crate) volumes: BTreeMap<String, VolumePlan>,
    /// Plain init containers and native sidecars in the order they start.
    pub(crate) init_containers: Vec<ContainerPlan>,
    pub(crate) containers: Vec<ContainerPlan>,
    pub(crate) fs_group: Option<u32>,
    pub(crate) qos: QosClass,
}

/// Hashes of what the author wrote, in the two classes that decide what an edit does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Revision {
    /// Of everything that cannot change in a living pod.
    pub(crate) pod: String,
    /// Of what can: `Live`, images, resources, and the content of projected volumes.
    pub(crate) live: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Live {
    pub(crate) labels: BTreeMap<String, String>,
    pub(crate) annotations: BTreeMap<String, String>,
    /// Seconds between SIGTERM and SIGKILL.
    pub(crate) grace: u32,
    /// Seconds from the pod's start until it is Failed with `DeadlineExceeded`.
    pub(crate) active_deadline: Option<u32>,
    /// Of the pod as a whole: its cgroup's limits.
    pub(crate) resources: Resources,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum RestartPolicy {
    Always,
    OnFailure,
    Never,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum QosClass {
    Guaranteed,
    Burstable,
    BestEffort,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum NetworkPlan {
    Host,
    /// A veth pair on the instance's bridge, `eth0` in the pod.
    Bridge {
        bridge: String,
        address: Ipv4Addr,
        prefix: u8,
        gateway: Ipv4Addr,
    },
    /// `lo` alone: for an instance that was told not to make a network, or could not.
    Loopback,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum PidMode {
    Container,
    Pod,
    Host,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum IpcMode {
    Pod,
    Host,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct HostAlias {
    pub(crate) ip: String,
    pub(crate) names: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum VolumePlan {
    EmptyDir {
        medium: Medium,
        /// Bytes.
        limit: Option<u64>,
    },
    HostPath {
        path: PathBuf,
        kind: HostPathType,
    },
    /// ConfigMap, Secret, downward API and projected volumes: files behind a `..data` link, replaced together.
    Files {
        files: Vec<ProjectedFile>,
        /// Secrets never touch a disc.
        medium: Medium,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Medium {
    Disk,
    Memory,
}

/// `hostPath.type`, <https://kubernetes.io/docs/concepts/storage/volumes/#hostpath>.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum HostPathType {
    Unchecked,
    DirectoryOrCreate,
    Directory,
    FileOrCreate,
    File,
    Socket,
    CharDevice,
    BlockDevice,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ProjectedFile {
    /// Relative, of plain components.
    pub(crate) path: String,
    pub(crate) content: Vec<u8>,
    /// Permission bits.
    pub(crate) mode: u32,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct ContainerPlan {
    pub(crate) name: String,
    pub(crate) role: Role,
    pub(crate) image: ImagePlan,
    /// Program and arguments, image defaults and `$(VAR)` worked in.
    pub(crate) argv: Vec<String>,
    /// In the order in which they are set; PATH is always among them.
    pub(crate) env: Vec<(String, String)>,
    pub(crate) working_dir: String,
    pub(crate) mounts: Vec<MountPlan>,
    pub(crate) resources: Resources,
    pub(crate) user: UserPlan,
    pub(crate) security: SecurityPlan,
    /// A signal number.
    pub(crate) stop_signal: i32,
    pub(crate) termination_message: TerminationMessage,
    pub(crate) stdin: Stdin,
    pub(crate) restart_policy: RestartPolicy,
    #[serde(default)]
    pub(crate) probes: Probes,
    #[serde(default)]
    pub(crate) hooks: Hooks,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Role {
    /// Runs to its end before the next starts.
    Init,
    /// A native sidecar: an init container with `restartPolicy: Always` (KEP-753).
    Sidecar,
    App,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ImagePlan {
    /// As the author wrote it: a change of this restarts the container.
    pub(crate) authored: String,
    pub(crate) reference: ImageRef,
    /// What the reference stood for when the pod was planned; absent for the host's own root.
    pub(crate) stored: Option<StoredImage>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct MountPlan {
    pub(crate) volume: String,
    /// Absolute, in the container.
    pub(crate) path: PathBuf,
    pub(crate) access: Access,
    /// Relative path inside the volume, of plain components.
    pub(crate) sub_path: Option<PathBuf>,
    pub(crate) propagation: Propagation,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Access {
    Writable,
    ReadOnly,
    /// With what is mounted below it.
    ReadOnlyThroughout,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Propagation {
    None,
    HostToContainer,
    Bidirectional,
}

/// Limits and weights as the kernel counts them; absent means unlimited, or the least weight.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Resources {
    /// Bytes.
    pub(crate) memory_limit: Option<u64>,
    /// Bytes.
    pub(crate) memory_request: Option<u64>,
    /// Thousandths of a core.
    pub(crate) cpu_limit_milli: Option<u64>,
    /// Thousandths of a core.
    pub(crate) cpu_request_milli: Option<u64>,
    pub(crate) pids_limit: Option<u64>,
    /// Bytes in huge pages, by the bytes of a page; a size that is absent is not to be had.
    #[serde(default)]
    pub(crate) huge_pages: BTreeMap<u64, u64>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct UserPlan {
    /// `runAsUser`; otherwise the image's `user` decides, looked up inside the container's root.
    pub(crate) uid: Option<u32>,
    pub(crate) gid: Option<u32>,
    /// The image's `user[:group]`.
    pub(crate) image_user: String,
    pub(crate) must_not_be_root: bool,
    pub(crate) supplemental_groups: Vec<u32>,
    pub(crate) image_groups: ImageGroups,
}

/// `supplementalGroupsPolicy`: whether the image's `/etc/group` has a say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum ImageGroups {
    Merge,
    Strict,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SecurityPlan {
    pub(crate) privilege: Privilege,
    /// Names without the `CAP_` prefix, sorted.
    pub(crate) capabilities: Vec<String>,
    pub(crate) root: RootAccess,
    pub(crate) seccomp: SeccompProfile,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum SeccompProfile {
    RuntimeDefault,
    Unconfined,
    /// A file below `<state-dir>/seccomp`, relative, of plain components.
    Localhost(PathBuf),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Privilege {
    /// `allowPrivilegeEscalation: false`, that is no_new_privs.
    NoEscalation,
    Ordinary,
    Privileged,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum RootAccess {
    Writable,
    ReadOnly,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct TerminationMessage {
    pub(crate) path: PathBuf,
    pub(crate) policy: MessagePolicy,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum MessagePolicy {
    File,
    FallbackToLogsOnError,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Stdin {
    /// `/dev/null`.
    Closed,
    /// Open until the container ends, whoever attaches and goes.
    Pipe,
    /// Ends with the first who attaches.
    PipeOnce,
    Terminal,
}

impl PodPlan {
    /// Every container, init containers first.
    pub(crate) fn all_containers(&self) -> impl Iterator<Item = &ContainerPlan> {
        self.init_containers.iter().chain(&self.containers)
    }

    pub(crate) fn container(&self, name: &str) -> Option<&ContainerPlan> {
        self.all_containers().find(|container| container.name == name)
    }
}
