//! How everything ended, for a person: one line for one thing, a table for more.

use crate::cli::table::{self, Widths, cell};
use crate::cli::terminal::wrapped;
use crate::daemon::{BatchReport, PodReport};
use crate::status::age;

use super::facts::{self, Fate};

/// Failed pods of one Job that are listed.
const FAILED_LISTED: usize = 10;
const HEAD: [&str; 6] = ["NAME", "RESULT", "EXIT", "RESTARTS", "TIME", "NOTE"];

struct Row {
    name: String,
    word: &'static str,
    exit: Option<i32>,
    restarts: Option<u32>,
    time: Option<std::time::Duration>,
    note: String,
}

/// `home` is the namespace that goes without saying. Where lines would be wider than `width`, notes stand below.
pub(super) fn render(report: &BatchReport, home: &str, width: Option<usize>) -> String {
    let rows = rows(report, home);
    if let [only] = &rows[..] {
        let line = format!("{}: {}", only.name, facts::line(only.word, &cell(&only.note)));
        return width.map_or_else(|| format!("{line}\n"), |width| folded(&line, 0, width));
    }
    if rows.is_empty() {
        return String::new();
    }
    let mut table = vec![HEAD.map(str::to_owned).to_vec()];
    table.extend(rows.iter().map(Row::cells));
    let lines = lined(&table);
    let Some(width) = width.filter(|width| lines.iter().any(|line| line.chars().count() > *width)) else {
        return lines.iter().map(|line| format!("{line}\n")).collect();
    };
    let notes: Vec<String> = table.iter_mut().filter_map(Vec::pop).collect();
    let mut text = String::new();
    for (at, (line, note)) in lined(&table).iter().zip(&notes).enumerate() {
        text.push_str(&format!("{line}\n"));
        // The first is the head's.
        if at > 0 && !note.is_empty() {
            text.push_str(&folded(note, 2, width));
        }
    }
    text
}

fn lined(table: &[Vec<String>]) -> Vec<String> {
    let mut widths = Widths::default();
    widths.fit(table);
    let mut text = Vec::new();
    table::print(&mut text, &widths, table).expect("writing to memory does not fail");
    String::from_utf8_lossy(&text).lines().map(|line| line.trim_end().to_owned()).collect()
}

/// Lines after the first stand two columns further in.
fn folded(text: &str, indent: usize, width: usize) -> String {
    let lines = wrapped(text, width.saturating_sub(indent + 2));
    let more = |at: usize| if at == 0 { indent } else { indent + 2 };
    lines.iter().enumerate().map(|(at, line)| format!("{:1$}{line}\n", "", more(at))).collect()
}

/// Jobs, each with those of its pods that failed, then pods.
fn rows(report: &BatchReport, home: &str) -> Vec<Row> {
    let name = |namespace: &str, name: &str| {
        if namespace == home { name.to_owned() } else { format!("{namespace}/{name}") }
    };
    let mut rows = Vec::new();
    let mut rest: Vec<&PodReport> = report.pods.iter().collect();
    for job in &report.jobs {
        let (own, others): (Vec<&PodReport>, Vec<&PodReport>) =
            rest.into_iter().partition(|one| one.owner.as_ref().is_some_and(|owner| owner.uid == job.uid));
        rest = others;
        rows.push(Row {
            name: format!("job.batch/{}", name(&job.key.namespace, &job.key.name)),
            word: facts::job_word(job),
            exit: None,
            restarts: None,
            time: facts::job_time(job),
            note: facts::job_note(job),
        });
        let mut failed: Vec<&PodReport> = own.into_iter().filter(|one| is_worth_a_line(one)).collect();
        failed.sort_by_key(|one| facts::ended_at(&one.course));
        let more = failed.len().saturating_sub(FAILED_LISTED);
        rows.extend(failed[more..].iter().map(|one| row(one, &name(&one.pod.namespace, &one.pod.name))));
        if let Some(row) = rows.last_mut().filter(|_| more > 0) {
            row.note.push_str(&format!("; {more} more pods failed before"));
        }
    }
    // Of pods that are somebody's whose end is not told here, successes go without saying.
    let told = rest.into_iter().filter(|one| one.owner.is_none() || is_worth_a_line(one));
    rows.extend(told.map(|one| row(one, &name(&one.pod.namespace, &one.pod.name))));
    rows
}

fn is_worth_a_line(one: &PodReport) -> bool {
    match facts::fate(&one.course) {
        Fate::Failed | Fate::Lost | Fate::NotStarted => true,
        Fate::Succeeded | Fate::Stopped => false,
    }
}

fn row(one: &PodReport, name: &str) -> Row {
    let course = &one.course;
    Row {
        name: name.to_owned(),
        word: facts::fate(course).word(),
        exit: facts::exit_code(course, None),
        restarts: course.record().map(|_| facts::restarts(course)),
        time: facts::time(course),
        note: facts::note(course),
    }
}

impl Row {
    fn cells(&self) -> Vec<String> {
        let number = |number: Option<String>| number.unwrap_or_default();
        vec![
            self.name.clone(),
            self.word.to_owned(),
            number(self.exit.map(|code| code.to_string())),
            number(self.restarts.map(|count| count.to_string())),
            number(self.time.map(age)),
            cell(&self.note),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::super::facts::tests::{container, ended, job, pod};
    use super::*;
    use crate::model::job::JobEnd;
    use crate::model::pod_plan::Role;
    use crate::model::record::Outcome;

    #[test]
    fn one_thing_is_told_in_a_line_and_more_in_a_table() {
        let good = || pod("good", None, ended(Outcome::Succeeded, vec![container("main", Role::App, 0)]));
        let one = BatchReport { pods: vec![good()], ..BatchReport::default() };
        assert_eq!(render(&one, "default", None), "good: Succeeded\n");
        assert_eq!(render(&one, "other", Some(10)), "default/good:\n  Succeeded\n");
        let failed = Outcome::Failed { reason: String::new(), message: String::new() };
        let of_job = pod("j-1", Some(9), ended(failed, vec![container("main", Role::App, 3)]));
        let unseen = pod("j-0", Some(9), ended(Outcome::Succeeded, vec![container("main", Role::App, 0)]));
        let jobs = vec![job("j", 9, Some(JobEnd::BackoffLimitExceeded))];
        let report = BatchReport { pods: vec![good(), of_job, unseen], jobs, hopeless: None };
        let expected = "\
NAME          RESULT      EXIT   RESTARTS   TIME   NOTE
job.batch/j   Failed                               BackoffLimitExceeded: too often; 1 succeeded, 1 failed
j-1           Failed      3      0          0s     main exited with 3 (Error)
good          Succeeded   0      0          0s
";
        assert_eq!(render(&report, "default", None), expected);
        assert_eq!(render(&report, "default", Some(105)), expected);
        let narrow = "\
NAME          RESULT      EXIT   RESTARTS   TIME
job.batch/j   Failed
  BackoffLimitExceeded: too often; 1
    succeeded, 1 failed
j-1           Failed      3      0          0s
  main exited with 3 (Error)
good          Succeeded   0      0          0s
";
        assert_eq!(render(&report, "default", Some(40)), narrow);
    }
}
