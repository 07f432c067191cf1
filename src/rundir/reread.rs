//! A record that is looked at again and again: read and parsed anew only where its file is another, or was written to.

use std::fs::Metadata;
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use jiff::SignedDuration;
use serde::de::DeserializeOwned;

use crate::model::time::Timestamp;
use crate::publish::untraced;
use crate::sandbox::sys::clock;

/// Longer than a tick of the clock that files are stamped by: two that follow each other within one, the second with the
/// inode of the first, could not be told apart.
const TICK: SignedDuration = SignedDuration::from_millis(50);

#[derive(Debug)]
pub(crate) struct Reread<T>(Option<(Identity, T)>);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Identity {
    device: u64,
    inode: u64,
    size: u64,
    /// Seconds and nanoseconds.
    changed: (i64, i64),
}

impl<T> Default for Reread<T> {
    fn default() -> Reread<T> {
        Reread(None)
    }
}

impl<T: Clone> Reread<T> {
    /// What the JSON in a file makes; `None` if there is no file.
    ///
    /// # Errors
    /// `InvalidData` if the content is not an `F`.
    pub(crate) fn json<F: DeserializeOwned>(
        &mut self,
        path: &Path,
        make: impl FnOnce(F) -> T,
    ) -> io::Result<Option<T>> {
        match self.read(path, make) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                self.0 = None;
                Ok(None)
            }
            read => read.map(Some),
        }
    }

    fn read<F: DeserializeOwned>(&mut self, path: &Path, make: impl FnOnce(F) -> T) -> io::Result<T> {
        let present = Identity::of(&path.metadata()?);
        if let Some((known, value)) = &self.0
            && *known == present
        {
            return Ok(value.clone());
        }
        self.0 = None;
        let mut file = untraced::open(path)?;
        let metadata = file.metadata()?;
        let mut text = Vec::new();
        file.read_to_end(&mut text)?;
        let value = make(serde_json::from_slice(&text)?);
        if is_settled(&metadata, clock::wall()) {
            self.0 = Some((Identity::of(&metadata), value.clone()));
        }
        Ok(value)
    }
}

impl Identity {
    fn of(metadata: &Metadata) -> Identity {
        Identity {
            device: metadata.dev(),
            inode: metadata.ino(),
            size: metadata.len(),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        }
    }
}

/// A clock that was set back tells nothing.
fn is_settled(metadata: &Metadata, now: Timestamp) -> bool {
    let nanos = i32::try_from(metadata.ctime_nsec()).unwrap_or_default();
    Timestamp::new(metadata.ctime(), nanos).is_ok_and(|changed| now.duration_since(changed) > TICK)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_parsed_once_and_another_of_its_name_is_seen_at_once() {
        let path = std::env::temp_dir().join(format!("droppod-reread-{}", std::process::id()));
        let mut kept = Reread::default();
        let mut parsed = 0;
        let mut read = |parsed: &mut u32| {
            kept.json(&path, |number: u64| {
                *parsed += 1;
                number
            })
            .unwrap()
        };
        assert_eq!(read(&mut parsed), None);
        std::fs::write(&path, "1").unwrap();
        assert_eq!((read(&mut parsed), parsed), (Some(1), 1));
        while !is_settled(&path.metadata().unwrap(), clock::wall()) {
            assert_eq!(read(&mut parsed), Some(1));
        }
        read(&mut parsed);
        let before = parsed;
        assert_eq!((read(&mut parsed), read(&mut parsed), parsed), (Some(1), Some(1), before));
        let other = path.with_extension("other");
        for number in 2..200 {
            std::fs::write(&other, (number % 10).to_string()).unwrap();
            std::fs::rename(&other, &path).unwrap();
            assert_eq!(read(&mut parsed), Some(number % 10));
        }
        std::fs::remove_file(&path).unwrap();
        assert_eq!(read(&mut parsed), None);
    }
}
