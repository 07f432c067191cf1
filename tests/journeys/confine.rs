//! What a container may do is what its manifest says: seen from inside, in `/proc/self`.

use std::fs;
use std::os::fd::AsRawFd;
use std::process::Command;

use crate::bench::{Bench, unfolded};
use crate::image::made::Made;

mod hidden;

/// A pod of one container that runs a script on the host's own root.
fn pod(spec: &str, container: &str, script: &str) -> String {
    format!(
        "apiVersion: v1\nkind: Pod\nmetadata: {{name: one}}\nspec:\n  restartPolicy: Never\n  \
         terminationGracePeriodSeconds: 1\n{spec}  containers:\n  - name: main\n    image: droppod.local/host\n    \
         command: [bash, -c, {script:?}]\n{container}"
    )
}

fn up(bench: &Bench, manifest: &str) -> String {
    bench.manifest("one.yaml", manifest);
    let ran = bench.run(&["up", "-f", bench.folder().to_str().unwrap()]).exits(0);
    bench.until_clean();
    ran.stdout
}

/// Runs the script with these fields of the container's security context, and says what it wrote.
fn with_context(bench: &Bench, pod_context: &str, context: &str, script: &str) -> String {
    let spec = format!("  securityContext: {{{pod_context}}}\n");
    up(bench, &pod(&spec, &format!("    securityContext: {{{context}}}\n"), script))
}

#[track_caller]
fn has(out: &str, facts: &[&str]) {
    for fact in facts {
        assert!(out.contains(fact), "no {fact:?} in\n{out}");
    }
}

const STATUS: &str = "grep -E '^(Uid|Gid|Groups|CapEff|CapBnd|NoNewPrivs):' /proc/self/status | tr '\\t' ' '";

#[test]
fn users_and_groups_are_those_asked_for() {
    let Some(bench) = Bench::new() else { return };
    let pod_context = "runAsUser: 1234, runAsGroup: 2345, supplementalGroups: [3456], fsGroup: 4567, \
                       supplementalGroupsPolicy: Strict";
    let out = with_context(&bench, pod_context, "runAsUser: 1235", STATUS);
    has(
        &out,
        &[
            "Uid: 1235 1235 1235 1235",
            "Gid: 2345 2345 2345 2345",
            "Groups: 3456 4567",
            "CapEff: 0000000000000000",
        ],
    );
}

#[test]
fn volumes_belong_to_the_group_of_the_pod() {
    let Some(bench) = Bench::new() else { return };
    let spec = "  securityContext: {runAsUser: 1234, fsGroup: 4567}\n  volumes:\n  - {name: disk, emptyDir: {}}\n  \
                - {name: memory, emptyDir: {medium: Memory}}\n  \
                - {name: files, downwardAPI: {defaultMode: 0400, items: [{path: name, fieldRef: {fieldPath: metadata.name}}]}}\n";
    let container = "    volumeMounts:\n    - {name: disk, mountPath: /disk}\n    - {name: memory, mountPath: /memory}\n    \
                     - {name: files, mountPath: /files}\n    - {name: disk, mountPath: /part, subPath: a/b}\n";
    let script = "stat -c '%n %g %a' /disk /memory; touch /disk/new /memory/new /part/new && stat -c '%n %g' /disk/new; \
                  stat -Lc '%n %g %a' /files/name; cat /files/name; stat -c '%n %a' /disk/a/b";
    let out = up(&bench, &pod(spec, container, script));
    has(
        &out,
        &["/disk 4567 2777", "/memory 4567 2777", "/disk/new 4567", "/files/name 4567 440", "/disk/a/b 2777"],
    );
}

#[test]
fn capabilities_are_the_default_ones_less_what_is_dropped_with_what_is_added() {
    let Some(bench) = Bench::new() else { return };
    let cases = [
        ("", "CapBnd: 00000000800405fb"),
        ("capabilities: {drop: [ALL]}", "CapBnd: 0000000000000000"),
        ("capabilities: {drop: [ALL], add: [NET_BIND_SERVICE]}", "CapBnd: 0000000000000400"),
        ("capabilities: {drop: [CHOWN], add: [NET_RAW]}", "CapBnd: 00000000800425fa"),
    ];
    for (context, fact) in cases {
        has(&with_context(&bench, "", context, STATUS), &[fact, "NoNewPrivs: 0"]);
    }
    let out = with_context(&bench, "", "allowPrivilegeEscalation: false", STATUS);
    has(&out, &["NoNewPrivs: 1"]);
}

