//! File events that are lost, or that the kernel does not give: what is dropped counts all the same.

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::process::{Command, Stdio};

use rustix::fs::inotify::{self, WatchFlags};
use rustix::io::Errno;

use super::pod;
use crate::bench::{Bench, Running, say};

fn map(name: &str, text: &str) -> String {
    format!("apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}}}\ndata:\n  text: {text}\n")
}

/// What a ConfigMap holds; empty if there is none.
fn text(bench: &Bench, name: &str) -> String {
    bench.run(&["get", "configmap", name, "-o", "jsonpath={.data.text}"]).stdout.trim().to_owned()
}

fn until_text(bench: &Bench, name: &str, wanted: &str) {
    bench.until(&format!("{name} holds `{wanted}`"), || text(bench, name) == wanted);
}

fn signal(watch: &Running, name: &str) {
    assert!(Command::new("kill").args([name, &watch.child.id().to_string()]).status().unwrap().success());
}

/// More changes than the kernel keeps of what nobody reads: each makes a file, writes to it and closes it.
fn flood(bench: &Bench) {
    let most: usize =
        fs::read_to_string("/proc/sys/fs/inotify/max_queued_events").unwrap().trim().parse().unwrap();
    let noise = bench.folder().join("noise.txt");
    for _ in 0..=most / 2 {
        // Equal events that follow each other are told once, so they must differ.
        let mut file = File::create(&noise).unwrap();
        file.write_all(b"noise").unwrap();
    }
    fs::remove_file(noise).unwrap();
}

#[test]
fn what_changes_while_events_are_lost_counts() {
    let Some(bench) = Bench::new() else { return };
    bench
        .manifest("kept.yaml", &pod("kept"))
        .manifest("edited.yaml", &map("edited", "before"))
        .manifest("removed.yaml", &map("removed", "before"))
        .manifest("written.yaml", &map("written", "before"));
    let folder = bench.folder();
    // No look but those that events lead to.
    let watch = bench.start(&["watch", folder.to_str().unwrap(), "--rescan", "1h"]);
    bench.until_status("kept", "Running");
    bench.until("all are declared", || text(&bench, "written") == "before");
    let pids = bench.pids("kept", "main");

    signal(&watch, "-STOP");
    flood(&bench);
    bench.manifest("edited.yaml", &map("edited", "after")).manifest("late.yaml", &map("late", "after"));
    bench.remove("removed.yaml");
    fs::create_dir(folder.join("team")).unwrap();
    fs::write(folder.join("team/one.yaml"), map("one", "after")).unwrap();
    let mut writer = File::create(folder.join("written.yaml")).unwrap();
    // What is there of it is whole, and something else.
    writer.write_all(map("written", "half").as_bytes()).unwrap();
    signal(&watch, "-CONT");

    bench.until("the loss is told", || bench.said("file events were lost"));
    until_text(&bench, "edited", "after");
    until_text(&bench, "late", "after");
    until_text(&bench, "one", "after");
    until_text(&bench, "removed", "");
    assert_eq!(text(&bench, "written"), "before", "a file that somebody writes to was read");
    writer.write_all(b"  more: text\n").unwrap();
    drop(writer);
    until_text(&bench, "written", "half");
    // The directory whose making was not heard of is listened to.
    fs::write(folder.join("team/two.yaml"), map("two", "after")).unwrap();
    until_text(&bench, "two", "after");
    assert_eq!(bench.pids("kept", "main"), pids, "it was restarted");
    bench.remove("kept.yaml");
    bench.until_clean();
    assert_eq!(watch.stop(), 0);
}

/// Starts a watcher to which the kernel refuses a system call: as to one that finds the machine's instances or watches
/// of inotify taken, of which there is one account for all that the superuser runs.
fn watch_without(bench: &Bench, call: &str, errno: i32) -> Option<Running> {
    let number = match (std::env::consts::ARCH, call) {
        ("x86_64", "inotify_add_watch") => 254,
        ("x86_64", "inotify_init1") => 294,
        ("aarch64", "inotify_init1") => 26,
        ("aarch64", "inotify_add_watch") => 27,
        (arch, _) => {
            say(&format!("skipped: the number of {call} on {arch} is not known here"));
            return None;
        }
    };
    let prctl = if std::env::consts::ARCH == "x86_64" { 157 } else { 167 };
    // Loads the call's number, and gives the error for this one (linux/filter.h, linux/seccomp.h).
    let script = format!(
        "my $f = pack('(SCCL)4', 0x20,0,0,0, 0x15,0,1,{number}, 0x06,0,0,{}, 0x06,0,0,0x7fff0000); \
         my $p = pack('Sx6P', 4, $f); \
         syscall({prctl}, 22, 2, $p, 0, 0) == 0 or die $!; \
         exec @ARGV or die $!;",
        0x0005_0000 + errno
    );
    let command = bench.command(&["watch", bench.folder().to_str().unwrap(), "--rescan", "1s"]);
    let mut perl = bench.program("perl");
    perl.args(["-e", &script, "--", env!("CARGO_BIN_EXE_droppod")]);
    let droppod = command.get_args().position(|arg| arg == env!("CARGO_BIN_EXE_droppod")).unwrap();
    perl.args(command.get_args().skip(droppod + 1)).env_clear();
    perl.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let log = OpenOptions::new().create(true).append(true).open(bench.path("err")).unwrap();
    let running = Running { child: perl.stdin(Stdio::null()).stderr(log).spawn().unwrap() };
    bench.until("the watcher is ready", || bench.said(" watches "));
    Some(running)
}

