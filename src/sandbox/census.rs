//! All that kernel and disc hold in an instance's name, so that what belongs to no living pod can be told.

use std::collections::BTreeSet;
use std::fmt;
use std::io;
use std::path::Path;

use super::cgroup::Cgroups;
use super::failure::cannot;
use super::netlink::Route;
use super::netlink::nft::{Family, Ruleset};
use super::{mounts, network};
use crate::model::id::Uid;
use crate::paths::Places;
use crate::rundir::{lease, pods};

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Census(pub(crate) Vec<Found>);

/// One thing; `pod` is whose it is, where its name tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Found {
    pub(crate) kind: Kind,
    pub(crate) name: String,
    pub(crate) pod: Option<Uid>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    Process,
    Cgroup,
    Mount,
    Interface,
    Table,
    Pin,
    HostPort,
    Lease,
    PodDirectory,
    Scratch,
}

impl Census {
    /// What belongs to a pod that is not among `living`. What belongs to the instance as a whole is not told.
    pub(crate) fn ownerless<'a>(&'a self, living: &'a BTreeSet<Uid>) -> impl Iterator<Item = &'a Found> {
        self.0.iter().filter(|found| found.pod.as_ref().is_some_and(|pod| !living.contains(pod)))
    }
}

impl fmt::Display for Census {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|found| writeln!(f, "{found}"))
    }
}

impl fmt::Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.kind, self.name)?;
        self.pod.iter().try_for_each(|pod| write!(f, " of pod {pod}"))
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Kind::Process => "process",
            Kind::Cgroup => "cgroup",
            Kind::Mount => "mount",
            Kind::Interface => "interface",
            Kind::Table => "nf_tables table",
            Kind::Pin => "pinned interface",
            Kind::HostPort => "host port",
            Kind::Lease => "lease",
            Kind::PodDirectory => "pod directory",
            Kind::Scratch => "scratch directory",
        })
    }
}

/// Counts, from the host's namespaces. The run directory's own tmpfs is not told: it is the instance.
pub(crate) fn census(places: &Places) -> io::Result<Census> {
    let mut found = Vec::new();
    on_disc(places, &mut found)?;
    in_cgroups(places, &mut found)?;
    for point in mounts::within(&places.run)? {
        // An `up` keeps its pods below here too, and counts them itself.
        if point != places.run && !point.starts_with(places.ups()) {
            let pod = pod_below(&places.pods(), &point);
            found.push(Found { kind: Kind::Mount, name: point.display().to_string(), pod });
        }
    }
    on_network(places, &mut found)?;
    found.sort_by(|a, b| (a.kind, &a.name).cmp(&(b.kind, &b.name)));
    Ok(Census(found))
}

fn on_disc(places: &Places, found: &mut Vec<Found>) -> io::Result<()> {
    for (address, pod) in lease::all(places)? {
        found.push(Found { kind: Kind::Lease, name: address.to_string(), pod: Some(pod) });
    }
    for pod in pods::list(places)? {
        let name = places.pod(&pod).0.display().to_string();
        found.push(Found { kind: Kind::PodDirectory, name, pod: Some(pod) });
    }
    let scratch = places.state.join("scratch");
    let entries = match std::fs::read_dir(&scratch) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(cannot(format!("list {}", scratch.display()), error)),
    };
    for entry in entries {
        let path = entry?.path();
        let pod = pod_below(&scratch, &path);
        found.push(Found { kind: Kind::Scratch, name: path.display().to_string(), pod });
    }
    Ok(())
}

fn in_cgroups(places: &Places, found: &mut Vec<Found>) -> io::Result<()> {
    let cgroups = Cgroups::probe()?;
    let top = places.cgroup();
    for directory in cgroups.directories(&top)? {
        let pod = uid_after(&directory, "pods");
        found.push(Found { kind: Kind::Cgroup, name: directory.display().to_string(), pod });
    }
    let mut counted = BTreeSet::new();
    for pod in pods_of(found) {
        for pid in cgroups.processes(&places.pod_cgroup(&pod))? {
            counted.insert(pid);
            found.push(Found { kind: Kind::Process, name: pid.to_string(), pod: Some(pod.clone()) });
        }
    }
    // Pod processes, and whatever else got here.
    for pid in cgroups.processes(&top)?.into_iter().filter(|pid| !counted.contains(pid)) {
        found.push(Found { kind: Kind::Process, name: pid.to_string(), pod: None });
    }
    Ok(())
}

fn on_network(places: &Places, found: &mut Vec<Found>) -> io::Result<()> {
    let known = pods_of(found);
    let links = Route::open()?.links()?;
    let name = network::bridge_name(&places.id);
    let bridge = links.iter().find(|link| link.name == name).map(|link| link.index);
    for link in links {
        // A veth whose bridge is gone is told by its name.
        let pod = known.iter().find(|pod| link.name.starts_with(&network::veth_name(pod))).cloned();
        let ours = bridge.is_some_and(|bridge| link.index == bridge || link.master == Some(bridge));
        if ours || pod.is_some() {
            found.push(Found { kind: Kind::Interface, name: link.name, pod });
        }
    }
    let table = network::table_name(&places.id);
    let rules = match Ruleset::open() {
        // A kernel without nf_tables has no table.
        Err(error) if error.kind() == io::ErrorKind::Unsupported => return Ok(()),
        opened => opened?,
    };
    for (port, pod) in network::port::all(&rules, &table)? {
        found.push(Found { kind: Kind::HostPort, name: port.to_string(), pod });
    }
    for (interface, pod) in network::pin::all(&rules, &table)? {
        found.push(Found { kind: Kind::Pin, name: interface, pod });
    }
    for family in [Family::Ip, Family::Bridge] {
        if rules.tables(family)?.contains(&table) {
            found.push(Found { kind: Kind::Table, name: format!("{family} {table}"), pod: None });
        }
    }
    Ok(())
}

fn pods_of(found: &[Found]) -> BTreeSet<Uid> {
    found.iter().filter_map(|found| found.pod.clone()).collect()
}

/// The pod that the first part of `path` below `directory` names.
fn pod_below(directory: &Path, path: &Path) -> Option<Uid> {
    let first = path.strip_prefix(directory).ok()?.components().next()?;
    Uid::try_from(first.as_os_str().to_str()?.to_owned()).ok()
}

/// The pod that the part of `path` after `name` names.
fn uid_after(path: &Path, name: &str) -> Option<Uid> {
    let mut parts = path.components().map(|part| part.as_os_str());
    parts.find(|part| *part == name)?;
    Uid::try_from(parts.next()?.to_str()?.to_owned()).ok()
}
