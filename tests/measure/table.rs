//! The table that is printed.

use std::fs;
use std::time::Duration;

use crate::bench::say;

pub(crate) struct Table {
    lines: Vec<String>,
}

/// Nanoseconds as milliseconds.
fn millis(nanos: u64) -> String {
    format!("{:.1}", nanos as f64 / 1e6)
}

impl Table {
    pub(crate) fn new(runs: usize) -> Table {
        let head = format!(
            "{:44} {:>20} {:>20} {:>7}  aim\n{}",
            "",
            "ours: median (..p90)",
            "beside: same",
            "ratio",
            "-".repeat(106)
        );
        Table { lines: vec![format!("{runs} runs, milliseconds; {}", pressure()), head] }
    }

    /// Times of ours and of what is beside it, and how many times the latter ours may be.
    pub(crate) fn row(&mut self, what: &str, ours: &[u64], beside: &[u64], aim: Option<f64>) {
        let judged = ratio(ours, beside).zip(aim);
        let verdict = judged.map(|(ratio, aim)| format!("at most {aim} x: {}", word(ratio <= aim)));
        self.line(what, ours, beside, &verdict.unwrap_or_default());
    }

    /// As `row`, where ours may take this much longer.
    pub(crate) fn row_plus(&mut self, what: &str, ours: &[u64], beside: &[u64], aim: Duration) {
        let limit = median(beside).map(|beside| beside + aim.as_nanos() as u64);
        let verdict = median(ours)
            .zip(limit)
            .map(|(ours, limit)| format!("at most + {} ms: {}", aim.as_millis(), word(ours <= limit)));
        self.line(what, ours, beside, &verdict.unwrap_or_default());
    }

    /// Times that are judged by themselves.
    pub(crate) fn limit(&mut self, what: &str, ours: &[u64], most: Duration) {
        let met = median(ours).is_some_and(|ours| u128::from(ours) <= most.as_nanos());
        self.line(what, ours, &[], &format!("at most {} ms: {}", most.as_millis(), word(met)));
    }

    /// What is no time.
    pub(crate) fn amount(&mut self, what: &str, ours: f64, most: f64) {
        self.lines.push(format!("{what:44} {ours:>20.2} {:>28}  at most {most}: {}", "", word(ours <= most)));
    }

    pub(crate) fn print(&self) {
        for line in &self.lines {
            say(line);
        }
        say(&pressure());
    }

    fn line(&mut self, what: &str, ours: &[u64], beside: &[u64], verdict: &str) {
        let ratio = ratio(ours, beside).map(|ratio| format!("{ratio:.2}")).unwrap_or_default();
        self.lines.push(format!("{what:44} {:>20} {:>20} {ratio:>7}  {verdict}", told(ours), told(beside)));
    }
}

fn word(met: bool) -> &'static str {
    if met { "met" } else { "not met" }
}

fn told(times: &[u64]) -> String {
    match (median(times), at(times, 90)) {
        (Some(median), Some(most)) if times.len() > 1 => format!("{} (..{})", millis(median), millis(most)),
        (Some(only), _) => millis(only),
        (None, _) => String::new(),
    }
}

fn ratio(ours: &[u64], beside: &[u64]) -> Option<f64> {
    median(ours).zip(median(beside)).map(|(ours, beside)| ours as f64 / beside as f64)
}

fn median(times: &[u64]) -> Option<u64> {
    at(times, 50)
}

fn at(times: &[u64], percent: usize) -> Option<u64> {
    let mut times = times.to_vec();
    times.sort_unstable();
    times.get((times.len().saturating_sub(1)) * percent / 100).copied()
}

fn pressure() -> String {
    let told = fs::read_to_string("/proc/pressure/cpu").unwrap_or_default();
    let average = told.split_whitespace().find_map(|field| field.strip_prefix("avg60="));
    format!("CPU pressure of the last minute: {} %", average.unwrap_or("unknown"))
}
