//! Attaching to what a container reads and writes.

use std::io::Read;
use std::process::{Child, Stdio};
use std::time::Duration;

use crate::bench::{Bench, wait_at_most};

fn reader(fields: &str, script: &str) -> String {
    format!(
        "apiVersion: v1\nkind: Pod\nmetadata: {{name: reader}}\nspec:\n  restartPolicy: Never\n  containers:\n  \
         - {{name: main, image: droppod.local/host, {fields}, command: [sh, -c, '{script}']}}\n"
    )
}

#[test]
fn who_attaches_sees_what_was_written_before_and_gives_the_input() {
    let Some(bench) = Bench::new() else { return };
    let watch = bench.watch();
    let script = "echo before; echo warned >&2; while read line; do echo got $line; done; exit 7";
    bench.manifest("reader.yaml", &reader("stdin: true, stdinOnce: true", script));
    bench.until("it has begun", || bench.run(&["logs", "reader"]).stdout.contains("warned"));
    let ran = bench.run_with_input(&["attach", "-i", "reader"], "one\ntwo\n").exits(7);
    assert_eq!(ran.stdout, "before\ngot one\ngot two\n");
    assert_eq!(ran.stderr, "warned\n");
    assert_eq!(bench.run(&["logs", "reader"]).stdout.matches("got").count(), 2, "the log has it too");
    bench.remove("reader.yaml");
    bench.until_clean();
    assert_eq!(watch.stop(), 0);
}

#[test]
fn an_input_that_is_for_all_stays_open_when_one_goes() {
    let Some(bench) = Bench::new() else { return };
    let watch = bench.watch();
    bench.manifest("reader.yaml", &reader("stdin: true", "while read line; do echo got $line; done"));
    bench.until_status("reader", "Running");
    for word in ["one", "two"] {
        // It is the caller's end that ends here, not the container's.
        let attached = bench.start_with_input(&["attach", "-i", "reader"], &format!("{word}\n"));
        bench.until("it was read", || bench.run(&["logs", "reader"]).stdout.contains(word));
        drop(attached);
    }
    assert_eq!(bench.status("reader"), "Running");
    bench.run(&["attach", "-i", "nobody"]).exits(1);
    bench.remove("reader.yaml");
    bench.until_clean();
    assert_eq!(watch.stop(), 0);
}

#[test]
fn input_that_was_not_asked_for_is_refused_with_the_remedy() {
    let Some(bench) = Bench::new() else { return };
    let watch = bench.watch();
    bench.manifest("reader.yaml", &reader("tty: false", "sleep 1000"));
    bench.until_status("reader", "Running");
    bench
        .run(&["attach", "-i", "reader"])
        .exits(1)
        .says("container main has no stdin; its manifest can ask for it");
    bench.remove("reader.yaml");
    bench.until_clean();
    assert_eq!(watch.stop(), 0);
}

/// A line every five milliseconds.
const CHATTER: &str =
    "exec perl -e \"\\$| = 1; while (1) { print qq(line\\n); select undef, undef, undef, 0.005 }\"";

#[test]
fn whoever_attaches_may_go_at_any_moment() {
    let Some(bench) = Bench::new() else { return };
    let watch = bench.watch();
    bench.manifest("reader.yaml", &reader("tty: false", CHATTER));
    bench.until_status("reader", "Running");
    let pids = || (bench.shims(), bench.pids("reader", "main"));
    let before = pids();
    let look_on = || -> Child {
        let mut command = bench.command(&["attach", "reader"]);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        child.stdout.as_mut().unwrap().read_exact(&mut [0; 5]).unwrap();
        child
    };
    for _ in 0..3 {
        let mut head = look_on();
        drop(head.stdout.take());
        wait_at_most(head, "attach", Duration::from_secs(60));
        let mut killed = look_on();
        killed.kill().unwrap();
        killed.wait().unwrap();
    }
    let lines = || bench.run(&["logs", "reader", "--tail=1", "--timestamps"]).exits(0).stdout;
    let last = lines();
    bench.until("the log goes on", || lines() != last);
    assert_eq!(pids(), before, "nothing was started again");
    bench.remove("reader.yaml");
    bench.until_clean();
    assert_eq!(watch.stop(), 0);
}

#[test]
fn a_terminal_is_attached_to_with_its_keys_and_its_size() {
    let Some(bench) = Bench::new() else { return };
    let watch = bench.watch();
    let script = "echo ready; read line; stty size; echo got $line; exit 3";
    bench.manifest("reader.yaml", &reader("stdin: true, tty: true", script));
    bench.until_status("reader", "Running");
    let ran = bench.run_on_terminal(&["attach", "-it", "reader"], "word\r");
    assert!(ran.contains("ready\r\n") && ran.contains("24 80") && ran.contains("got word"), "{ran:?}");
    bench.until_status("reader", "Error");
    bench.remove("reader.yaml");
    bench.until_clean();
    assert_eq!(watch.stop(), 0);
}

#[test]
fn run_gives_a_program_the_callers_own_streams_and_leaves_nothing() {
    let Some(bench) = Bench::new() else { return };
    let host = "--image=droppod.local/host";
    let script = "while read line; do echo got $line; done; echo warned >&2; exit 4";
    let args = ["run", "reader", "--rm", "-i", host, "--command", "--", "sh", "-c", script];
    let ran = bench.run_with_input(&args, "one\ntwo\n").exits(4);
    assert_eq!((ran.stdout.as_str(), ran.stderr.as_str()), ("got one\ngot two\n", "warned\n"));
    // One that is quicker than whoever attaches loses nothing either.
    let args = ["run", "quick", "--rm", "-i", host, "--command", "--", "echo", "done"];
    assert_eq!(bench.run_with_input(&args, "").exits(0).stdout, "done\n");
    let args = ["run", "plain", "--rm", host, "--command", "--", "echo", "done"];
    assert_eq!(bench.run(&args).exits(0).stdout, "done\n");
    let args = ["run", "none", "--rm", "-i", "--image=oci-archive:/none.tar", "--command", "--", "cat"];
    bench.run_with_input(&args, "").exits(13).says("/none.tar");
    bench.until_clean();
}

#[test]
fn run_gives_a_program_a_terminal() {
    let Some(bench) = Bench::new() else { return };
    let args = ["run", "-it", "--rm", "shell", "--image=droppod.local/host", "--command", "--", "sh"];
    let shown = bench.run_on_terminal(&args, "tty; echo $((40 + 2)); exit 0\r");
    assert!(shown.contains("/dev/pts/") && shown.contains("42"), "{shown:?}");
    bench.until_clean();
}
