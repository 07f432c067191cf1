//! `up`: the foreground, for batch jobs.

use crate::bench::{Bench, unfolded};

const HELLO: &str = include_str!("../../manifests/hello.yaml");

fn pod(name: &str, script: &str) -> String {
    format!(
        "apiVersion: v1\nkind: Pod\nmetadata: {{name: {name}}}\nspec:\n  restartPolicy: Never\n  \
         terminationGracePeriodSeconds: 1\n  containers:\n  - name: main\n    image: droppod.local/host\n    \
         command: [bash, -c, {script:?}]\n"
    )
}

#[test]
fn the_first_command_of_the_readme_shows_two_containers_that_talk() {
    let Some(bench) = Bench::new() else { return };
    bench.manifest("hello.yaml", HELLO);
    let ran = bench.run(&["up", "-f", bench.folder().to_str().unwrap()]).exits(0);
    for line in ["server says: hello over localhost", "volume says: left by server in a shared volume"] {
        assert!(ran.stdout.contains(line), "{ran:#?}");
    }
    let status = bench.read("hello.status.yaml");
    assert!(status.contains("phase: Succeeded"), "{status}");
    bench.until_clean();
}

#[test]
fn a_failed_pod_makes_up_exit_with_10() {
    let Some(bench) = Bench::new() else { return };
    bench.manifest("fail.yaml", &pod("fail", "echo going down; exit 3"));
    bench.run(&["up", "-f", bench.folder().to_str().unwrap()]).exits(10).says("going down");
    assert!(bench.read("fail.status.yaml").contains("exitCode: 3"), "{}", bench.read("fail.status.yaml"));
    bench.until_clean();
}

#[test]
fn the_exit_code_of_a_named_container_is_passed_on() {
    let Some(bench) = Bench::new() else { return };
    bench.manifest("code.yaml", &pod("code", "exit 42"));
    let folder = bench.folder();
    bench.run(&["up", "-f", folder.to_str().unwrap(), "--exit-code-from", "pod/code"]).exits(42);
    bench.until_clean();
}

#[test]
fn an_invalid_manifest_changes_nothing() {
    let Some(bench) = Bench::new() else { return };
    bench.manifest("good.yaml", &pod("good", "echo must not run"));
    bench.manifest("typo.yaml", &pod("typo", "true").replace("containers", "contianers"));
    let ran = bench.run(&["up", "-f", bench.folder().to_str().unwrap()]).exits(12);
    assert!(!ran.stdout.contains("must not run"), "{ran:#?}");
    assert!(ran.stderr.contains("did you mean `containers`"), "{ran:#?}");
    bench.until_clean();
}

#[test]
fn a_timeout_stops_what_still_runs() {
    let Some(bench) = Bench::new() else { return };
    bench.manifest("long.yaml", &pod("long", "trap 'exit 0' TERM; sleep 1000 & wait"));
    bench.run(&["up", "-f", bench.folder().to_str().unwrap(), "--timeout", "2s"]).exits(11);
    bench.until_clean();
}

fn status(bench: &Bench) -> String {
    bench.read("long.status.yaml")
}

#[test]
fn a_killed_up_takes_its_pods_along() {
    let Some(bench) = Bench::new() else { return };
    bench.manifest("long.yaml", &pod("long", "echo up; sleep 1000"));
    let up = bench.start(&["up", "-f", bench.folder().to_str().unwrap()]);
    bench.until("the pod runs", || std::fs::read_to_string(bench.path("out")).unwrap().contains("up"));
    bench.until("the status file says so", || status(&bench).contains("summary: 1 pod running"));
    up.kill();
    bench.until_clean();
    // Whoever cleared up has the last word, and invents no end.
    let said = unfolded(&status(&bench));
    let expected = "summary: 1 pod stopped with the command, which was killed; how it ended is not known";
    assert!(said.contains(expected) && !said.contains("phase:"), "{said}");
}

#[test]
fn what_was_stopped_is_told_with_its_end() {
    let Some(bench) = Bench::new() else { return };
    bench.manifest("long.yaml", &pod("long", "trap 'exit 33' TERM; echo up; while true; do sleep 0.1; done"));
    bench.manifest("done.yaml", &pod("done", "true"));
    let up = bench.start(&["up", "-f", bench.folder().to_str().unwrap()]);
    bench.until("the pod runs", || std::fs::read_to_string(bench.path("out")).unwrap().contains("up"));
    bench.until("the other has ended", || bench.read("done.status.yaml").contains("phase: Succeeded"));
    assert_eq!(up.stop(), 130);
    let said = status(&bench);
    for part in [
        "summary: 1 pod stopped with the command",
        "phase: Failed",
        "exitCode: 33",
        "reason: Error",
        "finishedAt: ",
        "reason: Killing",
    ] {
        assert!(said.contains(part), "{part}\n{said}");
    }
    let other = bench.read("done.status.yaml");
    assert!(other.contains("summary: 1 pod succeeded") && other.contains("exitCode: 0"), "{other}");
    bench.until_clean();
}

