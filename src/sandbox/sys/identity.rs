//! Which boot this is, and identities nobody else has.

use std::io;

use crate::model::id::Uid;

/// `/proc/sys/kernel/random/boot_id`, 36 characters.
pub(crate) fn boot_id() -> io::Result<String> {
    Ok(std::fs::read_to_string("/proc/sys/kernel/random/boot_id")?.trim().to_owned())
}

pub(crate) fn random_uid() -> io::Result<Uid> {
    let mut bytes = [0; 16];
    rustix::rand::getrandom(&mut bytes, rustix::rand::GetRandomFlags::empty())?;
    Ok(Uid::from_random(bytes))
}
