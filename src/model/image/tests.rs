use std::path::Path;

use super::{ImageRef, LocalKind};

const DIGEST: &str = "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

fn parse(image: &str) -> Result<ImageRef, &'static str> {
    ImageRef::parse(image, Path::new("/srv/pods")).map_err(|bad| bad.why)
}

#[test]
fn names_get_dockers_defaults_and_keep_what_they_say() {
    let table = [
        ("busybox", "docker.io/library/busybox:latest"),
        ("busybox:1.36", "docker.io/library/busybox:1.36"),
        ("grafana/loki", "docker.io/grafana/loki:latest"),
        ("index.docker.io/busybox", "docker.io/library/busybox:latest"),
        ("docker.io/library/busybox:latest", "docker.io/library/busybox:latest"),
        ("localhost/app", "localhost/app:latest"),
        ("localhost:5000/app:v1", "localhost:5000/app:v1"),
        ("127.0.0.1:5000/a/b/c", "127.0.0.1:5000/a/b/c:latest"),
        ("[::1]:5000/app", "[::1]:5000/app:latest"),
        ("test.com:5000", "docker.io/library/test.com:5000"),
        ("registry.example/my__app/a--b.c_d:Tag_1.2-3", "registry.example/my__app/a--b.c_d:Tag_1.2-3"),
        ("Registry.Example/app", "Registry.Example/app:latest"),
        ("LOCAL/app", "LOCAL/app:latest"),
    ];
    for (written, canonical) in table {
        assert_eq!(parse(written).map(|image| image.to_string()), Ok(canonical.to_owned()), "{written}");
        assert_eq!(parse(canonical), parse(written), "the canonical form of {written} names the same image");
    }
}

#[test]
fn beside_a_digest_the_tag_is_dropped() {
    let canonical = format!("docker.io/library/busybox@{DIGEST}");
    for written in [format!("busybox@{DIGEST}"), format!("busybox:1.36@{DIGEST}")] {
        assert_eq!(parse(&written).map(|image| image.to_string()), Ok(canonical.clone()));
    }
}

#[test]
fn what_is_no_reference_says_why() {
    let long_tag = format!("a:{}", "t".repeat(129));
    let long_name = format!("registry.example/{}", "a".repeat(250));
    let id = "a".repeat(64);
    let table = [
        ("", "it is empty"),
        (" busybox", "it has blanks around it or control characters in it"),
        ("busy\nbox", "it has blanks around it or control characters in it"),
        ("droppod.local/hots", "droppod.local has one image, `droppod.local/host`, without a tag"),
        ("droppod.local/host:latest", "droppod.local has one image, `droppod.local/host`, without a tag"),
        (":tag", "the repository's name is missing"),
        ("busybox:", "the tag is empty"),
        (long_tag.as_str(), "the tag is longer than 128 characters"),
        ("busybox:-x", "the tag has characters other than letters, digits, `_`, `.`, `-`"),
        ("busybox@", "the digest is not of the form sha256:…"),
        ("busybox@sha512:00", "the digest is not of the form sha256:…"),
        ("busybox@sha256:ABC", "the digest is not 64 lower-case hexadecimal digits"),
        ("Busybox", "the repository's name has upper-case letters"),
        ("a//b", "the repository's name has an empty part"),
        ("registry.example/", "the repository's name is missing"),
        ("registry.example:99999/a", "the registry's port is not a number up to 65535"),
        ("registry.example:/a", "the registry's port is not a number up to 65535"),
        ("-bad.example/a", "the registry's name is not a host name"),
        ("user:pass@registry.example/a", "the digest is not of the form sha256:…"),
        ("http://registry.example/a", "the registry's port is not a number up to 65535"),
        ("a..b", "a part of the repository's name starts, ends or is joined with a wrong separator"),
        ("_a", "a part of the repository's name starts, ends or is joined with a wrong separator"),
        ("a b", "the repository's name has characters other than a-z, 0-9, `.`, `_`, `-`, `/`"),
        ("a/../b", "a part of the repository's name starts, ends or is joined with a wrong separator"),
        (id.as_str(), "it is a bare image id; write repository@sha256:… instead"),
        (long_name.as_str(), "the name is longer than 255 characters"),
        ("oci:", "the path is missing"),
        ("oci-archive::v1", "the path is missing"),
    ];
    for (written, why) in table {
        assert_eq!(parse(written), Err(why), "{written:?}");
    }
}

#[test]
fn archives_start_from_the_base_and_may_carry_a_tag() {
    let table = [
        ("oci:layout", LocalKind::OciLayout, "/srv/pods/layout", None),
        ("oci:layout:v1", LocalKind::OciLayout, "/srv/pods/layout", Some("v1")),
        ("oci-archive:./images/app.tar", LocalKind::OciArchive, "/srv/pods/images/app.tar", None),
        ("docker-archive:/data/app.tar:v2", LocalKind::DockerArchive, "/data/app.tar", Some("v2")),
        ("oci-archive:a:b/app.tar", LocalKind::OciArchive, "/srv/pods/a:b/app.tar", None),
    ];
    for (written, kind, path, tag) in table {
        let image = ImageRef::Local { kind, path: path.into(), tag: tag.map(str::to_owned) };
        assert_eq!(parse(&image.to_string()), Ok(image.clone()), "{image} reads back");
        assert_eq!(parse(written), Ok(image), "{written}");
    }
}

#[test]
fn the_hosts_own_root_has_a_name() {
    assert_eq!(parse("droppod.local/host"), Ok(ImageRef::HostRoot));
    assert_eq!(ImageRef::HostRoot.to_string(), "droppod.local/host");
}