#[test]
fn a_privileged_container_has_what_this_machine_has() {
    let Some(bench) = Bench::new() else { return };
    let own = fs::read_to_string("/proc/self/status").unwrap();
    let own = own.lines().find_map(|line| line.strip_prefix("CapPrm:\t")).unwrap().to_owned();
    let script = format!(
        "{STATUS}; test -w /proc/sys/kernel/domainname && mount -t tmpfs none /mnt && echo mounted; \
                          ls /proc/acpi /sys/firmware | wc -l; findmnt -no OPTIONS /sys | cut -c1-2"
    );
    let out = with_context(&bench, "", "privileged: true", &script);
    has(&out, &[&format!("CapEff: {own}"), "mounted", "rw"]);
}

#[test]
fn a_read_only_root_takes_no_writing_and_volumes_do() {
    let Some(bench) = Bench::new() else { return };
    let container = "    securityContext: {readOnlyRootFilesystem: true}\n    \
                     volumeMounts: [{name: a, mountPath: /data}]\n";
    let script = "touch /usr/x 2>&1; touch /etc/hosts 2>&1; touch /data/x && echo data written; echo m > /dev/termination-log && echo told";
    let out = up(&bench, &pod("  volumes: [{name: a, emptyDir: {}}]\n", container, script));
    assert_eq!(out.matches("Read-only file system").count(), 2, "{out}");
    has(&out, &["data written", "told"]);
}

#[test]
fn a_container_that_must_not_be_root_is_not_started_as_root() {
    let Some(bench) = Bench::new() else { return };
    let watch = bench.watch();
    bench.manifest("one.yaml", &pod("  securityContext: {runAsNonRoot: true}\n", "", "id -u"));
    bench.until_status("one", "CreateContainerConfigError");
    let json = bench.run(&["get", "pod", "one", "-o", "json"]).stdout;
    has(&json, &["container has runAsNonRoot and image will run as root"]);
    bench.manifest(
        "one.yaml",
        &pod("  securityContext: {runAsNonRoot: true, runAsUser: 1000}\n", "", "id -u"),
    );
    bench.until_status("one", "Completed");
    bench.remove("one.yaml");
    bench.until_clean();
    assert_eq!(watch.stop(), 0);
}

#[test]
fn safe_sysctls_are_set_and_others_refused() {
    let Some(bench) = Bench::new() else { return };
    let sysctls = |name: &str, value: &str| {
        format!("  securityContext: {{sysctls: [{{name: {name}, value: '{value}'}}]}}\n")
    };
    let spec = sysctls("net.ipv4.ip_local_port_range", "40000 40100");
    has(&up(&bench, &pod(&spec, "", "cat /proc/sys/net/ipv4/ip_local_port_range")), &["40000\t40100"]);
    let before = fs::read_to_string("/proc/sys/kernel/core_pattern").unwrap();
    let watch = bench.watch();
    bench.manifest("one.yaml", &pod(&sysctls("kernel.core_pattern", "|/tmp/x"), "", "true"));
    bench.until_status("one", "SysctlForbidden");
    let json = bench.run(&["get", "pod", "one", "-o", "json"]).stdout;
    has(&json, &["forbidden sysctl: \\\"kernel.core_pattern\\\" not allowlisted"]);
    assert_eq!(fs::read_to_string("/proc/sys/kernel/core_pattern").unwrap(), before);
    bench.remove("one.yaml");
    bench.until_clean();
    assert_eq!(watch.stop(), 0);
}

