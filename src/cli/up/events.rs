//! `--output json`: what happens, one JSON object on a line. Words and fields are for programs, and stay.

use std::collections::BTreeMap;
use std::io::{self, Write};

use serde::Serialize;

use crate::cli::exit::Exit as Code;
use crate::daemon::{BatchEnd, BatchReport, JobReport, PodReport, Progress};
use crate::logs::follow::Origin;
use crate::logs::line::Extent;
use crate::logs::read::{Left, Line};
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
    /// A container wrote a line, after its run was told to have started; bytes that are not UTF-8 are replaced.
    Log {
        time: Timestamp,
        namespace: &'a str,
        pod: &'a str,
        container: &'a str,
        run: u32,
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

    pub(super) fn log(&mut self, origin: &Origin, line: &Line, begun: Begun<'_>) -> io::Result<()> {
        let Origin { pod, container } = origin;
        let key = (pod.clone(), container.clone());
        for number in self.told.get(&key).map_or(0, |told| told.starts)..=line.run {
            // A run that wrote a line has begun by then; one before it may never have.
            let started = begun(pod, container, number).or_else(|| (number == line.run).then_some(line.time));
            self.started(pod, container, &Run { number, started, exit: None })?;
        }
        let (namespace, name, run) = (&pod.namespace, &pod.name, line.run);
        let stream = match line.stream {
            Stream::Stdout => "stdout",
            Stream::Stderr => "stderr",
        };
        let partial = line.extent == Extent::Partial;
        let text = String::from_utf8_lossy(&line.text);
        self.write(&Event::Log {
            time: line.time,
            namespace,
            pod: name,
            container,
            run,
            stream,
            line: &text,
            partial,
        })
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

    /// What is told after them. There is more to tell of the step while lines of a run that has ended are not read.
    pub(super) fn ends(
        &mut self,
        progress: &Progress,
        now: Timestamp,
        past: Past<'_>,
        is_read: &dyn Fn(&str, u32) -> bool,
    ) -> io::Result<Left> {
        let Progress { pod, word, course } = progress;
        for container in course.record().into_iter().flat_map(|record| &record.containers) {
            let told = self.told.get(&(pod.clone(), container.name.clone())).copied().unwrap_or_default();
            for run in runs(container, told, &|number| past(pod, &container.name, number)) {
                if run.exit.is_some() && !is_read(&container.name, run.number) {
                    return Ok(Left::More);
                }
                self.started(pod, &container.name, &run)?;
                self.exited(pod, &container.name, &run)?;
            }
        }
        if self.words.get(pod) != Some(word) && course.outcome().is_some() {
            self.word(pod, word, now)?;
        }
        Ok(Left::Nothing)
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
        BatchEnd::TimedOut | BatchEnd::NotRunning => "timedOut",
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

/// When a run began, by the records that there are.
pub(super) type Begun<'a> = &'a dyn Fn(&PodId, &str, u32) -> Option<Timestamp>;

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
mod tests;
