//! Folders that bear another name than before, and names that lead to another folder.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use super::pod;
use crate::bench::{Bench, Running};

/// A watcher on these folders, which looks again each second.
fn watching(bench: &Bench, folders: &[&Path]) -> Running {
    let before = bench.log().len();
    let folders = folders.iter().map(|folder| folder.to_str().unwrap());
    let args: Vec<&str> = ["watch", "--rescan", "1s"].into_iter().chain(folders).collect();
    let watch = bench.start(&args);
    bench.until("the watcher is ready", || bench.log()[before..].contains(" watches "));
    watch
}

fn labelled(name: &str, tier: &str) -> String {
    pod(name).replace(&format!("{{name: {name}}}"), &format!("{{name: {name}, labels: {{tier: {tier}}}}}"))
}

fn until_labelled(bench: &Bench, tier: &str) {
    bench.until("the edit counts", || {
        bench.run(&["get", "pods", "--show-labels"]).stdout.contains(&format!("tier={tier}"))
    });
}

#[test]
fn a_folder_that_was_renamed_while_nobody_watched_is_gone_on_with() {
    let Some(bench) = Bench::new() else { return };
    bench.manifest("web.yaml", &pod("web"));
    let watch = bench.watch();
    bench.until_status("web", "Running");
    let pids = bench.pids("web", "main");
    assert_eq!(watch.stop(), 0);

    let renamed = bench.path("renamed");
    fs::rename(bench.folder(), &renamed).unwrap();
    let watch = watching(&bench, &[&renamed]);
    fs::write(renamed.join("web.yaml"), labelled("web", "front")).unwrap();
    until_labelled(&bench, "front");
    assert_eq!(bench.pids("web", "main"), pids, "it was restarted");
    assert_eq!(watch.stop(), 0);

    // A watcher of a folder around it has it by another name.
    let around = bench.path("around");
    fs::create_dir(&around).unwrap();
    fs::rename(&renamed, around.join("team")).unwrap();
    let watch = watching(&bench, &[&around.join("team")]);
    fs::write(around.join("team/web.yaml"), labelled("web", "middle")).unwrap();
    until_labelled(&bench, "middle");
    assert_eq!(watch.stop(), 0);
    let watch = watching(&bench, &[&around]);
    fs::write(around.join("team/web.yaml"), labelled("web", "back")).unwrap();
    until_labelled(&bench, "back");
    assert_eq!(bench.pids("web", "main"), pids, "it was restarted");
    fs::remove_file(around.join("team/web.yaml")).unwrap();
    bench.until_clean();
    assert_eq!(watch.stop(), 0);
}

#[test]
fn what_came_from_a_folder_that_nobody_watches_goes_once_that_is_accepted() {
    let Some(bench) = Bench::new() else { return };
    bench.manifest("web.yaml", &pod("web")).manifest("old.yaml", &pod("old"));
    let watch = bench.watch();
    bench.until_status("web", "Running");
    bench.until_status("old", "Running");
    let pids = (bench.pids("web", "main"), bench.pids("old", "main"));
    assert_eq!(watch.stop(), 0);

    let (before, other) = (bench.folder(), bench.path("other"));
    fs::create_dir(&other).unwrap();
    fs::copy(before.join("web.yaml"), other.join("web.yaml")).unwrap();
    let watch = watching(&bench, &[&other]);
    let status = || fs::read_to_string(other.join("web.status.yaml")).unwrap_or_default();
    bench.until("the file that has it is named, and the way out", || {
        let told = crate::bench::unfolded(&status());
        told.contains("state: Conflict") && told.contains(&format!("`droppod accept {}`", before.display()))
    });
    bench.run(&["accept", before.to_str().unwrap()]).exits(0).says("2 objects came from it");
    bench.until("the other file has it now", || status().contains("state: Applied"));
    // Its file is still there.
    assert_eq!((bench.pids("web", "main"), bench.pids("old", "main")), pids);
    fs::remove_dir_all(&before).unwrap();
    bench.until_status("old", "");
    assert_eq!(bench.pids("web", "main"), pids.0, "it was restarted");
    assert_eq!(watch.stop(), 0);

    // What is said to be typed works.
    fs::rename(&other, bench.path("away")).unwrap();
    let command = format!("droppod watch {}", other.display());
    bench.run(&["accept", other.to_str().unwrap()]).exits(0).says(&command);
    let watch = watching(&bench, &[&other]);
    bench.until_clean();
    assert_eq!(watch.stop(), 0);
}

#[test]
fn a_link_that_is_turned_to_another_release_is_followed_and_restarts_nothing() {
    let Some(bench) = Bench::new() else { return };
    let current = bench.path("current");
    let turn = |release: &str| {
        let link = bench.path("next");
        symlink(release, &link).unwrap();
        fs::rename(link, &current).unwrap();
    };
    let release = |name: &str, text: &str| {
        fs::create_dir_all(bench.path(name).join("pods")).unwrap();
        fs::write(bench.path(name).join("pods/web.yaml"), text).unwrap();
    };
    release("one", &pod("web"));
    release("two", &labelled("web", "front"));
    release("three", &labelled("web", "back"));
    fs::create_dir_all(bench.path("empty/pods")).unwrap();
    turn("one");
    let folder = current.join("pods");
    let watch = watching(&bench, &[&folder]);
    bench.until_status("web", "Running");
    let pids = bench.pids("web", "main");

    turn("two");
    until_labelled(&bench, "front");
    assert!(bench.path("one/pods/web.yaml").exists());
    assert!(fs::read_to_string(folder.join("web.status.yaml")).unwrap().contains("state: Applied"));
    turn("empty");
    bench.until("the loss is told", || bench.said("the folder is empty, and another directory than before"));
    assert_eq!(watch.stop(), 0);
    // Neither a watcher that starts nor one that ran takes it for an empty folder.
    let watch = watching(&bench, &[&folder]);
    assert_eq!(bench.status("web"), "Running");
    assert_eq!(watch.stop(), 0);
    turn("three");
    let watch = watching(&bench, &[&folder]);
    until_labelled(&bench, "back");
    assert_eq!(bench.pids("web", "main"), pids, "it was restarted");
    assert_eq!(watch.stop(), 0);

    // By the directory's own name it is the same folder.
    let watch = watching(&bench, &[&bench.path("three/pods")]);
    fs::remove_file(bench.path("three/pods/web.yaml")).unwrap();
    bench.until_clean();
    assert_eq!(watch.stop(), 0);
}
