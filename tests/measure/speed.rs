//! How long things take, each beside `crun` doing the like in the same run, and beside the bare kernel:
//! `cargo test --release --test speed`, with `-- --runs 5` for a short one. Asserts nothing: it prints a table.
//!
//! Runs are interleaved, figures are medians of the time to the container's own first instruction (it prints the
//! clock). `crun` has a plain directory and no network; droppod has an overlay root, an address and a log.
#![expect(clippy::unwrap_used, reason = "a measurement fails by it, and says where")]

#[path = "../journeys/bench.rs"]
#[expect(dead_code, unused_imports, reason = "journeys use the rest of it")]
mod bench;
mod peer;
mod table;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use bench::{Bench, Running};
use peer::{Crun, Floor, clock};
use table::{Table, millis};

/// Pods at once, where there are many.
const MANY: usize = 100;
const FEW: usize = 10;
/// Over which idling is observed.
const IDLE: Duration = Duration::from_secs(10);

fn main() {
    let runs = argument("--runs").unwrap_or(30);
    let Some(bench) = Bench::new() else { return };
    let place = bench.path("peer");
    let Some(programs) = peer::programs(&place) else { return };
    let crun = Crun::find(&place, &programs);
    let floor = Floor { program: programs.join("floor") };
    archive(&bench, &programs);
    let mut table = Table::new(runs);

    let watch = bench.watch();
    warm_up(&bench);
    starts(&bench, crun.as_ref(), &floor, &programs, runs, &mut table);
    execs(&bench, crun.as_ref(), runs, &mut table);
    let few = many(&bench, FEW, &watch, None, &mut table);
    many(&bench, MANY, &watch, Some((crun.as_ref(), few)), &mut table);
    watch.stop();
    ups(&bench, crun.as_ref(), runs, &mut table);
    table.print();
}

fn argument(name: &str) -> Option<usize> {
    let mut arguments = std::env::args().skip_while(|argument| argument != name).skip(1);
    arguments.next().map(|count| count.parse().unwrap())
}

/// The image that pods run, beside the manifests.
fn archive(bench: &Bench, programs: &Path) {
    peer::write_image(&bench.path("image.tar"), &[("stamp", &programs.join("stamp"))]);
}

fn manifest(name: &str, command: &str, bench: &Bench) -> String {
    format!(
        "apiVersion: v1\nkind: Pod\nmetadata: {{name: {name}}}\nspec:\n  restartPolicy: Never\n  containers:\n  - name: \
         main\n    image: docker-archive:{}\n    command: {command}\n",
        bench.path("image.tar").display()
    )
}

const ONCE: &str = "[/stamp]";
const WAIT: &str = "[/stamp, wait]";

fn warm_up(bench: &Bench) {
    bench.manifest("warm.yaml", &manifest("warm", ONCE, bench));
    bench.until_status("warm", "Completed");
    bench.remove("warm.yaml");
    bench.until_clean();
}

/// What the only container of a pod has printed in a line that starts with this.
fn stamp(bench: &Bench, pod: &str, word: &str) -> Option<u64> {
    let begin = format!("default_{pod}_");
    let logs = fs::read_dir(bench.path("l")).ok()?.map(|entry| entry.unwrap().path());
    let of_pod = |path: &PathBuf| path.file_name().unwrap().to_str().unwrap().starts_with(&begin);
    let text = fs::read_to_string(logs.into_iter().find(of_pod)?.join("main/0.log")).ok()?;
    let line = text.lines().find_map(|line| {
        line.split_once(" F ").map(|(_, said)| said.to_owned()).filter(|said| said.starts_with(word))
    })?;
    line.split_once(' ')?.1.parse().ok()
}

fn starts(
    bench: &Bench,
    crun: Option<&Crun>,
    floor: &Floor,
    programs: &Path,
    runs: usize,
    table: &mut Table,
) {
    let (mut ours, mut theirs, mut least) = (Vec::new(), Vec::new(), Vec::new());
    for run in 0..runs {
        let name = format!("start{run}");
        let before = clock();
        bench.manifest(&format!("{name}.yaml"), &manifest(&name, ONCE, bench));
        bench.until("it has started", || stamp(bench, &name, "start").is_some());
        ours.push(stamp(bench, &name, "start").unwrap() - before);
        bench.until_status(&name, "Completed");
        bench.remove(&format!("{name}.yaml"));
        bench.until_clean();
        theirs.extend(crun.map(|crun| crun.run("stamp")));
        least.push(floor.run(&programs.join("stamp")));
    }
    table.row("floor: clone and exec", &least, &theirs, None);
    table.row("manifest to first instruction", &ours, &theirs, Some(2.0));
}

