//! By volumes: links swapped in while they are mounted, and files of ours that a container can write to.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::fs::{CWD, RenameFlags, renameat_with};

use super::{Prison, SECRET};

/// Why a part of a volume is not mounted that is a link at that moment.
const LEADS_OUT: &str = "its subPath leads out of the volume";

/// Exchanges a directory and a link that leads outside, as fast as it can, while `during` runs.
fn while_swapping(volume: &Path, outside: &Path, during: impl FnOnce()) {
    let (one, other) = (volume.join("sub"), volume.join("other"));
    fs::create_dir_all(&one).unwrap();
    fs::write(one.join("inner"), "inner").unwrap();
    symlink(outside, &other).unwrap();
    while_exchanging(&one, &other, during);
}

fn while_exchanging(one: &Path, other: &Path, during: impl FnOnce()) {
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !over.load(Ordering::Relaxed) {
                renameat_with(CWD, one, CWD, other, RenameFlags::EXCHANGE).unwrap();
                // On few processors what races with it is to come to its turn.
                std::thread::yield_now();
            }
        });
        let _over = Over(&over);
        during();
    });
}

/// Ends the swapping also where what goes on meanwhile fails.
struct Over<'a>(&'a AtomicBool);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[test]
fn cve_2021_25741_a_sub_path_swapped_for_a_link_stays_inside() {
    let Some(prison) = Prison::new() else { return };
    let volume = prison.bench.path("volume");
    let spec = format!("  volumes: [{{name: a, hostPath: {{path: {}}}}}]\n", volume.display());
    let container = "    volumeMounts: [{name: a, mountPath: /sub, subPath: sub}]\n    \
                     securityContext: {runAsUser: 0}\n";
    let script = "cat /sub/secret 2>/dev/null && echo ESCAPED; touch /sub/made";
    while_swapping(&volume, &prison.outside(), || {
        let ended = prison.race(&spec, container, script, 100, &[LEADS_OUT]);
        assert!(ended > 0, "none was started");
    });
}

#[test]
fn cve_2021_30465_a_mount_inside_a_volume_swapped_for_a_link_stays_inside() {
    let Some(prison) = Prison::new() else { return };
    let volume = prison.bench.path("volume");
    let spec = format!(
        "  volumes: [{{name: a, hostPath: {{path: {}}}}}, {{name: b, emptyDir: {{}}}}]\n",
        volume.display()
    );
    let container = "    volumeMounts: [{name: a, mountPath: /v}, {name: b, mountPath: /v/sub}]\n    \
                     securityContext: {runAsUser: 0}\n";
    let script = "touch /v/sub/made; test -e /v/sub/secret && echo ESCAPED";
    while_swapping(&volume, &prison.outside(), || {
        let refusal = "failed to mount Mount { destination: \"/v/sub\"";
        let ended = prison.race(&spec, container, script, 80, &[refusal]);
        assert!(ended > 0, "none was started");
    });
}

/// What masks kernel paths, and what a terminal is put on, come from the container's `/dev`.
#[test]
fn cve_2025_31133_and_52565_a_device_swapped_for_a_link_unmasks_nothing() {
    let Some(prison) = Prison::new() else { return };
    let volume = prison.bench.path("volume");
    fs::create_dir(&volume).unwrap();
    let (plain, link) = (volume.join("sub"), volume.join("other"));
    fs::write(&plain, "").unwrap();
    symlink("/proc/sys/kernel/core_pattern", &link).unwrap();
    let script = "for f in /proc/kcore /proc/keys /proc/timer_list; do \
                  [ ! -e $f ] || [ -c $f ] || echo ESCAPED: $f is not masked; done; \
                  for f in /proc/sysrq-trigger /proc/sys/kernel/core_pattern; do \
                  (: >> $f) 2>/dev/null && echo ESCAPED: $f can be written; done; \
                  [ -c /dev/console ] || [ -z \"$(/bin/busybox head -c 1 /dev/console)\" ] || echo ESCAPED: console; true";
    let spec = format!("  volumes: [{{name: a, hostPath: {{path: {}}}}}]\n", volume.display());
    while_exchanging(&plain, &link, || {
        // Over `/dev/null` nothing can be put at all: the runtime makes it itself, and nothing may be there by then.
        let taken = "failed to mknod device err=Nix(EEXIST)";
        for (device, times, refusals) in
            [("null", 20, &[LEADS_OUT, taken][..]), ("console", 80, &[LEADS_OUT])]
        {
            let container = format!(
                "    tty: true\n    volumeMounts: [{{name: a, mountPath: /v}}, \
                 {{name: a, mountPath: /dev/{device}, subPath: sub}}]\n    \
                 securityContext: {{runAsUser: 0}}\n"
            );
            let ended = prison.race(&spec, &container, script, times, refusals);
            assert_eq!(ended > 0, device == "console", "{ended} were started");
        }
    });
}

