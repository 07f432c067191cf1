//! What goes on, as lines.

mod stage;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::cli::duration;
use crate::cli::table::cell;
use crate::cli::terminal::Color;
use crate::daemon::{CronStanding, ImageStanding, JobStanding, News, Progress, Standing};
use crate::model::id::PodId;
use crate::model::object::ObjectKey;
use crate::model::time::{Moment, Now};
use crate::status::age;
use crate::workload::Retry;

use stage::{Stage, stage};

/// Columns below which there is room for names alone.
const NARROWEST: usize = 20;

/// Of a terminal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Size {
    pub(super) columns: usize,
    pub(super) rows: usize,
}

pub(super) struct View {
    /// The namespace that goes without saying.
    home: String,
    since: Moment,
    standing: Standing,
    /// When an image was first seen to be on its way.
    coming: BTreeMap<String, Moment>,
    pods: BTreeMap<PodId, Stage>,
    ended: BTreeSet<PodId>,
}

/// What colour a line has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Tone {
    Plain,
    Busy,
    Trouble,
    Quiet,
}

struct Entry {
    name: String,
    /// What tells one image from another stands at the end of its name.
    is_image: bool,
    text: String,
    tone: Tone,
}

impl View {
    pub(super) fn new(home: String, now: Now) -> View {
        let (standing, coming, pods) = (Standing::default(), BTreeMap::new(), BTreeMap::new());
        View { home, since: now.boot, standing, coming, pods, ended: BTreeSet::new() }
    }

    pub(super) fn hear(&mut self, news: &News, now: Now) {
        match news {
            News::Pod(step) => self.hear_of_pod(step),
            News::Whole(standing) => {
                let is_coming = |image: &String| standing.images.get(image) == Some(&ImageStanding::Coming);
                self.coming.retain(|image, _| is_coming(image));
                for image in standing.images.keys().filter(|image| is_coming(image)) {
                    self.coming.entry(image.clone()).or_insert(now.boot);
                }
                self.standing = standing.clone();
            }
        }
    }

    fn hear_of_pod(&mut self, step: &Progress) {
        let pod = step.pod.clone();
        match stage(&step.course) {
            Some(stage) => drop(self.pods.insert(pod, stage)),
            None => {
                self.pods.remove(&pod);
                self.ended.insert(pod);
            }
        }
    }

    /// At most a third of the terminal's height; the last line counts everything.
    pub(super) fn render(&self, now: Now, size: Size, color: Color) -> Vec<String> {
        let most = (size.rows / 3).max(2) - 1;
        let mut entries = self.entries(now);
        if entries.len() > most {
            let more = entries.len() - (most - 1);
            entries.truncate(most - 1);
            entries.push(Entry {
                name: format!("… and {more} more"),
                is_image: false,
                text: String::new(),
                tone: Tone::Quiet,
            });
        }
        let columns = size.columns.saturating_sub(1);
        let named = entries.iter().filter(|entry| !entry.text.is_empty());
        let widest = named.map(|entry| entry.name.chars().count()).max().unwrap_or(0).min(columns / 3);
        let mut lines: Vec<String> = entries.iter().map(|entry| entry.line(widest, columns, color)).collect();
        lines.push(Tone::Quiet.paint(color, &cut(&self.counts(now), columns)));
        lines
    }

    /// What there is most to say of comes first.
    fn entries(&self, now: Now) -> Vec<Entry> {
        let jobs = self.standing.jobs.iter().map(|job| of_job(job, &self.home, now.boot));
        let crons = self.standing.crons.iter().map(|cron| of_cron(cron, &self.home, now));
        let images = self.standing.images.iter().map(|(image, standing)| {
            let since = self.coming.get(image).copied().unwrap_or(now.boot);
            of_image(image, standing, since, now)
        });
        let mut pods: Vec<(u8, Entry)> = self
            .pods
            .iter()
            .filter_map(|(pod, stage)| stage.entry(super::super::name(pod, &self.home), now))
            .collect();
        pods.sort_by_key(|(rank, _)| *rank);
        jobs.chain(images).chain(crons).chain(pods.into_iter().map(|(_, entry)| entry)).collect()
    }

