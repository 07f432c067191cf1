use std::collections::BTreeSet;
use std::time::Duration;

use super::*;
use crate::daemon::folder::settle::{Hint, QUIET, Sight};
use crate::daemon::folder::trust::Trust;
use crate::daemon::folder::{Folder, HasObjects, Root, Select};
use crate::daemon::tests::ground::{Ground, write};
use crate::manifest::Strictness;
use crate::manifest::podsecurity::Level;
use crate::model::object::ObjectRecord;
use crate::model::observed::{Finished, Interrupted};
use crate::model::pod_plan::Revision;
use crate::model::record::{FORMAT, Outcome, PodRecord, SandboxState};
use crate::model::time::{Now, Timestamp};

/// A watched folder and the objects taken from it.
struct Bench {
    ground: Ground,
    folder: Folder,
    inventory: Inventory,
    millis: u64,
}

impl Bench {
    fn new() -> Bench {
        let ground = Ground::new();
        let (folder, inventory) = Bench::start(&ground);
        Bench { ground, folder, inventory, millis: 0 }
    }

    fn start(ground: &Ground) -> (Folder, Inventory) {
        let root = Root { path: ground.folder("manifests"), select: Select::All };
        let places = ground.places();
        let folder = Folder::open(root, Trust::Checked, Sight::Events, &places).unwrap();
        let reader = Reader {
            namespace: "default".into(),
            strictness: Strictness::Strict,
            pod_security: Level::Privileged,
            untrusted: BTreeSet::new(),
        };
        let (inventory, failures) = Inventory::load(&places, reader, Caution::Wait).unwrap();
        assert!(failures.is_empty(), "{failures:?}");
        (folder, inventory)
    }

    /// The watcher dies and comes back.
    fn restart(self) -> Bench {
        let Bench { ground, folder, inventory, millis } = self;
        drop((folder, inventory));
        let (folder, inventory) = Bench::start(&ground);
        Bench { ground, folder, inventory, millis }
    }

    fn write(self, name: &str, text: &str) -> Bench {
        write(&self.ground.path("manifests").join(name), text);
        self
    }

    fn remove(self, name: &str) -> Bench {
        std::fs::remove_file(self.ground.path("manifests").join(name)).unwrap();
        self
    }

    fn rename(self, from: &str, to: &str) -> Bench {
        let folder = self.ground.path("manifests");
        std::fs::rename(folder.join(from), folder.join(to)).unwrap();
        self
    }

    fn now(&self) -> Now {
        let wall = Timestamp::from_second(4_000_000_000).unwrap();
        Now { wall, boot: Moment(Duration::from_secs(1_000) + Duration::from_millis(self.millis)) }
    }

    fn look(&mut self) -> Reconciled {
        let (places, now) = (self.ground.places(), self.now());
        let root = self.folder.root.path.clone();
        let has = if self.inventory.has_objects(&root) { HasObjects::Yes } else { HasObjects::No };
        let look = self.folder.look(&places, has, now);
        self.inventory.absorb(&root, look);
        let reconciled = self.inventory.reconcile(&places, now);
        self.inventory.write_removals(&places);
        reconciled
    }

    fn tell(&mut self, hint: Hint) {
        let now = self.now().boot;
        self.folder.settling.hear(hint, now);
    }

    /// Looks, and looks again once the folder has come to rest.
    fn settle(mut self) -> Bench {
        self.look();
        self.wait(QUIET)
    }

    fn wait(mut self, time: Duration) -> Bench {
        self.millis += u64::try_from(time.as_millis()).unwrap();
        let done = self.look();
        assert!(done.failures.is_empty(), "{:?}", done.failures);
        self
    }

    /// Name, file, generation and UID of every object that is not on its way out.
    fn objects(&self) -> Vec<(String, String, u64, Uid)> {
        let live = self.inventory.objects().values().filter(|known| known.record.deletion.is_none());
        let mut objects: Vec<_> = live
            .map(|known| {
                let ObjectRecord { key, source, generation, uid, .. } = &known.record;
                (key.to_string(), source.path.display().to_string(), *generation, uid.clone())
            })
            .collect();
        objects.sort();
        objects
    }

