//! Which files of a folder are read, who has an object, and where its status goes.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;

use crate::bench::{Bench, Running};

fn map(name: &str) -> String {
    format!("apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}}}\ndata: {{key: value}}\n")
}

fn names(bench: &Bench) -> Vec<String> {
    let names = bench.run(&["get", "configmaps", "-o", "name"]).stdout;
    names.lines().map(|line| line.trim_start_matches("configmap/").to_owned()).collect()
}

fn until_names(bench: &Bench, wanted: &[&str]) {
    bench.until(&format!("{wanted:?} are declared"), || names(bench) == wanted);
}

#[test]
fn an_ignore_file_hides_what_it_matches_and_the_deeper_one_decides() {
    let Some(bench) = Bench::new() else { return };
    let folder = bench.folder();
    fs::create_dir_all(folder.join("drafts/kept")).unwrap();
    fs::create_dir_all(folder.join("team")).unwrap();
    fs::write(folder.join(".droppodignore"), "# by hand\ndrafts/*\n!drafts/kept\n*-old.yaml\n").unwrap();
    fs::write(folder.join("team/.droppodignore"), "!b-old.yaml\n").unwrap();
    for name in ["a", "a-old", "drafts/c", "drafts/kept/d", "team/b-old"] {
        let object = name.rsplit('/').next().unwrap();
        fs::write(folder.join(format!("{name}.yaml")), map(object)).unwrap();
    }
    let watch = bench.watch();
    until_names(&bench, &["a", "b-old", "d"]);
    // A rule that comes takes objects away, one that goes brings them.
    fs::write(folder.join(".droppodignore"), "a.yaml\n").unwrap();
    until_names(&bench, &["a-old", "b-old", "c", "d"]);
    fs::remove_file(folder.join(".droppodignore")).unwrap();
    until_names(&bench, &["a", "a-old", "b-old", "c", "d"]);
    assert_eq!(watch.stop(), 0);
}

