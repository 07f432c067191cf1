//! Exit records: one file for each end of a container, made once and never changed. The state is behind by one run at
//! most, so the last two are all that anybody asks for; a container that ends again and again takes no more room.

use std::io;

use crate::failpoint;
use crate::model::record::Exit;
use crate::paths::PodDir;
use crate::publish::{publish_new, read_json, remove};

/// Records how run number `restart` of a container ended. A second record of the same run is refused with
/// `AlreadyExists`.
pub(crate) fn write(pod: &PodDir, container: &str, restart: u32, exit: &Exit) -> io::Result<()> {
    publish_new(&pod.exit(container, restart), &serde_json::to_vec(exit)?)?;
    if let Some(old) = restart.checked_sub(2) {
        remove(&pod.exit(container, old))?;
    }
    failpoint::reach("exit recorded")
}

/// How a run ended, as long as the pod's directory is there.
pub(crate) fn read(pod: &PodDir, container: &str, restart: u32) -> io::Result<Option<Exit>> {
    read_json(&pod.exit(container, restart))
}
