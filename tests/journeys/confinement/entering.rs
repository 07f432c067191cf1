//! What is run in a container that is there is confined as that is.

use std::fs;
use std::process::Command;

use super::{LATER, RESTRICTED, bench, compare, own_profile, pids_limit, pod, posture, probed_by};

#[test]
fn what_a_probe_or_an_exec_runs_in_a_container_is_confined_as_the_container_is() {
    let Some(bench) = bench() else { return };
    own_profile(&bench);
    let out = bench.path("tables");
    fs::create_dir(&out).unwrap();
    Command::new("chmod").arg("0777").arg(&out).status().unwrap();
    let _watcher = bench.watch();
    for (name, context, table) in LATER {
        // Once: a startup probe that has succeeded is not run again.
        let volume = format!("volumes: [{{name: out, hostPath: {{path: {}}}}}, ", out.display());
        let text = pod(&bench, name, context, "[sleep, infinity]")
            .replace("volumes: [", &volume)
            .replace("volumeMounts: [", "volumeMounts: [{name: out, mountPath: /out}, ")
            + &format!(
                "    startupProbe: {{exec: {{command: [sh, -c, 'exec /probe > /out/{name}']}}, timeoutSeconds: 60, periodSeconds: 60}}\n"
            );
        bench.manifest("probe.yaml", &text);
        bench.until(&format!("{name} has been probed"), || bench.column(name, 1) == "1/1");
        compare(&bench, table, &fs::read_to_string(out.join(name)).unwrap());
        assert_eq!(posture("processes"), format!("{} per pod", pids_limit(&bench, name)));
        let found = bench.run(&["exec", name, "--", "/probe"]).exits(0).stdout;
        compare(&bench, table, &found);
    }
    bench.remove("probe.yaml").until_clean();
}

#[test]
fn a_container_that_shares_processes_is_confined_all_the_same() {
    let Some(bench) = bench() else { return };
    own_profile(&bench);
    for (name, context, table) in LATER {
        let text = pod(&bench, name, context, "[/probe]")
            .replace("restartPolicy:", "shareProcessNamespace: true\n  restartPolicy:");
        compare(&bench, table, &probed_by(&bench, &text));
    }
}

#[test]
fn hooks_are_confined_as_their_container_is() {
    let Some(bench) = bench() else { return };
    let out = bench.path("tables");
    fs::create_dir(&out).unwrap();
    Command::new("chmod").arg("0777").arg(&out).status().unwrap();
    let _watcher = bench.watch();
    for (name, context, table) in [("plain", "{}", "default"), ("meek", RESTRICTED, "restricted")] {
        for when in ["postStart", "preStop"] {
            let volume = format!("volumes: [{{name: out, hostPath: {{path: {}}}}}, ", out.display());
            let table_of = format!("{name}.{when}");
            // One that ends by itself when it is asked to, and not before its hook has ended.
            let text = pod(&bench, name, context, "[timeout, --foreground, '1000', sleep, infinity]")
                .replace("GracePeriodSeconds: 1", "GracePeriodSeconds: 60")
                .replace("volumes: [", &volume)
                .replace("volumeMounts: [", "volumeMounts: [{name: out, mountPath: /out}, ")
                + &format!(
                    "    lifecycle: {{{when}: {{exec: {{command: [sh, -c, '/probe > /out/{table_of}']}}}}}}\n"
                );
            bench.manifest("probe.yaml", &text);
            bench.until_status(name, "Running");
            bench.remove("probe.yaml").until_clean();
            compare(&bench, table, &fs::read_to_string(out.join(table_of)).unwrap());
        }
    }
}
