//! Which directories have appeared in another one, without looking through those that were there before.

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::path::Path;

use rustix::fs::inotify::{self, CreateFlags, ReadFlags, WatchFlags};

/// Hears of what appears in one directory, from when that is there.
#[derive(Debug)]
pub(super) struct Arrivals {
    inotify: Option<OwnedFd>,
    listens: bool,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Arrived {
    Names(Vec<String>),
    /// Anything may have appeared.
    Anything,
}

impl Arrivals {
    /// Where inotify is refused, anything may have appeared each time.
    pub(super) fn new() -> Arrivals {
        let inotify = inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK).ok();
        Arrivals { inotify, listens: false }
    }

    /// What has appeared in `directory` since the last call.
    pub(super) fn take(&mut self, directory: &Path) -> Arrived {
        let Some(inotify) = &self.inotify else { return Arrived::Anything };
        if !self.listens {
            let flags = WatchFlags::CREATE | WatchFlags::MOVED_TO | WatchFlags::ONLYDIR;
            // What appears before that is found by the look that follows.
            self.listens = inotify::add_watch(inotify, directory, flags).is_ok();
            return Arrived::Anything;
        }
        let mut names = Vec::new();
        let mut buffer = [MaybeUninit::uninit(); 4096];
        let mut reader = inotify::Reader::new(inotify, &mut buffer);
        loop {
            match reader.next() {
                Ok(event) if event.events().intersects(ReadFlags::QUEUE_OVERFLOW | ReadFlags::IGNORED) => {
                    self.listens &= !event.events().contains(ReadFlags::IGNORED);
                    return Arrived::Anything;
                }
                Ok(event) => names.extend(event.file_name().map(|name| name.to_string_lossy().into_owned())),
                Err(error) if io::Error::from(error).kind() == io::ErrorKind::WouldBlock => {
                    return Arrived::Names(names);
                }
                Err(_) => return Arrived::Anything,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_appears_is_told_once() {
        let directory = std::env::temp_dir().join(format!("droppod-arrivals-{}", std::process::id()));
        let mut arrivals = Arrivals::new();
        assert_eq!(arrivals.take(&directory), Arrived::Anything, "there is nothing to listen to");
        std::fs::create_dir_all(directory.join("a")).unwrap();
        assert_eq!(arrivals.take(&directory), Arrived::Anything);
        for name in ["b", "c"] {
            std::fs::create_dir(directory.join(name)).unwrap();
        }
        assert_eq!(arrivals.take(&directory), Arrived::Names(vec!["b".into(), "c".into()]));
        assert_eq!(arrivals.take(&directory), Arrived::Names(Vec::new()));
        std::fs::remove_dir_all(&directory).unwrap();
        assert_eq!(arrivals.take(&directory), Arrived::Anything);
    }
}
