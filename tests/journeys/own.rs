//! Files that `apply` wrote and somebody added to: what else they hold is not lost.

use std::fs;

use crate::bench::Bench;

const OWN: &str = "default.configmap.a.yaml";
const NAMES: [&str; 4] = ["get", "cm", "-o", "name"];

fn map(name: &str) -> String {
    format!("apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}}}\ndata: {{colour: green}}\n")
}

fn sleeper(name: &str) -> String {
    format!(
        "apiVersion: v1\nkind: Pod\nmetadata: {{name: {name}}}\nspec:\n  terminationGracePeriodSeconds: 1000\n  \
         containers:\n  - {{name: main, image: droppod.local/host, command: [sleep, '1000']}}\n"
    )
}

#[test]
fn what_somebody_added_to_a_file_of_apply_is_not_lost() {
    let Some(bench) = Bench::new() else { return };
    let watch = bench.watch();
    let apply = |text: &str| bench.run_with_input(&["apply", "-f", "-"], text);
    apply(&map("a")).exits(0).prints("configmap/a created\n");
    let both = format!("{}---\n{}", bench.read(OWN), map("precious"));
    bench.manifest(OWN, &both);
    bench.until("both are in force", || bench.run(&NAMES).stdout == "configmap/a\nconfigmap/precious\n");

    let edited = map("a").replace("green", "red");
    let file = bench.folder().join(OWN).display().to_string();
    let refused =
        format!("configmap/a goes into {file}, which declares configmap/precious; nothing was changed");
    apply(&edited).exits(1).prints("").says(&refused);
    bench.run(&["delete", "cm", "a"]).exits(1).prints("").says("let --edit-file do it");
    assert_eq!(bench.read(OWN), both);

    bench.run(&["delete", "cm", "a", "--edit-file"]).exits(0).prints("configmap \"a\" deleted\n");
    let rest = format!("---\n{}", map("precious"));
    assert_eq!(bench.read(OWN), rest);
    apply(&edited).exits(1).prints("").says(&refused);
    assert_eq!(bench.read(OWN), rest);
    bench.manifest(OWN, "kind: [\n");
    apply(&edited).exits(1).prints("").says("which has a mistake in line ");

    bench.remove(OWN);
    apply(&edited).exits(0).prints("configmap/a created\n");
    apply(&map("a")).exits(0).prints("configmap/a configured\n");
    bench.run(&["delete", "cm", "a"]).exits(0);
    assert!(!bench.folder().join(OWN).exists());
    assert_eq!(watch.stop(), 0);
}

#[test]
fn what_ran_is_not_run_again_in_a_file_that_holds_more() {
    let Some(bench) = Bench::new() else { return };
    let own = "default.pod.once.yaml";
    let once = sleeper("once").replace("[sleep, '1000']", "['true']");
    bench.run_with_input(&["apply", "-f", "-"], &once).exits(0);
    let both = format!("{}---\n{}", bench.read(own), map("precious"));
    bench.manifest(own, &both);
    bench.run(&["rerun", "pod/once"]).exits(1).says("nothing was changed");
    assert_eq!(bench.read(own), both);
}

#[test]
fn nothing_is_taken_out_of_a_file_whose_rest_would_not_come_into_force() {
    let Some(bench) = Bench::new() else { return };
    let watch = bench.watch();
    let good = format!("{}---\n{}", map("b"), map("c"));
    bench.manifest("both.yaml", &good);
    bench.until("both are in force", || bench.run(&NAMES).stdout == "configmap/b\nconfigmap/c\n");
    let (no_text, unknown) = (good.replace("c}\ndata: {colour: green}", "c}\ndata: {x: 1}"), |name: &str| {
        good.replace(&format!("{name}}}\n"), &format!("{name}}}\nshape: round\n"))
    });
    for (text, part) in [(no_text, "data.x"), (unknown("c"), "shape")] {
        bench.manifest("both.yaml", &text);
        bench.until("it is invalid", || bench.read("both.status.yaml").contains("state: Invalid"));
        bench
            .run(&["delete", "cm", "b", "--edit-file"])
            .exits(12)
            .prints("")
            .says("nothing was deleted")
            .says(part);
        bench.run(&["delete", "cm", "b"]).exits(1).prints("").says("is declared by");
        assert_eq!(bench.read("both.yaml"), text);
        bench.manifest("both.yaml", &good);
        bench.until("it is mended", || bench.read("both.status.yaml").contains("state: Applied"));
    }
    bench.manifest("both.yaml", &good.replace("c}\n", "c}\nimmutable: true\n"));
    bench.until("it is sealed", || {
        bench.run(&["get", "cm", "c", "-o", "jsonpath={.immutable}"]).stdout == "true"
    });
    let unsealed = good.replace("c}\ndata: {colour: green}", "c}\ndata: {colour: red}");
    bench.manifest("both.yaml", &unsealed);
    bench.run(&["delete", "cm", "b", "--edit-file"]).exits(12).prints("").says("field is immutable");
    assert_eq!(bench.read("both.yaml"), unsealed);
    // A mistake that goes with the object is none of what stays.
    bench.manifest("both.yaml", &unknown("b").replace("c}\n", "c}\nimmutable: true\n"));
    bench.run(&["delete", "cm", "b", "--edit-file"]).exits(0).prints("configmap \"b\" deleted\n");
    bench.run(&NAMES).prints("configmap/c\n");
    assert_eq!(watch.stop(), 0);
}

