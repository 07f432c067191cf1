//! How long things take, each beside `crun` doing the like in the same run, and beside the bare kernel:
//! `cargo test --release --test speed`, with `-- --runs 5` for a short one. Asserts nothing: it prints a table.
//!
//! Runs are interleaved, figures are medians of the time to the container's own first instruction (it prints the
//! clock). `crun` has a plain directory and no network; droppod has an overlay root, an address and a log.
#![expect(clippy::unwrap_used, reason = "a measurement fails by it, and says where")]

#[path = "../journeys/bench.rs"]
#[expect(dead_code, unused_imports, reason = "journeys use the rest of it")]
mod bench;
mod cost;
mod peer;
mod table;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use bench::{Bench, Running};
use cost::clock;
use peer::{Crun, Floor};
use table::Table;

/// Pods at once, where there are many.
const MANY: usize = 100;
const FEW: usize = 10;
/// How often there are.
const ROUNDS: usize = 3;
/// Over which idling is observed.
const IDLE: Duration = Duration::from_secs(30);

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
    crowds(&bench, crun.as_ref(), &watch, &mut table);
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

/// The log of the only container of a pod.
fn log(bench: &Bench, pod: &str) -> Option<PathBuf> {
    let begin = format!("default_{pod}_");
    let mut logs = fs::read_dir(bench.path("l")).ok()?.map(|entry| entry.unwrap().path());
    let of_pod = |path: &PathBuf| path.file_name().unwrap().to_str().unwrap().starts_with(&begin);
    Some(logs.find(of_pod)?.join("main/0.log"))
}

/// What it has printed in a line that starts with this.
fn stamp(bench: &Bench, pod: &str, word: &str) -> Option<u64> {
    stamp_of(&log(bench, pod)?, word)
}

fn stamp_of(log: &Path, word: &str) -> Option<u64> {
    let text = fs::read_to_string(log).ok()?;
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

/// What became of many pods that were dropped and removed at once, in nanoseconds.
struct Crowd {
    /// From the first file to the first instruction of the last.
    up: u64,
    /// From the last removal until the last had SIGTERM.
    told: u64,
    /// From the last removal until nothing was left.
    gone: u64,
}

/// Few, many and `crun` in turn.
fn crowds(bench: &Bench, crun: Option<&Crun>, watch: &Running, table: &mut Table) {
    let mut row = Vec::new();
    let (mut few, mut many) = (Vec::new(), Vec::new());
    for round in 0..ROUNDS {
        few.push(crowd(bench, FEW, || ()));
        many.push(crowd(bench, MANY, || {
            if round == 0 {
                idle(bench, watch.child.id(), table);
            }
        }));
        row.extend(crun.map(|crun| (0..MANY).map(|_| crun.run_whole("stamp")).sum::<u64>()));
    }
    let all = |crowds: &[Crowd], one: fn(&Crowd) -> u64| crowds.iter().map(one).collect::<Vec<u64>>();
    let per_pod = |crowds, count| {
        all(crowds, |one| one.up).into_iter().map(|up| up / count as u64).collect::<Vec<u64>>()
    };
    table.row(&format!("{MANY} dropped, all running"), &all(&many, |one| one.up), &row, Some(2.5));
    table.row(
        &format!("per pod at {MANY}, beside {FEW}"),
        &per_pod(&many, MANY),
        &per_pod(&few, FEW),
        Some(1.2),
    );
    table.row(&format!("{MANY} removed, nothing left"), &all(&many, |one| one.gone), &row, Some(2.0));
    let settling = Duration::from_millis(50);
    table.limit(&format!("{MANY} removed, last SIGTERM"), &all(&many, |one| one.told), settling);
}

fn crowd(bench: &Bench, count: usize, at_rest: impl FnOnce()) -> Crowd {
    let names: Vec<String> = (0..count).map(|number| format!("many{number}")).collect();
    let (staged, kept) = (bench.path("staged"), bench.path("kept"));
    for place in [&staged, &kept] {
        fs::create_dir_all(place).unwrap();
    }
    for name in &names {
        fs::write(staged.join(format!("{name}.yaml")), manifest(name, WAIT, bench)).unwrap();
    }
    let before = clock();
    for name in &names {
        let file = format!("{name}.yaml");
        fs::rename(staged.join(&file), bench.folder().join(&file)).unwrap();
    }
    bench.until("all have started", || names.iter().all(|name| stamp(bench, name, "start").is_some()));
    let up = names.iter().filter_map(|name| stamp(bench, name, "start")).max().unwrap() - before;
    at_rest();
    // Logs go with their pods; their last lines are wanted.
    for name in &names {
        fs::hard_link(log(bench, name).unwrap(), kept.join(name)).unwrap();
    }
    for name in &names {
        bench.remove(&format!("{name}.yaml"));
    }
    let removed = clock();
    bench.until_clean();
    let gone = clock() - removed;
    let told = names.iter().map(|name| stamp_of(&kept.join(name), "term").expect("it was told to end"));
    let told = told.max().unwrap().saturating_sub(removed);
    fs::remove_dir_all(kept).unwrap();
    Crowd { up, told, gone }
}

fn idle(bench: &Bench, watcher: u32, table: &mut Table) {
    cost::come_to_rest(watcher);
    let share = cost::share(watcher, IDLE);
    let shims = bench.shims();
    let pss: f64 = shims.iter().map(|pid| cost::pss_mib((*pid).try_into().unwrap())).sum();
    let many = format!("watcher beside {MANY} idle pods");
    table.amount(&format!("{many}, MiB RSS"), cost::rss_mib(watcher), 15.0);
    table.amount(&format!("{many}, % of a core"), share, 0.2);
    table.amount("pod process, mean MiB PSS", pss / shims.len() as f64, 0.6);
}

fn ups(bench: &Bench, crun: Option<&Crun>, runs: usize, table: &mut Table) {
    bench.manifest("up.yaml", &manifest("up", ONCE, bench));
    let file = bench.folder().join("up.yaml");
    let (mut ours, mut theirs, mut bridges) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..runs {
        let before = clock();
        to_its_end(bench, &["up", "-f", file.to_str().unwrap()]);
        ours.push(clock() - before);
        assert_eq!(bench.census(), Vec::<String>::new());
        theirs.extend(crun.map(|crun| crun.run_whole("stamp")));
        bridges.push(bridge(bench));
    }
    table.row("floor: a bridge made and removed", &bridges, &theirs, None);
    table.row_plus("`up`, to everything gone", &ours, &theirs, Duration::from_millis(40));
}

/// What the kernel takes for the network of `up` alone.
fn bridge(bench: &Bench) -> u64 {
    let before = clock();
    let made = "link add floor type bridge\nlink set floor up\nlink del floor\n";
    let file = bench.path("bridge");
    fs::write(&file, made).unwrap();
    let mut ip = bench.program("ip");
    assert!(ip.arg("-batch").arg(&file).status().unwrap().success());
    clock() - before
}
