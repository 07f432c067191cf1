//! Which system calls a container may make, as a program for the kernel: the default profile and the author's own.
//!
//! A filter is decided per call number and per set of calls: a 64-bit process may also make the calls of 32-bit ones,
//! whose numbers mean something else. Numbers fall into few ranges with one answer each, which are searched by halves;
//! `seccompiler` compiles the answers that depend on arguments.

mod answer;
mod assemble;
mod policy;
mod profile;
mod table;
#[cfg(test)]
mod tests;

use seccompiler::sock_filter;
use serde::{Deserialize, Serialize};

pub(crate) use answer::BIRTH_FLAGS;
pub(crate) use profile::ProfileError;

/// A program that `seccomp(2)` loads.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Written", into = "Written")]
pub(crate) struct Filter {
    pub(crate) program: Vec<sock_filter>,
    pub(crate) flags: u32,
}

/// An instruction is a number, as it lies in the memory of a machine with the least byte first.
#[derive(Serialize, Deserialize)]
struct Written {
    program: Vec<u64>,
    flags: u32,
}

impl From<Filter> for Written {
    fn from(filter: Filter) -> Written {
        let number = |one: &sock_filter| {
            u64::from(one.code) | u64::from(one.jt) << 16 | u64::from(one.jf) << 24 | u64::from(one.k) << 32
        };
        Written { program: filter.program.iter().map(number).collect(), flags: filter.flags }
    }
}

impl From<Written> for Filter {
    fn from(written: Written) -> Filter {
        let instruction = |number: &u64| {
            let [a, b, jt, jf, c, d, e, f] = number.to_le_bytes();
            sock_filter { code: u16::from_le_bytes([a, b]), jt, jf, k: u32::from_le_bytes([c, d, e, f]) }
        };
        Filter { program: written.program.iter().map(instruction).collect(), flags: written.flags }
    }
}

/// A set of system calls, by its numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Architecture {
    X86_64,
    X86,
    Aarch64,
}

/// What a filter is made for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Machine {
    /// `None`: no profile is known for this processor.
    pub(crate) native: Option<Architecture>,
    /// Major and minor version.
    pub(crate) kernel: (u32, u32),
}

impl Architecture {
    /// The calls of 64-bit programs on the processor that droppod was built for.
    pub(crate) const NATIVE: Option<Architecture> = if cfg!(target_arch = "x86_64") {
        Some(Architecture::X86_64)
    } else if cfg!(target_arch = "aarch64") {
        Some(Architecture::Aarch64)
    } else {
        None
    };

    /// The sets of calls that a process on such a processor may make.
    fn family(self) -> &'static [Architecture] {
        match self {
            Architecture::X86_64 => &[Architecture::X86_64, Architecture::X86],
            Architecture::X86 => &[Architecture::X86],
            Architecture::Aarch64 => &[Architecture::Aarch64],
        }
    }

    /// As the kernel names it, <linux/audit.h>.
    fn audit(self) -> u32 {
        match self {
            Architecture::X86_64 => 0xc000_003e,
            Architecture::X86 => 0x4000_0003,
            Architecture::Aarch64 => 0xc000_00b7,
        }
    }
}

/// The filter of a container that asks for none, or for `RuntimeDefault`; `capabilities` without `CAP_`.
pub(crate) fn runtime_default(machine: Machine, capabilities: &[String]) -> Result<Filter, ProfileError> {
    let native = machine.native.ok_or(ProfileError::Processor)?;
    let sets: Vec<_> = native.family().iter().map(|set| table::default_rules(*set, capabilities)).collect();
    Ok(Filter { program: assemble::program(&sets)?, flags: 0 })
}

/// The filter of a `Localhost` profile: JSON as the OCI runtime specification or as container engines write it.
pub(crate) fn localhost(
    text: &str,
    machine: Machine,
    capabilities: &[String],
) -> Result<Filter, ProfileError> {
    profile::filter(text, machine, capabilities)
}
