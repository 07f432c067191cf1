//! What the containers of one pod share, and what they do not.

use std::fs;
use std::path::{Path, PathBuf};

use crate::bench::{Bench, say};

/// Two containers: `a` makes things, `b` uses them once `a` says that they are there.
fn two(a: &str, b: &str) -> String {
    format!(
        "apiVersion: v1\nkind: Pod\nmetadata: {{name: two}}\nspec:\n  restartPolicy: Never\n  \
         terminationGracePeriodSeconds: 1\n  volumes:\n  - {{name: shared, emptyDir: {{}}}}\n  containers:\n\
         {}{}",
        container("a", a),
        container("b", b)
    )
}

fn container(name: &str, script: &str) -> String {
    format!(
        "  - name: {name}\n    image: droppod.local/host\n    command: [bash, -ec, {script:?}]\n    \
         volumeMounts: [{{name: shared, mountPath: /shared}}]\n"
    )
}

fn up(bench: &Bench, manifest: &str) -> String {
    bench.manifest("two.yaml", manifest);
    let ran = bench.run(&["up", "-f", bench.folder().to_str().unwrap()]).exits(0);
    bench.until_clean();
    ran.stdout
}

#[test]
fn ipc_shared_memory_and_volumes_are_shared() {
    let Some(bench) = Bench::new() else { return };
    let a = "perl -e 'my $s = semget(4711, 1, 0666 | 512) // die; semctl($s, 0, 16, 42)'; \
             echo from-a > /dev/shm/note; echo from-a > /shared/note; \
             perl -e 'my ($name, $text) = (\"queue\", \"from-a\"); my $q = syscall(240, $name, 66, 0600, 0); \
                      exit(syscall(242, $q, $text, 6, 0, 0) < 0)'; \
             touch /shared/ready; until test -e /shared/done; do sleep 0.05; done";
    let b = "until test -e /shared/ready; do sleep 0.05; done; \
             perl -e 'my $s = semget(4711, 1, 0) // die; print \"semaphore \", semctl($s, 0, 12, 0), \"\\n\"'; \
             echo shm $(cat /dev/shm/note); echo volume $(cat /shared/note); \
             perl -e 'my ($name, $text) = (\"queue\", \"x\" x 8192); my $q = syscall(240, $name, 0, 0, 0); \
                      my $n = syscall(243, $q, $text, 8192, 0, 0); print \"queue \", substr($text, 0, $n), \"\\n\"'; \
             touch /shared/done";
    let out = up(&bench, &two(a, b));
    for fact in ["semaphore 42", "shm from-a", "volume from-a", "queue from-a"] {
        assert!(out.contains(fact), "no {fact:?} in\n{out}");
    }
}

#[test]
fn hostnames_are_equal_and_processes_files_and_mounts_are_apart() {
    let Some(bench) = Bench::new() else { return };
    let watch = bench.watch();
    let context = "    securityContext: {capabilities: {add: [SYS_ADMIN]}}\n    volumeMounts:";
    bench.manifest("two.yaml", &two("sleep 1001", "sleep 1002").replace("    volumeMounts:", context));
    bench.until_status("two", "Running");
    let in_container = |name: &str, script: &str| {
        bench.run(&["exec", "two", "-c", name, "--", "bash", "-c", script]).exits(0).stdout
    };
    let processes =
        "cat /proc/sys/kernel/hostname; cat /proc/[0-9]*/cmdline | tr '\\0' ' ' | grep -o 'sleep 100[12]'";
    assert_eq!(in_container("a", processes), "two\nsleep 1001\n");
    assert_eq!(in_container("b", processes), "two\nsleep 1002\n");

    let seen = "find /tmp/file-of-a /shared/place -type f 2>/dev/null; grep -c tmpfs-of-a /proc/self/mountinfo || true";
    let make = "touch /tmp/file-of-a; mkdir /shared/place; mount -t tmpfs tmpfs-of-a /shared/place; touch /shared/place/inner";
    assert_eq!(in_container("a", make), "");
    assert_eq!(in_container("a", seen), "/tmp/file-of-a\n/shared/place/inner\n1\n");
    assert_eq!(
        in_container("b", seen),
        "0\n",
        "of what is mounted on a volume nothing but its place is shared"
    );
    let of_machine = [std::process::id().cast_signed()].into_iter().chain(bench.shims());
    for pid in of_machine {
        let mounts = fs::read_to_string(format!("/proc/{pid}/mountinfo")).unwrap();
        assert!(!mounts.contains("tmpfs-of-a"), "process {pid}: {mounts}");
    }
    bench.remove("two.yaml").until_clean();
    assert_eq!(watch.stop(), 0);
}

