use std::os::unix::fs::MetadataExt;
use std::path::Path;

use super::{Collected, Rights, Store, StoredReference, file_name};
use crate::image::tests::Place;
use crate::model::image::{ImageConfig, ImageRef, LocalKind, StoredImage};
use crate::model::time::Timestamp;

fn stored(reference: ImageRef, layer: &str) -> StoredReference {
    let image = StoredImage {
        digest: format!("sha256:{}", "d".repeat(64)),
        layers: vec![format!("sha256:{layer}")],
        config: ImageConfig::default(),
    };
    StoredReference {
        reference,
        image,
        resolved_at: Timestamp::UNIX_EPOCH,
        fingerprint: None,
        rights: Rights::Anybody,
    }
}

fn named(name: &str) -> ImageRef {
    ImageRef::parse(name, Path::new("/")).unwrap()
}

#[test]
fn file_names_are_readable_short_and_never_the_same_for_two_references() {
    let long = format!("registry.example/{}:v1", "a/".repeat(100) + "b");
    for name in ["busybox", "localhost:5000/app", long.as_str()] {
        let file = file_name(&named(name));
        assert!(file.len() <= 200 && !file.contains('/') && !file.starts_with('.'), "{file}");
    }
    assert!(file_name(&named("busybox")).starts_with("docker.io_library_busybox_latest-"));
    assert_ne!(file_name(&named("a/b-c")), file_name(&named("a-b/c")));
    let hidden = ImageRef::Local { kind: LocalKind::OciLayout, path: "/a".into(), tag: None };
    assert!(!file_name(&hidden).contains('/'));
}

#[test]
fn a_reference_is_found_again_until_it_is_removed() {
    let place = Place::new();
    let store = Store::at(&place.0.join("images"));
    let wanted = stored(named("busybox"), &"a".repeat(64));
    assert_eq!(store.find(&wanted.reference).unwrap(), None);
    assert_eq!(store.all().unwrap(), []);
    store.commit(&wanted, b"{}").unwrap();
    assert_eq!(store.find(&wanted.reference).unwrap(), Some(wanted.clone()));
    assert_eq!(store.all().unwrap(), std::slice::from_ref(&wanted));
    assert_eq!(place.0.join("images").metadata().unwrap().mode() & 0o777, 0o700);
    assert!(store.remove(&wanted.reference).unwrap());
    assert!(!store.remove(&wanted.reference).unwrap());
    assert_eq!(store.find(&wanted.reference).unwrap(), None);
}

#[test]
fn guests_find_what_anybody_may_have_and_what_was_brought_in_for_them() {
    let place = Place::new();
    let store = Store::at(&place.0.join("images"));
    let guest = |name: &str| named(name).for_guest();
    let open = stored(named("busybox"), &"a".repeat(64));
    let private = StoredReference {
        rights: Rights::Credentials,
        ..stored(named("registry.example/team/app:1"), &"b".repeat(64))
    };
    for reference in [&open, &private] {
        store.commit(reference, b"{}").unwrap();
    }
    assert_eq!(store.find(&guest("busybox")).unwrap(), Some(open));
    assert_eq!(store.find(&guest("registry.example/team/app:1")).unwrap(), None);
    assert_eq!(store.find(&named("registry.example/team/app:1")).unwrap(), Some(private.clone()));
    let theirs = StoredReference { reference: guest("registry.example/team/app:1"), ..private };
    store.commit(&theirs, b"{}").unwrap();
    assert_eq!(store.find(&theirs.reference).unwrap(), Some(theirs));
}

#[test]
fn layers_go_when_nobody_names_or_holds_them() {
    let place = Place::new();
    let store = Store::at(&place.0.join("images"));
    let [kept, held, loose] = ["a", "b", "c"].map(|letter| letter.repeat(64));
    store.commit(&stored(named("busybox"), &kept), b"{}").unwrap();
    for layer in [&kept, &held, &loose] {
        std::fs::create_dir_all(store.layer(layer).join("etc")).unwrap();
    }
    for layer in [&kept, &loose] {
        store.note_public(layer).unwrap();
    }
    let holding = store.hold_layer(&held).unwrap().unwrap();
    assert_eq!(store.collect().unwrap(), Collected::Layers(1));
    assert_eq!([&kept, &held, &loose].map(|layer| store.is_public(layer)), [true, false, false]);
    let there = |layer: &str| store.layer(layer).exists();
    assert_eq!([&kept, &held, &loose].map(|layer| there(layer)), [true, true, false]);
    drop(holding);
    assert_eq!(store.collect().unwrap(), Collected::Layers(1));
    assert!(store.hold_layer(&held).unwrap().is_none());
}

#[test]
fn nothing_is_collected_while_an_image_is_brought_in() {
    let place = Place::new();
    let store = Store::at(&place.0.join("images"));
    let session = store.session().unwrap();
    assert_eq!(store.collect().unwrap(), Collected::Busy);
    session.end().unwrap();
    assert_eq!(store.collect().unwrap(), Collected::Layers(0));
}

#[test]
fn what_a_killed_pull_left_goes_with_the_next_and_a_living_ones_stays() {
    let place = Place::new();
    let store = Store::at(&place.0.join("images"));
    let living = store.session().unwrap();
    std::fs::write(living.path().join("work"), "x").unwrap();
    let killed = place.make("images/tmp/1.0");
    std::fs::write(killed.join("half"), "x").unwrap();
    let next = store.session().unwrap();
    assert!(!killed.join("half").exists());
    assert!(living.path().join("work").exists());
    drop(next);
    drop(living);
    assert_eq!(std::fs::read_dir(place.0.join("images/tmp")).unwrap().count(), 0);
}

#[test]
fn an_archive_that_changed_is_stale() {
    let place = Place::new();
    let path = place.write("app.tar", b"one");
    let kind = LocalKind::OciArchive;
    let mut known = stored(ImageRef::Local { kind, path: path.clone(), tag: None }, "a");
    known.fingerprint = super::fingerprint(kind, &path).unwrap();
    assert!(!Store::is_stale(&known).unwrap());
    std::fs::write(&path, "another").unwrap();
    assert!(Store::is_stale(&known).unwrap());
    std::fs::remove_file(&path).unwrap();
    assert!(!Store::is_stale(&known).unwrap(), "what was loaded from it is still there");
}
