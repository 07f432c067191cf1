//! The tour of the README, typed as it stands there: what it promises is what comes.

use crate::bench::Bench;

const README: &str = include_str!("../../README.md");
const MISTAKEN: &str = "apiVersion: v1\nkind: Pod\nmetadata:\n  name: web\nspec:\n  volumes:\n  - name: data\n    \
                        emptyDir: {}\n  contianers:\n  - name: web\n    image: nginx\n";
const WEB: &str = "apiVersion: v1\nkind: Pod\nmetadata: {name: web}\nspec:\n  containers:\n  - {name: main, image: \
                   'nginx:1.28'}\n";

/// Commands and what is printed below each, of the console blocks of a section.
fn transcript(section: &str) -> Vec<(&'static str, String)> {
    let start = README.find(&format!("\n## {section}\n")).unwrap() + 1;
    let text = &README[start..];
    let text = &text[..text[3..].find("\n## ").map_or(text.len(), |end| end + 3)];
    let mut steps: Vec<(&str, String)> = Vec::new();
    let mut inside = false;
    for line in text.lines() {
        match (line, line.strip_prefix("# ").or_else(|| line.strip_prefix("$ "))) {
            ("```console", _) => inside = true,
            ("```", _) => inside = false,
            (_, Some(command)) if inside => steps.push((command, String::new())),
            (_, None) if inside => steps.last_mut().unwrap().1.push_str(&format!("{line}\n")),
            (_, _) => {}
        }
    }
    steps
}

fn printed(section: &str, command: &str) -> String {
    let steps = transcript(section);
    let found = steps.into_iter().find(|(typed, _)| typed.starts_with(command));
    found.unwrap_or_else(|| panic!("the README has no `{command}`")).1
}

/// Cells of a table, without those that differ from one machine and moment to the next.
fn cells(table: &str) -> Vec<Vec<&str>> {
    let moves = |at: usize| matches!(at, 4..=6);
    table
        .lines()
        .enumerate()
        .map(|(line, text)| {
            let cells = text.split("  ").map(str::trim).filter(|cell| !cell.is_empty());
            cells.enumerate().filter(|(at, _)| line == 0 || !moves(*at)).map(|(_, cell)| cell).collect()
        })
        .collect()
}

#[test]
fn the_first_command_says_what_the_readme_shows() {
    let Some(bench) = Bench::new() else { return };
    let expected = printed("Try it", "cargo run --release -- up -f manifests/hello.yaml");
    bench.manifest("hello.yaml", include_str!("../../manifests/hello.yaml"));
    let file = bench.folder().join("hello.yaml").display().to_string();
    let ran = bench.run(&["up", "-f", &file]).exits(0);
    for line in expected.lines() {
        assert!(ran.stdout.lines().any(|said| said == line), "no {line:?} in {ran:#?}");
    }
    assert_eq!(ran.stdout.lines().count(), expected.lines().count(), "{ran:#?}");
    bench.until_clean();
}

#[test]
fn the_folder_of_the_readme_runs_its_pod() {
    let Some(bench) = Bench::new() else { return };
    let watch = bench.watch();
    bench.manifest("configmap.yaml", include_str!("../../manifests/configmap.yaml"));
    bench.until_status("reader", "Running");
    let table = bench.run(&["get", "pods", "-o", "wide"]).exits(0).stdout;
    assert_eq!(cells(&table), cells(&printed("A folder", "droppod get pods -o wide")));
    let line = printed("A folder", "droppod logs reader --tail=1");
    bench.until("the pod has spoken", || bench.run(&["logs", "reader", "--tail=1"]).stdout == line);
    assert_eq!(watch.stop(), 0);
}

#[test]
fn the_mistake_of_the_readme_is_answered_as_it_shows() {
    let Some(bench) = Bench::new() else { return };
    std::fs::write(bench.path("web.yaml"), MISTAKEN).unwrap();
    let ran = bench.run(&["validate", "-f", bench.path("web.yaml").to_str().unwrap()]).exits(1);
    let said = ran.stderr.replace(bench.path("web.yaml").to_str().unwrap(), "web.yaml");
    assert_eq!(said.trim_end(), printed("Mistakes", "droppod validate -f web.yaml").trim_end());
}

/// Words of a table, without how wide and how old anything is.
fn words(table: &str) -> Vec<Vec<&str>> {
    let is_age = |word: &str| word.strip_suffix('s').is_some_and(|n| n.bytes().all(|c| c.is_ascii_digit()));
    let told = |word| if is_age(word) { "AGE" } else { word };
    table.lines().map(|line| line.split_whitespace().map(told).collect()).collect()
}

#[test]
fn a_pod_of_the_readme_runs_from_the_command_line() {
    let Some(bench) = Bench::new() else { return };
    let typed = "echo one two | droppod run --rm -i count --image=droppod.local/host --command -- wc -w";
    let args: Vec<&str> = typed.split_once("droppod ").unwrap().1.split(' ').collect();
    bench.run_with_input(&args, "one two\n").exits(0).prints(&printed("Looking", typed));
    bench.until_clean();
}

#[test]
fn the_jobs_of_the_readme_run_and_are_shown() {
    let Some(bench) = Bench::new() else { return };
    let watch = bench.watch();
    bench.manifest("job.yaml", include_str!("../../manifests/job.yaml"));
    bench.manifest("cronjob.yaml", include_str!("../../manifests/cronjob.yaml"));
    let expected = printed("Jobs", "droppod get jobs,cronjobs");
    let shown = || bench.run(&["get", "jobs,cronjobs"]).stdout;
    bench.until("the Job is shown as the README shows it", || words(&shown()) == words(&expected));
    let lines = bench.run(&["logs", "job/squares", "--all-pods"]).exits(0).stdout;
    assert_eq!(lines.lines().count(), 5, "{lines}");
    let typed = printed("Jobs", "droppod describe cronjob nightly | tail -n 5");
    let described = bench.run(&["describe", "cronjob", "nightly"]).exits(0).stdout;
    let end: Vec<&str> = described.lines().rev().take(5).collect();
    let readme: Vec<&str> = typed.lines().rev().collect();
    assert_eq!((end[0], end[4]), (readme[0], readme[4]), "{described}");
    // The dates are those of the next three nights.
    let hours = |lines: &[&str]| lines.iter().map(|line| line.contains(" 02:30:00 +0")).collect::<Vec<_>>();
    assert_eq!(hours(&end[1..4]), hours(&readme[1..4]), "{described}");
    assert_eq!(watch.stop(), 0);
}

#[test]
fn the_diff_of_the_readme_is_what_an_edit_of_the_image_gives() {
    let Some(bench) = Bench::new() else { return };
    let watch = bench.watch();
    bench.manifest("web.yaml", WEB);
    bench.until("it is in force", || bench.run(&["get", "pods", "-o", "name"]).stdout == "pod/web\n");
    let edited = WEB.replace("1.28", "1.29");
    let expected = printed("Looking", "droppod diff -f web.yaml");
    bench.run_with_input(&["diff", "-f", "-"], &edited).exits(1).prints(&expected);
    assert_eq!(watch.stop(), 0);
}