    fn names(&self) -> Vec<String> {
        self.objects().into_iter().map(|(name, ..)| name).collect()
    }

    fn leaving(&self) -> usize {
        self.inventory.objects().values().filter(|known| known.record.deletion.is_some()).count()
    }

    fn source(&self, name: &str) -> Source {
        Source { root: self.folder.root.path.clone(), path: name.into() }
    }

    /// Whether all that a file says is in force.
    fn is_applied(&self, name: &str) -> bool {
        let file = &self.inventory.files()[&self.source(name)];
        !file.observed_hash.is_empty() && file.applied_hash == file.observed_hash
    }
}

fn pod(name: &str, image: &str, command: &str) -> String {
    format!(
        "apiVersion: v1\nkind: Pod\nmetadata:\n  name: {name}\nspec:\n  containers:\n  - name: main\n    \
         image: {image}\n    command: [{command}]\n"
    )
}

fn map(name: &str) -> String {
    format!("apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {name}\ndata:\n  key: value\n")
}

#[test]
fn a_file_that_is_moved_keeps_its_objects_also_if_it_cannot_be_read_yet() {
    let bench = Bench::new().write("a.yaml", &pod("web", "a", "run")).settle();
    let before = bench.objects();
    let path = bench.ground.path("manifests/a.yaml");
    let writer = std::fs::File::options().append(true).open(path).unwrap();
    let bench = bench.rename("a.yaml", "b.yaml").settle().wait(QUIET);
    assert_eq!(bench.objects(), before);
    drop(writer);
    let bench = bench.settle();
    let (name, file, generation, uid) = before[0].clone();
    assert_eq!(file, "a.yaml");
    assert_eq!(bench.objects(), [(name, "b.yaml".to_owned(), generation, uid)]);
}

#[test]
fn comments_and_renames_change_no_object() {
    let bench = Bench::new().write("web.yaml", &pod("web", "nginx", "run")).settle();
    let before = bench.objects();
    assert_eq!(before.len(), 1);
    let commented = format!("# a comment\n{}", pod("web", "nginx", "run"));
    let bench = bench.write("web.yaml", &commented).settle();
    assert_eq!(bench.objects(), before);
    let bench = bench.rename("web.yaml", "sub.yaml").settle();
    let (name, _, generation, uid) = before[0].clone();
    assert_eq!(bench.objects(), [(name, "sub.yaml".to_owned(), generation, uid)]);
    assert_eq!(bench.leaving(), 0);
}

#[test]
fn an_image_is_changed_in_place_and_a_command_makes_another_pod() {
    let bench = Bench::new().write("web.yaml", &pod("web", "nginx:1", "run")).settle();
    let first = bench.objects()[0].3.clone();
    let bench = bench.write("web.yaml", &pod("web", "nginx:2", "run")).settle();
    assert_eq!((bench.objects()[0].2, &bench.objects()[0].3), (2, &first));
    let bench = bench.write("web.yaml", &pod("web", "nginx:2", "other")).settle();
    assert_ne!(bench.objects()[0].3, first);
    assert_eq!((bench.objects()[0].2, bench.leaving()), (1, 1));
}

#[test]
fn an_edit_that_ends_something_waits_until_the_folder_is_quiet_and_an_addition_does_not() {
    let mut bench = Bench::new().write("web.yaml", &pod("web", "nginx", "run")).settle();
    let first = bench.objects()[0].3.clone();
    bench = bench.write("web.yaml", &pod("web", "nginx", "other")).write("map.yaml", &map("settings"));
    let done = bench.look();
    assert_eq!(done.again_at, Some(bench.now().boot + QUIET));
    assert_eq!(bench.names(), ["configmap/settings", "pod/web"]);
    assert_eq!(bench.objects()[1].3, first);
    let bench = bench.wait(QUIET);
    assert_ne!(bench.objects()[1].3, first);
}

