//! By devices, where it is not the devices controller that keeps containers from them.

use std::path::Path;

use super::Prison;
use crate::bench::say;

const DEVICES: &str = "/sys/fs/cgroup/devices";
const UNIFIED: &str = "/sys/fs/cgroup/unified";

/// One that may make devices, and so may what its hook executes.
const MAKER: &str = "    lifecycle: {postStart: {exec: {command: [/bin/busybox, sh, -c, '\
                     /bin/busybox mknod /hook b 253 0 2> /dev/null && echo ESCAPED by a hook > /part; \
                     echo hooked >> /part; /bin/busybox mv /part /said']}}}\n    securityContext: ";

/// `null` may be made: what refuses the disc is what keeps devices, and not the lack of a capability.
const SCRIPT: &str = "/bin/busybox mknod /null c 1 3 && echo null; \
                      /bin/busybox mknod /disc b 253 0 2> /dev/null && echo ESCAPED; \
                      until [ -e /said ]; do /bin/busybox sleep 0.05; done; /bin/busybox cat /said; echo OVER";

#[test]
fn version_2_beside_version_1_keeps_containers_from_devices_that_no_controller_does() {
    let Some(prison) = Prison::new() else { return };
    if ![DEVICES, UNIFIED].iter().all(|place| Path::new(place).is_dir()) {
        say("skipped: control groups of version 2 are not beside those of version 1");
        return;
    }
    let bench = &prison.bench;
    let folder = bench.folder();
    let up = ["up", "--timeout", "60s", "-f", folder.to_str().unwrap()];
    let run = |missing: &[&str], spec: &str, context: &str| {
        let context = format!("{MAKER}{{runAsUser: 0, {context}}}\n");
        bench.manifest("one.yaml", &prison.pod(spec, &context, SCRIPT));
        let ran = bench.run_without(missing, &up);
        assert!(ran.stdout.contains("hooked") && ran.stdout.contains("OVER"), "{ran:#?}");
        prison.holds();
        ran
    };
    let asked = "capabilities: {add: [MKNOD]}";
    for spec in ["", "  shareProcessNamespace: true\n"] {
        let ran = run(&[DEVICES], spec, asked);
        assert!(ran.stdout.contains("null") && !ran.stdout.contains("ESCAPED"), "{spec}: {ran:#?}");
        assert!(!bench.read("one.status.yaml").contains("Unenforced"), "{spec}");
    }
    bench.run_without(&[DEVICES], &["doctor"]).says("eBPF");
    let ran = run(&[DEVICES], "", "privileged: true");
    assert!(ran.stdout.contains("ESCAPED by a hook"), "a privileged one has them all: {ran:#?}");

    // Where there is nothing to keep them by, somebody says so.
    run(&[DEVICES, UNIFIED], "", asked);
    let status = bench.read("one.status.yaml");
    let lacks = "neither a devices controller nor control groups of version 2";
    assert!(status.contains("Unenforced") && status.contains(lacks), "{status}");
    bench.run_without(&[DEVICES, UNIFIED], &["doctor"]).says(lacks);
}
