mod hostile;

use std::collections::BTreeMap;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::Path;

use tar::EntryType;

use super::{Limits, UnpackError, Unpacked, unpack};
use crate::image::tests::{Place, Tar, is_root, open};

const LIMITS: Limits =
    Limits { entries: 1000, header: 64 << 10, kept: 1 << 20, bytes: 8 << 20, room: u64::MAX };

/// A directory to unpack into, beside one that nothing may touch.
struct Bench {
    place: Place,
    before: BTreeMap<String, String>,
}

impl Bench {
    fn new() -> Bench {
        let place = Place::new();
        for name in ["root", "trash", "canary", "canary/deep"] {
            place.make(name);
        }
        place.write("canary/file", b"canary");
        let before = tree(&place.0.join("canary"));
        Bench { place, before }
    }

    fn unpack(&self, tar: &[u8]) -> Result<Unpacked, UnpackError> {
        unpack(tar, open(&self.place.0.join("root")), open(&self.place.0.join("trash")), LIMITS)
    }

    fn tree(&self) -> BTreeMap<String, String> {
        tree(&self.place.0.join("root"))
    }

    fn canary_is_unchanged(&self) -> bool {
        tree(&self.place.0.join("canary")) == self.before
    }
}

/// Every path below `root` with what it is: `dir 755`, `file 644 content`, `link target`, `whiteout`, `opaque 755`.
fn tree(root: &Path) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    let mut waiting = vec![root.to_owned()];
    while let Some(directory) = waiting.pop() {
        for entry in std::fs::read_dir(&directory).unwrap() {
            let path = entry.unwrap().path();
            let is = path.symlink_metadata().unwrap();
            let mode = is.mode() & 0o7777;
            let text = if is.is_symlink() {
                format!("link {}", path.read_link().unwrap().display())
            } else if is.is_dir() {
                let mut value = [0; 1];
                let opaque = rustix::fs::lgetxattr(&path, "trusted.overlay.opaque", &mut value).is_ok();
                waiting.push(path.clone());
                format!("{} {mode:o}", if opaque { "opaque" } else { "dir" })
            } else if is.is_file() {
                format!("file {mode:o} {}", String::from_utf8_lossy(&std::fs::read(&path).unwrap()))
            } else if is.file_type().is_char_device() && is.rdev() == 0 {
                "whiteout".to_owned()
            } else if is.file_type().is_fifo() {
                format!("fifo {mode:o}")
            } else {
                format!("other {:?}", is.file_type())
            };
            found.insert(path.strip_prefix(root).unwrap().to_string_lossy().into_owned(), text);
        }
    }
    found
}

fn golden(expected: &[(&str, &str)]) -> BTreeMap<String, String> {
    expected.iter().map(|(path, is)| ((*path).to_owned(), (*is).to_owned())).collect()
}

/// What an archive is about, the archive, the tree it makes.
type Case<'a> = (&'a str, Tar, Vec<(&'a str, &'a str)>);

