//! Images: archives beside the manifest, registries, preloading.

pub(crate) mod made;
mod odd;
mod reached;
pub(crate) mod registry;
mod secrets;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use crate::bench::Bench;
use made::Made;
use registry::{HOST, Registry};

const HOST_ROOT: &str = "droppod.local/host";

/// A pod whose container is all image: what it runs, as whom and where, is the image's.
fn pod(name: &str, image: &str) -> String {
    format!(
        "apiVersion: v1\nkind: Pod\nmetadata: {{name: {name}}}\nspec:\n  restartPolicy: Never\n  \
         terminationGracePeriodSeconds: 1\n  containers:\n  - name: main\n    image: {image:?}\n"
    )
}

/// As [`pod`]; its first run fails, the second does not.
fn restarted(name: &str, image: &str) -> String {
    pod(name, image).replace("restartPolicy: Never", "restartPolicy: OnFailure")
        + "    args: [of, the, pod]\n    volumeMounts: [{name: count, mountPath: /count}]\n  \
           securityContext: {fsGroup: 5678}\n  volumes: [{name: count, emptyDir: {}}]\n"
}

/// Below the image store: what is left there when nobody brings anything in.
fn unfinished(bench: &Bench) -> usize {
    fs::read_dir(bench.path("s/images/tmp")).map_or(0, Iterator::count)
}

fn runs_from_an_archive(write: fn(&Made, &Path, &str), kind: &str) {
    let Some(bench) = Bench::new() else { return };
    let Some(made) = Made::new("hello") else { return };
    write(&made, &bench.folder().join("app.tar"), "local/app:1");
    let image = format!("{kind}:app.tar");
    bench.manifest("plain.yaml", &pod("plain", &image));
    bench.manifest("again.yaml", &restarted("again", &image));
    let ran = bench.run(&["up", "-f", bench.folder().to_str().unwrap()]).exits(0);
    let said = &ran.stdout;
    assert_eq!(said.matches("1234:5678 in /srv/app says hello by default").count(), 1, "{ran:#?}");
    assert_eq!(said.matches("1234:5678 in /srv/app says hello of the pod").count(), 2, "{ran:#?}");
    assert!(!said.contains("used before"), "the root was not fresh: {ran:#?}");
    bench.until_clean();
    assert_eq!(unfinished(&bench), 0);
    bench.run(&["image", "ls"]).exits(0).says("app.tar");
    bench.run(&["image", "verify"]).exits(0).says(" whole\n");
    let layer = fs::read_dir(bench.path("s/images/layers")).unwrap().next().unwrap().unwrap();
    fs::remove_dir_all(layer.path()).unwrap();
    bench.run(&["image", "verify"]).exits(1).says(" broken: layer sha256:");
}

#[test]
fn a_pod_runs_from_an_oci_archive_beside_its_manifest() {
    runs_from_an_archive(Made::write_oci_archive, "oci-archive");
}

#[test]
fn a_pod_runs_from_a_docker_archive_beside_its_manifest() {
    runs_from_an_archive(Made::write_docker_archive, "docker-archive");
}

#[test]
fn an_image_of_a_registry_is_pulled_listed_and_run() {
    let Some(bench) = Bench::new() else { return };
    let (Some(made), Some(registry)) = (Made::new("hello"), Registry::start(&bench)) else { return };
    registry.push(&made, "team/app", "1");
    let image = format!("{HOST}/team/app:1");
    bench.run(&["image", "pull", &image]).exits(0).says(&format!("image/{image} pulled, sha256:"));
    let listed = bench.run(&["image", "ls"]).exits(0).stdout;
    let row: Vec<&str> = listed.lines().nth(1).unwrap_or_default().split_whitespace().collect();
    assert_eq!(row[..2], [&*format!("{HOST}/team/app"), "1"], "{listed}");
    registry.push(&made, "team/app", "2");
    let watch = bench.watch();
    bench.manifest("app.yaml", &pod("app", &format!("{HOST}/team/app:2")));
    bench.until_status("app", "Completed");
    bench.run(&["logs", "app"]).exits(0).prints("1234:5678 in /srv/app says hello by default\n");
    let json = bench.run(&["get", "pod", "app", "-o", "json"]).exits(0).stdout;
    assert!(json.contains("\"imageID\": \"sha256:"), "{json}");
    bench.remove("app.yaml");
    bench.until_clean();
    assert_eq!(watch.stop(), 0);
    assert_eq!(unfinished(&bench), 0);
}

