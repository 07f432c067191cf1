use std::os::fd::AsFd;
use std::os::unix::fs::{FileTypeExt, MetadataExt, symlink};
use std::path::{Path, PathBuf};

use rustix::mount::{MountFlags, MountPropagationFlags, mount_change};
use rustix::thread::UnshareFlags;

use super::overlay::Overlay;
use super::{HostRootMask, Kind, RootfsError, ensure_target, mount, targets};
use crate::image::fixture::{Place, Tar, gzip, image, is_root, layout, open};
use crate::image::{archive, store::Store};
use crate::model::id::InstanceId;
use crate::model::image::{ImageRef, StoredImage};
use crate::model::pod_plan::{
    ContainerPlan, ImagePlan, MessagePolicy, Privilege, Resources, RestartPolicy, Role, RootAccess,
    SecurityPlan, Stdin, TerminationMessage, UserPlan,
};
use crate::model::time::Timestamp;
use crate::paths::Places;

/// Runs `test` in a mount namespace of its own, so that every mount it makes goes with its thread.
fn privately(test: impl FnOnce() + Send + 'static) {
    if !is_root() {
        return;
    }
    let done = std::thread::spawn(|| {
        if let Err(error) = unshare() {
            println!("skipped: no mount namespace of its own: {error}");
            return;
        }
        test();
    });
    if let Err(panic) = done.join() {
        std::panic::resume_unwind(panic);
    }
}

fn unshare() -> std::io::Result<()> {
    crate::sandbox::sys::thread_unshare(UnshareFlags::NEWNS | UnshareFlags::FS)?;
    Ok(mount_change("/", MountPropagationFlags::PRIVATE | MountPropagationFlags::REC)?)
}
