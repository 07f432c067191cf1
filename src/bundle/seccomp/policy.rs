//! What a filter answers, before it is a program.

use std::collections::BTreeMap;

use seccompiler::SeccompCondition;

use super::Architecture;

/// EPERM and ENOSYS, the same on every Linux.
pub(super) const NOT_PERMITTED: u16 = 1;
pub(super) const NOT_IMPLEMENTED: u16 = 38;

/// The stricter is the greater: where rules for one call disagree, that one counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Action {
    Allow,
    Log,
    Trace(u16),
    Errno(u16),
    Trap,
    KillThread,
    KillProcess,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Rule {
    pub(super) action: Action,
    /// All must hold; none always does.
    pub(super) conditions: Vec<SeccompCondition>,
}

/// What is answered to the calls of one set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Rules {
    pub(super) set: Architecture,
    /// To a call that no rule is for.
    pub(super) otherwise: Action,
    /// The first number that nothing is known of, and what is answered from there on.
    pub(super) beyond: (u32, Action),
    pub(super) calls: BTreeMap<u32, Vec<Rule>>,
}

impl Action {
    /// `SECCOMP_RET_*`, <linux/seccomp.h>.
    pub(super) fn value(self) -> u32 {
        match self {
            Action::Allow => 0x7fff_0000,
            Action::Log => 0x7ffc_0000,
            Action::Trace(data) => 0x7ff0_0000 | u32::from(data),
            Action::Errno(errno) => 0x0005_0000 | u32::from(errno),
            Action::Trap => 0x0003_0000,
            Action::KillThread => 0x0000_0000,
            Action::KillProcess => 0x8000_0000,
        }
    }
}

impl Rule {
    pub(super) fn always(action: Action) -> Rule {
        Rule { action, conditions: Vec::new() }
    }
}
