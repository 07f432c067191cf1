//! `doctor`: what this kernel and machine offer, what is missing and what that costs.

use std::collections::BTreeSet;
use std::io::{self, Write, stdout};

use crate::model::id::Uid;
use crate::paths::Places;
use crate::rundir::{lock, pods};
use crate::sandbox::census::{self, Kind};

use super::exit::Exit;
use super::failure::Failure;
use super::records::Records;
use super::settings::Settings;
use super::terminal::{self, Color, wrapped};

mod checks;

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  droppod doctor
  droppod doctor --census

Exits 1 if something is missing that no pod can run without, or if the census finds anything.")]
pub(crate) struct DoctorArgs {
    /// List what belongs to no living pod: processes, mounts, interfaces, cgroups, addresses, files
    #[arg(long)]
    census: bool,
}

/// One fact about this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Check {
    subject: &'static str,
    verdict: Verdict,
    /// What was found.
    detail: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Verdict {
    Ok,
    /// Pods run without, at this cost.
    Lacks(&'static str),
    /// No pod runs without, for this reason.
    Stops(&'static str),
}

pub(crate) fn run(args: &DoctorArgs, settings: &Settings) -> Result<Exit, Failure> {
    if args.census {
        return census(&settings.places);
    }
    let checks = checks::all(&settings.places);
    let width = terminal::stdout_width().unwrap_or(usize::MAX);
    print(&mut stdout().lock(), &checks, settings.color.for_stdout(), width).map_err(Failure::of_output)?;
    let stopped = checks.iter().any(|check| matches!(check.verdict, Verdict::Stops(_)));
    Ok(if stopped { Exit::Failed } else { Exit::Done })
}

/// Asks once, before anything is made, for what no pod runs without.
pub(crate) fn must_be_able() -> Result<(), Failure> {
    refusal(&checks::indispensable()).map_or(Ok(()), Err)
}

fn refusal(checks: &[Check]) -> Option<Failure> {
    let lacking = checks.iter().find_map(|check| match check.verdict {
        Verdict::Stops(why) => Some((check.subject, why)),
        Verdict::Ok | Verdict::Lacks(_) => None,
    });
    let (subject, why) = lacking?;
    let failure = Failure::new(Exit::Failed, "pods cannot run here");
    Some(match subject {
        checks::SYS_ADMIN_NAME => failure
            .because(format!("{subject} is missing: {why}"))
            .help("for example with sudo; `droppod validate` needs no root"),
        _ => failure
            .because(format!("{subject}: {why}"))
            .help("`droppod doctor` lists everything that this kernel and machine lack"),
    })
}

/// Columns before what was found.
const MARGIN: usize = 28;

fn print(out: &mut dyn Write, checks: &[Check], color: Color, width: usize) -> io::Result<()> {
    const GREEN: u8 = 32;
    const YELLOW: u8 = 33;
    const RED: u8 = 31;
    let room = width.saturating_sub(MARGIN).max(MARGIN);
    for Check { subject, verdict, detail } in checks {
        let (word, cost) = match verdict {
            Verdict::Ok => (color.paint(GREEN, "ok     "), None),
            Verdict::Lacks(cost) => (color.paint(YELLOW, "missing"), Some(cost)),
            Verdict::Stops(cost) => (color.paint(RED, "missing"), Some(cost)),
        };
        let mut head = format!("{word}  {subject:<18} ");
        for line in wrapped(detail, room).into_iter().chain(cost.iter().flat_map(|cost| wrapped(cost, room)))
        {
            writeln!(out, "{}", format!("{head}{line}").trim_end())?;
            head = " ".repeat(MARGIN);
        }
    }
    Ok(())
}

fn census(places: &Places) -> Result<Exit, Failure> {
    let failed =
        |error| Failure::new(Exit::Failed, "cannot take the census").because(error).help("run it as root");
    let counted = census::census(places).map_err(failed)?;
    let living = living(places).map_err(failed)?;
    let known: BTreeSet<Uid> = Records::load(places)?.shown.iter().map(|shown| shown.uid().clone()).collect();
    let mut out = stdout().lock();
    let mut exit = Exit::Done;
    for found in counted.ownerless(&living) {
        // A pod that waits or has ended keeps its directories for as long as its object is there.
        let kept = match found.kind {
            Kind::PodDirectory | Kind::Scratch => found.pod.as_ref().is_some_and(|pod| known.contains(pod)),
            Kind::Process
            | Kind::Cgroup
            | Kind::Mount
            | Kind::Interface
            | Kind::Table
            | Kind::Pin
            | Kind::HostPort
            | Kind::Lease => false,
        };
        if !kept {
            writeln!(out, "{found}").map_err(Failure::of_output)?;
            exit = Exit::Failed;
        }
    }
    Ok(exit)
}

/// Pods whose process holds its lock.
fn living(places: &Places) -> io::Result<BTreeSet<Uid>> {
    let mut living = BTreeSet::new();
    for uid in pods::list(places)? {
        if lock::is_held(&places.pod(&uid).lock())? {
            living.insert(uid);
        }
    }
    Ok(living)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_end_where_the_terminal_does() {
        let detail = "words that go on and on, beyond what is left of a line".to_owned();
        let check = Check { subject: "overlayfs", verdict: Verdict::Lacks("it costs something"), detail };
        let mut out = Vec::new();
        print(&mut out, &[check], Color::Plain, 60).unwrap();
        let expected = "\
missing  overlayfs          words that go on and on, beyond
                            what is left of a line
                            it costs something
";
        assert_eq!(String::from_utf8(out).unwrap(), expected);
    }

    #[test]
    fn a_kernel_that_is_too_old_is_told_by_what_it_lacks() {
        let verdict = Verdict::Stops("images cannot be unpacked safely (Linux 5.6)");
        let old = Check { subject: "openat2", verdict, detail: String::new() };
        let told = refusal(&[old]).map(|failure| failure.to_string());
        let expected = "error: pods cannot run here\n  because: openat2: images cannot be unpacked safely (Linux 5.6)\n  \
                        help: `droppod doctor` lists everything that this kernel and machine lack\n";
        assert_eq!(told.as_deref(), Some(expected));
    }
}
