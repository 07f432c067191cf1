//! An overlay mount. Layers are hostile: what redirects, metacopies or indexes in them would say is not followed.

use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, Mode, OFlags};
use rustix::io::Errno;
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, MountFlags, MoveMountFlags, fsconfig_create,
    fsconfig_set_flag, fsconfig_set_string, fsmount, fsopen, mount, move_mount,
};

const DISTRUST: [(&str, &str); 3] = [("redirect_dir", "nofollow"), ("metacopy", "off"), ("index", "off")];

pub(super) struct Overlay {
    /// The uppermost first.
    pub(super) lower: Vec<PathBuf>,
    pub(super) upper: PathBuf,
    pub(super) work: PathBuf,
}

/// Whether the upper layer may be lost in a crash: it goes with the container, so nothing needs a sync.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Syncing {
    Volatile,
    Ordinary,
}

impl Overlay {
    /// Mounts at `target`; returns a handle to the mounted root.
    pub(super) fn mount(&self, target: &Path) -> io::Result<OwnedFd> {
        let mounted = match self.configure(Syncing::Volatile) {
            Err(Errno::INVAL) => self.configure(Syncing::Ordinary),
            configured => configured,
        };
        match mounted {
            Ok(mounted) => {
                move_mount(&mounted, "", CWD, target, MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH)?;
            }
            // Before Linux 6.5 there is no `lowerdir+`, and one option holds at most 255 bytes.
            Err(Errno::INVAL) => self.mount_at_once(target)?,
            Err(error) => return Err(error.into()),
        }
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        Ok(rustix::fs::open(target, flags, Mode::empty())?)
    }

    fn configure(&self, syncing: Syncing) -> rustix::io::Result<OwnedFd> {
        let context = fsopen("overlay", FsOpenFlags::FSOPEN_CLOEXEC)?;
        fsconfig_set_string(context.as_fd(), "source", "droppod")?;
        for layer in &self.lower {
            fsconfig_set_string(context.as_fd(), "lowerdir+", layer)?;
        }
        fsconfig_set_string(context.as_fd(), "upperdir", &self.upper)?;
        fsconfig_set_string(context.as_fd(), "workdir", &self.work)?;
        for (option, value) in DISTRUST {
            fsconfig_set_string(context.as_fd(), option, value)?;
        }
        if syncing == Syncing::Volatile {
            fsconfig_set_flag(context.as_fd(), "volatile")?;
        }
        fsconfig_create(context.as_fd())?;
        fsmount(context.as_fd(), FsMountFlags::FSMOUNT_CLOEXEC, MountAttrFlags::empty())
    }

    /// By mount(2), whose options end at one page: layers are named by their handles to keep them short.
    pub(super) fn mount_at_once(&self, target: &Path) -> io::Result<()> {
        let open = |path: &PathBuf| {
            let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
            rustix::fs::open(path, flags, Mode::empty())
        };
        let named = |file: &OwnedFd| format!("/proc/self/fd/{}", file.as_raw_fd());
        let lower = self.lower.iter().map(open).collect::<Result<Vec<OwnedFd>, _>>()?;
        let (upper, work) = (open(&self.upper)?, open(&self.work)?);
        let lower: Vec<String> = lower.iter().map(named).collect();
        let mut options =
            format!("lowerdir={},upperdir={},workdir={}", lower.join(":"), named(&upper), named(&work));
        for (option, value) in DISTRUST {
            options.push_str(&format!(",{option}={value}"));
        }
        let options = std::ffi::CString::new(options)?;
        Ok(mount("droppod", target, "overlay", MountFlags::empty(), options.as_c_str())?)
    }
}
