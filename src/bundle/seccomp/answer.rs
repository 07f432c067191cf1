//! What a filter answers to a call, found by running it as the kernel does: classic BPF over `struct seccomp_data`.

use std::sync::LazyLock;

use super::policy::Action;
use super::table::calls;
use super::{Architecture, Filter};

/// Flags of the `clone` by which a process is born into a process namespace: `CLONE_PARENT`, `CLONE_PARENT_SETTID`,
/// SIGCHLD.
pub(crate) const BIRTH_FLAGS: u32 = 0x0010_8011;

/// What is called from the loading of a filter on until `execve`, or until it has failed, by a process that is born with
/// it: `capset`, `clone` and `exit_group` by its parent, the others by itself. With those arguments that do not vary.
const OF_BIRTH: &[(&str, &[u64])] = &[
    ("capset", &[]),
    ("clone", &[BIRTH_FLAGS as u64]),
    ("exit_group", &[]),
    // PR_SET_PDEATHSIG, SIGKILL
    ("prctl", &[1, 9]),
    ("setsid", &[]),
    // TIOCSCTTY of standard input
    ("ioctl", &[0, 0x540e, 0]),
    ("write", &[]),
];

/// Their numbers on this processor. The table is text, and each exec and probe asks.
static NUMBERS: LazyLock<Vec<Option<u32>>> = LazyLock::new(|| {
    let number = |name| calls().find(|call| call.name == name)?.number(Architecture::NATIVE?);
    OF_BIRTH.iter().map(|(name, _)| number(*name)).collect()
});

impl Filter {
    /// Names of the calls that nothing can be born with this filter without, and that it does not allow.
    pub(crate) fn keeps_from_birth(&self) -> Vec<&'static str> {
        let lets = |number: u32, arguments: &[u64]| {
            let answer = self.answer(Architecture::NATIVE?.audit(), number, arguments)?;
            Some([Action::Allow, Action::Log].iter().any(|action| action.value() == answer))
        };
        OF_BIRTH
            .iter()
            .zip(NUMBERS.iter())
            .filter(|((_, arguments), number)| {
                number.and_then(|number| lets(number, arguments)) != Some(true)
            })
            .map(|((name, _), _)| *name)
            .collect()
    }

    /// `SECCOMP_RET_*` with its data; `architecture` as in <linux/audit.h>. Nothing of a program that the kernel would
    /// not take either, or with an instruction that no filter of ours has.
    pub(super) fn answer(&self, architecture: u32, number: u32, arguments: &[u64]) -> Option<u32> {
        let mut data = [0_u32; 16];
        (data[0], data[1]) = (number, architecture);
        for (halves, argument) in data[4..].chunks_exact_mut(2).zip(arguments) {
            let [a, b, c, d, e, f, g, h] = argument.to_le_bytes();
            halves.copy_from_slice(&[u32::from_le_bytes([a, b, c, d]), u32::from_le_bytes([e, f, g, h])]);
        }
        let (mut at, mut a) = (0_usize, 0_u32);
        loop {
            let instruction = self.program.get(at)?;
            let k = instruction.k;
            at += 1;
            let jump = |holds: bool| usize::from(if holds { instruction.jt } else { instruction.jf });
            match instruction.code {
                0x20 => a = *data.get(usize::try_from(k / 4).ok()?)?,
                0x54 => a &= k,
                0x05 => at = at.checked_add(usize::try_from(k).ok()?)?,
                0x15 => at += jump(a == k),
                0x25 => at += jump(a > k),
                0x35 => at += jump(a >= k),
                0x06 => return Some(k),
                _ => return None,
            }
        }
    }
}
