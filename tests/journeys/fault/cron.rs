//! Something fails while a time of a CronJob is served. Its record is written as it is taken on, as its Job is made and as
//! that has ended.

use std::fs;

use serde_json::Value;

use super::course::{Course, Fault, Order};
use super::say;
use crate::bench::Bench;
use crate::image::made::Made;

const EACH_MINUTE: &str = "
apiVersion: batch/v1
kind: CronJob
metadata: {name: each}
spec:
  schedule: '* * * * *'
  jobTemplate:
    spec:
      template:
        spec:
          restartPolicy: Never
          volumes: [{name: out, hostPath: {path: OUT}}]
          containers:
          - name: main
            image: 'IMAGE'
            command: [/bin/busybox, sh, -c, 'echo ran >>/out/each']
            volumeMounts: [{name: out, mountPath: /out}]
";

/// The Jobs of the CronJob that are complete.
fn complete(bench: &Bench) -> usize {
    let ran = bench.run(&["get", "jobs", "-o", "json"]);
    let list: Value = serde_json::from_str(&ran.stdout).unwrap_or_default();
    let jobs = list["items"].as_array().into_iter().flatten();
    jobs.filter(|job| job["status"]["succeeded"] == 1).count()
}

fn serves_once(image: &Made, order: &Order) {
    let Some(mut course) = Course::begin(image, order, EACH_MINUTE) else { return };
    course.bench.manifest("all.yaml", &course.declared(""));
    let (ran, failpoint) = (course.bench.path("ran/each"), course.bench.path("s/failpoint"));
    let runs = || fs::read_to_string(&ran).unwrap_or_default().lines().count();
    course.until("the minute is served, and somebody came there", |_| runs() > 0 && !failpoint.exists());
    course.until("each Job has run once", |bench| {
        let (complete, ran) = (complete(bench), runs());
        // The next minute may be under way.
        assert!(complete <= ran && ran <= complete + 1, "{order}: {complete} Jobs ran {ran} times");
        complete == ran
    });
    course.bench.remove("all.yaml");
    course.until_nothing_is_left();
    assert!(course.end(), "nobody came to: {order}");
}

#[test]
fn what_fails_while_a_time_is_served_serves_it_once() {
    let Some(image) = Made::new("hello") else { return };
    if !cfg!(debug_assertions) {
        return say("skipped: without debug assertions nothing fails on purpose");
    }
    // All wait for the same minute.
    std::thread::scope(|scope| {
        for (fault, ordinal) in
            [(Fault::Kill, 2), (Fault::Kill, 3), (Fault::BrokenDisc, 2), (Fault::BrokenDisc, 3)]
        {
            let image = &image;
            scope.spawn(move || {
                serves_once(image, &Order { fault, ordinal, boundary: "schedule noted".to_owned() });
            });
        }
    });
}
