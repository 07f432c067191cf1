//! `--output json`: what happens, one JSON object on a line. Words and fields are for programs, and stay.

use std::collections::BTreeMap;
use std::io::{self, Write};

use serde::Serialize;

use crate::cli::exit::Exit as Code;
use crate::daemon::{BatchEnd, BatchReport, JobReport, PodReport, Progress};
use crate::logs::follow::Origin;
use crate::logs::line::Extent;
use crate::logs::read::Line;
use crate::logs::write::Stream;
use crate::model::id::PodId;
use crate::model::record::{ContainerRecord, ContainerState, Exit};
use crate::model::time::Timestamp;

use super::facts;

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "camelCase", rename_all_fields = "camelCase")]
enum Event<'a> {
    /// kubectl's STATUS of a pod has changed.
    Status { time: Timestamp, namespace: &'a str, pod: &'a str, status: &'a str },
    /// A container runs; `run` counts from 0, as its restarts do.
    Started { time: Timestamp, namespace: &'a str, pod: &'a str, container: &'a str, run: u32 },
    /// A container wrote a line; bytes that are not UTF-8 are replaced.
    Log {
        time: Timestamp,
        namespace: &'a str,
        pod: &'a str,
        container: &'a str,
        stream: &'static str,
        line: &'a str,
        /// The line goes on in the container's next event.
        #[serde(skip_serializing_if = "std::ops::Not::not")]
        partial: bool,
    },
    /// A run ended; all that it wrote has been told before.
    Exited {
        time: Timestamp,
        namespace: &'a str,
        pod: &'a str,
        container: &'a str,
        run: u32,
        exit_code: i32,
        #[serde(skip_serializing_if = "Option::is_none")]
        signal: Option<i32>,
        reason: &'a str,
        #[serde(skip_serializing_if = "str::is_empty")]
        message: &'a str,
    },
    /// The last line.
    Summary {
        time: Timestamp,
        end: &'static str,
        exit_code: u8,
        jobs: Vec<JobEnd<'a>>,
        pods: Vec<PodEnd<'a>>,
    },
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct JobEnd<'a> {
    namespace: &'a str,
    job: &'a str,
    result: &'static str,
    succeeded: u64,
    failed: u64,
    #[serde(skip_serializing_if = "str::is_empty")]
    reason: &'static str,
    #[serde(skip_serializing_if = "str::is_empty")]
    message: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct PodEnd<'a> {
    namespace: &'a str,
    pod: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    job: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    index: Option<u64>,
    result: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    exit_code: Option<i32>,
    restarts: u32,
    #[serde(skip_serializing_if = "String::is_empty")]
    message: String,
}

/// What has been told of the runs of one container: the number of the next.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Told {
    starts: u32,
    ends: u32,
}

/// Writes events, each thing that happened once.
pub(super) struct Events<W> {
    out: W,
    told: BTreeMap<(PodId, String), Told>,
    words: BTreeMap<PodId, String>,
}

impl<W: Write> Events<W> {
    pub(super) fn new(out: W) -> Events<W> {
        Events { out, told: BTreeMap::new(), words: BTreeMap::new() }
    }

    fn write(&mut self, event: &Event<'_>) -> io::Result<()> {
        serde_json::to_writer(&mut self.out, event)?;
        self.out.write_all(b"\n")
    }

