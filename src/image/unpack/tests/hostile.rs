//! Archives that want out.

use super::*;

#[test]
#[expect(clippy::too_many_lines, reason = "a table of cases")]
fn nothing_hostile_gets_out_and_what_is_refused_says_why() {
    if !is_root() {
        return;
    }
    let canary = |bench: &Bench| bench.place.0.join("canary").to_str().unwrap().to_owned();
    let outside = Bench::new();
    let out = canary(&outside);
    let (out_file, out_deep) = (format!("{out}/file"), format!("{out}/deep/new"));
    let bomb = "x".repeat(9 << 20);
    let cases: Vec<(&str, Vec<u8>, Option<&str>)> = vec![
        ("dots", Tar::new().file("../canary/file", "bad").end(), Some("has `..` in its name")),
        ("dots inside", Tar::new().file("a/../../canary/file", "bad").end(), Some("has `..` in its name")),
        ("dots at the end", Tar::new().directory("a/..").end(), Some("has `..` in its name")),
        ("dots in a directory", Tar::new().directory("../canary/new").end(), Some("has `..` in its name")),
        ("an absolute name", Tar::new().file(&out_file, "bad").end(), None),
        (
            "a symlink, then through it",
            Tar::new().symlink("s", &out).file("s/file", "bad").end(),
            Some("cannot unpack"),
        ),
        (
            "a relative symlink out",
            Tar::new().symlink("s", "../canary").file("s/file", "bad").end(),
            Some("cannot unpack"),
        ),
        (
            "a chain of symlinks",
            Tar::new()
                .symlink("a", "b")
                .symlink("b", "..")
                .symlink("c", "a/canary")
                .file("c/file", "bad")
                .end(),
            Some("cannot unpack"),
        ),
        (
            "a loop of symlinks",
            Tar::new().symlink("a", "b").symlink("b", "a").file("a/x", "bad").end(),
            Some("cannot unpack"),
        ),
        ("a symlink, then a file over it", Tar::new().symlink("s", &out_file).file("s", "bad").end(), None),
        (
            "a symlink, then a directory over it",
            Tar::new().symlink("s", &out).entry(EntryType::Directory, "s", "", 0o777, b"").end(),
            None,
        ),
        (
            "a symlink, then a fifo over it",
            Tar::new().symlink("s", &out_file).entry(EntryType::Fifo, "s", "", 0o666, b"").end(),
            None,
        ),
        (
            "a directory swapped for a symlink",
            Tar::new().directory("d").file("d/a", "x").symlink("d", &out).file("d/file", "bad").end(),
            Some("cannot unpack"),
        ),
        (
            "a directory swapped for a symlink, left so",
            Tar::new().directory("d").symlink("d", &out).end(),
            None,
        ),
        (
            "through /proc/self/root",
            Tar::new().symlink("s", "/proc/self/root").file("s/x", "bad").end(),
            Some("cannot unpack"),
        ),
        (
            "a hard link out",
            Tar::new().hard_link("h", &out_file).end(),
            Some("hard link to what the layer does not hold"),
        ),
        (
            "a hard link with dots",
            Tar::new().hard_link("h", "../canary/file").end(),
            Some("has `..` in its name"),
        ),
        (
            "a hard link through a symlink",
            Tar::new().symlink("s", &out).hard_link("h", "s/file").end(),
            Some("does not hold"),
        ),
        (
            "a hard link to a symlink, then written",
            Tar::new().symlink("s", &out_file).hard_link("h", "s").file("h", "bad").end(),
            None,
        ),
        (
            "a hard link to a directory",
            Tar::new().directory("d").hard_link("h", "d").end(),
            Some("hard link to a directory"),
        ),
        ("a hard link to the root", Tar::new().hard_link("h", "/").end(), Some("hard link to the root")),
        (
            "a hard link to a whiteout",
            Tar::new().file(".wh.w", "").hard_link("h", "w").end(),
            Some("does not hold"),
        ),
        ("a whiteout of nothing", Tar::new().file(".wh.", "").end(), Some("whiteout of nothing")),
        ("a whiteout of the parent", Tar::new().file(".wh...", "").end(), Some("whiteout of nothing")),
        ("below a whiteout", Tar::new().file(".wh.a/b", "").end(), Some("below a whiteout")),
        (
            "a whiteout through a symlink",
            Tar::new().symlink("s", &out).file("s/.wh.file", "").end(),
            Some("cannot unpack"),
        ),
        (
            "an opaque mark through a symlink",
            Tar::new().symlink("s", &out).file("s/.wh..wh..opq", "").end(),
            Some("cannot unpack"),
        ),
        (
            "an empty name",
            Tar::new().pax(&[("path", b"")]).file("x", "bad").end(),
            Some("a name that no file can have"),
        ),
        (
            "a file for the root",
            Tar::new().file(".", "bad").end(),
            Some("names the root but is no directory"),
        ),
        (
            "a symlink for the root",
            Tar::new().symlink("/", &out).end(),
            Some("names the root but is no directory"),
        ),
        (
            "a NUL in a name",
            Tar::new().pax(&[("path", b"a\0b")]).file("x", "bad").end(),
            Some("a name that no file can have"),
        ),
        (
            "a part over 255 bytes",
            Tar::new().pax(&[("path", "n".repeat(300).as_bytes())]).file("x", "").end(),
            Some("cannot unpack"),
        ),
        (
            "a name over 4096 bytes",
            Tar::new().pax(&[("path", "n/".repeat(3000).as_bytes())]).file("x", "").end(),
            Some("longer than 4096 bytes"),
        ),
        (
            "an empty link target",
            Tar::new().symlink("s", "").end(),
            Some("a link target that no link can have"),
        ),
        (
            "a huge PAX header",
            Tar::new().pax(&[("comment", &[b'x'; 70 << 10])]).file("x", "").end(),
            Some("bytes in one header"),
        ),
        (
            "a PAX header said to be huge",
            Tar::new().with(EntryType::XHeader, "pax", "", b"", |header| header.set_size(4 << 30)).end(),
            Some("bytes in one header"),
        ),
        (
            "a GNU name said to be huge",
            Tar::new().with(EntryType::GNULongName, "l", "", b"", |header| header.set_size(2 << 30)).end(),
            Some("bytes in one header"),
        ),
        (
            "a file that never ends",
            Tar::new().with(EntryType::Regular, "f", "", b"", |header| header.set_size(1 << 50)).cut(),
            Some("ends in the middle of a file"),
        ),
        ("more bytes than allowed", Tar::new().file("f", &bomb).end(), Some("more than 8388608 bytes")),
        (
            "more entries than allowed",
            (0..1001).fold(Tar::new(), |tar, _| tar.file("same", "")).end(),
            Some("more than 1000 entries"),
        ),
        (
            "a user out of range",
            Tar::new()
                .with(EntryType::Regular, "f", "", b"", |header| header.set_uid(u64::from(u32::MAX)))
                .end(),
            Some("an owner out of range"),
        ),
        (
            "a PAX group out of range",
            Tar::new().pax(&[("gid", b"4294967296")]).file("f", "").end(),
            Some("an owner out of range"),
        ),
        (
            "a negative PAX user",
            Tar::new().pax(&[("uid", b"-1")]).file("f", "").end(),
            Some("an extended header cannot be read"),
        ),
        (
            "a PAX record longer than its header",
            Tar::new().entry(EntryType::XHeader, "pax", "", 0o644, b"99 path=x\n").file("f", "").end(),
            Some("an extended header cannot be read"),
        ),
        (
            "a sparse file",
            Tar::new().entry(EntryType::GNUSparse, "f", "", 0o644, b"").end(),
            Some("sparse file"),
        ),
        (
            "a kind nobody knows",
            Tar::new().entry(EntryType::new(b'Z'), "f", "", 0o644, b"").end(),
            Some("a kind that tar does not define"),
        ),
        ("a wrong checksum", Tar::new().raw(&[b'x'; 512]).end(), Some("checksum is wrong")),
        ("half a header", Tar::new().raw(&[b'x'; 100]).cut(), Some("ends in the middle of a header")),
        ("a block device", Tar::new().entry(EntryType::Block, "sda", "", 0o666, b"").end(), None),
        (
            "a device over a symlink out",
            Tar::new().symlink("s", &out_deep).entry(EntryType::Char, "s", "", 0o666, b"").end(),
            None,
        ),
    ];
    assert!(cases.len() >= 30);
    for (case, tar, refused) in cases {
        let bench = Bench::new();
        let ended = bench.unpack(&tar);
        match (ended, refused) {
            (Ok(_), None) => {}
            (Err(error), Some(part)) => assert!(error.to_string().contains(part), "{case}: {error}"),
            (ended, wanted) => panic!("{case}: {ended:?}, wanted {wanted:?}"),
        }
        assert!(bench.canary_is_unchanged(), "{case}");
        assert!(outside.canary_is_unchanged(), "{case}");
        assert!(!bench.tree().values().any(|is| is.starts_with("other")), "{case} made a device");
    }
}
