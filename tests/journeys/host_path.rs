//! hostPath volumes: each type, and what passes between the host and the container.

use std::fs;
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::Command;

use crate::bench::Bench;

fn pod(path: &Path, kind: &str, mount: &str, container: &str, script: &str) -> String {
    format!(
        "apiVersion: v1\nkind: Pod\nmetadata: {{name: one}}\nspec:\n  restartPolicy: Never\n  \
         terminationGracePeriodSeconds: 1\n  volumes: [{{name: host, hostPath: {{path: {}, type: {kind:?}}}}}]\n  \
         containers:\n  - name: main\n    image: droppod.local/host\n    command: [bash, -c, {script:?}]\n    \
         volumeMounts: [{{name: host, mountPath: /host{mount}}}]\n{container}",
        path.display()
    )
}

/// A test that mounts something itself looks for what is left once that is unmounted.
fn up(bench: &Bench, manifest: &str) -> String {
    bench.manifest("one.yaml", manifest);
    bench.run(&["up", "-f", bench.folder().to_str().unwrap()]).exits(0).stdout
}

#[test]
fn each_type_is_what_it_says_or_is_made() {
    let Some(bench) = Bench::new() else { return };
    fs::create_dir(bench.path("dir")).unwrap();
    fs::write(bench.path("file"), "").unwrap();
    let _socket = UnixListener::bind(bench.path("socket")).unwrap();
    let there = [
        ("dir", "Directory", "directory"),
        ("made/deep", "DirectoryOrCreate", "directory"),
        ("unset/deep", "", "directory"),
        ("file", "File", "regular empty file"),
        ("made-file", "FileOrCreate", "regular empty file"),
        ("socket", "Socket", "socket"),
    ];
    for (name, kind, noun) in there {
        let out = up(&bench, &pod(&bench.path(name), kind, "", "", "stat -c %F /host"));
        assert!(out.contains(&format!("| {noun}\n")), "{kind}: {out}");
    }
    let out = up(&bench, &pod(Path::new("/dev/null"), "CharDevice", "", "", "stat -c %F /host"));
    assert!(out.contains("character special file"), "{out}");
    let watch = bench.watch();
    let wrong = [
        ("file", "Directory", "directory"),
        ("dir", "File", "file"),
        ("absent", "Directory", "directory"),
        ("dir", "Socket", "socket"),
        ("file", "CharDevice", "character device"),
        ("file", "BlockDevice", "block device"),
    ];
    for (name, kind, noun) in wrong {
        let path = bench.path(name);
        bench.manifest("one.yaml", &pod(&path, kind, "", "", "true"));
        let words = format!("hostPath type check failed: {} is not a {noun}", path.display());
        bench.until(&format!("{kind} is refused"), || {
            bench.run(&["get", "pod", "one", "-o", "json"]).stdout.contains(&words)
                || bench.read("one.status.yaml").contains(&words)
        });
    }
    bench.remove("one.yaml");
    bench.until_clean();
    assert_eq!(watch.stop(), 0);
}

/// A tmpfs at a path, unmounted with all below it in the end.
struct Mounted<'a>(&'a Path);

impl Mounted<'_> {
    fn shared(path: &Path) -> Mounted<'_> {
        fs::create_dir_all(path).unwrap();
        let run =
            |args: &[&str]| assert!(Command::new("mount").args(args).arg(path).status().unwrap().success());
        run(&["-t", "tmpfs", "none"]);
        run(&["--make-shared"]);
        fs::create_dir(path.join("below")).unwrap();
        Mounted(path)
    }
}

impl Drop for Mounted<'_> {
    fn drop(&mut self) {
        drop(Command::new("umount").args(["-R", "-l"]).arg(self.0).status());
    }
}

#[test]
fn mounts_pass_to_the_container_where_asked_for() {
    let Some(bench) = Bench::new() else { return };
    let path = bench.path("shared");
    let watch = bench.watch();
    for (propagation, passes) in [("None", false), ("HostToContainer", true)] {
        let mounted = Mounted::shared(&path);
        let mount = format!(", mountPropagation: {propagation}");
        bench.manifest("one.yaml", &pod(&path, "Directory", &mount, "", "sleep 1000"));
        bench.until_status("one", "Running");
        let below = path.join("below");
        assert!(Command::new("mount").args(["-t", "tmpfs", "none"]).arg(&below).status().unwrap().success());
        fs::write(below.join("late"), "").unwrap();
        let seen = bench.run(&["exec", "one", "--", "ls", "/host/below"]).stdout;
        assert_eq!(seen == "late\n", passes, "{propagation}: {seen}");
        bench.remove("one.yaml");
        drop(mounted);
        bench.until_clean();
    }
    assert_eq!(watch.stop(), 0);
}

