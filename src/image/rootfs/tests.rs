mod host;

use std::os::fd::AsFd;
use std::os::unix::fs::{FileTypeExt, MetadataExt, symlink};
use std::path::{Path, PathBuf};

use super::overlay::Overlay;
use super::{HostRootMask, Kind, RootfsError, ensure_target, mount, targets};
use crate::image::tests::{Place, Tar, gzip, image, layout, open, privately};
use crate::image::{archive, store::Store};
use crate::model::id::InstanceId;
use crate::model::image::{ImageRef, StoredImage};
use crate::model::pod_plan::{ContainerPlan, ImagePlan, sample};
use crate::model::time::Timestamp;
use crate::paths::Places;

fn container(reference: ImageRef, stored: Option<StoredImage>) -> ContainerPlan {
    let image = ImagePlan { authored: reference.to_string(), reference, stored };
    ContainerPlan { image, ..sample::container("app") }
}

fn places(place: &Place) -> Places {
    Places {
        state: place.make("state"),
        run: place.make("run"),
        log: place.make("log"),
        images: place.0.join("images"),
        id: InstanceId("test".to_owned()),
    }
}

/// Loads an image of these layers and mounts a root of it.
fn mounted(place: &Place, layers: &[Vec<u8>]) -> PathBuf {
    let places = places(place);
    let store = Store::at(&places.images);
    let tar = place.write("app.tar", &layout(&[("app.example/app:v1", &image(layers, gzip))]));
    let loaded = archive::load(&store, &tar, Timestamp::UNIX_EPOCH).unwrap();
    let stored = store.find(&loaded[0]).unwrap().unwrap();
    let container = container(stored.reference, Some(stored.image));
    let target = place.make("target");
    let _held = mount(
        &store,
        &container,
        &places,
        &HostRootMask::Masked(Vec::new()),
        &place.0.join("scratch"),
        &target,
    )
    .unwrap();
    target
}

fn gone(place: Place, target: &Path) {
    rustix::mount::unmount(target, rustix::mount::UnmountFlags::DETACH).unwrap();
    drop(place);
}

#[test]
fn an_image_from_an_archive_is_mounted_with_its_whiteouts() {
    privately(|| {
        let place = Place::new();
        let base = Tar::new()
            .entry(tar::EntryType::Directory, "./", "", 0o751, b"")
            .file("etc/passwd", "root:x:0:0::/root:/bin/sh\n")
            .file("bin/app", "old")
            .file("gone", "x")
            .file("cache/old", "x")
            .end();
        let upper = Tar::new()
            .file("bin/app", "new")
            .file(".wh.gone", "")
            .directory("cache")
            .file("cache/.wh..wh..opq", "")
            .file("cache/new", "x")
            .end();
        let target = mounted(&place, &[base, upper]);
        let read = |path: &str| std::fs::read_to_string(target.join(path));
        assert_eq!(read("bin/app").unwrap(), "new");
        assert_eq!(read("etc/passwd").unwrap(), "root:x:0:0::/root:/bin/sh\n");
        assert!(!target.join("gone").exists());
        let cache: Vec<_> = std::fs::read_dir(target.join("cache"))
            .unwrap()
            .map(|entry| entry.unwrap().file_name())
            .collect();
        assert_eq!(cache, ["new"]);
        for name in ["dev", "proc", "sys", "etc", "run", "tmp"] {
            assert!(target.join(name).symlink_metadata().unwrap().is_dir(), "{name}");
        }
        assert_eq!(target.join("tmp").metadata().unwrap().mode() & 0o7777, 0o1777);
        // The upper layer is untouched, so the root looks like the layer at the top: its archive says nothing of it.
        assert_eq!(target.metadata().unwrap().mode() & 0o7777, 0o755);
        std::fs::write(target.join("bin/app"), "changed").unwrap();
        assert_eq!(std::fs::read_to_string(place.0.join("scratch/upper/bin/app")).unwrap(), "changed");
        gone(place, &target);
    });
}

#[test]
fn links_in_place_of_guarded_directories_and_files_are_replaced() {
    privately(|| {
        let place = Place::new();
        let outside = place.make("outside");
        std::fs::write(outside.join("hosts"), "outside").unwrap();
        let out = outside.to_str().unwrap();
        let layer = Tar::new()
            .symlink("dev", out)
            .symlink("proc", "/etc")
            .file("sys", "a file")
            .symlink("run", "var/run")
            .symlink("tmp", "../../../../..")
            .symlink("etc/resolv.conf", "../run/resolv.conf")
            .symlink("etc/hosts", &format!("{out}/hosts"))
            .directory("etc/hostname")
            .file("etc/hostname/full", "x")
            .end();
        let target = mounted(&place, &[layer]);
        for name in ["dev", "proc", "sys", "etc", "run", "tmp"] {
            assert!(target.join(name).symlink_metadata().unwrap().is_dir(), "{name}");
        }
        for name in ["hosts", "hostname", "resolv.conf"] {
            assert!(target.join("etc").join(name).symlink_metadata().unwrap().is_file(), "{name}");
        }
        assert_eq!(std::fs::read_to_string(outside.join("hosts")).unwrap(), "outside");
        assert_eq!(std::fs::read_dir(&outside).unwrap().count(), 1);
        gone(place, &target);
    });
}

