//! Inits that start droppod as `examples/` has it, each the first process of a PID namespace of its own.

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

use crate::bench::{Bench, say, wait_at_most};

/// `/etc`, `/usr/local/bin` and `/proc` of its own, and droppod's directories in the bench.
const FURNISH: &str = "
    set -e
    mkdir $PLACE/etc; mount -t tmpfs none $PLACE/etc; mkdir $PLACE/etc/upper $PLACE/etc/work
    mount -t overlay none -o lowerdir=/etc,upperdir=$PLACE/etc/upper,workdir=$PLACE/etc/work /etc
    mount -t tmpfs none /usr/local/bin; ln -s $PROGRAM /usr/local/bin/droppod
    mkdir -p /etc/droppod/manifests /etc/droppod/batch; cp $PLACE/m/* /etc/droppod/manifests
    printf 'state-dir: %s\\nrun-dir: %s\\nlog-dir: %s\\n' $PLACE/s $PLACE/r $PLACE/l > /etc/droppod/config.yaml
    ip link set lo up
    mount -t proc none /proc
";

struct Machine {
    outer: Child,
}

impl Machine {
    /// The script ends by executing the init.
    fn boot(bench: &Bench, script: &str) -> Machine {
        let log = fs::File::create(bench.path("err")).unwrap();
        let outer = Command::new("unshare")
            .args(["--pid", "--fork", "--kill-child", "--mount", "--propagation", "slave", "--net", "--"])
            .args(["sh", "-c", &format!("{FURNISH}{script}")])
            .env("PLACE", bench.folder().parent().unwrap())
            .env("PROGRAM", env!("CARGO_BIN_EXE_droppod"))
            .env("EXAMPLES", Path::new(env!("CARGO_MANIFEST_DIR")).join("examples"))
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        Machine { outer }
    }

    fn init(&self) -> String {
        let id = self.outer.id();
        fs::read_to_string(format!("/proc/{id}/task/{id}/children")).unwrap().trim().to_owned()
    }

    fn run(&self, words: &[&str]) -> Output {
        let mut command = Command::new("nsenter");
        command.args(["--target", &self.init(), "--mount", "--pid", "--net", "--"]).args(words);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        wait_at_most(command.spawn().unwrap(), &words.join(" "), std::time::Duration::from_secs(60))
    }

    /// What a command prints that succeeds.
    #[track_caller]
    fn says(&self, words: &[&str]) -> String {
        let output = self.run(words);
        assert!(output.status.success(), "{words:?}: {output:?}");
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        drop(self.outer.kill());
        drop(self.outer.wait());
    }
}

/// Whether there is a program that answers this with success.
fn is_there(program: &str, argument: &str) -> bool {
    let asked = Command::new(program).arg(argument).stdout(Stdio::null()).stderr(Stdio::null()).status();
    asked.is_ok_and(|status| status.success())
}

#[test]
fn a_shutdown_by_busybox_gives_pods_their_grace() {
    let Some(bench) = Bench::new() else { return };
    if !is_there("busybox", "--list") {
        say("skipped: there is no busybox");
        return;
    }
    let out = bench.path("out");
    fs::create_dir(&out).unwrap();
    // Longer than the second that busybox gives by itself.
    let script =
        "trap 'sleep 3; echo stopped > /out/said; exit' TERM; echo up > /out/said; sleep 1000 & wait";
    bench.manifest(
        "pod.yaml",
        &format!(
            "apiVersion: v1\nkind: Pod\nmetadata: {{name: slow}}\nspec:\n  volumes: [{{name: out, hostPath: {{path: \
             {}}}}}]\n  containers:\n  - name: main\n    image: droppod.local/host\n    volumeMounts: [{{name: out, \
             mountPath: /out}}]\n    command: [bash, -c, {script:?}]\n",
            out.display()
        ),
    );
    let mut machine = Machine::boot(&bench, "cp $EXAMPLES/busybox/inittab /etc/inittab; exec busybox init");
    let said = || fs::read_to_string(out.join("said")).unwrap_or_default();
    bench.until("the pod runs", || said() == "up\n");
    assert!(Command::new("kill").args(["-USR2", &machine.init()]).status().unwrap().success());
    bench.until("it is off", || machine.outer.try_wait().unwrap().is_some());
    assert_eq!(said(), "stopped\n", "{}", bench.log());
    bench.until_clean();
}

/// Units that droppod's own are ordered after, without anything of the machine's.
const UNITS: &str = "
    export container=test
    mount -t tmpfs none /run; mkdir /run/lock /run/droppod
    for place in /lib/systemd/system /lib/systemd/system-generators /etc/systemd/system; do
        mkdir -p $place; mount -t tmpfs none $place
    done
    rm -f /etc/fstab
    cp $EXAMPLES/systemd/* /etc/systemd/system; mv /etc/droppod/manifests/batch.yaml /etc/droppod/batch
    mkdir /etc/systemd/system/droppod-batch.timer.d
    printf '[Timer]\\nOnActiveSec=1s\\nAccuracySec=1ms\\nRandomizedDelaySec=0\\n' > /etc/systemd/system/droppod-batch.timer.d/soon.conf
    for name in sysinit basic multi-user timers local-fs network shutdown umount final network-online default; do
        printf '[Unit]\\nDefaultDependencies=no\\n' > /lib/systemd/system/$name.target
    done
    printf 'Wants=droppod.service droppod-batch.timer\\n' >> /lib/systemd/system/default.target
    exec /lib/systemd/systemd --system --unit=default.target --log-target=null --show-status=no
";

#[test]
fn the_units_of_systemd_run_a_folder_and_a_batch() {
    let Some(bench) = Bench::new() else { return };
    if !Path::new("/lib/systemd/systemd").exists() {
        say("skipped: there is no systemd");
        return;
    }
    if Path::new("/run/systemd/system").exists() {
        say("skipped: two of them would have the same control groups");
        return;
    }
    bench.manifest(
        "pod.yaml",
        "apiVersion: v1\nkind: Pod\nmetadata: {name: steady}\nspec:\n  terminationGracePeriodSeconds: 1\n  containers:\n  \
         - {name: main, image: droppod.local/host, command: [sleep, '1000']}\n",
    );
    bench.manifest(
        "batch.yaml",
        "apiVersion: v1\nkind: Pod\nmetadata: {name: nightly}\nspec:\n  restartPolicy: Never\n  containers:\n  \
         - {name: main, image: droppod.local/host, command: ['true']}\n",
    );
    let machine = Machine::boot(&bench, UNITS);
    let show =
        |unit: &str, property: &str| machine.says(&["systemctl", "show", unit, "--value", "-p", property]);
    let pid = || machine.says(&["droppod", "exec", "steady", "--", "readlink", "/proc/self/ns/pid"]);
    bench.until("the folder is watched", || {
        let shown = machine.run(&["systemctl", "show", "droppod", "--value", "-p", "StatusText"]);
        String::from_utf8_lossy(&shown.stdout).trim() == "1 pods run; 1 files"
    });
    machine.says(&["droppod", "wait", "pod/steady", "--for=condition=Ready", "--timeout=50s"]);
    let before = pid();
    for (verb, state) in
        [("reload", "active"), ("restart", "active"), ("stop", "inactive"), ("start", "active")]
    {
        machine.says(&["systemctl", verb, "droppod"]);
        assert_eq!(show("droppod", "ActiveState"), state, "{verb}");
        assert_eq!(pid(), before, "the pod outlives {verb}");
    }
    assert_eq!(show("droppod", "NRestarts"), "0");
    assert_eq!(show("droppod-batch.timer", "ActiveState"), "active");
    bench.until("the timer has had the batch run", || {
        show("droppod-batch.service", "ExecMainExitTimestampMonotonic") != "0"
    });
    assert_ne!(show("droppod-batch.timer", "LastTriggerUSecMonotonic"), "0");
    assert_eq!(show("droppod-batch.service", "Result"), "success");
    assert_eq!(show("droppod-batch.service", "SuccessExitStatus"), "130");
    machine.says(&["systemctl", "stop", "droppod"]);
    machine.says(&["droppod", "down", "--all"]);
    drop(machine);
    bench.until_clean();
    // What this systemd has made in hierarchies that are the machine's.
    for hierarchy in fs::read_dir("/sys/fs/cgroup").unwrap().map(|entry| entry.unwrap().path()) {
        for name in [
            "system.slice/droppod.service",
            "system.slice/droppod-batch.service",
            "system.slice",
            "init.scope",
        ] {
            drop(fs::remove_dir(hierarchy.join(name)));
        }
    }
}
