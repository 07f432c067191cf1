//! A seccomp profile in JSON: the form of the OCI runtime specification, and the one of container engines, which adds
//! `archMap`, `includes` and `excludes`.

use std::collections::BTreeMap;

use seccompiler::{SeccompCmpArgLen, SeccompCmpOp, SeccompCondition};
use serde::Deserialize;

use super::policy::{Action, NOT_IMPLEMENTED, NOT_PERMITTED, Rule, Rules};
use super::{Architecture, Filter, Machine, assemble, table};

#[derive(Debug, thiserror::Error)]
pub(crate) enum ProfileError {
    #[error("cannot read it as a seccomp profile")]
    Json(#[from] serde_json::Error),
    #[error("there is no default profile for this processor")]
    Processor,
    #[error("it has no rules for this processor's calls: `architectures` or `archMap` leaves them out")]
    Architecture,
    #[error("action {action} is not known, or needs an agent outside the container")]
    Action { action: String },
    #[error("comparison {op} is not known")]
    Comparison { op: String },
    #[error("flag {flag} is not known, or needs an agent outside the container")]
    Flag { flag: String },
    #[error("call {name} is not known and would not be kept from being made")]
    Call { name: String },
    #[error("it is longer than the kernel takes, 4096 instructions")]
    TooLong,
    #[error("it cannot be compiled: {why}")]
    Compile { why: String },
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Profile {
    default_action: String,
    #[serde(default)]
    default_errno_ret: Option<u16>,
    /// The same by name, for people.
    #[serde(default, rename = "defaultErrno")]
    _default_errno: Option<String>,
    #[serde(default)]
    architectures: Vec<String>,
    #[serde(default)]
    arch_map: Vec<ArchMap>,
    #[serde(default)]
    flags: Vec<String>,
    #[serde(default)]
    syscalls: Vec<Syscall>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct ArchMap {
    architecture: String,
    #[serde(default)]
    sub_architectures: Option<Vec<String>>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Syscall {
    #[serde(default)]
    names: Vec<String>,
    #[serde(default)]
    name: Option<String>,
    action: String,
    #[serde(default)]
    errno_ret: Option<u16>,
    #[serde(default, rename = "errno")]
    _errno: Option<String>,
    #[serde(default)]
    args: Option<Vec<Argument>>,
    #[serde(default)]
    includes: Option<When>,
    #[serde(default)]
    excludes: Option<When>,
    #[serde(default, rename = "comment")]
    _comment: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Argument {
    index: u8,
    value: u64,
    #[serde(default)]
    value_two: u64,
    op: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct When {
    #[serde(default)]
    caps: Vec<String>,
    #[serde(default)]
    arches: Vec<String>,
    #[serde(default)]
    min_kernel: Option<String>,
}

pub(super) fn filter(text: &str, machine: Machine, capabilities: &[String]) -> Result<Filter, ProfileError> {
    let profile: Profile = serde_json::from_str(text)?;
    let native = machine.native.ok_or(ProfileError::Processor)?;
    let sets = profile.sets(native)?;
    let flags = profile.flags.iter().map(|flag| bit(flag)).sum::<Result<u32, _>>()?;
    let rules = sets.into_iter().map(|set| profile.rules(set, machine, capabilities));
    let rules = rules.collect::<Result<Vec<_>, _>>()?;
    Ok(Filter { program: assemble::program(&rules)?, flags })
}

impl Profile {
    /// The sets of calls that it has rules for; those of the processor alone if it names none.
    fn sets(&self, native: Architecture) -> Result<Vec<Architecture>, ProfileError> {
        let mapped = self.arch_map.iter().filter(|map| named(&map.architecture) == Some(native));
        let mapped = mapped
            .flat_map(|map| std::iter::once(&map.architecture).chain(map.sub_architectures.iter().flatten()));
        let mut sets: Vec<Architecture> =
            self.architectures.iter().chain(mapped).filter_map(|name| named(name)).collect();
        if self.architectures.is_empty() && self.arch_map.is_empty() {
            sets.push(native);
        }
        sets.retain(|set| native.family().contains(set));
        sets.sort_unstable();
        sets.dedup();
        if sets.contains(&native) { Ok(sets) } else { Err(ProfileError::Architecture) }
    }

    fn rules(
        &self,
        set: Architecture,
        machine: Machine,
        capabilities: &[String],
    ) -> Result<Rules, ProfileError> {
        let otherwise = action(&self.default_action, self.default_errno_ret)?;
        let known: BTreeMap<&str, table::Call> = table::calls().map(|call| (call.name, call)).collect();
        let mut calls: BTreeMap<u32, Vec<Rule>> = BTreeMap::new();
        for syscall in self.syscalls.iter().filter(|syscall| syscall.applies(set, machine, capabilities)) {
            let action = action(&syscall.action, syscall.errno_ret)?;
            let rules = syscall.conditions()?.into_iter().map(|conditions| Rule { action, conditions });
            let rules: Vec<Rule> = rules.collect();
            for name in syscall.names.iter().chain(&syscall.name) {
                match known.get(name.as_str()) {
                    Some(call) => {
                        if let Some(number) = call.number(set) {
                            calls.entry(number).or_default().extend(rules.iter().cloned());
                        }
                    }
                    // Of another processor or a newer kernel. Not to be allowed by its own rule costs nothing; not
                    // to be denied would.
                    None if action > otherwise => return Err(ProfileError::Call { name: name.clone() }),
                    None => {}
                }
            }
        }
        let unknown = match otherwise {
            Action::Errno(_) | Action::Trap | Action::KillThread | Action::KillProcess => {
                Action::Errno(NOT_IMPLEMENTED)
            }
            Action::Allow | Action::Log | Action::Trace(_) => otherwise,
        };
        Ok(Rules { set, otherwise, beyond: (table::beyond(set), unknown), calls })
    }
}

impl Syscall {
    fn applies(&self, set: Architecture, machine: Machine, capabilities: &[String]) -> bool {
        let plain = |name: &str| name.strip_prefix("CAP_").unwrap_or(name).to_owned();
        let has = |name: &String| capabilities.contains(&plain(name));
        let here = |name: &String| {
            let engines = match set {
                Architecture::X86_64 => "amd64",
                Architecture::X86 => "x86",
                Architecture::Aarch64 => "arm64",
            };
            // What is said of a processor holds for the older calls it also takes.
            name == engines || (set == Architecture::X86 && name == "amd64")
        };
        let recent = |version: &String| {
            let mut numbers = version.split('.').map(|part| part.parse::<u32>().unwrap_or(u32::MAX));
            machine.kernel >= (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0))
        };
        let included = self.includes.as_ref().is_none_or(|when| {
            when.caps.iter().all(has)
                && (when.arches.is_empty() || when.arches.iter().any(here))
                && when.min_kernel.as_ref().is_none_or(recent)
        });
        let excluded = self.excludes.as_ref().is_some_and(|when| {
            when.caps.iter().any(has)
                || when.arches.iter().any(here)
                || when.min_kernel.as_ref().is_some_and(recent)
        });
        included && !excluded
    }

    /// The alternatives under which the rule holds. Two comparisons of the same argument are alternatives, as runc
    /// reads them; else all must hold.
    fn conditions(&self) -> Result<Vec<Vec<SeccompCondition>>, ProfileError> {
        let arguments = self.args.as_deref().unwrap_or_default();
        let conditions = arguments.iter().map(Argument::condition).collect::<Result<Vec<_>, _>>()?;
        let twice = arguments
            .iter()
            .enumerate()
            .any(|(at, argument)| arguments[..at].iter().any(|before| before.index == argument.index));
        Ok(if twice { conditions.into_iter().map(|one| vec![one]).collect() } else { vec![conditions] })
    }
}

impl Argument {
    fn condition(&self) -> Result<SeccompCondition, ProfileError> {
        let (op, value) = match self.op.as_str() {
            "SCMP_CMP_NE" => (SeccompCmpOp::Ne, self.value),
            "SCMP_CMP_LT" => (SeccompCmpOp::Lt, self.value),
            "SCMP_CMP_LE" => (SeccompCmpOp::Le, self.value),
            "SCMP_CMP_EQ" => (SeccompCmpOp::Eq, self.value),
            "SCMP_CMP_GE" => (SeccompCmpOp::Ge, self.value),
            "SCMP_CMP_GT" => (SeccompCmpOp::Gt, self.value),
            "SCMP_CMP_MASKED_EQ" => (SeccompCmpOp::MaskedEq(self.value), self.value_two),
            _ => return Err(ProfileError::Comparison { op: self.op.clone() }),
        };
        Ok(SeccompCondition::new(self.index, SeccompCmpArgLen::Qword, op, value)?)
    }
}

fn action(name: &str, errno: Option<u16>) -> Result<Action, ProfileError> {
    let data = errno.unwrap_or(NOT_PERMITTED);
    match name {
        "SCMP_ACT_ALLOW" => Ok(Action::Allow),
        "SCMP_ACT_LOG" => Ok(Action::Log),
        "SCMP_ACT_TRACE" => Ok(Action::Trace(data)),
        "SCMP_ACT_ERRNO" => Ok(Action::Errno(data)),
        "SCMP_ACT_TRAP" => Ok(Action::Trap),
        "SCMP_ACT_KILL" | "SCMP_ACT_KILL_THREAD" => Ok(Action::KillThread),
        "SCMP_ACT_KILL_PROCESS" => Ok(Action::KillProcess),
        _ => Err(ProfileError::Action { action: name.to_owned() }),
    }
}

fn named(architecture: &str) -> Option<Architecture> {
    match architecture {
        "SCMP_ARCH_X86_64" => Some(Architecture::X86_64),
        "SCMP_ARCH_X86" => Some(Architecture::X86),
        "SCMP_ARCH_AARCH64" => Some(Architecture::Aarch64),
        _ => None,
    }
}

/// `SECCOMP_FILTER_FLAG_*`, <linux/seccomp.h>; there is one thread to load a filter for.
fn bit(flag: &str) -> Result<u32, ProfileError> {
    match flag {
        "SECCOMP_FILTER_FLAG_TSYNC" => Ok(0),
        "SECCOMP_FILTER_FLAG_LOG" => Ok(1 << 1),
        "SECCOMP_FILTER_FLAG_SPEC_ALLOW" => Ok(1 << 2),
        _ => Err(ProfileError::Flag { flag: flag.to_owned() }),
    }
}