#[test]
fn init_containers_come_first_and_a_sidecar_does_not_hold_the_pod() {
    let Some(bench) = Bench::new() else { return };
    bench.manifest("sidecar.yaml", include_str!("../../manifests/sidecar.yaml"));
    bench
        .run(&["up", "-f", bench.folder().to_str().unwrap()])
        .exits(0)
        .says("prepared 5 lines")
        .says("so far 15")
        .says("the sum is 15");
    bench.until_clean();
}

#[test]
fn a_memory_hog_is_killed_and_said_to_be_so() {
    let Some(bench) = Bench::new() else { return };
    let hog = "apiVersion: v1\nkind: Pod\nmetadata: {name: hog}\nspec:\n  restartPolicy: Never\n  containers:\n  \
               - name: hog\n    image: droppod.local/host\n    command: [perl, -e, '$x = \"x\" x 200_000_000; sleep 100']\n    \
               resources: {limits: {memory: 32Mi}}\n";
    bench.manifest("hog.yaml", hog);
    bench.run(&["up", "-f", bench.folder().to_str().unwrap()]).exits(10);
    let status = bench.read("hog.status.yaml");
    assert!(status.contains("reason: OOMKilled") && status.contains("exitCode: 137"), "{status}");
    bench.until_clean();
}

/// Where a controller keeps what it holds a container's processes to.
fn cgroup(bench: &Bench, pod: &str, controller: &str) -> PathBuf {
    let cgroups = fs::read_to_string(format!("/proc/{}/cgroup", bench.pids(pod, "main")[0])).unwrap();
    let of =
        |line: &&str| line.split(':').nth(1).is_some_and(|all| all.split(',').any(|it| it == controller));
    // Controllers of version 1 have hierarchies of their own.
    let path = match cgroups.lines().find(of) {
        Some(line) => format!("{controller}{}", line.rsplit_once(':').unwrap().1),
        None => cgroups.lines().find_map(|line| line.strip_prefix("0::/")).unwrap().to_owned(),
    };
    Path::new("/sys/fs/cgroup").join(path)
}

#[test]
fn limits_are_those_of_the_cgroup_and_hold() {
    let Some(bench) = Bench::new() else { return };
    let text = "apiVersion: v1\nkind: Pod\nmetadata: {name: bound}\nspec:\n  terminationGracePeriodSeconds: 1\n  containers:\n  \
                - name: main\n    image: droppod.local/host\n    command: [sleep, '1000']\n    \
                resources: {limits: {cpu: 500m, memory: 64Mi}}\n";
    bench.manifest("bound.yaml", text);
    let watch = bench.watch();
    bench.until_status("bound", "Running");
    // The one of version 1, or that of version 2.
    let limit = |controller: &str, names: [&str; 2]| {
        let cgroup = cgroup(&bench, "bound", controller);
        let text = names.iter().find_map(|name| fs::read_to_string(cgroup.join(name)).ok()).unwrap();
        text.split_whitespace().next().unwrap().to_owned()
    };
    assert_eq!(limit("memory", ["memory.limit_in_bytes", "memory.max"]), (64 << 20).to_string());
    assert_eq!(limit("cpu", ["cpu.cfs_quota_us", "cpu.max"]), "50000");

    let of_pod = cgroup(&bench, "bound", "pids").parent().unwrap().join("pids.max");
    assert_eq!(fs::read_to_string(&of_pod).unwrap(), "1024\n");
    // A thousand processes take a slow machine minutes.
    fs::write(&of_pod, "32").unwrap();
    let bomb = "$| = 1; my $n = 0; while (defined(my $pid = fork)) { $pid or exec \"sleep\", \"1000\"; $n++ } print $n; \
                kill(-9, getpgrp(0))";
    let said = bench.run(&["exec", "bound", "--", "setsid", "-w", "perl", "-e", bomb]).stdout;
    assert!((20..32).contains(&said.parse().unwrap_or(0)), "{said} forks");
    bench.remove("bound.yaml").until_clean();
    assert_eq!(watch.stop(), 0);
}

