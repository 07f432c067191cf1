//! Rules → classic BPF. Ranges of numbers with one answer are leaves of a tree of comparisons; what depends on
//! arguments is compiled by `seccompiler` and put in as a leaf.

use std::collections::BTreeMap;

use seccompiler::{
    BackendError, BpfProgram, SeccompAction, SeccompCondition, SeccompFilter, SeccompRule, TargetArch,
    sock_filter,
};

use super::policy::{Action, NOT_IMPLEMENTED, Rule, Rules};
use super::{Architecture, ProfileError};

/// Offsets in `struct seccomp_data`.
const NUMBER: u32 = 0;
const ARCHITECTURE: u32 = 4;

/// <linux/bpf_common.h>: load a word, jump, jump if equal, jump if not below, return.
const LOAD: u16 = 0x20;
const JUMP: u16 = 0x05;
const JUMP_IF_EQUAL: u16 = 0x15;
const JUMP_IF_NOT_BELOW: u16 = 0x35;
const RETURN: u16 = 0x06;

/// The kernel takes no longer program.
const LONGEST: usize = 4096;

/// Calls of the x32 ABI, made with this bit on top of x86_64: few kernels have them, no program needs them.
const X32: u32 = 0x4000_0000;

/// What `seccompiler` puts before every filter: load the architecture, compare, kill.
const PREAMBLE: usize = 3;

/// Stands for "no rule of this action applies" until it is known what comes then.
const OPEN: u16 = 0xd06;

/// A call of a set that no rules are given for kills the process.
pub(super) fn program(sets: &[Rules]) -> Result<Vec<sock_filter>, ProfileError> {
    let mut program = vec![statement(LOAD, ARCHITECTURE)];
    for rules in sets {
        let mut part = vec![statement(LOAD, NUMBER)];
        part.extend(tree(&segments(rules)?));
        program.push(jump(JUMP_IF_EQUAL, rules.set.audit(), 1, 0));
        program.push(statement(JUMP, length(&part)));
        program.append(&mut part);
    }
    program.push(answer(Action::KillProcess));
    if program.len() > LONGEST {
        return Err(ProfileError::TooLong);
    }
    Ok(program)
}

/// Ranges of call numbers by their first one, each up to the next, and the code that answers them.
type Segments = BTreeMap<u32, Vec<sock_filter>>;

fn segments(rules: &Rules) -> Result<Segments, ProfileError> {
    let (beyond, unknown) = rules.beyond;
    let mut segments = Segments::from([(0, vec![answer(rules.otherwise)])]);
    for (number, chain) in rules.calls.range(..beyond) {
        segments.insert(*number, leaf(*number, chain, rules.otherwise)?);
        if !rules.calls.contains_key(&(number + 1)) {
            segments.insert(number + 1, vec![answer(rules.otherwise)]);
        }
    }
    segments.insert(beyond, vec![answer(unknown)]);
    if rules.set == Architecture::X86_64 {
        segments.insert(X32, vec![answer(Action::Errno(NOT_IMPLEMENTED))]);
    }
    // Neighbours with the same answer are one range.
    let mut last: Option<Vec<sock_filter>> = None;
    segments.retain(|_, code| {
        let differs = last.as_ref() != Some(code);
        last = Some(code.clone());
        differs
    });
    Ok(segments)
}

/// Halves what is left with each comparison.
fn tree(segments: &Segments) -> Vec<sock_filter> {
    fn half(segments: &[(&u32, &Vec<sock_filter>)]) -> Vec<sock_filter> {
        let (first, rest) = match segments {
            [] => return Vec::new(),
            [(_, code)] => return (*code).clone(),
            _ => segments.split_at(segments.len() / 2),
        };
        let (mut below, mut above) = (half(first), half(rest));
        let from = *rest[0].0;
        // A conditional jump reaches 255 instructions, an unconditional one any.
        let mut code = match u8::try_from(below.len()) {
            Ok(near) => vec![jump(JUMP_IF_NOT_BELOW, from, near, 0)],
            Err(_far) => vec![jump(JUMP_IF_NOT_BELOW, from, 0, 1), statement(JUMP, length(&below))],
        };
        code.append(&mut below);
        code.append(&mut above);
        code
    }
    half(&segments.iter().collect::<Vec<_>>())
}

/// The answer to one call: the rules of the strictest action first, then of the next, then what is answered otherwise.
fn leaf(number: u32, chain: &[Rule], otherwise: Action) -> Result<Vec<sock_filter>, ProfileError> {
    let mut actions: Vec<Action> = chain.iter().map(|rule| rule.action).collect();
    actions.sort_unstable();
    actions.dedup();
    let mut code = Vec::new();
    for action in actions.into_iter().rev() {
        let of_action = chain.iter().filter(|rule| rule.action == action);
        let conditions: Vec<Vec<SeccompCondition>> = of_action.map(|rule| rule.conditions.clone()).collect();
        if conditions.iter().any(Vec::is_empty) {
            code.push(answer(action));
            return Ok(code);
        }
        code.append(&mut conditional(number, conditions, action)?);
    }
    code.push(answer(otherwise));
    Ok(code)
}

/// Returns `action` if all conditions of one rule hold, and else goes on behind this code.
fn conditional(
    number: u32,
    rules: Vec<Vec<SeccompCondition>>,
    action: Action,
) -> Result<Vec<sock_filter>, ProfileError> {
    let rules = rules.into_iter().map(SeccompRule::new).collect::<Result<Vec<_>, _>>()?;
    // The compiler writes its own architecture into the preamble, which is cut off.
    let calls = BTreeMap::from([(i64::from(number), rules)]);
    let (open, hit) = (SeccompAction::Trace(u32::from(OPEN)), Action::Allow.value());
    let filter = SeccompFilter::new(calls, open.clone(), SeccompAction::Allow, TargetArch::x86_64)?;
    let mut code: BpfProgram = BpfProgram::try_from(filter)?;
    code.drain(..PREAMBLE);
    let end = code.len();
    for (at, instruction) in code.iter_mut().enumerate() {
        if *instruction == statement(RETURN, hit) {
            *instruction = answer(action);
        } else if *instruction == statement(RETURN, u32::from(open.clone())) {
            *instruction = statement(JUMP, u32::try_from(end - at - 1).map_err(|_| ProfileError::TooLong)?);
        }
    }
    Ok(code)
}

impl From<BackendError> for ProfileError {
    fn from(error: BackendError) -> ProfileError {
        ProfileError::Compile { why: error.to_string() }
    }
}

fn answer(action: Action) -> sock_filter {
    statement(RETURN, action.value())
}

fn statement(code: u16, k: u32) -> sock_filter {
    jump(code, k, 0, 0)
}

fn jump(code: u16, k: u32, jt: u8, jf: u8) -> sock_filter {
    sock_filter { code, jt, jf, k }
}

/// What is longer than a jump can count is refused as a whole afterwards.
fn length(code: &[sock_filter]) -> u32 {
    u32::try_from(code.len()).unwrap_or(u32::MAX)
}
