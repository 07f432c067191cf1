//! Making and retiring an instance: its run directory on tmpfs, its marks, what of it lies outside of it.

use std::io;

use crate::model::id::InstanceId;
use crate::paths::Places;

/// Whether this run directory was in use earlier in this boot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Boot {
    Same,
    /// First use since the machine started: nothing in it counts.
    New,
}

/// The hash that names an instance, of its run directory's canonical path.
pub(crate) fn id_of(run: &std::path::Path) -> InstanceId {
    let _ = run;
    unimplemented!()
}

/// Makes state, run and log directories (0700), mounts a tmpfs (nosuid, nodev, mode 0700) on the run directory if
/// it does not lie on one, voids what an earlier boot left in it, marks it with the boot id. Refuses directories
/// that are another user's or writable by others.
pub(crate) fn prepare(places: &Places) -> io::Result<Boot> {
    let _ = places;
    unimplemented!()
}

/// Removes all that the instance has outside of its state directory if no pod of it is left: nft table, bridge,
/// cgroups, run directory, its tmpfs. Works from any process, also from a pod process on its way out (which
/// enters the host's namespaces by the descriptors it kept). Doing it twice is fine.
pub(crate) fn retire(places: &Places) -> io::Result<()> {
    let _ = places;
    unimplemented!()
}
