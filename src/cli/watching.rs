//! `--watch`: the records, looked at again whenever they change.

use std::io;
use std::os::fd::AsFd;

use rustix::event::PollFlags;

use crate::logs::bell::{Bell, Woken};
use crate::paths::Places;

use super::exit::Exit;
use super::failure::Failure;
use super::records::Records;

/// Goes on until the reader of stdout leaves or a signal comes.
pub(crate) fn each_change(
    places: &Places,
    mut look: impl FnMut(&Records) -> Result<(), Failure>,
) -> Result<Exit, Failure> {
    let bell = Bell::hang();
    loop {
        look(&heard(&bell, places)?)?;
        // A pipe whose reader has left is hung up: nobody is there to go on for.
        let woken = bell.wait(io::stdout().as_fd(), PollFlags::empty()).map_err(Failure::of_output)?;
        if woken == Woken::ByOther {
            return Ok(Exit::Done);
        }
    }
}

/// What there is; the bell rings when it changes.
pub(crate) fn heard(bell: &Bell, places: &Places) -> Result<Records, Failure> {
    bell.watch(&places.objects());
    bell.watch(&places.pods());
    let records = Records::load(places)?;
    for shown in &records.shown {
        bell.watch(&places.object(shown.uid()).0);
        bell.watch(&places.pod(shown.uid()).0);
    }
    Ok(records)
}