#[test]
fn cve_2017_1002102_projected_files_cannot_be_written() {
    let Some(prison) = Prison::new() else { return };
    let spec = "  volumes: [{name: a, downwardAPI: {items: [{path: name, fieldRef: {fieldPath: metadata.name}}]}}]\n";
    let container = "    volumeMounts: [{name: a, mountPath: /a}]\n";
    let script = "ln -sfn $OUTSIDE /a/..data 2>/dev/null && echo ESCAPED; touch /a/x 2>/dev/null && echo ESCAPED; \
                  /bin/busybox rm -rf /a/..data 2>/dev/null; cat /a/name";
    let out = prison.attempt(spec, container, script);
    assert!(out.contains("| one"), "{out}");
}

#[test]
fn files_of_the_pod_are_not_replaced_by_a_container() {
    let Some(prison) = Prison::new() else { return };
    // Within its directory: from one file system to another, mv makes a copy, which anybody may who can read.
    let script = "for f in /etc/hosts /etc/resolv.conf /etc/hostname /dev/termination-log; do \
                  /bin/busybox rm -f $f 2>/dev/null && echo ESCAPED by rm $f; \
                  ln -sf $OUTSIDE/secret $f 2>/dev/null && echo ESCAPED by ln $f; \
                  /bin/busybox mv $f $f.moved 2>/dev/null && echo ESCAPED by mv $f; \
                  ln -s $OUTSIDE/secret $f.link && /bin/busybox mv $f.link $f 2>/dev/null && echo ESCAPED by mv over $f; \
                  grep -q \" $f \" /proc/self/mountinfo || echo ESCAPED from $f; done; \
                  echo what is read > /dev/termination-log";
    prison.attempt("", "", script);
    let status = prison.bench.read("one.status.yaml");
    assert!(status.contains("what is read"), "{status}");
}

#[test]
fn a_termination_message_is_cut_and_read_once() {
    let Some(prison) = Prison::new() else { return };
    let script = "/bin/busybox head -c 3000000 /dev/zero | /bin/busybox tr '\\\\0' a > /dev/termination-log";
    prison.attempt("", "", script);
    let status = prison.bench.read("one.status.yaml");
    assert!(status.len() < 16_000, "{} bytes of status", status.len());
}

#[test]
fn a_read_only_volume_is_not_written_through_another_mount() {
    let Some(prison) = Prison::new() else { return };
    let spec = format!("  volumes: [{{name: a, hostPath: {{path: {}}}}}]\n", prison.outside().display());
    let container = "    volumeMounts: [{name: a, mountPath: /a, readOnly: true}]\n";
    let script = "(echo x > /a/secret) 2>/dev/null && echo ESCAPED; \
                  /bin/busybox mount -o remount,rw,bind /a 2>/dev/null && echo ESCAPED; touch /a/x 2>/dev/null && echo ESCAPED; true";
    prison.attempt(&spec, container, script);
    assert_eq!(fs::read_to_string(prison.outside().join("secret")).unwrap(), SECRET);
}
