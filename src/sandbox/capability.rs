//! Which capabilities this process may hand on: those in its permitted set, <linux/capability.h>. A kernel may know more of
//! them than have names here: these go to nobody.

use std::io;

use rustix::io::Errno;
use rustix::thread::CapabilitySet;

/// Names without `CAP_`, at the index that is their number.
const NAMES: &[&str] = &[
    "CHOWN",
    "DAC_OVERRIDE",
    "DAC_READ_SEARCH",
    "FOWNER",
    "FSETID",
    "KILL",
    "SETGID",
    "SETUID",
    "SETPCAP",
    "LINUX_IMMUTABLE",
    "NET_BIND_SERVICE",
    "NET_BROADCAST",
    "NET_ADMIN",
    "NET_RAW",
    "IPC_LOCK",
    "IPC_OWNER",
    "SYS_MODULE",
    "SYS_RAWIO",
    "SYS_CHROOT",
    "SYS_PTRACE",
    "SYS_PACCT",
    "SYS_ADMIN",
    "SYS_BOOT",
    "SYS_NICE",
    "SYS_RESOURCE",
    "SYS_TIME",
    "SYS_TTY_CONFIG",
    "MKNOD",
    "LEASE",
    "AUDIT_WRITE",
    "AUDIT_CONTROL",
    "SETFCAP",
    "MAC_OVERRIDE",
    "MAC_ADMIN",
    "SYSLOG",
    "WAKE_ALARM",
    "BLOCK_SUSPEND",
    "AUDIT_READ",
    "PERFMON",
    "BPF",
    "CHECKPOINT_RESTORE",
];

/// The set of these names, without `CAP_`; an unknown one is not in it.
pub(crate) fn set<'a>(names: impl IntoIterator<Item = &'a str>) -> CapabilitySet {
    let number = |name: &str| NAMES.iter().position(|known| *known == name);
    let bits = names.into_iter().filter_map(number).fold(0, |bits, number| bits | 1 << number);
    CapabilitySet::from_bits_retain(bits)
}

/// What this thread and all that it executes can ever have.
pub(crate) fn bounding() -> io::Result<CapabilitySet> {
    let mut set = CapabilitySet::empty();
    for one in each(CapabilitySet::from_bits_retain(u64::MAX)) {
        match rustix::thread::capability_is_in_bounding_set(one) {
            Ok(true) => set |= one,
            Ok(false) => {}
            // The kernel knows no further one.
            Err(Errno::INVAL) => break,
            Err(error) => return Err(error.into()),
        }
    }
    Ok(set)
}

/// Takes capabilities away from what this thread executes.
pub(crate) fn renounce(set: CapabilitySet) -> io::Result<()> {
    Ok(each(set).try_for_each(rustix::thread::remove_capability_from_bounding_set)?)
}

/// The same with those that have no name here. libcontainer knows none of them, and would leave each container all.
pub(crate) fn renounce_nameless() -> io::Result<()> {
    renounce(bounding()? - set(NAMES.iter().copied()))
}

/// One by one, with or without a name.
fn each(set: CapabilitySet) -> impl Iterator<Item = CapabilitySet> {
    let all = (0..u64::BITS).map(|number| CapabilitySet::from_bits_retain(1 << number));
    all.filter(move |one| set.contains(*one))
}

/// All that this thread is permitted.
fn permitted_set() -> io::Result<CapabilitySet> {
    Ok(rustix::thread::capabilities(None)?.permitted)
}

/// Names, without `CAP_`, of the capabilities in this thread's permitted set.
pub(crate) fn permitted() -> io::Result<Vec<&'static str>> {
    let permitted = permitted_set()?.bits();
    let held = NAMES.iter().enumerate().filter(|(number, _)| permitted & (1 << number) != 0);
    Ok(held.map(|(_, name)| *name).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the kernel says of this thread's bounding set.
    fn told() -> u64 {
        let status = std::fs::read_to_string("/proc/thread-self/status").unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("CapBnd:")).unwrap();
        u64::from_str_radix(line.trim(), 16).unwrap()
    }

    #[test]
    fn each_capability_that_the_kernel_knows_is_counted_and_can_be_renounced() {
        assert_eq!(bounding().unwrap().bits(), told());
        if !rustix::process::geteuid().is_root() {
            println!("skipped: needs root");
            return;
        }
        renounce_nameless().unwrap();
        assert_eq!(told() >> NAMES.len(), 0);
        // Each thread has a set of its own.
        renounce(bounding().unwrap()).unwrap();
        assert_eq!(told(), 0);
        assert_eq!(bounding().unwrap(), CapabilitySet::empty());
    }
}