#[test]
fn a_file_beside_it_switches_a_manifest_off_and_on() {
    let Some(bench) = Bench::new() else { return };
    bench
        .manifest("a.yaml", &map("a"))
        .manifest("b.json", r#"{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "b"}}"#);
    let watch = bench.watch();
    until_names(&bench, &["a", "b"]);
    bench.manifest("a.yaml.skip", "");
    until_names(&bench, &["b"]);
    bench.until("its status file goes along", || !bench.folder().join("a.status.yaml").exists());
    bench.remove("a.yaml.skip");
    until_names(&bench, &["a", "b"]);
    assert_eq!(watch.stop(), 0);
}

#[test]
fn the_second_file_of_an_object_names_the_first_and_takes_over_when_that_goes() {
    let Some(bench) = Bench::new() else { return };
    bench.manifest("a.yaml", &map("m"));
    let watch = bench.watch();
    until_names(&bench, &["m"]);
    let other = map("m").replace("value", "other");
    bench.manifest("b.yaml", &other);
    bench.until("the conflict is told", || bench.read("b.status.yaml").contains("state: Conflict"));
    let status = bench.read("b.status.yaml");
    assert!(status.contains("a.yaml already"), "{status}");
    assert!(status.contains("appliedHash: ''") || status.contains("appliedHash: \"\""), "{status}");
    assert!(bench.said("file=b.yaml state=Conflict"), "{}", bench.log());
    let uid = || bench.run(&["get", "configmap", "m", "-o", "json"]).stdout;
    assert!(uid().contains("\"value\""));
    bench.remove("a.yaml");
    bench.until("the other has it", || uid().contains("\"other\""));
    let mut status = String::new();
    bench.until("and says so", || {
        status = bench.read("b.status.yaml");
        status.contains("state: Applied")
    });
    let hash = |field: &str| status.split_once(field).unwrap().1.lines().next();
    assert_eq!(hash("appliedHash"), hash("observedHash"), "all of it at once: {status}");
    assert!(bench.said("file=b.yaml state=Applied"), "{}", bench.log());
    assert_eq!(watch.stop(), 0);
}

#[test]
fn a_manifest_whose_name_is_no_text_is_told_of_wherever_it_would_count() {
    let Some(bench) = Bench::new() else { return };
    // As an old archive has it.
    let odd = bench.folder().join(OsStr::from_bytes(b"one-\xe9.yaml"));
    fs::write(&odd, map("odd")).unwrap();
    bench.manifest("a.yaml", &map("a"));
    let folder = bench.folder().to_str().unwrap().to_owned();
    let shown = "one-\u{fffd}.yaml";
    for (verb, code) in [("validate", 2), ("apply", 1), ("up", 1)] {
        bench.run(&[verb, "-f", &folder]).exits(code).says(shown).says("its path is not UTF-8; rename it");
    }
    let watch = bench.watch();
    until_names(&bench, &["a"]);
    bench.until("it is told", || bench.said(shown));
    bench.run(&["doctor"]).says(shown).says("not read until they are renamed");
    fs::rename(&odd, bench.folder().join("one.yaml")).unwrap();
    until_names(&bench, &["a", "odd"]);
    fs::rename(bench.folder().join("one.yaml"), &odd).unwrap();
    until_names(&bench, &["a"]);
    let warned = |bench: &Bench| bench.log().matches("no status file written").count();
    bench.until("it is told again", || warned(&bench) == 2);
    bench.manifest("b.yaml", &map("b"));
    until_names(&bench, &["a", "b"]);
    assert_eq!(warned(&bench), 2, "once each time that it comes: {}", bench.log());
    assert_eq!(watch.stop(), 0);
}

#[test]
fn a_second_watcher_is_kept_out_and_told_by_whom() {
    let Some(bench) = Bench::new() else { return };
    bench.manifest("m.yaml", &map("m"));
    let first = bench.watch();
    until_names(&bench, &["m"]);
    let folder = bench.folder();
    let second = |state: &str| {
        let mut command = bench.command(&["watch", "--once", folder.to_str().unwrap()]);
        command.env("DROPPOD_STATE_DIR", bench.path(state));
        for (place, name) in [("RUN", "other-run"), ("LOG", "other-log")] {
            command.env(format!("DROPPOD_{place}_DIR"), bench.path(name));
        }
        let output = command.output().unwrap();
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    };
    let own = format!("process {}", first.child.id());
    // The same state, and the same folder alone.
    for (state, held) in [("s", bench.path("s")), ("other", folder.clone())] {
        let (code, said) = second(state);
        assert_eq!(code, Some(14), "{said}");
        let said = said.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(said.contains(&held.display().to_string()), "{said}");
        assert!(said.contains(&own), "{own} is not named: {said}");
    }
    // Nobody is in the way of the next once the first is gone, however it went.
    first.kill();
    let (code, said) = second("other");
    assert_eq!(code, Some(0), "{said}");
    let watch = bench.watch();
    assert_eq!(names(&bench), ["m"]);
    assert_eq!(watch.stop(), 0);
}

#[test]
fn of_many_watchers_that_start_at_once_one_stays() {
    let Some(bench) = Bench::new() else { return };
    bench.manifest("m.yaml", &map("m"));
    let mut watchers: Vec<Running> =
        (0..8).map(|_| bench.start(&["watch", bench.folder().to_str().unwrap()])).collect();
    bench.until("all but one have gone", || {
        watchers.iter_mut().map(Running::is_running).filter(|is_running| *is_running).count() == 1
    });
    for watcher in &mut watchers {
        let end = watcher.child.try_wait().unwrap();
        assert!(end.is_none_or(|end| end.code() == Some(14)), "{end:?}");
    }
    until_names(&bench, &["m"]);
    let last = watchers.into_iter().find_map(|mut watcher| watcher.is_running().then_some(watcher));
    assert_eq!(last.unwrap().stop(), 0);
}

#[test]
fn status_files_go_below_a_directory_of_their_own() {
    let Some(bench) = Bench::new() else { return };
    fs::create_dir(bench.folder().join("team")).unwrap();
    bench.manifest("a.yaml", &map("a"));
    fs::write(bench.folder().join("team/b.yml"), map("b")).unwrap();
    let place = bench.path("status");
    let (folder, to) = (bench.folder(), place.clone());
    let watch = bench.start(&["watch", folder.to_str().unwrap(), "--status-dir", to.to_str().unwrap()]);
    let has =
        |name: &str| fs::read_to_string(place.join(name)).is_ok_and(|text| text.contains("state: Applied"));
    bench.until("both are reported", || has("a.status.yaml") && has("team/b.yml.status.yaml"));
    assert_eq!(fs::read_dir(bench.folder()).unwrap().count(), 2, "nothing is written beside them");
    bench.remove("a.yaml");
    bench.until("it goes with its manifest", || !place.join("a.status.yaml").exists());
    assert_eq!(watch.stop(), 0);
}

#[test]
fn a_status_file_that_is_taken_away_comes_back_and_one_that_is_not_ours_is_left() {
    let Some(bench) = Bench::new() else { return };
    bench
        .manifest("a.yaml", &map("a"))
        .manifest("b.yaml", &map("b"))
        .manifest("b.status.yaml", "mine: true\n");
    let folder = bench.folder();
    let watch = bench.start(&["watch", folder.to_str().unwrap(), "--rescan", "1s"]);
    let is_told = |name: &str| bench.read(&format!("{name}.status.yaml")).contains("state: Applied");
    bench.until("it is reported", || is_told("a"));
    until_names(&bench, &["a", "b"]);
    bench.remove("a.status.yaml");
    bench.until("it comes back", || is_told("a"));
    assert_eq!(bench.read("b.status.yaml"), "mine: true\n");
    bench.remove("b.status.yaml");
    bench.until("its place is taken", || is_told("b"));
    assert_eq!(watch.stop(), 0);
}

#[test]
fn objects_of_many_documents_and_formats_are_read_from_below() {
    let Some(bench) = Bench::new() else { return };
    fs::create_dir_all(bench.folder().join("one/two/three")).unwrap();
    let documents = format!("{}---\n{}---\n# nothing\n", map("a"), map("b"));
    fs::write(bench.folder().join("one/two/three/all.yaml"), documents).unwrap();
    let list = r#"{"apiVersion": "v1", "kind": "List", "items": [
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c"}},
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "d"}}]}"#;
    fs::write(bench.folder().join("one/list.json"), list).unwrap();
    let watch = bench.watch();
    until_names(&bench, &["a", "b", "c", "d"]);
    // A document that goes takes its object, and no other.
    fs::write(bench.folder().join("one/two/three/all.yaml"), map("b")).unwrap();
    until_names(&bench, &["b", "c", "d"]);
    assert_eq!(watch.stop(), 0);
}
