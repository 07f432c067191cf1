//! What a container may do at the kernel, seen by a probe that runs inside, and compared with committed tables.
//! `DROPPOD_BLESS=1` writes the tables anew: read the difference before committing it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::bench::{Bench, say};

/// Where the tables and the probe's source lie.
fn home() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/confinement")
}

/// A bench with the probe in it; none where there is no C compiler or another kernel interface than that of the tables.
fn bench() -> Option<Bench> {
    if !Path::new("/sys/fs/cgroup/pids").exists() || cfg!(not(target_arch = "x86_64")) {
        say("skipped: the tables are those of x86_64 and control groups of version 1");
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
    bench.manifest("probe.yaml", &pod(bench, "probe", context, "[/probe]"));
    let ran = bench.run(&["up", "-f", bench.folder().to_str().unwrap()]).exits(0);
    bench.until_clean();
    let lines = ran.stdout.lines().filter_map(|line| line.split_once(" | "));
    lines.map(|(_, line)| format!("{line}\n")).collect()
}

#[track_caller]
fn compare(name: &str, found: &str) {
    let path = home().join(format!("{name}.txt"));
    if std::env::var_os("DROPPOD_BLESS").is_some() {
        fs::write(&path, found).unwrap();
        return;
    }
    let expected = fs::read_to_string(&path).unwrap_or_default();
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

#[test]
fn a_container_that_asks_for_nothing_is_confined_by_default() {
    let Some(bench) = bench() else { return };
    compare("default", &probed(&bench, "{}"));
}

#[test]
fn a_privileged_container_may_do_everything() {
    let Some(bench) = bench() else { return };
    compare("privileged", &probed(&bench, "{privileged: true}"));
}

#[test]
fn each_protection_that_is_asked_for_is_given() {
    let Some(bench) = bench() else { return };
    let restricted = "{allowPrivilegeEscalation: false, runAsUser: 1000, runAsGroup: 1000, \
                      capabilities: {drop: [ALL]}, readOnlyRootFilesystem: true, \
                      seccompProfile: {type: RuntimeDefault}}";
    compare("restricted", &probed(&bench, restricted));
    compare("no-escalation", &probed(&bench, "{allowPrivilegeEscalation: false}"));
    compare("user", &probed(&bench, "{runAsUser: 1000, runAsGroup: 1000}"));
    compare("unconfined", &probed(&bench, "{seccompProfile: {type: Unconfined}}"));
    compare("sys-admin", &probed(&bench, "{capabilities: {add: [SYS_ADMIN, MKNOD]}}"));
}

const OWN_PROFILE: &str = r#"{
    "defaultAction": "SCMP_ACT_ALLOW",
    "architectures": ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86"],
    "syscalls": [{"names": ["getpid", "mount"], "action": "SCMP_ACT_ERRNO", "errnoRet": 38}]
}"#;

#[test]
fn a_profile_of_ones_own_is_kept_and_one_that_is_missing_stops_the_container() {
    let Some(bench) = bench() else { return };
    let folder = bench.path("s/seccomp/team");
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join("own.json"), OWN_PROFILE).unwrap();
    compare(
        "localhost",
        &probed(&bench, "{seccompProfile: {type: Localhost, localhostProfile: team/own.json}}"),
    );

    let _watcher = bench.watch();
    let missing = "{seccompProfile: {type: Localhost, localhostProfile: team/none.json}}";
    bench.manifest("probe.yaml", &pod(&bench, "missing", missing, "[/probe]"));
    bench.until_status("missing", "CreateContainerError");
    bench.run(&["get", "pod", "missing", "-o", "yaml"]).says("cannot read seccomp profile");
    std::os::unix::fs::symlink("/etc/passwd", folder.join("out.json")).unwrap();
    let escaping = "{seccompProfile: {type: Localhost, localhostProfile: team/out.json}}";
    bench.manifest("probe.yaml", &pod(&bench, "escaping", escaping, "[/probe]"));
    bench.until_status("escaping", "CreateContainerError");
    bench.remove("probe.yaml").until_clean();
}

#[test]
fn what_is_executed_in_a_container_is_confined_as_the_container_is() {
    let Some(bench) = bench() else { return };
    let _watcher = bench.watch();
    for (name, context, table) in [
        ("plain", "{}", "default"),
        ("user", "{runAsUser: 1000, runAsGroup: 1000}", "user"),
        ("tight", "{allowPrivilegeEscalation: false}", "no-escalation"),
    ] {
        bench.manifest("probe.yaml", &pod(&bench, name, context, "[sleep, infinity]"));
        bench.until_status(name, "Running");
        let found = bench.run(&["exec", name, "--", "/probe"]).exits(0).stdout;
        compare(table, &found);
    }
    bench.remove("probe.yaml").until_clean();
}
