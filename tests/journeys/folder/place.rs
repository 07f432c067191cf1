//! Folders whose file system comes and goes, or that something else stands in place of.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use super::disc::Disc;
use super::pod;
use crate::bench::{Bench, Running, now, unfolded};

/// What has gone with most of a folder is looked for again after this.
const SECOND_LOOK: Duration = Duration::from_secs(5);

/// Something mounted on the folder of a bench, gone at the end of the test.
struct Mounted(PathBuf);

impl Mounted {
    fn new(bench: &Bench, arguments: &[&str]) -> Mounted {
        let folder = bench.folder();
        let mount = Command::new("mount").args(arguments).arg(&folder).status();
        assert!(mount.unwrap().success(), "{arguments:?}");
        Mounted(folder)
    }

    /// Lazily, since a watcher has it open: as a disc that is pulled out.
    fn unmount(self) {
        drop(self);
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        drop(Command::new("umount").arg("-l").arg(&self.0).status());
    }
}

/// A bench whose status files lie elsewhere, so that a folder that is lost can be told of.
pub(super) struct Desk {
    pub(super) bench: Bench,
}

impl Desk {
    pub(super) fn new() -> Option<Desk> {
        Some(Desk { bench: Bench::new()? })
    }

    pub(super) fn watch(&self) -> Running {
        self.watch_with(&[])
    }

    /// Watches these folders, too.
    pub(super) fn watch_with(&self, more: &[&Path]) -> Running {
        let (folder, place) = (self.bench.folder(), self.bench.path("status"));
        let before = self.bench.log().len();
        let mut args = vec!["watch", folder.to_str().unwrap()];
        args.extend(more.iter().map(|folder| folder.to_str().unwrap()));
        args.extend(["--rescan", "1s", "--status-dir", place.to_str().unwrap()]);
        let watch = self.bench.start(&args);
        self.bench.until("the watcher is ready", || self.bench.log()[before..].contains(" watches "));
        watch
    }

    #[track_caller]
    pub(super) fn until_state(&self, name: &str, state: &str) {
        let path = self.bench.path("status").join(format!("{name}.status.yaml"));
        let told = || unfolded(&fs::read_to_string(&path).unwrap_or_default());
        self.bench.until(&format!("{name} is {state}"), || told().contains(&format!("state: {state}\n")));
    }

    fn until_labelled(&self) {
        self.bench.until("an edit counts", || {
            self.bench.run(&["get", "pods", "--show-labels"]).stdout.contains("tier=front")
        });
    }
}

fn labelled(name: &str) -> String {
    pod(name).replace("{name: web}", "{name: web, labels: {tier: front}}")
}

#[test]
fn a_folder_that_is_unmounted_is_lost_until_it_is_mounted_again() {
    let Some(desk) = Desk::new() else { return };
    let bench = &desk.bench;
    let disc = bench.path("disc");
    fs::create_dir(&disc).unwrap();
    let disc = disc.to_str().unwrap().to_owned();
    let mounted = Mounted::new(bench, &["--bind", &disc]);
    bench.manifest("web.yaml", &pod("web"));
    let watch = desk.watch();
    bench.until_status("web", "Running");
    desk.until_state("web", "Applied");
    let pids = bench.pids("web", "main");

    mounted.unmount();
    assert_eq!(fs::read_dir(bench.folder()).unwrap().count(), 0);
    desk.until_state("web", "SourceLost");
    assert_eq!((bench.status("web").as_str(), bench.pids("web", "main")), ("Running", pids.clone()));
    // A watcher that starts meanwhile says the same, of the same pod.
    assert_eq!(watch.stop(), 0);
    fs::remove_dir_all(bench.path("status")).unwrap();
    let watch = desk.watch();
    desk.until_state("web", "SourceLost");
    assert_eq!((bench.status("web").as_str(), bench.pids("web", "main")), ("Running", pids.clone()));

    let mounted = Mounted::new(bench, &["--bind", &disc]);
    desk.until_state("web", "Applied");
    bench.manifest("web.yaml", &labelled("web"));
    desk.until_labelled();
    assert_eq!(bench.pids("web", "main"), pids, "it was restarted");
    bench.remove("web.yaml");
    bench.until("its status file goes", || !bench.path("status/web.status.yaml").exists());
    bench.until_status("web", "");
    mounted.unmount();
    bench.until_clean();
    assert_eq!(watch.stop(), 0);
}

