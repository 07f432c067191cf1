use std::ffi::CStr;
use std::path::Path;

use rustix::mount::MountFlags;

use super::load;
use crate::image::access::Access;
use crate::image::document::is_digest;
use crate::image::import::digest_of;
use crate::image::pull::pull;
use crate::image::store::Store;
use crate::image::tests::{Image, Place, Tar, gzip, image, layout, privately};
use crate::model::image::{ImageRef, StoredImage};
use crate::model::observed::Outlook;
use crate::model::time::Timestamp;

fn small() -> Image {
    image(&[Tar::new().file("bin/app", "app").end()], gzip)
}

fn store(place: &Place) -> Store {
    Store::at(&place.0.join("images"))
}

fn bring(place: &Place, reference: &str) -> Result<StoredImage, String> {
    let image = ImageRef::parse(reference, &place.0).unwrap();
    pull(&store(place), &image, &Access::default(), Timestamp::UNIX_EPOCH).map_err(|error| error.message)
}

/// What `docker save` writes of an image: plain layers, named by nothing that can be checked.
fn saved(tags: &[&str], layer: &[u8], image: &Image) -> Vec<u8> {
    let list = serde_json::json!([{"Config": "c0ffee.json", "RepoTags": tags, "Layers": ["1/layer.tar", "2/layer.tar"]}]);
    Tar::new()
        .entry(tar::EntryType::Regular, "1/layer.tar", "", 0o644, layer)
        .symlink("2/layer.tar", "../1/layer.tar")
        .entry(tar::EntryType::Regular, "c0ffee.json", "", 0o644, &image.config)
        .file("manifest.json", &list.to_string())
        .end()
}

#[test]
fn an_oci_archive_is_brought_in_with_its_configuration() {
    for pack in [gzip as fn(&[u8]) -> Vec<u8>, |tar| tar.to_vec(), |tar| zstd::encode_all(tar, 1).unwrap()] {
        let place = Place::new();
        let image = image(&[Tar::new().file("bin/app", "app").end()], pack);
        place.write("app.tar", &layout(&[("v1", &image)]));
        let stored = bring(&place, "oci-archive:app.tar").unwrap();
        assert_eq!(stored.digest, digest_of(&image.manifest));
        assert_eq!(stored.config.entrypoint, ["/bin/app"]);
        assert_eq!((stored.config.user.as_str(), stored.config.working_dir.as_str()), ("app", "/srv"));
        assert_eq!(stored.config.stop_signal.as_deref(), Some("SIGINT"));
        let layer = store(&place).layer(&stored.layers[0]);
        assert_eq!(std::fs::read_to_string(layer.join("bin/app")).unwrap(), "app");
        assert!(std::fs::read_dir(place.0.join("images/tmp")).unwrap().next().is_none());
        let found =
            store(&place).find(&ImageRef::parse("oci-archive:app.tar", &place.0).unwrap()).unwrap().unwrap();
        assert!(found.image == stored && found.fingerprint.is_some());
    }
}

#[test]
fn a_layout_directory_reads_like_the_archive_of_it() {
    let place = Place::new();
    let tar = layout(&[("v1", &small())]);
    tar::Archive::new(tar.as_slice()).unpack(place.make("layout")).unwrap();
    place.write("app.tar", &tar);
    assert_eq!(bring(&place, "oci:layout:v1").unwrap(), bring(&place, "oci-archive:app.tar:v1").unwrap());
}

#[test]
fn a_docker_archive_is_brought_in_compressed_or_not() {
    let place = Place::new();
    let layer = Tar::new().file("bin/app", "app").end();
    let image = image(&[layer.clone(), layer.clone()], <[u8]>::to_vec);
    let tar = saved(&["app:v1"], &layer, &image);
    place.write("app.tar", &tar);
    place.write("app.tar.gz", &gzip(&tar));
    let stored = bring(&place, "docker-archive:app.tar:v1").unwrap();
    assert_eq!(stored.layers, [digest_of(&layer), digest_of(&layer)]);
    assert!(is_digest(&stored.digest));
    assert_eq!(bring(&place, "docker-archive:app.tar.gz").unwrap(), stored);
    let loaded = load(&store(&place), &place.0.join("app.tar"), Timestamp::UNIX_EPOCH).unwrap();
    assert_eq!(loaded, [ImageRef::Registry("docker.io/library/app:v1".to_owned())]);
}

#[test]
fn loading_takes_the_names_that_an_archive_gives() {
    let place = Place::new();
    let other = image(&[Tar::new().file("other", "x").end()], gzip);
    let path = place.write("app.tar", &layout(&[("app:v1", &small()), ("registry.example/b:v2", &other)]));
    let loaded = load(&store(&place), &path, Timestamp::UNIX_EPOCH).unwrap();
    let names: Vec<String> = loaded.iter().map(ToString::to_string).collect();
    assert_eq!(names, ["docker.io/library/app:v1", "registry.example/b:v2"]);
    let nameless = place.write("nameless.tar", &layout(&[("v1", &small())]));
    let refused = load(&store(&place), &nameless, Timestamp::UNIX_EPOCH).unwrap_err();
    assert!(refused.to_string().contains("names no image in it"), "{refused}");
}

