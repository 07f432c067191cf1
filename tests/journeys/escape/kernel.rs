//! By what the kernel offers: cgroups, /proc, /sys, devices, mounts, namespaces.

use std::fs;
use std::os::unix::fs::MetadataExt;

use super::Prison;

#[test]
fn cve_2022_0492_release_agent() {
    let Some(prison) = Prison::new() else { return };
    let script = "mkdir -p /c; for o in memory rdma pids cpu; do /bin/busybox mount -t cgroup -o $o none /c 2>/dev/null \
                  && echo /bin/true > /c/release_agent && echo ESCAPED; done; \
                  /bin/busybox unshare -m /bin/busybox mount -t cgroup -o memory none /c 2>/dev/null && echo ESCAPED; \
                  for f in /sys/fs/cgroup/*/release_agent; do echo x 2>/dev/null > $f && echo ESCAPED; done";
    prison.attempt("", "", script);
}

#[test]
fn core_pattern_takes_no_program() {
    let Some(prison) = Prison::new() else { return };
    let before = fs::read_to_string("/proc/sys/kernel/core_pattern").unwrap();
    prison.attempt("", "", "(echo '|/bin/true' > /proc/sys/kernel/core_pattern) 2>/dev/null && echo ESCAPED");
    assert_eq!(fs::read_to_string("/proc/sys/kernel/core_pattern").unwrap(), before);
}

#[test]
fn kernel_helpers_are_not_to_be_set() {
    let Some(prison) = Prison::new() else { return };
    let script = "for f in /proc/sys/kernel/modprobe /proc/sys/kernel/hotplug /sys/kernel/uevent_helper \
                  /proc/sys/fs/binfmt_misc/register /proc/sys/vm/panic_on_oom /proc/sys/kernel/sysrq \
                  /proc/sys/kernel/yama/ptrace_scope /proc/sys/net/ipv4/ip_forward; do \
                  test -e $f || continue; (cat $f > /tmp/v; cat /tmp/v > $f) 2>/dev/null && echo ESCAPED by $f; done";
    prison.attempt("", "", script);
}

#[test]
fn sysrq_trigger_is_read_only() {
    let Some(prison) = Prison::new() else { return };
    prison.attempt("", "", "(echo h > /proc/sysrq-trigger) 2>/dev/null && echo ESCAPED");
}

#[test]
fn masked_paths_show_nothing() {
    let Some(prison) = Prison::new() else { return };
    let script = "for f in kcore keys timer_list timer_stats sched_debug latency_stats interrupts; do \
                  test -e /proc/$f && n=$(/bin/busybox head -c 1 /proc/$f 2>/dev/null | /bin/busybox wc -c) && \
                  test $n != 0 && echo ESCAPED by $f; done; \
                  for d in /proc/acpi /proc/scsi /proc/asound /sys/firmware /sys/devices/virtual/powercap; do \
                  test -n \"$(ls -A $d 2>/dev/null)\" && echo ESCAPED by $d; done; true";
    prison.attempt("", "", script);
}

#[test]
fn masks_and_read_only_paths_cannot_be_unmounted_or_remounted() {
    let Some(prison) = Prison::new() else { return };
    let script = "for p in /proc/kcore /proc/sys /proc/keys /sys/firmware /sys /proc; do \
                  /bin/busybox umount $p 2>/dev/null && echo ESCAPED by umount $p; \
                  /bin/busybox mount -o remount,rw,bind $p 2>/dev/null && echo ESCAPED by remount $p; done; \
                  /bin/busybox mount -t proc none /tmp 2>/dev/null && echo ESCAPED by mount; true";
    prison.attempt("", "", script);
}

/// Block devices that this machine has, `major minor`.
fn disks() -> Vec<String> {
    let table = fs::read_to_string("/proc/partitions").unwrap();
    let numbers = table.lines().skip(2).filter_map(|line| {
        let mut words = line.split_whitespace();
        Some(format!("{} {}", words.next()?, words.next()?))
    });
    let root = fs::metadata("/").unwrap().dev();
    numbers.chain([format!("{} {}", libc::major(root), libc::minor(root))]).collect()
}

