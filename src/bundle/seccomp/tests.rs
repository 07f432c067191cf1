//! Filters are run as the kernel would run them.

use super::table::calls;
use super::*;

const ALLOW: u32 = 0x7fff_0000;
const EPERM: u32 = 0x0005_0001;
const ENOSYS: u32 = 0x0005_0026;
const KILL_PROCESS: u32 = 0x8000_0000;

const X86_64: Machine = Machine { native: Some(Architecture::X86_64), kernel: (6, 1) };
const AARCH64: Machine = Machine { native: Some(Architecture::Aarch64), kernel: (6, 1) };

/// What the program answers to a call: classic BPF over `struct seccomp_data`.
fn run(filter: &Filter, arch: u32, number: u32, arguments: &[u64]) -> u32 {
    filter.answer(arch, number, arguments).unwrap()
}

fn number(name: &str, set: Architecture) -> u32 {
    calls().find(|call| call.name == name).and_then(|call| call.number(set)).unwrap()
}

fn answer(filter: &Filter, set: Architecture, name: &str, arguments: &[u64]) -> u32 {
    run(filter, set.audit(), number(name, set), arguments)
}

fn default(capabilities: &[&str]) -> Filter {
    let capabilities: Vec<String> = capabilities.iter().map(|name| (*name).to_owned()).collect();
    runtime_default(X86_64, &capabilities).unwrap()
}

#[test]
fn the_table_has_each_call_once_in_order_and_only_rules_that_are_known() {
    let all: Vec<_> = calls().collect();
    assert!(all.len() > 450);
    assert!(all.is_sorted_by(|one, other| one.name < other.name), "sorted by name");
    for set in [Architecture::X86_64, Architecture::X86, Architecture::Aarch64] {
        let mut numbers: Vec<_> = all.iter().filter_map(|call| call.number(set)).collect();
        let count = numbers.len();
        numbers.sort_unstable();
        numbers.dedup();
        assert_eq!(numbers.len(), count, "{set:?} has a number twice");
    }
    let words = ["allow", "deny", "plain", "families", "old-socket", "no-namespaces", "old-clone"];
    let capability = |name: &str| name.parse::<oci_spec::runtime::Capability>().is_ok();
    for call in all {
        assert!(words.contains(&call.rule) || call.rule.split('|').all(capability), "{call:?}");
    }
}

#[test]
fn the_table_agrees_with_the_c_library() {
    let set = Architecture::NATIVE.unwrap();
    for (name, expected) in [
        ("read", libc::SYS_read),
        ("socket", libc::SYS_socket),
        ("clone", libc::SYS_clone),
        ("clone3", libc::SYS_clone3),
        ("mount", libc::SYS_mount),
        ("bpf", libc::SYS_bpf),
        ("keyctl", libc::SYS_keyctl),
        ("io_uring_setup", libc::SYS_io_uring_setup),
        ("userfaultfd", libc::SYS_userfaultfd),
        ("personality", libc::SYS_personality),
        ("openat2", libc::SYS_openat2),
        ("statx", libc::SYS_statx),
        ("finit_module", libc::SYS_finit_module),
    ] {
        assert_eq!(i64::from(number(name, set)), expected, "{name}");
    }
}

#[test]
fn by_default_calls_are_allowed_by_name_and_others_are_not_permitted() {
    let filter = default(&[]);
    for set in [Architecture::X86_64, Architecture::X86] {
        for name in ["read", "execve", "openat2", "futex", "exit_group", "ptrace", "statx"] {
            assert_eq!(answer(&filter, set, name, &[]), ALLOW, "{set:?} {name}");
        }
        for name in
            ["mount", "bpf", "keyctl", "io_uring_setup", "userfaultfd", "kexec_load", "unshare", "setns"]
        {
            assert_eq!(answer(&filter, set, name, &[]), EPERM, "{set:?} {name}");
        }
    }
}

#[test]
fn every_call_of_the_table_gets_the_answer_of_its_line() {
    for (machine, sets) in [
        (X86_64, [Architecture::X86_64, Architecture::X86].as_slice()),
        (AARCH64, [Architecture::Aarch64].as_slice()),
    ] {
        let filter = runtime_default(machine, &["SYS_CHROOT".to_owned()]).unwrap();
        for set in sets {
            for call in calls() {
                let Some(number) = call.number(*set) else { continue };
                let expected = match call.rule {
                    "allow" | "SYS_CHROOT" | "plain" | "families" | "old-socket" | "no-namespaces" => ALLOW,
                    "old-clone" => ENOSYS,
                    _ => EPERM,
                };
                assert_eq!(run(&filter, set.audit(), number, &[0]), expected, "{set:?} {call:?}");
            }
        }
    }
}

