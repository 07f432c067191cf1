//! Images: archives beside the manifest, registries, preloading.

mod made;
mod registry;

use std::fs;
use std::path::Path;

use crate::bench::Bench;
use made::Made;
use registry::{HOST, Registry};

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
    let image = format!("{HOST}/app:1");
    bench.manifest("app.yaml", &pod("app", &image));
    bench
        .run(&["up", "-f", bench.folder().to_str().unwrap()])
        .exits(13)
        .says(&format!("app: not started, ErrImagePull: cannot reach registry {HOST}: "));
    bench.until_clean();
}