#[test]
fn an_image_that_a_pod_runs_from_stays_also_if_it_is_one_of_up() {
    let Some(bench) = Bench::new() else { return };
    let Some(made) = Made::new("in use") else { return };
    made.write_oci_archive(&bench.path("app.tar"), "example.test/app:1");
    bench.run(&["image", "load", bench.path("app.tar").to_str().unwrap()]).exits(0);
    bench.manifest("app.yaml", &(pod("app", "example.test/app:1") + "    command: [sleep, '1000']\n"));
    let watch = bench.watch();
    bench.until_status("app", "Running");
    let remove = || bench.run(&["image", "rm", "example.test/app:1"]);
    remove().exits(1).says("is in use by pod default/app").says("droppod delete pod app");
    bench.remove("app.yaml").until_clean();
    assert_eq!(watch.stop(), 0);

    let one = pod("one", "example.test/app:1") + "    command: [/bin/sh, -c, 'echo here; sleep 1000']\n";
    fs::write(bench.path("one.yaml"), one).unwrap();
    let up = bench.start(&["up", "-f", bench.path("one.yaml").to_str().unwrap()]);
    let said = || fs::read_to_string(bench.path("out")).unwrap_or_default();
    bench.until("it runs", || said().contains("here"));
    remove().exits(1).says("is in use by pod default/one").says("which has to end first");
    assert_eq!(up.stop(), 130);
    bench.until_clean();
    remove().exits(0);
}

#[test]
fn a_missing_tag_is_told_and_heals_when_it_is_pushed() {
    let Some(bench) = Bench::new() else { return };
    let (Some(made), Some(registry)) = (Made::new("late"), Registry::start(&bench)) else { return };
    let watch = bench.watch();
    let image = format!("{HOST}/app:1");
    bench.manifest("app.yaml", &pod("app", &image));
    let why = format!("registry {HOST} has no {image}");
    bench.until_status("app", "ErrImagePull");
    bench.until("the status file says why", || {
        let status = bench.read("app.status.yaml");
        status.contains("reason: ErrImagePull") && status.contains(&why)
    });
    bench.until_status("app", "ImagePullBackOff");
    bench.until("the status file says that it waits", || {
        let status = bench.read("app.status.yaml");
        status.contains("reason: ImagePullBackOff")
            && status.contains("Back-off pulling")
            && status.contains(&why)
    });
    registry.push(&made, "app", "1");
    bench.until_status("app", "Completed");
    bench.run(&["logs", "app"]).exits(0).prints("1234:5678 in /srv/app says late by default\n");
    bench.remove("app.yaml");
    bench.until_clean();
    assert_eq!(watch.stop(), 0);
}

#[test]
fn up_exits_with_13_and_says_which_image_is_not_to_be_had() {
    let Some(bench) = Bench::new() else { return };
    let Some(registry) = Registry::start(&bench) else { return };
    let image = format!("{HOST}/app:1");
    bench.manifest("app.yaml", &pod("app", &image));
    let ran = bench
        .run(&["up", "-f", bench.folder().to_str().unwrap()])
        .exits(13)
        .says(&format!("app: not started, ErrImagePull: registry {HOST} has no {image}"));
    assert!(!ran.stderr.contains("again in"), "{ran:#?}");
    drop(registry);
    bench.until_clean();
}

#[test]
fn up_asks_a_registry_again_that_cannot_be_reached() {
    let Some(bench) = Bench::new() else { return };
    let Some(made) = Made::new("late") else { return };
    let image = format!("{HOST}/app:1");
    bench.manifest("app.yaml", &pod("app", &image));
    let folder = bench.folder();
    let words = ["up", "-f", folder.to_str().unwrap()];
    let again = format!("cannot pull {image}, again in ");
    bench.run(&[&words[..], &["--timeout", "2s"]].concat()).exits(11).says(&again);
    let mut running = bench.start(&words);
    bench.until("it has been tried once", || bench.said(&again));
    assert!(running.is_running());
    let Some(registry) = Registry::start(&bench) else { return };
    registry.push(&made, "app", "1");
    bench.until("it is done", || !running.is_running());
    let said = fs::read_to_string(bench.path("out")).unwrap();
    assert!(said.contains("1234:5678 in /srv/app says late by default"), "{said}\n{}", bench.log());
    bench.until_clean();
}