#[test]
fn a_bad_edit_keeps_what_the_file_asked_for_last_also_over_a_restart() {
    let bench = Bench::new().write("web.yaml", &pod("web", "nginx", "run")).settle();
    let before = bench.objects();
    for text in ["kind: [", "", "apiVersion: v1\nkind: Pod\nmetadata: {name: web}\nspec: {contianers: []}\n"]
    {
        let bad = Bench::new().write("web.yaml", &pod("web", "nginx", "run")).settle();
        let bad = bad.write("web.yaml", text).settle();
        assert_eq!(bad.names(), ["pod/web"], "{text:?}");
        let file = &bad.inventory.files()[&bad.source("web.yaml")];
        assert!(!file.is_good() && !file.mistakes.is_empty(), "{text:?}");
    }
    let bench = bench.write("web.yaml", "kind: [").restart().settle();
    assert_eq!(bench.objects(), before);
}

#[test]
fn the_first_file_keeps_an_object_and_the_second_takes_it_over_without_a_restart() {
    let bench = Bench::new().write("b.yaml", &pod("web", "nginx", "run")).settle();
    let uid = bench.objects()[0].3.clone();
    let bench = bench.write("a.yaml", &pod("web", "nginx", "run")).settle();
    assert_eq!(bench.objects()[0].1, "b.yaml");
    let conflicts = bench.inventory.conflicts(&bench.source("a.yaml"));
    assert_eq!(conflicts[0].holder, bench.source("b.yaml"));
    let bench = bench.remove("b.yaml").settle();
    assert_eq!((bench.objects()[0].1.as_str(), &bench.objects()[0].3), ("a.yaml", &uid));
    assert!(bench.inventory.conflicts(&bench.source("a.yaml")).is_empty());
}

#[test]
fn the_pod_of_a_deleted_file_leaves_and_its_config_map_is_forgotten_at_once() {
    let both = format!("{}---\n{}", pod("web", "nginx", "run"), map("settings"));
    let bench = Bench::new().write("web.yaml", &both).settle();
    assert_eq!(bench.names(), ["configmap/settings", "pod/web"]);
    let bench = bench.remove("web.yaml").settle();
    assert_eq!((bench.names().len(), bench.leaving()), (0, 1));
    let loaded = objects::load(&bench.ground.places()).unwrap().objects;
    assert!(loaded.len() == 1 && loaded[0].deletion.is_some());
    // What a pass does once the pod has gone.
    objects::forget(&bench.ground.places(), &loaded[0].uid).unwrap();
    let bench = bench.wait(QUIET);
    assert!(bench.inventory.objects().is_empty());
}

#[test]
fn a_deletion_while_nobody_watched_is_seen_by_the_next_watcher() {
    let bench = Bench::new().write("a.yaml", &map("a")).write("b.yaml", &map("b")).settle();
    let bench = bench.remove("a.yaml").restart().settle();
    assert_eq!(bench.names(), ["configmap/b"]);
}

#[test]
fn most_of_a_folder_goes_only_after_a_second_look() {
    let mut bench = Bench::new();
    for number in 0..5 {
        bench = bench.write(&format!("{number}.yaml"), &map(&format!("m{number}")));
    }
    bench = bench.settle();
    for number in 0..4 {
        bench = bench.remove(&format!("{number}.yaml"));
    }
    bench = bench.settle();
    assert_eq!(bench.names().len(), 5);
    assert!(bench.inventory.folder(&bench.folder.root.path).unwrap().held().is_some());
    let bench = bench.wait(Duration::from_secs(6));
    assert_eq!(bench.names(), ["configmap/m4"]);
}

#[test]
fn files_that_were_seen_going_are_not_waited_for() {
    let mut bench = Bench::new();
    for number in 0..5 {
        bench = bench.write(&format!("{number}.yaml"), &map(&format!("m{number}")));
    }
    bench = bench.settle();
    for number in 0..4 {
        let name = format!("{number}.yaml");
        let now = bench.now().boot;
        bench.folder.settling.hear(Hint::Went(name.clone().into()), now);
        bench = bench.remove(&name);
    }
    assert_eq!(bench.settle().names(), ["configmap/m4"]);
}