#[test]
fn delete_gives_up_waiting_when_its_time_is_up() {
    let Some(bench) = Bench::new() else { return };
    let watch = bench.watch();
    bench.manifest("default.pod.slow.yaml", &sleeper("slow"));
    let spec = sleeper("x").split_once("spec:").unwrap().1.replace("\n  ", "\n      ");
    let job = "apiVersion: batch/v1\nkind: Job\nmetadata: {name: long}\nspec:\n  template:\n    spec:\n      restartPolicy: Never";
    bench.manifest("default.job.long.yaml", &format!("{job}{spec}"));
    bench.until_status("slow", "Running");
    let pods =
        ["get", "pods", "-l", "job-name=long", "-o", "custom-columns=N:.metadata.name,P:.status.phase"];
    bench.until("the job runs", || bench.run(&pods).stdout.contains("Running"));
    bench
        .run(&["delete", "pod", "slow", "--timeout=3s"])
        .exits(1)
        .prints("pod \"slow\" deleted\n")
        .says("waiting for default/slow to stop")
        .says("error: still there: default/slow\n");
    bench
        .run(&["delete", "job", "long", "--timeout", "3s"])
        .exits(1)
        .says("waiting for job.batch/long, default/long-")
        .says(" to go\n")
        .says("error: still there: job.batch/long, default/long-");
    bench.run(&["down"]).exits(14);
    for pod in bench.run(&["get", "pods", "-o", "name"]).stdout.lines() {
        bench.run(&["delete", pod, "--now"]).exits(0);
    }
    bench.until_clean();
    assert_eq!(watch.stop(), 0);
}

#[test]
fn run_makes_no_pod_of_a_name_that_is_taken() {
    let Some(bench) = Bench::new() else { return };
    let watch = bench.watch();
    let run = |more: &[&str]| {
        let mut args = vec!["run", "web", "--image=droppod.local/host"];
        args.extend_from_slice(more);
        bench.run(&args)
    };
    run(&["--", "sleep", "1000"]).exits(0).prints("pod/web created\n");
    let before = bench.read("default.pod.web.yaml");
    let taken = "error: pods \"web\" already exists\n";
    run(&["--", "sleep", "2000"]).exits(1).prints("").says(taken);
    assert_eq!(bench.read("default.pod.web.yaml"), before);
    run(&["--dry-run=client", "-o", "yaml"]).exits(0);
    run(&["--rm", "-i", "--command", "--", "true"]).exits(0);
    bench.run(&["delete", "pod", "web", "--now"]).exits(0);
    fs::write(bench.folder().join("mine.yaml"), sleeper("web").replace("1000\n", "1\n")).unwrap();
    run(&[]).exits(1).says(taken);
    bench.remove("mine.yaml");
    bench.until_clean();
    assert_eq!(watch.stop(), 0);
}

#[test]
fn an_end_that_cannot_be_recorded_is_told() {
    let Some(bench) = Bench::new() else { return };
    let watch = bench.watch();
    bench.manifest("web.yaml", &sleeper("web").replace("1000\n", "1\n"));
    bench.until_status("web", "Running");
    let uid = bench.run(&["get", "pod", "web", "-o", "jsonpath={.metadata.uid}"]).stdout;
    let pod = bench.path(&format!("r/pods/{uid}"));
    fs::remove_dir_all(pod.join("exits")).unwrap();
    let main = bench.pids("web", "main")[0].to_string();
    assert!(std::process::Command::new("kill").args(["-9", &main]).status().unwrap().success());
    let told = "droppod: pod default/web: cannot record the end of container main: No such file or directory";
    bench.until("it is told", || {
        fs::read_to_string(pod.join("shim.log")).is_ok_and(|said| said.contains(told))
    });
    bench.remove("web.yaml");
    bench.until_clean();
    assert_eq!(watch.stop(), 0);
}

#[test]
fn a_program_that_is_not_there_is_told_in_the_foreground() {
    let Some(bench) = Bench::new() else { return };
    for streams in [&[][..], &["-i"]] {
        let words = [&["run", "none", "--rm", "--image=droppod.local/host"], streams].concat();
        let words = [&words[..], &["--command", "--", "/no/such/program"]].concat();
        bench.run(&words).exits(128).prints("").says("none: Failed").says("/no/such/program");
    }
    bench.until_clean();
}
