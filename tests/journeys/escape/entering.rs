//! By CAP_SYS_PTRACE, which lets a container look into whatever comes into its process namespace, and take hold of it: what an
//! exec, a probe or a hook begins, and a container that is started where processes are shared.

use std::path::Path;
use std::process::Command;

use super::Prison;
use crate::bench::say;

/// What a tracer has that may add to what it sees, and whether it holds what it looks at.
const TRACERS: [(&str, &str); 3] = [
    ("{runAsUser: 0, capabilities: {drop: [ALL], add: [SYS_PTRACE]}}", ""),
    (
        "{runAsUser: 0, capabilities: {drop: [ALL], add: [SYS_PTRACE, DAC_OVERRIDE, DAC_READ_SEARCH]}}",
        ", hold",
    ),
    ("{runAsUser: 0, capabilities: {add: [SYS_PTRACE, DAC_READ_SEARCH, SYS_CHROOT]}}", ""),
];

/// With the tracer in it; none where there is no C compiler.
fn prison() -> Option<Prison> {
    let prison = Prison::new()?;
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/journeys/escape/tracer.c");
    let tools = prison.bench.path("tools");
    std::fs::create_dir(&tools).unwrap();
    let compiled =
        Command::new("cc").args(["-O1", "-static", "-o"]).arg(tools.join("tracer")).arg(source).status();
    if !compiled.is_ok_and(|status| status.success()) {
        say("skipped: `cc -static` does not work here");
        return None;
    }
    Some(prison)
}

/// A container's line that runs the tracer.
fn tracer(prison: &Prison, name: &str, context: &str, holds: &str, more: &str) -> String {
    let (app, outside) = (prison.bench.path("app.tar"), prison.outside());
    format!(
        "  - name: {name}\n    image: oci-archive:{}\n    command: [/tools/tracer, {}{holds}]\n    \
         securityContext: {context}\n    volumeMounts: [{{name: tools, mountPath: /tools}}]\n{more}",
        app.display(),
        outside.display()
    )
}

fn pod(prison: &Prison, spec: &str, containers: &str) -> String {
    format!(
        "apiVersion: v1\nkind: Pod\nmetadata: {{name: one}}\nspec:\n  terminationGracePeriodSeconds: 1\n{spec}  \
         volumes: [{{name: tools, hostPath: {{path: {}}}}}]\n  containers:\n{containers}",
        prison.bench.path("tools").display()
    )
}

/// What the tracer says of what happens, once it has caught so many on their way. A machine with one processor runs it at
/// that moment by chance only.
#[track_caller]
fn watched(prison: &Prison, manifest: &str, at_least: usize, mut happens: impl FnMut()) {
    let alone = std::thread::available_parallelism().is_ok_and(|count| count.get() == 1);
    let at_least = if alone { 0 } else { at_least };
    let watch = prison.bench.watch();
    prison.bench.manifest("one.yaml", manifest);
    let said = || prison.bench.run(&["logs", "one", "-c", "tracer"]).stdout;
    prison.bench.until("it looks", || said().contains("looking"));
    prison.bench.until("enough are caught, or one too many", || {
        happens();
        let said = said();
        said.contains("ESCAPED") || said.matches("caught").count() >= at_least
    });
    let said = said();
    assert!(!said.contains("ESCAPED"), "{said}");
    prison.bench.remove("one.yaml");
    prison.bench.until_clean();
    assert_eq!(watch.stop(), 0);
    prison.holds();
}

#[test]
fn cve_2016_9962_a_tracer_finds_nothing_of_the_host_in_what_is_executed() {
    let Some(prison) = prison() else { return };
    for (context, holds) in TRACERS {
        let manifest = pod(&prison, "", &tracer(&prison, "tracer", context, holds, ""));
        watched(&prison, &manifest, 5, || {
            for _ in 0..10 {
                prison.bench.run(&["exec", "one", "--", "/bin/busybox", "true"]).exits(0);
            }
        });
    }
}

#[test]
fn a_tracer_finds_nothing_of_the_host_in_probes_and_hooks() {
    let Some(prison) = prison() else { return };
    let exec = "{exec: {command: [/bin/busybox, 'true']}";
    let more = format!(
        "    readinessProbe: {exec}, periodSeconds: 1}}\n    livenessProbe: {exec}, periodSeconds: 1}}\n    \
         lifecycle: {{postStart: {exec}}}, preStop: {exec}}}}}\n"
    );
    for (context, holds) in TRACERS {
        let manifest = pod(&prison, "", &tracer(&prison, "tracer", context, holds, &more));
        watched(&prison, &manifest, 3, || {});
    }
}

/// So many containers beside it begin, end, and begin again.
#[test]
fn a_tracer_that_shares_processes_finds_nothing_of_the_host_in_containers_that_start() {
    let Some(prison) = prison() else { return };
    let app = prison.bench.path("app.tar");
    let others: String = (0..4)
        .map(|nth| {
            format!(
                "  - {{name: other{nth}, image: 'oci-archive:{}', command: [/bin/busybox, sleep, '1'], \
                 securityContext: {{runAsUser: {}}}}}\n",
                app.display(),
                nth % 2 * 1000
            )
        })
        .collect();
    for (context, holds) in TRACERS {
        let containers = tracer(&prison, "tracer", context, holds, "") + &others;
        watched(&prison, &pod(&prison, "  shareProcessNamespace: true\n", &containers), 3, || {
            drop(prison.bench.run(&["exec", "one", "-c", "tracer", "--", "/bin/busybox", "true"]));
        });
    }
}

/// A profile without `setsid` can be loaded by the process itself alone, when it is there to be taken hold of.
#[test]
fn what_could_be_taken_hold_of_before_its_profile_is_loaded_does_not_enter() {
    let Some(prison) = prison() else { return };
    let profiles = prison.bench.path("s/seccomp");
    std::fs::create_dir_all(&profiles).unwrap();
    let profile = r#"{"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": ["setsid"], "action": "SCMP_ACT_ERRNO"}]}"#;
    std::fs::write(profiles.join("own.json"), profile).unwrap();
    let own = "seccompProfile: {type: Localhost, localhostProfile: own.json}";
    let context = format!("{{runAsUser: 0, {own}, capabilities: {{add: [SYS_PTRACE]}}}}");
    let manifest = |context: &str| pod(&prison, "", &tracer(&prison, "tracer", context, "", ""));
    let watch = prison.bench.watch();
    prison.bench.manifest("one.yaml", &manifest(&context));
    prison.bench.until_status("one", "Running");
    let refused = prison.bench.run(&["exec", "one", "--", "/bin/busybox", "true"]).exits(1);
    refused.says("does not allow setsid").says("container tracer, which has CAP_SYS_PTRACE");
    prison.bench.remove("one.yaml");
    prison.bench.until_clean();
    prison.bench.manifest("one.yaml", &manifest(&format!("{{runAsUser: 0, {own}}}")));
    prison.bench.until_status("one", "Running");
    let exec = ["exec", "one", "--", "/bin/busybox", "grep", "Seccomp:", "/proc/self/status"];
    prison.bench.run(&exec).exits(0).prints("Seccomp:\t2\n");
    prison.bench.remove("one.yaml");
    prison.bench.until_clean();
    assert_eq!(watch.stop(), 0);
}
