//! Images made by the test itself from the machine's static busybox, in the forms in which tools hand them around.

use std::fs;
use std::io::Write;
use std::path::Path;

use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

/// What the image runs unless the pod says otherwise. It tells who it is and whether its root was used before.
const ENTRY: &str = "#!/bin/sh\n\
    echo \"$(id -u):$(id -g) in $(pwd) says $GREETING $*\"\n\
    test -e /data/used && echo used before\n\
    touch /data/used\n\
    test -d /count || exit 0\n\
    test -e /count/first && exit 0\n\
    touch /count/first; exit 1\n";

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
const LAYER: &str = "application/vnd.oci.image.layer.v1.tar+gzip";

/// An image of one layer.
pub(crate) struct Made {
    layer: Vec<u8>,
    compressed: Vec<u8>,
    config: Vec<u8>,
}

impl Made {
    /// `greeting` tells one image from another. `None`, and a line that says why, without a static busybox.
    pub(crate) fn new(greeting: &str) -> Option<Made> {
        Made::with(greeting, &[])
    }

    /// With entries that stand at the end of the layer: they replace what came before.
    pub(crate) fn with(greeting: &str, planted: &[(&str, Planted<'_>)]) -> Option<Made> {
        let Some(busybox) = ["/bin/busybox", "/usr/bin/busybox"].iter().find_map(|path| fs::read(path).ok())
        else {
            crate::bench::say("skipped: images are made from busybox-static, which is not there");
            return None;
        };
        let layer = layer(&busybox, planted);
        let architecture = match std::env::consts::ARCH {
            "x86_64" => "amd64",
            "aarch64" => "arm64",
            other => other,
        };
        let config = json!({
            "architecture": architecture,
            "os": "linux",
            "config": {
                "User": "app",
                "Env": ["PATH=/bin", format!("GREETING={greeting}")],
                "Entrypoint": ["/bin/entry"],
                "Cmd": ["by", "default"],
                "WorkingDir": "/srv/app",
            },
            "rootfs": {"type": "layers", "diff_ids": [digest(&layer)]},
        });
        let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
        gzip.write_all(&layer).unwrap();
        let (compressed, config) = (gzip.finish().unwrap(), config.to_string().into_bytes());
        Some(Made { layer, compressed, config })
    }

    /// Everything that a registry is given: what the manifest names, and the manifest.
    pub(crate) fn blobs(&self) -> [&[u8]; 2] {
        [&self.config, &self.compressed]
    }

    pub(crate) fn manifest(&self) -> Vec<u8> {
        let manifest = json!({
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": descriptor(CONFIG, &self.config),
            "layers": [descriptor(LAYER, &self.compressed)],
        });
        manifest.to_string().into_bytes()
    }

    /// An OCI layout in a tar; `name` is what its index calls the image.
    pub(crate) fn write_oci_archive(&self, path: &Path, name: &str) {
        let manifest = self.manifest();
        let mut entry = descriptor(MANIFEST, &manifest);
        entry["annotations"] = json!({"org.opencontainers.image.ref.name": name});
        let index = json!({"schemaVersion": 2, "manifests": [entry]}).to_string();
        let mut files = vec![
            ("oci-layout".to_owned(), br#"{"imageLayoutVersion": "1.0.0"}"#.to_vec()),
            ("index.json".to_owned(), index.into_bytes()),
        ];
        for blob in [&self.config, &self.compressed, &manifest] {
            files
                .push((format!("blobs/sha256/{}", digest(blob).trim_start_matches("sha256:")), blob.clone()));
        }
        write_tar(path, &files);
    }

    /// What `docker save` writes.
    pub(crate) fn write_docker_archive(&self, path: &Path, name: &str) {
        let list = json!([{"Config": "config.json", "RepoTags": [name], "Layers": ["one/layer.tar"]}]);
        let files = [
            ("manifest.json".to_owned(), list.to_string().into_bytes()),
            ("config.json".to_owned(), self.config.clone()),
            ("one/layer.tar".to_owned(), self.layer.clone()),
        ];
        write_tar(path, &files);
    }
}

pub(crate) fn digest(bytes: &[u8]) -> String {
    let hash = Sha256::digest(bytes);
    let hex: String = hash.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("sha256:{hex}")
}

fn descriptor(media_type: &str, blob: &[u8]) -> Value {
    json!({"mediaType": media_type, "digest": digest(blob), "size": blob.len()})
}

/// What an image has in a place where something else is expected.
pub(crate) enum Planted<'a> {
    Symlink(&'a str),
    Fifo,
    Directory,
    File(&'a [u8]),
}

fn layer(busybox: &[u8], planted: &[(&str, Planted<'_>)]) -> Vec<u8> {
    let mut tar = tar::Builder::new(Vec::new());
    let mut add = |kind: tar::EntryType, name: &str, mode: u32, target: &str, content: &[u8]| {
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(kind);
        header.set_mode(mode);
        header.set_size(content.len() as u64);
        match target {
            "" => tar.append_data(&mut header, name, content).unwrap(),
            target => tar.append_link(&mut header, name, target).unwrap(),
        }
    };
    for (name, mode) in [("bin", 0o755), ("etc", 0o755), ("srv", 0o755), ("srv/app", 0o755), ("data", 0o777)]
    {
        add(tar::EntryType::Directory, name, mode, "", b"");
    }
    add(tar::EntryType::Regular, "bin/busybox", 0o755, "", busybox);
    for name in ["sh", "id", "touch", "cat", "sleep", "ls"] {
        add(tar::EntryType::Symlink, &format!("bin/{name}"), 0o777, "busybox", b"");
    }
    add(tar::EntryType::Regular, "bin/entry", 0o755, "", ENTRY.as_bytes());
    add(
        tar::EntryType::Regular,
        "etc/passwd",
        0o644,
        "",
        b"root:x:0:0::/:/bin/sh\napp:x:1234:5678::/srv/app:/bin/sh\n",
    );
    add(tar::EntryType::Regular, "etc/group", 0o644, "", b"root:x:0:\napp:x:5678:\n");
    for (name, planted) in planted {
        match planted {
            Planted::Symlink(target) => add(tar::EntryType::Symlink, name, 0o777, target, b""),
            Planted::Fifo => add(tar::EntryType::Fifo, name, 0o644, "", b""),
            Planted::Directory => add(tar::EntryType::Directory, name, 0o755, "", b""),
            Planted::File(content) => add(tar::EntryType::Regular, name, 0o644, "", content),
        }
    }
    tar.into_inner().unwrap()
}

/// Written under another name first: whoever looks at the place sees it whole.
fn write_tar(path: &Path, files: &[(String, Vec<u8>)]) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    let part = path.with_extension("part");
    let mut tar = tar::Builder::new(fs::File::create(&part).unwrap());
    for (name, content) in files {
        let mut header = tar::Header::new_gnu();
        header.set_mode(0o644);
        header.set_size(content.len() as u64);
        tar.append_data(&mut header, name, content.as_slice()).unwrap();
    }
    tar.into_inner().unwrap().sync_all().unwrap();
    fs::rename(part, path).unwrap();
}
