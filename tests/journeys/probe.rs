//! Probes of each kind and hooks, by what a user sees of them.

use std::process::Command;

use crate::bench::{Bench, say};

const SAMPLE: &str = include_str!("../../manifests/probes.yaml");

/// A pod of one container on the host's own root, with more of its fields.
fn pod(name: &str, script: &str, more: &str) -> String {
    format!(
        "apiVersion: v1\nkind: Pod\nmetadata: {{name: {name}}}\nspec:\n  terminationGracePeriodSeconds: 3\n  \
         containers:\n  - name: main\n    image: droppod.local/host\n    command: [bash, -c, {script:?}]\n{more}"
    )
}

fn events(bench: &Bench, pod: &str) -> String {
    bench.run(&["events", "--for", &format!("pod/{pod}")]).stdout
}

fn until_told(bench: &Bench, pod: &str, event: &str) {
    bench.until(&format!("{pod} is told of: {event}"), || events(bench, pod).contains(event));
}

fn until_ready(bench: &Bench, pod: &str, ready: &str) {
    bench.until(&format!("{pod} is {ready}"), || bench.column(pod, 1) == ready);
}

#[test]
fn the_sample_is_ready_when_it_says_so_and_starts_again_when_it_is_sick() {
    let Some(bench) = Bench::new() else { return };
    let watcher = bench.watch();
    bench.manifest("probes.yaml", SAMPLE);
    until_ready(&bench, "steady", "1/1");
    let inside = |command: &[&str]| bench.run(&[&["exec", "steady", "--"], command].concat()).exits(0);
    inside(&["rm", "/state/ready"]);
    until_ready(&bench, "steady", "0/1");
    bench.run(&["get", "pod", "steady", "-o", "yaml"]).says("containers with unready status: [server]");
    until_told(&bench, "steady", "Readiness probe failed: HTTP probe failed with statuscode: 503");
    inside(&["touch", "/state/ready"]);
    until_ready(&bench, "steady", "1/1");
    // Probes need no watcher.
    watcher.kill();
    inside(&["touch", "/state/sick"]);
    bench.until("it is started again", || bench.column("steady", 3).starts_with('1'));
    until_ready(&bench, "steady", "1/1");
    until_told(&bench, "steady", "Container server failed liveness probe, will be restarted");
    bench.run(&["logs", "-p", "steady"]).exits(0).says("told to end");
    let watcher = bench.watch();
    bench.remove("probes.yaml").until_clean();
    assert_eq!(watcher.stop(), 0);
}

#[test]
fn an_exec_probe_that_fails_says_why_and_one_that_hangs_is_ended() {
    let Some(bench) = Bench::new() else { return };
    let _watcher = bench.watch();
    let liveness = |command: &str| {
        format!(
            "    livenessProbe:\n      exec: {{command: [bash, -c, {command:?}]}}\n      periodSeconds: 1\n      \
             failureThreshold: 1\n"
        )
    };
    bench.manifest("says.yaml", &pod("says", "sleep 1000", &liveness("echo all is lost; exit 7")));
    bench.manifest("hangs.yaml", &pod("hangs", "sleep 1000", &liveness("sleep 4713 & sleep 4713; true")));
    bench
        .manifest("none.yaml", &pod("none", "sleep 1000", &liveness("").replace("bash", "/no/such/program")));
    until_told(&bench, "says", "Liveness probe failed: all is lost");
    until_told(&bench, "says", "Container main failed liveness probe, will be restarted");
    until_told(&bench, "hangs", "timed out after 1s");
    until_told(&bench, "none", "Liveness probe errored and resulted in unknown state");
    bench.until("it is started again", || !bench.column("hangs", 3).starts_with('0'));
    let left = bench.pids("hangs", "main");
    let commands =
        left.iter().map(|pid| std::fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap_or_default());
    assert!(commands.filter(|command| command.contains("4713")).count() <= 3, "of one probe at most");
    assert_eq!(bench.column("none", 3), "0", "what cannot be run condemns nobody");
    for name in ["says.yaml", "hangs.yaml", "none.yaml"] {
        bench.remove(name);
    }
    bench.until_clean();
}

/// One answer of a server that speaks HTTP/2: its settings, headers, and a message with this status.
fn grpc_server(port: u16, status: u8) -> String {
    format!(
        "exec perl -MIO::Socket::INET -e '$s = IO::Socket::INET->new(Listen => 5, LocalPort => {port}, ReuseAddr => 1); \
         while ($c = $s->accept) {{ sysread($c, $b, 9999); \
         print $c pack(\"H*\", \"000000040000000000\" . \"00000101040000000188\" . \"00000700000000000100000000020\" . \"8{status:02x}\"); \
         $c->flush; sysread($c, $b, 9999); close $c }}'"
    )
}

