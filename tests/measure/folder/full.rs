//! Discs of state, logs and folder that are full for a long time, while a pod ends, one is to come and one is to go.

use std::fs;
use std::time::Duration;

use super::bench::{Bench, let_pass, now, say};
use super::disc::Disc;
use super::{Verdict, argument, cpu, sleeper};

const SECONDS: usize = 600;
/// Of each disc.
const MEBIBYTES: u64 = 48;
/// Within which all is true, once there is room.
const TRUE: Duration = Duration::from_secs(5);
const ENDLESS: [&str; 3] = ["one", "two", "three"];

/// Runs this, and has the bench's `told` as `/told`.
fn pod(bench: &Bench, name: &str, policy: &str, script: &str) -> String {
    format!(
        "apiVersion: v1\nkind: Pod\nmetadata: {{name: {name}}}\nspec:\n  restartPolicy: {policy}\n  \
         terminationGracePeriodSeconds: 1\n  volumes: [{{name: told, hostPath: {{path: {}}}}}]\n  containers:\n  \
         - name: main\n    image: droppod.local/host\n    command: [bash, -c, '{script}']\n    \
         volumeMounts: [{{name: told, mountPath: /told}}]\n",
        bench.path("told").display()
    )
}

pub(super) fn measure() -> Option<Verdict> {
    let seconds = argument("--seconds").unwrap_or(SECONDS);
    let bench = Bench::new()?;
    let discs = ["s", "l", "m"].map(|name| Disc::mounted(bench.path(name), MEBIBYTES));
    fs::create_dir(bench.path("told")).unwrap();
    for name in ENDLESS {
        let beats = "while true; do echo beat; sleep 0.2; done";
        bench.manifest(&format!("{name}.yaml"), &pod(&bench, name, "Always", beats));
    }
    let ends = "until test -e /told/end; do sleep 0.1; done; exit 7";
    bench.manifest("ends.yaml", &pod(&bench, "ends", "Never", ends));
    bench.manifest("goes.yaml", &sleeper("goes"));
    // Written before there is no room, and there only after.
    let draft = bench.folder().join(".comes.part");
    fs::write(&draft, sleeper("comes")).unwrap();
    let mut watch = bench.watch();
    for name in ENDLESS.iter().chain(&["ends", "goes"]) {
        bench.until_status(name, "Running");
        bench.until("its file tells so", || tells(&bench, name, "phase: Running"));
    }
    let pids = || ENDLESS.map(|name| bench.pids(name, "main").first().copied());
    let before = pids();

    let (began, used, lines) = (now(), cpu(watch.child.id()), bench.log().lines().count());
    let full = Duration::from_secs(seconds as u64);
    let mut happens = Some(draft);
    while began.elapsed() < full {
        discs.iter().for_each(Disc::fill);
        let_pass(Duration::from_secs(1));
        // While there has been no room for a while.
        if let Some(draft) = happens.take_if(|_| began.elapsed() > full / 4) {
            fs::write(bench.path("told/end"), "").unwrap();
            fs::rename(draft, bench.folder().join("comes.yaml")).unwrap();
            bench.remove("goes.yaml");
        }
        assert!(watch.is_running(), "the watcher has ended\n{}", bench.log());
    }
    let share = (cpu(watch.child.id()) - used) as f64 / began.elapsed().as_nanos() as f64 * 100.0;
    let lines = bench.log().lines().count() - lines;
    let kept = pids() == before && bench.run(&["exec", "one", "--", "true"]).code == 0;
    let gone = bench.status("goes").is_empty();
    let beats = || ENDLESS.map(|name| bench.run(&["logs", name]).stdout.lines().count());
    let beaten = beats();

    discs.iter().for_each(Disc::make_room);
    let room = now();
    bench.until("what ended is recorded and told", || {
        bench.status("ends") == "Error" && tells(&bench, "ends", "exitCode: 7")
    });
    bench.until("what came runs, and it is told", || {
        bench.status("comes") == "Running" && tells(&bench, "comes", "phase: Running")
    });
    bench.until("what went has no file", || !bench.folder().join("goes.status.yaml").exists());
    bench.until("logs go on", || beats().iter().zip(beaten).all(|(now, before)| *now > before));
    let took = room.elapsed();
    let restarts = ENDLESS.map(|name| bench.column(name, 3));
    let kept = kept && pids() == before && restarts.iter().all(|count| count == "0");
    say(&format!(
        "full: {seconds} s without room on three discs: pods {}, what was to go {}; all was true {took:.1?} after there was room \
         (at most {TRUE:?}); the watcher logged {lines} lines and used {share:.1} % of a core",
        if kept { "ran on" } else { "were restarted" },
        if gone { "went" } else { "stayed" },
    ));
    for name in ENDLESS.iter().chain(&["ends", "comes"]) {
        bench.remove(&format!("{name}.yaml"));
    }
    bench.until("no pod is left", || bench.shims().is_empty());
    watch.stop();
    drop(discs);
    bench.until_clean();
    Some(Verdict::of(kept && gone && took <= TRUE))
}

/// Whether the status file of a manifest says this.
fn tells(bench: &Bench, name: &str, part: &str) -> bool {
    bench.read(&format!("{name}.status.yaml")).contains(part)
}
