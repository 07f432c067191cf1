//! Folders that others can write to, or put another in place of: nothing is taken from them, nor put there.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use super::place::Desk;
use super::pod;
use crate::bench::Bench;

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, PermissionsExt::from_mode(mode)).unwrap();
}

fn map(name: &str) -> String {
    format!("apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}}}\n")
}

#[test]
fn a_folder_that_others_come_to_write_to_is_refused_until_they_no_longer_can() {
    let Some(desk) = Desk::new() else { return };
    let bench = &desk.bench;
    let parent = bench.path("home");
    let folder = parent.join("pods");
    fs::create_dir_all(&folder).unwrap();
    let file = folder.join("web.yaml");
    fs::write(&file, pod("web")).unwrap();
    let watch = desk.watch_with(&[&folder]);
    bench.until_status("web", "Running");
    desk.until_state("web", "Applied");
    let pids = bench.pids("web", "main");
    let labels = || bench.run(&["get", "pods", "--show-labels"]).stdout;

    for (tier, open) in [("front", &folder), ("back", &parent)] {
        set_mode(open, 0o777);
        desk.until_state("web", "Refused");
        let told = format!("{}: others can write to it (mode 0777)", open.display());
        bench.until("the watcher says why", || bench.said(&told));
        let labelled = pod("web").replace("{name: web}", &format!("{{name: web, labels: {{tier: {tier}}}}}"));
        fs::write(&file, labelled).unwrap();
        fs::write(folder.join("planted.yaml"), map("planted")).unwrap();
        // A look at all folders finds it, and so has seen the edit.
        bench.manifest(&format!("{tier}.yaml"), &map(tier));
        bench.until("a folder beside it is heeded", || {
            bench.run(&["get", "configmap", tier, "-o", "name"]).stdout == format!("configmap/{tier}\n")
        });
        assert!(!labels().contains(&format!("tier={tier}")), "an edit was taken from an unsafe folder");
        assert_eq!(bench.run(&["get", "configmap", "planted"]).code, 1, "a file was taken from it");
        assert_eq!(bench.pids("web", "main"), pids, "it was restarted");

        fs::remove_file(folder.join("planted.yaml")).unwrap();
        set_mode(open, 0o755);
        bench.until("the edit counts", || labels().contains(&format!("tier={tier}")));
        desk.until_state("web", "Applied");
        assert_eq!(bench.pids("web", "main"), pids, "it was restarted");
    }
    fs::remove_file(file).unwrap();
    bench.until_clean();
    assert_eq!(watch.stop(), 0);
}

/// Everything in a folder, with its content.
fn content(folder: &Path) -> Vec<(PathBuf, String)> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut content: Vec<_> = entries.map(|path| (path.clone(), fs::read_to_string(path).unwrap())).collect();
    content.sort();
    content
}

#[test]
fn no_command_writes_to_or_takes_from_a_folder_that_others_can_write_to() {
    let Some(bench) = Bench::new() else { return };
    let parent = bench.path("home");
    let folder = parent.join("pods");
    fs::create_dir_all(&folder).unwrap();
    let outside = bench.path("outside.yaml");
    fs::write(&outside, map("other")).unwrap();
    let job = "apiVersion: batch/v1\nkind: Job\nmetadata: {name: once}\nspec:\n  template:\n    spec:\n      \
               restartPolicy: Never\n      containers: [{name: main, image: droppod.local/host}]\n";
    fs::write(folder.join("default.job.once.yaml"), job).unwrap();
    fs::write(folder.join("default.configmap.mine.yaml"), map("mine")).unwrap();
    let before = content(&folder);
    let named = folder.to_str().unwrap();
    let verbs: [&[&str]; 5] = [
        &["apply", "-f", outside.to_str().unwrap()],
        &["run", "web", "--image=droppod.local/host"],
        &["rerun", "job/once"],
        &["delete", "configmap", "mine"],
        &["delete", "-f", named],
    ];
    let with = |verb: &[&str], folder: &Path| {
        let args = [&["--manifests", folder.to_str().unwrap()], verb].concat();
        bench.run(&args)
    };
    for open in [&folder, &parent] {
        set_mode(open, 0o777);
        for verb in verbs {
            with(verb, &folder)
                .exits(1)
                .says(&format!("folder {named} is not safe to keep manifests in"))
                .says(&format!("{}: others can write to it (mode 0777)", open.display()))
                .says("or name another: --manifests DIR");
        }
        assert_eq!(content(&folder), before);
        set_mode(open, 0o755);
    }
    // Nor is one made where others could put another in its place, unless its name is kept for its owner.
    let absent = parent.join("absent");
    set_mode(&parent, 0o777);
    with(verbs[0], &absent).exits(1).says("others can write to it");
    assert!(!absent.exists());
    set_mode(&parent, 0o1777);
    with(verbs[0], &absent).exits(0).says("configmap/other created");
    with(verbs[3], &folder).exits(0).says("configmap \"mine\" deleted");
}
