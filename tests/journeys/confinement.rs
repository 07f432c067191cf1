//! What a container may do at the kernel, seen by a probe that runs inside, and compared with committed tables.
//! `DROPPOD_BLESS=1` writes the tables anew: read the difference before committing it, and leave in what this machine has
//! not and others have.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::bench::{Bench, say};

mod entering;

/// Where the tables and the probe's source lie.
fn home() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/confinement")
}

/// A bench with the probe in it; none where there is no C compiler or another machine than that of the tables.
fn bench() -> Option<Bench> {
    if cfg!(not(target_arch = "x86_64")) {
        say("skipped: the tables are those of x86_64");
        return None;
    }
    let bench = Bench::new()?;
    let compiled = Command::new("cc")
        .args(["-O1", "-static", "-o"])
        .arg(bench.path("probe"))
        .arg(home().join("probe.c"))
        .status();
    if !compiled.is_ok_and(|status| status.success()) {
        say("skipped: `cc -static` does not work here");
        return None;
    }
    Some(bench)
}

/// A pod whose one container runs the probe, with a line of `securityContext`.
fn pod(bench: &Bench, name: &str, context: &str, command: &str) -> String {
    format!(
        "apiVersion: v1\nkind: Pod\nmetadata: {{name: {name}}}\nspec:\n  restartPolicy: Never\n  \
         terminationGracePeriodSeconds: 1\n  volumes: [{{name: probe, hostPath: {{path: {}}}}}]\n  containers:\n  \
         - name: main\n    image: droppod.local/host\n    command: {command}\n    \
         securityContext: {context}\n    volumeMounts: [{{name: probe, mountPath: /probe, readOnly: true}}]\n",
        bench.path("probe").display()
    )
}

/// What the probe said in such a container.
fn probed(bench: &Bench, context: &str) -> String {
    probed_by(bench, &pod(bench, "probe", context, "[/probe]"))
}

fn probed_by(bench: &Bench, manifest: &str) -> String {
    bench.manifest("probe.yaml", manifest);
    let ran = bench.run(&["up", "-f", bench.folder().to_str().unwrap()]).exits(0);
    bench.until_clean();
    let lines = ran.stdout.lines().filter_map(|line| line.split_once(" | "));
    lines.map(|(_, line)| format!("{line}\n")).collect()
}

/// What the probe says of calls and paths outside of any container: what this kernel itself has not.
fn outside(bench: &Bench) -> String {
    let part = |part: &str| {
        // Without a terminal that a call could hang up.
        let ran = Command::new("setsid").arg("--wait").arg(bench.path("probe")).arg(part).output().unwrap();
        String::from_utf8(ran.stdout).unwrap()
    };
    part("calls") + &part("paths")
}

/// The committed table, which is that of a kernel and a machine that have everything, as this one can bear it out: a
/// path, a device or a capability that it does not have is absent, a call that it does not have may say so.
fn on_this_kernel(expected: &str, found: &str, outside: &str) -> String {
    let lines = expected.lines().filter_map(|line| {
        let Some((what, outcome)) = line.split_once(": ") else { return Some(format!("{line}\n")) };
        let here = line_of(outside, what);
        let outcome = match what.split_once(' ') {
            // Older kernels take this capability for that of reading the kernel's log.
            Some(("call", "syslog"))
                if has_sys_admin(found) && line_of(found, what).starts_with("through") =>
            {
                line_of(found, what).to_owned()
            }
            Some(("call", name)) => call_here(name, outcome, line_of(found, what), here),
            // The program of version 2 is asked before a node is made, not only when it is opened.
            Some(("device", _)) if outcome == "refused" && line_of(found, what) == "cannot be made" => {
                "cannot be made".to_owned()
            }
            Some(("path", _)) if here == "absent or masked" => here.to_owned(),
            Some(("node", path)) if outcome == "there" && !Path::new(path).exists() => return None,
            Some(("status", "CapPrm" | "CapEff" | "CapBnd")) => capabilities_here(outcome),
            Some(_) | None => outcome.to_owned(),
        };
        Some(format!("{what}: {outcome}\n"))
    });
    lines.collect()
}

