//! What is said of edits that are not taken, of files that are passed over, and of objects that have gone.

use crate::bench::Bench;

const SEALED: &str =
    "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: sealed}\nimmutable: true\ndata: {colour: green}\n";
const ENDLESS: &str = "apiVersion: v1\nkind: Pod\nmetadata: {name: web}\nspec:\n  terminationGracePeriodSeconds: 1\n  \
                       containers:\n  - {name: main, image: droppod.local/host, command: [sleep, '1000']}\n";

#[test]
fn a_sealed_config_map_stays_as_it_is_and_its_file_says_why() {
    let Some(bench) = Bench::new() else { return };
    let watch = bench.watch();
    let colour = ["get", "cm", "sealed", "-o", "jsonpath={.data.colour}"];
    bench.manifest("sealed.yaml", SEALED);
    bench.until("it is in force", || bench.run(&colour).stdout == "green");
    bench.manifest("sealed.yaml", &SEALED.replace("green", "red"));
    bench.until("the edit is refused", || bench.read("sealed.status.yaml").contains("state: Invalid"));
    let status = bench.read("sealed.status.yaml");
    let place = "- line: 5\n    column: 1\n    field: data\n";
    for part in [place, "field is immutable when `immutable` is set", "help: put it back as it was"] {
        assert!(status.contains(part), "no {part:?} in\n{status}");
    }
    bench.run(&colour).exits(0).prints("green");
    let folder = bench.folder().to_str().unwrap().to_owned();
    bench
        .run(&["diff", "-f", &folder])
        .exits(1)
        .prints("! configmap default/sealed: refused: data: field is immutable when `immutable` is set\n-   data.colour: green\n+   data.colour: red\n");
    bench
        .run_with_input(&["apply", "-f", "-"], &SEALED.replace("green", "blue"))
        .exits(12)
        .says("the ConfigMap \"sealed\" is invalid: data: field is immutable when `immutable` is set; nothing was changed");
    bench.manifest("sealed.yaml", SEALED);
    bench.until("it is well again", || bench.read("sealed.status.yaml").contains("state: Applied"));
    assert_eq!(watch.stop(), 0);
}

#[test]
fn a_named_folder_is_read_as_watch_reads_it() {
    let Some(bench) = Bench::new() else { return };
    let map = |name: &str| format!("apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}}}\n");
    bench.manifest("a.yaml", &map("a")).manifest("off.yaml", &map("off")).manifest("off.yaml.skip", "");
    std::fs::create_dir(bench.folder().join("drafts")).unwrap();
    std::fs::write(bench.folder().join("drafts/d.yaml"), map("draft")).unwrap();
    bench.manifest("later.yaml", &map("later"));
    bench.manifest(".droppodignore", "drafts/\nlater.*\n");
    let folder = bench.folder().to_str().unwrap().to_owned();
    bench.run(&["diff", "-R", "-f", &folder]).exits(1).prints("+ configmap default/a: create\n");
    bench.run(&["validate", "-f", &folder]).exits(0).prints("configmap/a valid\n");
}

#[test]
fn a_watched_table_shows_what_has_gone_once_more() {
    let Some(bench) = Bench::new() else { return };
    let watch = bench.watch();
    bench.manifest("web.yaml", ENDLESS);
    bench.until_status("web", "Running");
    let printed = || std::fs::read_to_string(bench.path("out")).unwrap_or_default();
    let looking =
        bench.start(&["get", "pods", "-w", "-o", "custom-columns=NAME:.metadata.name,UID:.metadata.uid"]);
    bench.until("the table has begun", || printed().contains("web"));
    let before = printed().matches("web").count();
    bench.remove("web.yaml");
    bench.until("nothing is left", || bench.run(&["get", "pods", "-o", "name"]).stdout.is_empty());
    bench.until("the row is there again", || printed().matches("web").count() > before);
    drop(looking);
    assert_eq!(watch.stop(), 0);
}

#[test]
fn an_object_is_taken_out_of_a_file_of_many() {
    let Some(bench) = Bench::new() else { return };
    let watch = bench.watch();
    let text = format!(
        "# mine\n{SEALED}---\n# the pod\n{ENDLESS}--- # the last\n{}",
        SEALED.replace("sealed", "other")
    );
    bench.manifest("all.yaml", &text);
    bench.until_status("web", "Running");
    bench.run(&["delete", "pod", "web"]).exits(1).says("let --edit-file do it");
    let file = bench.folder().join("all.yaml").display().to_string();
    let note = format!("note: pod/web is out of {file}, line 9\n");
    bench.run(&["delete", "pod", "web", "--edit-file"]).exits(0).says(&note).prints("pod \"web\" deleted\n");
    let rest = format!("# mine\n{SEALED}--- # the last\n{}", SEALED.replace("sealed", "other"));
    assert_eq!(bench.read("all.yaml"), rest);
    bench.run(&["get", "po,cm", "-o", "name"]).prints("configmap/other\nconfigmap/sealed\n");
    bench.run(&["delete", "cm", "other", "--edit-file"]).exits(0);
    bench.run(&["delete", "cm", "sealed", "--edit-file"]).exits(0);
    assert!(!bench.folder().join("all.yaml").exists());
    assert_eq!(watch.stop(), 0);
}

#[test]
fn a_folder_that_another_watches_is_told_as_such_and_costs_nothing() {
    let Some(bench) = Bench::new() else { return };
    let watch = bench.watch();
    let (state, run, log) = (bench.path("s2"), bench.path("r2"), bench.path("l2"));
    let own = ["--state-dir", "--run-dir", "--log-dir"].iter().zip([&state, &run, &log]);
    let own = own.flat_map(|(flag, place)| [*flag, place.to_str().unwrap()]);
    let folder = bench.folder();
    let args: Vec<&str> = own.chain(["watch", folder.to_str().unwrap()]).collect();
    let ran = bench.run(&args).exits(14).says("is watched by another droppod").says("name another folder");
    assert!(!ran.stderr.contains("needs its own"), "{ran:#?}");
    assert_eq!([state, run, log].map(|place| place.exists()), [false; 3]);
    assert_eq!(watch.stop(), 0);
}

#[test]
fn a_link_to_itself_is_not_said_to_leave_the_folder() {
    let Some(bench) = Bench::new() else { return };
    std::os::unix::fs::symlink("loop.yaml", bench.folder().join("loop.yaml")).unwrap();
    std::os::unix::fs::symlink("/etc/hostname", bench.folder().join("away.yaml")).unwrap();
    let watch = bench.watch();
    bench.until("both are told", || {
        bench.read("loop.status.yaml").contains("a symbolic link that leads to itself")
            && bench.read("away.status.yaml").contains("a symbolic link that leaves the folder")
    });
    assert_eq!(watch.stop(), 0);
}