/// A tmpfs can have the numbers of one that was unmounted before.
#[test]
fn a_folder_that_comes_up_empty_after_a_boot_is_lost_and_its_pods_run() {
    let Some(bench) = Bench::new() else { return };
    let tmpfs = ["-t", "tmpfs", "-o", "mode=0755", "tmpfs"];
    let mounted = Mounted::new(&bench, &tmpfs);
    bench.manifest("web.yaml", &pod("web"));
    let watch = bench.watch();
    bench.until_status("web", "Running");
    bench.until("its file says so", || bench.read("web.status.yaml").contains("phase: Running"));
    assert_eq!(watch.stop(), 0);
    bench.run(&["down"]).exits(0);
    bench.until_no_container();
    mounted.unmount();
    let mounted = Mounted::new(&bench, &tmpfs);

    let watch = bench.watch_after_a_reboot();
    bench.until("the loss is told", || bench.said("the folder is empty, and another directory than before"));
    bench.until_status("web", "Running");
    assert_eq!(fs::read_dir(bench.folder()).unwrap().count(), 0, "something was written into it");
    let pids = bench.pids("web", "main");
    bench.manifest("web.yaml", &labelled("web"));
    bench.until("its file tells of it", || bench.read("web.status.yaml").contains("state: Applied"));
    bench.until("the edit counts", || {
        bench.run(&["get", "pods", "--show-labels"]).stdout.contains("tier=front")
    });
    assert_eq!(bench.pids("web", "main"), pids, "it was restarted");
    bench.remove("web.yaml");
    bench.until_status("web", "");
    mounted.unmount();
    bench.until_clean();
    assert_eq!(watch.stop(), 0);
}

#[test]
fn a_file_and_a_link_in_place_of_the_folder_stop_nothing() {
    let Some(desk) = Desk::new() else { return };
    let bench = &desk.bench;
    bench.manifest("web.yaml", &pod("web"));
    let watch = desk.watch();
    bench.until_status("web", "Running");
    desk.until_state("web", "Applied");
    let pids = bench.pids("web", "main");
    let away = bench.path("away");
    fs::rename(bench.folder(), &away).unwrap();
    fs::write(bench.folder(), "no directory").unwrap();
    desk.until_state("web", "SourceLost");
    fs::remove_file(bench.folder()).unwrap();
    std::os::unix::fs::symlink("nowhere", bench.folder()).unwrap();
    bench.until("the loss is told", || bench.said("the folder is gone"));
    desk.until_state("web", "SourceLost");
    fs::remove_file(bench.folder()).unwrap();
    fs::rename(&away, bench.folder()).unwrap();
    desk.until_state("web", "Applied");
    assert_eq!(bench.pids("web", "main"), pids, "it was restarted");
    bench.remove("web.yaml");
    bench.until_clean();
    assert_eq!(watch.stop(), 0);
}

/// Everything below a directory, with the time of its last access.
fn accesses(place: &Path, found: &mut BTreeMap<PathBuf, i64>) {
    found.insert(place.to_owned(), fs::symlink_metadata(place).unwrap().atime());
    if place.is_dir() {
        for entry in fs::read_dir(place).unwrap() {
            accesses(&entry.unwrap().path(), found);
        }
    }
}

/// A disc that notes accesses, as discs do if nobody says otherwise, is written to by whoever only reads.
#[test]
fn a_watcher_that_looks_at_everything_again_leaves_no_trace_of_that() {
    let Some(bench) = Bench::new() else { return };
    let map = |name: &str| format!("apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}}}\n");
    fs::create_dir(bench.folder().join("team")).unwrap();
    fs::write(bench.folder().join("team/m.yaml"), map("m")).unwrap();
    fs::write(bench.folder().join(".droppodignore"), "drafts\n").unwrap();
    bench.manifest("web.yaml", &pod("web"));
    let folder = bench.folder();
    let watch = bench.start(&["watch", folder.to_str().unwrap(), "--rescan", "1s"]);
    bench.until_status("web", "Running");
    bench.until("its file says so", || bench.read("web.status.yaml").contains("summary: 1 pod running"));
    let places = ["m", "s", "l"].map(|place| bench.path(place));
    let mut before = BTreeMap::new();
    places.iter().for_each(|place| accesses(place, &mut before));
    // Long ago: the next access would be noted.
    for path in before.keys() {
        let touched = Command::new("touch").args(["-a", "-h", "-d", "@1000"]).arg(path).status();
        assert!(touched.unwrap().success());
    }
    for round in ["one", "two"] {
        // Makes the next look a look at all, and this one later than that.
        bench.manifest(&format!("{round}.yaml"), &map(round));
        bench.until("it is in force", || {
            bench.read(&format!("{round}.status.yaml")).contains("state: Applied")
        });
        assert!(
            Command::new("kill").args(["-HUP", &watch.child.id().to_string()]).status().unwrap().success()
        );
        bench.until("all is read again", || {
            bench.log().matches("all files are read again").count() == if round == "one" { 1 } else { 2 }
        });
    }
    bench.manifest("last.yaml", &map("last"));
    bench.until("it is in force", || bench.read("last.status.yaml").contains("state: Applied"));
    // Looking for it here is an access, so what was there before is asked one by one.
    let noted = before.keys().filter(|path| {
        let is = fs::symlink_metadata(path);
        is.is_ok_and(|is| is.atime() != 1000)
    });
    let noted: Vec<&PathBuf> = noted.collect();
    assert!(noted.is_empty(), "{noted:?}");
    bench.remove("web.yaml");
    bench.until_clean();
    assert_eq!(watch.stop(), 0);
}

