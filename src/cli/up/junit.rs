//! `--junit`: the end of a batch as test reports are written, a suite for each Job and one for the pods.

use std::fmt::Write;
use std::time::Duration;

use crate::daemon::{BatchEnd, BatchReport, JobReport, PodReport};
use crate::model::job::Ending;

use super::facts::{self, Fate};

struct Suite {
    name: String,
    cases: Vec<Case>,
}

struct Case {
    class: String,
    name: String,
    time: Option<Duration>,
    verdict: Verdict,
}

enum Verdict {
    Passed,
    Failed {
        message: String,
        text: String,
    },
    /// It could not be told whether it would have passed.
    Error(String),
    Skipped(String),
}

pub(super) fn render(end: BatchEnd, report: &BatchReport) -> String {
    let suites = suites(end, report);
    let mut text = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    let counts = counts(suites.iter().flat_map(|suite| &suite.cases));
    writeln!(text, "<testsuites name=\"droppod up\" {counts}>").expect(MEMORY);
    for suite in &suites {
        suite.write(&mut text);
    }
    text.push_str("</testsuites>\n");
    text
}

const MEMORY: &str = "writing to memory does not fail";

fn suites(end: BatchEnd, report: &BatchReport) -> Vec<Suite> {
    let mut suites = Vec::new();
    for job in &report.jobs {
        let own = |one: &&PodReport| one.owner.as_ref().is_some_and(|owner| owner.uid == job.uid);
        let pods: Vec<&PodReport> = report.pods.iter().filter(own).collect();
        suites.push(of_job(end, job, &pods));
    }
    let known = |one: &PodReport| {
        one.owner.as_ref().is_some_and(|owner| report.jobs.iter().any(|job| job.uid == owner.uid))
    };
    let pods: Vec<&PodReport> = report.pods.iter().filter(|one| !known(one)).collect();
    if !pods.is_empty() {
        let case = |one: &&PodReport| Case {
            class: format!("{}.pod", one.pod.namespace),
            name: one.pod.name.clone(),
            time: facts::time(&one.course),
            verdict: judged(end, one, None),
        };
        suites.push(Suite { name: "pods".to_owned(), cases: pods.iter().map(case).collect() });
    }
    suites
}

fn of_job(end: BatchEnd, job: &JobReport, pods: &[&PodReport]) -> Suite {
    let class = format!("{}.{}", job.key.namespace, job.key.name);
    let mut cases: Vec<Case> = match job.indexes {
        Some(indexes) => (0..indexes)
            .map(|index| {
                let of_index: Vec<&PodReport> =
                    pods.iter().copied().filter(|one| one.index == Some(index)).collect();
                of_index_case(end, job, index, &of_index, &class)
            })
            .collect(),
        None => pods
            .iter()
            .map(|one| {
                let verdict = match judged(end, one, Some(job)) {
                    Verdict::Failed { message, .. } if facts::ending(job) == Some(Ending::Success) => {
                        Verdict::Skipped(format!("tried again: {message}"))
                    }
                    verdict => verdict,
                };
                let (name, time) = (one.pod.name.clone(), facts::time(&one.course));
                Case { class: class.clone(), name, time, verdict }
            })
            .collect(),
    };
    let blamed = cases.iter().any(|case| case.verdict.is_bad());
    if !blamed && facts::ending(job) != Some(Ending::Success) {
        let note = facts::job_note(job);
        let verdict = match facts::ending(job) {
            Some(_) => Verdict::Failed { message: note, text: String::new() },
            None => Verdict::Error(format!("{}: {note}", why(end))),
        };
        cases.push(Case { class, name: job.key.name.clone(), time: facts::job_time(job), verdict });
    }
    Suite { name: format!("{}/{}", job.key.namespace, job.key.name), cases }
}

fn of_index_case(end: BatchEnd, job: &JobReport, index: u64, pods: &[&PodReport], class: &str) -> Case {
    let done = job.record.completed.contains(index);
    let counted = |one: &&&PodReport| !done || facts::fate(&one.course) == Fate::Succeeded;
    let last = pods.iter().filter(counted).max_by_key(|one| facts::ended_at(&one.course));
    let verdict = match last {
        _ if done => Verdict::Passed,
        Some(last) => judged(end, last, Some(job)),
        None => Verdict::Skipped("not run".to_owned()),
    };
    let name = format!("{}[{index}]", job.key.name);
    Case { class: class.to_owned(), name, time: last.and_then(|last| facts::time(&last.course)), verdict }
}

