//! One file edited a thousand times a second, by turns in place and by a rename, each time into another pod.

use std::fs;
use std::time::Duration;

use super::bench::{Bench, let_pass, now, say};
use super::{Verdict, argument, cpu};

const EDITS: usize = 60_000;
const SECOND: usize = 1_000;
/// After the last edit.
const IN_FORCE: Duration = Duration::from_secs(2);
const RESTARTS: usize = 60;

fn manifest(bench: &Bench, edit: usize) -> String {
    format!(
        "apiVersion: v1\nkind: Pod\nmetadata: {{name: web}}\nspec:\n  terminationGracePeriodSeconds: 1\n  \
         volumes: [{{name: out, hostPath: {{path: {}}}}}]\n  containers:\n  - name: main\n    image: droppod.local/host\n    \
         command: [bash, -c, 'trap exit TERM; echo $EDIT >> /out/starts; sleep 100000 & wait']\n    \
         env: [{{name: EDIT, value: '{edit}'}}]\n    volumeMounts: [{{name: out, mountPath: /out}}]\n",
        bench.path("told").display()
    )
}

pub(super) fn measure() -> Option<Verdict> {
    let edits = argument("--edits").unwrap_or(EDITS);
    let bench = Bench::new()?;
    fs::create_dir(bench.path("told")).unwrap();
    let starts = || fs::read_to_string(bench.path("told/starts")).unwrap_or_default();
    bench.manifest("web.yaml", &manifest(&bench, 0));
    let watch = bench.watch();
    bench.until("it runs", || starts() == "0\n");
    let (began, used) = (now(), cpu(watch.child.id()));
    let mut behind = Duration::ZERO;
    for edit in 1..=edits {
        let text = manifest(&bench, edit);
        if edit % 2 == 0 {
            fs::write(bench.folder().join("web.yaml"), text).unwrap();
        } else {
            bench.manifest("web.yaml", &text);
        }
        let due = Duration::from_secs(1) * u32::try_from(edit).unwrap() / u32::try_from(SECOND).unwrap();
        match due.checked_sub(began.elapsed()) {
            Some(early) if early.as_millis() > 0 => let_pass(early),
            Some(_) => {}
            None => behind = behind.max(began.elapsed() - due),
        }
    }
    let (took, used) = (began.elapsed(), cpu(watch.child.id()) - used);
    let last = format!("\n{edits}\n");
    let ended = now();
    while !starts().ends_with(&last) && ended.elapsed() < 10 * IN_FORCE {
        let_pass(Duration::from_millis(1));
    }
    let in_force = ended.elapsed();
    // Whether it stays so.
    let_pass(IN_FORCE);
    let told = starts();
    let restarts = told.lines().count() - 1;
    let share = used as f64 / took.as_nanos() as f64 * 100.0;
    say(&format!(
        "storm: {edits} edits in {took:.1?}, at worst {behind:.1?} behind one each millisecond, the last in force after {in_force:.2?} (at most {IN_FORCE:?}), {restarts} restarts (at \
         most {RESTARTS}), the watcher used {share:.1} % of a core"
    ));
    bench.remove("web.yaml");
    bench.until_clean();
    watch.stop();
    Some(Verdict::of(told.ends_with(&last) && in_force <= IN_FORCE && restarts <= RESTARTS))
}
