//! The first mistakes that somebody makes, each with the whole answer: what, why, and what to do next.
#![expect(clippy::unwrap_used, reason = "a test fails by it, and says where")]

use std::fs;
use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Stdio};

/// A directory to stand in, gone at the end.
struct Place(PathBuf);

impl Place {
    fn new(name: &str) -> Place {
        let path = std::env::temp_dir().join(format!("droppod-{name}-{}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        Place(path)
    }

    /// Exit code, stdout, and stderr without the name of this directory.
    fn droppod(&self, args: &[&str]) -> (i32, String, String) {
        let mut command = Command::new(env!("CARGO_BIN_EXE_droppod"));
        command.args(args).current_dir(&self.0).stdin(Stdio::null());
        self.answer(command)
    }

    fn answer(&self, mut command: Command) -> (i32, String, String) {
        command.env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default());
        for (name, place) in [("STATE_DIR", "s"), ("RUN_DIR", "r"), ("LOG_DIR", "l"), ("MANIFESTS", "m")] {
            command.env(format!("DROPPOD_{name}"), self.0.join(place));
        }
        let output = command.output().unwrap();
        let plain = |bytes: &[u8]| {
            String::from_utf8_lossy(bytes).replace(self.0.canonicalize().unwrap().to_str().unwrap(), "HERE")
        };
        (output.status.code().unwrap_or(-1), plain(&output.stdout), plain(&output.stderr))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        drop(fs::remove_dir_all(&self.0));
    }
}

const POD: &str = "apiVersion: v1\nkind: Pod\nmetadata: {name: web}\nspec:\n  containers:\n  \
                   - {name: main, image: droppod.local/host, command: ['true']}\n";

#[test]
fn droppod_alone_shows_what_it_can_do() {
    let place = Place::new("alone");
    let (code, stdout, stderr) = place.droppod(&[]);
    assert_eq!((code, stderr.as_str()), (0, ""));
    assert!(stdout.contains("Usage: droppod") && stdout.contains("Examples:"), "{stdout}");
    assert!(!stdout.contains('\u{1b}'), "colour is for terminals");
}

/// What is typed, the exit code, and all that is said on stderr.
const TRANSCRIPT: &[(&[&str], i32, &str)] = &[
    (
        &["valdiate", "m"],
        2,
        "error: unrecognized subcommand 'valdiate'\n\n  tip: some similar subcommands exist: 'validate', 'wait'\n\n\
         Usage: droppod [OPTIONS] [COMMAND]\n\nFor more information, try '--help'.\n",
    ),
    (
        &["ps"],
        2,
        "error: `ps` is not served by this version of droppod\n  help: `droppod get pods` shows what runs\n",
    ),
    (
        &["wathc", "m"],
        2,
        "error: unrecognized subcommand 'wathc'\n\n  tip: some similar subcommands exist: 'watch', 'wait', 'attach'\n\n\
         Usage: droppod [OPTIONS] [COMMAND]\n\nFor more information, try '--help'.\n",
    ),
    (
        &["pull", "nginx"],
        2,
        "error: `pull` is not served by this version of droppod\n  \
         help: `droppod image pull REFERENCE` fetches an image\n",
    ),
    (
        &["create", "deployment", "web"],
        2,
        "error: `create` makes Jobs of CronJobs and nothing else\n  \
         help: `droppod apply -f FILE` puts manifests into the folder, `droppod run NAME --image=IMAGE` makes a pod\n",
    ),
    (
        &["get", "pods", "-f", "x", "-z"],
        2,
        "error: unexpected argument '-z' found\n\n\
         Usage: droppod get [OPTIONS] [TYPE [NAME] | TYPE/NAME]...\n\nFor more information, try '--help'.\n",
    ),
    (
        &["exec", "-it", "web", "ls", "-l a"],
        2,
        "error: `ls` is not expected here: the command comes after --\n  help: droppod exec -it web -- ls '-l a'\n",
    ),
    (
        &["validate", "-f", "wbe.yaml"],
        2,
        "error: cannot read wbe.yaml\n  because: No such file or directory (os error 2)\n  \
         help: did you mean web.yaml?\n",
    ),
    (
        &["validate", "-f", "empty"],
        2,
        "error: there is no manifest in empty\n  help: manifests end in .yaml, .yml or .json\n",
    ),
    (&["validate", "-f", "-"], 0, "warning: nothing is declared in <stdin>\n"),
    (&["apply", "-f", "-"], 1, "error: nothing is declared in standard input\n"),
    (&["diff", "-f", "-"], 0, "note: nothing is declared in standard input\n"),
    (
        &["apply", "-f", "https://example.org/web.yaml"],
        1,
        "error: cannot read https://example.org/web.yaml\n  \
         because: manifests are read from files and from standard input\n  \
         help: let curl fetch it: curl -fsSL https://example.org/web.yaml | droppod apply -f -; other verbs take -f - as well\n",
    ),
    (
        &["pul"],
        2,
        "error: unrecognized subcommand 'pul'\n\n\
         Usage: droppod [OPTIONS] [COMMAND]\n\nFor more information, try '--help'.\n",
    ),
    (
        &["complte"],
        2,
        "error: unrecognized subcommand 'complte'\n\n  tip: a similar subcommand exists: 'completion'\n\n\
         Usage: droppod [OPTIONS] [COMMAND]\n\nFor more information, try '--help'.\n",
    ),
    (
        &["watch"],
        2,
        "error: cannot watch HERE/m\n  because: it is not a directory\n  \
         help: make it: mkdir -p HERE/m; or name another folder: droppod watch DIR\n",
    ),
    (
        &["up", "-f", "wbe.yaml"],
        1,
        "error: cannot read wbe.yaml\n  because: No such file or directory (os error 2)\n  \
         help: did you mean web.yaml?\n",
    ),
    (
        &["up", "-f", "empty/x.yaml"],
        1,
        "error: cannot read empty/x.yaml\n  because: No such file or directory (os error 2)\n  \
         help: no manifest is in empty\n",
    ),
    (
        &["up", "-f", "absent/x.yaml"],
        1,
        "error: cannot read absent/x.yaml\n  because: No such file or directory (os error 2)\n  \
         help: there is no directory absent\n",
    ),
    (
        &["apply", "-f", "empty"],
        1,
        "error: there is no manifest in empty\n  \
         help: manifests end in .yaml, .yml or .json; -R looks into subdirectories\n",
    ),
    (
        &["apply", "web.yaml"],
        2,
        "error: `web.yaml` is not expected here: files are named with -f\n  help: droppod apply -f web.yaml\n",
    ),
    (
        &["up", "-f", "map.yaml"],
        12,
        "error: the manifests declare no pod\n  because: they hold only ConfigMap\n  \
         help: this version runs Pods, Jobs and CronJobs\n",
    ),
    (
        &["up", "-f", "web.yaml", "--exit-code-from", "pod/nope"],
        2,
        "error: the manifests declare no pod nope\n  help: the pods there are: web\n",
    ),
    (
        &["up", "-f", "web.yaml", "--exit-code-from", "pod/web:sidecar"],
        2,
        "error: pod web has no container sidecar\n  help: the containers there are: main\n",
    ),
    (
        &["get", "pdos"],
        2,
        "error: `pdos` is not a kind that droppod serves\n  \
         help: did you mean pods? it serves namespaces, configmaps, secrets, pods, jobs, cronjobs\n",
    ),
    (
        &["exec", "web"],
        2,
        "error: the following required arguments were not provided:\n  <CMD>...\n\n\
         Usage: droppod exec <POD> -- <CMD>...\n\nFor more information, try '--help'.\n",
    ),
    (&["down"], 0, "nothing runs\n"),
    (
        &["get", "pod", "nope"],
        1,
        "error: pods \"nope\" not found\n  help: droppod get pods -A shows what there is\n",
    ),
    (
        &["get", "pods", "-o", "jsn"],
        2,
        "error: invalid value 'jsn' for '--output <FORMAT>': there are wide, yaml, json, name, jsonpath=TEMPLATE, \
         jsonpath-file=FILE, jsonpath-as-json=TEMPLATE, custom-columns=SPEC, custom-columns-file=FILE\n\n\
         For more information, try '--help'.\n",
    ),
    (
        &["watch", "gone"],
        2,
        "error: cannot watch gone\n  because: it is not a directory\n  \
         help: make it: mkdir -p gone; or name another folder: droppod watch DIR\n",
    ),
];

#[test]
fn each_first_mistake_is_answered_with_what_to_do_next() {
    if !rustix::process::geteuid().is_root() {
        std::io::stderr().write_all(b"skipped: without root these commands stop at that\n").unwrap();
        return;
    }
    let place = Place::new("mistakes");
    fs::write(place.0.join("web.yaml"), POD).unwrap();
    fs::write(place.0.join("map.yaml"), "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: map}\n").unwrap();
    fs::create_dir(place.0.join("empty")).unwrap();
    for (args, code, stderr) in TRANSCRIPT {
        let answer = place.droppod(args);
        assert_eq!((answer.0, answer.2.as_str()), (*code, *stderr), "droppod {}", args.join(" "));
        assert_eq!(answer.1, "", "droppod {}", args.join(" "));
    }
    assert!(!place.0.join("r/up").exists(), "nothing was begun");
}

#[test]
fn a_dry_run_tells_what_would_be_made_once_that_is_known_to_be_valid() {
    let place = Place::new("dry-run");
    let run = |name: &str, more: &[&str]| {
        place.droppod(&[&["run", name, "--image=nginx:1.28", "--dry-run=client"], more].concat())
    };
    assert_eq!(run("web", &[]), (0, "pod/web created (dry run)\n".to_owned(), String::new()));
    let (code, stdout, stderr) = run("web", &["-o", "yaml"]);
    assert_eq!((code, stderr.as_str()), (0, ""));
    assert!(stdout.starts_with("apiVersion: v1\nkind: Pod\n"), "{stdout}");
    let (code, stdout, stderr) = run("Web_1", &["-o", "yaml"]);
    assert_eq!((code, stdout.as_str()), (12, ""));
    assert!(stderr.contains("metadata.name"), "{stderr}");
}

#[test]
fn an_object_of_a_kind_that_is_not_served_does_not_pass_for_a_success() {
    let place = Place::new("not-served");
    let deployment = "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web}\nspec: {}\n";
    fs::write(place.0.join("web.yaml"), deployment).unwrap();
    fs::create_dir(place.0.join("m")).unwrap();
    let warning =
        "warning: web.yaml:2: kind Deployment is not served by this version, nothing comes of the object\n";
    let validated = place.droppod(&["validate", "-f", "web.yaml"]);
    assert_eq!(
        validated,
        (0, "deployment.apps/web not served, not checked\n".to_owned(), warning.to_owned())
    );
    if !rustix::process::geteuid().is_root() {
        std::io::stderr().write_all(b"skipped: what is in force is for root to see\n").unwrap();
        return;
    }
    let (code, stdout, stderr) = place.droppod(&["diff", "-f", "web.yaml"]);
    let not_served = "! deployment default/web: not served by this version, nothing comes of it\n";
    assert_eq!((code, stdout.as_str(), stderr.as_str()), (1, not_served, warning));
    let (code, stdout, stderr) = place.droppod(&["apply", "-f", "web.yaml"]);
    assert_eq!((code, stdout.as_str()), (0, "deployment.apps/web created\n"));
    assert!(stderr.starts_with(warning), "{stderr}");
}

#[test]
fn without_root_each_verb_says_what_to_do() {
    let place = Place::new("powerless");
    fs::write(place.0.join("web.yaml"), POD).unwrap();
    fs::create_dir(place.0.join("m")).unwrap();
    let nobody = |args: &[&str]| {
        let mut command = if rustix::process::geteuid().is_root() {
            let mut command = Command::new("setpriv");
            command.args(["--reuid=65534", "--regid=65534", "--clear-groups", env!("CARGO_BIN_EXE_droppod")]);
            command
        } else {
            Command::new(env!("CARGO_BIN_EXE_droppod"))
        };
        command.args(args).current_dir(&place.0).stdin(Stdio::null());
        place.answer(command)
    };
    if nobody(&["version"]).0 != 0 {
        std::io::stderr().write_all(b"skipped: another user cannot execute the binary here\n").unwrap();
        return;
    }
    let no_pods = "error: pods cannot run here\n  because: CAP_SYS_ADMIN is missing: namespaces and mounts need it: \
                   run as root\n  help: for example with sudo; `droppod validate` needs no root\n";
    for args in [&["watch"][..], &["up", "-f", "web.yaml"], &["run", "x", "--image=i", "--rm"]] {
        let (code, _, stderr) = nobody(args);
        assert_eq!((code, stderr.as_str()), (1, no_pods), "droppod {}", args.join(" "));
    }
    fs::create_dir_all(place.0.join("s/objects")).unwrap();
    let closed = std::os::unix::fs::PermissionsExt::from_mode(0o700);
    fs::set_permissions(place.0.join("s"), closed).unwrap();
    for args in [&["apply", "-f", "web.yaml"][..], &["down"], &["delete", "pod", "web"], &["get", "pods"]] {
        let (code, _, stderr) = nobody(args);
        assert_eq!(code, if rustix::process::geteuid().is_root() { 1 } else { code });
        if rustix::process::geteuid().is_root() {
            assert!(
                stderr.contains("\n  help: ") && stderr.contains("root"),
                "droppod {}: {stderr}",
                args[0]
            );
        }
    }
}
