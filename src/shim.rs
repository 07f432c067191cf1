//! One process per pod, one thread: it is the pod.

use std::ffi::OsString;
use std::process::ExitCode;

/// `droppod shim POD-DIRECTORY`: becomes the pod whose goal lies there.
pub(crate) fn main(pod_directory: &OsString) -> ExitCode {
    let _ = pod_directory;
    unimplemented!()
}