#[test]
fn no_line_of_a_short_life_is_lost() {
    let Some(bench) = Bench::new() else { return };
    for number in 0..5 {
        bench.manifest(
            &format!("p{number}.yaml"),
            &pod(&format!("p{number}"), &format!("echo line {number}")),
        );
    }
    let ran = bench.run(&["up", "-f", bench.folder().to_str().unwrap()]).exits(0);
    for number in 0..5 {
        assert_eq!(ran.stdout.matches(&format!("line {number}")).count(), 1, "{ran:#?}");
    }
    bench.until_clean();
}

#[test]
fn several_files_are_run_where_they_lie_and_each_is_reported_beside_itself() {
    let Some(bench) = Bench::new() else { return };
    for name in ["one", "two", "three"] {
        bench.manifest(&format!("{name}.yaml"), &pod(name, &format!("echo I am {name}")));
    }
    let file = |name: &str| bench.folder().join(name).to_str().unwrap().to_owned();
    let ran = bench.run(&["up", "-f", &file("one.yaml"), "-f", &file("two.yaml")]).exits(0);
    assert!(ran.stdout.contains("I am one") && ran.stdout.contains("I am two"), "{ran:#?}");
    assert!(!ran.stdout.contains("I am three"), "{ran:#?}");
    for name in ["one.status.yaml", "two.status.yaml"] {
        assert!(bench.read(name).contains("phase: Succeeded"), "{name}: {}", bench.read(name));
    }
    assert!(!bench.folder().join("three.status.yaml").exists());
    bench.until_clean();
}

#[test]
fn an_image_that_is_not_there_is_named_with_its_reason() {
    let Some(bench) = Bench::new() else { return };
    let absent = pod("absent", "true").replace("droppod.local/host", "oci-archive:absent.tar");
    bench.manifest("absent.yaml", &absent);
    let ran = bench.run(&["up", "-f", bench.folder().to_str().unwrap()]).exits(13);
    let last = ran.stderr.lines().last().unwrap_or_default();
    // Which of the two words it is depends on whether the next try was due when it gave up.
    let named = ["ErrImagePull", "ImagePullBackOff"]
        .iter()
        .any(|word| last.starts_with(&format!("absent: not started, {word}: ")));
    assert!(named, "{ran:#?}");
    assert!(last.contains("absent.tar"), "{ran:#?}");
    bench.until_clean();
}

#[test]
fn an_object_that_two_files_declare_is_named_with_both() {
    let Some(bench) = Bench::new() else { return };
    bench.manifest("a.yaml", &pod("same", "true")).manifest("b.yaml", &pod("same", "false"));
    let file = |name: &str| bench.folder().join(name).to_str().unwrap().to_owned();
    let ran = bench.run(&["up", "-f", &file("a.yaml"), "-f", &file("b.yaml")]).exits(12);
    for part in ["pod/same is declared in ", "a.yaml, line 1, and in ", "b.yaml, line 1; nothing was started"]
    {
        assert!(unfolded(&ran.stderr).contains(part), "{part}\n{ran:#?}");
    }
    bench.until_clean();
}

#[test]
fn what_cannot_be_written_to_stdout_fails() {
    let Some(bench) = Bench::new() else { return };
    bench.manifest("said.yaml", &pod("said", "echo something"));
    let full = || std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let up = |exit: i32| {
        let mut command = bench.command(&["up", "-f", bench.folder().to_str().unwrap()]);
        let ran = command.stdout(full()).output().unwrap();
        let told = String::from_utf8_lossy(&ran.stderr).into_owned();
        assert_eq!(ran.status.code(), Some(exit), "{told}");
        assert!(told.contains("cannot write to standard output"), "{told}");
        told
    };
    assert!(up(1).contains("said: Succeeded"));
    bench.manifest("said.yaml", &pod("said", "echo something; exit 3"));
    assert!(up(10).contains("said: Failed"));
    bench.until_clean();
}
