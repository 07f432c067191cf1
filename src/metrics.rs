//! Figures of a watcher → text that Prometheus reads.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::time::Duration;

use crate::model::time::Timestamp;

/// What a watcher has seen at its last pass, and done since it started.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Figures {
    /// By kind.
    pub(crate) objects: BTreeMap<String, u64>,
    /// By phase.
    pub(crate) pods: BTreeMap<String, u64>,
    /// By kubectl's STATUS.
    pub(crate) jobs: BTreeMap<String, u64>,
    pub(crate) crons: Vec<Cron>,
    /// Of the containers of all pods there are.
    pub(crate) restarts: u64,
    /// By the state that their status files tell.
    pub(crate) files: BTreeMap<String, u64>,
    /// What was tried at the last pass and could not be done.
    pub(crate) undone: u64,
    pub(crate) passes: Passes,
    /// When the folders were looked at last.
    pub(crate) last_scan: Option<Timestamp>,
}

/// The times of one CronJob.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Cron {
    pub(crate) namespace: String,
    pub(crate) name: String,
    pub(crate) last_success: Option<Timestamp>,
    /// Absent while it is suspended.
    pub(crate) next: Option<Timestamp>,
}

#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Passes {
    pub(crate) given_up: u64,
    /// How many took at most as long as the bound of the same place.
    within: [u64; BOUNDS.len()],
    count: u64,
    total: Duration,
}

/// Upper bounds of the histogram, in milliseconds.
const BOUNDS: [u64; 8] = [1, 5, 10, 50, 100, 500, 1_000, 5_000];

const PHASES: [&str; 5] = ["Pending", "Running", "Succeeded", "Failed", "Unknown"];
const STATUSES: [&str; 4] = ["Running", "Suspended", "Complete", "Failed"];

impl Passes {
    pub(crate) fn note(&mut self, took: Duration) {
        self.count += 1;
        self.total += took;
        for (within, bound) in self.within.iter_mut().zip(BOUNDS) {
            *within += u64::from(took <= Duration::from_millis(bound));
        }
    }
}

/// The exposition format, version 0.0.4.
pub(crate) fn render(figures: &Figures, version: &str) -> String {
    let mut page = Page(String::new());
    page.head("droppod_info", "gauge", "The version of the watcher.");
    page.line("droppod_info", &[("version", version)], 1);
    page.head("droppod_objects", "gauge", "Objects in force, by kind; what controllers made counts too.");
    for (kind, count) in &figures.objects {
        page.line("droppod_objects", &[("kind", kind)], count);
    }
    page.head("droppod_pods", "gauge", "Pods, by phase.");
    for phase in PHASES {
        page.line("droppod_pods", &[("phase", phase)], figures.pods.get(phase).unwrap_or(&0));
    }
    page.head("droppod_jobs", "gauge", "Jobs, by status.");
    for status in STATUSES {
        page.line("droppod_jobs", &[("status", status)], figures.jobs.get(status).unwrap_or(&0));
    }
    page.crons(&figures.crons);
    page.head("droppod_container_restarts", "gauge", "Restarts of the containers of all pods there are.");
    page.line("droppod_container_restarts", &[], figures.restarts);
    page.head("droppod_files", "gauge", "Manifests, by the state that their status files tell.");
    for (state, count) in &figures.files {
        page.line("droppod_files", &[("state", state)], count);
    }
    page.head("droppod_undone", "gauge", "What was tried at the last pass and could not be done.");
    page.line("droppod_undone", &[], figures.undone);
    page.head("droppod_passes_given_up_total", "counter", "Passes that could not see what is there.");
    page.line("droppod_passes_given_up_total", &[], figures.passes.given_up);
    page.durations(&figures.passes);
    page.head("droppod_last_scan_timestamp_seconds", "gauge", "When the folders were looked at last.");
    if let Some(at) = figures.last_scan {
        let millis = at.as_millisecond();
        let seconds = format!("{}.{:03}", millis / 1000, millis % 1000);
        page.line("droppod_last_scan_timestamp_seconds", &[], seconds);
    }
    page.0
}

struct Page(String);

impl Page {
    fn head(&mut self, name: &str, kind: &str, help: &str) {
        self.0.push_str(&format!("# HELP {name} {help}\n# TYPE {name} {kind}\n"));
    }

    fn line(&mut self, name: &str, labels: &[(&str, &str)], value: impl std::fmt::Display) {
        let labels: Vec<String> =
            labels.iter().map(|(label, value)| format!("{label}=\"{}\"", escaped(value))).collect();
        let labels = if labels.is_empty() { String::new() } else { format!("{{{}}}", labels.join(",")) };
        writeln!(self.0, "{name}{labels} {value}").expect("writing to memory does not fail");
    }

    fn crons(&mut self, crons: &[Cron]) {
        let mut times = |name: &str, help: &str, time: &dyn Fn(&Cron) -> Option<Timestamp>| {
            self.head(name, "gauge", help);
            for cron in crons {
                let labels = [("namespace", cron.namespace.as_str()), ("cronjob", cron.name.as_str())];
                if let Some(at) = time(cron) {
                    self.line(name, &labels, at.as_second());
                }
            }
        };
        times(
            "droppod_cronjob_last_success_timestamp_seconds",
            "When a Job of the CronJob succeeded last.",
            &|cron| cron.last_success,
        );
        times("droppod_cronjob_next_schedule_timestamp_seconds", "When the CronJob is due next.", &|cron| {
            cron.next
        });
    }

