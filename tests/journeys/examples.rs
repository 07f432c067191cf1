//! What lies in `examples/`, run as it lies there.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::bench::{Bench, wait_at_most};
use crate::image::made::Made;

fn examples() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("examples")
}

fn example(path: &str) -> String {
    fs::read_to_string(examples().join(path)).unwrap()
}

#[test]
fn the_nightly_batch_prepares_fails_tries_again_and_tells_when_it_is_due() {
    let Some(bench) = Bench::new() else { return };
    let watch = bench.watch();
    bench.manifest("nightly.yaml", &example("nightly/nightly.yaml"));
    bench.until("it is there", || bench.run(&["get", "cronjobs"]).stdout.contains("nightly"));
    bench.run(&["create", "job", "try", "--from=cronjob/nightly", "--wait", "--timeout", "50s"]).exits(0);
    let logs = bench.run(&["logs", "job/try", "--all-containers"]).exits(0).stdout;
    for line in ["prepared 5 lines", "helper is there", "try 2", "5 25", "wrote 5 lines", "helper stops"] {
        assert!(logs.lines().any(|known| known.ends_with(line)), "{line}\n{logs}");
    }
    let json = bench.run(&["get", "pods", "-o", "json"]).stdout;
    assert!(json.contains("the source does not answer"), "{json}");
    let described = bench.run(&["describe", "cronjob", "nightly"]).exits(0).stdout;
    let next: Vec<&str> =
        described.lines().skip_while(|line| !line.starts_with("Next Times:")).take(3).collect();
    assert!(next.len() == 3 && next.iter().all(|line| line.contains(" 02:30:00 +0")), "{described}");
    let described = bench.run(&["describe", "job", "try"]).exits(0).stdout;
    for part in ["Pods Statuses:", "1 Succeeded / 0 Failed", "SuccessfulCreate", "Completed"] {
        assert!(described.contains(part), "{part}\n{described}");
    }
    bench.run(&["delete", "job", "try"]).exits(0);
    bench.remove("nightly.yaml");
    bench.until_clean();
    assert_eq!(watch.stop(), 0);
}

#[test]
fn the_nightly_batch_is_run_by_its_cron_job() {
    let Some(bench) = Bench::new() else { return };
    let watch = bench.watch();
    let text = example("nightly/nightly.yaml");
    let each_minute = text.replace("schedule: \"30 2 * * *\"", "schedule: \"* * * * *\"");
    assert_ne!(each_minute, text);
    bench.manifest("nightly.yaml", &each_minute);
    let done = || {
        let rows = bench.run(&["get", "jobs", "--no-headers"]).stdout;
        let done = rows.lines().find(|row| row.starts_with("nightly-") && row.contains(" Complete "));
        done.and_then(|row| row.split_whitespace().next()).map(str::to_owned)
    };
    bench.until_at_most(Duration::from_secs(150), "a Job of its own is done", || done().is_some());
    let logs = bench.run(&["logs", &format!("job/{}", done().unwrap()), "--all-containers"]).exits(0).stdout;
    for line in ["prepared 5 lines", "helper is there", "try 2", "wrote 5 lines", "helper stops"] {
        assert!(logs.lines().any(|known| known.ends_with(line)), "{line}\n{logs}");
    }
    bench.remove("nightly.yaml");
    bench.until_clean();
    assert_eq!(watch.stop(), 0);
}

