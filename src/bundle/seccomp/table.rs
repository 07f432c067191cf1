//! The default profile: which calls there are, and which of them a container may make.

use std::collections::BTreeMap;

use seccompiler::{SeccompCmpArgLen, SeccompCmpOp, SeccompCondition};

use super::Architecture;
use super::policy::{Action, NOT_IMPLEMENTED, NOT_PERMITTED, Rule, Rules};

const CALLS: &str = include_str!("calls.txt");

/// `CLONE_NEW*` for mount, cgroup, UTS, IPC, user, PID and network namespaces.
const NEW_NAMESPACES: u64 = 0x7e02_0000;
/// Families of sockets that lead past every namespace: AF_ALG to the kernel's ciphers, AF_VSOCK to the hypervisor.
const CLOSED_FAMILIES: [u64; 2] = [38, 40];
/// Of the calls that `socketcall` stands for, the one that makes a socket.
const SYS_SOCKET: u64 = 1;
/// Linux, the same in 32 bits, each calling itself 2.6, and the question which it is.
const PLAIN_PERSONALITIES: [u64; 5] = [0, 0x0008, 0x2_0000, 0x2_0008, 0xffff_ffff];

/// One line of the table.
#[derive(Debug, Clone, Copy)]
pub(super) struct Call {
    pub(super) name: &'static str,
    x86_64: Option<u32>,
    x86: Option<u32>,
    aarch64: Option<u32>,
    pub(super) rule: &'static str,
}

impl Call {
    pub(super) fn number(&self, set: Architecture) -> Option<u32> {
        match set {
            Architecture::X86_64 => self.x86_64,
            Architecture::X86 => self.x86,
            Architecture::Aarch64 => self.aarch64,
        }
    }
}

pub(super) fn calls() -> impl Iterator<Item = Call> {
    CALLS.lines().filter(|line| !line.starts_with('#')).map(|line| {
        let mut words = line.split_ascii_whitespace();
        let mut word = || words.next().expect("each line of the table has five words, a test counts them");
        let (name, x86_64, x86, aarch64, rule) = (word(), word(), word(), word(), word());
        // A dash is no number.
        Call { name, x86_64: x86_64.parse().ok(), x86: x86.parse().ok(), aarch64: aarch64.parse().ok(), rule }
    })
}

/// The first number of a set that the table knows nothing of.
pub(super) fn beyond(set: Architecture) -> u32 {
    calls().filter_map(|call| call.number(set)).max().map_or(0, |last| last + 1)
}

pub(super) fn default_rules(set: Architecture, capabilities: &[String]) -> Rules {
    let has = |wanted: &str| capabilities.iter().any(|capability| capability == wanted);
    let mut rules = BTreeMap::new();
    for call in calls() {
        let Some(number) = call.number(set) else { continue };
        let answer = match call.rule {
            "allow" => vec![Rule::always(Action::Allow)],
            "deny" => continue,
            "plain" => {
                PLAIN_PERSONALITIES.iter().filter_map(|which| allow_if(SeccompCmpOp::Eq, *which)).collect()
            }
            "families" => {
                let open = CLOSED_FAMILIES.iter().filter_map(|family| about(SeccompCmpOp::Ne, *family));
                vec![Rule { action: Action::Allow, conditions: open.collect() }]
            }
            // The family lies in memory, where no filter sees it: a C library that knows better falls back to `socket`.
            "old-socket" => {
                let making = about(SeccompCmpOp::Eq, SYS_SOCKET).into_iter().collect();
                let refused = Rule { action: Action::Errno(NOT_IMPLEMENTED), conditions: making };
                vec![refused, Rule::always(Action::Allow)]
            }
            "no-namespaces" | "old-clone" if has("SYS_ADMIN") => vec![Rule::always(Action::Allow)],
            "no-namespaces" => allow_if(SeccompCmpOp::MaskedEq(NEW_NAMESPACES), 0).into_iter().collect(),
            // Its flags lie in memory, where no filter sees them: a C library falls back to `clone`.
            "old-clone" => vec![Rule::always(Action::Errno(NOT_IMPLEMENTED))],
            capabilities if capabilities.split('|').any(has) => vec![Rule::always(Action::Allow)],
            _ => continue,
        };
        rules.insert(number, answer);
    }
    Rules {
        set,
        otherwise: Action::Errno(NOT_PERMITTED),
        beyond: (beyond(set), Action::Errno(NOT_IMPLEMENTED)),
        calls: rules,
    }
}

fn allow_if(test: SeccompCmpOp, value: u64) -> Option<Rule> {
    Some(Rule { action: Action::Allow, conditions: vec![about(test, value)?] })
}

/// The first argument. The kernel takes no more than its lower half, whatever stands in the upper.
fn about(test: SeccompCmpOp, value: u64) -> Option<SeccompCondition> {
    SeccompCondition::new(0, SeccompCmpArgLen::Dword, test, value).ok()
}
