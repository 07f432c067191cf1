//! Somebody who was attached to a container that has ended, and has not taken all of its output yet. The pod goes on
//! meanwhile; only its process stays until the last has been taken leave of.

use std::os::fd::BorrowedFd;
use std::time::Duration;

use super::audience::Attached;
use super::control::answer;
use crate::model::time::Moment;
use crate::rundir::control::Answer;

/// How long they may take.
const PATIENCE: Duration = Duration::from_secs(1);

#[derive(Debug)]
pub(super) struct Farewell {
    attached: Attached,
    code: i32,
    until: Moment,
}

impl Farewell {
    /// To somebody attached to a container that ended with `code`.
    pub(super) fn new(attached: Attached, code: i32, now: Moment) -> Farewell {
        Farewell { attached, code, until: now + PATIENCE }
    }

    /// The pipe that is not emptied.
    pub(super) fn behind(&self) -> Option<BorrowedFd<'_>> {
        self.attached.behind()
    }

    pub(super) fn until(&self) -> Moment {
        self.until
    }

    /// Whoever does not read any more has gone, and is not waited for.
    pub(super) fn pass_on(&mut self) {
        if self.attached.pass_on().is_err() {
            self.attached.give_up();
        }
    }

    fn is_over(&self, now: Moment) -> bool {
        self.behind().is_none() || self.until <= now
    }

    /// The end of the pipes comes before the word of it.
    fn say(self) {
        let stream = self.attached.into_stream();
        answer(&stream, &Answer::Ended { code: self.code });
    }
}

/// Ends those that are over.
pub(super) fn say_due(farewells: &mut Vec<Farewell>, now: Moment) {
    for farewell in farewells.extract_if(.., |farewell| farewell.is_over(now)) {
        farewell.say();
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, pipe};
    use std::os::unix::net::UnixStream;

    use super::*;
    use crate::logs::write::Stream;
    use crate::shim::audience::{Audience, Expected};

    fn at(millis: u64) -> Moment {
        Moment(Duration::from_millis(millis))
    }

    /// A container that has ended with more output than a pipe holds, and the two ends of who looks on.
    fn ended(output: &[u8]) -> (Vec<Farewell>, std::io::PipeReader, UnixStream) {
        let ((stdout, theirs), (_, errors)) = (pipe().unwrap(), pipe().unwrap());
        let (caller, ours) = UnixStream::pair().unwrap();
        let mut audience = Audience::new(Expected::No);
        audience.join(Attached::new(ours, theirs.into(), errors.into()).unwrap());
        audience.hear(Stream::Stdout, output);
        (audience.end(7, at(0)).into_iter().collect(), stdout, caller)
    }

    fn word(mut caller: UnixStream) -> String {
        let mut word = String::new();
        caller.read_to_string(&mut word).unwrap();
        word
    }

    #[test]
    fn who_takes_their_time_is_given_all_and_then_the_end() {
        let output: Vec<u8> = (0..300_000_u32).map(|number| number.to_le_bytes()[0]).collect();
        let (mut farewells, mut stdout, caller) = ended(&output);
        assert_eq!(farewells.len(), 1, "nobody has waited for the reader");
        let mut taken = Vec::new();
        while let [farewell] = &mut farewells[..] {
            let mut buffer = [0; 32 * 1024];
            let count = stdout.read(&mut buffer).unwrap();
            taken.extend_from_slice(&buffer[..count]);
            farewell.pass_on();
            say_due(&mut farewells, at(900));
        }
        stdout.read_to_end(&mut taken).unwrap();
        assert!(taken == output, "{} bytes", taken.len());
        assert!(word(caller).contains("7"));
    }

    #[test]
    fn who_does_not_read_is_told_the_end_all_the_same() {
        let (mut farewells, _stdout, caller) = ended(&[b'x'; 300_000]);
        say_due(&mut farewells, at(999));
        assert_eq!(farewells.len(), 1);
        say_due(&mut farewells, at(1000));
        assert!(farewells.is_empty() && word(caller).contains("7"));
    }

    #[test]
    fn who_has_taken_all_or_gone_is_not_waited_for() {
        let (farewells, mut stdout, caller) = ended(b"few words");
        assert!(farewells.is_empty() && word(caller).contains("7"));
        let mut taken = String::new();
        stdout.read_to_string(&mut taken).unwrap();
        assert_eq!(taken, "few words");
        let (mut farewells, stdout, _caller) = ended(&[b'x'; 300_000]);
        drop(stdout);
        farewells[0].pass_on();
        say_due(&mut farewells, at(0));
        assert!(farewells.is_empty());
    }
}