#[test]
fn grpc_and_https_probes_are_asked_over_the_pods_network() {
    let Some(bench) = Bench::new() else { return };
    let _watcher = bench.watch();
    let grpc = "    readinessProbe: {grpc: {port: 5005}, periodSeconds: 1}\n";
    bench.manifest("well.yaml", &pod("well", &grpc_server(5005, 1), grpc));
    bench.manifest("unwell.yaml", &pod("unwell", &grpc_server(5005, 2), grpc));
    // On the host's network the host's address is asked.
    let host = pod("host", &grpc_server(5006, 1), &grpc.replace("5005", "5006"))
        .replace("spec:\n", "spec:\n  hostNetwork: true\n");
    bench.manifest("host.yaml", &host);
    until_ready(&bench, "well", "1/1");
    until_told(&bench, "unwell", "service unhealthy (responded with \"NOT_SERVING\")");
    until_ready(&bench, "host", "1/1");
    assert_eq!(bench.column("unwell", 1), "0/1");
    for name in ["well.yaml", "unwell.yaml", "host.yaml"] {
        bench.remove(name);
    }
    let key = "openssl req -x509 -newkey rsa:2048 -nodes -keyout /tmp/k -out /tmp/c -days 2 -subj /CN=nobody 2>/dev/null";
    if !Command::new("openssl").arg("version").output().is_ok_and(|ran| ran.status.success()) {
        say("skipped: https needs the program openssl");
    } else {
        let server =
            format!("{key}; exec openssl s_server -accept 8443 -key /tmp/k -cert /tmp/c -www -quiet");
        let https = "    readinessProbe: {httpGet: {port: 8443, scheme: HTTPS}, periodSeconds: 1, timeoutSeconds: 5}\n";
        bench.manifest("https.yaml", &pod("https", &server, https));
        until_ready(&bench, "https", "1/1");
        bench.remove("https.yaml");
    }
    bench.until_clean();
}

#[test]
fn hooks_come_after_the_start_and_before_the_signal() {
    let Some(bench) = Bench::new() else { return };
    let _watcher = bench.watch();
    std::fs::create_dir(bench.path("said")).unwrap();
    let said = |text: &str| format!("[bash, -c, 'echo {text} >> /said/all']");
    let hooks = format!(
        "    lifecycle:\n      postStart: {{exec: {{command: {}}}}}\n      preStop: {{exec: {{command: {}}}}}\n    \
         volumeMounts: [{{name: said, mountPath: /said}}]\n  volumes: [{{name: said, hostPath: {{path: {}}}}}]\n",
        said("hello"),
        said("goodbye"),
        bench.path("said").display()
    );
    let script = "trap 'echo term >> /said/all; exit 0' TERM; while true; do sleep 0.05; done";
    bench.manifest("polite.yaml", &pod("polite", script, &hooks));
    until_ready(&bench, "polite", "1/1");
    bench.remove("polite.yaml").until_clean();
    let said = std::fs::read_to_string(bench.path("said/all")).unwrap();
    assert_eq!(said, "hello\ngoodbye\nterm\n");
}

#[test]
fn a_hook_that_fails_is_told() {
    let Some(bench) = Bench::new() else { return };
    let _watcher = bench.watch();
    let fails = |hook: &str| {
        format!("    lifecycle: {{{hook}: {{exec: {{command: [bash, -c, 'echo no; exit 1']}}}}}}\n")
    };
    bench.manifest("start.yaml", &pod("start", "sleep 1000 & wait", &fails("postStart")));
    until_told(&bench, "start", "PostStartHook failed");
    bench.until_status("start", "PostStartHookError");
    bench.remove("start.yaml");
    // Its own server is asked by a hook and says so, and the signal comes after.
    let script = "trap 'exit 0' TERM; perl -MIO::Socket::INET -e 'IO::Socket::INET->new(Listen => 1, LocalPort => 80)->accept; print qq(asked\\n)'; sleep 1000 & wait";
    let asks = "    readinessProbe: {exec: {command: [bash, -c, 'grep -q :0050 /proc/net/tcp']}, periodSeconds: 1}\n    \
                lifecycle: {preStop: {httpGet: {port: 80, path: /bye}}}\n";
    bench.manifest("stop.yaml", &pod("stop", script, asks));
    until_ready(&bench, "stop", "1/1");
    let mut logs = bench.start(&["logs", "-f", "stop"]);
    bench.remove("stop.yaml").until_clean();
    logs.child.wait().unwrap();
    assert!(std::fs::read_to_string(bench.path("out")).unwrap().contains("asked"));
}