/// `job` is the one that made the pod, where how that ended is told here.
fn judged(end: BatchEnd, one: &PodReport, job: Option<&JobReport>) -> Verdict {
    let course = &one.course;
    let note = facts::note(course);
    let told = |fate: Fate| facts::line(fate.word(), &note);
    let ending = job.and_then(|job| Some((facts::ending(job)?, job.record.verdict.as_ref()?.reason)));
    match (facts::fate(course), ending) {
        (Fate::Succeeded, _) => Verdict::Passed,
        // A server that was there for the others: that it is stopped is how it ends.
        (Fate::Stopped, None) if end == BatchEnd::Completed && one.owner.is_none() => Verdict::Passed,
        // Another run of a CronJob takes its place, or nothing else is waited for.
        (Fate::Stopped, None) if end == BatchEnd::Completed => Verdict::Skipped(told(Fate::Stopped)),
        (Fate::Stopped | Fate::NotStarted, Some((Ending::Success, _))) => {
            Verdict::Skipped("not needed".to_owned())
        }
        (fate @ (Fate::Stopped | Fate::NotStarted), Some((Ending::Failure, reason))) => {
            let with = format!("{} with its Job: {}", fate.word(), reason.word());
            Verdict::Error(facts::line(&with, &note))
        }
        (Fate::Failed, _) => {
            let messages = facts::failures(course).filter(|(_, exit)| !exit.message.is_empty());
            let messages: Vec<String> =
                messages.map(|(name, exit)| format!("{name}: {}", exit.message.trim_end())).collect();
            let message = facts::line(Fate::Failed.word(), &note);
            Verdict::Failed { message, text: messages.join("\n") }
        }
        (fate @ (Fate::Stopped | Fate::NotStarted), None) | (fate @ Fate::Lost, _) => {
            Verdict::Error(format!("{}: {}", why(end), told(fate)))
        }
    }
}

/// Why there was no end to wait for.
fn why(end: BatchEnd) -> &'static str {
    match end {
        BatchEnd::Completed => "all else has ended",
        BatchEnd::TimedOut | BatchEnd::NotRunning => "the time was over",
        BatchEnd::NoImage | BatchEnd::Blocked | BatchEnd::Hopeless(_) => "something could not start",
        BatchEnd::Interrupted => "interrupted",
    }
}

impl Verdict {
    fn is_bad(&self) -> bool {
        match self {
            Verdict::Failed { .. } | Verdict::Error(_) => true,
            Verdict::Passed | Verdict::Skipped(_) => false,
        }
    }
}

/// The attributes that both kinds of suites have.
fn counts<'a>(cases: impl Iterator<Item = &'a Case>) -> String {
    let (mut tests, mut failures, mut errors, mut skipped, mut time) = (0, 0, 0, 0, Duration::ZERO);
    for case in cases {
        tests += 1;
        time += case.time.unwrap_or_default();
        match case.verdict {
            Verdict::Passed => {}
            Verdict::Failed { .. } => failures += 1,
            Verdict::Error(_) => errors += 1,
            Verdict::Skipped(_) => skipped += 1,
        }
    }
    format!(
        "tests=\"{tests}\" failures=\"{failures}\" errors=\"{errors}\" skipped=\"{skipped}\" time=\"{:.3}\"",
        time.as_secs_f64()
    )
}

impl Suite {
    fn write(&self, text: &mut String) {
        let counts = counts(self.cases.iter());
        writeln!(text, "  <testsuite name=\"{}\" {counts}>", escaped(&self.name)).expect(MEMORY);
        for Case { class, name, time, verdict } in &self.cases {
            let time = time.unwrap_or_default().as_secs_f64();
            let (class, name) = (escaped(class), escaped(name));
            write!(text, "    <testcase classname=\"{class}\" name=\"{name}\" time=\"{time:.3}\"")
                .expect(MEMORY);
            let inside = match verdict {
                Verdict::Passed => None,
                Verdict::Failed { message, text } => {
                    Some(format!("<failure message=\"{}\">{}</failure>", escaped(message), escaped(text)))
                }
                Verdict::Error(message) => Some(format!("<error message=\"{}\"/>", escaped(message))),
                Verdict::Skipped(message) => Some(format!("<skipped message=\"{}\"/>", escaped(message))),
            };
            match inside {
                Some(inside) => writeln!(text, ">{inside}</testcase>").expect(MEMORY),
                None => text.push_str("/>\n"),
            }
        }
        text.push_str("  </testsuite>\n");
    }
}

/// For text and attributes: quotes too, and what XML 1.0 cannot hold at all is replaced.
fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            // As they are, an attribute would have blanks instead.
            '\n' => safe.push_str("&#10;"),
            '\t' => safe.push_str("&#9;"),
            '\0'..='\x1f' | '\u{fffe}' | '\u{ffff}' => safe.push('\u{fffd}'),
            c => safe.push(c),
        }
    }
    safe
}

#[cfg(test)]
mod tests;