#[test]
fn an_etc_that_leads_out_is_replaced_as_well() {
    privately(|| {
        let place = Place::new();
        let outside = place.make("outside");
        let target = mounted(&place, &[Tar::new().symlink("etc", outside.to_str().unwrap()).end()]);
        assert!(target.join("etc/hosts").symlink_metadata().unwrap().is_file());
        assert_eq!(std::fs::read_dir(&outside).unwrap().count(), 0);
        gone(place, &target);
    });
}

#[test]
fn an_image_without_layers_is_an_empty_root() {
    privately(|| {
        let place = Place::new();
        let target = mounted(&place, &[]);
        assert!(target.join("etc/hosts").is_file());
        gone(place, &target);
    });
}

#[test]
fn an_image_that_is_gone_is_told_as_such() {
    let place = Place::new();
    let places = places(&place);
    let missing = StoredImage {
        digest: String::new(),
        layers: vec![format!("sha256:{}", "0".repeat(64))],
        config: crate::model::image::ImageConfig::default(),
    };
    let container = container(ImageRef::Registry("a/b:c".to_owned()), Some(missing));
    let store = Store::at(&places.images);
    let target = place.make("target");
    let ended = mount(
        &store,
        &container,
        &places,
        &HostRootMask::Masked(Vec::new()),
        &place.0.join("scratch"),
        &target,
    );
    assert!(matches!(ended, Err(RootfsError::NoImage { .. })));
}

#[test]
fn kernels_before_6_5_are_given_the_layers_in_one_call() {
    privately(|| {
        let place = Place::new();
        let lower = ["top", "bottom"].map(|name| place.make(name)).to_vec();
        std::fs::write(lower[1].join("file"), "bottom").unwrap();
        let overlay = Overlay { lower, upper: place.make("upper"), work: place.make("work") };
        let target = place.make("target");
        overlay.mount_at_once(&target).unwrap();
        assert_eq!(std::fs::read_to_string(target.join("file")).unwrap(), "bottom");
        gone(place, &target);
    });
}

#[test]
fn mount_targets_are_made_inside_whatever_links_say() {
    let place = Place::new();
    let outside = place.make("outside");
    let root = place.make("root");
    place.make("root/real");
    std::fs::write(root.join("file"), "x").unwrap();
    rustix::fs::mkfifoat(rustix::fs::CWD, root.join("fifo"), 0o600.into()).unwrap();
    for (name, target) in [
        ("relative", "real"),
        ("absolute", "/real"),
        ("dots", "../../../real"),
        ("dangling", "/made/by/link"),
        ("loop", "loop"),
        ("slash", "/"),
        ("out", outside.to_str().unwrap()),
    ] {
        symlink(target, root.join(name)).unwrap();
    }
    let handle = open(&root);
    let ensure = |path: &str, kind| {
        let made = ensure_target(handle.as_fd(), Path::new(path), kind);
        made.map(|path| path.to_str().unwrap().to_owned()).map_err(|error| error.kind())
    };
    for (path, resolved) in [
        ("/data", "data"),
        ("/a/b/c", "a/b/c"),
        ("/relative/x", "real/x"),
        ("/absolute/x", "real/x"),
        ("/dots/y", "real/y"),
        ("/dangling", "made/by/link"),
        ("/slash/z", "z"),
        ("/../../etc", "etc"),
        ("/", ""),
    ] {
        assert_eq!(ensure(path, Kind::Directory), Ok(resolved.to_owned()), "{path}");
        assert!(root.join(resolved).is_dir());
    }
    assert_eq!(ensure("/absolute/new", Kind::File), Ok("real/new".to_owned()));
    assert!(root.join("real/new").is_file());
    assert_eq!(ensure("/fifo", Kind::File), Ok("fifo".to_owned()));
    let resolved = ensure("/out/new", Kind::Directory).unwrap();
    assert_eq!(Path::new("/").join(&resolved), outside.join("new"));
    assert!(root.join(resolved).is_dir() && !outside.join("new").exists());
    assert_eq!(ensure("/file/x", Kind::Directory), Err(std::io::ErrorKind::NotADirectory));
    assert_eq!(ensure("/real", Kind::File), Err(std::io::ErrorKind::IsADirectory));
    assert_eq!(ensure("/slash", Kind::File), Err(std::io::ErrorKind::IsADirectory));
    assert!(ensure("/loop", Kind::Directory).is_err());
}

#[test]
fn guarding_twice_changes_nothing() {
    let place = Place::new();
    let root = place.make("root");
    targets::guard(open(&root)).unwrap();
    std::fs::write(root.join("etc/hosts"), "kept").unwrap();
    targets::guard(open(&root)).unwrap();
    assert_eq!(std::fs::read_to_string(root.join("etc/hosts")).unwrap(), "kept");
    assert!(!root.join("dev").symlink_metadata().unwrap().file_type().is_char_device());
}
