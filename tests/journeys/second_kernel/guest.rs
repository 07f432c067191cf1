//! A machine that is one program: this machine's files are its root, and this very test binary runs in it.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::Duration;

use super::kernel::{self, Kernel};
use super::{clock, cuts, disc, reboot};
use crate::bench::TEST_DIRECTORY;
use crate::kill::MANY;

/// Longest silence of a guest that is waited for.
const PATIENCE: Duration = Duration::from_secs(240);
/// Tells the test binary what it is to do in a guest.
const PART: &str = "DROPPOD_GUEST";
/// Before each line that a guest tells its test; all else on its console is for who reads of a failure.
const MARK: &str = "@ ";
/// Where a guest finds its disc.
pub(super) const DISC: &str = "/run/disc";
/// In which a guest finds the pipe that leads to its console. The pipe keeps the order of what is written to it, by
/// containers too.
pub(super) const VOICE: &str = "/run/voice";

pub(super) struct Guest {
    child: Child,
    lines: Receiver<String>,
    /// The whole console so far.
    console: String,
}

/// What a guest does after it has come up.
pub(super) enum Errand<'a> {
    /// Tests of this binary, by their names.
    Journeys(&'a [String]),
    /// A part of this binary that is for guests, and files that are its discs; the first is mounted.
    Part(&'a str, &'a [PathBuf]),
}