/// A whole life of a folder, of which nothing is heard.
fn live_without_events(bench: &Bench, watch: Running) {
    bench.manifest("web.yaml", &pod("web")).manifest("m.yaml", &map("m", "before"));
    bench.until_status("web", "Running");
    until_text(bench, "m", "before");
    let pids = bench.pids("web", "main");
    // In place, and as long as before.
    fs::write(bench.folder().join("m.yaml"), map("m", "behind")).unwrap();
    until_text(bench, "m", "behind");
    fs::create_dir(bench.folder().join("team")).unwrap();
    fs::rename(bench.folder().join("web.yaml"), bench.folder().join("team/web.yaml")).unwrap();
    bench.until("it is seen there", || bench.folder().join("team/web.status.yaml").exists());
    let mut stalled = File::create(bench.folder().join("m.yaml")).unwrap();
    stalled.write_all(map("m", "half").as_bytes()).unwrap();
    bench.manifest("later.yaml", &map("later", "later"));
    until_text(bench, "later", "later");
    assert_eq!(text(bench, "m"), "behind", "a file that somebody writes to was read");
    drop(stalled);
    until_text(bench, "m", "half");
    assert_eq!(bench.pids("web", "main"), pids, "it was restarted");
    fs::remove_file(bench.folder().join("team/web.yaml")).unwrap();
    bench.until_clean();
    assert_eq!(watch.stop(), 0);
}

#[test]
fn without_an_instance_of_inotify_folders_are_polled() {
    let Some(bench) = Bench::new() else { return };
    let Some(watch) = watch_without(&bench, "inotify_init1", libc::EMFILE) else { return };
    bench.until("it says so", || bench.said("no file events on this machine, folders are polled"));
    live_without_events(&bench, watch);
}

#[test]
fn without_a_watch_of_inotify_a_folder_is_polled() {
    let Some(bench) = Bench::new() else { return };
    let Some(watch) = watch_without(&bench, "inotify_add_watch", libc::ENOSPC) else { return };
    bench.until("it says so", || bench.said("folder cannot be watched, it is polled"));
    live_without_events(&bench, watch);
}

/// Written by a name outside of the folder, which is gone by then.
#[test]
fn an_edit_that_no_event_tells_of_counts_though_its_time_is_the_old_one() {
    let Some(bench) = Bench::new() else { return };
    let (file, outside) = (bench.folder().join("m.yaml"), bench.path("outside"));
    bench.manifest("m.yaml", &map("m", "before"));
    let (folder, status) = (bench.folder(), bench.path("status"));
    let places = [folder.to_str().unwrap(), "--status-dir", status.to_str().unwrap()];
    let watch = bench.start(&[&["watch", "--rescan", "1s"], &places[..]].concat());
    until_text(&bench, "m", "before");
    fs::hard_link(&file, &outside).unwrap();
    let mut writer = OpenOptions::new().write(true).open(&outside).unwrap();
    fs::remove_file(outside).unwrap();
    let modified = writer.metadata().unwrap().modified().unwrap();
    let ear = inotify::init(inotify::CreateFlags::NONBLOCK | inotify::CreateFlags::CLOEXEC).unwrap();
    let looks = WatchFlags::OPEN | WatchFlags::ACCESS | WatchFlags::CLOSE_NOWRITE;
    inotify::add_watch(&ear, &folder, WatchFlags::ALL_EVENTS - looks).unwrap();
    // As long as before.
    writer.write_all(map("m", "behind").as_bytes()).unwrap();
    writer.set_modified(modified).unwrap();
    drop(writer);
    assert_eq!(fs::metadata(&file).unwrap().modified().unwrap(), modified);
    until_text(&bench, "m", "behind");
    assert_eq!(rustix::io::read(&ear, &mut [0; 512]), Err(Errno::AGAIN), "an event has told of it");
    assert_eq!(watch.stop(), 0);
}
