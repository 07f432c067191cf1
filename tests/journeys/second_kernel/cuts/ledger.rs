//! What a machine has told before its power went, and what it may therefore not do afterwards.
//!
//! ```text
//! has WHAT          this end is on disc, after the boot and before a watcher runs
//! mounted           those were all
//! torn PATH: WHY    a record is not whole
//! refused LINE      the watcher did not take a record
//! watches           it has taken charge
//! run WHAT [UID]    a container runs, of a pod with its identity
//! ended WHAT        an end is recorded
//! removing NAME     the manifest of a Job goes
//! ```
//! WHAT is `job NAME INDEX`, `job NAME all` for a Job itself, or `pod NAME`.

use std::collections::{BTreeMap, BTreeSet};

#[derive(Default)]
pub(super) struct Ledger {
    boots: usize,
    /// Ends that were told.
    acknowledged: BTreeSet<String>,
    /// Ends that this boot found.
    found: BTreeSet<String>,
    /// Jobs whose record may be gone.
    removed: BTreeSet<String>,
    /// The boot in which each ran last.
    runs: BTreeMap<String, usize>,
    /// In which boot each identity of the endless pod was seen.
    identities: BTreeMap<String, usize>,
    counts: Counts,
    wrongs: Vec<String>,
}

#[derive(Default)]
struct Counts {
    runs: usize,
    /// Of what had run before and whose end nobody had been told.
    again: usize,
    /// Boots that came as far as a watcher.
    watched: usize,
}

impl Ledger {
    pub(super) fn boot(&mut self) {
        self.boots += 1;
        self.found.clear();
    }

    pub(super) fn wrongs(&self) -> &[String] {
        &self.wrongs
    }

    pub(super) fn summary(&self) -> String {
        let Counts { runs, again, watched } = self.counts;
        format!(
            "{} boots, {watched} of them as far as a watcher: {} ends acknowledged, {runs} runs, {again} of them again \
             without an acknowledged end",
            self.boots,
            self.acknowledged.len(),
        )
    }

    /// So many cuts prove nothing unless most of them hit work, and some came after an end that may not be lost.
    #[track_caller]
    pub(super) fn has_met(&self, cuts: usize) {
        let Counts { runs, watched, .. } = self.counts;
        let met = 2 * watched >= cuts && 2 * runs >= cuts && 2 * self.acknowledged.len() >= cuts;
        assert!(met, "{cuts} cuts hit next to nothing: {}", self.summary());
    }

    pub(super) fn hear_all(&mut self, lines: &[String]) {
        for line in lines {
            self.hear(line);
        }
    }

    fn hear(&mut self, line: &str) {
        let (verb, what) = line.split_once(' ').unwrap_or((line, ""));
        match verb {
            "has" => drop(self.found.insert(what.to_owned())),
            "mounted" => self.compare(),
            "watches" => self.counts.watched += 1,
            "run" => self.run(what),
            "ended" => drop(self.acknowledged.insert(what.to_owned())),
            "removing" => drop(self.removed.insert(what.to_owned())),
            "peace" => {}
            _ => self.wrongs.push(line.to_owned()),
        }
    }

    fn compare(&mut self) {
        // A CronJob keeps the last few of its Jobs.
        let may_be_gone = |what: &str| {
            what.split(' ')
                .nth(1)
                .is_some_and(|name| name.starts_with("tick-") || self.removed.contains(name))
        };
        let lost = self.acknowledged.difference(&self.found).filter(|what| !may_be_gone(what));
        self.wrongs.extend(lost.map(|what| format!("lost: the end of {what}")));
        self.acknowledged.append(&mut self.found);
    }

    fn run(&mut self, what: &str) {
        self.counts.runs += 1;
        if let Some(uid) = what.strip_prefix("pod endless ") {
            let boot = *self.identities.entry(uid.to_owned()).or_insert(self.boots);
            if boot != self.boots {
                self.wrongs.push(format!("the endless pod has the identity of boot {boot}"));
            }
            return;
        }
        let what =
            if what.starts_with("pod ") { what.rsplit_once(' ').map_or(what, |(pod, _)| pod) } else { what };
        let all = what.rsplit_once(' ').map(|(job, _)| format!("{job} all")).unwrap_or_default();
        if self.acknowledged.contains(what) || self.acknowledged.contains(&all) {
            self.wrongs.push(format!("run after its end: {what}"));
        }
        match self.runs.insert(what.to_owned(), self.boots) {
            Some(boot) if boot == self.boots => self.wrongs.push(format!("run twice in one boot: {what}")),
            // It had started when the power went, and does not ask to be run again.
            Some(boot) if what.starts_with("pod once") => {
                self.wrongs.push(format!("run again after boot {boot}: {what}"));
            }
            Some(_) => self.counts.again += 1,
            None => {}
        }
    }
}

#[test]
fn a_ledger_notices_what_is_wrong_and_nothing_else() {
    let after = |boots: &[&[&str]]| {
        let mut ledger = Ledger::default();
        for lines in boots {
            ledger.boot();
            lines.iter().for_each(|line| ledger.hear(line));
        }
        ledger.wrongs
    };
    let first: &[&str] = &["mounted", "run pod endless a", "run job work-0 0", "run pod once-0 b"];
    let ended: &[&str] = &["mounted", "run job work-0 0", "ended job work-0 0"];
    let good: [&[&[&str]]; 4] = [
        &[first, &["mounted", "run pod endless c", "run job work-0 0"]],
        &[ended, &["has job work-0 0", "mounted", "run job work-0 1"]],
        &[ended, &["has job work-0 0", "mounted", "removing work-0"], &["mounted"]],
        &[&["mounted", "ended job tick-7 all"], &["mounted"]],
    ];
    for boots in good {
        assert_eq!(after(boots), [""; 0], "{boots:?}");
    }
    let wrong: [(&[&[&str]], &str); 7] = [
        (&[first, &["mounted", "run pod endless a"]], "the endless pod has the identity of boot 1"),
        (&[first, &["mounted", "run pod once-0 b"]], "run again after boot 1: pod once-0"),
        (&[ended, &["mounted"]], "lost: the end of job work-0 0"),
        (&[ended, &["has job work-0 0", "mounted", "run job work-0 0"]], "run after its end: job work-0 0"),
        (&[&["mounted", "ended job work-0 all", "run job work-0 3"]], "run after its end: job work-0 3"),
        (&[&["mounted", "run job work-0 0", "run job work-0 0"]], "run twice in one boot: job work-0 0"),
        (&[&["torn a: b"]], "torn a: b"),
    ];
    for (boots, expected) in wrong {
        assert_eq!(after(boots), [expected], "{boots:?}");
    }
}
