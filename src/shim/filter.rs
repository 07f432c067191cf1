//! The seccomp filter of a container, computed once for each run of it.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::rc::Rc;

use rustix::fs::{Mode, OFlags, ResolveFlags};

use crate::bundle::seccomp::{self, Architecture, Filter, Machine, ProfileError};
use crate::model::pod_plan::{ContainerPlan, SeccompProfile};
use crate::paths::Places;
use crate::sandbox::sys::seccomp::is_available;

/// Bytes; the profiles of container engines have a tenth of it.
const PROFILE_LIMIT: u64 = 1 << 20;

#[derive(Debug, thiserror::Error)]
pub(super) enum FilterError {
    #[error(
        "the kernel has no seccomp filters: only a container with `seccompProfile: {{type: Unconfined}}` runs here"
    )]
    Kernel,
    #[error("cannot read seccomp profile {}", path.display())]
    Unreadable { path: PathBuf, source: io::Error },
    #[error("cannot use seccomp profile {}", path.display())]
    Profile { path: PathBuf, source: ProfileError },
    #[error("cannot make the default seccomp filter")]
    Default(#[source] ProfileError),
}

/// `None` for a container that is to run without.
pub(super) fn of(places: &Places, container: &ContainerPlan) -> Result<Option<Rc<Filter>>, FilterError> {
    let machine = Machine { native: Architecture::NATIVE, kernel: kernel() };
    let capabilities = &container.security.capabilities;
    let filter = match &container.security.seccomp {
        SeccompProfile::Unconfined => return Ok(None),
        SeccompProfile::RuntimeDefault => {
            seccomp::runtime_default(machine, capabilities).map_err(FilterError::Default)?
        }
        SeccompProfile::Localhost(profile) => {
            let path = places.seccomp().join(profile);
            match read(&places.seccomp(), profile) {
                Err(source) => return Err(FilterError::Unreadable { path, source }),
                Ok(text) => seccomp::localhost(&text, machine, capabilities)
                    .map_err(|source| FilterError::Profile { path, source })?,
            }
        }
    };
    if is_available() { Ok(Some(Rc::new(filter))) } else { Err(FilterError::Kernel) }
}

/// A regular file in the folder, reached through nothing that leads out of it.
fn read(folder: &Path, profile: &Path) -> io::Result<String> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let folder = rustix::fs::open(folder, flags, Mode::empty())?;
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS;
    let file = File::from(rustix::fs::openat2(&folder, profile, flags, Mode::empty(), resolve)?);
    if !file.metadata()?.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is not a regular file"));
    }
    let mut text = String::new();
    let read = (&file).take(PROFILE_LIMIT + 1).read_to_string(&mut text)?;
    if u64::try_from(read).is_ok_and(|read| read <= PROFILE_LIMIT) {
        Ok(text)
    } else {
        Err(io::Error::new(io::ErrorKind::FileTooLarge, "it is larger than 1 MiB"))
    }
}

fn kernel() -> (u32, u32) {
    let name = rustix::system::uname();
    let release = name.release().to_string_lossy().into_owned();
    let mut numbers = release.split(|c: char| !c.is_ascii_digit()).map(|part| part.parse().unwrap_or(0));
    (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0))
}
