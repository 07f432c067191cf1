//! CronJobs by the clock of the machine.

use std::time::Duration;

use crate::bench::{Bench, Running};

/// A minute, and what a busy machine takes beside it.
const NEXT_MINUTE: Duration = Duration::from_secs(120);

fn cron(name: &str, policy: &str) -> String {
    format!(
        "apiVersion: batch/v1\nkind: CronJob\nmetadata: {{name: {name}, labels: {{tier: cron}}}}\nspec:\n  schedule: '* * * * *'\n  \
         concurrencyPolicy: {policy}\n  jobTemplate:\n    spec:\n      template:\n        spec:\n          restartPolicy: Never\n          \
         terminationGracePeriodSeconds: 1\n          containers:\n          - {{name: main, image: droppod.local/host, command: [sleep, '1000']}}\n"
    )
}

/// Names of the Jobs of a CronJob, and the minutes that they were made for.
fn minutes(bench: &Bench, cron: &str) -> Vec<i64> {
    let table = bench.run(&["get", "jobs", "--no-headers"]).stdout;
    let names = table.lines().filter_map(|row| row.split_whitespace().next());
    let mut minutes: Vec<i64> =
        names.filter_map(|name| name.strip_prefix(cron)?.strip_prefix('-')?.parse().ok()).collect();
    minutes.sort_unstable();
    minutes
}

fn minute(bench: &Bench) -> i64 {
    let said = bench.program("date").arg("+%s").output().unwrap().stdout;
    String::from_utf8(said).unwrap().trim().parse::<i64>().unwrap() / 60
}

fn column(bench: &Bench, name: &str, index: usize) -> String {
    let table = bench.run(&["get", "jobs", "--no-headers"]).stdout;
    let row = table.lines().find(|line| line.split_whitespace().next() == Some(name)).unwrap_or_default();
    row.split_whitespace().nth(index).unwrap_or_default().to_owned()
}

#[test]
fn each_minute_is_served_once_as_its_policy_says_also_one_that_passes_while_no_watcher_is_there() {
    let Some(bench) = Bench::new() else { return };
    let watch = bench.watch();
    let policies = ["allow", "forbid", "replace"];
    for (name, policy) in policies.iter().zip(["Allow", "Forbid", "Replace"]) {
        bench.manifest(&format!("{name}.yaml"), &cron(name, policy));
    }
    let running = |bench: &Bench| bench.run(&["get", "pods"]).stdout.matches("Running").count();
    bench.until_at_most(NEXT_MINUTE, "each has a Job that runs", || {
        policies.iter().all(|name| !minutes(&bench, name).is_empty()) && running(&bench) >= 3
    });
    let first: Vec<Vec<i64>> = policies.iter().map(|name| minutes(&bench, name)).collect();
    watch.kill();
    let newest = *first[0].last().unwrap();
    bench.until_at_most(NEXT_MINUTE, "a minute passes without a watcher", || minute(&bench) > newest);
    let served = minute(&bench);
    let watch: Running = bench.watch();
    bench.until("the minute is served", || {
        minutes(&bench, "allow").last() >= Some(&served) && minutes(&bench, "replace").last() >= Some(&served)
    });
    bench.until("what is replaced goes", || minutes(&bench, "replace").len() == 1);
    let allowed = minutes(&bench, "allow");
    assert!(allowed.len() > first[0].len(), "{allowed:?}");
    assert!(allowed.windows(2).all(|pair| pair[0] < pair[1]), "{allowed:?}");
    assert!(first[0].iter().all(|minute| allowed.contains(minute)), "{allowed:?}");
    assert_eq!(minutes(&bench, "forbid"), first[1]);
    bench.until("it is told why", || {
        let told = bench.run(&["events", "--for", "cronjob/forbid"]).stdout;
        told.contains("JobAlreadyActive") && told.contains("SuccessfulCreate")
    });
    assert!(bench.run(&["events", "--for", "cronjob/replace"]).stdout.contains("SuccessfulDelete"));
    for name in policies {
        bench.remove(&format!("{name}.yaml"));
    }
    bench.until_clean();
    assert_eq!(watch.stop(), 0);
}

#[test]
fn should_support_cronjob_api_operations() {
    let Some(bench) = Bench::new() else { return };
    let watch = bench.watch();
    let file = bench.path("cron.yaml");
    let apply = |text: &str| {
        std::fs::write(&file, text).unwrap();
        bench.run(&["apply", "-f", file.to_str().unwrap()])
    };
    let text = cron("api", "Allow").replace("schedule: '* * * * *'", "schedule: '@yearly'");
    apply(&text).exits(0).says("created");
    let json = |bench: &Bench| -> serde_json::Value {
        let ran = bench.run(&["get", "cronjob", "api", "-o", "json"]);
        serde_json::from_str(&ran.stdout).unwrap_or_default()
    };
    bench.until("it is there", || json(&bench)["spec"]["schedule"] == "@yearly");
    let uid = json(&bench)["metadata"]["uid"].clone();
    bench
        .run(&["get", "cronjobs", "-A", "-l", "tier=cron", "-o", "name"])
        .exits(0)
        .prints("cronjob.batch/api\n");
    bench.run(&["get", "cronjobs", "-l", "tier=other", "-o", "name"]).prints("");
    apply(&text.replace("  schedule:", "  suspend: true\n  schedule:")).exits(0).says("configured");
    bench.until("it is suspended", || json(&bench)["spec"]["suspend"] == true);
    assert_eq!(json(&bench)["metadata"]["uid"], uid);
    bench.run(&["describe", "cronjob", "api"]).exits(0).says("Schedule:");
    bench.run(&["delete", "cronjob", "api"]).exits(0).says("deleted");
    bench.until("it has gone", || bench.run(&["get", "cronjobs", "-A"]).stdout.is_empty());
    bench.until_clean();
    assert_eq!(watch.stop(), 0);
}

