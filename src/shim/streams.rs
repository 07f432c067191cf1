//! Whose the standard streams of a program are: its own, so that it can open them anew by `/dev/stdout`, and in its
//! container, so that it holds nothing of the host's.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::fs::{FileTypeExt, MetadataExt};

use rustix::fs::{CWD, FileType, Mode, OFlags, ResolveFlags, fchown, fstat, fstatfs, openat, openat2};
use rustix::process::Uid;
use rustix::pty::{OpenptFlags, ioctl_tiocgptpeer, unlockpt};

const PIPEFS_MAGIC: u64 = 0x5049_5045;
const DEVPTS_MAGIC: u64 = 0x1cd1;
/// Of the node in every devpts.
const PTMX_INODE: u64 = 2;
const NULL: (u32, u32) = (1, 3);
const PTMX: (u32, u32) = (5, 2);

/// Gives a pipe to the user who reads or writes it, as runc does. All else stays with whom it belongs to: a device and a
/// file have others who use them, and a pipe with a name is no pipe of ours.
pub(super) fn give(stream: impl AsFd, uid: u32) {
    let is_pipe = fstat(&stream).is_ok_and(|is| FileType::from_raw_mode(is.st_mode) == FileType::Fifo)
        && fstatfs(&stream).is_ok_and(|is| u64::try_from(is.f_type) == Ok(PIPEFS_MAGIC));
    if is_pipe {
        hand_over(stream, uid);
    }
}

/// The same for the terminal of this master, which was made for that user.
pub(super) fn give_terminal(master: impl AsFd, uid: u32) {
    let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
    // It is there: somebody in the container has it open.
    if let Ok(terminal) = ioctl_tiocgptpeer(&master, flags) {
        hand_over(terminal, uid);
    }
}

fn hand_over(stream: impl AsFd, uid: u32) {
    // One that stays with root can be used and not be opened anew, which few programs do.
    let _ = fchown(stream, Some(Uid::from_raw(uid)), None);
}

/// Opens nodes of a container by the names that it has for them. Made before its mounts are joined: what it has in place of
/// `/proc` is not asked.
pub(super) struct Nodes(OwnedFd);

impl Nodes {
    pub(super) fn new() -> io::Result<Nodes> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        Ok(Nodes(openat(CWD, "/proc/self/fd", flags, Mode::empty())?))
    }

    /// The container's own `/dev/null` in place of the host's, which could be changed by whoever holds it: its mode for one.
    pub(super) fn in_place_of_hosts(&self, stream: OwnedFd) -> io::Result<OwnedFd> {
        let is = fstat(&stream)?;
        if FileType::from_raw_mode(is.st_mode) != FileType::CharacterDevice || !is_device(is.st_rdev, NULL) {
            return Ok(stream);
        }
        let (own, _) = self.find("/dev/null", NULL)?;
        self.open(&own, OFlags::RDWR)
    }

    /// Master and terminal of the container's own devpts, whatever the container has put in place of names in `/dev`
    /// (CVE-2025-52565).
    pub(super) fn terminal(&self) -> io::Result<(OwnedFd, OwnedFd)> {
        const NAME: &str = "/dev/pts/ptmx";
        let (ptmx, inode) = self.find(NAME, PTMX)?;
        let is_devpts = u64::try_from(fstatfs(&ptmx)?.f_type) == Ok(DEVPTS_MAGIC);
        if !is_devpts || inode != PTMX_INODE {
            return Err(something_else(NAME));
        }
        let master = self.open(&ptmx, OFlags::RDWR | OFlags::NOCTTY)?;
        unlockpt(&master)?;
        let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
        let terminal = ioctl_tiocgptpeer(&master, flags)?;
        Ok((master, terminal))
    }

    /// The node of that name with its inode, not opened: opening another device could do anything.
    fn find(&self, name: &str, device: (u32, u32)) -> io::Result<(File, u64)> {
        let resolve = ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
        let found = openat2(CWD, name, OFlags::PATH | OFlags::CLOEXEC, Mode::empty(), resolve);
        let found = found.map_err(|error| {
            io::Error::other(format!("{name} in the container: {}", io::Error::from(error)))
        })?;
        let found = File::from(found);
        let is = found.metadata()?;
        if is.file_type().is_char_device() && is_device(is.rdev(), device) {
            Ok((found, is.ino()))
        } else {
            Err(something_else(name))
        }
    }

    fn open(&self, found: &File, flags: OFlags) -> io::Result<OwnedFd> {
        let number = found.as_raw_fd().to_string();
        Ok(openat(&self.0, number, flags | OFlags::CLOEXEC, Mode::empty())?)
    }
}

fn is_device(number: u64, (major, minor): (u32, u32)) -> bool {
    number == libc::makedev(major, minor)
}

fn something_else(name: &str) -> io::Error {
    io::Error::other(format!("{name} in the container is something else"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_pipe_without_a_name_is_given_away() {
        if !rustix::process::geteuid().is_root() {
            println!("skipped: giving away needs root");
            return;
        }
        let owner = |stream: &OwnedFd| fstat(stream).unwrap().st_uid;
        let (reader, writer) = rustix::pipe::pipe().unwrap();
        give(&writer, 4711);
        assert_eq!(owner(&reader), 4711);
        let path = std::env::temp_dir().join(format!("droppod-streams-{}", std::process::id()));
        let made = std::process::Command::new("mkfifo").arg(&path).status().unwrap();
        assert!(made.success());
        let open = |path: &std::path::Path| {
            OwnedFd::from(File::options().read(true).write(true).open(path).unwrap())
        };
        let others = [open(&path), open(std::path::Path::new("/dev/null"))];
        std::fs::remove_file(&path).unwrap();
        for other in others {
            let before = owner(&other);
            give(&other, 4711);
            assert_eq!(owner(&other), before);
        }
    }
}