/// What a table says of a thing; nothing if it is not in it.
fn line_of<'t>(table: &'t str, what: &str) -> &'t str {
    table.lines().find_map(|line| line.strip_prefix(what)?.strip_prefix(": ")).unwrap_or_default()
}

/// Whether a line of a table tells of a call that 32-bit programs make, and this kernel has no such calls.
fn lacks_i386(line: &str, outside: &str) -> bool {
    let of_call = line.strip_prefix("call ").and_then(|line| line.split_once(": "));
    of_call.is_some_and(|(name, outcome)| {
        outcome.contains(" i386 ") && !line_of(outside, &format!("call {name}")).contains(" i386 ")
    })
}

fn call_here(name: &str, expected: &str, found: &str, here: &str) -> String {
    let mut words: Vec<&str> = expected.split(' ').collect();
    if let Some(at) = words.iter().position(|word| *word == "i386")
        && !here.contains(" i386 ")
    {
        words.drain(at..at + 2);
    }
    let found = found.split(' ').chain(std::iter::repeat(""));
    let here = here.split(' ').chain(std::iter::repeat(""));
    for ((word, found), here) in words.iter_mut().zip(found).zip(here) {
        // Whether its privilege or its arguments are looked at first has changed over the kernels.
        let asks_first = name == "open_by_handle_at" && found == "EPERM" && *word == "through";
        if found == "ENOSYS" && here == "ENOSYS" || asks_first {
            *word = found;
        }
    }
    words.join(" ")
}

fn has_sys_admin(found: &str) -> bool {
    u64::from_str_radix(line_of(found, "status CapEff"), 16).is_ok_and(|set| set & 1 << 21 != 0)
}

fn capabilities_here(expected: &str) -> String {
    let own = fs::read_to_string("/proc/self/status").unwrap();
    let own = own.lines().find_map(|line| line.strip_prefix("CapPrm:\t")).unwrap();
    let both = u64::from_str_radix(expected, 16).unwrap() & u64::from_str_radix(own, 16).unwrap();
    format!("{both:016x}")
}

#[track_caller]
fn compare(bench: &Bench, name: &str, found: &str) {
    let path = home().join(format!("{name}.txt"));
    if std::env::var_os("DROPPOD_BLESS").is_some() {
        fs::write(&path, found).unwrap();
        return;
    }
    let expected = fs::read_to_string(&path).unwrap_or_default();
    let outside = outside(bench);
    let without = expected.lines().filter(|line| lacks_i386(line, &outside)).count();
    if without > 0 {
        say(&format!(
            "skipped: {without} calls as 32-bit programs make them, which this kernel does not run"
        ));
    }
    let expected = on_this_kernel(&expected, found, &outside);
    let differing: Vec<String> = diff(&expected, found);
    assert!(differing.is_empty(), "{}:\n{}", path.display(), differing.join("\n"));
}

/// Lines of one and not of the other.
fn diff(expected: &str, found: &str) -> Vec<String> {
    let without = |these: &str, those: &str, mark: &str| -> Vec<String> {
        let missing = these.lines().filter(|line| !those.lines().any(|other| other == *line));
        missing.map(|line| format!("{mark} {line}")).collect()
    };
    [without(expected, found, "-"), without(found, expected, "+")].concat()
}

const RESTRICTED: &str = "{allowPrivilegeEscalation: false, runAsUser: 1000, runAsGroup: 1000, \
                          capabilities: {drop: [ALL]}, readOnlyRootFilesystem: true, \
                          seccompProfile: {type: RuntimeDefault}}";
const SYS_ADMIN: &str = "{capabilities: {add: [SYS_ADMIN, MKNOD]}}";
const LOCALHOST: &str = "{seccompProfile: {type: Localhost, localhostProfile: team/own.json}}";

