//! The ears of the loop, with real events.

pub(crate) mod ground;

use std::time::Duration;

use ground::{Ground, write};

use super::folder::settle::Hint;
use super::watch::ends::Ends;
use super::watch::{Ears, Heard};

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

/// Everything that is heard until `last` is, or a failure after ten seconds.
fn hear_until(ears: &mut Ears, last: impl Fn(&Heard) -> bool) -> Vec<Heard> {
    let mut heard = Vec::new();
    runtime().block_on(async {
        let all = async {
            loop {
                heard.push(ears.next().await);
                if heard.last().is_some_and(&last) {
                    break;
                }
            }
        };
        tokio::time::timeout(Duration::from_secs(10), all).await.expect("the event came");
    });
    heard
}

#[test]
fn a_written_manifest_is_heard_until_its_close_and_a_status_file_is_not() {
    let ground = Ground::new();
    let root = ground.folder("manifests");
    let mut ears = Ears::open(std::slice::from_ref(&root), &ground.places());
    assert!(ears.watch_folder(&root));
    write(&root.join("web.status.yaml"), "ours");
    write(&root.join("web.yaml"), "theirs");
    let folder = |hint| Heard::Folder { root: root.clone(), hint };
    let heard = hear_until(&mut ears, |heard| *heard == folder(Hint::Closed("web.yaml".into())));
    assert_eq!(heard[0], folder(Hint::Writing("web.yaml".into())));
}

#[test]
fn a_folder_that_was_replaced_is_heard_again() {
    let ground = Ground::new();
    let root = ground.folder("manifests");
    let mut ears = Ears::open(std::slice::from_ref(&root), &ground.places());
    assert!(ears.watch_folder(&root));
    std::fs::rename(&root, ground.path("away")).unwrap();
    assert!(!ears.watch_folder(&root));
    std::fs::create_dir(&root).unwrap();
    assert!(ears.watch_folder(&root));
    write(&root.join("web.yaml"), "x");
    let written = Heard::Folder { root: root.clone(), hint: Hint::Writing("web.yaml".into()) };
    hear_until(&mut ears, |heard| *heard == written);
}

#[test]
fn the_state_of_a_pod_is_heard() {
    let ground = Ground::new();
    let places = ground.places();
    let uid = crate::model::id::Uid::from_random([1; 16]);
    std::fs::create_dir_all(places.pod(&uid).0).unwrap();
    let mut ears = Ears::open(&[], &places);
    assert!(ears.watch_pods(&places, std::iter::once(&uid)));
    write(&places.pod(&uid).goal(), "not heard");
    write(&places.pod(&uid).record(), "heard");
    assert_eq!(hear_until(&mut ears, |_| true), [Heard::Pod]);
}

#[test]
fn the_end_of_a_process_is_heard() {
    let mut command = std::process::Command::new("/bin/sh");
    command.args(["-c", "read x"]).stdin(std::process::Stdio::piped());
    let mut child = command.spawn().unwrap();
    runtime().block_on(async {
        let mut ends = Ends::new();
        ends.watch(std::iter::once(i32::try_from(child.id()).unwrap()));
        drop(child.stdin.take());
        tokio::time::timeout(Duration::from_secs(10), ends.next()).await.expect("the end came");
    });
    child.wait().unwrap();
}
