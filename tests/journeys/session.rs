//! `exec`, `logs`, `get`, `apply`, `delete` and `run` against a living pod.

use std::path::Path;

use crate::bench::{Bench, say};

const WEB: &str = "apiVersion: v1\nkind: Pod\nmetadata: {name: web}\nspec:\n  terminationGracePeriodSeconds: 1\n  containers:\n  \
                   - name: main\n    image: droppod.local/host\n    command: [bash, -c, 'echo started; sleep 1000']\n    \
                   env: [{name: COLOUR, value: green}]\n";

const USER: &str = "spec:\n  securityContext: {runAsUser: 1000}\n";

#[test]
fn exec_passes_input_output_and_exit_code() {
    let Some(bench) = Bench::new() else { return };
    let watch = bench.watch();
    bench.manifest("web.yaml", &WEB.replace("    env:", "    workingDir: /away\n    env:"));
    bench.until_status("web", "Running");
    bench.run(&["exec", "web", "--", "bash", "-c", "echo $COLOUR; exit 7"]).exits(7).says("green");
    let ran = bench.run_with_input(&["exec", "-i", "web", "--", "wc", "-c"], "12345").exits(0);
    assert_eq!(ran.stdout.trim(), "5");
    bench.run(&["exec", "web", "--", "no-such-program"]).says("executable file not found");
    bench.run(&["exec", "web", "--", "bash", "-c", "kill -9 $$"]).exits(137);
    bench.run(&["exec", "web", "--", "rmdir", "/away"]).exits(0);
    let gone = "cannot change to the working directory /away: No such file or directory";
    bench.run(&["exec", "web", "--", "true"]).exits(1).says(gone);
    bench.remove("web.yaml");
    bench.until_clean();
    assert_eq!(watch.stop(), 0);
}

#[test]
fn a_terminal_is_made_where_one_is_asked_for() {
    let Some(bench) = Bench::new() else { return };
    let watch = bench.watch();
    bench.manifest("web.yaml", WEB);
    bench.until_status("web", "Running");
    bench.run(&["exec", "-t", "web", "--", "sh", "-c", "test -t 1 && : </dev/tty && tty"]).says("/dev/pts/");
    bench.remove("web.yaml");
    bench.until_clean();
    bench.manifest("user.yaml", &WEB.replace("name: web", "name: user").replace("spec:\n", USER));
    bench.until_status("user", "Running");
    bench
        .run(&["exec", "-t", "user", "--", "sh", "-c", "id -u; echo well >/dev/stderr"])
        .exits(0)
        .says("1000")
        .says("well");
    bench.remove("user.yaml");
    bench.until_clean();
    assert_eq!(watch.stop(), 0);
}

#[test]
fn a_container_that_asks_for_a_terminal_runs_on_one() {
    let Some(bench) = Bench::new() else { return };
    let watch = bench.watch();
    for shared in ["false", "true"] {
        let manifest = format!(
            "apiVersion: v1\nkind: Pod\nmetadata: {{name: tty}}\nspec:\n  restartPolicy: Never\n  \
             shareProcessNamespace: {shared}\n  securityContext: {{runAsUser: 1000}}\n  containers:\n  - {{name: main, image: droppod.local/host, tty: true, \
             command: [sh, -c, 'test -t 0 && test -t 1 && : </dev/tty && echo well >/dev/stdout']}}\n"
        );
        bench.manifest("tty.yaml", &manifest);
        bench.until_status("tty", "Completed");
        assert_eq!(bench.run(&["logs", "tty"]).exits(0).stdout.trim_end(), "well");
        bench.remove("tty.yaml");
        bench.until_clean();
    }
    assert_eq!(watch.stop(), 0);
}

#[test]
fn logs_are_there_while_the_pod_runs_and_after_it_has_ended() {
    let Some(bench) = Bench::new() else { return };
    let watch = bench.watch();
    bench.manifest("web.yaml", WEB);
    let once = "apiVersion: v1\nkind: Pod\nmetadata: {name: once}\nspec:\n  restartPolicy: Never\n  containers:\n  \
                - {name: main, image: droppod.local/host, command: [seq, '5']}\n";
    bench.manifest("once.yaml", once);
    bench.until("it has said it", || bench.run(&["logs", "web"]).stdout == "started\n");
    bench.until_status("once", "Completed");
    bench.run(&["logs", "once"]).exits(0).prints("1\n2\n3\n4\n5\n");
    bench.run(&["logs", "once", "--tail", "2"]).exits(0).prints("4\n5\n");
    bench.remove("web.yaml").remove("once.yaml");
    bench.until_clean();
    assert_eq!(watch.stop(), 0);
}

#[test]
fn apply_get_and_delete_go_through_the_folder() {
    let Some(bench) = Bench::new() else { return };
    let watch = bench.watch();
    let file = bench.path("web.yaml");
    std::fs::write(&file, WEB).unwrap();
    let file = file.to_str().unwrap();
    bench.run(&["apply", "-f", file]).exits(0).prints("pod/web created\n");
    bench.until_status("web", "Running");
    bench.run(&["apply", "-f", file]).exits(0).prints("pod/web unchanged\n");
    bench.run(&["get", "pod", "web", "-o", "name"]).exits(0).prints("pod/web\n");
    bench.run(&["delete", "pod", "web"]).exits(0).says("pod \"web\" deleted");
    bench.until_clean();
    bench.run(&["get", "pod", "web"]).exits(1).says("not found");

    // What was written by hand goes if it is named itself.
    bench.manifest("mine.yaml", WEB);
    bench.until_status("web", "Running");
    bench.run(&["delete", "pod", "web"]).exits(1).says("is declared by");
    let mine = bench.folder().join("mine.yaml");
    bench.run(&["delete", "-f", mine.to_str().unwrap()]).exits(0).says("pod \"web\" deleted");
    bench.until_clean();
    assert!(!mine.exists());

    let later = "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: later}\nspec: {}\n";
    bench.run_with_input(&["apply", "-f", "-", "--wait"], later).exits(1).says("will never be ready");
    assert_eq!(watch.stop(), 0);
}

