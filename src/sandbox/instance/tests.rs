//! In mount and network namespaces of their own.

use std::os::unix::fs::PermissionsExt;

use rustix::mount::{MountPropagationFlags, mount_change};
use rustix::thread::UnshareFlags;

use super::*;
use crate::model::id::Uid;
use crate::rundir::lease;
use crate::sandbox::census::{Kind, census};
use crate::sandbox::sys::{identity::random_uid, namespace::unshare};

/// Where the state lies: beside the run directory, as that of a `watch`, or inside, as that of an `up`.
enum Kept {
    Beside,
    Inside,
}

/// Directories of an instance that nobody else has, below one that does not lie in memory if there is such a one.
fn alone(kind: Kept, inside: impl FnOnce(&Places) + Send + 'static) {
    let ran = std::thread::spawn(move || {
        if let Err(error) = unshare(UnshareFlags::NEWNS | UnshareFlags::FS | UnshareFlags::NEWNET) {
            println!("skipped: cannot make namespaces: {error}");
            return;
        }
        mount_change("/", MountPropagationFlags::PRIVATE | MountPropagationFlags::REC).unwrap();
        let name = format!("droppod-test-{}", random_uid().unwrap());
        let root = std::env::temp_dir().join(name);
        let run = root.join("run/up/one");
        let durable = match kind {
            Kept::Beside => &root,
            Kept::Inside => &run,
        };
        let places = Places {
            id: id_of(&run),
            state: durable.join("state"),
            log: durable.join("log"),
            images: root.join("images"),
            run,
        };
        inside(&places);
        mounts::detach_within(&root).unwrap();
        std::fs::remove_dir_all(&root).unwrap();
    });
    ran.join().unwrap();
}

fn uid() -> Uid {
    random_uid().unwrap()
}

#[test]
fn a_run_directory_is_in_memory_private_and_void_after_a_boot() {
    alone(Kept::Beside, |places| {
        assert_eq!(prepare(places).unwrap(), Boot::New);
        assert!(in_memory(&places.run).unwrap());
        assert_eq!(places.run.metadata().unwrap().permissions().mode() & 0o7777, 0o700);
        assert_eq!(places.state.metadata().unwrap().permissions().mode() & 0o7777, 0o700);

        std::fs::create_dir(places.pod(&uid()).0).unwrap();
        lease::take(places, [10, 77, 0, 2].into(), &uid()).unwrap();
        assert_eq!(prepare(places).unwrap(), Boot::Same);
        assert!(has_entries(&places.pods()).unwrap());
        assert_eq!(
            mounts::within(&places.run).unwrap().len(),
            usize::from(!in_memory(&places.state).unwrap())
        );

        std::fs::write(places.boot_mark(), "another boot").unwrap();
        assert_eq!(prepare(places).unwrap(), Boot::New);
        assert!(!has_entries(&places.pods()).unwrap());
        assert!(lease::all(places).unwrap().is_empty());
    });
}

#[test]
fn directories_that_others_could_tamper_with_are_refused() {
    alone(Kept::Beside, |places| {
        let refusal = |places: &Places| {
            let error = prepare(places).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::PermissionDenied);
            std::error::Error::source(&error).unwrap().to_string()
        };
        std::fs::create_dir_all(&places.state).unwrap();
        std::fs::set_permissions(&places.state, PermissionsExt::from_mode(0o1777)).unwrap();
        assert_eq!(refusal(places), "others may write to it");
        std::fs::set_permissions(&places.state, PermissionsExt::from_mode(0o755)).unwrap();
        rustix::fs::chown(&places.state, Some(rustix::fs::Uid::from_raw(1)), None).unwrap();
        assert_eq!(refusal(places), "it belongs to another user");
        std::fs::remove_dir(&places.state).unwrap();

        let elsewhere = places.state.with_file_name("elsewhere");
        std::fs::create_dir(&elsewhere).unwrap();
        std::os::unix::fs::symlink(&elsewhere, &places.state).unwrap();
        assert_eq!(refusal(places), "it is not a directory itself");
    });
}

#[test]
fn an_instance_is_the_same_however_its_directory_is_written() {
    let plain = id_of(Path::new("/proc/droppod/run"));
    assert_eq!(plain.0.len(), 8);
    assert_eq!(id_of(Path::new("/proc/./droppod/run/")), plain);
    assert_eq!(id_of(Path::new("/proc/self/root/proc/droppod/run")), plain);
    assert_ne!(id_of(Path::new("/proc/droppod/run2")), plain);
}

#[test]
fn a_retired_instance_leaves_nothing_and_one_with_a_pod_stays() {
    alone(Kept::Inside, |places| {
        prepare(places).unwrap();
        if let Err(error) = network::ensure(&places.id, None, None) {
            return println!("skipped: {error}");
        }
        let cgroups = Cgroups::probe().unwrap();
        let pod = uid();
        std::fs::create_dir(places.pod(&pod).0).unwrap();
        cgroups.make(&places.pod_cgroup(&pod), &Default::default()).unwrap();
        cgroups.make(&places.shim_cgroup(), &Default::default()).unwrap();
        retire(places, RunDirectory::Remove).unwrap();

        let counted = census(places).unwrap();
        let kinds: std::collections::BTreeSet<Kind> = counted.0.iter().map(|found| found.kind).collect();
        assert_eq!(kinds, [Kind::Cgroup, Kind::Interface, Kind::Table, Kind::PodDirectory].into());
        let none = Default::default();
        assert!(counted.ownerless(&none).all(|found| found.pod.as_ref() == Some(&pod)));
        assert_eq!(counted.ownerless(&[pod.clone()].into()).count(), 0);

        std::fs::remove_dir(places.pod(&pod).0).unwrap();
        assert!(places.state.is_dir() && places.log.is_dir());
        retire(places, RunDirectory::Remove).unwrap();
        assert_eq!(census(places).unwrap().to_string(), "");
        assert!(!places.run.exists() && !places.run.parent().unwrap().exists());
        retire(places, RunDirectory::Remove).unwrap();
    });
}

#[test]
fn a_run_directory_with_something_mounted_in_it_is_not_walked_into() {
    alone(Kept::Inside, |places| {
        prepare(places).unwrap();
        let point = places.run.join("data");
        std::fs::create_dir(&point).unwrap();
        rustix::mount::mount("tmpfs", &point, "tmpfs", MountFlags::empty(), None).unwrap();
        std::fs::write(point.join("precious"), "").unwrap();
        assert_eq!(retire(places, RunDirectory::Remove).unwrap_err().kind(), io::ErrorKind::ResourceBusy);
        assert!(point.join("precious").exists());
    });
}

#[test]
fn a_retired_watch_keeps_its_directories() {
    alone(Kept::Beside, |places| {
        prepare(places).unwrap();
        retire(places, RunDirectory::Keep).unwrap();
        assert!(places.boot_mark().exists() && places.objects().is_dir());
        assert_eq!(prepare(places).unwrap(), Boot::Same);
    });
}
