//! For tests: tars entry by entry, legal or not, small images around them, and directories that go away.

use std::fs::File;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use rustix::mount::{MountPropagationFlags, mount_change};
use rustix::thread::UnshareFlags;
use tar::{EntryType, Header};

use super::document::Descriptor;
use super::import::digest_of;

/// A directory of this test's own.
pub(super) struct Place(pub(super) PathBuf);

impl Place {
    pub(super) fn new() -> Place {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("droppod-image-{}-{count}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Place(path)
    }

    pub(super) fn make(&self, name: &str) -> PathBuf {
        let path = self.0.join(name);
        std::fs::create_dir_all(&path).unwrap();
        path
    }

    pub(super) fn write(&self, name: &str, content: &[u8]) -> PathBuf {
        let path = self.0.join(name);
        std::fs::write(&path, content).unwrap();
        path
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let above = File::open(self.0.parent().unwrap()).unwrap();
        let removed = crate::publish::remove_tree_at(above, self.0.file_name().unwrap());
        // A test that has failed is told as such; what it left mounted goes with its namespace.
        assert!(removed.is_ok() || std::thread::panicking(), "{removed:?}");
    }
}

pub(super) fn open(path: &Path) -> OwnedFd {
    File::open(path).unwrap().into()
}

/// Whether this test may make devices, owners and mounts; says so if not.
pub(super) fn is_root() -> bool {
    let root = rustix::process::geteuid().is_root();
    if !root {
        println!("skipped: needs root");
    }
    root
}

/// Runs `test` in a mount namespace of its own, so that every mount it makes goes with its thread.
pub(super) fn privately(test: impl FnOnce() + Send + 'static) {
    if !is_root() {
        return;
    }
    let done = std::thread::spawn(|| {
        if let Err(error) = unshare() {
            println!("skipped: no mount namespace of its own: {error}");
            return;
        }
        test();
    });
    if let Err(panic) = done.join() {
        std::panic::resume_unwind(panic);
    }
}

fn unshare() -> std::io::Result<()> {
    crate::sandbox::sys::namespace::unshare(UnshareFlags::NEWNS | UnshareFlags::FS)?;
    Ok(mount_change("/", MountPropagationFlags::PRIVATE | MountPropagationFlags::REC)?)
}

#[derive(Default)]
pub(super) struct Tar(Vec<u8>);

impl Tar {
    pub(super) fn new() -> Tar {
        Tar::default()
    }

    pub(super) fn file(self, name: &str, content: &str) -> Tar {
        self.entry(EntryType::Regular, name, "", 0o644, content.as_bytes())
    }

    pub(super) fn directory(self, name: &str) -> Tar {
        self.entry(EntryType::Directory, name, "", 0o755, b"")
    }

    pub(super) fn symlink(self, name: &str, target: &str) -> Tar {
        self.entry(EntryType::Symlink, name, target, 0o777, b"")
    }

    pub(super) fn hard_link(self, name: &str, target: &str) -> Tar {
        self.entry(EntryType::Link, name, target, 0o644, b"")
    }

    pub(super) fn pax(self, records: &[(&str, &[u8])]) -> Tar {
        let mut text = Vec::new();
        for (key, value) in records {
            let rest = key.len() + value.len() + 3;
            let mut length = rest + 1;
            while length != rest + length.to_string().len() {
                length += 1;
            }
            text.extend_from_slice(format!("{length} {key}=").as_bytes());
            text.extend_from_slice(value);
            text.push(b'\n');
        }
        self.entry(EntryType::XHeader, "pax", "", 0o644, &text)
    }

    pub(super) fn long_name(self, name: &str) -> Tar {
        self.entry(EntryType::GNULongName, "././@LongLink", "", 0o644, format!("{name}\0").as_bytes())
    }

    pub(super) fn entry(self, kind: EntryType, name: &str, link: &str, mode: u32, content: &[u8]) -> Tar {
        self.with(kind, name, link, content, |header| header.set_mode(mode))
    }