/// Back as soon as the command ends: nobody looks at intervals.
fn to_its_end(bench: &Bench, arguments: &[&str]) {
    let output = bench.command(arguments).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

fn execs(bench: &Bench, crun: Option<&Crun>, runs: usize, table: &mut Table) {
    bench.manifest("exec.yaml", &manifest("exec", WAIT, bench));
    bench.until_status("exec", "Running");
    let container = crun.map(Crun::start_waiting);
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for _ in 0..runs {
        let before = clock();
        to_its_end(bench, &["exec", "exec", "--", "/stamp"]);
        ours.push(clock() - before);
        theirs.extend(container.as_ref().map(|container| container.exec()));
    }
    drop(container);
    bench.remove("exec.yaml");
    bench.until_clean();
    table.row("exec, start to exit", &ours, &theirs, Some(1.0));
}

/// Many dropped and removed at once. Gives the time until all ran, per pod.
fn many(
    bench: &Bench,
    count: usize,
    watch: &Running,
    judge: Option<(Option<&Crun>, u64)>,
    table: &mut Table,
) -> u64 {
    let names: Vec<String> = (0..count).map(|number| format!("many{number}")).collect();
    let staged = bench.path("staged");
    fs::create_dir_all(&staged).unwrap();
    for name in &names {
        fs::write(staged.join(format!("{name}.yaml")), manifest(name, WAIT, bench)).unwrap();
    }
    let before = clock();
    for name in &names {
        let file = format!("{name}.yaml");
        fs::rename(staged.join(&file), bench.folder().join(&file)).unwrap();
    }
    bench.until("all have started", || names.iter().all(|name| stamp(bench, name, "start").is_some()));
    let last = names.iter().filter_map(|name| stamp(bench, name, "start")).max().unwrap();
    let up = last - before;
    if judge.is_some() {
        idle(bench, count, watch.child.id(), table);
    }
    for name in &names {
        bench.remove(&format!("{name}.yaml"));
    }
    let removed = clock();
    let told = last_term(bench, &names);
    bench.until_clean();
    let gone = clock() - removed;
    let per_pod = up / count as u64;
    if let Some((crun, few)) = judge {
        let row = crun.map(|crun| (0..count).map(|_| crun.run_whole("stamp")).sum::<u64>());
        let in_a_row: Vec<u64> = row.into_iter().collect();
        table.row(&format!("{count} dropped, all running"), &[up], &in_a_row, Some(2.5));
        table.row(&format!("per pod at {count}, beside {FEW}"), &[per_pod], &[few], Some(1.2));
        table.row(&format!("{count} removed, nothing left"), &[gone], &in_a_row, Some(2.0));
        let late = told.map_or(0, |told| told.saturating_sub(removed));
        table.fact(
            &format!("{count} removed, last SIGTERM"),
            &format!("{} ms after the last removal (aim 50)", millis(late)),
        );
    }
    per_pod
}

/// When the last of them had SIGTERM. Logs go with their pods, so they are read while these leave.
fn last_term(bench: &Bench, names: &[String]) -> Option<u64> {
    let mut told = std::collections::BTreeMap::new();
    bench.until("all have been told to end, or are gone", || {
        for name in names {
            if let Some(at) = stamp(bench, name, "term") {
                told.insert(name.clone(), at);
            }
        }
        bench.shims().is_empty()
    });
    told.into_values().max()
}

fn idle(bench: &Bench, count: usize, watcher: u32, table: &mut Table) {
    let ticks = peer::cpu_ticks(watcher);
    bench::let_pass(IDLE);
    let used = peer::cpu_ticks(watcher) - ticks;
    table.fact(
        &format!("watcher beside {count} idle pods"),
        &format!(
            "{:.1} MiB RSS (aim 15), {used} ticks of 10 ms in {} s (aim 0.2 % of a core: 2)",
            peer::status_kib(watcher, "VmRSS:") as f64 / 1024.0,
            IDLE.as_secs(),
        ),
    );
    let shims = bench.shims();
    let pss: u64 = shims.iter().map(|pid| peer::pss_kib(*pid)).sum();
    table.fact(
        "pod process, mean",
        &format!("{:.2} MiB PSS of {} (aim 0.6)", pss as f64 / 1024.0 / shims.len() as f64, shims.len()),
    );
}

fn ups(bench: &Bench, crun: Option<&Crun>, runs: usize, table: &mut Table) {
    bench.manifest("up.yaml", &manifest("up", ONCE, bench));
    let file = bench.folder().join("up.yaml");
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for _ in 0..runs {
        let before = clock();
        to_its_end(bench, &["up", "-f", file.to_str().unwrap()]);
        ours.push(clock() - before);
        assert_eq!(bench.census(), Vec::<String>::new());
        theirs.extend(crun.map(|crun| crun.run_whole("stamp")));
    }
    table.row_plus("`up`, to everything gone", &ours, &theirs, Duration::from_millis(40));
}