#[test]
fn device_nodes_cannot_be_made() {
    let Some(prison) = Prison::new() else { return };
    let script: String = disks()
        .iter()
        .map(|numbers| {
            format!("/bin/busybox mknod /n b {numbers} 2>/dev/null && echo ESCAPED; rm -f /n 2>/dev/null; ")
        })
        .collect();
    prison.attempt("", "", &(script + "/bin/busybox mknod /m c 1 1 2>/dev/null && echo ESCAPED; true"));
}

#[test]
fn device_nodes_made_with_mknod_cannot_be_opened() {
    let Some(prison) = Prison::new() else { return };
    let open = |kind: &str, numbers: &str| {
        format!(
            "/bin/busybox mknod /n {kind} {numbers}; (/bin/busybox head -c 1 /n) >/dev/null 2>&1 && echo ESCAPED by {numbers}; \
             /bin/busybox rm -f /n; "
        )
    };
    let script: String = disks().iter().map(|numbers| open("b", numbers)).collect();
    let memory: String = ["1 1", "1 2", "1 11", "10 237"].iter().map(|numbers| open("c", numbers)).collect();
    let context = "    securityContext: {runAsUser: 0, capabilities: {add: [MKNOD]}}\n";
    prison.attempt("", context, &(script + &memory + "true"));
}

#[test]
fn no_device_of_the_host_is_there() {
    let Some(prison) = Prison::new() else { return };
    let out = prison.attempt("", "", "echo nodes $(ls /dev)");
    let nodes = out.lines().find_map(|line| line.split_once("nodes ")).unwrap().1.to_owned();
    let usual = [
        // A link to what is masked, where the kernel has it.
        "kcore",
        "fd",
        "full",
        "mqueue",
        "null",
        "ptmx",
        "pts",
        "random",
        "shm",
        "stderr",
        "stdin",
        "stdout",
        "termination-log",
        "tty",
        "urandom",
        "zero",
        "console",
    ];
    for node in nodes.split_whitespace() {
        assert!(usual.contains(&node), "{node} in {nodes}");
    }
}

#[test]
fn a_user_namespace_gives_no_power_over_the_host() {
    let Some(prison) = Prison::new() else { return };
    let script = "/bin/busybox unshare -U -r -m /bin/busybox sh -c 'echo x > /proc/sys/kernel/core_pattern && echo ESCAPED; \
                  mount -t cgroup -o memory none /tmp && echo ESCAPED; mknod /tmp/n b 8 0 && echo ESCAPED; \
                  umount /proc/kcore && echo ESCAPED; umount /sys/firmware && echo ESCAPED' 2>/dev/null; true";
    prison.attempt("", "", script);
}

#[test]
fn mounts_of_a_container_stay_in_it() {
    let Some(prison) = Prison::new() else { return };
    let context = "    securityContext: {runAsUser: 0, privileged: true}\n    \
                   volumeMounts: [{name: host, mountPath: /host}]\n";
    let spec = format!("  volumes: [{{name: host, hostPath: {{path: {}}}}}]\n", prison.outside().display());
    let before = fs::read_to_string("/proc/self/mountinfo").unwrap().lines().count();
    let script = "/bin/busybox mount -t tmpfs none /host && echo mounted && touch /host/inner";
    let out = prison.attempt(&spec, context, script);
    assert!(out.contains("mounted"), "{out}");
    assert!(!prison.outside().join("inner").exists());
    let after = fs::read_to_string("/proc/self/mountinfo").unwrap();
    assert!(!after.contains(prison.outside().to_str().unwrap()), "{before}: {after}");
}

#[test]
fn cve_2020_15257_no_abstract_socket_listens() {
    let Some(prison) = Prison::new() else { return };
    let out = prison.attempt("  hostNetwork: true\n", "", "cat /proc/net/unix");
    let ours = out.lines().filter(|line| line.contains('@') && line.contains("droppod")).count();
    assert_eq!(ours, 0, "{out}");
}