/// A name, what its container asks for, the table of what it may do: for all that is run in a container later.
const LATER: [(&str, &str, &str); 8] = [
    ("plain", "{}", "default"),
    ("user", "{runAsUser: 1000, runAsGroup: 1000}", "user"),
    ("tight", "{allowPrivilegeEscalation: false}", "no-escalation"),
    ("mighty", "{privileged: true}", "privileged"),
    ("meek", RESTRICTED, "restricted"),
    ("admin", SYS_ADMIN, "sys-admin"),
    ("open", "{seccompProfile: {type: Unconfined}}", "unconfined"),
    ("own", LOCALHOST, "localhost"),
];

#[test]
fn a_container_that_asks_for_nothing_is_confined_by_default() {
    let Some(bench) = bench() else { return };
    compare(&bench, "default", &probed(&bench, "{}"));
}

#[test]
fn a_privileged_container_may_do_everything() {
    let Some(bench) = bench() else { return };
    compare(&bench, "privileged", &probed(&bench, "{privileged: true}"));
}

#[test]
fn each_protection_that_is_asked_for_is_given() {
    let Some(bench) = bench() else { return };
    compare(&bench, "restricted", &probed(&bench, RESTRICTED));
    compare(&bench, "no-escalation", &probed(&bench, "{allowPrivilegeEscalation: false}"));
    compare(&bench, "user", &probed(&bench, "{runAsUser: 1000, runAsGroup: 1000}"));
    compare(&bench, "unconfined", &probed(&bench, "{seccompProfile: {type: Unconfined}}"));
    compare(&bench, "sys-admin", &probed(&bench, SYS_ADMIN));
}

const OWN_PROFILE: &str = r#"{
    "defaultAction": "SCMP_ACT_ALLOW",
    "architectures": ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86"],
    "syscalls": [{"names": ["getpid", "mount"], "action": "SCMP_ACT_ERRNO", "errnoRet": 38}]
}"#;

/// Puts the profile where droppod looks for it, and tells the folder.
fn own_profile(bench: &Bench) -> PathBuf {
    let folder = bench.path("s/seccomp/team");
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join("own.json"), OWN_PROFILE).unwrap();
    folder
}

#[test]
fn a_profile_of_ones_own_is_kept_and_one_that_is_missing_stops_the_container() {
    let Some(bench) = bench() else { return };
    let folder = own_profile(&bench);
    compare(&bench, "localhost", &probed(&bench, LOCALHOST));

    let _watcher = bench.watch();
    let missing = "{seccompProfile: {type: Localhost, localhostProfile: team/none.json}}";
    bench.manifest("probe.yaml", &pod(&bench, "missing", missing, "[/probe]"));
    bench.until_status("missing", "ContainerCannotRun");
    bench.run(&["get", "pod", "missing", "-o", "yaml"]).says("cannot read seccomp profile");
    std::os::unix::fs::symlink("/etc/passwd", folder.join("out.json")).unwrap();
    let escaping = "{seccompProfile: {type: Localhost, localhostProfile: team/out.json}}";
    bench.manifest("probe.yaml", &pod(&bench, "escaping", escaping, "[/probe]"));
    bench.until_status("escaping", "ContainerCannotRun");
    bench.remove("probe.yaml").until_clean();
}

/// The pids limit of the pod's cgroup, above that of its container.
fn pids_limit(bench: &Bench, pod: &str) -> String {
    let container = bench.pids(pod, "main")[0];
    let cgroups = fs::read_to_string(format!("/proc/{container}/cgroup")).unwrap();
    let of =
        |hierarchy: &str| cgroups.lines().find_map(|line| line.split_once(hierarchy)).map(|(_, path)| path);
    let (mounted, path) = match of(":pids:") {
        Some(path) => (Path::new("/sys/fs/cgroup/pids"), path),
        None => (Path::new("/sys/fs/cgroup"), of("0::").unwrap()),
    };
    let pod = mounted.join(path.trim_start_matches('/')).parent().unwrap().to_owned();
    fs::read_to_string(pod.join("pids.max")).unwrap().trim().to_owned()
}

