//! The ways in which editors and tools write: each change counts once it is whole, and nothing else does.

use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::bench::{Bench, now, say};

const HALF_A_MINUTE: Duration = Duration::from_secs(30);

pub(super) fn map(name: &str, text: &str) -> String {
    format!("apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}}}\ndata:\n  text: {text}\n")
}

/// A folder with one ConfigMap in it, under watch.
pub(super) struct Desk {
    pub(super) bench: Bench,
    uid: String,
}

impl Desk {
    pub(super) fn new() -> Option<Desk> {
        let bench = Bench::new()?;
        bench.manifest("m.yaml", &map("m", "first"));
        Some(Desk { bench, uid: String::new() })
    }

    pub(super) fn file(&self) -> PathBuf {
        self.bench.folder().join("m.yaml")
    }

    /// Text, generation and UID of the object in force.
    fn object(&self, name: &str) -> Option<(String, u64, String)> {
        let json = self.bench.run(&["get", "configmap", name, "-o", "json"]).stdout;
        let object: serde_json::Value = serde_json::from_str(&json).ok()?;
        let text = |value: &serde_json::Value| value.as_str().map(str::to_owned);
        let metadata = &object["metadata"];
        Some((text(&object["data"]["text"])?, metadata["generation"].as_u64()?, text(&metadata["uid"])?))
    }

    pub(super) fn begin(&mut self) {
        self.bench.until("it is declared", || self.object("m").is_some());
        self.uid = self.object("m").unwrap().2;
    }

    /// The object has become this, and is still the same object.
    #[track_caller]
    pub(super) fn reads(&self, text: &str, generation: u64) {
        let fact = format!("it reads {text}");
        self.bench.until(&fact, || self.object("m").is_some_and(|(now, ..)| now == text));
        assert_eq!(self.object("m").unwrap(), (text.to_owned(), generation, self.uid.clone()));
    }

    /// What was dropped after something else is in force, so that something else has been looked at.
    pub(super) fn looked(&self, name: &str) {
        self.bench.manifest(&format!("{name}.yaml"), &map(name, "x"));
        self.bench.until("a later file is in force", || self.object(name).is_some());
        self.bench.remove(&format!("{name}.yaml"));
    }
}

#[test]
fn a_file_written_in_place_or_replaced_is_the_same_object_with_other_content() {
    let Some(mut desk) = Desk::new() else { return };
    let watch = desk.bench.watch();
    desk.begin();
    let file = desk.file();
    let beside = |name: &str| file.with_file_name(name);

    // Truncated and written, as a shell's redirection does.
    fs::write(&file, map("m", "truncated")).unwrap();
    desk.reads("truncated", 2);

    // Written beside and renamed.
    desk.bench.manifest("m.yaml", &map("m", "renamed"));
    desk.reads("renamed", 3);

    // vim: the old file becomes a backup, the new one is written under the name.
    fs::rename(&file, beside("m.yaml~")).unwrap();
    fs::write(&file, map("m", "vim")).unwrap();
    fs::remove_file(beside("m.yaml~")).unwrap();
    desk.reads("vim", 4);

    // rsync: a hidden name that still ends in nothing we read.
    fs::write(beside(".m.yaml.Xa81Qz"), map("m", "rsync")).unwrap();
    fs::rename(beside(".m.yaml.Xa81Qz"), &file).unwrap();
    desk.reads("rsync", 5);

    // A second name of another file takes the place of the first.
    fs::write(beside("other"), map("m", "hard")).unwrap();
    fs::hard_link(beside("other"), beside("other.part")).unwrap();
    fs::rename(beside("other.part"), &file).unwrap();
    desk.reads("hard", 6);
    fs::remove_file(beside("other")).unwrap();

    // As long as before, and no younger: cp --preserve of a copy that was made earlier.
    let saved = desk.bench.path("saved.yaml");
    fs::write(&saved, map("m", "copy")).unwrap();
    run(Command::new("touch").arg("--reference").arg(&file).arg(&saved));
    run(Command::new("cp").arg("--preserve").arg(&saved).arg(&file));
    desk.reads("copy", 7);
    assert_eq!(watch.stop(), 0);
}

#[test]
fn what_changes_no_content_changes_nothing() {
    let Some(mut desk) = Desk::new() else { return };
    let watch = desk.bench.watch();
    desk.begin();
    let file = desk.file();
    run(Command::new("touch").arg(&file));
    desk.looked("after-touch");
    desk.reads("first", 1);

    let mode = |mode| fs::set_permissions(&file, fs::Permissions::from_mode(mode)).unwrap();
    // The superuser reads it all the same.
    mode(0o000);
    desk.looked("after-chmod");
    desk.reads("first", 1);
    mode(0o666);
    desk.bench.until("a file that others can write to is refused", || {
        desk.bench.read("m.status.yaml").contains("state: Refused")
    });
    desk.reads("first", 1);
    mode(0o644);
    desk.bench.until("it counts again", || desk.bench.read("m.status.yaml").contains("state: Applied"));
    desk.reads("first", 1);
    assert_eq!(watch.stop(), 0);
}

#[test]
fn a_copy_that_stalls_counts_when_it_is_whole() {
    let Some(mut desk) = Desk::new() else { return };
    let watch = desk.bench.watch();
    desk.begin();
    let whole = map("m", "whole");
    let mut stalled = File::create(desk.file()).unwrap();
    // What is there of it is YAML, and empties the map.
    stalled.write_all(&whole.as_bytes()[..whole.len() - "  text: whole\n".len()]).unwrap();
    desk.looked("meanwhile");
    desk.reads("first", 1);
    stalled.write_all(b"  text: whole\n").unwrap();
    drop(stalled);
    desk.reads("whole", 2);
    assert_eq!(watch.stop(), 0);
}

