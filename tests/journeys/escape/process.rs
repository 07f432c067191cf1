//! By processes of ours that enter a container, and by what they bring along.

use std::fs;

use sha2::{Digest, Sha256};

use super::{Prison, races};

fn binary() -> String {
    let bytes = fs::read(env!("CARGO_BIN_EXE_droppod")).unwrap();
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Runs a script in a pod without end, and an exec after the other beside it; then what both said.
fn beside_execs(prison: &Prison, script: &str, spec: &str, rounds: usize) -> String {
    let context = "    securityContext: {runAsUser: 0}\n";
    // Before the watcher, which would run what an earlier attempt has left in the folder.
    prison.bench.manifest("one.yaml", &prison.pod(spec, context, &format!("echo looking; {script}")));
    let watch = prison.bench.watch();
    let said = || prison.bench.run(&["logs", "one"]).stdout;
    prison.bench.until("it looks", || said() == "looking\n");
    for _ in 0..rounds {
        prison.bench.run(&["exec", "one", "--", "/bin/busybox", "true"]).exits(0);
    }
    let said = said();
    prison.bench.remove("one.yaml");
    prison.bench.until_clean();
    assert_eq!(watch.stop(), 0);
    said
}

fn with_command(pod: &str, command: &str) -> String {
    let start = pod.find("command: ").unwrap();
    let end = start + pod[start..].find('\n').unwrap();
    format!("{}command: {command}{}", &pod[..start], &pod[end..])
}

#[test]
fn cve_2019_5736_proc_self_exe_is_not_overwritten() {
    let Some(prison) = Prison::new() else { return };
    let before = binary();
    let script = "while :; do for p in /proc/[0-9]*; do \
                  case $(/bin/busybox readlink $p/exe 2>/dev/null) in *busybox*|'') ;; \
                  *) (: >> $p/exe) 2>/dev/null && echo ESCAPED by $p;; esac; done; done";
    let said = beside_execs(&prison, script, "", races(50));
    assert!(!said.contains("ESCAPED"), "{said}");
    assert_eq!(binary(), before);
    prison.holds();
}

#[test]
fn cve_2019_5736_by_an_entry_point_that_is_proc_self_exe() {
    let Some(prison) = Prison::new() else { return };
    let before = binary();
    let pod = prison.pod("", "    securityContext: {runAsUser: 0}\n", "true");
    // What it runs is the sealed copy, which cannot be written.
    let ran = prison.run(&with_command(&pod, "[/proc/self/exe, version]"));
    assert!(ran.stdout.contains(concat!("| droppod ", env!("CARGO_PKG_VERSION"), "\n")), "{ran:#?}");
    prison.holds();
    assert_eq!(binary(), before);
}

#[test]
fn proc_self_exe_is_not_taken_from_those_who_run_it_next() {
    let Some(prison) = Prison::new() else { return };
    let pod = prison.pod("", "    stdin: true\n    securityContext: {runAsUser: 0}\n", "true");
    // It waits for a manifest, and is the binary that every process of droppod's runs from.
    prison.bench.manifest("one.yaml", &with_command(&pod, "[/proc/self/exe, validate, -f, '-']"));
    let watch = prison.bench.watch();
    prison.bench.until_status("one", "Running");
    let busybox = |words: &[&str]| {
        let words = [&["exec", "one", "--", "/bin/busybox"], words].concat();
        prison.bench.run(&words)
    };
    for taken in [["chmod", "0"], ["chown", "1"], ["truncate", "-s0"]] {
        let refused = busybox(&[&taken[..], &["/proc/1/exe"]].concat()).exits(1);
        assert!(refused.stderr.contains("Read-only file system"), "{refused:#?}");
    }
    busybox(&["true"]).exits(0);
    prison.bench.remove("one.yaml");
    prison.bench.until_clean();
    assert_eq!(watch.stop(), 0);
}

#[test]
fn cve_2016_9962_no_directory_of_the_host_is_seen_through_what_enters() {
    let Some(prison) = Prison::new() else { return };
    let script = "while :; do for p in /proc/[0-9]*; do \
                  test -e $p/root$OUTSIDE/secret && echo ESCAPED by $p/root; \
                  test -e $p/cwd/$OUTSIDE/secret && echo ESCAPED by $p/cwd; \
                  for f in $p/fd/*; do test -d $f/ && test -e $f/../../../../..$OUTSIDE/secret && echo ESCAPED by $f; done; \
                  done; done 2>/dev/null";
    let said = beside_execs(&prison, script, "", races(50));
    assert!(!said.contains("ESCAPED"), "{said}");
    prison.holds();
}

#[test]
fn cve_2024_21626_a_working_directory_is_no_leaked_descriptor() {
    let Some(prison) = Prison::new() else { return };
    let container = "    workingDir: /proc/self/fd/3\n    securityContext: {runAsUser: 0}\n";
    let script = "for f in ../../../../../../..$OUTSIDE/secret ./$OUTSIDE/secret; do \
                  cat $f 2>/dev/null && echo ESCAPED; done; echo OVER";
    let alone = prison.pod("", container, script);
    let (_, like) = alone.split_once("  - name: main\n").unwrap();
    let numbers = 4..24;
    let others = numbers.clone().map(|number| {
        let container = like.replace("/fd/3", &format!("/fd/{number}"));
        format!("  - name: main{number}\n{container}")
    });
    let ran = prison.run(&format!("{alone}{}", others.collect::<String>()));
    assert!(!ran.stdout.contains(" | "), "{ran:#?}");
    // None, or no directory, or one that is not below the container's root.
    let refused =
        prison.refusals(&["failed to chdir", "failed to verify if current working directory is safe"]);
    assert_eq!(refused, 1 + numbers.len(), "{}", prison.bench.read("one.status.yaml"));
    prison.holds();
}

#[test]
fn cve_2024_21626_a_working_directory_that_becomes_a_link_leads_an_exec_nowhere() {
    let Some(prison) = Prison::new() else { return };
    let container = "    workingDir: /w\n    securityContext: {runAsUser: 0}\n";
    let swap = "cd /; rmdir /w; while :; do for n in $(seq 3 28); do for p in self 1; do \
                ln -s /proc/$p/fd/$n /w; rm /w; done; done; mkdir /w; rmdir /w; done 2>/dev/null";
    prison.bench.manifest("one.yaml", &prison.pod("", container, swap));
    let watch = prison.bench.watch();
    prison.bench.until_status("one", "Running");
    let look = "test -e ../../../../../../..$OUTSIDE/secret && echo ESCAPED; test -e .$OUTSIDE/secret && echo ESCAPED; pwd -P";
    for _ in 0..100 {
        // Refused, in the directory, or nowhere.
        let ran = prison.bench.run(&["exec", "one", "--", "/bin/busybox", "sh", "-c", look]);
        assert!(!ran.stdout.contains("ESCAPED"), "{ran:#?}");
        assert!(ran.code == 0 || ran.stderr.contains("working directory"), "{ran:#?}");
    }
    prison.bench.remove("one.yaml");
    prison.bench.until_clean();
    assert_eq!(watch.stop(), 0);
    prison.holds();
}

#[test]
fn cve_2024_21626_no_descriptor_is_inherited() {
    let Some(prison) = Prison::new() else { return };
    let out = prison.attempt("", "", "echo fds $(ls /proc/self/fd)");
    assert!(out.contains("fds 0 1 2 3\n"), "{out}");
    let said = beside_execs(&prison, "sleep 1000", "", 1);
    assert_eq!(said, "looking\n");
}

#[test]
fn an_exec_has_no_descriptor_of_ours() {
    let Some(prison) = Prison::new() else { return };
    let watch = prison.bench.watch();
    prison.bench.manifest("one.yaml", &prison.pod("", "    securityContext: {runAsUser: 0}\n", "sleep 1000"));
    prison.bench.until_status("one", "Running");
    let out = prison.bench.run(&["exec", "one", "--", "/bin/ls", "/proc/self/fd"]).exits(0).stdout;
    assert_eq!(out.split_whitespace().collect::<Vec<_>>(), ["0", "1", "2", "3"]);
    prison.bench.remove("one.yaml");
    prison.bench.until_clean();
    assert_eq!(watch.stop(), 0);
}

/// A caller that was socket-activated, or is careless, hands down more than the standard streams.
#[test]
fn cve_2024_21626_what_the_caller_has_open_stays_outside() {
    let Some(prison) = Prison::new() else { return };
    let script = "exec 3</; for n in $(seq 4 53); do eval \"exec $n<$OUTSIDE\"; done; LISTEN_FDS=50 LISTEN_PID=$$ exec \"$@\"";
    let crowded = |args: &[&str]| {
        let mut command = prison.bench.program("bash");
        command.args(["-c", script, "bash"]).env("OUTSIDE", prison.outside());
        let plain = prison.bench.command(args);
        command.arg(plain.get_program()).args(plain.get_args());
        // Those that the bench gives to every command.
        for (name, value) in plain.get_envs() {
            if let Some(value) = value {
                command.env(name, value);
            }
        }
        let ran = command.output().unwrap();
        (String::from_utf8_lossy(&ran.stdout).into_owned(), String::from_utf8_lossy(&ran.stderr).into_owned())
    };
    let look = "echo fds $(ls /proc/self/fd) env $(env | grep -c LISTEN)";
    prison.bench.manifest("one.yaml", &prison.pod("", "    securityContext: {runAsUser: 0}\n", look));
    let folder = prison.bench.folder();
    let said = crowded(&["up", "--timeout", "60s", "-f", folder.to_str().unwrap()]);
    assert!(said.0.contains("fds 0 1 2 3 env 0\n"), "{said:?}");
    prison.bench.remove("one.yaml");
    prison.bench.until_clean();
    prison.bench.manifest("one.yaml", &prison.pod("", "    securityContext: {runAsUser: 0}\n", "sleep 1000"));
    crowded(&["watch", "--once", folder.to_str().unwrap()]);
    prison.bench.until_status("one", "Running");
    let said = crowded(&["exec", "one", "--", "/bin/busybox", "sh", "-c", look]);
    assert_eq!(said.0, "fds 0 1 2 3 env 0\n", "{said:?}");
    prison.bench.remove("one.yaml");
    crowded(&["watch", "--once", folder.to_str().unwrap()]);
    prison.bench.until_clean();
    prison.holds();
}

/// By perl of the host's own root, which can make any system call; `spec` comes before the container, `context` is a line
/// of its `securityContext`.
fn perl(prison: &Prison, spec: &str, context: &str, script: &str) -> String {
    let text = format!(
        "apiVersion: v1\nkind: Pod\nmetadata: {{name: one}}\nspec:\n  restartPolicy: Never\n{spec}  containers:\n  \
         - name: main\n    image: droppod.local/host\n    command: [perl, -e, {:?}]\n    securityContext: {context}\n",
        format!("{script}; print \"OVER\\n\"")
    );
    let ran = prison.run(&text);
    assert!(ran.stdout.contains("OVER") && !ran.stdout.contains("ESCAPED"), "{ran:#?}");
    prison.bench.until_clean();
    ran.stdout
}

/// Each call, by the word that `script` hands to `told` with whether it has succeeded, is refused by its being forbidden. That
/// it is not by anything else is shown by a container that nothing is forbidden to: there, the answer begins like this.
#[track_caller]
fn refused_unless_privileged(prison: &Prison, spec: &str, script: &str, words: &[&str], answer: &str) {
    let told = "sub told { print \"$_[0]: \", $_[1] ? 'done' : $!{EPERM} ? 'EPERM' : $!, \"\\n\" } $| = 1";
    let said = |context| perl(prison, spec, context, &format!("{told}; {script}"));
    let (by_default, privileged) = (said("{}"), said("{privileged: true}"));
    for word in words {
        assert!(by_default.contains(&format!("| {word}: EPERM\n")), "{word}: {by_default}");
        let allowed = privileged.contains(&format!("| {word}: {answer}"));
        assert!(allowed && !privileged.contains(&format!("| {word}: EPERM\n")), "{word}: {privileged}");
    }
}

#[test]
fn a_chroot_is_left_for_the_root_of_the_container_only() {
    let Some(prison) = Prison::new() else { return };
    // The state directory is masked in a container and there on the host.
    fs::create_dir_all(prison.bench.path("s")).unwrap();
    let secret = prison.bench.path("s/secret");
    fs::write(&secret, "x").unwrap();
    let script = format!(
        "mkdir '/tmp/j'; chroot '/tmp/j' or die; chdir '..' for 1..99; chroot '.'; print 'ESCAPED' if -e '{}'",
        secret.display()
    );
    perl(&prison, "", "{}", &script);
}

/// Of a file that can be reached any other by its number in the file system; here, the file itself.
#[test]
fn shocker_open_by_handle_at_is_refused() {
    let Some(prison) = Prison::new() else { return };
    // name_to_handle_at, with room for the greatest handle; open_by_handle_at.
    let script = "my ($p, $h, $m) = ('/etc/hostname', pack('Ii', 128, 0) . ' ' x 128, pack('i', 0)); \
                  syscall(303, -100, $p, $h, $m, 0) == 0 or die \"handle: $!\"; open(my $f, '<', $p) or die; \
                  told('open', syscall(304, fileno($f), $h, 0) >= 0)";
    refused_unless_privileged(&prison, "", script, &["open"], "done");
}

/// Of a pod whose processes it sees, and may look into as far as an equal may.
#[test]
fn namespaces_of_others_cannot_be_entered() {
    let Some(prison) = Prison::new() else { return };
    let mark = prison.bench.path("neighbour").display().to_string();
    let neighbour = format!(
        "apiVersion: v1\nkind: Pod\nmetadata: {{name: neighbour}}\nspec:\n  terminationGracePeriodSeconds: 1\n  containers:\n  \
         - {{name: main, image: droppod.local/host, command: [perl, -e, sleep, {mark}]}}\n"
    );
    prison.bench.manifest("neighbour.yaml", &neighbour);
    // In a child each: who has entered one may not find its way into the next.
    let script = format!(
        "my $other; until ($other) {{ for my $p (glob '/proc/[0-9]*') {{ open(my $f, '<', \"$p/cmdline\") or next; \
         $other = $p if <$f> eq \"perl\\0-e\\0sleep\\0{mark}\\0\" }} }} \
         for my $n (qw(mnt net pid ipc uts cgroup)) {{ my $c = fork; $c and waitpid($c, 0) and next; \
         readlink(\"$other/ns/$n\") ne readlink(\"/proc/self/ns/$n\") or die \"$n is its own\"; \
         open(my $f, '<', \"$other/ns/$n\") or die \"$n: $!\"; told($n, syscall(308, fileno($f), 0) == 0); exit }}"
    );
    let names = ["mnt", "net", "pid", "ipc", "uts", "cgroup"];
    refused_unless_privileged(&prison, "  hostPID: true\n", &script, &names, "done");
}

/// With arguments that nothing comes of where the call is not refused.
#[test]
fn kernel_modules_and_reboot_are_refused() {
    let Some(prison) = Prison::new() else { return };
    // init_module and finit_module of nothing, delete_module of none, reboot without its magic numbers, kexec_load of more
    // segments than there can be.
    let script = "my $n = ''; told('init', syscall(175, $n, 0, $n) == 0); told('finit', syscall(313, -1, $n, 0) == 0); \
                  told('delete', syscall(176, $n, 0) == 0); told('reboot', syscall(169, 0, 0, 0, 0) == 0); \
                  told('kexec', syscall(246, 0, 1000, 0, 0) == 0)";
    refused_unless_privileged(&prison, "", script, &["init", "finit", "delete", "reboot", "kexec"], "");
}

#[test]
fn what_enters_a_container_cannot_be_traced() {
    let Some(prison) = Prison::new() else { return };
    let script = "$| = 1; print \"looking\\n\"; while (1) { for my $p (glob '/proc/[0-9]*') { my $e = readlink \"$p/exe\" // next; \
                  next unless $e =~ /droppod|memfd/; my ($n) = $p =~ /(\\d+)/; \
                  print \"ESCAPED $e\\n\" if syscall(101, 16, $n + 0, 0, 0) == 0; } }";
    let text = format!(
        "apiVersion: v1\nkind: Pod\nmetadata: {{name: one}}\nspec:\n  terminationGracePeriodSeconds: 1\n  containers:\n  \
         - name: main\n    image: droppod.local/host\n    command: [perl, -e, {script:?}]\n"
    );
    let watch = prison.bench.watch();
    prison.bench.manifest("one.yaml", &text);
    let said = || prison.bench.run(&["logs", "one"]).stdout;
    prison.bench.until("it looks", || said() == "looking\n");
    for _ in 0..races(50) {
        prison.bench.run(&["exec", "one", "--", "true"]).exits(0);
    }
    let said = said();
    assert!(!said.contains("ESCAPED"), "{said}");
    prison.bench.remove("one.yaml");
    prison.bench.until_clean();
    assert_eq!(watch.stop(), 0);
}