#[test]
fn containers_share_one_process_namespace_where_asked_for() {
    let Some(bench) = Bench::new() else { return };
    let watch = bench.watch();
    let text = "apiVersion: v1\nkind: Pod\nmetadata: {name: shared}\nspec:\n  shareProcessNamespace: true\n  \
                terminationGracePeriodSeconds: 1\n  containers:\n  \
                - {name: a, image: droppod.local/host, command: [sleep, '4711']}\n  \
                - {name: b, image: droppod.local/host, command: [sleep, '4712']}\n";
    bench.manifest("shared.yaml", text);
    bench.until_status("shared", "Running");
    let inside = |script: &str| bench.run(&["exec", "shared", "-c", "b", "--", "bash", "-c", script]).stdout;
    let seen = inside("cat /proc/[0-9]*/cmdline | tr '\\0' ' '");
    has(&seen, &["droppod pause", "sleep 4711", "sleep 4712"]);
    assert_eq!(inside("tr '\\0' ' ' < /proc/1/cmdline"), "droppod pause ");
    // An orphan is reaped by pid 1: no zombie of it stays.
    inside("(sleep 0.01 &) ; true");
    bench.until("the orphan is reaped", || {
        inside("grep -h ^State /proc/[0-9]*/status").matches('Z').count() == 0
    });
    // Pid 1 gives nothing away, and cannot be ended.
    let out = inside(
        "ls /proc/1/root/ /proc/1/cwd/ 2>&1; cat /proc/1/environ 2>&1; ls -l /proc/1/fd 2>&1; \
                      kill -9 1; sleep 0.1; tr '\\0' ' ' < /proc/1/cmdline",
    );
    assert!(out.contains("Permission denied") && !out.contains("etc"), "{out}");
    has(&out, &["droppod pause"]);
    // A container that ends is started again in the same namespace, by its namesake's death alone.
    inside("kill -9 $(pgrep -f 'sleep 4711')");
    bench.until("it is started again", || {
        bench.column("shared", 3).starts_with('1') && inside("pgrep -f 'sleep 4711'").lines().count() == 1
    });
    bench.remove("shared.yaml");
    bench.until_clean();
    assert_eq!(watch.stop(), 0);
}

#[test]
fn host_namespaces_are_those_of_the_host() {
    let Some(bench) = Bench::new() else { return };
    let host = |name: &str| fs::read_link(format!("/proc/self/ns/{name}")).unwrap();
    let script = "readlink /proc/self/ns/pid /proc/self/ns/ipc /proc/self/ns/net";
    let joined = up(&bench, &pod("  hostPID: true\n  hostIPC: true\n  hostNetwork: true\n", "", script));
    has(&joined, &[host("pid").to_str().unwrap(), host("ipc").to_str().unwrap()]);
    let network = bench.network();
    let network = fs::read_link(format!("/proc/self/fd/{}", network.as_raw_fd())).unwrap();
    has(&joined, &[network.to_str().unwrap()]);
    let apart = up(&bench, &pod("", "", script));
    for shared in [host("pid"), host("ipc"), network] {
        assert!(!apart.contains(shared.to_str().unwrap()), "{shared:?}: {apart}");
    }
}

#[test]
fn pod_security_keeps_the_last_good_and_says_why() {
    let Some(bench) = Bench::new() else { return };
    let args = ["watch", "--pod-security=baseline", bench.folder().to_str().unwrap()].map(str::to_owned);
    let watch = bench.start(&args.each_ref().map(String::as_str));
    bench.manifest("one.yaml", &pod("  hostPID: true\n", "", "true"));
    bench.until("the file is found wrong", || bench.read("one.status.yaml").contains("state: Invalid"));
    let status = bench.read("one.status.yaml");
    has(
        &status,
        &["spec.hostPID", "sharing the host namespaces must be disallowed", "spec.containers[0].image"],
    );
    assert_eq!(bench.status("one"), "");
    assert_eq!(watch.stop(), 0);
    let path = bench.folder().join("one.yaml");
    bench
        .run(&["validate", "--pod-security=baseline", "-f", path.to_str().unwrap()])
        .exits(1)
        .says("spec.hostPID");
    bench.run(&["validate", "-f", path.to_str().unwrap()]).exits(0);
    bench.run(&["up", "--pod-security=restricted", "-f", path.to_str().unwrap()]).exits(12);
}

#[test]
fn what_was_kept_is_not_started_against_a_stricter_policy_and_what_runs_stays() {
    let Some(bench) = Bench::new() else { return };
    let watch = bench.watch();
    bench.manifest("one.yaml", &pod("", "", "sleep 1000"));
    bench.until_status("one", "Running");
    let pids = bench.pids("one", "main");
    assert_eq!(watch.stop(), 0);
    let folder = bench.folder();
    let strict = || bench.start(&["watch", "--pod-security=baseline", folder.to_str().unwrap()]);
    let watch = strict();
    bench.until("the file is found wrong", || bench.read("one.status.yaml").contains("state: Invalid"));
    assert_eq!(bench.pids("one", "main"), pids, "what runs was not left alone");
    assert_eq!(watch.stop(), 0);
    bench.run(&["down", "--all"]).exits(0);
    let watch = strict();
    bench.until_status("one", "Forbidden");
    bench.remove("one.yaml");
    bench.until_clean();
    assert_eq!(watch.stop(), 0);
}

