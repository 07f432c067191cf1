//! Making an instance ready, in phases, before the first pass.

use std::fs::DirBuilder;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;

use rustix::pipe::PipeFlags;

use crate::failpoint;
use crate::model::network::{InstanceNetwork, PodCidr};
use crate::model::pull_environment::PullEnvironment;
use crate::paths::Places;
use crate::publish::{remove, untraced};
use crate::rundir::lock::{self, Lock};
use crate::rundir::network as network_file;
use crate::sandbox::beside::beside;
use crate::sandbox::cgroup::Cgroups;
use crate::sandbox::host::host_ip;
use crate::sandbox::spawn::SealedBinary;
use crate::sandbox::sys::identity;
use crate::sandbox::{instance, network};
use crate::workload::Machine;

use super::DaemonError;
use super::execute::children::Children;
use super::execute::{Hands, Logs, Witness};

/// The instance's lock, and nothing made yet.
#[derive(Debug)]
pub(super) struct Locked {
    lock: Lock,
    /// The state directory is this process's own making.
    is_first: bool,
}

/// The instance is ours and ready.
#[derive(Debug)]
pub(super) struct Ready {
    pub(super) hands: Hands,
    pub(super) machine: Machine,
    /// Held for as long as this process directs the instance.
    pub(super) lock: Lock,
    /// Write end of the pipe at whose end the pods of an `up` stop.
    pub(super) lifeline: Option<OwnedFd>,
}

/// Whether pods outlive this process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tie {
    Free,
    Lifeline,
}

/// What an instance is made ready for.
#[derive(Debug)]
pub(super) struct Order {
    pub(super) tie: Tie,
    pub(super) logs: Logs,
    pub(super) pull_environment: PullEnvironment,
    pub(super) pod_cidr: Option<PodCidr>,
}

impl Locked {
    pub(super) fn take(places: &Places, word: &str) -> Result<Locked, DaemonError> {
        failpoint::arm(&places.state);
        let failed = |source| DaemonError::Io { operation: "lock", path: places.lock(), source };
        let is_first = !places.state.exists();
        DirBuilder::new().recursive(true).mode(0o700).create(&places.state).map_err(failed)?;
        let taken = lock::patiently(|| Lock::try_take(&places.lock())).map_err(failed)?;
        let Some(lock) = taken else {
            let holder = lock::holder(&places.lock());
            return Err(DaemonError::Held { path: places.state.clone(), holder });
        };
        // A full disc must not keep pods from being looked after; without it a second watcher is told less.
        if let Err(error) = lock.sign(&format!("droppod {word}, process {}\n", std::process::id())) {
            tracing::warn!(%error, "lock not signed");
        }
        Ok(Locked { lock, is_first })
    }

    /// What nothing was directed with is not left behind.
    pub(super) fn undo(self, places: &Places) {
        if self.is_first {
            // Another that waits for the lock sees that its file has gone, and makes it anew.
            drop(remove(&places.lock()));
            drop(std::fs::remove_dir(&places.state));
        }
    }

    pub(super) fn prepare(
        self,
        places: &Places,
        Order { tie, logs, pull_environment, pod_cidr }: Order,
    ) -> Result<Ready, DaemonError> {
        let failed = |operation, path: &Path| {
            let path = path.to_owned();
            move |source| DaemonError::Io { operation, path, source }
        };
        instance::prepare(places).map_err(failed("prepare the instance in", &places.run))?;
        let boot_id = identity::boot_id().map_err(failed("read the boot id of", Path::new("/proc")))?;
        let (network, binary) = beside(|| make_network(places, pod_cidr), SealedBinary::copy);
        let network = network?;
        let binary = binary.map_err(failed("copy the binary of", Path::new("/proc/self")))?;
        let cgroups = Cgroups::probe().map_err(failed("find control groups in", Path::new("/proc")))?;
        let (read, write) = match tie {
            Tie::Free => (None, None),
            Tie::Lifeline => {
                let pipe = rustix::pipe::pipe_with(PipeFlags::CLOEXEC).map_err(io::Error::from);
                let (read, write) = pipe.map_err(failed("make a pipe for", &places.run))?;
                (Some(read), Some(write))
            }
        };
        let machine = machine(boot_id, network);
        let hands = Hands {
            places: places.clone(),
            cgroups,
            binary,
            lifeline: read,
            logs,
            children: Children::default(),
            pull_environment,
            witness: Witness::new(),
        };
        Ok(Ready { hands, machine, lock: self.lock, lifeline: write })
    }
}

/// Without a network pods still run, with `lo` alone, unless that is because of a range that a person has named.
fn make_network(places: &Places, pod_cidr: Option<PodCidr>) -> Result<Option<InstanceNetwork>, DaemonError> {
    let made = network_file::read(places)
        .and_then(|known| network::ensure(&places.id, known.as_ref(), pod_cidr))
        .and_then(|network| network_file::write(places, &network).map(|_| network));
    match made {
        Ok(network) => {
            if let Some(wanted) = pod_cidr.filter(|wanted| !wanted.holds(&network)) {
                let InstanceNetwork { network, prefix, .. } = network;
                tracing::warn!(
                    kept = %PodCidr { network, prefix }, %wanted,
                    "the instance keeps its addresses: another --pod-cidr counts after `droppod down --all`"
                );
            }
            Ok(Some(network))
        }
        Err(error) if pod_cidr.is_some() && error.kind() == io::ErrorKind::AddrNotAvailable => {
            Err(DaemonError::Range(error))
        }
        Err(error) => {
            tracing::warn!(error = super::folder::chain(&error), "no network, pods have the loopback alone");
            Ok(None)
        }
    }
}

fn machine(boot_id: String, network: Option<InstanceNetwork>) -> Machine {
    let info = rustix::system::sysinfo();
    let cores = std::thread::available_parallelism().map_or(1, |cores| cores.get() as u64);
    Machine {
        node_name: rustix::system::uname().nodename().to_string_lossy().into_owned(),
        host_ip: host_ip(),
        resolv_conf: resolv_conf(),
        cpu_milli: cores * 1000,
        memory: u64::from(info.mem_unit).saturating_mul(info.totalram),
        network,
        boot_id,
    }
}

/// Name servers of the machine as a pod can reach them: a resolver on the host's own loopback is none, and
/// systemd-resolved keeps the real ones elsewhere.
pub(super) fn resolv_conf() -> String {
    let read =
        |path: &str| Some(String::from_utf8_lossy(&untraced::read(Path::new(path)).ok()?).into_owned());
    let text = read("/etc/resolv.conf").unwrap_or_default();
    let servers = |text: &str| {
        let servers = text.lines().filter_map(|line| line.trim().strip_prefix("nameserver"));
        servers.map(|server| server.trim().to_owned()).collect::<Vec<_>>()
    };
    let local = |server: &String| server.starts_with("127.") || server == "::1";
    if servers(&text).iter().all(local) {
        return read("/run/systemd/resolve/resolv.conf").unwrap_or(text);
    }
    text
}