#[test]
fn a_lost_folder_stops_nothing() {
    let bench = Bench::new().write("web.yaml", &pod("web", "nginx", "run")).settle();
    std::fs::rename(bench.ground.path("manifests"), bench.ground.path("away")).unwrap();
    let bench = bench.wait(Duration::from_secs(60));
    assert_eq!(bench.names(), ["pod/web"]);
    assert_eq!(bench.leaving(), 0);
}

fn record_of(name: &str, uid: &Uid) -> PodRecord {
    PodRecord {
        format: FORMAT,
        binary: "0.1.0".into(),
        id: crate::model::id::PodId { namespace: "default".into(), name: name.into(), uid: uid.clone() },
        revision: Revision { pod: String::new(), live: String::new() },
        shim_pid: 0,
        address: None,
        started_at: Timestamp::UNIX_EPOCH,
        sandbox: SandboxState::Ready,
        containers: Vec::new(),
        stopping: None,
        outcome: None,
        conditions: None,
        events: Vec::new(),
    }
}

#[test]
fn a_pod_that_has_ended_runs_again_only_for_another_spec() {
    let bench = Bench::new().write("job.yaml", &pod("job", "busybox:1", "work")).settle();
    let uid = bench.objects()[0].3.clone();
    let finished = Finished { outcome: Outcome::Succeeded, record: record_of("job", &uid) };
    objects::finish(&bench.ground.places(), &uid, &finished).unwrap();
    let labelled = pod("job", "busybox:1", "work").replace("  name: job", "  name: job\n  labels: {a: b}");
    let bench = bench.write("job.yaml", &labelled).settle();
    assert_eq!(bench.objects()[0].3, uid);
    let bench = bench.write("job.yaml", &pod("job", "busybox:2", "work")).settle();
    assert_ne!(bench.objects()[0].3, uid);
}

#[test]
fn after_a_reboot_a_pod_that_restarts_is_made_anew_and_one_that_does_not_is_left_to_the_plan() {
    let never = pod("once", "busybox", "work").replace("spec:\n", "spec:\n  restartPolicy: Never\n");
    let bench = Bench::new().write("a.yaml", &pod("web", "nginx", "run")).write("b.yaml", &never).settle();
    let before = bench.objects();
    for (.., uid) in &before {
        objects::mark_launched(&bench.ground.places(), uid, "last boot").unwrap();
    }
    let mut bench = bench.restart();
    let now = bench.now();
    assert!(bench.inventory.renew(&bench.ground.places(), "last boot", now).is_empty());
    assert_eq!(bench.objects(), before, "the same boot");
    assert!(bench.inventory.renew(&bench.ground.places(), "this boot", now).is_empty());
    let after = bench.objects();
    assert_eq!(after[0], before[0]);
    assert_ne!(after[1].3, before[1].3);
    let bench = bench.settle();
    assert_eq!(bench.objects(), after, "the file asks for no other");
}

#[test]
fn a_pod_that_a_shutdown_stopped_is_made_anew_whatever_its_policy() {
    let never = pod("once", "busybox", "work").replace("spec:\n", "spec:\n  restartPolicy: Never\n");
    let bench = Bench::new().write("a.yaml", &never).settle();
    let (places, before) = (bench.ground.places(), bench.objects());
    let uid = &before[0].3;
    objects::mark_launched(&places, uid, "last boot").unwrap();
    let interrupted = Interrupted { at: Timestamp::UNIX_EPOCH, record: None };
    objects::interrupt(&places, uid, &interrupted).unwrap();
    let mut bench = bench.restart();
    let now = bench.now();
    assert!(bench.inventory.renew(&places, "last boot", now).is_empty());
    assert_eq!(bench.objects(), before, "the same boot");
    assert!(bench.inventory.renew(&places, "this boot", now).is_empty());
    assert_ne!(bench.objects()[0].3, *uid);
}

