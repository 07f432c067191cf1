use std::io::Read;
use std::os::fd::AsRawFd;

use rustix::event::{PollFd, PollFlags};
use rustix::fs::{Gid, Uid, XattrFlags};
use rustix::process::{Pid, WaitOptions};

use super::*;

/// `None`, and a line that says so, without root.
fn sealed(path: &str) -> Option<SealedBinary> {
    if !rustix::process::geteuid().is_root() {
        println!("skipped: needs root");
        return None;
    }
    Some(SealedBinary::of(File::open(path).unwrap()).unwrap())
}

/// Runs a shell as a sealed binary and gives what it printed and how it ended.
fn run(script: &str, handed: &[BorrowedFd<'_>]) -> Option<(String, i32)> {
    let shell = sealed("/bin/sh")?;
    let (mut output, write) = io::pipe().unwrap();
    let args = [OsStr::new("-c"), OsStr::new(script)];
    let child = shell.start(&args, write.as_fd(), handed).unwrap();
    drop(write);
    let mut text = String::new();
    output.read_to_string(&mut text).unwrap();

    let mut ended = [PollFd::new(&child.pidfd, PollFlags::IN)];
    assert_eq!(poll(&mut ended, None).unwrap(), 1);
    let (_, status) =
        rustix::process::waitpid(Pid::from_raw(child.pid), WaitOptions::empty()).unwrap().unwrap();
    Some((text, status.exit_status().unwrap()))
}

#[test]
fn a_child_has_what_it_is_handed_and_nothing_else() {
    let (lock, line) = (File::open("/proc/self/stat").unwrap(), File::open("/proc/self/comm").unwrap());
    let stray = File::open("/proc/self/status").unwrap();
    rustix::io::fcntl_setfd(&stray, rustix::io::FdFlags::empty()).unwrap();

    let Some((text, code)) = run("ls -l /proc/$$/fd; exit 7", &[line.as_fd(), lock.as_fd()]) else {
        return;
    };
    let own = std::process::id();
    let open: Vec<(&str, &str)> = text
        .lines()
        .filter_map(|line| line.split_once(" -> "))
        .map(|(before, target)| (before.rsplit(' ').next().unwrap(), target))
        .collect();
    assert_eq!(open[0], ("0", "/dev/null"));
    assert!(open[1].1.starts_with("pipe:") && open[1].1 == open[2].1, "{text}");
    let (comm, stat) = (format!("/proc/{own}/comm"), format!("/proc/{own}/stat"));
    assert_eq!(open[3..], [("3", comm.as_str()), ("4", stat.as_str())]);
    assert_eq!(code, 7);
}

#[test]
fn a_child_leads_a_session_without_environment_or_blocked_signals() {
    let script = "tr '\\0' '\\n' < /proc/$$/environ; pwd; \
        while read name value; do case $name in Sig[BIC]*) echo $name $value;; esac; done < /proc/$$/status; \
        set -- $(cat /proc/$$/stat); [ $6 = $$ ] && echo leader";
    let Some((text, _)) = run(script, &[]) else { return };
    let none = "0000000000000000";
    let expected = format!("/\nSigBlk: {none}\nSigIgn: {none}\nSigCgt: ");
    assert!(text.starts_with(&expected) && text.ends_with("leader\n"), "{text}");
}

#[test]
fn a_file_that_is_no_program_is_told_by_the_caller_and_leaves_no_child() {
    let Some(text) = sealed("/proc/self/status") else { return };
    let error = text.start(&[], std::io::stderr().as_fd(), &[]).unwrap_err();
    assert_eq!(error.to_string(), "cannot start a process of this binary");
}

#[test]
fn a_file_that_is_no_program_is_told_to_who_waits_for_nothing() {
    let Some(text) = sealed("/proc/self/status") else { return };
    let (mut told, verdict) = io::pipe().unwrap();
    let child = text.begin_in(None, &[], std::io::stderr().as_fd(), &[], verdict.as_fd()).unwrap();
    drop(verdict);
    let mut words = Vec::new();
    told.read_to_end(&mut words).unwrap();
    let expected = "cannot execute droppod itself: Exec format error (os error 8)";
    assert_eq!(crate::sandbox::sys::birth::said(&words), expected);
    rustix::process::waitpid(Pid::from_raw(child.pid), WaitOptions::empty()).unwrap();
}

#[test]
fn neither_what_the_copy_holds_nor_who_may_run_it_can_be_changed() {
    let Some(copy) = sealed("/proc/self/exe") else { return };
    let path = format!("/proc/self/fd/{}", copy.0.as_raw_fd());
    let open = |flags| rustix::fs::open(&path, flags, Mode::empty()).map(drop);
    assert_eq!(open(OFlags::WRONLY), Err(Errno::ROFS));
    assert_eq!(open(OFlags::RDWR | OFlags::TRUNC), Err(Errno::ROFS));
    assert_eq!(rustix::fs::fchmod(&copy.0, Mode::empty()), Err(Errno::ROFS));
    assert_eq!(rustix::fs::chmod(&path, Mode::empty()), Err(Errno::ROFS));
    assert_eq!(rustix::fs::chown(&path, Some(Uid::from_raw(1)), Some(Gid::from_raw(1))), Err(Errno::ROFS));
    for name in ["system.posix_acl_access", "security.capability", "trusted.x"] {
        assert_eq!(rustix::fs::setxattr(&path, name, b"x", XattrFlags::empty()), Err(Errno::ROFS), "{name}");
    }
}
