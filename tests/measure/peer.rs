//! What droppod is measured beside: `crun` with the same program in a plain directory, and the bare kernel.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use serde_json::{Value, json};

use crate::bench::say;
use crate::cost::clock;

/// The directory of the compiled measuring programs. `None`, and a line that says why, without a C compiler.
pub(crate) fn programs(place: &Path) -> Option<PathBuf> {
    let programs = place.join("programs");
    fs::create_dir_all(&programs).unwrap();
    let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/measure");
    for name in ["stamp", "floor"] {
        let mut compile = Command::new("cc");
        compile
            .args(["-O2", "-static", "-o"])
            .arg(programs.join(name))
            .arg(sources.join(format!("{name}.c")));
        if !compile.status().is_ok_and(|status| status.success()) {
            say("skipped: cc cannot build a static program");
            return None;
        }
    }
    Some(programs)
}

/// An image of one layer with these programs in its root, as `docker save` writes it.
pub(crate) fn write_image(path: &Path, programs: &[(&str, &Path)]) {
    let files: Vec<(&str, Vec<u8>)> =
        programs.iter().map(|(name, program)| (*name, fs::read(program).unwrap())).collect();
    let files: Vec<(&str, u32, &[u8])> =
        files.iter().map(|(name, program)| (*name, 0o755, program.as_slice())).collect();
    let layer = tar(&files);
    let digest = <sha2::Sha256 as sha2::Digest>::digest(&layer);
    let digest: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    let config = json!({
        "architecture": if cfg!(target_arch = "aarch64") { "arm64" } else { "amd64" },
        "os": "linux",
        "config": {},
        "rootfs": {"type": "layers", "diff_ids": [format!("sha256:{digest}")]},
    });
    let list = json!([{"Config": "config.json", "RepoTags": ["measure"], "Layers": ["layer.tar"]}]);
    let image = tar(&[
        ("manifest.json", 0o644, list.to_string().as_bytes()),
        ("config.json", 0o644, config.to_string().as_bytes()),
        ("layer.tar", 0o644, &layer),
    ]);
    fs::write(path, image).unwrap();
}

fn tar(files: &[(&str, u32, &[u8])]) -> Vec<u8> {
    let mut tar = tar::Builder::new(Vec::new());
    for (name, mode, content) in files {
        let mut header = tar::Header::new_gnu();
        header.set_mode(*mode);
        header.set_size(content.len() as u64);
        tar.append_data(&mut header, name, *content).unwrap();
    }
    tar.into_inner().unwrap()
}

/// Debian's `crun` takes a layout with controllers of cgroup v1 alone or v2 alone: of one that has both it gets to see the
/// former, in a file system of their own, since the one they are mounted in may be read-only.
const KEEPER: &str = r#"
if [ -d /sys/fs/cgroup/unified ]; then
    mount -t tmpfs tmpfs "$0"
    for at in $(grep ' cgroup ' /proc/mounts | cut -d ' ' -f 2); do
        mkdir "$0/${at##*/}"
        mount --bind "$at" "$0/${at##*/}"
    done
    mount --rbind "$0" /sys/fs/cgroup
fi
echo ready
exec sleep 3600
"#;

/// Debian's `crun`, in a mount namespace where it finds a layout of cgroups that it takes.
pub(crate) struct Crun {
    place: PathBuf,
    keeper: Child,
}

/// A container of `crun` that waits for its end.
pub(crate) struct Waiting<'a> {
    crun: &'a Crun,
}

impl Crun {
    /// `None`, and a line that says why, if there is no `crun`.
    pub(crate) fn find(place: &Path, programs: &Path) -> Option<Crun> {
        let place = place.join("crun");
        fs::create_dir_all(place.join("root")).unwrap();
        fs::copy(programs.join("stamp"), place.join("root/stamp")).unwrap();
        if !Command::new("crun").current_dir(&place).arg("spec").status().is_ok_and(|status| status.success())
        {
            say("not beside crun: it is not there");
            return None;
        }
        let mut spec: Value = serde_json::from_slice(&fs::read(place.join("config.json")).unwrap()).unwrap();
        spec["process"]["terminal"] = json!(false);
        spec["root"] = json!({"path": "root", "readonly": false});
        for (name, arguments) in [("stamp", json!(["/stamp"])), ("wait", json!(["/stamp", "wait"]))] {
            spec["process"]["args"] = arguments;
            let bundle = place.join(name);
            fs::create_dir_all(&bundle).unwrap();
            spec["root"]["path"] = json!(place.join("root"));
            fs::write(bundle.join("config.json"), spec.to_string()).unwrap();
        }
        let layout = place.join("cgroup");
        fs::create_dir_all(&layout).unwrap();
        let keeper = Command::new("unshare")
            .args(["--mount", "--", "sh", "-c", KEEPER])
            .arg(layout)
            .stdout(Stdio::piped())
            .spawn();
        let mut keeper = keeper.unwrap();
        std::io::Read::read_exact(keeper.stdout.as_mut().unwrap(), &mut [0; 5]).unwrap();
        Some(Crun { place, keeper })
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new("nsenter");
        command
            .arg(format!("--mount=/proc/{}/ns/mnt", self.keeper.id()))
            .args(["--", "crun"])
            .args(arguments);
        command
    }

    /// Whole: whoever enters a mount namespace starts from its root.
    fn bundle(&self, name: &str) -> String {
        self.place.join(name).display().to_string()
    }

    /// Until the first instruction of the container.
    pub(crate) fn run(&self, bundle: &str) -> u64 {
        let before = clock();
        started(&self.output(&["run", "-b", &self.bundle(bundle), "measured"])) - before
    }

    /// Until everything is gone.
    pub(crate) fn run_whole(&self, bundle: &str) -> u64 {
        let before = clock();
        self.output(&["run", "-b", &self.bundle(bundle), "measured"]);
        clock() - before
    }

    pub(crate) fn start_waiting(&self) -> Waiting<'_> {
        let mut run = self.command(&["run", "-d", "-b", &self.bundle("wait"), "waiting"]);
        assert!(run.stdout(Stdio::null()).status().unwrap().success());
        Waiting { crun: self }
    }

    fn output(&self, arguments: &[&str]) -> String {
        let output = self.command(arguments).output().unwrap();
        assert!(output.status.success(), "crun: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }
}

impl Drop for Crun {
    fn drop(&mut self) {
        drop(self.keeper.kill());
        drop(self.keeper.wait());
    }
}

impl Waiting<'_> {
    pub(crate) fn exec(&self) -> u64 {
        let before = clock();
        self.crun.output(&["exec", "waiting", "/stamp"]);
        clock() - before
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        drop(self.crun.command(&["delete", "-f", "waiting"]).status());
    }
}

pub(crate) struct Floor {
    pub(crate) program: PathBuf,
}

impl Floor {
    pub(crate) fn run(&self, program: &Path) -> u64 {
        let before = clock();
        let output = Command::new(&self.program).arg(program).output().unwrap();
        started(&String::from_utf8(output.stdout).unwrap()) - before
    }
}

fn started(said: &str) -> u64 {
    said.lines().find_map(|line| line.strip_prefix("start ")).unwrap().parse().unwrap()
}