#[test]
fn of_one_folder_several_files_can_be_meant() {
    let bench = Bench::new().write("a.yaml", &map("a")).write("b.yaml", &map("b")).write("c.yaml", &map("c"));
    let places = bench.ground.places();
    let reader = Reader {
        namespace: "default".into(),
        strictness: Strictness::Strict,
        pod_security: Level::Privileged,
        untrusted: BTreeSet::new(),
    };
    let (mut inventory, _) = Inventory::load(&places, reader, Caution::Trust).unwrap();
    let select = Select::Files(["a.yaml", "b.yaml"].map(PathBuf::from).into());
    let root = Root { path: bench.ground.path("manifests"), select };
    let mut folder = Folder::open(root, Trust::NamedByUser, Sight::Polling, &places).unwrap();
    let look = folder.look(&places, HasObjects::No, bench.now());
    inventory.absorb(&folder.root.path, look);
    assert_eq!(inventory.reconcile(&places, bench.now()).changed, 2);
}

#[test]
fn a_look_at_everything_that_finds_nothing_changed_stirs_nothing() {
    let mut bench = Bench::new().write("a.yaml", &map("a")).write("b.yaml", &map("b")).settle();
    bench.inventory.take_untold();
    bench = bench.wait(Duration::from_secs(60));
    assert_eq!(bench.inventory.take_untold(), Stir::default());
    bench = bench.write("b.yaml", &map("b").replace("value", "other")).settle();
    assert_eq!(bench.inventory.take_untold(), Stir::Of([bench.source("b.yaml")].into()));
    bench = bench.remove("a.yaml").settle();
    assert_eq!(bench.inventory.take_untold(), Stir::Of([bench.source("a.yaml")].into()));
    bench = bench.wait(Duration::from_secs(600));
    assert_eq!(bench.inventory.take_untold(), Stir::All, "all is read again, and looked at");
}

#[test]
fn with_events_only_what_they_tell_of_is_looked_at_and_it_comes_to_the_same() {
    let mut bench = Bench::new().write("a.yaml", &map("one")).write("b.yaml", &map("one"));
    bench.folder.rely_on_events();
    let mut bench = bench.write("c.yaml", &map("two")).settle().wait(QUIET);
    assert_eq!(bench.inventory.conflicts(&bench.source("b.yaml")).len(), 1);
    let one = bench.objects()[0].clone();

    // What nobody told of is found when all is looked at.
    bench = bench.write("c.yaml", &map("three")).wait(QUIET).wait(QUIET);
    assert_eq!(bench.names(), ["configmap/one", "configmap/two"]);
    bench.folder.settling.look_everywhere();
    bench = bench.settle();
    assert_eq!(bench.names(), ["configmap/one", "configmap/three"]);

    // An edit beside a conflict leaves it as it is; the file that goes hands the object over.
    bench = bench.wait(QUIET).write("b.yaml", &map("one").replace("value", "other"));
    bench.tell(Hint::Arrived("b.yaml".into()));
    bench = bench.settle();
    assert_eq!(bench.objects()[0], one);
    assert_eq!(bench.inventory.conflicts(&bench.source("b.yaml")).len(), 1);
    bench = bench.remove("a.yaml");
    bench.tell(Hint::Went("a.yaml".into()));
    bench = bench.settle();
    let (name, _, _, uid) = one;
    assert_eq!(bench.objects()[0], (name, "b.yaml".to_owned(), 2, uid));
    assert!(bench.is_applied("b.yaml"), "also if nothing has told of the file that takes over");
    assert_eq!(bench.inventory.conflicts(&bench.source("b.yaml")).len(), 0);

    // So does an object that a file has lost.
    bench = bench.write("d.yaml", &map("one"));
    bench.tell(Hint::Arrived("d.yaml".into()));
    bench = bench.settle().wait(QUIET);
    bench = bench.write("b.yaml", &map("four"));
    bench.tell(Hint::Arrived("b.yaml".into()));
    bench = bench.settle();
    assert_eq!(bench.names(), ["configmap/four", "configmap/one", "configmap/three"]);
    assert_eq!(bench.objects()[1].1, "d.yaml");
    assert!(bench.is_applied("b.yaml") && bench.is_applied("d.yaml"));
}
