//! What a pod may use, as files of the memory, cpu, pids and hugetlb controllers, and how often the memory limit was met.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use super::hierarchy::{Hierarchy, Version, below, is_gone};
use crate::bundle::page_size;
use crate::model::pod_plan::Resources;
use crate::sandbox::failure::cannot;

/// The kernel's and every container runtime's default, 100 ms.
const CPU_PERIOD_US: u64 = 100_000;
/// The kernel takes no quota below 1 ms.
const CPU_QUOTA_LEAST_US: u64 = 1_000;
/// Of who asks for no processor time, as the kubelet has it (`MinShares`): whoever asks for some goes before. The kernel's
/// own, 1024 shares, are what a whole core is asked for with.
const LEAST_SHARES: &str = "2";
/// As [`LEAST_SHARES`].
const LEAST_WEIGHT: &str = "1";

/// Writes the limits that this hierarchy's controllers keep.
///
/// # Errors
/// Also if a limit is asked for whose controller this directory was not given.
pub(super) fn write(hierarchy: &Hierarchy, path: &Path, resources: &Resources) -> io::Result<()> {
    let directory = hierarchy.directory(path);
    if hierarchy.has("memory") {
        match hierarchy.version {
            Version::One => memory_v1(&directory, resources.memory_limit)?,
            Version::Two => memory_v2(&directory, resources.memory_limit)?,
        }
    }
    if hierarchy.has("cpu") {
        match hierarchy.version {
            Version::One => cpu_v1(&directory, resources)?,
            Version::Two => cpu_v2(&directory, resources)?,
        }
    }
    if hierarchy.has("pids") {
        set(&directory, "pids.max", resources.pids_limit, "max")?;
    }
    if hierarchy.has("hugetlb") {
        huge_pages(&directory, hierarchy.version, &resources.huge_pages)?;
    }
    Ok(())
}

/// No swap for who is limited, as on a Kubernetes node: what is over the limit is not to slow the disc for all.
fn memory_v1(directory: &Path, limit: Option<u64>) -> io::Result<()> {
    const BOTH: &str = "memory.memsw.limit_in_bytes";
    let counts_swap = directory.join(BOTH).exists();
    // The limit with swap can never be below the one without, so it is out of the way while that moves.
    if counts_swap {
        set(directory, BOTH, None::<u64>, "-1")?;
    }
    set(directory, "memory.limit_in_bytes", limit, "-1")?;
    if counts_swap && limit.is_some() {
        set(directory, BOTH, limit, "-1")?;
    }
    Ok(())
}

/// As [`memory_v1`].
fn memory_v2(directory: &Path, limit: Option<u64>) -> io::Result<()> {
    set(directory, "memory.max", limit, "max")?;
    // Missing on a kernel without swap.
    if directory.join("memory.swap.max").exists() {
        set(directory, "memory.swap.max", limit.map(|_| 0), "max")?;
    }
    Ok(())
}

fn cpu_v1(directory: &Path, resources: &Resources) -> io::Result<()> {
    set(directory, "cpu.shares", resources.cpu_request_milli.map(shares), LEAST_SHARES)?;
    // Missing on a kernel without bandwidth control.
    if resources.cpu_limit_milli.is_some() || directory.join("cpu.cfs_quota_us").exists() {
        set(directory, "cpu.cfs_period_us", Some(CPU_PERIOD_US), "")?;
        set(directory, "cpu.cfs_quota_us", resources.cpu_limit_milli.map(quota), "-1")?;
    }
    Ok(())
}

fn cpu_v2(directory: &Path, resources: &Resources) -> io::Result<()> {
    let weight = resources.cpu_request_milli.map(shares).map(weight);
    set(directory, "cpu.weight", weight, LEAST_WEIGHT)?;
    if resources.cpu_limit_milli.is_some() || directory.join("cpu.max").exists() {
        let quota = resources.cpu_limit_milli.map(|milli| format!("{} {CPU_PERIOD_US}", quota(milli)));
        set(directory, "cpu.max", quota, "max")?;
    }
    Ok(())
}

/// A size that was not asked for is not to be had, as under the kubelet: of what the machine has set aside, each page is
/// there for somebody who asked.
fn huge_pages(directory: &Path, version: Version, asked: &BTreeMap<u64, u64>) -> io::Result<()> {
    let end = match version {
        Version::One => "limit_in_bytes",
        Version::Two => "max",
    };
    let mut limits: BTreeMap<String, u64> =
        page_sizes(directory, end)?.into_iter().map(|size| (size, 0)).collect();
    limits.extend(asked.iter().map(|(size, limit)| (page_size(*size), *limit)));
    for (size, limit) in limits {
        set(directory, &format!("hugetlb.{size}.{end}"), Some(limit), "")?;
        // What is mapped and not touched yet counts here (Linux 5.7): mapping too much fails, which a program can bear.
        let reserved = format!("hugetlb.{size}.rsvd.{end}");
        if directory.join(&reserved).exists() {
            set(directory, &reserved, Some(limit), "")?;
        }
    }
    Ok(())
}