    fn durations(&mut self, passes: &Passes) {
        const NAME: &str = "droppod_pass_duration_seconds";
        self.head(NAME, "histogram", "How long passes took.");
        let bucket = format!("{NAME}_bucket");
        for (within, bound) in passes.within.iter().zip(BOUNDS) {
            let bound = Duration::from_millis(bound).as_secs_f64().to_string();
            self.line(&bucket, &[("le", &bound)], within);
        }
        self.line(&bucket, &[("le", "+Inf")], passes.count);
        self.line(&format!("{NAME}_sum"), &[], passes.total.as_secs_f64());
        self.line(&format!("{NAME}_count"), &[], passes.count);
    }
}

fn escaped(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figures() -> Figures {
        let counts =
            |pairs: &[(&str, u64)]| pairs.iter().map(|(name, count)| ((*name).to_owned(), *count)).collect();
        let mut passes = Passes { given_up: 1, ..Passes::default() };
        passes.note(Duration::from_millis(4));
        passes.note(Duration::from_millis(5));
        passes.note(Duration::from_secs(9));
        Figures {
            objects: counts(&[("CronJob", 2), ("Odd\"\\\n", 1)]),
            pods: counts(&[("Running", 3)]),
            jobs: counts(&[("Failed", 2)]),
            crons: vec![
                Cron {
                    namespace: "default".into(),
                    name: "a".into(),
                    last_success: Timestamp::from_second(1_500_000_000).ok(),
                    next: None,
                },
                Cron {
                    namespace: "default".into(),
                    name: "b".into(),
                    last_success: None,
                    next: Timestamp::from_second(1_500_000_060).ok(),
                },
            ],
            restarts: 4,
            files: counts(&[("Applied", 5), ("Invalid", 1)]),
            undone: 0,
            passes,
            last_scan: Timestamp::from_millisecond(1_500_000_000_250).ok(),
        }
    }

    #[test]
    fn figures_are_written_as_prometheus_reads_them() {
        let expected = r#"# HELP droppod_info The version of the watcher.
# TYPE droppod_info gauge
droppod_info{version="1.2.3"} 1
# HELP droppod_objects Objects in force, by kind; what controllers made counts too.
# TYPE droppod_objects gauge
droppod_objects{kind="CronJob"} 2
droppod_objects{kind="Odd\"\\\n"} 1
# HELP droppod_pods Pods, by phase.
# TYPE droppod_pods gauge
droppod_pods{phase="Pending"} 0
droppod_pods{phase="Running"} 3
droppod_pods{phase="Succeeded"} 0
droppod_pods{phase="Failed"} 0
droppod_pods{phase="Unknown"} 0
# HELP droppod_jobs Jobs, by status.
# TYPE droppod_jobs gauge
droppod_jobs{status="Running"} 0
droppod_jobs{status="Suspended"} 0
droppod_jobs{status="Complete"} 0
droppod_jobs{status="Failed"} 2
# HELP droppod_cronjob_last_success_timestamp_seconds When a Job of the CronJob succeeded last.
# TYPE droppod_cronjob_last_success_timestamp_seconds gauge
droppod_cronjob_last_success_timestamp_seconds{namespace="default",cronjob="a"} 1500000000
# HELP droppod_cronjob_next_schedule_timestamp_seconds When the CronJob is due next.
# TYPE droppod_cronjob_next_schedule_timestamp_seconds gauge
droppod_cronjob_next_schedule_timestamp_seconds{namespace="default",cronjob="b"} 1500000060
# HELP droppod_container_restarts Restarts of the containers of all pods there are.
# TYPE droppod_container_restarts gauge
droppod_container_restarts 4
# HELP droppod_files Manifests, by the state that their status files tell.
# TYPE droppod_files gauge
droppod_files{state="Applied"} 5
droppod_files{state="Invalid"} 1
# HELP droppod_undone What was tried at the last pass and could not be done.
# TYPE droppod_undone gauge
droppod_undone 0
# HELP droppod_passes_given_up_total Passes that could not see what is there.
# TYPE droppod_passes_given_up_total counter
droppod_passes_given_up_total 1
# HELP droppod_pass_duration_seconds How long passes took.
# TYPE droppod_pass_duration_seconds histogram
droppod_pass_duration_seconds_bucket{le="0.001"} 0
droppod_pass_duration_seconds_bucket{le="0.005"} 2
droppod_pass_duration_seconds_bucket{le="0.01"} 2
droppod_pass_duration_seconds_bucket{le="0.05"} 2
droppod_pass_duration_seconds_bucket{le="0.1"} 2
droppod_pass_duration_seconds_bucket{le="0.5"} 2
droppod_pass_duration_seconds_bucket{le="1"} 2
droppod_pass_duration_seconds_bucket{le="5"} 2
droppod_pass_duration_seconds_bucket{le="+Inf"} 3
droppod_pass_duration_seconds_sum 9.009
droppod_pass_duration_seconds_count 3
# HELP droppod_last_scan_timestamp_seconds When the folders were looked at last.
# TYPE droppod_last_scan_timestamp_seconds gauge
droppod_last_scan_timestamp_seconds 1500000000.250
"#;
        assert_eq!(render(&figures(), "1.2.3"), expected);
    }
}
