//! Who a container runs as, from `/etc/passwd` and `/etc/group` of its own root.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use rustix::fs::{Mode, OFlags};

use super::inside;
use crate::model::pod_plan::{ContainerPlan, UserPlan};

/// Of passwd or group; the image may make it as long as it likes.
const FILE_BYTES: u64 = 1 << 20;
/// `runAsUser` and `USER` end here (CVE-2024-40635); higher ones turn negative in too many programs.
const HIGHEST: u32 = i32::MAX as u32;

/// A numeric user, primary group and further groups, from `/etc/passwd` and `/etc/group` inside a root.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Account {
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    pub(crate) groups: Vec<u32>,
    pub(crate) home: String,
}

#[derive(Debug, thiserror::Error)]
pub(crate) enum AccountError {
    #[error("there is no user `{0}` in the image")]
    NoUser(String),
    #[error("there is no group `{0}` in the image")]
    NoGroup(String),
    #[error("the container must not run as root, but its user is root")]
    IsRoot,
    #[error("cannot read accounts of the image")]
    Read(#[from] std::io::Error),
}

/// A line of passwd.
struct User<'a> {
    name: &'a str,
    uid: u32,
    gid: u32,
    home: &'a str,
}

/// A line of group.
struct Group<'a> {
    name: &'a str,
    gid: u32,
    members: &'a str,
}

/// Who the container runs as, looked up inside the mounted root, through no symlink that leaves it.
pub(crate) fn account(root: &Path, container: &ContainerPlan) -> Result<Account, AccountError> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let root: OwnedFd = rustix::fs::open(root, flags, Mode::empty()).map_err(io::Error::from)?;
    let passwd = read(&root, Path::new("etc/passwd"))?;
    let group = read(&root, Path::new("etc/group"))?;
    look_up(&container.user, &passwd, &group)
}

fn look_up(wanted: &UserPlan, passwd: &str, group: &str) -> Result<Account, AccountError> {
    let (user, primary) = match wanted.image_user.split_once(':') {
        Some((user, primary)) => (user, Some(primary).filter(|primary| !primary.is_empty())),
        None => (wanted.image_user.as_str(), None),
    };
    let uid_of = |uid: u32| users(passwd).find(|known| known.uid == uid);
    let (uid, known) = match (wanted.uid, number(user)) {
        (Some(uid), _) => (uid, uid_of(uid)),
        (None, Some(uid)) => (uid, uid_of(uid)),
        (None, None) if user.is_empty() => (0, uid_of(0)),
        (None, None) => {
            let known = users(passwd).find(|known| known.name == user);
            let known = known.ok_or_else(|| AccountError::NoUser(user.to_owned()))?;
            (known.uid, Some(known))
        }
    };
    if wanted.must_not_be_root && uid == 0 {
        return Err(AccountError::IsRoot);
    }
    // `runAsUser` replaces the image's user, and the group that came with it.
    let primary = primary.filter(|_| wanted.uid.is_none());
    let gid = match (wanted.gid, primary) {
        (Some(gid), _) => gid,
        (None, Some(primary)) => match number(primary) {
            Some(gid) => gid,
            None => groups(group)
                .find(|known| known.name == primary)
                .map(|known| known.gid)
                .ok_or_else(|| AccountError::NoGroup(primary.to_owned()))?,
        },
        (None, None) => known.as_ref().map_or(0, |known| known.gid),
    };
    let member = |known: &Group<'_>, name: &str| known.members.split(',').any(|member| member.trim() == name);
    let mut further: BTreeSet<u32> = wanted.supplemental_groups.iter().copied().collect();
    if let Some(User { name, .. }) = known {
        further.extend(groups(group).filter(|known| member(known, name)).map(|known| known.gid));
    }
    further.remove(&gid);
    let home = known.map(|known| known.home).filter(|home| home.starts_with('/')).unwrap_or("/");
    Ok(Account { uid, gid, groups: further.into_iter().collect(), home: home.to_owned() })
}

/// A number that a user or group may have; a name that looks like one beyond the range is looked up and not found.
fn number(text: &str) -> Option<u32> {
    let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    text.parse::<u32>().ok().filter(|id| digits && *id <= HIGHEST)
}

fn users(passwd: &str) -> impl Iterator<Item = User<'_>> {
    passwd.lines().filter_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next().filter(|name| !name.is_empty())?;
        let (uid, gid) = (number(fields.nth(1)?)?, number(fields.next()?)?);
        Some(User { name, uid, gid, home: fields.nth(1).unwrap_or_default() })
    })
}

fn groups(group: &str) -> impl Iterator<Item = Group<'_>> {
    group.lines().filter_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next().filter(|name| !name.is_empty())?;
        let gid = number(fields.nth(1)?)?;
        Some(Group { name, gid, members: fields.next().unwrap_or_default() })
    })
}

/// A regular file of the root as text; empty if there is none. A FIFO is not waited for.
fn read(root: impl AsFd, path: &Path) -> io::Result<String> {
    let file = match inside::open(root, path, OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY) {
        Ok(file) => File::from(file),
        Err(error) => {
            return match error.kind() {
                io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => Ok(String::new()),
                _ => Err(error),
            };
        }
    };
    if !file.metadata()?.is_file() {
        return Err(io::Error::new(
            io::ErrorKind::InvalidData,
            format!("{} is not a regular file", path.display()),
        ));
    }
    let mut bytes = Vec::new();
    file.take(FILE_BYTES + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > FILE_BYTES {
        return Err(io::Error::new(io::ErrorKind::InvalidData, format!("{} is over 1 MiB", path.display())));
    }
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
mod tests;
