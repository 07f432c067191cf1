//! The one harness: directories of its own, a network namespace of its own, the real binary, and a census of
//! everything that an instance could leave behind, taken without asking droppod.

use std::fs;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

#[path = "bench/census.rs"]
pub(crate) mod census;
#[path = "bench/clock.rs"]
mod clock;
#[path = "bench/folds.rs"]
mod folds;
#[path = "bench/process.rs"]
mod process;
#[path = "bench/screen.rs"]
mod screen;

use census::{instance_of, processes, started_at};
use clock::{PATIENCE, PAUSE, after, past};
pub(crate) use clock::{let_pass, now};
pub(crate) use folds::unfolded;
use process::wait_with_deadline;
pub(crate) use process::{Ran, Running, wait_at_most};

/// Where benches are made, if not in `/tmp`.
pub(crate) const TEST_DIRECTORY: &str = "DROPPOD_TEST_DIR";

/// A place to run droppod in, gone at the end of the test.
pub(crate) struct Bench {
    root: PathBuf,
    /// Keeps the network namespace; dies with the bench.
    keeper: Child,
}

impl Bench {
    /// `None`, and a line that says why, where journeys cannot be made.
    pub(crate) fn new() -> Option<Bench> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        if !rustix::process::geteuid().is_root() {
            say("skipped: containers need root");
            return None;
        }
        let home = std::env::var_os(TEST_DIRECTORY).unwrap_or_else(|| "/tmp".into());
        loop {
            let number = COUNT.fetch_add(1, Ordering::Relaxed);
            // Short: the path of a control socket has 108 bytes in all.
            let root = Path::new(&home).join(format!("dp{}-{number}", std::process::id()));
            match fs::create_dir(&root) {
                Ok(()) => return Some(Bench::at(root)),
                // A test that failed has left it, in a process that had this number.
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => panic!("{}: {error}", root.display()),
            }
        }
    }

    /// In a place that may hold what an earlier one has left there.
    pub(crate) fn at(root: PathBuf) -> Bench {
        fs::create_dir_all(root.join("m")).unwrap();
        let mut keeper = Command::new("unshare")
            .args(["--net", "--", "sh", "-c", "ip link set lo up 2>/dev/null; echo ready; exec sleep 1000"])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut ready = [0; 5];
        keeper.stdout.as_mut().unwrap().read_exact(&mut ready).unwrap();
        Bench { root, keeper }
    }

    pub(crate) fn folder(&self) -> PathBuf {
        self.root.join("m")
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }

    /// Drops a manifest into the folder, whole.
    pub(crate) fn manifest(&self, name: &str, text: &str) -> &Bench {
        let part = self.folder().join(format!(".{name}.part"));
        fs::write(&part, text).unwrap();
        fs::rename(part, self.folder().join(name)).unwrap();
        self
    }

    pub(crate) fn remove(&self, name: &str) -> &Bench {
        fs::remove_file(self.folder().join(name)).unwrap();
        self
    }

    /// A file of the folder; a status file with each text in one line.
    pub(crate) fn read(&self, name: &str) -> String {
        let text = fs::read_to_string(self.folder().join(name)).unwrap_or_default();
        if name.ends_with(".status.yaml") { unfolded(&text) } else { text }
    }

    /// Its network namespace.
    pub(crate) fn network(&self) -> fs::File {
        fs::File::open(format!("/proc/{}/ns/net", self.keeper.id())).unwrap()
    }

    /// A program in the bench's network namespace.
    pub(crate) fn program(&self, name: &str) -> Command {
        let mut command = Command::new("nsenter");
        command.arg(format!("--net=/proc/{}/ns/net", self.keeper.id())).arg("--").arg(name);
        command
    }

    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = self.program(env!("CARGO_BIN_EXE_droppod"));
        command.args(args);
        self.furnish(command)
    }

    /// Makes a command one of this bench.
    pub(crate) fn furnish(&self, mut command: Command) -> Command {
        command.env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default());
        for (name, place) in [("STATE", "s"), ("RUN", "r"), ("LOG", "l")] {
            command.env(format!("DROPPOD_{name}_DIR"), self.root.join(place));
        }
        command.env("DROPPOD_MANIFESTS", self.folder());
        command.stdin(Stdio::null());
        command
    }

    /// Runs a command to its end.
    pub(crate) fn run(&self, args: &[&str]) -> Ran {
        let child = self.command(args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        Ran::from(&wait_with_deadline(child, args))
    }

    /// Runs a command as on a machine where these are not mounted.
    pub(crate) fn run_without(&self, mounts: &[&str], args: &[&str]) -> Ran {
        let mut command = self.program("unshare");
        let script = "umount $0 && exec \"$@\"";
        command.args(["-m", "--", "sh", "-c", script, &mounts.join(" "), env!("CARGO_BIN_EXE_droppod")]);
        command.args(args);
        let child = self.furnish(command).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        Ran::from(&wait_with_deadline(child, args))
    }

    /// Runs a command with text on its standard input.
    pub(crate) fn run_with_input(&self, args: &[&str], input: &str) -> Ran {
        let path = self.root.join("input");
        fs::write(&path, input).unwrap();
        let mut command = self.command(args);
        command.stdin(fs::File::open(path).unwrap()).stdout(Stdio::piped()).stderr(Stdio::piped());
        Ran::from(&wait_with_deadline(command.spawn().unwrap(), args))
    }

    /// Starts a command that goes on after it has read this on its standard input.
    pub(crate) fn start_with_input(&self, args: &[&str], input: &str) -> Running {
        let path = self.root.join("input");
        fs::write(&path, input).unwrap();
        let mut command = self.command(args);
        command.stdin(fs::File::open(path).unwrap()).stdout(Stdio::null()).stderr(Stdio::null());
        Running { child: command.spawn().unwrap() }
    }

    /// Starts a command that goes on; its output goes to files that a failed test can be read from.
    pub(crate) fn start(&self, args: &[&str]) -> Running {
        self.begin(self.command(args))
    }

    fn begin(&self, mut command: Command) -> Running {
        let file =
            |name: &str| fs::OpenOptions::new().create(true).append(true).open(self.root.join(name)).unwrap();
        Running { child: command.stdout(file("out")).stderr(file("err")).spawn().unwrap() }
    }

    /// Starts a program that droppod deals with.
    pub(crate) fn start_program(&self, name: &str, args: &[&str]) -> Running {
        let said = fs::File::create(self.root.join("program")).unwrap();
        let mut command = self.program(name);
        command.args(args).stdin(Stdio::null()).stdout(said.try_clone().unwrap()).stderr(said);
        Running { child: command.spawn().unwrap() }
    }

    /// Starts a watcher on the folder and waits until it has taken charge.
    pub(crate) fn watch(&self) -> Running {
        self.watch_by(self.command(&["watch", self.folder().to_str().unwrap()]))
    }

    /// The same, by a watcher to which the machine seems to have been started anew since.
    pub(crate) fn watch_after_a_reboot(&self) -> Running {
        const BOOT: &str = "11111111-2222-4333-8444-555555555555\n";
        let boot = self.root.join("boot");
        fs::write(&boot, BOOT).unwrap();
        let mut command = self.program("unshare");
        let script = "mount --bind \"$1\" /proc/sys/kernel/random/boot_id && exec \"$2\" watch \"$3\"";
        command.args(["-m", "--propagation", "slave", "--", "sh", "-c", script, "sh"]);
        command.arg(boot).arg(env!("CARGO_BIN_EXE_droppod")).arg(self.folder());
        self.watch_by(self.furnish(command))
    }

    fn watch_by(&self, command: Command) -> Running {
        let before = self.log().len();
        let running = self.begin(command);
        self.until("the watcher is ready", || {
            let said = fs::read_to_string(self.root.join("err")).unwrap_or_default();
            said[before..].contains(" watches ")
        });
        running
    }

    /// Whether a watcher has said this.
    pub(crate) fn said(&self, part: &str) -> bool {
        self.log().contains(part)
    }

    /// What watchers have logged.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.root.join("err")).unwrap_or_default()
    }

    /// Waits for a fact; fails with what the watcher has said if it does not come about.
    pub(crate) fn until(&self, fact: &str, holds: impl FnMut() -> bool) {
        self.until_at_most(PATIENCE, fact, holds);
    }

    /// The same for a fact that takes longer.
    pub(crate) fn until_at_most(&self, patience: Duration, fact: &str, mut holds: impl FnMut() -> bool) {
        let deadline = after(patience);
        loop {
            let began = now();
            if holds() {
                return;
            }
            if past(deadline) {
                let said = fs::read_to_string(self.root.join("err")).unwrap_or_default();
                let get = self.run(&["get", "pods", "-A", "-o", "wide"]);
                panic!("still not so: {fact}\n--- pods\n{}{}\n--- watcher\n{said}", get.stdout, get.stderr);
            }
            // On a slow machine looking is not to take the time from what is looked for.
            let_pass(PAUSE.max(began.elapsed()));
        }
    }

    /// STATUS of a pod as `get pods` shows it; empty if there is none.
    pub(crate) fn status(&self, pod: &str) -> String {
        self.column(pod, 2)
    }

    /// A column of `get pods -o wide`, counted from 0: NAME READY STATUS RESTARTS AGE IP.
    pub(crate) fn column(&self, pod: &str, index: usize) -> String {
        let table = self.run(&["get", "pods", "-o", "wide"]).stdout;
        let row = table.lines().find(|line| line.split_whitespace().next() == Some(pod)).unwrap_or_default();
        row.split("   ")
            .map(str::trim)
            .filter(|cell| !cell.is_empty())
            .nth(index)
            .unwrap_or_default()
            .to_owned()
    }

    /// Waits until no container runs, whatever becomes of an `up` that they belonged to.
    pub(crate) fn until_no_container(&self) {
        self.until("no container is left", || !self.census().iter().any(|left| left.starts_with("process ")));
    }

    pub(crate) fn until_status(&self, pod: &str, status: &str) {
        self.until(&format!("{pod} is {status}"), || self.status(pod) == status);
    }

    /// Waits until the status file of the one pod of a manifest says of it what `get` does, which is that it runs.
    pub(crate) fn until_told(&self, file: &str, pod: &str, ready: &str, restarts: &str) {
        self.until(&format!("{file}.status.yaml and `get` tell of {pod}"), || {
            let json = self.run(&["get", "pod", pod, "-o", "json"]).stdout;
            let object: serde_json::Value = serde_json::from_str(&json).unwrap_or_default();
            let text = |at: &str| object.pointer(at).and_then(serde_json::Value::as_str).unwrap_or_default();
            let file = self.read(&format!("{file}.status.yaml"));
            let mut lines = vec![
                format!("    uid: {}", text("/metadata/uid")),
                format!("    podIP: {}", self.column(pod, 5)),
                "    phase: Running".to_owned(),
            ];
            let containers =
                object.pointer("/status/containerStatuses").and_then(serde_json::Value::as_array);
            for container in containers.into_iter().flatten() {
                lines.push(format!(
                    "    - containerID: {}",
                    container["containerID"].as_str().unwrap_or("none")
                ));
                lines.push(format!("      image: {}", container["image"].as_str().unwrap_or("none")));
            }
            // What follows says how long ago.
            let restarted = self.column(pod, 3);
            [1, 2].map(|index| self.column(pod, index)) == [ready, "Running"]
                && restarted.split(' ').next() == Some(restarts)
                && file.contains("summary: 1 pod running\n")
                && lines.iter().all(|line| file.lines().any(|told| told == line))
        });
    }

    /// Host pids of a running container's processes, by its cgroup; the oldest first.
    pub(crate) fn pids(&self, pod: &str, container: &str) -> Vec<i32> {
        let json = self.run(&["get", "pod", pod, "-o", "json"]).stdout;
        let object: serde_json::Value = serde_json::from_str(&json).unwrap_or_default();
        let Some(uid) = object["metadata"]["uid"].as_str() else { return Vec::new() };
        let end = format!("/droppod/{}/pods/{uid}/{container}", self.instance());
        let mut pids: Vec<i32> = processes()
            .into_iter()
            .filter(|(_, cgroup)| cgroup.ends_with(&end))
            .map(|(pid, _)| pid)
            .collect();
        // Pids are used again from the start, so the least of them need not be the oldest.
        pids.sort_by_key(|pid| (started_at(*pid), *pid));
        pids
    }

    /// Processes of droppod that are pods of this bench.
    pub(crate) fn shims(&self) -> Vec<i32> {
        shims(&self.instance())
    }

    /// Those of each `up` of this bench.
    pub(crate) fn shims_of_ups(&self) -> Vec<i32> {
        let ups = self.path("r/up");
        census::list(&ups).iter().flat_map(|up| shims(&census::instance_of(&ups.join(up)))).collect()
    }

    fn instance(&self) -> String {
        instance_of(&self.root.join("r"))
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        // A failed test must not leave its pods to the next one.
        let ran = self.command(&["down", "--all"]).stdout(Stdio::null()).stderr(Stdio::null()).status();
        let end = format!("/droppod/{}/", self.instance());
        for (pid, cgroup) in processes() {
            if cgroup.contains(&end) && std::thread::panicking() {
                drop(Command::new("kill").args(["-9", &pid.to_string()]).status());
            }
        }
        drop(ran);
        drop(self.keeper.kill());
        drop(self.keeper.wait());
        drop(Command::new("umount").arg("-l").arg(self.root.join("r")).stderr(Stdio::null()).status());
        if !std::thread::panicking() {
            drop(fs::remove_dir_all(&self.root));
        }
    }
}

/// Also of a test that passes: of what it prints, the harness would keep quiet.
pub(crate) fn say(line: &str) {
    std::io::stderr().write_all(format!("{line}\n").as_bytes()).unwrap();
}

fn shims(instance: &str) -> Vec<i32> {
    let end = format!("/droppod/{instance}/shims");
    processes().into_iter().filter(|(_, cgroup)| cgroup.ends_with(&end)).map(|(pid, _)| pid).collect()
}