#[test]
fn a_cron_job_is_shown_and_a_job_is_made_of_it_by_hand_and_run_again() {
    let Some(bench) = Bench::new() else { return };
    let watch = bench.watch();
    bench.manifest("cron.yaml", include_str!("../../manifests/cronjob.yaml"));
    bench.until("it is there", || bench.run(&["get", "cronjobs"]).stdout.contains("nightly"));
    let table = bench.run(&["get", "cj"]).stdout;
    let words: Vec<&str> =
        table.lines().nth(1).unwrap().split("   ").map(str::trim).filter(|w| !w.is_empty()).collect();
    assert_eq!(words[..6], ["nightly", "30 2 * * *", "Europe/Berlin", "False", "0", "<none>"], "{table}");
    let dry = |more: &[&str]| {
        bench
            .run(&[&["create", "job", "now", "--from=cronjob/nightly", "--dry-run=client"], more].concat())
            .exits(0)
    };
    dry(&[]).prints("job.batch/now created (dry run)\n");
    dry(&["-o", "name"]).prints("job.batch/now\n");
    let json: serde_json::Value = serde_json::from_str(&dry(&["-o", "json"]).stdout).unwrap();
    assert_eq!((json["kind"].as_str(), json["metadata"]["name"].as_str()), (Some("Job"), Some("now")));
    let validated = bench.run_with_input(&["validate", "-f", "-"], &dry(&["-o", "yaml"]).stdout);
    assert!(validated.exits(0).stdout.contains("job.batch/now"));
    assert!(bench.run(&["get", "jobs"]).stdout.is_empty(), "nothing was made");
    let ran =
        bench.run(&["create", "job", "now", "--from=cronjob/nightly", "--wait", "--timeout", "50s"]).exits(0);
    assert!(ran.stdout.contains("job.batch/now created"), "{ran:#?}");
    assert!(bench.run(&["logs", "job/now"]).stdout.contains("done"));
    bench.run(&["create", "job", "now", "--from=cronjob/nightly"]).exits(1);
    let uid = |bench: &Bench| bench.run(&["get", "job", "now", "-o", "yaml"]).stdout;
    let before = uid(&bench);
    bench.run(&["rerun", "job/now"]).exits(0);
    bench
        .until("another run is complete", || uid(&bench) != before && column(&bench, "now", 1) == "Complete");
    bench.run(&["delete", "job", "now"]).exits(0);
    bench.remove("cron.yaml");
    bench.until_clean();
    assert_eq!(watch.stop(), 0);
}

#[test]
fn a_job_of_a_cron_job_that_hangs_is_deleted_with_its_pods_and_the_next_one_is_made() {
    let Some(bench) = Bench::new() else { return };
    let watch = bench.watch();
    bench.manifest("often.yaml", &cron("often", "Forbid").replace("* * * * *", "@every 2s"));
    let job = || {
        let rows = bench.run(&["get", "jobs", "-o", "name"]).stdout;
        rows.lines().next().unwrap_or_default().to_owned()
    };
    let runs = |job: &str| {
        let name = job.rsplit('/').next().unwrap();
        let rows = bench.run(&["get", "pods", "-l", &format!("job-name={name}")]).stdout;
        !name.is_empty() && rows.contains("Running")
    };
    bench.until("a Job hangs", || runs(&job()));
    let first = job();
    bench.run(&["delete", &first, "--now"]).exits(0).says("deleted");
    assert!(!bench.run(&["get", "jobs", "-o", "name"]).stdout.contains(&first));
    bench.until("the next is made", || !job().is_empty() && job() != first && runs(&job()));
    assert_eq!(watch.stop(), 0);
    // Without a watcher, too: the next one notes what it was made for, and lets it go.
    let second = job();
    bench.run(&["delete", &second, "--now"]).exits(0).says("deleted");
    assert!(!bench.run(&["get", "pods"]).stdout.contains("Running"));
    let watch = bench.watch();
    bench.until("it has gone", || !bench.run(&["get", "jobs", "-o", "name"]).stdout.contains(&second));
    bench.run(&["delete", "cronjob", "often", "--now", "--edit-file"]).exits(0);
    bench.until_clean();
    assert_eq!(watch.stop(), 0);
}
