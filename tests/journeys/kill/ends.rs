//! Ends of containers: each is recorded once, as it was.

use std::fs;

use super::{Dice, kill_all, names_in, object, pod, signal_all};
use crate::bench::{Bench, say};

/// Of a container that ends while its pod process cannot look.
#[test]
fn an_end_that_only_the_kernel_saw_is_recorded_with_its_true_code() {
    let Some(bench) = Bench::new() else { return };
    if !keeps_ends() {
        return say("skipped: the kernel keeps no ends of processes (Linux 6.15)");
    }
    fs::create_dir(bench.path("told")).unwrap();
    bench.manifest(
        "web.yaml",
        &format!(
            "apiVersion: v1\nkind: Pod\nmetadata: {{name: web}}\nspec:\n  restartPolicy: Never\n  \
             volumes: [{{name: told, hostPath: {{path: {}}}}}]\n  containers:\n  - name: main\n    \
             image: droppod.local/host\n    command: [perl, -e, 'select undef, undef, undef, 0.1 until -e \"/told/end\"; exit 3']\n    \
             volumeMounts: [{{name: told, mountPath: /told}}]\n",
            bench.path("told").display()
        ),
    );
    let watch = bench.watch();
    bench.until("the watcher has seen it run", || bench.read("web.status.yaml").contains("phase: Running"));
    let (shim, main) = (bench.shims(), bench.pids("web", "main")[0]);
    signal_all("-STOP", &shim);
    fs::write(bench.path("told/end"), "").unwrap();
    bench.until("the container has ended", || state_of(main) == Some('Z'));
    kill_all(&shim);
    let end = || object(&bench, "web")["status"]["containerStatuses"][0]["state"]["terminated"].clone();
    bench.until("its end is told", || !end().is_null());
    assert_eq!((&end()["exitCode"], &end()["reason"]), (&3.into(), &"Error".into()), "{:#}", end());
    bench.remove("web.yaml");
    bench.until_clean();
    assert_eq!(watch.stop(), 0);
}

fn keeps_ends() -> bool {
    let release = rustix::system::uname().release().to_string_lossy().into_owned();
    let mut numbers =
        release.split(|c: char| !c.is_ascii_digit()).map(|part| part.parse::<u32>().unwrap_or(0));
    (numbers.next(), numbers.next()) >= (Some(6), Some(15))
}

/// `R`, `S`, `Z`, …; none if there is no such process.
fn state_of(pid: i32) -> Option<char> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit_once(") ")?.1.chars().next()
}

#[test]
fn every_end_of_a_container_is_recorded_once_with_its_true_code() {
    let Some(bench) = Bench::new() else { return };
    let mut dice = Dice::new("containers");
    let names: Vec<String> = (0..6).map(|number| format!("p{number}")).collect();
    for name in &names {
        bench.manifest(
            &format!("{name}.yaml"),
            &pod(name).replace(
                "bash, -c, 'exec 3<> <(:); while true; do echo beat; read -rt 0.2 -u 3; done'",
                "sleep, '1000'",
            ),
        );
    }
    let watch = bench.watch();
    for run in [0, 1] {
        for name in &names {
            bench.until(&format!("{name} runs for the time {run}"), || {
                let there = object(&bench, name);
                let container = &there["status"]["containerStatuses"][0];
                container["restartCount"] == run && !container["state"]["running"].is_null()
            });
            dice.moment(50);
            kill_all(&bench.pids(name, "main")[..1]);
        }
    }
    for name in &names {
        bench.until("it has been started twice more", || {
            object(&bench, name)["status"]["containerStatuses"][0]["restartCount"] == 2
        });
        let there = object(&bench, name);
        let last = &there["status"]["containerStatuses"][0]["lastState"]["terminated"];
        assert_eq!((&last["exitCode"], &last["reason"]), (&137.into(), &"Error".into()), "{there:#}");
        let exits = bench.path(&format!("r/pods/{}/exits", there["metadata"]["uid"].as_str().unwrap()));
        assert_eq!(names_in(&exits), ["main.0.json", "main.1.json", "main.2.begun"]);
        for exit in ["main.0.json", "main.1.json"] {
            let text = fs::read_to_string(exits.join(exit)).unwrap();
            let exit: serde_json::Value = serde_json::from_str(&text).unwrap();
            assert_eq!((&exit["code"], &exit["signal"]), (&137.into(), &9.into()), "{text}");
        }
    }
    for name in &names {
        bench.remove(&format!("{name}.yaml"));
    }
    bench.until_clean();
    assert_eq!(watch.stop(), 0);
}
