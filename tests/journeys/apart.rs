//! What one pod has of another, and of the machine.

use crate::bench::{Bench, say};
use crate::confinement::posture;

/// A pod of one container on the host's own root; `context` is a line of its `securityContext`.
fn pod(name: &str, context: &str, command: &str) -> String {
    format!(
        "apiVersion: v1\nkind: Pod\nmetadata: {{name: {name}}}\nspec:\n  terminationGracePeriodSeconds: 1\n  \
         restartPolicy: Never\n  containers:\n  - name: main\n    image: droppod.local/host\n    \
         command: {command}\n    securityContext: {context}\n"
    )
}

const SLEEP: &str = "[sleep, infinity]";

/// Two of them, which do nothing.
fn pair(bench: &Bench, context: &str) {
    for name in ["one", "other"] {
        bench.manifest(&format!("{name}.yaml"), &pod(name, context, SLEEP));
        bench.until_status(name, "Running");
    }
}

fn exec(bench: &Bench, pod: &str, program: &str, script: &str) -> String {
    let flag = if program == "perl" { "-e" } else { "-c" };
    bench.run(&["exec", pod, "--", program, flag, script]).exits(0).stdout.trim().to_owned()
}

#[test]
fn two_pods_see_nothing_of_each_others_shared_memory_semaphores_and_queues() {
    let Some(bench) = Bench::new() else { return };
    let watch = bench.watch();
    pair(&bench, "{}");
    // Key 4711; create, and read and write for the owner.
    let make = "print defined shmget(4711, 4096, 01600) ? 1 : 0, defined semget(4711, 1, 01600) ? 1 : 0, \
                defined msgget(4711, 01600) ? 1 : 0";
    let look = "print defined shmget(4711, 0, 0) ? 1 : 0, defined semget(4711, 0, 0) ? 1 : 0, \
                defined msgget(4711, 0) ? 1 : 0";
    assert_eq!(exec(&bench, "one", "perl", make), "111");
    assert_eq!(exec(&bench, "one", "perl", look), "111", "they outlive who made them");
    assert_eq!(exec(&bench, "other", "perl", look), "000");
    exec(&bench, "one", "bash", "echo x > /dev/shm/4711; : > /dev/mqueue/4711");
    assert_eq!(exec(&bench, "one", "bash", "ls /dev/shm /dev/mqueue | grep -c 4711"), "2");
    assert_eq!(exec(&bench, "other", "bash", "ls /dev/shm /dev/mqueue | grep -c 4711 || true"), "0");
    assert_eq!(posture("IPC, /dev/shm"), "the pod's own");
    for name in ["one.yaml", "other.yaml"] {
        bench.remove(name);
    }
    bench.until_clean();
    assert_eq!(watch.stop(), 0);
}

#[test]
fn a_key_of_one_pod_is_not_read_by_another_even_without_a_filter() {
    if cfg!(not(target_arch = "x86_64")) {
        say("skipped: the calls are those of x86_64");
        return;
    }
    let Some(bench) = Bench::new() else { return };
    let watch = bench.watch();
    // add_key to the session keyring; keyctl: read a key by its number, search the session keyring.
    let key = "my ($t, $d) = ('user', 'dp4711')";
    let add = format!("{key}; my $v = 'hush'; my $k = syscall(248, $t, $d, $v, 4, -3); print $k");
    let read = |number: &str| {
        format!(
            "{key}; my $b = ' ' x 64; my $n = syscall(250, 11, {number} + 0, $b, 64); print $n > 0 ? substr($b, 0, $n) : 'refused', ' '; \
             print syscall(250, 10, -3, $t, $d, 0) > 0 ? 'found' : 'not found'"
        )
    };
    pair(&bench, "{seccompProfile: {type: Unconfined}}");
    // Kept by a process that goes on: a session keyring goes with the last that has it.
    bench.manifest(
        "keeper.yaml",
        &pod(
            "keeper",
            "{seccompProfile: {type: Unconfined}}",
            &format!("[perl, -e, {:?}]", format!("$| = 1; {add}, \"\\n\"; sleep")),
        ),
    );
    bench.until_status("keeper", "Running");
    let number = || bench.run(&["logs", "keeper"]).stdout.trim().to_owned();
    bench.until("the key is there", || !number().is_empty());
    assert!(number().parse::<u32>().is_ok_and(|number| number > 0), "{}", number());
    for other in ["one", "keeper"] {
        let seen = exec(&bench, other, "perl", &read(&number()));
        assert_eq!(
            seen, "refused not found",
            "{other}: also what is executed beside it has a keyring of its own"
        );
    }
    bench.remove("one.yaml").remove("other.yaml").remove("keeper.yaml");
    bench.until_clean();
    bench.manifest("plain.yaml", &pod("plain", "{}", SLEEP));
    bench.until_status("plain", "Running");
    assert_eq!(
        exec(
            &bench,
            "plain",
            "perl",
            "my @a = qw(user a b); print syscall(248, @a, 1, -3), $!{EPERM} ? ' EPERM' : ''"
        ),
        "-1 EPERM"
    );
    bench.remove("plain.yaml");
    bench.until_clean();
    assert_eq!(watch.stop(), 0);
}