    pub(super) fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }

    pub(super) fn log(&mut self, origin: &Origin, line: &Line) -> io::Result<()> {
        let Origin { namespace, pod, container } = origin;
        let stream = match line.stream {
            Stream::Stdout => "stdout",
            Stream::Stderr => "stderr",
        };
        let partial = line.extent == Extent::Partial;
        let text = String::from_utf8_lossy(&line.text);
        self.write(&Event::Log { time: line.time, namespace, pod, container, stream, line: &text, partial })
    }

    /// What is told before the lines that have been written meanwhile.
    pub(super) fn starts(&mut self, progress: &Progress, now: Timestamp, past: Past<'_>) -> io::Result<()> {
        let Progress { pod, word, course } = progress;
        if self.words.get(pod) != Some(word) && course.outcome().is_none() {
            self.word(pod, word, now)?;
        }
        for container in course.record().into_iter().flat_map(|record| &record.containers) {
            let told = self.told.get(&(pod.clone(), container.name.clone())).copied().unwrap_or_default();
            for run in runs(container, told, &|number| past(pod, &container.name, number)) {
                self.started(pod, &container.name, &run)?;
            }
        }
        Ok(())
    }

    /// What is told after them.
    pub(super) fn ends(&mut self, progress: &Progress, now: Timestamp, past: Past<'_>) -> io::Result<()> {
        let Progress { pod, word, course } = progress;
        for container in course.record().into_iter().flat_map(|record| &record.containers) {
            let told = self.told.get(&(pod.clone(), container.name.clone())).copied().unwrap_or_default();
            for run in runs(container, told, &|number| past(pod, &container.name, number)) {
                self.started(pod, &container.name, &run)?;
                self.exited(pod, &container.name, &run)?;
            }
        }
        if self.words.get(pod) != Some(word) && course.outcome().is_some() {
            self.word(pod, word, now)?;
        }
        Ok(())
    }

    fn word(&mut self, pod: &PodId, word: &str, now: Timestamp) -> io::Result<()> {
        self.words.insert(pod.clone(), word.to_owned());
        let (namespace, name) = (&pod.namespace, &pod.name);
        self.write(&Event::Status { time: now, namespace, pod: name, status: word })
    }

    fn started(&mut self, pod: &PodId, container: &str, run: &Run) -> io::Result<()> {
        let told = self.told.entry((pod.clone(), container.to_owned())).or_default();
        let Some(time) = run.started.filter(|_| run.number >= told.starts) else { return Ok(()) };
        told.starts = run.number + 1;
        let (namespace, name) = (&pod.namespace, &pod.name);
        self.write(&Event::Started { time, namespace, pod: name, container, run: run.number })
    }

    fn exited(&mut self, pod: &PodId, container: &str, run: &Run) -> io::Result<()> {
        let told = self.told.entry((pod.clone(), container.to_owned())).or_default();
        let Some(exit) = run.exit.as_ref().filter(|_| run.number >= told.ends) else { return Ok(()) };
        told.ends = run.number + 1;
        self.write(&Event::Exited {
            time: exit.finished_at,
            namespace: &pod.namespace,
            pod: &pod.name,
            container,
            run: run.number,
            exit_code: exit.code,
            signal: exit.signal,
            reason: &exit.reason,
            message: &exit.message,
        })
    }

    /// What was missed on the way, and how everything ended.
    pub(super) fn finish(
        &mut self,
        end: BatchEnd,
        report: &BatchReport,
        code: Code,
        now: Timestamp,
    ) -> io::Result<()> {
        for one in &report.pods {
            for container in one.course.record().into_iter().flat_map(|record| &record.containers) {
                let key = (one.pod.clone(), container.name.clone());
                let told = self.told.get(&key).copied().unwrap_or_default();
                for run in runs(container, told, &|_| None) {
                    self.started(&one.pod, &container.name, &run)?;
                    self.exited(&one.pod, &container.name, &run)?;
                }
            }
        }
        let jobs = report.jobs.iter().map(job_end).collect();
        let pods = report.pods.iter().map(|one| pod_end(one, &report.jobs)).collect();
        self.write(&Event::Summary { time: now, end: word(end), exit_code: code.code(), jobs, pods })?;
        self.flush()
    }
}

fn word(end: BatchEnd) -> &'static str {
    match end {
        BatchEnd::Completed => "completed",
        BatchEnd::TimedOut => "timedOut",
        BatchEnd::NoImage => "noImage",
        BatchEnd::Blocked => "blocked",
        BatchEnd::Hopeless(_) => "hopeless",
        BatchEnd::Interrupted => "interrupted",
    }
}

fn job_end(job: &JobReport) -> JobEnd<'_> {
    let verdict = job.record.verdict.as_ref();
    JobEnd {
        namespace: &job.key.namespace,
        job: &job.key.name,
        result: facts::job_word(job),
        succeeded: job.succeeded(),
        failed: job.record.failed,
        reason: verdict.map_or("", |verdict| verdict.reason.word()),
        message: verdict.map_or("", |verdict| &verdict.message),
    }
}

