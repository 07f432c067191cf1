//! Why a verb could not do what it was asked: what, why, what to do.

use std::error::Error;
use std::fmt;
use std::io;

use super::exit::Exit;
use super::terminal::Color;

/// SGR, as the parser of arguments and the reports of mistakes have them.
const ERROR: u8 = 31;
const HELP: u8 = 36;

/// Ends a verb.
#[derive(Debug)]
pub(crate) enum Failure {
    /// Everything has been said.
    Quiet(Exit),
    Told(Box<Told>),
}

#[derive(Debug)]
pub(crate) struct Told {
    what: String,
    cause: Option<Box<dyn Error + Send + Sync>>,
    help: Option<String>,
    exit: Exit,
}

impl Failure {
    /// `what` names the operation and the object.
    pub(crate) fn new(exit: Exit, what: impl Into<String>) -> Failure {
        Failure::Told(Box::new(Told { what: what.into(), cause: None, help: None, exit }))
    }

    pub(crate) fn because(mut self, cause: impl Into<Box<dyn Error + Send + Sync>>) -> Failure {
        if let Failure::Told(told) = &mut self {
            told.cause = Some(cause.into());
        }
        self
    }

    /// What the reader can do about it.
    pub(crate) fn help(mut self, help: impl Into<String>) -> Failure {
        if let Failure::Told(told) = &mut self {
            told.help = Some(help.into());
        }
        self
    }

    /// The same as the cause of another.
    pub(crate) fn titled(self, what: &str) -> Failure {
        let Failure::Told(told) = self else { return self };
        let why = match &told.cause {
            Some(cause) => format!("{}: {cause}", told.what),
            None => told.what,
        };
        Failure::Told(Box::new(Told {
            what: what.to_owned(),
            cause: Some(why.into()),
            help: told.help,
            exit: told.exit,
        }))
    }

    /// The same, for a verb whose exit codes mean something else.
    pub(crate) fn ending(self, exit: Exit) -> Failure {
        match self {
            Failure::Quiet(_) => Failure::Quiet(exit),
            Failure::Told(told) => Failure::Told(Box::new(Told { exit, ..*told })),
        }
    }

    /// Of writing data to stdout. A reader that has gone away (`| head`) has what it wanted.
    pub(crate) fn of_output(error: io::Error) -> Failure {
        if error.kind() == io::ErrorKind::BrokenPipe {
            Failure::Quiet(Exit::Done)
        } else {
            Failure::new(Exit::Failed, "cannot write to standard output").because(error)
        }
    }

    /// Somebody who is not root is told so wherever that is what stands in the way and nothing else was said.
    pub(crate) fn with_help_for_the_powerless(self) -> Failure {
        let Failure::Told(told) = &self else { return self };
        if told.help.is_some() || !told.is_denied() || rustix::process::geteuid().is_root() {
            return self;
        }
        self.help(
            "run it as root, for example with sudo; or name directories of your own with --state-dir, --run-dir, \
             --log-dir and --manifests, for what needs no pods to run",
        )
    }

    /// The first line of it.
    pub(crate) fn what(&self) -> &str {
        match self {
            Failure::Quiet(_) => "",
            Failure::Told(told) => &told.what,
        }
    }

    pub(crate) fn exit(&self) -> Exit {
        match self {
            Failure::Quiet(exit) => *exit,
            Failure::Told(told) => told.exit,
        }
    }
}

impl Told {
    fn is_denied(&self) -> bool {
        let mut cause = self.cause.as_deref().map(|cause| cause as &dyn Error);
        while let Some(error) = cause {
            let kind = error.downcast_ref::<io::Error>().map(io::Error::kind);
            if kind == Some(io::ErrorKind::PermissionDenied) {
                return true;
            }
            cause = error.source();
        }
        false
    }
}

impl Failure {
    /// For a person, in lines.
    pub(crate) fn painted(&self, color: Color) -> String {
        let Failure::Told(told) = self else { return String::new() };
        let mut text = format!("{} {}\n", color.paint(ERROR, "error:"), told.what);
        let mut cause = told.cause.as_deref().map(|cause| cause as &dyn Error);
        while let Some(error) = cause {
            text.push_str(&format!("  because: {error}\n"));
            cause = error.source();
        }
        if let Some(help) = &told.help {
            text.push_str(&format!("  {} {help}\n", color.paint(HELP, "help:")));
        }
        text
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.painted(Color::Plain))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_says_what_why_and_what_to_do() {
        let failure = Failure::new(Exit::Failed, "cannot read web.yaml")
            .because(io::Error::other("the disc is gone"))
            .help("look for the disc");
        let text = "error: cannot read web.yaml\n  because: the disc is gone\n  help: look for the disc\n";
        assert_eq!(failure.to_string(), text);
    }

    #[test]
    fn a_reader_that_leaves_early_is_no_failure() {
        let failure = Failure::of_output(io::ErrorKind::BrokenPipe.into());
        assert_eq!((failure.exit(), failure.to_string()), (Exit::Done, String::new()));
    }
}