/// What the README says of droppod in a row of its table.
pub(crate) fn posture(row: &str) -> String {
    let readme = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md")).unwrap();
    let mut cells = readme.lines().map(|line| line.split('|').map(str::trim));
    let mut found =
        cells.find(|cells| cells.clone().nth(1) == Some(row)).unwrap_or_else(|| panic!("no row {row}"));
    found.nth(2).unwrap_or_default().to_owned()
}

const MASKED: [&str; 13] = [
    "/proc/acpi",
    "/proc/asound",
    "/proc/interrupts",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/sched_debug",
    "/proc/scsi",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/sys/devices/system/cpu/cpu0/thermal_throttle",
    "/sys/devices/virtual/powercap",
    "/sys/firmware",
];
const READ_ONLY: [&str; 7] =
    ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger", "/sys", "/sys/fs/cgroup"];
/// That nobody is given, CAP_MKNOD or not.
const DEVICES: [&str; 8] = ["mem", "kmsg", "loop-control", "tun", "fuse", "loop0", "sda", "nvme"];

#[test]
fn the_readme_tells_the_default_posture_as_the_probe_saw_it() {
    let table = |name: &str| fs::read_to_string(home().join(name)).unwrap();
    let (default, capable, unconfined) =
        (table("default.txt"), table("sys-admin.txt"), table("unconfined.txt"));
    let in_table = |table: &str, what: &str| -> String {
        let prefix = format!("{what}: ");
        table.lines().find_map(|line| line.strip_prefix(&prefix)).unwrap_or("not in the table").to_owned()
    };
    let seen = |what: &str| in_table(&default, what);
    let capabilities = |set: &str| u64::from_str_radix(&seen(set), 16).unwrap().count_ones();
    let all = |paths: &[&str], how: &str| paths.iter().all(|path| seen(&format!("path {path}")) == how);
    let or = |holds: bool, then: &str| if holds { then.to_owned() } else { "otherwise".to_owned() };

    let denies = seen("status Seccomp") == "2" && seen("call keyctl") == "EPERM i386 EPERM x32 ENOSYS";
    assert_eq!(posture("seccomp"), or(denies, "on, deny by default"));
    assert_eq!(posture("no_new_privs"), or(seen("status NoNewPrivs") == "0", "off"));
    assert_eq!(posture("capabilities"), capabilities("status CapBnd").to_string());
    let handed_on = capabilities("status CapInh") + capabilities("status CapAmb");
    assert_eq!(posture("inheritable, ambient capabilities"), or(handed_on == 0, "none"));
    let masked = all(&MASKED, "absent or masked");
    assert_eq!(posture("masked kernel paths"), or(masked, "yes, verified"));
    let read_only = all(&READ_ONLY, "read-only");
    assert_eq!(posture("read-only kernel paths"), or(read_only, "yes, verified"));
    let usual = in_table(&capable, "device null") == "allowed"
        && DEVICES.iter().all(|device| in_table(&capable, &format!("device {device}")) == "refused");
    assert_eq!(posture("devices"), or(usual, "the usual nodes"));
    let closed = ["AF_ALG", "AF_VSOCK"].iter().all(|family| {
        seen(&format!("call socket({family})")) == "EPERM i386 EPERM x32 ENOSYS"
            && seen(&format!("call socketcall(socket({family}))")) == "none i386 ENOSYS"
    });
    let open = seen("call socket(AF_INET)") == "through i386 through x32 ENOSYS";
    assert_eq!(posture("sockets of AF_ALG, AF_VSOCK"), or(closed && open, "refused"));
    let own = seen("own cgroup") == "the root" && all(&["/sys/fs/cgroup"], "read-only");
    assert_eq!(posture("control groups seen"), or(own, "its own, read-only"));
    let keyring = in_table(&unconfined, "session keyring") == "_ses";
    assert_eq!(posture("session keyring"), or(keyring, "of its own"));
    assert_eq!(posture("user namespace"), seen("user namespace"));
    assert_eq!(posture("root file system"), seen("place /"));
}