    pub(super) fn with(
        mut self,
        kind: EntryType,
        name: &str,
        link: &str,
        content: &[u8],
        change: impl Fn(&mut Header),
    ) -> Tar {
        let mut header = Header::new_gnu();
        let old = header.as_old_mut();
        assert!(name.len() <= 100 && link.len() <= 100, "longer ones need an extended header");
        old.name[..name.len()].copy_from_slice(name.as_bytes());
        old.linkname[..link.len()].copy_from_slice(link.as_bytes());
        header.set_entry_type(kind);
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(1_000_000_000);
        header.set_mode(0o644);
        header.set_size(content.len() as u64);
        change(&mut header);
        header.set_cksum();
        self.0.extend_from_slice(header.as_bytes());
        self.0.extend_from_slice(content);
        self.0.resize(self.0.len().next_multiple_of(512), 0);
        self
    }

    /// Bytes as they are.
    pub(super) fn raw(mut self, bytes: &[u8]) -> Tar {
        self.0.extend_from_slice(bytes);
        self
    }

    pub(super) fn end(mut self) -> Vec<u8> {
        self.0.resize(self.0.len() + 1024, 0);
        self.0
    }

    /// What is there so far, without the two blocks that end an archive.
    pub(super) fn cut(self) -> Vec<u8> {
        self.0
    }
}

pub(super) fn descriptor(kind: &str, content: &[u8]) -> Descriptor {
    Descriptor {
        media_type: format!("application/vnd.oci.image.{kind}"),
        digest: digest_of(content),
        size: content.len() as u64,
        annotations: None,
        platform: None,
    }
}

/// A small image: its blobs, and a manifest that names them.
pub(super) struct Image {
    pub(super) layers: Vec<Vec<u8>>,
    pub(super) config: Vec<u8>,
    pub(super) manifest: Vec<u8>,
}

/// `layers` are tars; they go in as `compress` makes them.
pub(super) fn image(layers: &[Vec<u8>], compress: impl Fn(&[u8]) -> Vec<u8>) -> Image {
    let diff_ids: Vec<String> = layers.iter().map(|layer| digest_of(layer)).collect();
    let config = serde_json::json!({
        "architecture": "amd64", "os": "linux",
        "config": {"Env": ["PATH=/bin", "A=b"], "Entrypoint": ["/bin/app"], "Cmd": null,
                   "User": "app", "WorkingDir": "/srv", "StopSignal": "SIGINT"},
        "rootfs": {"type": "layers", "diff_ids": diff_ids},
    });
    let config = serde_json::to_vec(&config).unwrap();
    let layers: Vec<Vec<u8>> = layers.iter().map(|layer| compress(layer)).collect();
    let described: Vec<Descriptor> = layers.iter().map(|layer| descriptor("layer.v1.tar", layer)).collect();
    let manifest = serde_json::json!({
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": descriptor("config.v1+json", &config),
        "layers": described,
    });
    Image { layers, config, manifest: serde_json::to_vec(&manifest).unwrap() }
}

pub(super) fn gzip(plain: &[u8]) -> Vec<u8> {
    use std::io::Write;
    let mut out = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    out.write_all(plain).unwrap();
    out.finish().unwrap()
}

/// A tar of an OCI layout with these images, each under its name.
pub(super) fn layout(images: &[(&str, &Image)]) -> Vec<u8> {
    let mut tar = Tar::new().directory("blobs/").directory("blobs/sha256/");
    let mut entries = Vec::new();
    for (name, image) in images {
        for blob in image.layers.iter().chain([&image.config, &image.manifest]) {
            let path = format!("blobs/sha256/{}", digest_of(blob).trim_start_matches("sha256:"));
            tar = tar.entry(EntryType::Regular, &path, "", 0o644, blob);
        }
        let mut entry = descriptor("manifest.v1+json", &image.manifest);
        entry.annotations =
            Some([("org.opencontainers.image.ref.name".to_owned(), (*name).to_owned())].into());
        entries.push(entry);
    }
    let index = serde_json::json!({"schemaVersion": 2, "manifests": entries}).to_string();
    tar.file("oci-layout", "{\"imageLayoutVersion\": \"1.0.0\"}").file("index.json", &index).end()
}
