//! Namespaces of a pod. The pod process lives in the pod's own network, IPC and UTS namespaces and in a mount
//! namespace of its own; containers inherit the first three.

use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::path::PathBuf;

use rustix::mount::{MountPropagationFlags, mount_change};
use rustix::thread::{LinkNameSpaceType, UnshareFlags, move_into_link_name_space};

use super::failure::cannot;
use super::netlink::Route;
use super::netlink::nft::Ruleset;
use super::sys;
use crate::model::pod_plan::{IpcMode, NetworkPlan, PodPlan};

/// Every group may ping, so that no container needs `CAP_NET_RAW` for it.
const PING: (&str, &str) = ("net.ipv4.ping_group_range", "0 2147483647");

/// Descriptors of the namespaces that a pod process came from.
#[derive(Debug)]
pub(crate) struct HostNamespaces {
    pub(crate) network: File,
    pub(crate) mount: File,
    /// Works on the host's links from wherever the process is: a socket stays in the namespace it was made in.
    pub(super) route: Route,
    /// As `route`; absent where the kernel has no nf_tables.
    pub(super) rules: Option<Ruleset>,
}

impl HostNamespaces {
    /// To be called before [`unshare_pod`].
    pub(crate) fn keep() -> io::Result<HostNamespaces> {
        let open = |name: &str| {
            let path = format!("/proc/thread-self/ns/{name}");
            File::open(&path).map_err(|error| cannot(format!("open {path}"), error))
        };
        let rules = match Ruleset::open() {
            Err(error) if error.kind() == io::ErrorKind::Unsupported => None,
            opened => Some(opened?),
        };
        Ok(HostNamespaces { network: open("net")?, mount: open("mnt")?, route: Route::open()?, rules })
    }

    /// Goes back to the host's mount and network namespaces, to undo what was done there. One thread only.
    pub(crate) fn enter(&self) -> io::Result<()> {
        move_into_link_name_space(self.network.as_fd(), Some(LinkNameSpaceType::Network))
            .map_err(|error| cannot("go back to the host's network namespace", error.into()))?;
        move_into_link_name_space(self.mount.as_fd(), Some(LinkNameSpaceType::Mount))
            .map_err(|error| cannot("go back to the host's mount namespace", error.into()))
    }
}

/// Unshares mount (made a slave of the host's), UTS, and network and IPC as the plan wants; sets the hostname and
/// safe sysctls, brings `lo` up. One thread only.
pub(crate) fn unshare_pod(plan: &PodPlan) -> io::Result<()> {
    let own_network = match plan.network {
        NetworkPlan::Host => UnshareFlags::empty(),
        NetworkPlan::Bridge { .. } | NetworkPlan::Loopback => UnshareFlags::NEWNET,
    };
    let own_ipc = match plan.ipc {
        IpcMode::Host => UnshareFlags::empty(),
        IpcMode::Pod => UnshareFlags::NEWIPC,
    };
    // A pod on the host's network has the host's name by its plan, still it must not be able to change it.
    sys::namespace::unshare(UnshareFlags::NEWNS | UnshareFlags::NEWUTS | own_network | own_ipc)
        .map_err(|error| cannot("make the pod's namespaces", error))?;
    mount_change("/", MountPropagationFlags::DOWNSTREAM | MountPropagationFlags::REC)
        .map_err(|error| cannot("keep the pod's mounts from the host", error.into()))?;
    rustix::system::sethostname(plan.hostname.as_bytes())
        .map_err(|error| cannot(format!("set the hostname {}", plan.hostname), error.into()))?;
    if !own_network.is_empty() {
        Route::open()?.up(super::netlink::LOOPBACK)?;
        set_sysctl(PING.0, PING.1)?;
    }
    plan.sysctls.iter().try_for_each(|(name, value)| set_sysctl(name, value))
}

/// Writes a sysctl of the calling thread's namespaces, `net.ipv4.ip_forward` or `net/ipv4/ip_forward`.
fn set_sysctl(name: &str, value: &str) -> io::Result<()> {
    // No dot is left, so no name leads out of /proc/sys.
    let path = PathBuf::from("/proc/sys").join(name.replace('.', "/").trim_start_matches('/'));
    std::fs::write(path, value).map_err(|error| cannot(format!("set sysctl {name} to {value:?}"), error))
}

#[cfg(test)]
mod tests;
