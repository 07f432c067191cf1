//! The second kernel: Debian's packaged User Mode Linux and its modules.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use crate::bench::say;

/// What Debian's kernel has as modules and pods need.
const MODULES: [&str; 5] = ["overlay", "veth", "bridge", "nft_masq", "nft_ct"];

pub(super) struct Kernel {
    pub(super) program: PathBuf,
    /// With `modules.dep` in it.
    modules: PathBuf,
}

/// None, and a line that says why, where it does not run or cannot be had.
pub(super) fn kernel() -> Option<&'static Kernel> {
    static KERNEL: OnceLock<Option<Kernel>> = OnceLock::new();
    if !rustix::process::geteuid().is_root() || std::env::consts::ARCH != "x86_64" {
        say("skipped: User Mode Linux is for x86_64, and journeys need root");
        return None;
    }
    let kernel = KERNEL.get_or_init(|| unpacked(&place())).as_ref();
    if kernel.is_none() {
        say("skipped: Debian's package user-mode-linux cannot be had");
    }
    kernel
}

/// Where it lies, and what its guests use.
pub(super) fn place() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join("second-kernel")
}

/// Unpacked below the build directory: nothing is installed.
fn unpacked(place: &Path) -> Option<Kernel> {
    let root = place.join("package");
    let program = root.join("usr/bin/linux.uml");
    if !program.exists() {
        fs::create_dir_all(place.join("lists/partial")).unwrap();
        fs::create_dir_all(place.join("cache/archives/partial")).unwrap();
        let apt = |args: &[&str]| {
            Command::new("apt-get")
                .current_dir(place)
                .args(["-qq", "-o", "APT::Sandbox::User=root"])
                .arg(format!("-oDir::State::Lists={}", place.join("lists").display()))
                .arg(format!("-oDir::Cache={}", place.join("cache").display()))
                .args(args)
                .stdout(Stdio::null())
                .status()
                .is_ok_and(|status| status.success())
        };
        if !(apt(&["update"]) && apt(&["download", "user-mode-linux"])) {
            return None;
        }
        let package = fs::read_dir(place).unwrap().map(|entry| entry.unwrap().path());
        let package = package.into_iter().find(|path| path.extension().is_some_and(|end| end == "deb"))?;
        run(&["dpkg-deb", "-x", package.to_str().unwrap(), root.to_str().unwrap()]);
        fs::remove_file(package).unwrap();
    }
    let releases = fs::read_dir(root.join("usr/lib/uml/modules")).ok()?;
    let modules =
        releases.map(|entry| entry.unwrap().path()).find(|path| path.join("modules.dep").exists())?;
    Some(Kernel { program, modules })
}

impl Kernel {
    /// Every module after those it needs. `modules.dep` lists them the other way round.
    pub(super) fn load_order(&self) -> Vec<String> {
        let listed = fs::read_to_string(self.modules.join("modules.dep")).unwrap();
        let mut order = Vec::new();
        for name in MODULES {
            let line = listed.lines().find(|line| {
                line.split_once(':').is_some_and(|(path, _)| path.ends_with(&format!("/{name}.ko")))
            });
            let (path, needs) = line.unwrap_or_else(|| panic!("no module {name}")).split_once(':').unwrap();
            for module in needs.split_whitespace().rev().chain([path]) {
                let module = self.modules.join(module).display().to_string();
                if !order.contains(&module) {
                    order.push(module);
                }
            }
        }
        order
    }
}

/// This build without what only a debugger reads, half of it: each watcher of a guest copies it. As it is where nothing
/// can strip it.
pub(super) fn droppod() -> &'static Path {
    static LEAN: OnceLock<PathBuf> = OnceLock::new();
    LEAN.get_or_init(|| {
        let (whole, lean) = (Path::new(env!("CARGO_BIN_EXE_droppod")), place().join("droppod"));
        let strip = Command::new("strip").arg("-o").arg(&lean).arg(whole).status();
        if strip.is_ok_and(|status| status.success()) { lean } else { whole.to_owned() }
    })
}

#[track_caller]
pub(super) fn run(command: &[&str]) {
    let status = Command::new(command[0]).args(&command[1..]).status().unwrap();
    assert!(status.success(), "{}: {status}", command.join(" "));
}
