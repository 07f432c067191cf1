//! Exit codes: what scripts branch on.

use std::process::ExitCode;

/// How a verb ended, apart from what it printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    Done,
    Failed,
    Usage,
    /// `validate`: something could not be read, as `diff` and `grep` say it.
    Trouble,
    /// A pod or Job ended Failed.
    EndedFailed,
    TimedOut,
    /// A manifest is invalid; nothing was changed.
    Invalid,
    /// An image could not be had.
    NoImage,
    /// Another process holds the lock of this instance.
    Locked,
    Interrupted,
    /// What a program that was run for the caller ended with; 128 + signal if a signal ended it.
    Program(u8),
}

impl Exit {
    /// Of a program's code as records and answers hold it; what fits no exit code is a failure.
    pub(crate) fn of_program(code: i32) -> Exit {
        u8::try_from(code).map_or(Exit::Failed, Exit::Program)
    }

    pub(crate) fn code(self) -> u8 {
        match self {
            Exit::Done => 0,
            Exit::Failed => 1,
            Exit::Usage | Exit::Trouble => 2,
            Exit::EndedFailed => 10,
            Exit::TimedOut => 11,
            Exit::Invalid => 12,
            Exit::NoImage => 13,
            Exit::Locked => 14,
            Exit::Interrupted => 130,
            Exit::Program(code) => code,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> ExitCode {
        ExitCode::from(exit.code())
    }
}
