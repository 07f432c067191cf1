//! Exit records: one file for each end of a container, made once and never changed. The state is behind by one run at
//! most, so the last two are all that anybody asks for; a container that ends again and again takes no more room. A run
//! that may have begun and has no record has a mark: whoever finds it after the pod process has died knows that something
//! ran, though the state does not tell of it yet.

use std::ffi::OsStr;
use std::fs::File;
use std::io;

use serde::{Deserialize, Serialize};

use crate::failpoint;
use crate::model::record::Exit;
use crate::paths::PodDir;
use crate::publish::{publish_new, read_json, remove};

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ExitRecord {
    #[serde(flatten)]
    pub(crate) exit: Exit,
    /// Whether another run was to follow as the pod process saw it; absent if somebody else wrote this.
    #[serde(default)]
    pub(crate) again: Option<bool>,
}

/// Marks run number `restart` of a container as one whose program may start from now on.
pub(crate) fn begin(pod: &PodDir, container: &str, restart: u32) -> io::Result<()> {
    File::create(pod.begun(container, restart)).map(drop)
}

/// Whether a run may have begun that has no record of its end.
pub(crate) fn has_begun(pod: &PodDir, container: &str, restart: u32) -> io::Result<bool> {
    pod.begun(container, restart).try_exists()
}

/// Records how run number `restart` of a container ended. A second record of the same run is refused with
/// `AlreadyExists`.
pub(crate) fn write(pod: &PodDir, container: &str, restart: u32, record: &ExitRecord) -> io::Result<()> {
    publish_new(&pod.exit(container, restart), &serde_json::to_vec(record)?)?;
    remove(&pod.begun(container, restart))?;
    if let Some(old) = restart.checked_sub(2) {
        remove(&pod.exit(container, old))?;
    }
    failpoint::reach("exit recorded")
}

/// How a run ended, as long as the pod's directory is there.
pub(crate) fn read(pod: &PodDir, container: &str, restart: u32) -> io::Result<Option<ExitRecord>> {
    read_json(&pod.exit(container, restart))
}

/// Whether any run may have begun that is not followed by another for sure, whatever is known of the pod besides.
pub(crate) fn any_last_run(pod: &PodDir) -> io::Result<bool> {
    let entries = match std::fs::read_dir(pod.exits()) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(error),
    };
    for entry in entries {
        let path = entry?.path();
        let is_followed = match path.extension().and_then(OsStr::to_str) {
            Some("json") => {
                let record: Option<ExitRecord> = read_json(&path)?;
                record.is_none_or(|record| record.again == Some(true))
            }
            Some("begun") => false,
            // A draft of a record, beside the mark of its run.
            Some(_) | None => true,
        };
        if !is_followed {
            return Ok(true);
        }
    }
    Ok(false)
}