#[test]
fn what_is_wrong_with_an_archive_is_said_and_leaves_nothing() {
    let flip = |mut tar: Vec<u8>, content: &[u8]| {
        let at = tar.windows(content.len()).position(|window| window == content).unwrap();
        tar[at + content.len() / 2] ^= 1;
        tar
    };
    let good = small();
    let mut other_diff = small();
    let wrong = digest_of(b"another");
    let config = String::from_utf8(other_diff.config.clone()).unwrap();
    let diff_id = digest_of(&Tar::new().file("bin/app", "app").end());
    other_diff.config = config.replace(&diff_id, &wrong).into_bytes();
    let manifest = String::from_utf8(other_diff.manifest.clone()).unwrap();
    other_diff.manifest =
        manifest.replace(&digest_of(config.as_bytes()), &digest_of(&other_diff.config)).into_bytes();
    let index = |text: &str| Tar::new().file("index.json", text).end();
    let cases = [
        ("a changed layer", flip(layout(&[("v1", &good)]), &good.layers[0]), "layer"),
        ("a changed manifest", flip(layout(&[("v1", &good)]), &good.manifest), "is not what its digest"),
        ("a changed configuration", flip(layout(&[("v1", &good)]), &good.config), "is not what its digest"),
        ("a wrong diff id", layout(&[("v1", &other_diff)]), "an unpacked layer is not what its digest"),
        (
            "two images, no tag",
            layout(&[("v1", &good), ("v2", &good)]),
            "holds several images: add the tag of one, v1, v2",
        ),
        ("no index", Tar::new().file("a", "x").end(), "holds no `index.json`"),
        ("no JSON", index("{"), "is not the JSON it should be"),
        (
            "an index that is a manifest, too",
            index("{\"schemaVersion\": 2, \"manifests\": [], \"layers\": []}"),
            "an index and a manifest at once",
        ),
        ("an old schema", index("{\"schemaVersion\": 1, \"manifests\": []}"), "of a schema other than 2"),
        (
            "a digest that is a path",
            index(
                r#"{"schemaVersion": 2, "manifests": [{"digest": "sha256:../../../etc/passwd", "size": 1}]}"#,
            ),
            "something other than sha256",
        ),
        ("no tar", vec![b'x'; 2048], "cannot read"),
    ];
    for (case, tar, part) in cases {
        let place = Place::new();
        place.write("app.tar", &tar);
        let refused = bring(&place, "oci-archive:app.tar").unwrap_err();
        assert!(refused.contains(part), "{case}: {refused}");
        for empty in ["images/refs", "images/layers", "images/tmp", "images/manifests"] {
            assert_eq!(std::fs::read_dir(place.0.join(empty)).unwrap().count(), 0, "{case}: {empty}");
        }
    }
}

#[test]
fn a_tag_or_file_that_is_not_there_is_named() {
    let place = Place::new();
    place.write("app.tar", &layout(&[("v1", &small())]));
    let refused = bring(&place, "oci-archive:app.tar:v9").unwrap_err();
    assert!(refused.ends_with("app.tar holds no image with the tag `v9`"), "{refused}");
    let refused = bring(&place, "oci-archive:none.tar").unwrap_err();
    assert!(refused.contains("cannot open") && refused.contains("No such file"), "{refused}");
    rustix::fs::mkfifoat(rustix::fs::CWD, place.0.join("fifo"), 0o600.into()).unwrap();
    let refused = bring(&place, "oci-archive:fifo").unwrap_err();
    assert!(refused.contains("neither a file nor a directory"), "{refused}");
    assert_eq!(Path::new(&place.0).join("images/layers").read_dir().unwrap().count(), 0);
}

#[test]
fn too_little_room_is_no_fault_of_the_image_and_may_pass() {
    privately(|| {
        let place = Place::new();
        let many = (0..100)
            .fold(Tar::new().file("big", &"x".repeat(3 << 20)), |tar, at| tar.file(&format!("f{at}"), ""));
        let tar = place.write("app.tar", &layout(&[("app.example/app:v1", &image(&[many.end()], gzip))]));
        let disc = place.make("images");
        if let Err(error) = rustix::mount::mount("small", &disc, "tmpfs", MountFlags::empty(), c"size=2m") {
            println!("skipped: no tmpfs: {error}");
            return;
        }
        let limit = |options: &CStr| {
            rustix::mount::mount_remount(&disc, MountFlags::empty(), options).unwrap();
        };
        let store = Store::at(&disc);
        // More than it has, and then more than it turns out to have.
        for options in [c"size=2m", c"size=64m,nr_inodes=40"] {
            limit(options);
            let error = load(&store, &tar, Timestamp::UNIX_EPOCH).unwrap_err();
            assert_eq!(error.outlook(), Outlook::MayPass, "{error}");
            assert!(error.lacks_room(), "{error}");
            assert!(error.to_string().contains("needs more room than the image store has: "), "{error}");
        }
        limit(c"size=64m,nr_inodes=10000");
        load(&store, &tar, Timestamp::UNIX_EPOCH).unwrap();
        rustix::mount::unmount(&disc, rustix::mount::UnmountFlags::DETACH).unwrap();
    });
}