    fn counts(&self, now: Now) -> String {
        let count = |which: fn(&Stage) -> bool| self.pods.values().filter(|stage| which(stage)).count();
        let counts = [
            (count(|stage| matches!(stage, Stage::Runs)), "running"),
            (count(|stage| matches!(stage, Stage::Starts(_))), "starting"),
            (count(|stage| matches!(stage, Stage::Waits { .. } | Stage::AwaitsImage)), "waiting"),
            (count(|stage| matches!(stage, Stage::Rests { .. })), "resting"),
            (count(|stage| matches!(stage, Stage::Stops)), "stopping"),
            (self.ended.len(), "ended"),
        ];
        let told = counts.iter().filter(|(count, _)| *count > 0);
        let mut parts: Vec<String> = told.map(|(count, word)| format!("{count} {word}")).collect();
        parts.push(age(now.boot - self.since));
        parts.join(", ")
    }
}

fn of_job(job: &JobStanding, home: &str, now: Moment) -> Entry {
    let JobStanding { key, succeeded, failed, completions, retry } = job;
    let done = match completions {
        Some(completions) => format!("{succeeded}/{completions} done"),
        None => format!("{succeeded} done"),
    };
    let (mut text, tone) = match failed {
        0 => (done, Tone::Busy),
        failed => (format!("{done}, {failed} failed"), Tone::Trouble),
    };
    if let Some(Retry { due, number, limit }) = retry {
        let which = number.map_or_else(String::new, |number| format!(" ({number} of {limit})"));
        text.push_str(&format!(", tries again {}{which}", within(*due - now)));
    }
    Entry { name: format!("job/{}", of_key(key, home)), is_image: false, text, tone }
}

fn of_cron(cron: &CronStanding, home: &str, now: Now) -> Entry {
    let text = match cron.next {
        Some(next) => {
            let rest = Duration::try_from(next.duration_since(now.wall)).unwrap_or_default();
            format!("next {}", within(rest))
        }
        None => "suspended".to_owned(),
    };
    let name = format!("cronjob/{}", of_key(&cron.key, home));
    Entry { name, is_image: false, text, tone: Tone::Quiet }
}

fn of_key(key: &ObjectKey, home: &str) -> String {
    if key.namespace == home { key.name.clone() } else { format!("{}/{}", key.namespace, key.name) }
}

fn of_image(image: &str, standing: &ImageStanding, since: Moment, now: Now) -> Entry {
    let (text, tone) = match standing {
        ImageStanding::Coming => (format!("pulling, {}", age(now.boot - since)), Tone::Busy),
        ImageStanding::Failed { error, retry_at } => {
            let rest = *retry_at - now.boot;
            (format!("not pulled, again {}: {}", within(rest), cell(&error.message)), Tone::Trouble)
        }
    };
    Entry { name: image.to_owned(), is_image: true, text, tone }
}

/// `in 7s`; what is due may take a moment.
fn within(rest: Duration) -> String {
    if rest.is_zero() { "now".to_owned() } else { format!("in {}", age(duration::rounded_up(rest))) }
}

impl Entry {
    fn line(&self, widest: usize, columns: usize, color: Color) -> String {
        if self.text.is_empty() || columns < NARROWEST {
            return self.tone.paint(color, &cut(&self.name, columns));
        }
        let name = if self.is_image { cut_front(&self.name, widest) } else { cut(&self.name, widest) };
        let text = cut(&self.text, columns.saturating_sub(widest + 2));
        format!("{name:<widest$}  {}", self.tone.paint(color, &text))
    }
}

impl Tone {
    fn paint(self, color: Color, text: &str) -> String {
        match self {
            Tone::Plain => text.to_owned(),
            Tone::Busy => color.paint(36, text),
            Tone::Trouble => color.paint(33, text),
            Tone::Quiet => color.paint(2, text),
        }
    }
}

fn cut(text: &str, columns: usize) -> String {
    if text.chars().count() <= columns {
        return text.to_owned();
    }
    let kept: String = text.chars().take(columns.saturating_sub(1)).collect();
    format!("{}…", kept.trim_end())
}

fn cut_front(text: &str, columns: usize) -> String {
    let more = text.chars().count().saturating_sub(columns);
    if more == 0 {
        return text.to_owned();
    }
    let kept: String = text.chars().skip(more + 1).collect();
    format!("…{kept}")
}

/// Columns of a line, colours aside.
pub(super) fn width(line: &str) -> usize {
    let mut columns = 0;
    let mut in_colour = false;
    for c in line.chars() {
        match c {
            '\x1b' => in_colour = true,
            'm' if in_colour => in_colour = false,
            _ if in_colour => {}
            _ => columns += 1,
        }
    }
    columns
}

#[cfg(test)]
mod tests;