fn pod_end<'a>(one: &'a PodReport, jobs: &'a [JobReport]) -> PodEnd<'a> {
    let owner = one.owner.as_ref();
    let job = owner.and_then(|owner| jobs.iter().find(|job| job.uid == owner.uid));
    PodEnd {
        namespace: &one.pod.namespace,
        pod: &one.pod.name,
        job: job.map(|job| job.key.name.as_str()),
        index: one.index,
        result: facts::fate(&one.course).word(),
        exit_code: facts::exit_code(&one.course, None),
        restarts: facts::restarts(&one.course),
        message: facts::note(&one.course),
    }
}

/// One run of a container, as far as it is known.
#[derive(Debug, PartialEq)]
struct Run {
    number: u32,
    started: Option<Timestamp>,
    exit: Option<Exit>,
}

/// How an earlier run ended that no record tells of any more.
pub(super) type Past<'a> = &'a dyn Fn(&PodId, &str, u32) -> Option<Exit>;

fn runs(container: &ContainerRecord, told: Told, past: &dyn Fn(u32) -> Option<Exit>) -> Vec<Run> {
    let present = container.restart_count;
    let (started, exit, last_of) = match &container.state {
        ContainerState::Running { since, .. } => (Some(*since), None, present.checked_sub(1)),
        ContainerState::Terminated(exit) => (exit.started_at, Some(exit), present.checked_sub(1)),
        // It rests after the run, or the next is being made.
        ContainerState::Waiting { reason, .. } if is_being_made(reason) => {
            (None, None, present.checked_sub(1))
        }
        ContainerState::Waiting { .. } => {
            (container.last.as_ref().and_then(|exit| exit.started_at), container.last.as_ref(), None)
        }
    };
    let earlier = (told.ends.min(told.starts)..present).map(|number| {
        let last = container.last.clone().filter(|_| last_of == Some(number));
        let exit = last.or_else(|| past(number));
        Run { number, started: exit.as_ref().and_then(|exit| exit.started_at), exit }
    });
    let mut runs: Vec<Run> = earlier.collect();
    runs.push(Run { number: present, started, exit: exit.cloned() });
    runs
}

fn is_being_made(reason: &str) -> bool {
    matches!(reason, "ContainerCreating" | "PodInitializing")
}

#[cfg(test)]
mod tests {
    use super::super::facts::tests::{container, ended, pod};
    use super::*;
    use crate::model::pod_plan::Role;
    use crate::model::record::Outcome;
    use crate::status::Course;

    fn progress(word: &str, course: Course) -> Progress {
        Progress { pod: pod("web", None, Course::default()).pod, word: word.into(), course }
    }

    fn exit(code: i32) -> Exit {
        let known = container("main", Role::App, code);
        Exit { started_at: Some(Timestamp::UNIX_EPOCH), ..facts::end(&known).unwrap().clone() }
    }

    fn with(state: ContainerState, last: Option<Exit>, restart_count: u32) -> Course {
        let known = ContainerRecord { state, last, restart_count, ..container("main", Role::App, 0) };
        let mut course = ended(Outcome::Succeeded, vec![known]);
        if let Some(record) = &mut course.record {
            record.outcome = None;
        }
        course
    }

    /// Kind, run and exit code of each event, of steps that come each by itself.
    fn told(steps: &[Progress], past: Past<'_>) -> Vec<String> {
        let mut out = Vec::new();
        let mut events = Events::new(&mut out);
        for step in steps {
            tell(&mut events, std::slice::from_ref(step), past);
        }
        fields(out)
    }

    /// Of steps that come together, as the onlooker tells them.
    fn tell(events: &mut Events<&mut Vec<u8>>, steps: &[Progress], past: Past<'_>) {
        steps.iter().for_each(|step| events.starts(step, Timestamp::UNIX_EPOCH, past).unwrap());
        steps.iter().for_each(|step| events.ends(step, Timestamp::UNIX_EPOCH, past).unwrap());
    }

