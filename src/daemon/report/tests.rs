use std::os::fd::AsFd;
use std::os::unix::fs::symlink;
use std::path::Path;

use crate::daemon::tests::ground::{Ground, write};
use crate::publish::status::{Place, Refusal};
use crate::status::{self, FileReport, FileState, Tense};

const OURS: &str = "apiVersion: droppod.dev/v1\nkind: ManifestStatus\nstatus: {}\n";

fn beside(ground: &Ground, name: &str) -> Place {
    let folder = std::fs::File::open(ground.folder("manifests")).unwrap();
    Place::beside(folder.as_fd(), Path::new(""), name.to_owned()).unwrap()
}

#[test]
fn a_status_file_starts_with_the_words_that_mark_it_as_ours() {
    let report = FileReport {
        name: "web.yaml",
        state: FileState::Applied,
        tense: Tense::Present,
        observed_hash: "sha256:00",
        applied_hash: "sha256:00",
        note: None,
        mistakes: &[],
        ignored: &[],
        items: Vec::new(),
        host_ip: "192.0.2.7",
    };
    let ground = Ground::new();
    let place = beside(&ground, "web.status.yaml");
    place.write(&status::render(&report)).unwrap();
    place.write(OURS).unwrap();
    let written = std::fs::read_to_string(ground.path("manifests/web.status.yaml")).unwrap();
    assert_eq!(written, OURS, "what was rendered is known again as ours");
    place.remove().unwrap();
    place.remove().unwrap();
    assert!(!ground.path("manifests/web.status.yaml").exists());
}

#[test]
fn a_file_that_is_not_ours_is_neither_written_nor_removed() {
    let ground = Ground::new();
    let mine = ground.path("manifests/web.status.yaml");
    write(&mine, "apiVersion: v1\nkind: Pod\n");
    let place = beside(&ground, "web.status.yaml");
    assert!(matches!(place.write(OURS), Err(Refusal::NotOurs(_))));
    assert!(matches!(place.remove(), Err(Refusal::NotOurs(_))));
    assert_eq!(std::fs::read_to_string(mine).unwrap(), "apiVersion: v1\nkind: Pod\n");
}

#[test]
fn no_link_is_followed_to_write_a_status() {
    let ground = Ground::new();
    let elsewhere = ground.path("elsewhere");
    write(&elsewhere.join("web.status.yaml"), OURS);
    let folder = ground.folder("manifests");
    symlink(elsewhere.join("web.status.yaml"), folder.join("web.status.yaml")).unwrap();
    symlink(&elsewhere, folder.join("sub")).unwrap();
    assert!(matches!(beside(&ground, "web.status.yaml").write("x"), Err(Refusal::NotOurs(_))));
    let root = std::fs::File::open(&folder).unwrap();
    let below = Place::beside(root.as_fd(), Path::new("sub"), "web.status.yaml".into());
    assert!(matches!(below, Err(Refusal::Io { .. })));
}

#[test]
fn a_directory_of_its_own_gets_the_same_relative_paths() {
    let ground = Ground::new();
    let directory = ground.path("statuses");
    let place = Place::below(&directory, Path::new("a/b"), "web.status.yaml".into()).unwrap();
    place.write(OURS).unwrap();
    assert_eq!(std::fs::read_to_string(directory.join("a/b/web.status.yaml")).unwrap(), OURS);
}