/// A pod that a folder which others can write to may run, and that tells what a Secret holds.
const GUEST: &str = "apiVersion: v1\nkind: Pod\nmetadata: {name: guest}\nspec:\n  terminationGracePeriodSeconds: 1\n  \
    securityContext: {runAsNonRoot: true, runAsUser: 1000, seccompProfile: {type: RuntimeDefault}}\n  containers:\n  \
    - name: main\n    image: example.test/app:1\n    imagePullPolicy: Never\n    command: [/bin/sh, -c, 'echo the key is $key; exec sleep 1000']\n    \
    envFrom: [{secretRef: {name: keys}}]\n    \
    securityContext: {allowPrivilegeEscalation: false, capabilities: {drop: [ALL]}}\n";

fn keys(of: &str) -> String {
    format!("apiVersion: v1\nkind: Secret\nmetadata: {{name: keys}}\nstringData: {{key: {of}}}\n")
}

#[test]
fn a_folder_that_others_can_write_to_is_refused_or_kept_apart() {
    let Some(bench) = Bench::new() else { return };
    let Some(made) = Made::new("guest") else { return };
    let open = bench.path("open");
    fs::create_dir(&open).unwrap();
    Command::new("chmod").arg("0777").arg(&open).status().unwrap();
    let named = open.to_str().unwrap().to_owned();
    let refused = bench.run(&["watch", "--once", &named]).exits(1);
    refused.says("others can write to it").says(&format!("--allow-untrusted-dir {named}"));
    bench.manifest("keys.yaml", &keys("hosts"));
    fs::create_dir_all(bench.path("s/preload")).unwrap();
    made.write_oci_archive(&bench.path("s/preload/app.tar"), "example.test/app:1");
    fs::write(open.join("guest.yaml"), GUEST).unwrap();
    fs::write(open.join("bad.yaml"), pod("", "", "true")).unwrap();
    let folder = bench.folder();
    let watch = bench.start(&["watch", folder.to_str().unwrap(), "--allow-untrusted-dir", &named]);
    let table = || bench.run(&["get", "pods", "-A"]).stdout;
    bench.until("the guest waits", || table().contains("guest"));
    let row = table().lines().find(|line| line.contains("guest")).unwrap().to_owned();
    assert!(row.starts_with("default-u"), "{row}");
    let namespace = row.split_whitespace().next().unwrap().to_owned();
    let object = |what: [&str; 2], namespace: &str| -> serde_json::Value {
        let json = bench.run(&["get", what[0], what[1], "-n", namespace, "-o", "json"]).stdout;
        serde_json::from_str(&json).unwrap_or_default()
    };
    let waiting = || object(["pod", "guest"], &namespace)["status"]["containerStatuses"][0]["state"].clone();
    let reason = serde_json::json!({
        "reason": "CreateContainerConfigError", "message": "secret \"keys\" not found"
    });
    bench.until("its owner's Secret is not there for it", || waiting()["waiting"] == reason);
    let bad = || unfolded(&fs::read_to_string(open.join("bad.status.yaml")).unwrap_or_default());
    bench.until("the bad one is refused", || bad().contains("state: Invalid"));
    has(&bad(), &["pod security restricted"]);
    assert_eq!(bench.status("guest"), "", "in nobody else's namespace");

    // One of the same name displaces none, and is what the guest has.
    let trusted = object(["secret", "keys"], "default");
    assert_eq!(trusted["data"]["key"], "aG9zdHM=");
    fs::write(open.join("keys.yaml"), keys("guests")).unwrap();
    bench.until("the guest runs", || waiting()["running"].is_object());
    bench.until("it has a Secret of its own", || {
        bench.run(&["logs", "guest", "-n", &namespace]).stdout == "the key is guests\n"
    });
    assert_eq!(object(["secret", "keys"], "default"), trusted);
    let status = unfolded(&fs::read_to_string(open.join("keys.status.yaml")).unwrap());
    assert!(status.contains("state: Applied"), "{status}");
    for name in ["guest.yaml", "keys.yaml", "bad.yaml"] {
        fs::remove_file(open.join(name)).unwrap();
    }
    bench.until_clean();
    bench.until("its Secret goes", || object(["secret", "keys"], &namespace).is_null());
    assert_eq!(object(["secret", "keys"], "default"), trusted);
    assert_eq!(watch.stop(), 0);
}
