//! Projected files, as the kubelet's atomic writer lays them out: content in a directory of its own, `..data` a
//! link to it, each top-level name a link through `..data`. Replacing `..data` changes all files at once.

use std::collections::BTreeSet;
use std::fs::{DirBuilder, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::{chown_group, open_path};
use crate::model::pod_plan::ProjectedFile;

const DATA: &str = "..data";

/// Makes the volume at `root` hold exactly `files`; does nothing if it already does.
pub(super) fn write(root: &Path, files: &[ProjectedFile], group: Option<u32>) -> io::Result<()> {
    let version = format!("..{}", digest(files));
    let present = std::fs::read_link(root.join(DATA)).ok();
    // An earlier try may have got no further than that.
    if present.as_deref() != Some(Path::new(&version)) {
        replace(root, &version, files, group).inspect_err(|_| {
            // Others need the room.
            drop(crate::publish::remove_tree(&root.join(&version)));
        })?;
    }
    remove_others(root, &version)?;
    link_names(root, files)
}

fn replace(root: &Path, version: &str, files: &[ProjectedFile], group: Option<u32>) -> io::Result<()> {
    let directory = root.join(version);
    crate::publish::remove_tree(&directory)?;
    DirBuilder::new().mode(0o755).create(&directory)?;
    for file in files {
        write_one(&directory, file, group)?;
    }
    let fresh = root.join("..data_tmp");
    crate::publish::remove(&fresh)?;
    symlink(version, &fresh)?;
    std::fs::rename(&fresh, root.join(DATA))
}

/// Removes what was in force before, wherever a privileged container has made it lead (CVE-2017-1002102).
fn remove_others(root: &Path, version: &str) -> io::Result<()> {
    for entry in std::fs::read_dir(root)? {
        let name = entry?.file_name();
        if name != version && is_version(Path::new(&name)) {
            crate::publish::remove_tree(&root.join(name))?;
        }
    }
    Ok(())
}

fn write_one(directory: &Path, file: &ProjectedFile, group: Option<u32>) -> io::Result<()> {
    let path = directory.join(&file.path);
    if let Some(parent) = path.parent() {
        DirBuilder::new().recursive(true).mode(0o755).create(parent)?;
    }
    let mut written = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path)?;
    written.write_all(&file.content)?;
    // As the kubelet has it, whatever mode was asked for.
    let mode = if group.is_some() { file.mode | 0o440 } else { file.mode };
    chown_group(open_path(directory)?, &file.path, group)?;
    written.set_permissions(Permissions::from_mode(mode))
}

/// Adds links for top-level names that are new and removes those of names that are gone.
fn link_names(root: &Path, files: &[ProjectedFile]) -> io::Result<()> {
    let wanted: BTreeSet<&str> = files.iter().filter_map(|file| file.path.split('/').next()).collect();
    for entry in std::fs::read_dir(root)? {
        let entry = entry?;
        let name = entry.file_name();
        let stays = name.to_str().is_some_and(|name| name.starts_with("..") || wanted.contains(name));
        if !stays {
            crate::publish::remove(&entry.path())?;
        }
    }
    for name in wanted {
        match symlink(PathBuf::from(DATA).join(name), root.join(name)) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
            Ok(()) | Err(_) => {}
        }
    }
    Ok(())
}

/// Two dots and a digest.
fn is_version(link: &Path) -> bool {
    let digest = link.to_str().and_then(|link| link.strip_prefix(".."));
    digest.is_some_and(|digest| digest.len() == 16 && digest.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

fn digest(files: &[ProjectedFile]) -> String {
    let mut hash = Sha256::new();
    for file in files {
        hash.update(file.path.len().to_le_bytes());
        hash.update(&file.path);
        hash.update(file.mode.to_le_bytes());
        hash.update(file.content.len().to_le_bytes());
        hash.update(&file.content);
    }
    hash.finalize().iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(path: &str, content: &str) -> ProjectedFile {
        ProjectedFile { path: path.to_owned(), content: content.into(), mode: 0o644 }
    }

    #[test]
    fn an_update_replaces_all_files_and_drops_the_ones_that_are_gone() {
        let root = std::env::temp_dir().join(format!("droppod-files-{}", std::process::id()));
        drop(std::fs::remove_dir_all(&root));
        std::fs::create_dir(&root).unwrap();
        write(&root, &[file("a", "1"), file("dir/b", "2")], None).unwrap();
        assert_eq!(std::fs::read_to_string(root.join("dir/b")).unwrap(), "2");
        write(&root, &[file("a", "3"), file("c", "4")], None).unwrap();
        assert_eq!(std::fs::read_to_string(root.join("a")).unwrap(), "3");
        assert_eq!(std::fs::read_to_string(root.join("c")).unwrap(), "4");
        let mut names: Vec<String> = std::fs::read_dir(&root)
            .unwrap()
            .map(|e| e.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        assert_eq!(names.len(), 4, "{names:?}");
        assert_eq!(names[1..], ["..data", "a", "c"]);
        std::fs::remove_file(root.join("c")).unwrap();
        write(&root, &[file("a", "3"), file("c", "4")], None).unwrap();
        assert_eq!(std::fs::read_to_string(root.join("c")).unwrap(), "4", "there was no room for its name");
        std::fs::remove_dir_all(root).unwrap();
    }

    #[test]
    fn cve_2017_1002102_a_planted_link_is_replaced_and_what_it_leads_to_is_left() {
        let base = std::env::temp_dir().join(format!("droppod-planted-{}", std::process::id()));
        drop(std::fs::remove_dir_all(&base));
        let (root, outside) = (base.join("volume"), base.join("outside"));
        std::fs::create_dir_all(&root).unwrap();
        std::fs::create_dir_all(outside.join("kept")).unwrap();
        for planted in ["../outside", outside.to_str().unwrap(), ".."] {
            drop(std::fs::remove_file(root.join(DATA)));
            symlink(planted, root.join(DATA)).unwrap();
            write(&root, &[file("a", planted)], None).unwrap();
            assert_eq!(std::fs::read_to_string(root.join("a")).unwrap(), planted);
            assert!(outside.join("kept").is_dir(), "{planted}");
        }
        std::fs::remove_dir_all(base).unwrap();
    }
}
