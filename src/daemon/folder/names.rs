//! Which names are manifests, which are ours, and which can be passed over without a look.

/// Ends of names that editors and copy programs give to what they have not finished.
const UNFINISHED: [&str; 4] = ["~", ".swp", ".tmp", ".bak"];

/// A file beside `x.yaml` that switches it off.
pub(crate) const SKIP: &str = ".skip";
pub(crate) const IGNORE_FILE: &str = ".droppodignore";
/// What a folder that is itself a mounted ConfigMap swaps to replace all of its files at once.
const PROJECTED: &str = "..data";

pub(crate) fn is_manifest(name: &str) -> bool {
    let extension = [".yaml", ".yml", ".json"].iter().any(|extension| name.ends_with(extension));
    extension && !name.starts_with('.') && !is_unfinished(name) && !is_status(name)
}

pub(crate) fn is_status(name: &str) -> bool {
    name.ends_with(".status.yaml")
}

pub(crate) fn is_unfinished(name: &str) -> bool {
    UNFINISHED.iter().any(|end| name.ends_with(end))
}

/// Whether a directory of this name is looked into.
pub(crate) fn is_entered(name: &str) -> bool {
    !name.starts_with('.')
}

/// Whether an event about this name is a reason to look again. It may be a directory's, so extensions do not
/// count; what we write ourselves must not, or each report would be followed by a pass.
pub(crate) fn wakes(name: &str) -> bool {
    if name == IGNORE_FILE || name == PROJECTED {
        return true;
    }
    !name.starts_with('.') && !is_unfinished(name) && !is_status(name)
}

/// Whether a file of this name decides about others.
pub(crate) fn is_rule(name: &str) -> bool {
    name == IGNORE_FILE || name == PROJECTED || name.ends_with(SKIP)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn editors_leftovers_and_our_own_files_are_no_manifests() {
        for name in ["web.yaml", "web.yml", "web.json", "a.b.yaml", "status.yaml"] {
            assert!(is_manifest(name), "{name}");
            assert!(wakes(name), "{name}");
        }
        for name in [
            ".web.yaml",
            "web.yaml~",
            "web.yaml.swp",
            ".web.yaml.swp",
            "web.yaml.bak",
            "web.yaml.tmp",
            "web.status.yaml",
            "web.yml.status.yaml",
            ".web.status.yaml.7.tmp",
            "web.yaml.skip",
            "README.md",
            "web",
        ] {
            assert!(!is_manifest(name), "{name}");
        }
    }

    #[test]
    fn what_we_write_ourselves_wakes_nobody() {
        for name in ["web.status.yaml", ".web.status.yaml.7.tmp", ".git", "4913~"] {
            assert!(!wakes(name), "{name}");
        }
        for name in ["web.yaml.skip", ".droppodignore", "..data", "subdirectory"] {
            assert!(wakes(name), "{name}");
        }
    }
}
