//! By what is put into a watched folder: links, FIFOs, devices, names.

use std::fs;
use std::os::unix::fs::symlink;
use std::process::Command;

use super::{Prison, SECRET};

fn map(name: &str) -> String {
    format!("apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}}}\n")
}

/// Once this one has a status, the others have been looked at, too.
fn until_read(prison: &Prison) {
    prison.bench.manifest("zz.yaml", &map("zz"));
    prison
        .bench
        .until("a good neighbour is read", || prison.bench.read("zz.status.yaml").contains("Applied"));
}

#[test]
fn a_status_file_that_is_a_link_is_not_written_through() {
    let Some(prison) = Prison::new() else { return };
    let folder = prison.bench.folder();
    symlink(prison.outside().join("secret"), folder.join("one.status.yaml")).unwrap();
    symlink(prison.outside().join("made"), folder.join("two.status.yaml")).unwrap();
    let watch = prison.bench.watch();
    prison.bench.manifest("one.yaml", &map("one")).manifest("two.yaml", &map("two"));
    until_read(&prison);
    prison.holds();
    assert_eq!(watch.stop(), 0);
}

#[test]
fn fifos_and_devices_as_manifests_are_not_opened() {
    let Some(prison) = Prison::new() else { return };
    let place = |name: &str| prison.bench.folder().join(name);
    assert!(Command::new("mkfifo").arg(place("fifo.yaml")).status().unwrap().success());
    assert!(Command::new("mknod").arg(place("zero.yaml")).args(["c", "1", "5"]).status().unwrap().success());
    fs::create_dir(place("directory.yaml")).unwrap();
    let watch = prison.bench.watch();
    until_read(&prison);
    for (name, noun) in [("fifo", "a FIFO"), ("zero", "a device")] {
        let status = prison.bench.read(&format!("{name}.status.yaml"));
        assert!(status.contains(noun), "{status}");
    }
    assert_eq!(watch.stop(), 0);
}

#[test]
fn a_manifest_that_is_a_link_to_a_secret_tells_nothing_of_it() {
    let Some(prison) = Prison::new() else { return };
    let folder = prison.bench.folder();
    symlink(prison.outside().join("secret"), folder.join("link.yaml")).unwrap();
    symlink("/proc/self/environ", folder.join("magic.yaml")).unwrap();
    fs::hard_link(prison.outside().join("secret"), folder.join("hard.yaml")).unwrap();
    let watch = prison.bench.watch();
    until_read(&prison);
    for name in ["link", "magic", "hard"] {
        let status = prison.bench.read(&format!("{name}.status.yaml"));
        assert!(!status.is_empty() && !status.contains(SECRET) && !status.contains("untouched"), "{status}");
    }
    assert!(!prison.bench.log().contains("untouched"));
    fs::remove_file(folder.join("hard.yaml")).unwrap();
    prison.holds();
    assert_eq!(watch.stop(), 0);
}

#[test]
fn names_that_climb_are_refused() {
    let Some(prison) = Prison::new() else { return };
    let climbing = "../../../../tmp/x";
    let pod = prison.pod("", "", "true");
    let texts = [
        map(climbing),
        pod.replace("name: one", &format!("name: {climbing}")),
        pod.replace("name: one", &format!("name: one, namespace: {climbing}")),
        pod.replace("- name: main", &format!("- name: {climbing}")),
        prison.pod(&format!("  volumes: [{{name: {climbing}, emptyDir: {{}}}}]\n"), "", "true"),
    ];
    for text in texts {
        let ran = prison.run(&text);
        assert_eq!(ran.code, 12, "{text}\n{ran:#?}");
    }
    prison.holds();
}