/// It takes as long as that, and no processor time.
#[test]
fn a_writer_that_never_closes_is_waited_for_half_a_minute() {
    let Some(mut desk) = Desk::new() else { return };
    let watch = desk.bench.watch();
    desk.begin();
    let (began, text) = (now(), map("m", "held"));
    let mut held = File::create(desk.file()).unwrap();
    held.write_all(text.as_bytes()).unwrap();
    let status = || desk.bench.read("m.status.yaml");
    desk.bench.until("it is told to be on its way", || status().contains("state: Settling"));
    desk.bench.until("it is read all the same", || status().contains("state: Applied"));
    assert!(began.elapsed() >= HALF_A_MINUTE, "read after {:?}", began.elapsed());
    desk.reads("held", 2);
    // What comes after that counts, too.
    held.write_all(b"  more: text\n").unwrap();
    drop(held);
    desk.bench
        .until("the rest counts", || desk.object("m").is_some_and(|(_, generation, _)| generation == 3));
    assert_eq!(watch.stop(), 0);
}

#[test]
fn a_checkout_changes_what_differs() {
    let Some(mut desk) = Desk::new() else { return };
    let folder = desk.bench.folder();
    let git = |args: &[&str]| {
        let ran = Command::new("git")
            .args(["-c", "user.name=a", "-c", "user.email=a@example.org", "-C"])
            .arg(&folder)
            .args(args)
            .output();
        ran.is_ok_and(|output| output.status.success())
    };
    if !git(&["init", "--quiet"]) {
        say("skipped: there is no git");
        return;
    }
    desk.bench.manifest("same.yaml", &map("same", "same"));
    assert!(git(&["add", "."]) && git(&["commit", "--quiet", "-m", "first"]));
    desk.bench.manifest("m.yaml", &map("m", "second")).manifest("late.yaml", &map("late", "late"));
    assert!(git(&["add", "."]) && git(&["commit", "--quiet", "-m", "second"]));
    let watch = desk.bench.watch();
    desk.begin();
    desk.bench.until("all are declared", || desk.object("same").is_some() && desk.object("late").is_some());
    let same = desk.object("same");
    assert!(git(&["checkout", "--quiet", "HEAD~1"]));
    desk.reads("first", 2);
    desk.bench.until("what the commit lacks goes", || desk.object("late").is_none());
    assert_eq!(desk.object("same"), same);
    assert!(git(&["checkout", "--quiet", "-"]));
    desk.reads("second", 3);
    desk.bench.until("and comes back", || desk.object("late").is_some());
    assert_eq!(desk.object("same"), same);
    assert_eq!(watch.stop(), 0);
}

#[test]
fn a_folder_that_is_a_mounted_config_map_is_replaced_by_one_link() {
    let Some(mut desk) = Desk::new() else { return };
    let folder = desk.bench.folder();
    let generation = |name: &str, text: &str| {
        fs::create_dir(folder.join(name)).unwrap();
        fs::write(folder.join(name).join("m.yaml"), map("m", text)).unwrap();
        symlink(name, folder.join("..data_tmp")).unwrap();
        fs::rename(folder.join("..data_tmp"), folder.join("..data")).unwrap();
    };
    fs::remove_file(desk.file()).unwrap();
    generation("..1", "first");
    symlink("..data/m.yaml", desk.file()).unwrap();
    let watch = desk.bench.watch();
    desk.begin();
    generation("..2", "swapped");
    desk.reads("swapped", 2);
    fs::remove_dir_all(folder.join("..1")).unwrap();
    desk.looked("later");
    desk.reads("swapped", 2);
    assert_eq!(watch.stop(), 0);
}

#[test]
fn a_directory_moved_in_is_read_and_moved_out_is_gone() {
    let Some(mut desk) = Desk::new() else { return };
    let watch = desk.bench.watch();
    desk.begin();
    let away = desk.bench.path("away");
    fs::create_dir_all(away.join("deep")).unwrap();
    fs::write(away.join("deep/one.yaml"), map("one", "first")).unwrap();
    fs::write(away.join("two.yaml"), map("two", "second")).unwrap();
    let inside = desk.bench.folder().join("team");
    let both = |desk: &Desk| (desk.object("one").is_some(), desk.object("two").is_some());

    move_to(&away, &inside);
    desk.bench.until("both are declared", || both(&desk) == (true, true));
    let one = desk.object("one");
    // To another name: the same objects.
    let renamed = desk.bench.folder().join("crew");
    move_to(&inside, &renamed);
    desk.bench.until("the status file has moved along", || {
        renamed.join("deep/one.status.yaml").exists() && !inside.exists()
    });
    assert_eq!(desk.object("one"), one);
    // A file made in a directory that is watched only since it came is heard of.
    fs::write(renamed.join("deep/three.yaml"), map("three", "third")).unwrap();
    desk.bench.until("a file in it counts", || desk.object("three").is_some());
    move_to(&renamed, &away);
    desk.bench.until("both are gone", || both(&desk) == (false, false));
    desk.reads("first", 1);
    assert_eq!(watch.stop(), 0);
}

fn move_to(from: &Path, to: &Path) {
    fs::rename(from, to).unwrap();
}

fn run(command: &mut Command) {
    assert!(command.status().unwrap().success());
}