#[test]
fn an_archive_that_lies_ready_serves_a_pod_that_never_pulls() {
    let Some(bench) = Bench::new() else { return };
    let (Some(first), Some(second)) = (Made::new("preloaded"), Made::new("beside")) else { return };
    fs::create_dir_all(bench.path("s/preload")).unwrap();
    fs::write(bench.path("s/preload/broken.tar"), "no archive").unwrap();
    first.write_oci_archive(&bench.path("s/preload/one.tar"), "example.test/one:1");
    second.write_docker_archive(&bench.folder().join("images/two.tar"), "example.test/two:1");
    let never = |name: &str, image: &str| pod(name, image) + "    imagePullPolicy: Never\n";
    let watch = bench.watch();
    bench.manifest("one.yaml", &never("one", "example.test/one:1"));
    bench.manifest("two.yaml", &never("two", "example.test/two:1"));
    bench.manifest("none.yaml", &never("none", "example.test/none:1"));
    bench.until_status("one", "Completed");
    bench.until_status("two", "Completed");
    bench.until_status("none", "ErrImageNeverPull");
    bench.run(&["logs", "one"]).exits(0).prints("1234:5678 in /srv/app says preloaded by default\n");
    bench.run(&["logs", "two"]).exits(0).prints("1234:5678 in /srv/app says beside by default\n");
    second.write_oci_archive(&bench.path("s/preload/late.tar"), "example.test/none:1");
    bench.manifest("wake.yaml", "apiVersion: v1\nkind: Namespace\nmetadata: {name: wake}\n");
    bench.until_status("none", "Completed");
    for name in ["one.yaml", "two.yaml", "none.yaml"] {
        bench.remove(name);
    }
    bench.until_clean();
    assert_eq!(watch.stop(), 0);
    let said = bench.log();
    assert_eq!(said.matches("images not loaded").count(), 1, "told once and not tried again:\n{said}");
    assert_eq!(said.matches("images loaded").count(), 3, "each is loaded once:\n{said}");
    // An `up` has what the machine has.
    bench.manifest("one.yaml", &never("one", "example.test/one:1"));
    bench
        .run(&["up", "-f", bench.folder().join("one.yaml").to_str().unwrap()])
        .exits(0)
        .says("says preloaded");
}

#[test]
fn an_archive_that_others_can_write_is_not_loaded() {
    let Some(bench) = Bench::new() else { return };
    let Some(made) = Made::new("planted") else { return };
    let archive = bench.folder().join("images/app.tar");
    made.write_oci_archive(&archive, "example.test/app:1");
    fs::set_permissions(&archive, fs::Permissions::from_mode(0o666)).unwrap();
    let watch = bench.watch();
    bench.manifest("app.yaml", &(pod("app", "example.test/app:1") + "    imagePullPolicy: Never\n"));
    bench.until_status("app", "ErrImageNeverPull");
    assert!(bench.said("others can write to it"), "{}", bench.log());
    assert_eq!(watch.stop(), 0);
}

#[test]
fn a_changed_archive_is_for_the_next_pod_and_leaves_the_running_one_alone() {
    let Some(bench) = Bench::new() else { return };
    let (Some(old), Some(new)) = (Made::new("old"), Made::new("new")) else { return };
    let archive = bench.folder().join("app.tar");
    old.write_oci_archive(&archive, "app");
    let first = pod("first", "oci-archive:app.tar") + "    command: [sleep, '1000']\n";
    bench.manifest("first.yaml", &first);
    let watch = bench.watch();
    bench.until_status("first", "Running");
    let pids = bench.pids("first", "main");
    new.write_oci_archive(&archive, "app");
    bench.manifest("second.yaml", &pod("second", "oci-archive:app.tar"));
    bench.until_status("second", "Completed");
    bench.run(&["logs", "second"]).exits(0).prints("1234:5678 in /srv/app says new by default\n");
    assert_eq!(bench.pids("first", "main"), pids);
    assert_eq!(bench.column("first", 3), "0", "restarts");
    let greeting = bench.run(&["exec", "first", "--", "/bin/sh", "-c", "echo $GREETING"]).exits(0).stdout;
    assert_eq!(greeting, "old\n");
    bench.remove("first.yaml").remove("second.yaml");
    bench.until_clean();
    assert_eq!(watch.stop(), 0);
}