#[test]
fn a_capability_brings_the_calls_that_need_it() {
    let filter = default(&["SYS_ADMIN"]);
    let native = Architecture::X86_64;
    assert_eq!(answer(&filter, native, "mount", &[]), ALLOW);
    assert_eq!(answer(&filter, native, "bpf", &[]), ALLOW);
    assert_eq!(answer(&filter, native, "clone", &[0x1000_0000]), ALLOW);
    assert_eq!(answer(&filter, native, "clone3", &[]), ALLOW);
    assert_eq!(answer(&filter, native, "reboot", &[]), EPERM);
    assert_eq!(answer(&default(&["BPF"]), native, "bpf", &[]), ALLOW);
    assert_eq!(answer(&default(&["BPF"]), native, "mount", &[]), EPERM);
}

#[test]
fn arguments_decide_where_they_can() {
    let filter = default(&[]);
    for set in [Architecture::X86_64, Architecture::X86] {
        for namespace in
            [0x0002_0000, 0x0200_0000, 0x0400_0000, 0x0800_0000, 0x1000_0000, 0x2000_0000, 0x4000_0000]
        {
            assert_eq!(answer(&filter, set, "clone", &[namespace | 17]), EPERM, "{namespace:#x}");
        }
        assert_eq!(answer(&filter, set, "clone", &[0x003d_0f00]), ALLOW, "a thread");
        assert_eq!(answer(&filter, set, "clone3", &[]), ENOSYS);
        assert_eq!(answer(&filter, set, "socket", &[2]), ALLOW);
        for family in [38, 40] {
            assert_eq!(answer(&filter, set, "socket", &[family]), EPERM);
            // The kernel looks at the lower half alone.
            assert_eq!(answer(&filter, set, "socket", &[0x1_0000_0000 | family]), EPERM);
        }
        assert_eq!(answer(&filter, set, "personality", &[0xffff_ffff]), ALLOW);
        assert_eq!(answer(&filter, set, "personality", &[0x0004_0000]), EPERM, "ADDR_NO_RANDOMIZE");
    }
}

#[test]
fn no_socket_is_made_by_the_call_whose_family_no_filter_sees() {
    let filter = default(&["SYS_ADMIN", "NET_ADMIN"]);
    let old = Architecture::X86;
    assert_eq!(answer(&filter, old, "socketcall", &[1]), ENOSYS);
    assert_eq!(answer(&filter, old, "socketcall", &[0x1_0000_0001]), ENOSYS);
    for (call, what) in [(2, "bind"), (3, "connect"), (8, "socketpair"), (17, "recvmsg")] {
        assert_eq!(answer(&filter, old, "socketcall", &[call]), ALLOW, "{what}");
    }
}