    fn fields(out: Vec<u8>) -> Vec<String> {
        let lines = String::from_utf8(out).unwrap();
        let fields = |line: &str| {
            let line: serde_json::Value = serde_json::from_str(line).unwrap();
            let fields = ["type", "status", "run", "exitCode"].iter().filter_map(|name| line.get(name));
            fields.map(|value| value.to_string().replace('"', "")).collect::<Vec<_>>().join(" ")
        };
        lines.lines().map(fields).collect()
    }

    #[test]
    fn each_start_and_each_end_is_told_once() {
        let running =
            |run, last| with(ContainerState::Running { pid: 1, since: Timestamp::UNIX_EPOCH }, last, run);
        let resting = ContainerState::Waiting { reason: "CrashLoopBackOff".into(), message: String::new() };
        let steps = [
            progress("Running", running(0, None)),
            progress("Running", running(0, None)),
            progress("Running", running(1, Some(exit(3)))),
            progress("CrashLoopBackOff", with(resting, Some(exit(4)), 1)),
            progress("Running", running(2, Some(exit(4)))),
            progress("Completed", with(ContainerState::Terminated(exit(0)), Some(exit(4)), 2)),
        ];
        let expected = [
            "status Running",
            "started 0",
            "started 1",
            "exited 0 3",
            "status CrashLoopBackOff",
            "exited 1 4",
            "status Running",
            "started 2",
            "status Completed",
            "exited 2 0",
        ];
        assert_eq!(told(&steps, &|_, _, _| None), expected);
    }

    #[test]
    fn steps_that_come_together_are_told_in_their_order() {
        let running = ContainerState::Running { pid: 1, since: Timestamp::UNIX_EPOCH };
        let waiting = ContainerState::Waiting { reason: "ContainerCreating".into(), message: String::new() };
        let mut end = with(ContainerState::Terminated(exit(3)), None, 0);
        if let Some(record) = &mut end.record {
            record.outcome = Some(Outcome::Succeeded);
        }
        let steps = [
            progress("ContainerCreating", with(waiting, None, 0)),
            progress("Running", with(running, None, 0)),
            progress("Error", end),
        ];
        let mut out = Vec::new();
        tell(&mut Events::new(&mut out), &steps, &|_, _, _| None);
        let expected =
            ["status ContainerCreating", "status Running", "started 0", "exited 0 3", "status Error"];
        assert_eq!(fields(out), expected);
    }

    #[test]
    fn a_life_that_nobody_saw_is_told_from_its_record() {
        let step = progress("Completed", with(ContainerState::Terminated(exit(0)), Some(exit(5)), 2));
        let past = |_: &PodId, _: &str, run: u32| (run == 0).then(|| exit(7));
        let runs: Vec<String> =
            told(&[step], &past).into_iter().filter(|line| line.starts_with("exited")).collect();
        assert_eq!(runs, ["exited 0 7", "exited 1 5", "exited 2 0"]);
    }

    #[test]
    fn words_and_fields_are_those_that_programs_know() {
        let mut out = Vec::new();
        let mut events = Events::new(&mut out);
        let origin = Origin { namespace: "default".into(), pod: "web".into(), container: "main".into() };
        let (stream, extent) = (Stream::Stderr, Extent::Full);
        let text = b"a \"b\" \xff".to_vec();
        events.log(&origin, &Line { time: Timestamp::UNIX_EPOCH, stream, extent, text }).unwrap();
        let report = BatchReport {
            pods: vec![pod("web", None, ended(Outcome::Succeeded, vec![container("main", Role::App, 0)]))],
            ..BatchReport::default()
        };
        events.finish(BatchEnd::Completed, &report, Code::Done, Timestamp::UNIX_EPOCH).unwrap();
        let expected = r#"{"type":"log","time":"1970-01-01T00:00:00Z","namespace":"default","pod":"web","container":"main","stream":"stderr","line":"a \"b\" �"}
{"type":"exited","time":"1970-01-01T00:00:00Z","namespace":"default","pod":"web","container":"main","run":0,"exitCode":0,"reason":"Completed"}
{"type":"summary","time":"1970-01-01T00:00:00Z","end":"completed","exitCode":0,"jobs":[],"pods":[{"namespace":"default","pod":"web","result":"Succeeded","exitCode":0,"restarts":0}]}
"#;
        assert_eq!(String::from_utf8(out).unwrap(), expected);
    }
}