/// Sizes that the machine has, as the controller names them.
fn page_sizes(directory: &Path, end: &str) -> io::Result<Vec<String>> {
    let entries = std::fs::read_dir(directory)
        .map_err(|error| cannot(format!("list cgroup {}", directory.display()), error))?;
    let names = entries.flatten().filter_map(|entry| entry.file_name().into_string().ok());
    let size = |name: String| {
        let (size, rest) = name.strip_prefix("hugetlb.")?.split_once('.')?;
        (rest == end).then(|| size.to_owned())
    };
    Ok(names.filter_map(size).collect())
}

/// Kubernetes' `MilliCPUToShares`.
fn shares(milli: u64) -> u64 {
    (milli.saturating_mul(1024) / 1000).clamp(2, 262_144)
}

/// Kubernetes' and the runtimes' mapping of shares 2..262144 to weights 1..10000.
fn weight(shares: u64) -> u64 {
    1 + (shares - 2) * 9_999 / 262_142
}

fn quota(milli: u64) -> u64 {
    (milli.saturating_mul(CPU_PERIOD_US) / 1000).max(CPU_QUOTA_LEAST_US)
}

/// Writes a limit, or `none` for an absent one; a file that is missing has nothing to lift.
fn set(directory: &Path, file: &str, limit: Option<impl ToString>, none: &str) -> io::Result<()> {
    let path = directory.join(file);
    let (text, asked) = match limit {
        Some(limit) => (limit.to_string(), true),
        None => (none.to_owned(), false),
    };
    match std::fs::OpenOptions::new().write(true).open(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound && !asked => Ok(()),
        Err(error) => Err(error),
        Ok(mut file) => io::Write::write_all(&mut file, text.as_bytes()),
    }
    .map_err(|error| cannot(format!("write {text} to {}", path.display()), error))
}

/// Version 1 counts in each directory for itself, version 2 counts in those above as well.
pub(super) fn oom_kills(hierarchy: &Hierarchy, path: &Path) -> io::Result<u64> {
    let directory = hierarchy.directory(path);
    match hierarchy.version {
        Version::One => {
            below(&directory)?.iter().map(|directory| counted(&directory.join("memory.oom_control"))).sum()
        }
        Version::Two => counted(&directory.join("memory.events")),
    }
}

fn counted(path: &Path) -> io::Result<u64> {
    match std::fs::read_to_string(path) {
        Ok(text) => Ok(oom_kill_line(&text)),
        Err(error) if is_gone(&error) => Ok(0),
        Err(error) => Err(cannot(format!("read {}", path.display()), error)),
    }
}

fn oom_kill_line(text: &str) -> u64 {
    text.lines().find_map(|line| line.strip_prefix("oom_kill ")?.parse().ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processor_time_is_counted_as_kubernetes_counts_it() {
        assert_eq!([0, 1, 500, 1000, 4000].map(shares), [2, 2, 512, 1024, 4096]);
        assert_eq!([2, 1024, 262_144].map(weight), [1, 39, 10_000]);
        assert_eq!([1, 500, 2000].map(quota), [1_000, 50_000, 200_000]);
    }

    #[test]
    fn a_pod_that_asks_for_nothing_yields_to_one_that_asks() {
        let least = shares(1);
        assert_eq!(
            (least.to_string().as_str(), weight(least).to_string().as_str()),
            (LEAST_SHARES, LEAST_WEIGHT)
        );
        assert!(shares(500) > 100 * least);
        assert!(weight(shares(500)) > 10 * weight(least));
    }

    #[test]
    fn huge_pages_that_were_not_asked_for_are_not_to_be_had() {
        let directory = std::env::temp_dir().join(format!("droppod-huge-pages-{}", std::process::id()));
        std::fs::create_dir(&directory).unwrap();
        for file in ["1GB.max", "2MB.max", "2MB.rsvd.max", "2MB.current"] {
            std::fs::write(directory.join(format!("hugetlb.{file}")), "").unwrap();
        }
        let read = |file: &str| std::fs::read_to_string(directory.join(format!("hugetlb.{file}"))).unwrap();
        let asked = BTreeMap::from([(2 << 20, 4 << 20)]);
        huge_pages(&directory, Version::Two, &asked).unwrap();
        assert_eq!(
            ["2MB.max", "2MB.rsvd.max", "1GB.max", "2MB.current"].map(read),
            ["4194304", "4194304", "0", ""]
        );
        let of_no_such_size = BTreeMap::from([(64 << 10, 64 << 10)]);
        let refused = huge_pages(&directory, Version::Two, &of_no_such_size).unwrap_err().to_string();
        assert!(refused.contains("hugetlb.64KB.max"), "{refused}");
        std::fs::remove_dir_all(&directory).unwrap();
    }

    #[test]
    fn out_of_memory_kills_are_told_from_other_lines() {
        assert_eq!(oom_kill_line("low 0\nmax 7\noom 3\noom_kill 2\noom_group_kill 1\n"), 2);
        assert_eq!(oom_kill_line("oom_kill_disable 0\nunder_oom 0\noom_kill 5\n"), 5);
    }
}
