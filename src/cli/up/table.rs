//! How everything ended, for a person: one line for one thing, a table for more.

use crate::cli::table::{self, Widths, cell};
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

/// `home` is the namespace that goes without saying.
pub(super) fn render(report: &BatchReport, home: &str) -> String {
    let rows = rows(report, home);
    if let [only] = &rows[..] {
        return format!("{}: {}\n", only.name, facts::line(only.word, &cell(&only.note)));
    }
    let head = HEAD.map(str::to_owned).to_vec();
    let table: Vec<Vec<String>> = std::iter::once(head).chain(rows.iter().map(Row::cells)).collect();
    let mut widths = Widths::default();
    widths.fit(&table);
    let mut text = Vec::new();
    table::print(&mut text, &widths, &table).expect("writing to memory does not fail");
    let lines = String::from_utf8_lossy(&text);
    lines.lines().map(|line| format!("{}\n", line.trim_end())).collect()
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
        assert_eq!(render(&one, "default"), "good: Succeeded\n");
        assert_eq!(render(&one, "other"), "default/good: Succeeded\n");
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
        assert_eq!(render(&report, "default"), expected);
    }
}
