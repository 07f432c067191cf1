//! `terminal.json`: the size of the caller's terminal, for a program that begins before the caller is attached to it.

use std::io;

use crate::paths::Places;
use crate::publish::{Durability, publish_json, read_json};

use super::control::WindowSize;

pub(crate) fn write(places: &Places, size: WindowSize) -> io::Result<()> {
    publish_json(&places.terminal(), &size, Durability::Volatile)?;
    Ok(())
}

/// None where nobody was there to have a terminal.
pub(crate) fn read(places: &Places) -> io::Result<Option<WindowSize>> {
    read_json(&places.terminal())
}
