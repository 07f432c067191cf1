//! The machine's own root, and what of it is not shown.

use rustix::mount::MountFlags;

use super::*;
use crate::image::rootfs::masked::masked;

#[test]
fn the_hosts_root_is_shown_without_what_is_its_own() {
    privately(|| {
        let place = Place::new();
        let places = places(&place);
        std::fs::write(places.state.join("secret"), "x").unwrap();
        let scratch = place.make("scratch");
        if let Err(error) = rustix::mount::mount("scratch", &scratch, "tmpfs", MountFlags::empty(), None) {
            println!("skipped: no tmpfs: {error}");
            return;
        }
        let container = container(ImageRef::HostRoot, None);
        let store = Store::at(&places.images);
        for (mask, hidden) in [(HostRootMask::Masked(Vec::new()), true), (HostRootMask::Full, false)] {
            let target = place.make("target");
            let _held = mount(&store, &container, &places, &mask, &scratch.join("app"), &target).unwrap();
            assert!(target.join("usr/bin").read_dir().unwrap().next().is_some());
            assert!(target.join("etc/passwd").is_file());
            assert_eq!(target.join("etc/shadow").exists(), !hidden);
            let inside = target.join(places.state.strip_prefix("/").unwrap());
            assert_eq!(inside.join("secret").exists(), !hidden);
            let home = target.join("root");
            assert_eq!(home.metadata().unwrap().mode(), Path::new("/root").metadata().unwrap().mode());
            assert_eq!(home.read_dir().unwrap().next().is_none(), hidden);
            assert_eq!(
                target.join("etc").metadata().unwrap().mode(),
                Path::new("/etc").metadata().unwrap().mode()
            );
            std::fs::write(target.join("usr/droppod-was-here"), "x").unwrap();
            assert!(!Path::new("/usr/droppod-was-here").exists());
            rustix::mount::unmount(&target, rustix::mount::UnmountFlags::DETACH).unwrap();
        }
        rustix::mount::unmount(&scratch, rustix::mount::UnmountFlags::DETACH).unwrap();
    });
}

#[test]
fn what_is_hidden_stays_hidden_when_it_comes_to_be() {
    privately(|| {
        let place = Place::new();
        let places = places(&place);
        let places = Places { images: places.state.join("images"), ..places };
        let scratch = place.make("scratch");
        if let Err(error) = rustix::mount::mount("scratch", &scratch, "tmpfs", MountFlags::empty(), None) {
            println!("skipped: no tmpfs: {error}");
            return;
        }
        let folder = place.make("folder");
        std::fs::write(folder.join("secret.yaml"), "x").unwrap();
        std::fs::write(folder.join("program"), "x").unwrap();
        let (directory, link) = (place.make("directory"), place.0.join("link"));
        symlink(&directory, &link).unwrap();
        let (late, deep) = (folder.join("late.yaml"), place.0.join("none/yet/pods"));
        let hidden = [folder.join("secret.yaml"), late.clone(), link, deep.clone()].to_vec();
        let target = place.make("target");
        let mask = HostRootMask::Masked(hidden);
        let container = container(ImageRef::HostRoot, None);
        let store = Store::at(&places.images);
        let _held = mount(&store, &container, &places, &mask, &scratch.join("app"), &target).unwrap();
        std::fs::write(&late, "x").unwrap();
        std::fs::create_dir_all(&deep).unwrap();
        std::fs::write(directory.join("new"), "x").unwrap();
        let inside = |path: &Path| target.join(path.strip_prefix("/").unwrap());
        let shown = |path: &Path| {
            let mut names: Vec<_> =
                inside(path).read_dir().unwrap().map(|one| one.unwrap().file_name()).collect();
            names.sort();
            names
        };
        assert_eq!(shown(&folder), ["program"]);
        assert_eq!(shown(&directory), [""; 0]);
        for path in [&folder.join("secret.yaml"), &late, &deep, &place.0.join("none"), &directory.join("new")]
        {
            assert!(inside(path).symlink_metadata().is_err(), "{}", path.display());
        }
        // A container may make what it does not see.
        std::fs::write(inside(&late), "its own").unwrap();
        assert_eq!(std::fs::read_to_string(&late).unwrap(), "x");
        for mounted in [&target, &scratch] {
            rustix::mount::unmount(mounted, rustix::mount::UnmountFlags::DETACH).unwrap();
        }
    });
}

#[test]
fn no_name_of_a_secret_is_shown_whether_it_is_there_or_not() {
    let place = Place::new();
    let found = masked(&places(&place), &[]).unwrap();
    let is_hidden = |path: &str| {
        let real = std::fs::canonicalize(path).unwrap_or_else(|_| path.into());
        found.iter().any(|masked| real.starts_with(&masked.path))
    };
    for path in [
        "/root/.docker/config.json",
        "/home/ann",
        "/etc/droppod/manifests/secret.yaml",
        "/etc/droppod/registries.yaml",
        "/etc/shadow",
        "/etc/shadow-",
        "/etc/gshadow-",
        "/etc/security/opasswd",
        "/etc/ssh/ssh_host_ed25519_key",
        "/etc/dropbear/dropbear_rsa_host_key",
        "/var/backups/shadow.bak",
        "/var/backups/gshadow.bak",
        "/etc/ssl/private/server.key",
        "/var/cache/debconf/passwords.dat",
    ] {
        assert!(is_hidden(path), "{path}");
    }
    for path in [
        "/etc/passwd",
        "/etc/ssh/ssh_host_ed25519_key.pub",
        "/etc/ssh/ssh_config",
        "/etc/ssl/certs",
        "/usr/bin",
    ] {
        assert!(!is_hidden(path), "{path}");
    }
}

#[test]
fn mounts_below_usr_and_opt_are_carried_over_read_only() {
    privately(|| {
        let place = Place::new();
        let scratch = place.make("scratch");
        let tmpfs = |at: &Path| rustix::mount::mount("test", at, "tmpfs", MountFlags::NOSUID, None);
        if let Err(error) = tmpfs(&scratch).and_then(|()| tmpfs(Path::new("/opt"))) {
            println!("skipped: no tmpfs: {error}");
            return;
        }
        std::fs::create_dir("/opt/tool").unwrap();
        std::fs::write("/opt/tool/program", "carried").unwrap();
        let mut places = places(&place);
        places.state = PathBuf::from("/opt/state");
        std::fs::create_dir("/opt/state").unwrap();
        std::fs::write("/opt/state/secret", "x").unwrap();
        std::fs::write("/opt/tool/secret.yaml", "x").unwrap();
        let target = place.make("target");
        let container = container(ImageRef::HostRoot, None);
        let store = Store::at(&places.images);
        let mask = HostRootMask::Masked(vec!["/opt/tool/secret.yaml".into(), "/opt/tool/none.yaml".into()]);
        let _held = mount(&store, &container, &places, &mask, &scratch.join("app"), &target).unwrap();
        assert_eq!(std::fs::read_to_string(target.join("opt/tool/program")).unwrap(), "carried");
        assert_eq!(std::fs::read_to_string(target.join("opt/tool/secret.yaml")).unwrap(), "");
        assert!(std::fs::write(target.join("opt/tool/program"), "x").is_err());
        assert!(target.join("opt/state").is_dir() && !target.join("opt/state/secret").exists());
        for mounted in [&target, &scratch, Path::new("/opt")] {
            rustix::mount::unmount(mounted, rustix::mount::UnmountFlags::DETACH).unwrap();
        }
    });
}