#[test]
fn run_makes_a_pod_from_flags() {
    let Some(bench) = Bench::new() else { return };
    let watch = bench.watch();
    bench
        .run(&["run", "hi", "--image=droppod.local/host", "--restart=Never", "--", "echo", "hi there"])
        .exits(0);
    bench.until_status("hi", "Completed");
    bench.run(&["logs", "hi"]).prints("hi there\n");
    bench
        .run(&[
            "run",
            "sum",
            "--image=droppod.local/host",
            "--restart=Never",
            "--rm",
            "--attach",
            "--",
            "sh",
            "-c",
            "exit 9",
        ])
        .exits(9);
    bench.run(&["delete", "pod", "hi"]).exits(0);
    bench.until_clean();
    assert_eq!(watch.stop(), 0);
}

#[test]
fn down_stops_the_pods_and_keeps_the_files() {
    let Some(bench) = Bench::new() else { return };
    let watch = bench.watch();
    bench.manifest("web.yaml", WEB);
    bench.until_status("web", "Running");
    bench.run(&["down", "--all"]).exits(14);
    assert_eq!(watch.stop(), 0);
    bench.run(&["down", "--all"]).exits(0);
    bench.until_clean();
    assert!(bench.folder().join("web.yaml").exists());
    let mut watch = bench.watch();
    bench.until_status("web", "Running");
    bench.run(&["down", "--all", "--stop-watcher"]).exits(0).says("1 pod stopped");
    assert!(!watch.is_running());
    bench.until_clean();
}

#[test]
fn watch_once_starts_what_is_declared_and_leaves_it_running() {
    let Some(bench) = Bench::new() else { return };
    let folder = bench.folder().to_str().unwrap().to_owned();
    bench.manifest("web.yaml", WEB);
    bench.run(&["watch", "--once", &folder]).exits(0);
    bench.until_status("web", "Running");
    let pids = bench.pids("web", "main");
    bench.run(&["watch", "--once", &folder]).exits(0);
    assert_eq!(bench.pids("web", "main"), pids, "a second look has changed what runs");
    bench.remove("web.yaml");
    bench.run(&["watch", "--once", &folder]).exits(0);
    bench.until_clean();
}

/// A lease keeps `execve` waiting, as a file system does that answers no more.
#[test]
fn a_program_that_cannot_begin_holds_up_nobody_else() {
    let Some(bench) = Bench::new() else { return };
    let watch = bench.watch();
    let lease = "cp /bin/true /v/p; perl -e 'open(F, \"<\", \"/v/p\") or die; fcntl(F, 1024, 1) or die; \
                 $SIG{IO} = \"IGNORE\"; print \"leased\\n\"; $| = 1; print \"\"; sleep 1000'";
    bench.manifest(
        "two.yaml",
        &format!(
            "apiVersion: v1\nkind: Pod\nmetadata: {{name: two}}\nspec:\n  terminationGracePeriodSeconds: 1\n  \
             volumes: [{{name: v, emptyDir: {{}}}}]\n  containers:\n  \
             - {{name: a, image: droppod.local/host, command: [sh, -c, {lease:?}], volumeMounts: [{{name: v, mountPath: /v}}]}}\n  \
             - {{name: b, image: droppod.local/host, command: [sleep, '1000']}}\n"
        ),
    );
    bench.until("the lease is held", || bench.run(&["logs", "two", "-c", "a"]).stdout.contains("leased"));
    let mut stuck = bench.start(&["exec", "two", "-c", "a", "--", "/v/p"]);
    bench.run(&["exec", "two", "-c", "b", "--", "true"]).exits(0);
    assert!(stuck.is_running(), "the lease was not in its way");
    bench.remove("two.yaml");
    bench.until_clean();
    drop(stuck);
    assert_eq!(watch.stop(), 0);
}

/// A container that may, and passes controllers down, has no processes in its own group: where its first one is, others can be.
#[test]
fn exec_finds_a_container_that_has_parted_its_control_group() {
    let Some(bench) = Bench::new() else { return };
    if !Path::new("/sys/fs/cgroup/cgroup.controllers").exists() {
        say("skipped: version 2 of control groups alone is parted");
        return;
    }
    let watch = bench.watch();
    let parts = "set -e; cd /sys/fs/cgroup$(cut -d: -f3 /proc/self/cgroup); mkdir own; echo 0 > own/cgroup.procs; \
                 echo +pids > cgroup.subtree_control; echo parted; exec sleep 1000";
    bench.manifest(
        "parted.yaml",
        &format!(
            "apiVersion: v1\nkind: Pod\nmetadata: {{name: parted}}\nspec:\n  terminationGracePeriodSeconds: 1\n  \
             containers:\n  - {{name: main, image: droppod.local/host, command: [sh, -c, {parts:?}], \
             securityContext: {{privileged: true}}}}\n"
        ),
    );
    bench.until("it has parted its group", || bench.run(&["logs", "parted"]).stdout.contains("parted"));
    let cgroup = bench.run(&["exec", "parted", "--", "cat", "/proc/self/cgroup"]).exits(0).stdout;
    assert!(cgroup.ends_with("/main/own\n"), "{cgroup}");
    bench.remove("parted.yaml");
    bench.until_clean();
    assert_eq!(watch.stop(), 0);
}
