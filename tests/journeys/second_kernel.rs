//! The same journeys on a second kernel: Linux 6.1 with cgroup v2 alone, as one ordinary program (User Mode Linux). Its
//! root is this machine's, so this very test binary runs in it. It takes minutes, so it is asked for:
//! `cargo test --test journeys -- --ignored second_kernel`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::bench::{TEST_DIRECTORY, say, wait_at_most};
use crate::kill::MANY;

/// Namespaces, limits, the end by memory, pids, exec, confinement, adoption, kills, each with its census.
const JOURNEYS: [&str; 8] = [
    "pod::",
    "session::exec",
    "session::a_terminal",
    "up::a_timeout",
    "confinement::",
    "kill::many_pods_outlive_their_watcher_and_are_adopted",
    "kill::a_pod_process_that_dies_takes_its_containers_along_and_comes_back",
    "kill::a_pod_process_killed_while_nobody_watches_is_swept_by_the_next_watcher",
];

/// What Debian's kernel has as modules and pods need.
const MODULES: [&str; 5] = ["overlay", "veth", "bridge", "nft_masq", "nft_ct"];

/// Longest course of the whole guest.
const DEADLINE: Duration = Duration::from_secs(600);

#[test]
#[ignore = "boots another kernel and takes minutes"]
fn the_journeys_hold_on_cgroup_v2() {
    if !rustix::process::geteuid().is_root() || std::env::consts::ARCH != "x86_64" {
        say("skipped: User Mode Linux is for x86_64, and journeys need root");
        return;
    }
    let place = Path::new(env!("CARGO_TARGET_TMPDIR")).join("second-kernel");
    let Some(kernel) = kernel(&place) else {
        say("skipped: Debian's package user-mode-linux cannot be had");
        return;
    };
    let init = place.join("init.sh");
    fs::write(&init, init_script(&kernel)).unwrap();
    run(&["chmod", "755", init.to_str().unwrap()]);
    // In a PID namespace of its own, so that nothing of the guest outlives its first process.
    let guest = Command::new("unshare")
        .args(["--pid", "--fork", "--kill-child", "--"])
        .arg(&kernel.program)
        .args([
            "mem=2G",
            "rootfstype=hostfs",
            "rootflags=/",
            "rw",
            "con=null",
            "con0=null,fd:1",
            "quiet",
            "loglevel=1",
        ])
        .arg(format!("init={}", init.display()))
        .env("HOME", &place)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let told = wait_at_most(guest, "the second kernel", DEADLINE);
    let told = String::from_utf8_lossy(&told.stdout).replace('\r', "");
    let summary = told.lines().find(|line| line.starts_with("test result:"));
    say(&format!("second kernel: {}", summary.unwrap_or("no result")));
    for lack in told.lines().filter(|line| line.starts_with("skipped: ")) {
        say(&format!("second kernel: {lack}"));
    }
    assert!(summary.is_some_and(|line| line.contains(": ok. ") && !line.contains(" 0 passed")), "{told}");
}

struct Kernel {
    program: PathBuf,
    /// With `modules.dep` in it.
    modules: PathBuf,
}

/// Debian's packaged kernel, unpacked below the build directory: nothing is installed.
fn kernel(place: &Path) -> Option<Kernel> {
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

/// Process 1 of the guest. `/tmp` stays the machine's own, where the binary may lie; journeys get a tmpfs.
fn init_script(kernel: &Kernel) -> String {
    let exe = std::env::current_exe().unwrap();
    let modules: String = load_order(kernel).iter().map(|path| format!("insmod {path}\n")).collect();
    format!(
        "#!/bin/sh\n\
         export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root TERM=dumb\n\
         mount -t proc proc /proc\n\
         mount -t sysfs sysfs /sys\n\
         mount -t devtmpfs dev /dev\n\
         mkdir -p /dev/pts /dev/shm /dev/mqueue\n\
         mount -t devpts devpts /dev/pts\n\
         mount -t tmpfs shm /dev/shm\n\
         mount -t mqueue mqueue /dev/mqueue\n\
         mount -t tmpfs run /run\n\
         mount -t cgroup2 cgroup2 /sys/fs/cgroup\n\
         hostname second-kernel\n\
         {modules}\
         ip link set lo up\n\
         mkdir /run/t\n\
         export {TEST_DIRECTORY}=/run/t {MANY}=4\n\
         {exe} --nocapture --test-threads=2 {journeys} 2>&1\n\
         echo o > /proc/sysrq-trigger\n\
         sleep 60\n",
        exe = exe.display(),
        journeys = JOURNEYS.join(" "),
    )
}

/// Every module after those it needs. `modules.dep` lists them the other way round.
fn load_order(kernel: &Kernel) -> Vec<String> {
    let listed = fs::read_to_string(kernel.modules.join("modules.dep")).unwrap();
    let mut order = Vec::new();
    for name in MODULES {
        let line = listed.lines().find(|line| {
            line.split_once(':').is_some_and(|(path, _)| path.ends_with(&format!("/{name}.ko")))
        });
        let (path, needs) = line.unwrap_or_else(|| panic!("no module {name}")).split_once(':').unwrap();
        for module in needs.split_whitespace().rev().chain([path]) {
            let module = kernel.modules.join(module).display().to_string();
            if !order.contains(&module) {
                order.push(module);
            }
        }
    }
    order
}

#[track_caller]
fn run(command: &[&str]) {
    let status = Command::new(command[0]).args(&command[1..]).status().unwrap();
    assert!(status.success(), "{}: {status}", command.join(" "));
}