#[test]
fn a_pod_that_runs_in_an_up_needs_its_archive_no_more() {
    let Some(bench) = Bench::new() else { return };
    let Some(made) = Made::new("live") else { return };
    let (archive, go) = (bench.folder().join("live.tar"), bench.path("go"));
    fs::create_dir(&go).unwrap();
    made.write_oci_archive(&archive, "app");
    for (name, image) in [("live", "oci-archive:live.tar"), ("one", HOST_ROOT), ("two", HOST_ROOT)] {
        let until = format!("until [ -e /go/{name} ]; do sleep 0.1; done");
        let text = format!(
            "{}    command: [/bin/sh, -c, '{until}']\n    volumeMounts: [{{name: go, mountPath: /go}}]\n  \
             volumes: [{{name: go, hostPath: {{path: {}}}}}]\n",
            pod(name, image),
            go.display()
        );
        bench.manifest(&format!("{name}.yaml"), &text);
    }
    let up = bench.start(&["up", "-f", bench.folder().to_str().unwrap()]);
    let until = |name: &str, phase: &str| {
        let told = || bench.read(&format!("{name}.status.yaml")).contains(&format!("phase: {phase}"));
        bench.until(&format!("{name} is {phase}"), told);
    };
    until("live", "Running");
    fs::write(&archive, "as far as it has been written").unwrap();
    // Each of these ends has the loop look at everything.
    for name in ["one", "two"] {
        fs::write(go.join(name), "").unwrap();
        until(name, "Succeeded");
    }
    fs::write(go.join("live"), "").unwrap();
    until("live", "Succeeded");
    let mut up = up;
    bench.until("it is over", || !up.is_running());
    assert!(!bench.said("cannot pull") && !bench.said("Terminating"), "{}", bench.log());
    bench.until_clean();
}

#[test]
fn a_changed_image_restarts_that_container_and_the_pod_stays_who_it_is() {
    let Some(bench) = Bench::new() else { return };
    let (Some(old), Some(new)) = (Made::new("old"), Made::new("new")) else { return };
    old.write_oci_archive(&bench.folder().join("old.tar"), "app");
    new.write_oci_archive(&bench.folder().join("new.tar"), "app");
    let manifest = pod("web", "oci-archive:old.tar")
        + "    command: [sleep, '1000']\n  - name: other\n    \
        image: droppod.local/host\n    command: [sleep, '1000']\n";
    let manifest = manifest.replace("restartPolicy: Never", "restartPolicy: Always");
    bench.manifest("web.yaml", &manifest);
    let watch = bench.watch();
    bench.until_status("web", "Running");
    let uid = |bench: &Bench| {
        let object: serde_json::Value =
            serde_json::from_str(&bench.run(&["get", "pod", "web", "-o", "json"]).stdout).unwrap();
        object["metadata"]["uid"].clone()
    };
    let (before, address, other) = (uid(&bench), bench.column("web", 5), bench.pids("web", "other"));
    bench.manifest("web.yaml", &manifest.replace("old.tar", "new.tar"));
    bench.until("the container runs the other image", || {
        bench.run(&["exec", "web", "-c", "main", "--", "/bin/sh", "-c", "echo $GREETING"]).stdout == "new\n"
    });
    assert_eq!(uid(&bench), before);
    assert_eq!(bench.column("web", 5), address);
    assert_eq!(bench.pids("web", "other"), other, "the other container was restarted");
    bench.until_told("web", "web", "2/2", "1");
    bench.remove("web.yaml");
    bench.until_clean();
    assert_eq!(watch.stop(), 0);
}

#[test]
fn a_volume_thousands_of_directories_deep_is_cleared_away() {
    let Some(bench) = Bench::new() else { return };
    let text = "apiVersion: v1\nkind: Pod\nmetadata: {name: deep}\nspec:\n  restartPolicy: Never\n  containers:\n  \
                - name: main\n    image: droppod.local/host\n    \
                command: [perl, -e, 'chdir \"/deep\"; for (1..3000) { mkdir \"d\"; chdir \"d\" or die }']\n    \
                volumeMounts: [{name: deep, mountPath: /deep}]\n  volumes: [{name: deep, emptyDir: {}}]\n";
    bench.manifest("deep.yaml", text);
    bench.run(&["up", "-f", bench.folder().to_str().unwrap()]).exits(0);
    bench.until_clean();
}