#[test]
fn calls_newer_than_the_table_and_those_of_x32_are_not_implemented() {
    let filter = default(&["SYS_ADMIN"]);
    let native = Architecture::X86_64;
    let last = calls().filter_map(|call| call.number(native)).max().unwrap();
    assert_eq!(run(&filter, native.audit(), last + 1, &[]), ENOSYS);
    assert_eq!(run(&filter, Architecture::X86.audit(), 9999, &[]), ENOSYS);
    for number in [0, 59, 511, 0x3fff_ffff] {
        assert_eq!(run(&filter, native.audit(), 0x4000_0000 | number, &[]), ENOSYS);
    }
    let everything = localhost(r#"{"defaultAction": "SCMP_ACT_ALLOW"}"#, X86_64, &[]).unwrap();
    assert_eq!(run(&everything, native.audit(), 0x4000_0000, &[]), ENOSYS);
}

#[test]
fn calls_of_a_processor_that_is_not_meant_kill() {
    assert_eq!(run(&default(&[]), Architecture::Aarch64.audit(), 0, &[]), KILL_PROCESS);
    let arm = runtime_default(AARCH64, &[]).unwrap();
    assert_eq!(run(&arm, Architecture::X86_64.audit(), 0, &[]), KILL_PROCESS);
    assert_eq!(run(&arm, Architecture::Aarch64.audit(), number("read", Architecture::Aarch64), &[]), ALLOW);
}

#[test]
fn a_default_filter_is_short() {
    let length = default(&[]).program.len();
    assert!(length < 1000, "{length}");
}

const OWN: &str = r#"{
    "defaultAction": "SCMP_ACT_ERRNO", "defaultErrnoRet": 38,
    "architectures": ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86"],
    "syscalls": [
        {"names": ["read", "write", "s390_pci_mmio_read"], "action": "SCMP_ACT_ALLOW"},
        {"names": ["mkdir"], "action": "SCMP_ACT_ERRNO", "errnoRet": 13},
        {"names": ["chmod"], "action": "SCMP_ACT_KILL"},
        {"names": ["chmod"], "action": "SCMP_ACT_ALLOW"},
        {"names": ["kill"], "action": "SCMP_ACT_ALLOW", "args": [
            {"index": 0, "value": 1, "op": "SCMP_CMP_NE"}, {"index": 1, "value": 15, "op": "SCMP_CMP_LE"}]},
        {"names": ["fcntl"], "action": "SCMP_ACT_ALLOW", "args": [
            {"index": 1, "value": 1, "op": "SCMP_CMP_EQ"}, {"index": 1, "value": 2, "op": "SCMP_CMP_EQ"}]},
        {"names": ["clone"], "action": "SCMP_ACT_LOG", "args": [
            {"index": 0, "value": 2114060288, "valueTwo": 0, "op": "SCMP_CMP_MASKED_EQ"}]},
        {"names": ["clone"], "action": "SCMP_ACT_TRAP", "args": [
            {"index": 0, "value": 268435456, "op": "SCMP_CMP_GE"}]}
    ]}"#;

#[test]
fn a_profile_of_ones_own_does_what_it_says() {
    let filter = localhost(OWN, X86_64, &[]).unwrap();
    for set in [Architecture::X86_64, Architecture::X86] {
        let answer = |name, arguments: &[u64]| answer(&filter, set, name, arguments);
        assert_eq!(answer("read", &[]), ALLOW);
        assert_eq!(answer("open", &[]), ENOSYS);
        assert_eq!(answer("mkdir", &[]), 0x0005_000d);
        assert_eq!(answer("chmod", &[]), 0, "of two rules the stricter counts");
        assert_eq!(answer("kill", &[2, 9]), ALLOW);
        assert_eq!(answer("kill", &[1, 9]), ENOSYS);
        assert_eq!(answer("kill", &[2, 16]), ENOSYS);
        assert_eq!(answer("fcntl", &[0, 2]), ALLOW);
        assert_eq!(answer("fcntl", &[0, 3]), ENOSYS);
        assert_eq!(answer("clone", &[17]), 0x7ffc_0000);
        assert_eq!(answer("clone", &[0x1000_0000]), 0x0003_0000);
    }
}

#[test]
fn a_profile_of_container_engines_is_read_with_its_conditions() {
    let text = r#"{
        "defaultAction": "SCMP_ACT_ERRNO",
        "archMap": [{"architecture": "SCMP_ARCH_X86_64", "subArchitectures": ["SCMP_ARCH_X86", "SCMP_ARCH_X32"]}],
        "syscalls": [
            {"names": ["mount"], "action": "SCMP_ACT_ALLOW", "includes": {"caps": ["CAP_SYS_ADMIN"]}},
            {"names": ["clone"], "action": "SCMP_ACT_ALLOW", "excludes": {"caps": ["CAP_SYS_ADMIN"]}},
            {"names": ["ptrace"], "action": "SCMP_ACT_ALLOW", "includes": {"minKernel": "4.8"}},
            {"names": ["bpf"], "action": "SCMP_ACT_ALLOW", "includes": {"minKernel": "99.1"}},
            {"names": ["arch_prctl"], "action": "SCMP_ACT_ALLOW", "includes": {"arches": ["amd64"]}, "comment": "-"},
            {"names": ["sync"], "action": "SCMP_ACT_ALLOW", "includes": {"arches": ["arm64"]}}
        ]}"#;
    let plain = localhost(text, X86_64, &[]).unwrap();
    let admin = localhost(text, X86_64, &["SYS_ADMIN".to_owned()]).unwrap();
    let native = Architecture::X86_64;
    assert_eq!((answer(&plain, native, "mount", &[]), answer(&admin, native, "mount", &[])), (EPERM, ALLOW));
    assert_eq!((answer(&plain, native, "clone", &[]), answer(&admin, native, "clone", &[])), (ALLOW, EPERM));
    assert_eq!((answer(&plain, native, "ptrace", &[]), answer(&plain, native, "bpf", &[])), (ALLOW, EPERM));
    assert_eq!(
        (answer(&plain, native, "arch_prctl", &[]), answer(&plain, native, "sync", &[])),
        (ALLOW, EPERM)
    );
}

