use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};

use super::*;

struct Place(PathBuf);

impl Place {
    fn new() -> Place {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("droppod-tree-{}-{number}", std::process::id()));
        std::fs::create_dir_all(path.join("tree")).unwrap();
        Place(path)
    }

    fn tree(&self) -> PathBuf {
        self.0.join("tree")
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        drop(std::fs::remove_dir_all(&self.0));
    }
}

#[test]
fn a_tree_deeper_than_there_are_descriptors_is_removed() {
    let place = Place::new();
    let mut at: OwnedFd = std::fs::File::open(place.tree()).unwrap().into();
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    for _ in 0..3000 {
        rustix::fs::mkdirat(&at, "d", Mode::from_raw_mode(0o700)).unwrap();
        at = rustix::fs::openat(&at, "d", flags, Mode::empty()).unwrap();
    }
    remove_tree(&place.tree()).unwrap();
    assert_eq!(std::fs::read_dir(&place.0).unwrap().count(), 0, "and nothing is left beside it");
}

#[test]
fn no_symlink_is_followed_and_names_that_are_ours_do_no_harm() {
    let place = Place::new();
    let kept = place.0.join("kept");
    std::fs::create_dir_all(kept.join("below")).unwrap();
    std::fs::write(kept.join("below/file"), "kept").unwrap();
    for name in [".1/.2/.1", "a/b/c", "a/.2/x"] {
        std::fs::create_dir_all(place.tree().join(name)).unwrap();
        std::fs::write(place.tree().join(name).join(".3"), "").unwrap();
        std::os::unix::fs::symlink(&kept, place.tree().join(name).join("link")).unwrap();
    }
    let link = place.0.join("link");
    std::os::unix::fs::symlink(&kept, &link).unwrap();
    remove_tree(&link).unwrap();
    remove_tree(&place.tree()).unwrap();
    assert!(!link.is_symlink() && !place.tree().exists());
    assert_eq!(std::fs::read_to_string(kept.join("below/file")).unwrap(), "kept");
}

#[test]
fn what_is_not_there_is_as_good_as_removed() {
    let place = Place::new();
    remove_tree(&place.0.join("none")).unwrap();
    remove_tree(&place.0.join("none/of/it")).unwrap();
}
