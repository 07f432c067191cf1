//! Which devices a container may use: rules for version 1 of control groups, the same as a program for version 2, and
//! the nodes that a privileged container finds in its `/dev`.

use oci_spec::OciSpecError;
use oci_spec::runtime::{
    LinuxDevice, LinuxDeviceBuilder, LinuxDeviceCgroup, LinuxDeviceCgroupBuilder, LinuxDeviceType,
};

use super::{DeviceKind, DeviceNode};
use crate::model::pod_plan::Privilege;

/// Major and minor number of the character devices that a container may use: null, zero, full, random, urandom, tty,
/// console, ptmx, and every pseudo-terminal.
const DEVICES: &[(u32, Option<u32>)] = &[
    (1, Some(3)),
    (1, Some(5)),
    (1, Some(7)),
    (1, Some(8)),
    (1, Some(9)),
    (5, Some(0)),
    (5, Some(1)),
    (5, Some(2)),
    (136, None),
];

/// Of version 1: what libcontainer allows every container beside its list, a tunnel's control. The rule that takes it
/// back.
pub(crate) const UNASKED: &str = "c 10:200 rwm";

pub(super) fn rules(privilege: Privilege) -> Result<Vec<LinuxDeviceCgroup>, OciSpecError> {
    let all = LinuxDeviceCgroupBuilder::default().typ(LinuxDeviceType::A).access("rwm");
    match privilege {
        Privilege::Privileged => Ok(vec![all.allow(true).build()?]),
        Privilege::NoEscalation | Privilege::Ordinary => {
            let usual = DEVICES.iter().map(|(major, minor)| {
                let device = LinuxDeviceCgroupBuilder::default()
                    .allow(true)
                    .typ(LinuxDeviceType::C)
                    .major(i64::from(*major))
                    .access("rwm");
                match minor {
                    Some(minor) => device.minor(i64::from(*minor)).build(),
                    None => device.build(),
                }
            });
            std::iter::once(all.allow(false).build()).chain(usual).collect()
        }
    }
}

/// As they stand on the machine. libcontainer makes them; the usual ones it makes unasked.
pub(super) fn nodes(found: &[DeviceNode]) -> Result<Vec<LinuxDevice>, OciSpecError> {
    let node = |node: &DeviceNode| {
        LinuxDeviceBuilder::default()
            .path(node.path.clone())
            .typ(match node.kind {
                DeviceKind::Character => LinuxDeviceType::C,
                DeviceKind::Block => LinuxDeviceType::B,
            })
            .major(i64::from(node.major))
            .minor(i64::from(node.minor))
            .file_mode(node.mode)
            .uid(node.uid)
            .gid(node.gid)
            .build()
    };
    found.iter().map(node).collect()
}

/// One eBPF instruction as the kernel reads it on a little-endian machine, <linux/bpf.h>: code, target and source
/// register, offset, operand.
fn instruction(code: u8, target: u8, source: u8, offset: i16, operand: u32) -> u64 {
    let [low, high] = offset.to_le_bytes();
    let [a, b, c, d] = operand.to_le_bytes();
    u64::from_le_bytes([code, source << 4 | target, low, high, a, b, c, d])
}

/// Load a word of what the pointer in the source register points to.
const LOAD: u8 = 0x61;
const AND: u8 = 0x57;
const SET: u8 = 0xb7;
const JUMP_IF_NOT_EQUAL: u8 = 0x55;
const EXIT: u8 = 0x95;

/// `struct bpf_cgroup_dev_ctx`: access and type in one word, major, minor. Character devices are of type 2.
const CHARACTER: u32 = 2;

/// A program of type `BPF_PROG_TYPE_CGROUP_DEVICE` that allows what [`rules`] allow a container that is not privileged:
/// every access to the usual character devices.
pub(crate) fn program() -> Vec<u64> {
    const ANSWER: u8 = 0;
    const CONTEXT: u8 = 1;
    const KIND: u8 = 2;
    const MAJOR: u8 = 3;
    const MINOR: u8 = 4;
    let mut code = vec![
        instruction(LOAD, KIND, CONTEXT, 0, 0),
        instruction(AND, KIND, 0, 0, 0xffff),
        instruction(LOAD, MAJOR, CONTEXT, 4, 0),
        instruction(LOAD, MINOR, CONTEXT, 8, 0),
    ];
    let answer = |allowed| [instruction(SET, ANSWER, 0, 0, allowed), instruction(EXIT, 0, 0, 0, 0)];
    let same = |register, value, else_skip| instruction(JUMP_IF_NOT_EQUAL, register, 0, else_skip, value);
    code.push(same(KIND, CHARACTER, 0));
    let kind = code.len() - 1;
    for (major, minor) in DEVICES {
        match minor {
            Some(minor) => {
                code.extend([same(MAJOR, *major, 3), same(MINOR, *minor, 2)]);
            }
            None => code.push(same(MAJOR, *major, 2)),
        }
        code.extend(answer(1));
    }
    let refuse = i16::try_from(code.len() - kind - 1).expect("a few instructions for each of nine devices");
    code[kind] = same(KIND, CHARACTER, refuse);
    code.extend(answer(0));
    code
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The answer of the program: eBPF as far as it is used here.
    fn run(kind: u32, access: u32, major: u32, minor: u32) -> u64 {
        let context = [access << 16 | kind, major, minor];
        let program = program();
        let (mut at, mut registers) = (0_usize, [0_u64; 10]);
        loop {
            let [code, pair, low, high, a, b, c, d] = program[at].to_le_bytes();
            let (target, offset) = (usize::from(pair & 0xf), i16::from_le_bytes([low, high]));
            let operand = u64::from(u32::from_le_bytes([a, b, c, d]));
            at += 1;
            match code {
                LOAD => registers[target] = u64::from(context[usize::try_from(offset / 4).unwrap()]),
                AND => registers[target] &= operand,
                SET => registers[target] = operand,
                JUMP_IF_NOT_EQUAL if registers[target] != operand => at += usize::try_from(offset).unwrap(),
                JUMP_IF_NOT_EQUAL => {}
                EXIT => return registers[0],
                code => panic!("instruction {code:#x}"),
            }
        }
    }

    #[test]
    fn the_usual_devices_are_allowed_and_no_others() {
        let (block, character, read_write) = (1, 2, 6);
        for (major, minor) in [(1, 3), (1, 9), (5, 2), (136, 0), (136, 77)] {
            assert_eq!(run(character, read_write, major, minor), 1, "{major}:{minor}");
            assert_eq!(run(block, read_write, major, minor), 0, "block {major}:{minor}");
        }
        for (major, minor) in [(1, 1), (1, 11), (5, 3), (10, 237), (8, 0), (135, 0)] {
            assert_eq!(run(character, read_write, major, minor), 0, "{major}:{minor}");
        }
    }
}