#[test]
fn a_status_file_elsewhere_goes_with_its_manifest_also_while_nobody_watches() {
    let Some(desk) = Desk::new() else { return };
    let bench = &desk.bench;
    bench.manifest("web.yaml", &pod("web"));
    let watch = desk.watch();
    desk.until_state("web", "Applied");
    assert_eq!(watch.stop(), 0);
    bench.remove("web.yaml");
    let watch = desk.watch();
    bench.until("it goes", || !bench.path("status/web.status.yaml").exists());
    bench.until_clean();
    assert_eq!(watch.stop(), 0);
}

#[test]
fn a_directory_that_cannot_be_read_is_no_empty_one() {
    let Some(desk) = Desk::new() else { return };
    let bench = &desk.bench;
    let Some(disc) = Disc::mounted_on(&bench.folder(), bench) else { return };
    let map = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: map}\n";
    fs::create_dir(bench.folder().join("team")).unwrap();
    fs::write(bench.folder().join("team/map.yaml"), map).unwrap();
    bench.manifest("web.yaml", &pod("web"));
    let mut watch = desk.watch();
    bench.until_status("web", "Running");
    desk.until_state("web", "Applied");
    let pids = bench.pids("web", "main");

    for directory in ["/", "/team"] {
        let harm = disc.harm(directory);
        assert!(fs::read_dir(bench.folder().join(&directory[1..])).unwrap().any(|entry| entry.is_err()));
        let is_lost = || {
            desk.until_state("web", "SourceLost");
            desk.until_state("team/map", "SourceLost");
            assert_eq!((bench.status("web").as_str(), bench.pids("web", "main")), ("Running", pids.clone()));
            bench.run(&["get", "configmap", "map", "-o", "name"]).prints("configmap/map\n");
        };
        is_lost();
        // A watcher that starts meanwhile says the same.
        assert_eq!(watch.stop(), 0);
        fs::remove_dir_all(bench.path("status")).unwrap();
        watch = desk.watch();
        is_lost();
        disc.mend(harm);
        desk.until_state("web", "Applied");
        desk.until_state("team/map", "Applied");
    }
    bench.manifest("web.yaml", &labelled("web"));
    desk.until_labelled();
    assert_eq!(bench.pids("web", "main"), pids, "it was restarted");
    bench.remove("web.yaml");
    bench.until_status("web", "");
    drop(disc);
    bench.until_clean();
    assert_eq!(watch.stop(), 0);
}

#[test]
fn a_directory_that_goes_with_most_pods_in_it_is_missed_only_by_a_second_look() {
    let Some(desk) = Desk::new() else { return };
    let bench = &desk.bench;
    let (team, away) = (bench.folder().join("team"), bench.path("away"));
    fs::create_dir(&team).unwrap();
    let inside = ["a", "b", "c", "d"];
    let names = [&inside[..], &["e", "f"]].concat();
    for name in &names {
        let path = if inside.contains(name) { &team } else { &bench.folder() };
        fs::write(path.join(format!("{name}.yaml")), pod(name)).unwrap();
    }
    let watch = desk.watch();
    let pids =
        |names: &[&str]| -> Vec<Vec<i32>> { names.iter().map(|name| bench.pids(name, "main")).collect() };
    names.iter().for_each(|name| bench.until_status(name, "Running"));
    desk.until_state("team/d", "Applied");
    let before = pids(&names);

    fs::rename(&team, &away).unwrap();
    desk.until_state("team/d", "PruneHeld");
    fs::rename(&away, &team).unwrap();
    desk.until_state("team/d", "Applied");
    assert_eq!(pids(&names), before, "what came back was restarted");

    let went = now();
    fs::rename(&team, &away).unwrap();
    desk.until_state("team/d", "PruneHeld");
    bench.until("the second look agrees", || {
        let told = bench.run(&["get", "pods", "-o", "name"]).exits(0).stdout;
        let held_for = went.elapsed();
        let all = told.lines().count() == names.len();
        assert!(all || held_for >= SECOND_LOOK, "gone after {held_for:?}: {told}");
        told == "pod/e\npod/f\n"
    });
    assert_eq!(pids(&["e", "f"]), before[inside.len()..], "a neighbour was restarted");
    bench.remove("e.yaml").remove("f.yaml");
    bench.until_clean();
    assert_eq!(watch.stop(), 0);
}
