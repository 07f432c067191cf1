//! Where processes can be made to fail: what the sources name, and that none of a pod's life is left out.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

/// What can go wrong at a boundary.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Boundary {
    /// `failpoint::reach`: whoever gets there is killed, late, or given an error.
    Fails,
    /// `failpoint::pass`: nothing can fail there, so an error would change nothing.
    Passes,
}

/// The steps that a pod leaves something behind by, from its manifest to its last trace, and what the sources call them.
/// One without a name does not exist here.
const LIFE: [(&str, &[&str]); 40] = [
    ("intent", &["object directory made", "object recorded"]),
    ("network namespace made", &["namespaces made"]),
    // It has no name: the pod process is what holds it.
    ("network namespace pinned", &[]),
    ("address leased", &["address leased"]),
    ("veth made", &["pair made"]),
    // It is born in the pod's namespace.
    ("peer moved", &[]),
    ("address and route", &["address set"]),
    ("firewall and ports", &["sender pinned", "ports opened"]),
    ("image's manifest resolved", &["manifest resolved"]),
    ("blob's temporary file", &["blob made"]),
    ("blob verified", &["blob verified"]),
    // It has no name: what is kept is the layer.
    ("blob renamed", &[]),
    ("layer's temporary directory", &["layer directory made", "layer unpacked"]),
    ("layer committed", &["layer committed", "manifest committed", "reference committed"]),
    ("overlay mounted", &["root mounted", "targets made"]),
    ("volumes anchored", &["volumes made", "room mounted", "shared memory mounted"]),
    ("hosts and resolv.conf", &["hosts file written"]),
    ("shim spawned", &["pod directory made", "lock taken", "goal written", "process started"]),
    ("shim locked, a subreaper", &["lock taken over", "caller left", "control socket bound"]),
    ("cgroup made", &["cgroup made", "launch marked"]),
    ("container created", &["container created"]),
    ("container started", &["container started"]),
    ("pid recorded", &["state published", "launch noted"]),
    ("status's temporary file", &["draft of all.status.yaml"]),
    ("status renamed", &["status file written"]),
    ("exit seen", &["exit seen"]),
    ("exit recorded", &["exit recorded"]),
    ("status of the exit", &["state published", "status file written"]),
    ("back-off", &["start recorded"]),
    ("probe's result", &["handler ended"]),
    ("TERM sent", &["stop ordered", "container signalled"]),
    ("grace over, KILL", &["container killed", "pod killed"]),
    ("container deleted", &["container deleted"]),
    ("cgroup removed", &["cgroup removed"]),
    ("unmounted", &["mounts left", "scratch removed"]),
    // It goes with the pod's namespace, and that with its process.
    ("veth gone", &[]),
    ("network namespace unpinned", &[]),
    ("address given back", &["ports closed", "address given back"]),
    (
        "records removed",
        &["end recorded", "departure recorded", "goal removed", "removal recorded", "object forgotten"],
    ),
    ("layers collected", &["layers marked", "layer taken"]),
];

/// Of what is written whole: the old is in place still.
pub(super) const DRAFTS: [&str; 7] = [
    "draft of all.status.yaml",
    "draft of finished.json",
    "draft of goal.json",
    "draft of job.json",
    "draft of launched",
    "draft of object.json",
    "draft of state.json",
];

/// Every boundary of the sources.
pub(super) fn all() -> BTreeMap<String, Boundary> {
    fn collect(directory: &Path, found: &mut BTreeMap<String, Boundary>) {
        for entry in fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                collect(&path, found);
                continue;
            }
            let text = fs::read_to_string(path).unwrap();
            for (call, boundary) in
                [("failpoint::reach(\"", Boundary::Fails), ("failpoint::pass(\"", Boundary::Passes)]
            {
                let named = text.split(call).skip(1).map(|rest| rest.split('"').next().unwrap().to_owned());
                found.extend(named.map(|name| (name, boundary)));
            }
        }
    }
    let mut found: BTreeMap<_, _> = DRAFTS.map(|name| (name.to_owned(), Boundary::Fails)).into();
    collect(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut found);
    found
}

#[test]
fn a_pod_can_be_made_to_fail_at_each_step_of_its_life() {
    let found = all();
    let missing: Vec<_> =
        LIFE.iter().flat_map(|(_, names)| *names).filter(|name| !found.contains_key(**name)).collect();
    assert!(missing.is_empty(), "the sources name none of {missing:?}");
    let none: Vec<_> = LIFE.iter().filter(|(_, names)| names.is_empty()).map(|(step, _)| *step).collect();
    let not_here =
        ["network namespace pinned", "peer moved", "blob renamed", "veth gone", "network namespace unpinned"];
    assert_eq!(none, not_here);
}
