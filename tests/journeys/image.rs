//! Images: archives beside the manifest, registries, preloading.

mod made;

use std::fs;
use std::path::Path;

use crate::bench::Bench;
use made::Made;

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
