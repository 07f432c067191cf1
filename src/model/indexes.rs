//! Sets of small numbers that come in runs, written as Kubernetes writes completed indexes: `0-3,5,7-9`.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::RangeInclusive;

use serde::{Deserialize, Serialize};

/// First to last of each run; no two runs touch.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub(crate) struct Indexes(BTreeMap<u64, u64>);

impl Indexes {
    pub(crate) fn contains(&self, number: u64) -> bool {
        self.0.range(..=number).next_back().is_some_and(|(_, last)| number <= *last)
    }

    /// Tells whether it was not there before.
    pub(crate) fn insert(&mut self, number: u64) -> bool {
        if self.contains(number) {
            return false;
        }
        self.join(number, number);
        true
    }

    fn join(&mut self, mut first: u64, mut last: u64) {
        if let Some((before, end)) = self.0.range(..first).next_back()
            && end.saturating_add(1) >= first
        {
            (first, last) = (*before, last.max(*end));
            self.0.remove(&first);
        }
        let touching = first..=last.saturating_add(1);
        while let Some((next, end)) = self.0.range(touching.clone()).next().map(|(a, b)| (*a, *b)) {
            self.0.remove(&next);
            last = last.max(end);
        }
        self.0.insert(first, last);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn len(&self) -> u64 {
        self.runs().map(|run| run.end() - run.start() + 1).sum()
    }

    /// How many lie below `bound`.
    pub(crate) fn len_below(&self, bound: u64) -> u64 {
        let below = self.runs().filter(|run| *run.start() < bound);
        below.map(|run| (run.end() + 1).min(bound) - run.start()).sum()
    }

    /// Those that lie below `bound`.
    pub(crate) fn below(&self, bound: u64) -> Indexes {
        let below = self.0.range(..bound);
        Indexes(below.map(|(first, last)| (*first, (*last).min(bound - 1))).collect())
    }

    /// Numbers below `bound` that are not in it, the lowest first.
    pub(crate) fn absent_below(&self, bound: u64) -> impl Iterator<Item = u64> {
        let begins = std::iter::once(0).chain(self.0.values().map(|last| last.saturating_add(1)));
        let ends = self.0.keys().copied().chain(std::iter::once(bound));
        begins.zip(ends).flat_map(move |(begin, end)| begin..end.min(bound))
    }

    pub(crate) fn runs(&self) -> impl Iterator<Item = RangeInclusive<u64>> {
        self.0.iter().map(|(first, last)| *first..=*last)
    }

    /// How many of `self` are in `other` too.
    pub(crate) fn common(&self, other: &Indexes) -> u64 {
        let pairs = self.runs().flat_map(|a| other.runs().map(move |b| (a.clone(), b)));
        let overlap = |(a, b): (RangeInclusive<u64>, RangeInclusive<u64>)| {
            let (first, last) = (*a.start().max(b.start()), *a.end().min(b.end()));
            (last + 1).saturating_sub(first)
        };
        pairs.map(overlap).sum()
    }
}

#[derive(Debug, thiserror::Error)]
#[error("not a list of indexes")]
pub(crate) struct NotIndexes;

impl TryFrom<String> for Indexes {
    type Error = NotIndexes;

    fn try_from(text: String) -> Result<Indexes, NotIndexes> {
        Indexes::parse(&text)
    }
}

impl Indexes {
    /// `0-3,5`. Runs must be in order, as Kubernetes demands of them in a success policy.
    pub(crate) fn parse(text: &str) -> Result<Indexes, NotIndexes> {
        let mut indexes = Indexes::default();
        let mut least = 0;
        for part in text.split(',').filter(|_| !text.is_empty()) {
            let (first, last) = part.split_once('-').unwrap_or((part, part));
            let number = |text: &str| text.parse::<u32>().map(u64::from).map_err(|_| NotIndexes);
            let (first, last) = (number(first)?, number(last)?);
            if first < least || last < first {
                return Err(NotIndexes);
            }
            least = last + 1;
            indexes.join(first, last);
        }
        Ok(indexes)
    }
}

impl From<Indexes> for String {
    fn from(indexes: Indexes) -> String {
        indexes.to_string()
    }
}

impl fmt::Display for Indexes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, run) in self.runs().enumerate() {
            let comma = if at > 0 { "," } else { "" };
            match (run.start(), run.end()) {
                (first, last) if first == last => write!(f, "{comma}{first}")?,
                // Two in a row are no run to Kubernetes.
                (first, last) if first + 1 == *last => write!(f, "{comma}{first},{last}")?,
                (first, last) => write!(f, "{comma}{first}-{last}")?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn runs_are_written_as_kubernetes_writes_them() {
        let mut indexes = Indexes::default();
        for number in [7, 1, 3, 4, 5, 0, 9] {
            assert!(indexes.insert(number));
        }
        assert_eq!(indexes.to_string(), "0,1,3-5,7,9");
        assert!(!indexes.insert(4));
        assert_eq!((indexes.len(), indexes.len_below(4)), (7, 3));
        assert_eq!(indexes.common(&Indexes::parse("4-8").unwrap()), 3);
    }

    #[test]
    fn what_is_no_list_of_indexes_is_refused() {
        for text in ["a", "1-", "-1", "3-1", "2,1", "1,1", "1,,2", "1-3,3"] {
            assert!(Indexes::parse(text).is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn a_set_in_runs_is_a_set(numbers in proptest::collection::vec(0u64..40, 0..40)) {
            let mut indexes = Indexes::default();
            let mut plain = BTreeSet::new();
            for number in numbers {
                prop_assert_eq!(indexes.insert(number), plain.insert(number));
            }
            prop_assert!((0..45).all(|number| indexes.contains(number) == plain.contains(&number)));
            prop_assert_eq!(indexes.len(), plain.len() as u64);
            let absent: Vec<u64> = (0..30).filter(|number| !plain.contains(number)).collect();
            prop_assert_eq!(indexes.absent_below(30).collect::<Vec<_>>(), absent);
            prop_assert_eq!(&Indexes::parse(&indexes.to_string()).unwrap(), &indexes);
        }
    }
}
