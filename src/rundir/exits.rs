//! Exit records: one file for each end of a container, made once and never changed.

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;

use crate::model::record::Exit;
use crate::paths::PodDir;

/// Records how run number `restart` of a container ended. A second record of the same run is refused with
/// `AlreadyExists`.
pub(crate) fn write(pod: &PodDir, container: &str, restart: u32, exit: &Exit) -> io::Result<()> {
    let path = pod.exit(container, restart);
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(&serde_json::to_vec(exit)?)
}