#[test]
fn shared_memory_is_full_at_its_size_and_harms_nobody_else() {
    let Some(bench) = Bench::new() else { return };
    let watch = bench.watch();
    pair(&bench, "{}");
    let fill = "dd if=/dev/zero of=/dev/shm/fill bs=1M count=100 2>&1 | grep -o 'No space left on device'; stat -c %s /dev/shm/fill";
    let said = exec(&bench, "one", "bash", fill);
    let size = said.strip_prefix("No space left on device\n").and_then(|size| size.parse::<u64>().ok());
    assert_eq!(size.map(|size| format!("{} MiB", size >> 20)), Some(posture("/dev/shm of a pod")), "{said}");
    assert_eq!(
        exec(
            &bench,
            "other",
            "bash",
            "dd if=/dev/zero of=/dev/shm/x bs=1M count=60 2>/dev/null && echo room"
        ),
        "room"
    );
    bench.manifest("late.yaml", &pod("late", "{}", "['true']"));
    bench.until_status("late", "Completed");
    bench.remove("one.yaml").remove("other.yaml").remove("late.yaml");
    bench.until_clean();
    assert_eq!(watch.stop(), 0);
}

/// A choice, and that of others: what answers at link-local addresses tells a machine in a cloud who it is.
#[test]
fn the_metadata_service_and_services_of_the_machine_are_reached_as_under_kubernetes() {
    let Some(bench) = Bench::new() else { return };
    let added = bench.program("ip").args(["address", "add", "169.254.169.254/32", "dev", "lo"]).status();
    assert!(added.unwrap().success());
    let server = "use IO::Socket::INET; my $s = IO::Socket::INET->new(Listen => 9, LocalAddr => '0.0.0.0', LocalPort => 8053) or die; \
                  while (my $c = $s->accept) { print $c qq(here\\n); close $c }";
    let _server = bench.start_program("perl", &["-e", server]);
    let watch = bench.watch();
    bench.manifest("one.yaml", &pod("one", "{}", SLEEP));
    bench.until_status("one", "Running");
    let ask = |address: &str| {
        format!(
            "timeout 5 bash -c 'head -n 1 < /dev/tcp/{address}/8053' 2> /dev/null | grep -q here && echo reachable || echo closed"
        )
    };
    let gateway = "$(while read -r i d g r; do [ \"$d\" = 00000000 ] && printf '%d.%d.%d.%d' 0x${g:6:2} 0x${g:4:2} 0x${g:2:2} 0x${g:0:2}; done < /proc/net/route)";
    let seen = || exec(&bench, "one", "bash", &ask("169.254.169.254"));
    bench.until("the server answers", || seen() == "reachable");
    assert_eq!(posture("metadata service, services of the machine"), seen());
    let of_machine = format!("a={gateway}; {}", ask("'$a'"));
    assert_eq!(
        exec(&bench, "one", "bash", &of_machine),
        posture("metadata service, services of the machine")
    );
    bench.remove("one.yaml");
    bench.until_clean();
    assert_eq!(watch.stop(), 0);
}

#[test]
fn a_pod_that_asks_for_nothing_has_no_limit_of_memory() {
    let Some(bench) = Bench::new() else { return };
    let watch = bench.watch();
    bench.manifest("one.yaml", &pod("one", "{}", SLEEP));
    bench.until_status("one", "Running");
    let script =
        "cat /sys/fs/cgroup/memory/memory.limit_in_bytes /sys/fs/cgroup/memory.max 2> /dev/null | head -n 1";
    let limit = exec(&bench, "one", "bash", script);
    // The most that version 1 can say is a little less than 2^63.
    let none = limit == "max" || limit.parse::<u64>().is_ok_and(|limit| limit > 1 << 62);
    assert_eq!(posture("memory"), if none { "no limit".to_owned() } else { limit });
    bench.remove("one.yaml");
    bench.until_clean();
    assert_eq!(watch.stop(), 0);
}
