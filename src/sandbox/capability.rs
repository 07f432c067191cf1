//! Which capabilities this process may hand on: those in its permitted set, <linux/capability.h>.

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
    for number in 0..NAMES.len() {
        let one = CapabilitySet::from_bits_retain(1 << number);
        match rustix::thread::capability_is_in_bounding_set(one) {
            Ok(true) => set |= one,
            // A capability newer than the kernel is in no set.
            Ok(false) | Err(Errno::INVAL) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(set)
}

/// Takes capabilities away from what this thread executes.
pub(crate) fn renounce(set: CapabilitySet) -> io::Result<()> {
    Ok(set.iter().try_for_each(rustix::thread::remove_capability_from_bounding_set)?)
}

/// Names, without `CAP_`, of the capabilities in this thread's permitted set.
pub(crate) fn permitted() -> io::Result<Vec<&'static str>> {
    let permitted = rustix::thread::capabilities(None)?.permitted.bits();
    let held = NAMES.iter().enumerate().filter(|(number, _)| permitted & (1 << number) != 0);
    Ok(held.map(|(_, name)| *name).collect())
}
