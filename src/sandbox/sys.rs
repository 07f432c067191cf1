//! The fence: every `unsafe` block of droppod is in here, one kernel interface a file, safe functions out.
//! What `rustix` offers safely is called where it is needed and has no file here.

pub(crate) mod birth;
pub(crate) mod bpf;
pub(crate) mod clock;
pub(crate) mod descriptor;
pub(crate) mod execve;
pub(crate) mod identity;
pub(crate) mod keyring;
pub(crate) mod namespace;
pub(crate) mod pidfd;
pub(crate) mod prctl;
pub(crate) mod process;
pub(crate) mod pty;
pub(crate) mod reap;
pub(crate) mod scm;
pub(crate) mod seccomp;
pub(crate) mod signal;
pub(crate) mod writers;