#[test]
fn calls_of_a_set_that_a_profile_does_not_name_kill() {
    let text = r#"{"defaultAction": "SCMP_ACT_ALLOW", "architectures": ["SCMP_ARCH_X86_64"]}"#;
    let filter = localhost(text, X86_64, &[]).unwrap();
    assert_eq!(answer(&filter, Architecture::X86_64, "mount", &[]), ALLOW);
    assert_eq!(answer(&filter, Architecture::X86, "mount", &[]), KILL_PROCESS);
}

#[test]
fn a_profile_that_cannot_be_kept_is_refused_and_says_why() {
    let refused = |text: &str| localhost(text, X86_64, &[]).unwrap_err().to_string();
    let rule = |rule: &str| format!(r#"{{"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{rule}]}}"#);
    assert_eq!(refused("{"), "cannot read it as a seccomp profile");
    assert_eq!(refused(r#"{"defaultAction": "SCMP_ACT_ALLOW", "listenerPath": "/x"}"#), refused("{"));
    assert_eq!(
        refused(r#"{"defaultAction": "SCMP_ACT_NOTIFY"}"#),
        "action SCMP_ACT_NOTIFY is not known, or needs an agent outside the container"
    );
    assert_eq!(
        refused(&rule(r#"{"names": ["mountt"], "action": "SCMP_ACT_ERRNO"}"#)),
        "call mountt is not known and would not be kept from being made"
    );
    let argument = r#"{"index": 0, "value": 1, "op": "SCMP_CMP_ABOUT"}"#;
    assert_eq!(
        refused(&rule(&format!(
            r#"{{"names": ["kill"], "action": "SCMP_ACT_ERRNO", "args": [{argument}]}}"#
        ))),
        "comparison SCMP_CMP_ABOUT is not known"
    );
    assert_eq!(
        refused(r#"{"defaultAction": "SCMP_ACT_ALLOW", "architectures": ["SCMP_ARCH_AARCH64"]}"#),
        "it has no rules for this processor's calls: `architectures` or `archMap` leaves them out"
    );
}

#[test]
fn what_a_filter_forbids_of_a_birth_is_told_by_name() {
    let Some(native) = Architecture::NATIVE else { return };
    let machine = Machine { native: Some(native), kernel: (6, 1) };
    let keeps = |text: &str| localhost(text, machine, &[]).unwrap().keeps_from_birth();
    assert_eq!(runtime_default(machine, &[]).unwrap().keeps_from_birth(), [] as [&str; 0]);
    assert_eq!(keeps(r#"{"defaultAction": "SCMP_ACT_LOG"}"#), [] as [&str; 0]);
    let all = ["capset", "clone", "exit_group", "prctl", "setsid", "ioctl", "write"];
    assert_eq!(keeps(r#"{"defaultAction": "SCMP_ACT_ERRNO"}"#), all);
    let some = r#"{"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [
        {"names": ["setsid"], "action": "SCMP_ACT_KILL"},
        {"names": ["clone"], "action": "SCMP_ACT_ERRNO", "args": [
            {"index": 0, "value": 268435456, "valueTwo": 268435456, "op": "SCMP_CMP_MASKED_EQ"}]},
        {"names": ["prctl"], "action": "SCMP_ACT_ERRNO", "args": [{"index": 0, "value": 1, "op": "SCMP_CMP_EQ"}]}]}"#;
    assert_eq!(keeps(some), ["prctl", "setsid"]);
}

#[test]
fn a_filter_that_is_written_and_read_is_the_same() {
    let filter = default(&["SYS_ADMIN"]);
    let text = serde_json::to_string(&filter).unwrap();
    assert_eq!(serde_json::from_str::<Filter>(&text).unwrap(), filter);
}