#[test]
fn mounts_of_a_privileged_container_pass_to_the_host_where_asked_for() {
    let Some(bench) = Bench::new() else { return };
    let path = bench.path("shared");
    let mounted = Mounted::shared(&path);
    let watch = bench.watch();
    let privileged = "    securityContext: {privileged: true}\n";
    let script = "mount -t tmpfs none /host/below && touch /host/below/inner && sleep 1000";
    let mount = ", mountPropagation: Bidirectional";
    bench.manifest("one.yaml", &pod(&path, "Directory", mount, privileged, script));
    bench.until("the host sees it", || path.join("below/inner").exists());
    bench.manifest("one.yaml", &pod(&bench.path("m"), "Directory", mount, privileged, "true"));
    let words = "is not on a shared mount";
    bench.until("a private mount is refused", || {
        bench.run(&["get", "pod", "one", "-o", "json"]).stdout.contains(words)
            || bench.read("one.status.yaml").contains(words)
    });
    bench.remove("one.yaml");
    drop(mounted);
    bench.until_clean();
    assert_eq!(watch.stop(), 0);
}

#[test]
fn a_recursive_read_only_mount_is_read_only_throughout() {
    let Some(bench) = Bench::new() else { return };
    let path = bench.path("shared");
    let mounted = Mounted::shared(&path);
    let below = path.join("below");
    assert!(Command::new("mount").args(["-t", "tmpfs", "none"]).arg(&below).status().unwrap().success());
    let script = "touch /host/x 2>/dev/null && echo wrote above; touch /host/below/x 2>/dev/null && echo wrote below; echo over";
    let plain = up(&bench, &pod_below(&path, ", readOnly: true", script));
    assert!(!plain.contains("wrote above") && plain.contains("wrote below"), "{plain}");
    let throughout = up(&bench, &pod_below(&path, ", readOnly: true, recursiveReadOnly: Enabled", script));
    assert!(!throughout.contains("wrote") && throughout.contains("over"), "{throughout}");
    drop(mounted);
    bench.until_clean();
}

fn pod_below(path: &Path, mount: &str, script: &str) -> String {
    pod(path, "Directory", mount, "", script)
}

#[test]
fn a_sub_path_never_leaves_its_volume() {
    let Some(bench) = Bench::new() else { return };
    let (volume, canary) = (bench.path("volume"), bench.path("canary"));
    fs::create_dir(&volume).unwrap();
    fs::create_dir(&canary).unwrap();
    fs::write(canary.join("secret"), "canary").unwrap();
    symlink(&canary, volume.join("absolute")).unwrap();
    symlink("../canary", volume.join("relative")).unwrap();
    symlink("/proc/self/root/etc", volume.join("magic")).unwrap();
    fs::create_dir(volume.join("real")).unwrap();
    symlink("real", volume.join("inside")).unwrap();
    let watch = bench.watch();
    for name in ["absolute", "relative", "magic", "absolute/new", "relative/new/deep"] {
        let mount = format!(", subPath: {name}");
        bench.manifest("one.yaml", &pod(&volume, "Directory", &mount, "", "ls /host; sleep 1000"));
        bench.until(&format!("{name} is refused"), || {
            let json = bench.run(&["get", "pod", "one", "-o", "json"]).stdout;
            json.contains("its subPath leads out of the volume")
        });
        bench.remove("one.yaml");
        bench.until_clean();
    }
    assert_eq!(fs::read_dir(&canary).unwrap().count(), 1, "something was made outside");
    bench.manifest("one.yaml", &pod(&volume, "Directory", ", subPath: inside", "", "touch /host/made"));
    bench.until("a link inside is followed", || volume.join("real/made").exists());
    bench.remove("one.yaml");
    bench.until_clean();
    assert_eq!(watch.stop(), 0);
}

#[test]
fn what_keeps_a_sandbox_from_being_made_is_told_wherever_the_pod_is() {
    let Some(bench) = Bench::new() else { return };
    bench.manifest("one.yaml", &pod(&bench.path("absent"), "Directory", "", "", "true"));
    let why = format!("hostPath type check failed: {} is not a directory", bench.path("absent").display());
    let ran = bench.run(&["up", "-f", bench.folder().to_str().unwrap(), "--timeout", "4s"]).exits(11);
    let told = |line: &&str| line.starts_with("one: ContainerCreating: ") && line.contains(&why);
    assert_eq!(ran.stderr.lines().filter(told).count(), 1, "{ran:#?}");
    let watch = bench.watch();
    bench.until("the line for a person says so", || {
        let status = bench.read("one.status.yaml");
        let summary = status.lines().find(|line| line.contains("summary: ")).unwrap_or_default().to_owned();
        summary.contains("1 pod waiting (ContainerCreating: ") && summary.contains(&why)
    });
    bench.until("get says so", || {
        let message = "jsonpath={.status.containerStatuses[0].state.waiting.message}";
        bench.run(&["get", "pod", "one", "-o", message]).stdout.contains(&why)
    });
    assert_eq!(bench.status("one"), "ContainerCreating");
    bench.remove("one.yaml");
    bench.until_clean();
    assert_eq!(watch.stop(), 0);
}
