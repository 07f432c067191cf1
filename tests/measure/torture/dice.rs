//! Chance, the same for the same seed.

use std::time::Duration;

pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn new(seed: u64) -> Dice {
        Dice(seed)
    }

    /// SplitMix64.
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    pub(crate) fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound as u64) as usize
    }

    pub(crate) fn percent(&mut self, chance: usize) -> bool {
        self.below(100) < chance
    }

    pub(crate) fn pick<'a, T>(&mut self, among: &'a [T]) -> Option<&'a T> {
        if among.is_empty() { None } else { among.get(self.below(among.len())) }
    }

    /// One of them, each as often as its weight says.
    pub(crate) fn weighed<T: Copy>(&mut self, among: &[(usize, T)]) -> T {
        let mut at = self.below(among.iter().map(|(weight, _)| weight).sum());
        for (weight, one) in among {
            match at.checked_sub(*weight) {
                Some(rest) => at = rest,
                None => return *one,
            }
        }
        unreachable!("`at` lies below the sum of the weights")
    }

    /// The first two milliseconds of a thing, or some time in its course.
    pub(crate) fn moment(&mut self) -> Duration {
        let at_most = self.weighed(&[(45, 2_000), (35, 40_000), (20, 250_000)]);
        Duration::from_micros(self.below(at_most + 1) as u64)
    }
}
