//! Temporary directories for the tests of this part.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use crate::model::id::InstanceId;
use crate::paths::Places;

pub(crate) struct Ground(PathBuf);

impl Ground {
    pub(crate) fn new() -> Ground {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("droppod-daemon-{}-{number}", std::process::id()));
        std::fs::create_dir(&path).unwrap();
        std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
        Ground(path.canonicalize().unwrap())
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    pub(crate) fn folder(&self, name: &str) -> PathBuf {
        let path = self.path(name);
        std::fs::create_dir_all(&path).unwrap();
        path
    }

    pub(crate) fn places(&self) -> Places {
        Places {
            state: self.folder("state"),
            run: self.folder("run"),
            log: self.folder("log"),
            images: self.folder("state/images"),
            id: InstanceId("0badcafe".into()),
        }
    }
}

impl Drop for Ground {
    fn drop(&mut self) {
        drop(std::fs::remove_dir_all(&self.0));
    }
}

pub(crate) fn write(path: &Path, text: &str) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, text).unwrap();
    let own = rustix::fs::Mode::from_raw_mode(0o644);
    rustix::fs::chmod(path, own).unwrap();
}
