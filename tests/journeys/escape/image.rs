//! By images in which something else stands where a directory or a file is expected.

use std::fs;

use super::{Planted, Prison};

/// The image's own is called so.
const NO_USER: &str = "there is no user `app` in the image";

/// An image in which `name` is a symlink to what is outside, in three spellings.
fn with_link(name: &str) {
    let Some(prison) = Prison::new() else { return };
    let outside = prison.outside().to_str().unwrap().to_owned();
    let climbing = format!("../../../../../../../..{outside}");
    for target in [outside.as_str(), climbing.as_str(), "/proc/self/root"] {
        prison.image(&[(name, Planted::Symlink(target))]).unwrap();
        let script = format!(
            "[ -L /{name} ] && echo ESCAPED; (echo x > /{name}/made) 2>/dev/null; \
             for f in $OUTSIDE/secret /{name}/secret; do cat $f 2>/dev/null && echo ESCAPED; done; \
             (echo x > $OUTSIDE/secret) 2>/dev/null"
        );
        prison.attempt("", "", &script);
    }
}

#[test]
fn cve_2023_27561_proc_is_a_link() {
    with_link("proc");
}

#[test]
fn cve_2019_19921_sys_is_a_link() {
    with_link("sys");
}

#[test]
fn dev_is_a_link() {
    with_link("dev");
}

#[test]
fn etc_is_a_link() {
    with_link("etc");
}

#[test]
fn run_is_a_link() {
    with_link("run");
}

#[test]
fn tmp_is_a_link() {
    with_link("tmp");
}

#[test]
fn files_that_are_bound_over_are_links() {
    for name in ["etc/hosts", "etc/resolv.conf", "etc/hostname"] {
        let Some(prison) = Prison::new() else { return };
        let outside = prison.outside().join("secret");
        prison.image(&[(name, Planted::Symlink(outside.to_str().unwrap()))]).unwrap();
        prison.attempt("", "", &format!("echo x > /{name}; grep -q untouched /{name} && echo ESCAPED"));
    }
}

#[test]
fn cve_2025_31133_dev_null_is_a_link() {
    let outside = "/proc/sys/kernel/core_pattern";
    let Some(prison) = Prison::with(&[
        ("dev", Planted::Directory),
        ("dev/null", Planted::Symlink(outside)),
        ("dev/console", Planted::Symlink(outside)),
        ("dev/pts", Planted::Symlink("/proc")),
    ]) else {
        return;
    };
    prison.attempt("", "", "test -c /dev/null || echo ESCAPED; test -L /dev/null && echo ESCAPED; (echo x > /proc/sys/kernel/core_pattern) 2>/dev/null && echo ESCAPED");
}

#[test]
fn accounts_are_not_read_through_a_link() {
    let Some(prison) = Prison::new() else { return };
    let accounts = prison.bench.path("accounts");
    fs::write(&accounts, "app:x:0:0::/:/bin/sh\n").unwrap();
    prison.image(&[("etc/passwd", Planted::Symlink(accounts.to_str().unwrap()))]).unwrap();
    prison.refused(&prison.pod("", "", "id -u"), NO_USER);
}

#[test]
fn a_fifo_in_place_of_the_accounts_keeps_nobody_waiting() {
    for name in ["etc/passwd", "etc/group"] {
        let Some(prison) = Prison::with(&[(name, Planted::Fifo)]) else { return };
        let why = format!("cannot read accounts of the image: {name} is not a regular file");
        prison.refused(&prison.pod("", "", "true"), &why);
    }
}

#[test]
fn cve_2024_40635_a_user_id_beyond_the_range_is_not_root() {
    let text = b"app:x:4294967296:0::/:/bin/sh\n";
    let Some(prison) = Prison::with(&[("etc/passwd", Planted::File(text))]) else { return };
    prison.refused(&prison.pod("", "", "id -u"), NO_USER);
}

#[test]
fn a_working_directory_that_is_a_link_stays_inside() {
    let Some(prison) = Prison::new() else { return };
    let outside = prison.outside();
    prison.image(&[("work", Planted::Symlink(outside.to_str().unwrap()))]).unwrap();
    prison.attempt("", "    workingDir: /work/deep\n", "test -e ../secret && echo ESCAPED; touch made");
}

#[test]
fn a_termination_message_goes_through_no_link() {
    let Some(prison) = Prison::new() else { return };
    let outside = prison.outside();
    prison
        .image(&[
            ("out", Planted::Symlink(outside.to_str().unwrap())),
            ("message", Planted::Symlink(outside.join("secret").to_str().unwrap())),
        ])
        .unwrap();
    for path in ["/out/message", "/message", "/out/deep/message"] {
        let container = format!("    terminationMessagePath: {path}\n");
        prison.attempt("", &container, &format!("echo told > {path}"));
    }
}

#[test]
fn a_volume_is_not_mounted_through_a_link() {
    let Some(prison) = Prison::new() else { return };
    let outside = prison.outside();
    prison.image(&[("mnt", Planted::Symlink(outside.to_str().unwrap()))]).unwrap();
    let container = "    volumeMounts: [{name: a, mountPath: /mnt/volume}]\n";
    prison.attempt(
        "  volumes: [{name: a, emptyDir: {}}]\n",
        container,
        "touch /mnt/volume/inner; test -e /mnt/secret && echo ESCAPED",
    );
}

#[test]
fn cve_2025_52881_no_volume_lies_over_proc_or_dev() {
    let Some(prison) = Prison::with(&[("link", Planted::Symlink("/proc"))]) else { return };
    for path in ["/proc", "/proc/self", "/proc/sys", "/dev", "/link", "/link/sys"] {
        let container = format!(
            "    volumeMounts: [{{name: a, mountPath: {path}}}]\n    securityContext: {{runAsUser: 0}}\n"
        );
        let pod = prison.pod("  volumes: [{name: a, emptyDir: {}}]\n", &container, "echo ESCAPED");
        prison.refused(&pod, &format!("mounts volume a at {path}, which belongs to the runtime"));
    }
}