#[test]
#[expect(clippy::too_many_lines, reason = "a table of cases")]
fn what_is_legal_comes_out_as_written() {
    if !is_root() {
        return;
    }
    let long = format!("{}/{}", "d".repeat(150), "f".repeat(150));
    let cases: Vec<Case<'_>> = vec![
        (
            "a plain tree",
            Tar::new().directory("./").directory("./a/").file("./a/b", "x"),
            vec![("a", "dir 755"), ("a/b", "file 644 x")],
        ),
        (
            "missing parents",
            Tar::new().file("a/b/c", "x"),
            vec![("a", "dir 755"), ("a/b", "dir 755"), ("a/b/c", "file 644 x")],
        ),
        (
            "an absolute name",
            Tar::new().file("/etc/motd", "x"),
            vec![("etc", "dir 755"), ("etc/motd", "file 644 x")],
        ),
        (
            "the last of two entries",
            Tar::new().file("a", "old").file("a", "new"),
            vec![("a", "file 644 new")],
        ),
        (
            "a file over a full directory",
            Tar::new().file("a/b/c", "x").file("a", "y"),
            vec![("a", "file 644 y")],
        ),
        (
            "a directory over a file",
            Tar::new().file("a", "x").directory("a/").file("a/b", "y"),
            vec![("a", "dir 755"), ("a/b", "file 644 y")],
        ),
        (
            "a directory over a directory",
            Tar::new().file("a/b", "x").entry(EntryType::Directory, "a", "", 0o700, b""),
            vec![("a", "dir 700"), ("a/b", "file 644 x")],
        ),
        (
            "a parent that is an absolute symlink",
            Tar::new().directory("usr/lib").symlink("lib", "/usr/lib").file("lib/so", "x"),
            vec![
                ("usr", "dir 755"),
                ("usr/lib", "dir 755"),
                ("usr/lib/so", "file 644 x"),
                ("lib", "link /usr/lib"),
            ],
        ),
        (
            "a hard link",
            Tar::new().file("a", "x").hard_link("b", "a"),
            vec![("a", "file 644 x"), ("b", "file 644 x")],
        ),
        ("a hard link to itself", Tar::new().file("a", "x").hard_link("a", "./a"), vec![("a", "file 644 x")]),
        (
            "a setuid bit",
            Tar::new().entry(EntryType::Regular, "su", "", 0o4755, b"x"),
            vec![("su", "file 4755 x")],
        ),
        ("a fifo", Tar::new().entry(EntryType::Fifo, "p", "", 0o622, b""), vec![("p", "fifo 622")]),
        (
            "a directory in the style before POSIX",
            Tar::new().entry(EntryType::Regular, "old/", "", 0o755, b""),
            vec![("old", "dir 755")],
        ),
        ("a GNU long name", Tar::new().long_name(&long).file("short", "x"), vec![]),
        (
            "a PAX path and size",
            Tar::new().pax(&[("path", b"named"), ("size", b"3")]).file("x", "abc"),
            vec![("named", "file 644 abc")],
        ),
        ("no end at all", Tar::new().file("a", "x"), vec![("a", "file 644 x")]),
    ];
    for (case, tar, expected) in cases {
        let bench = Bench::new();
        let bytes = if case == "no end at all" { tar.cut() } else { tar.end() };
        bench.unpack(&bytes).unwrap_or_else(|error| panic!("{case}: {error:?}"));
        if case == "a GNU long name" {
            assert_eq!(bench.tree().get(&long).map(String::as_str), Some("file 644 x"));
        } else {
            assert_eq!(bench.tree(), golden(&expected), "{case}");
        }
        assert!(bench.canary_is_unchanged(), "{case}");
    }
}

#[test]
fn whiteouts_become_what_overlayfs_reads() {
    if !is_root() {
        return;
    }
    let cases: Vec<Case<'_>> = vec![
        ("a whiteout", Tar::new().file(".wh.gone", ""), vec![("gone", "whiteout")]),
        (
            "a whiteout deep down",
            Tar::new().file("a/b/.wh.gone", ""),
            vec![("a", "dir 755"), ("a/b", "dir 755"), ("a/b/gone", "whiteout")],
        ),
        (
            "an opaque directory, marked first",
            Tar::new().directory("a").file("a/.wh..wh..opq", "").file("a/new", "x"),
            vec![("a", "opaque 755"), ("a/new", "file 644 x")],
        ),
        (
            "an opaque directory, marked last",
            Tar::new().directory("a").file("a/new", "x").file("a/.wh..wh..opq", ""),
            vec![("a", "opaque 755"), ("a/new", "file 644 x")],
        ),
        (
            "a whiteout beside a file of its name",
            Tar::new().file("a", "x").file(".wh.a", ""),
            vec![("a", "file 644 x")],
        ),
        ("a file after its whiteout", Tar::new().file(".wh.a", "").file("a", "x"), vec![("a", "file 644 x")]),
        (
            "a directory after its whiteout",
            Tar::new().file(".wh.a", "").directory("a").file("a/b", "x"),
            vec![("a", "opaque 755"), ("a/b", "file 644 x")],
        ),
        (
            "a whiteout after its directory",
            Tar::new().file("a/b", "x").file(".wh.a", ""),
            vec![("a", "opaque 755"), ("a/b", "file 644 x")],
        ),
        ("aufs' own marks", Tar::new().file(".wh..wh.plnk", "").file("a", "x"), vec![("a", "file 644 x")]),
        (
            "an opaque mark through a symlink",
            Tar::new().directory("d").symlink("s", "/d").file("s/.wh..wh..opq", ""),
            vec![("d", "opaque 755"), ("s", "link /d")],
        ),
        (
            "a device 0/0 of the archive",
            Tar::new().entry(EntryType::Char, "dev/null", "", 0o666, b"").file("a", "x"),
            vec![("a", "file 644 x")],
        ),
    ];
    for (case, tar, expected) in cases {
        let bench = Bench::new();
        bench.unpack(&tar.end()).unwrap_or_else(|error| panic!("{case}: {error:?}"));
        assert_eq!(bench.tree(), golden(&expected), "{case}");
    }
}