/// The kubelet's for containers; what looks after them comes last of all.
#[test]
fn oom_scores_are_those_of_each_class_and_of_a_pod_process() {
    const SYS_RESOURCE: u64 = 1 << 24;
    let Some(bench) = Bench::new() else { return };
    let own = |field: &str| {
        let status = fs::read_to_string("/proc/self/status").unwrap();
        status.lines().find_map(|line| line.strip_prefix(field)).unwrap().trim().to_owned()
    };
    let may_lower = u64::from_str_radix(&own("CapEff:"), 16).unwrap() & SYS_RESOURCE != 0;
    let machine = rustix::system::sysinfo();
    let quarter = machine.totalram * u64::from(machine.mem_unit) / 4;
    let burstable = format!("{{requests: {{memory: {quarter}}}}}");
    let classes = [
        ("guaranteed", "{limits: {cpu: 100m, memory: 64Mi}}", -997),
        ("burstable", &burstable, 750),
        ("best-effort", "{}", 1000),
    ];
    for (name, resources, _) in classes {
        bench.manifest(
            &format!("{name}.yaml"),
            &format!(
                "apiVersion: v1\nkind: Pod\nmetadata: {{name: {name}}}\nspec:\n  terminationGracePeriodSeconds: 1\n  \
                 containers:\n  - {{name: main, image: droppod.local/host, command: [sleep, '1000'], resources: {resources}}}\n"
            ),
        );
    }
    let watch = bench.watch();
    let score = |process: &str| -> i32 {
        fs::read_to_string(format!("/proc/{process}/oom_score_adj")).unwrap().trim().parse().unwrap()
    };
    let given = score("self");
    if !may_lower {
        say("skipped: no OOM score is below that of who started it without CAP_SYS_RESOURCE");
    }
    let here = |score: i32| if may_lower { score } else { score.max(given) };
    assert_eq!(score(&watch.child.id().to_string()), here(-999));
    for (name, _, expected) in classes {
        bench.until_status(name, "Running");
        assert_eq!(score(&bench.pids(name, "main")[0].to_string()), here(expected), "{name}");
        let said = bench.run(&["exec", name, "--", "cat", "/proc/self/oom_score_adj"]).exits(0).stdout;
        assert_eq!(said, format!("{}\n", here(expected)), "what is executed in {name}");
        let refused = here(expected) != expected;
        let status = bench.read(&format!("{name}.status.yaml"));
        assert_eq!(status.contains(&format!("cannot set oom_score_adj to {expected}")), refused, "{status}");
    }
    let shims = bench.shims();
    assert_eq!(shims.len(), classes.len());
    for pid in shims {
        assert_eq!(score(&pid.to_string()), here(-998), "a pod process");
    }
    for (name, ..) in classes {
        bench.remove(&format!("{name}.yaml"));
    }
    bench.until_clean();
    assert_eq!(watch.stop(), 0);
}

#[test]
fn a_program_that_is_not_there_is_named() {
    let Some(bench) = Bench::new() else { return };
    let text = "apiVersion: v1\nkind: Pod\nmetadata: {name: absent}\nspec:\n  restartPolicy: Never\n  containers:\n  \
                - {name: main, image: droppod.local/host, command: [no-such-program]}\n";
    bench.manifest("absent.yaml", text);
    bench.run(&["up", "-f", bench.folder().to_str().unwrap()]).exits(10);
    let status = bench.read("absent.status.yaml");
    assert!(
        status.contains("executable file not found in $PATH") && status.contains("StartError"),
        "{status}"
    );
    bench.until_clean();
}