impl Guest {
    pub(super) fn boot(kernel: &Kernel, name: &str, errand: &Errand<'_>) -> Guest {
        let init = kernel::place().join(format!("{name}.sh"));
        fs::write(&init, init_script(kernel, errand)).unwrap();
        kernel::run(&["chmod", "755", init.to_str().unwrap()]);
        // In a PID namespace of its own, so that nothing of the guest outlives its first process, nor that its test.
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "KILL", "unshare", "--pid", "--fork", "--kill-child", "--"]);
        command.arg(&kernel.program).args([
            "mem=2G",
            "rootfstype=hostfs",
            "rootflags=/",
            "rw",
            "con=null",
            "con0=null,fd:1",
            "quiet",
            "loglevel=1",
        ]);
        command.arg(format!("init={}", init.display()));
        if let Errand::Part(_, discs) = errand {
            command.args(discs.iter().enumerate().map(|(n, disc)| format!("ubd{n}={}", disc.display())));
        }
        command.env("HOME", kernel::place()).stdin(Stdio::null()).stderr(Stdio::null());
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let lines = lines_of(child.stdout.take().unwrap());
        Guest { child, lines, console: String::new() }
    }

    /// Waits until it tells something that begins so.
    pub(super) fn until(&mut self, beginning: &str) -> Vec<String> {
        let mut told = Vec::new();
        loop {
            let Ok(line) = self.lines.recv_timeout(PATIENCE) else {
                panic!("the guest does not tell: {beginning}\n{}", self.console);
            };
            self.heard(&line, &mut told);
            if told.last().is_some_and(|line| line.starts_with(beginning)) {
                return told;
            }
        }
    }

    /// The power goes: nothing of it runs on. Gives what it told until then, and its console.
    pub(super) fn cut(mut self) -> (Vec<String>, String) {
        self.child.kill().unwrap();
        (self.rest(), std::mem::take(&mut self.console))
    }

    /// Waits for its end; gives what it told until then.
    pub(super) fn rest(&mut self) -> Vec<String> {
        let mut told = Vec::new();
        loop {
            match self.lines.recv_timeout(PATIENCE) {
                Ok(line) => self.heard(&line, &mut told),
                Err(RecvTimeoutError::Timeout) => panic!("the guest does not end\n{}", self.console),
                Err(RecvTimeoutError::Disconnected) => break,
            }
        }
        self.child.wait().unwrap();
        told
    }

    pub(super) fn console(&self) -> &str {
        &self.console
    }

    fn heard(&mut self, line: &str, told: &mut Vec<String>) {
        // The beginning of a line may be that of another.
        told.extend(line.split_once(MARK).map(|(_, told)| told.to_owned()));
        self.console.push_str(line);
        self.console.push('\n');
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// The parts of this binary that are for guests.
#[test]
#[ignore = "is for guests"]
fn a_part_for_guests() {
    match std::env::var(PART).as_deref() {
        Ok("power") => cuts::inside::work(),
        Ok("peace") => cuts::inside::peace(),
        Ok("first boot") => reboot::inside::first_boot(),
        Ok("second boot") => reboot::inside::second_boot(),
        Ok("third boot") => reboot::inside::third_boot(),
        Ok("disc") => disc::inside::bear(),
        Ok("clock") => clock::inside::set(),
        Ok(part) => panic!("no part {part}"),
        Err(_) => {}
    }
}

const IN_GUEST: &str = "second_kernel::guest::a_part_for_guests";

/// A line that has no end was cut off, and does not count. They end with the last process of the guest.
fn lines_of(console: impl Read + Send + 'static) -> Receiver<String> {
    let (send, receive) = channel();
    std::thread::spawn(move || {
        let mut console = BufReader::new(console);
        let mut line = Vec::new();
        while console.read_until(b'\n', &mut line).is_ok_and(|read| read > 0) && line.ends_with(b"\n") {
            let text = String::from_utf8_lossy(&line).replace(['\r', '\n'], "");
            if send.send(text).is_err() {
                return;
            }
            line.clear();
        }
    });
    receive
}

/// A file system of this many megabytes, empty.
pub(super) fn image(name: &str, megabytes: u64) -> PathBuf {
    let path = kernel::place().join(name);
    fs::File::create(&path).unwrap().set_len(megabytes << 20).unwrap();
    kernel::run(&["mkfs.ext4", "-q", "-F", path.to_str().unwrap()]);
    path
}

/// Process 1. `/tmp` stays the machine's own, where the binary may lie; journeys get a tmpfs.
fn init_script(kernel: &Kernel, errand: &Errand<'_>) -> String {
    let exe = std::env::current_exe().unwrap();
    let exe = exe.display();
    let modules: String = kernel.load_order().iter().map(|path| format!("busybox insmod {path}\n")).collect();
    let (lean, droppod) = (kernel::droppod().display(), env!("CARGO_BIN_EXE_droppod"));
    let errand = match errand {
        Errand::Journeys(journeys) => {
            format!(
                "NO_COLOR=1 {droppod} doctor\n{exe} --exact --nocapture --test-threads=2 {} 2>&1\n",
                journeys.join(" ")
            )
        }
        Errand::Part(part, _) => format!(
            "mkdir {DISC} {VOICE}\n\
             mkfifo -m 666 {VOICE}/pipe\n\
             cat <>{VOICE}/pipe &\n\
             mount -t ext4 /dev/ubda {DISC} || exit\n\
             export {PART}='{part}'\n\
             {exe} --ignored --exact --nocapture {IN_GUEST} 2>&1\n\
             umount -R {DISC}\n\
             sleep 0.5\n"
        ),
    };
    format!(
        "#!/bin/sh\n\
         export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root TERM=dumb\n\
         mount -t proc proc /proc\n\
         mount -t sysfs sysfs /sys\n\
         mountpoint -q /dev || mount -t devtmpfs dev /dev\n\
         mkdir -p /dev/pts /dev/shm /dev/mqueue\n\
         mount -t devpts devpts /dev/pts\n\
         mount -t tmpfs shm /dev/shm\n\
         mount -t mqueue mqueue /dev/mqueue\n\
         mount -t tmpfs run /run\n\
         mount -t cgroup2 cgroup2 /sys/fs/cgroup\n\
         hostname second-kernel\n\
         mount --bind {lean} {droppod}\n\
         {modules}\
         ip link set lo up\n\
         mkdir /run/t\n\
         export {TEST_DIRECTORY}=/run/t {MANY}=4\n\
         {errand}\
         echo o > /proc/sysrq-trigger\n\
         sleep 60\n"
    )
}
