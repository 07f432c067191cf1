//! `up`, whose output is read late, slowly or not to its end.

use std::fs;
use std::io::Read;
use std::path::PathBuf;
use std::process::{Child, Stdio};
use std::time::Duration;

use crate::bench::{Bench, wait_at_most};

/// Lines of a kilobyte each, more of them than the files of a log hold.
const LINES: usize = 80_000;
const ENOUGH: Duration = Duration::from_secs(60);

fn pod(script: &str) -> String {
    format!(
        "apiVersion: v1\nkind: Pod\nmetadata: {{name: flood}}\nspec:\n  restartPolicy: Never\n  \
         terminationGracePeriodSeconds: 1\n  containers:\n  - name: main\n    image: droppod.local/host\n    \
         command: [bash, -c, {script:?}]\n"
    )
}

/// An `up` whose output is read by whoever calls this.
fn up(bench: &Bench, more: &[&str]) -> Child {
    let folder = bench.folder();
    let mut command = bench.command(&[&["up", "-f", folder.to_str().unwrap()], more].concat());
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

/// The log files of the flood, and their bytes in all.
fn logs(bench: &Bench) -> (usize, u64) {
    fn collect(directory: PathBuf, found: &mut Vec<u64>) {
        for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                collect(entry.path(), found);
            } else if entry.path().to_string_lossy().contains("/main/0.log") {
                found.extend(entry.metadata().map(|is| is.len()));
            }
        }
    }
    let mut found = Vec::new();
    collect(bench.path("r/up"), &mut found);
    (found.len(), found.iter().sum())
}

/// Waits until there is no room for another line.
fn until_held(bench: &Bench) {
    let mut before = 0;
    bench.until("the container waits for the reader", || {
        let (files, bytes) = logs(bench);
        let stands = files == 5 && bytes == before;
        before = bytes;
        stands
    });
}

#[test]
fn no_line_is_lost_to_a_reader_that_comes_late() {
    let Some(bench) = Bench::new() else { return };
    bench.manifest("flood.yaml", &pod(&format!("seq -f %01000.0f 1 {LINES}")));
    let mut up = up(&bench, &[]);
    until_held(&bench);
    let mut text = String::new();
    up.stdout.take().unwrap().read_to_string(&mut text).unwrap();
    let output = wait_at_most(up, "up", ENOUGH);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let numbers = text.lines().map(|line| line.trim_start_matches("flood/main | ").parse::<usize>().unwrap());
    assert!(numbers.eq(1..=LINES), "{} lines", text.lines().count());
    bench.until_clean();
}

#[test]
fn a_container_that_waits_for_a_reader_is_stopped_in_time_and_what_is_not_shown_is_told() {
    let Some(bench) = Bench::new() else { return };
    bench.manifest("flood.yaml", &pod("trap '' TERM; yes a line like any other"));
    let mut up = up(&bench, &["--timeout", "12s"]);
    let unread = up.stdout.take().unwrap();
    until_held(&bench);
    bench.until_no_container();
    let output = wait_at_most(up, "up", ENOUGH);
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(11), "{said}");
    let lost = said.lines().find_map(|line| {
        let bytes = line.strip_prefix("warning: ")?.split_once(" bytes of default/flood/main lost")?.0;
        bytes.parse::<u64>().ok()
    });
    assert!(lost.is_some_and(|bytes| bytes > 50_000_000), "{said}");
    drop(unread);
    bench.until_clean();
}

#[test]
fn a_reader_that_leaves_holds_up_nobody() {
    let Some(bench) = Bench::new() else { return };
    bench.manifest("flood.yaml", &pod(&format!("seq -f %01000.0f 1 {LINES}")));
    let mut up = up(&bench, &["--timeout", "50s"]);
    let reader = up.stdout.take().unwrap();
    until_held(&bench);
    drop(reader);
    let output = wait_at_most(up, "up", ENOUGH);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    bench.until_clean();
}

#[test]
fn an_up_that_is_killed_while_its_reader_stands_still_takes_its_pods_along() {
    let Some(bench) = Bench::new() else { return };
    bench.manifest("flood.yaml", &pod("yes a line like any other"));
    let mut up = up(&bench, &[]);
    until_held(&bench);
    up.kill().unwrap();
    up.wait().unwrap();
    bench.until_clean();
}

#[test]
fn on_a_terminal_what_goes_on_is_shown_in_place() {
    let Some(bench) = Bench::new() else { return };
    let crash = pod("echo hello; exit 3").replace("restartPolicy: Never", "restartPolicy: OnFailure");
    bench.manifest("crash.yaml", &crash);
    let job = pod("sleep 1").replace("metadata: {name: flood}\n", "");
    let template = job.lines().skip(2).map(|line| format!("    {line}\n")).collect::<String>();
    let spec = "spec:\n  completions: 2\n  parallelism: 1\n  template:\n";
    bench.manifest(
        "job.yaml",
        &format!("apiVersion: batch/v1\nkind: Job\nmetadata: {{name: two}}\n{spec}{template}"),
    );
    let folder = bench.folder();
    let args = ["up", "-f", folder.to_str().unwrap(), "--timeout", "8s"];
    let shown = bench.run_on_terminal(&args, "");
    for part in ["job/two", "0/2 done", "1/2 done", "main exited with 3, again in ", "1 resting"] {
        assert!(shown.contains(part), "no {part:?} in {shown}");
    }
    assert_eq!(shown.matches("flood/main").count(), 2, "a line for each run, none of them torn: {shown}");
    assert!(shown.matches("\x1b[J").count() > 3, "{shown}");
    // What stays is what a person would have seen without.
    let last = shown.rsplit("\x1b[J").next().unwrap();
    assert!(last.contains("NAME") && !last.contains("resting"), "{last}");
    let plain = bench.run(&args).exits(11);
    assert!(!plain.stderr.contains('\x1b') && plain.stderr.contains("flood: CrashLoopBackOff"), "{plain:#?}");
    bench.until_clean();
}
