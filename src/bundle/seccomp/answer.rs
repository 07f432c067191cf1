//! What a filter answers to a call, found by running it as the kernel does: classic BPF over `struct seccomp_data`.

use super::policy::Action;
use super::{Architecture, Filter};

/// Flags of the `clone` by which a process is born into a process namespace: `CLONE_PARENT`, `CLONE_PARENT_SETTID`,
/// SIGCHLD.
pub(crate) const BIRTH_FLAGS: u32 = 0x0010_8011;

/// What is called from the loading of a filter on until `execve`, or until it has failed, by a process that is born with
/// it: `capset`, `clone` and `exit_group` by its parent, the others by itself. With those arguments that do not vary.
const OF_BIRTH: &[(&str, libc::c_long, &[u64])] = &[
    ("capset", libc::SYS_capset, &[]),
    ("clone", libc::SYS_clone, &[BIRTH_FLAGS as u64]),
    ("exit_group", libc::SYS_exit_group, &[]),
    // PR_SET_PDEATHSIG, SIGKILL
    ("prctl", libc::SYS_prctl, &[1, 9]),
    ("setsid", libc::SYS_setsid, &[]),
    // TIOCSCTTY of standard input
    ("ioctl", libc::SYS_ioctl, &[0, 0x540e, 0]),
    ("write", libc::SYS_write, &[]),
];

impl Filter {
    /// Names of the calls that nothing can be born with this filter without, and that it does not allow.
    pub(crate) fn keeps_from_birth(&self) -> Vec<&'static str> {
        let lets = |number: libc::c_long, arguments: &[u64]| {
            let answer = self.answer(Architecture::NATIVE?.audit(), number.try_into().ok()?, arguments)?;
            Some([Action::Allow, Action::Log].iter().any(|action| action.value() == answer))
        };
        OF_BIRTH
            .iter()
            .filter(|(_, number, arguments)| lets(*number, arguments) != Some(true))
            .map(|(name, ..)| *name)
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
