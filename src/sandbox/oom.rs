//! Whom the kernel's OOM killer is to take first (`proc_pid_oom_score_adj(5)`).

use std::io;

use super::failure::cannot;

const OWN: &str = "/proc/thread-self/oom_score_adj";

/// Of a watcher and of a pod process: what they look after is worth nothing without them.
pub(crate) const OF_WATCHER: i32 = -999;
pub(crate) const OF_POD_PROCESS: i32 = -998;

/// Sets this process's own score. Below what it was given needs `CAP_SYS_RESOURCE`.
pub(crate) fn set_own(score: i32) -> io::Result<()> {
    std::fs::write(OWN, score.to_string())
        .map_err(|error| cannot(format!("set oom_score_adj to {score}"), error))
}

/// Runs `start` with another score, which the processes that it starts have from their first moment and cannot go
/// back below. Tells why, if they have this process's own instead.
pub(crate) fn lend<T>(score: i32, start: impl FnOnce() -> T) -> (T, io::Result<()>) {
    let own: Option<i32> = std::fs::read_to_string(OWN).ok().and_then(|text| text.trim().parse().ok());
    let lent = set_own(score);
    let started = start();
    if let Some(own) = own {
        // Back to where it was, which needs no privilege.
        drop(set_own(own));
    }
    (started, lent)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_started_has_the_score_that_is_lent_and_we_have_our_own_again() {
        let own = std::fs::read_to_string(OWN).unwrap();
        let score = || std::process::Command::new("cat").arg("/proc/self/oom_score_adj").output().unwrap();
        let (output, lent) = lend(1000, score);
        lent.unwrap();
        assert_eq!(String::from_utf8(output.stdout).unwrap(), "1000\n");
        assert_eq!(std::fs::read_to_string(OWN).unwrap(), own);
    }
}