#[test]
fn attributes_are_kept_by_a_short_list() {
    if !is_root() {
        return;
    }
    let bench = Bench::new();
    // A line feed in the middle, as a capability set may have it.
    let capability: &[u8] = &[1, 0, 0, 2, 0x0a, 0x0a, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    let tar = Tar::new()
        .pax(&[
            ("SCHILY.xattr.security.capability", capability),
            ("SCHILY.xattr.user.colour", b"blue"),
            ("SCHILY.xattr.user.overlay.opaque", b"y"),
            ("SCHILY.xattr.trusted.overlay.redirect", b"/etc"),
            ("SCHILY.xattr.security.ima", b"x"),
            ("mtime", b"-1.5"),
        ])
        .file("ping", "x");
    bench.unpack(&tar.end()).unwrap();
    let path = bench.place.0.join("root/ping");
    let mut list = [0; 1024];
    let length = rustix::fs::llistxattr(&path, &mut list[..]).unwrap();
    let mut names: Vec<&[u8]> =
        list[..length].split(|byte| *byte == 0).filter(|name| !name.is_empty()).collect();
    names.sort();
    assert_eq!(names, [b"security.capability".as_slice(), b"user.colour"]);
    let mut value = [0; 64];
    let length = rustix::fs::lgetxattr(&path, "security.capability", &mut value[..]).unwrap();
    assert_eq!(&value[..length], capability);
    let is = path.metadata().unwrap();
    assert_eq!((is.mtime(), is.mtime_nsec()), (-2, 500_000_000));
}

#[test]
fn owners_modes_and_times_of_directories_are_the_archives() {
    if !is_root() {
        return;
    }
    let bench = Bench::new();
    let owned = |header: &mut tar::Header| {
        header.set_uid(1234);
        header.set_gid(5678);
        header.set_mode(0o1770);
    };
    let tar = Tar::new().with(EntryType::Directory, "d", "", b"", owned).file("d/later", "x");
    assert_eq!(bench.unpack(&tar.end()).unwrap().entries, 2);
    let is = bench.place.0.join("root/d").metadata().unwrap();
    assert_eq!((is.uid(), is.gid(), is.mode() & 0o7777, is.mtime()), (1234, 5678, 0o1770, 1_000_000_000));
}

#[test]
fn device_nodes_are_left_out_and_counted() {
    let bench = Bench::new();
    let tar = Tar::new().entry(EntryType::Char, "null", "", 0o666, b"").entry(
        EntryType::Block,
        "sda",
        "",
        0o660,
        b"",
    );
    assert_eq!(bench.unpack(&tar.end()).unwrap().devices, 2);
    assert_eq!(bench.tree(), golden(&[]));
}

#[test]
fn an_owner_that_was_left_out_is_root() {
    if !is_root() {
        return;
    }
    let bench = Bench::new();
    let blank = |header: &mut tar::Header| {
        header.as_old_mut().uid = [0; 8];
        header.as_old_mut().gid = [b' '; 8];
    };
    bench.unpack(&Tar::new().with(EntryType::Regular, "file", "", b"x", blank).end()).unwrap();
    let is = bench.place.0.join("root/file").metadata().unwrap();
    assert_eq!((is.uid(), is.gid()), (0, 0));
}