#[test]
fn the_command_of_the_crontab_does_what_it_says() {
    let Some(bench) = Bench::new() else { return };
    let place = bench.path("batch");
    fs::create_dir(&place).unwrap();
    let text = example("cron/droppod-batch");
    let line = text.lines().find(|line| line.starts_with("30 2 ")).unwrap();
    // cron reads five fields and a user, hands over the rest, and turns `\\%` into a percent sign.
    let command = line.splitn(7, ' ').nth(6).unwrap().replace("\\%", "%");
    let (lock, out) = (bench.path("batch.lock"), bench.path("batch.json"));
    let command = [
        ("/run/lock/droppod-batch", &lock),
        ("/etc/droppod/batch", &place),
        ("/var/log/droppod-batch.json", &out),
    ]
    .into_iter()
    .fold(command, |command, (usual, here)| {
        assert!(command.contains(usual), "{usual}\n{command}");
        command.replace(usual, here.to_str().unwrap())
    });
    let run = || {
        let mut shell = with_droppod(&bench, "sh");
        shell.args(["-c", &command]);
        wait_at_most(shell.spawn().unwrap(), "the command of the crontab", Duration::from_secs(60))
    };
    let pod = |script: &str| {
        format!(
            "apiVersion: v1\nkind: Pod\nmetadata: {{name: night}}\nspec:\n  restartPolicy: Never\n  containers:\n  - name: \
             main\n    image: droppod.local/host\n    command: [bash, -c, {script:?}]\n"
        )
    };
    fs::write(place.join("night.yaml"), pod("echo night work")).unwrap();
    let output = run();
    assert!(output.status.success() && output.stdout.is_empty() && output.stderr.is_empty(), "{output:?}");
    let told = fs::read_to_string(&out).unwrap();
    assert!(told.contains("\"line\":\"night work\""), "{told}");
    let last: serde_json::Value = serde_json::from_str(told.lines().last().unwrap()).unwrap();
    assert_eq!((&last["type"], &last["exitCode"]), (&"summary".into(), &0.into()));
    // A failure is mail, and a second one beside the first does nothing.
    fs::write(place.join("night.yaml"), pod("exit 3")).unwrap();
    let output = run();
    assert_eq!(output.status.code(), Some(10), "{output:?}");
    assert!(!output.stderr.is_empty());
    let held = fs::File::create(&lock).unwrap();
    rustix::fs::flock(&held, rustix::fs::FlockOperation::LockExclusive).unwrap();
    let before = fs::read_to_string(&out).unwrap();
    assert_eq!(run().status.code(), Some(1));
    assert_eq!(fs::read_to_string(&out).unwrap(), before);
    bench.until_clean();
}

/// A program that finds droppod in its path, and the bench's places in its environment.
fn with_droppod(bench: &Bench, name: &str) -> Command {
    let program = Path::new(env!("CARGO_BIN_EXE_droppod")).parent().unwrap();
    let path = format!("{}:{}", program.display(), std::env::var("PATH").unwrap_or_default());
    let mut command = bench.program(name);
    command.env("PATH", path);
    for (name, directory) in [("STATE", "s"), ("RUN", "r"), ("LOG", "l")] {
        command.env(format!("DROPPOD_{name}_DIR"), bench.path(directory));
    }
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

#[test]
fn the_workflow_has_droppod_before_it_runs_it_and_a_batch_that_is_stopped_has_not_failed() {
    let workflow = example("ci/github.yaml");
    let at = |part: &str| workflow.find(part).unwrap_or_else(|| panic!("{part}\n{workflow}"));
    assert!(at("cargo install --locked --git") < at("/usr/local/bin/droppod"));
    assert!(at("/usr/local/bin/droppod") < at("examples/ci/run.sh"));
    let repository = env!("CARGO_PKG_REPOSITORY");
    assert!(workflow.contains(repository), "{repository}\n{workflow}");
    assert!(example("systemd/droppod-batch.service").contains("\nSuccessExitStatus=130\n"));
}

#[test]
fn every_sample_is_run_by_a_journey() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let journeys = fs::read_dir(root.join("tests/journeys")).unwrap().map(|entry| entry.unwrap().path());
    let texts: String = journeys.filter_map(|path| fs::read_to_string(path).ok()).collect();
    for entry in fs::read_dir(root.join("manifests")).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        // What the README's first command leaves beside its manifest.
        if name.ends_with(".status.yaml") {
            continue;
        }
        assert!(texts.contains(&format!("manifests/{name}\")")), "{name} is run by no journey");
    }
}

#[test]
fn the_sample_of_a_namespace_greets_from_it() {
    let Some(bench) = Bench::new() else { return };
    bench.manifest("namespace.yaml", include_str!("../../manifests/namespace.yaml"));
    let ran = bench.run(&["up", "-f", bench.folder().to_str().unwrap()]).exits(0);
    assert!(ran.stdout.contains("hello from team-a/greeter at 10.77."), "{ran:#?}");
    assert!(ran.stderr.contains("team-a/greeter: Succeeded"), "{ran:#?}");
    bench.until_clean();
}