#[test]
fn nothing_of_ours_reaches_the_program() {
    let Some(bench) = Bench::new() else { return };
    let script = "echo fds $(ls /proc/self/fd | tr '\\n' ' '); grep -E 'SigIgn|SigBlk|CapEff|CapBnd' /proc/self/status; \
                  echo env $(env | cut -d= -f1 | sort | tr '\\n' ' '); ls /root /home | wc -l";
    let out = up(&bench, &two(script, "true"));
    // `ls` has its own descriptor on the directory besides the three.
    assert!(out.contains("fds 0 1 2 3"), "{out}");
    assert!(!out.contains("fds 0 1 2 3 4"), "{out}");
    assert!(out.contains("SigBlk:\t0000000000000000"), "{out}");
    assert!(out.contains("SigIgn:\t0000000000000000"), "{out}");
    assert!(!out.contains("DROPPOD"), "{out}");
}

#[test]
fn configuration_reaches_the_pod_as_environment_and_files() {
    let Some(bench) = Bench::new() else { return };
    bench.manifest("config.yaml", include_str!("../../manifests/configmap.yaml"));
    let watch = bench.watch();
    bench.until_status("reader", "Running");
    bench.until("the pod has read it", || {
        bench.run(&["logs", "reader"]).stdout.contains("good morning, colour = green")
    });
    let pids = bench.pids("reader", "reader");
    let changed = include_str!("../../manifests/configmap.yaml").replace("colour = green", "colour = blue");
    bench.manifest("config.yaml", &changed);
    bench.until("the change has reached it", || {
        bench.run(&["logs", "reader"]).stdout.contains("colour = blue")
    });
    assert_eq!(bench.pids("reader", "reader").first(), pids.first(), "the container was restarted");
    let out = bench.run(&["exec", "reader", "--", "stat", "-Lc", "%a", "/token/token"]).exits(0).stdout;
    assert_eq!(out, "400\n");
    bench.remove("config.yaml");
    bench.until_clean();
    assert_eq!(watch.stop(), 0);
}

#[test]
fn pods_reach_each_other_by_address() {
    let Some(bench) = Bench::new() else { return };
    let server = "apiVersion: v1\nkind: Pod\nmetadata: {name: server}\nspec:\n  terminationGracePeriodSeconds: 1\n  containers:\n  - name: server\n    \
                  image: droppod.local/host\n    command: [perl, -MIO::Socket::INET, -e]\n    args:\n    - |\n      \
                  my $s = IO::Socket::INET->new(Listen => 9, LocalPort => 8080, ReuseAddr => 1) or die;\n      \
                  while (my $c = $s->accept) { print $c \"hello \" . $c->peerhost . \"\\n\"; close $c }\n";
    bench.manifest("server.yaml", server);
    let watch = bench.watch();
    bench.until_status("server", "Running");
    if bench.said("no network, pods have the loopback alone") {
        say("skipped: this kernel has no address translation by nf_tables");
        return;
    }
    let address = bench.column("server", 5);
    let client = format!(
        "apiVersion: v1\nkind: Pod\nmetadata: {{name: client}}\nspec:\n  restartPolicy: OnFailure\n  containers:\n  - name: client\n    \
         image: droppod.local/host\n    command: [bash, -c, 'exec 3<>/dev/tcp/{address}/8080 && cat <&3 && echo my own is $POD_IP']\n    \
         env: [{{name: POD_IP, valueFrom: {{fieldRef: {{fieldPath: status.podIP}}}}}}]\n"
    );
    bench.manifest("client.yaml", &client);
    bench.until_status("client", "Completed");
    let said = bench.run(&["logs", "client"]).stdout;
    let own = said.lines().find_map(|line| line.strip_prefix("my own is ")).unwrap_or_default();
    assert!(said.contains(&format!("hello {own}")), "no masquerading between pods: {said}");
    assert_ne!(own, address);
    bench.remove("server.yaml").remove("client.yaml");
    bench.until_clean();
    assert_eq!(watch.stop(), 0);
}