#[test]
fn the_sample_of_a_secret_reads_it_and_shows_it_nowhere() {
    let Some(bench) = Bench::new() else { return };
    bench.manifest("secret.yaml", include_str!("../../manifests/secret.yaml"));
    let ran = bench.run(&["up", "-f", bench.folder().to_str().unwrap()]).exits(0);
    assert!(ran.stdout.contains("user admin, a password of 14 bytes, mode 400"), "{ran:#?}");
    assert!(!bench.read("secret.status.yaml").contains("admin"), "{}", bench.read("secret.status.yaml"));
    bench.until_clean();
}

#[test]
fn a_box_without_a_network_runs_what_was_brought_along() {
    let Some(bench) = Bench::new() else { return };
    let Some(made) = Made::new("offline") else { return };
    let watch = bench.watch();
    bench.manifest("app.yaml", &example("offline/app.yaml"));
    bench.until_status("app", "ErrImageNeverPull");
    let images = bench.folder().join("images");
    fs::create_dir(&images).unwrap();
    let part = bench.folder().join("images/.app.part");
    made.write_docker_archive(&part, "registry.example/app:1");
    fs::rename(part, images.join("app.tar")).unwrap();
    bench.until_status("app", "Completed");
    bench.run(&["logs", "app"]).exits(0).says("says offline by default");
    bench.remove("app.yaml");
    bench.until_clean();
    assert_eq!(watch.stop(), 0);
}

#[test]
fn the_ci_job_passes_and_leaves_its_report() {
    let Some(bench) = Bench::new() else { return };
    let (place, report) = (bench.path("ci"), bench.path("report.xml"));
    fs::create_dir(&place).unwrap();
    for name in ["run.sh", "ci.yaml"] {
        fs::copy(examples().join("ci").join(name), place.join(name)).unwrap();
    }
    let run = || {
        let mut command = with_droppod(&bench, "sh");
        command.arg(place.join("run.sh")).env("REPORT", &report);
        wait_at_most(command.spawn().unwrap(), "run.sh", Duration::from_secs(60))
    };
    let output = run();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{output:?}");
    assert!(said.contains("test 2: the server says hello") && said.ends_with("all tests passed\n"), "{said}");
    let text = fs::read_to_string(&report).unwrap();
    assert!(text.contains("tests=\"3\" failures=\"0\" errors=\"0\""), "{text}");
    // A test that fails is the exit code, and is in the report with its last words.
    let broken = fs::read_to_string(place.join("ci.yaml")).unwrap().replace("\"hello\\n\"", "\"go away\\n\"");
    fs::write(place.join("ci.yaml"), broken.replace("backoffLimitPerIndex: 1", "backoffLimitPerIndex: 0"))
        .unwrap();
    let output = run();
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let text = fs::read_to_string(&report).unwrap();
    assert!(text.contains("failures=\"3\"") && text.contains("no hello but: go away"), "{text}");
    bench.until_clean();
}

/// Words of every droppod command in the examples.
fn commands() -> Vec<Vec<String>> {
    let mut found = Vec::new();
    let files =
        ["systemd/droppod.service", "systemd/droppod-batch.service", "cron/droppod-batch", "busybox/inittab"];
    for text in files.iter().chain(&["ci/run.sh", "nightly/nightly.yaml"]).map(|path| example(path)) {
        for line in text.lines() {
            let command =
                ["droppod watch ", "droppod up ", "droppod down ", "droppod create ", "droppod describe "]
                    .iter()
                    .find_map(|begin| Some(&line[line.find(begin)? + "droppod ".len()..]));
            let Some(command) = command else { continue };
            // Of what stands behind it: other output, or a comment some blanks further.
            let command = command.split(">>").next().unwrap().split("   ").next().unwrap();
            found.push(command.split_whitespace().map(|word| word.trim_matches('"').to_owned()).collect());
        }
    }
    found
}

#[test]
fn every_command_of_the_examples_is_one_that_there_is() {
    let Some(bench) = Bench::new() else { return };
    let commands = commands();
    assert!(commands.len() >= 7, "{commands:?}");
    for command in commands {
        // `--help` is answered only where all before it is understood.
        let words: Vec<&str> = command.iter().map(String::as_str).chain(["--help"]).collect();
        let ran = bench.run(&words);
        assert_eq!(ran.code, 0, "{command:?}: {ran:#?}");
    }
}
