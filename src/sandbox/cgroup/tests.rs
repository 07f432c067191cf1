use std::collections::BTreeMap;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::*;

/// A directory of its own below every hierarchy; gone, with all that is in it, at the end.
struct Ground {
    cgroups: Cgroups,
    path: PathBuf,
}

impl Ground {
    fn new(name: &str) -> Option<Ground> {
        let cgroups = Cgroups::probe().unwrap();
        let path = PathBuf::from(format!("/droppod-test-{}-{name}", std::process::id()));
        match cgroups.make(&path, &Resources::default()) {
            Ok(()) => Some(Ground { cgroups, path }),
            Err(error) => {
                println!("skipped: {error}: no control groups to write to");
                None
            }
        }
    }

    /// Runs a shell script in the directory.
    fn run(&self, script: &str) -> Child {
        let procs: Vec<PathBuf> = self
            .cgroups
            .hierarchies
            .iter()
            .map(|hierarchy| hierarchy.directory(&self.path).join("cgroup.procs"))
            .collect();
        let joins: String = procs.iter().map(|procs| format!("echo $$ > {} && ", procs.display())).collect();
        let script = format!("{joins} echo ready && {{ {script} ; }}");
        let mut child = Command::new("/bin/sh")
            .args(["-c", &script])
            .process_group(0)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut ready = [0; 6];
        io::Read::read_exact(child.stdout.as_mut().unwrap(), &mut ready).unwrap();
        assert_eq!(&ready, b"ready\n");
        child
    }

    fn read(&self, controller: &str, file: &str) -> Option<String> {
        let hierarchy = self.cgroups.hierarchies.iter().find(|hierarchy| hierarchy.has(controller))?;
        let text = std::fs::read_to_string(hierarchy.directory(&self.path).join(file)).ok()?;
        Some(text.trim().to_owned())
    }
}

impl Drop for Ground {
    fn drop(&mut self) {
        self.cgroups.kill(&self.path).unwrap();
        self.cgroups.remove(&self.path).unwrap();
    }
}

#[test]
fn limits_are_written_changed_and_lifted() {
    let Some(ground) = Ground::new("limits") else { return };
    let limits = Resources {
        memory_limit: Some(64 << 20),
        memory_request: None,
        cpu_limit_milli: Some(500),
        cpu_request_milli: Some(250),
        pids_limit: Some(99),
        huge_pages: BTreeMap::new(),
    };
    ground.cgroups.limit(&ground.path, &limits).unwrap();
    let expected = [
        ("memory", "memory.limit_in_bytes", "67108864"),
        ("memory", "memory.max", "67108864"),
        ("cpu", "cpu.cfs_quota_us", "50000"),
        ("cpu", "cpu.max", "50000 100000"),
        ("cpu", "cpu.shares", "256"),
        ("cpu", "cpu.weight", "10"),
        ("pids", "pids.max", "99"),
    ];
    let check = |expected: &[(&str, &str, &str)]| {
        for (controller, file, value) in expected {
            if let Some(is) = ground.read(controller, file) {
                assert_eq!(is, *value, "{file}");
            }
        }
    };
    check(&expected);

    let raised = Resources { memory_limit: Some(128 << 20), ..limits };
    ground.cgroups.limit(&ground.path, &raised).unwrap();
    check(&[("memory", "memory.limit_in_bytes", "134217728"), ("memory", "memory.max", "134217728")]);

    ground.cgroups.limit(&ground.path, &Resources::default()).unwrap();
    check(&[
        ("memory", "memory.max", "max"),
        ("cpu", "cpu.cfs_quota_us", "-1"),
        ("cpu", "cpu.max", "max 100000"),
        ("cpu", "cpu.shares", "2"),
        ("cpu", "cpu.weight", "1"),
        ("pids", "pids.max", "max"),
    ]);
}

#[test]
fn nothing_outruns_a_kill_and_the_directory_can_go() {
    let Some(ground) = Ground::new("kill") else { return };
    let limits = Resources { pids_limit: Some(200), ..Resources::default() };
    ground.cgroups.limit(&ground.path, &limits).unwrap();
    // Each process leaves two behind and ends: no list of them is ever true. The first one forks once, while it
    // still can.
    let mut first = ground.run("bomb() { sleep 0.01; bomb & bomb & }; (bomb & bomb &) 2>&1; exec sleep 1000");
    assert!(!ground.cgroups.processes(&ground.path).unwrap().is_empty());
    ground.cgroups.kill(&ground.path).unwrap();

    assert!(ground.cgroups.processes(&ground.path).unwrap().is_empty());
    assert_eq!(std::os::unix::process::ExitStatusExt::signal(&first.wait().unwrap()), Some(libc::SIGKILL));
    assert_eq!(ground.read("pids", "pids.max").unwrap_or("200".into()), "200");
    ground.cgroups.remove(&ground.path).unwrap();
    assert!(ground.cgroups.directories(&ground.path).unwrap().is_empty());
    ground.cgroups.remove(&ground.path).unwrap();
}

#[test]
fn what_shares_little_processor_time_ends_at_once_and_the_quotas_are_there_again() {
    let Some(ground) = Ground::new("quota") else { return };
    let pod = Ground { cgroups: ground.cgroups.clone(), path: ground.path.join("pods/uid") };
    let container = Ground { cgroups: ground.cgroups.clone(), path: pod.path.join("main") };
    let little = Resources { cpu_limit_milli: Some(10), ..Resources::default() };
    ground.cgroups.make(&pod.path, &Resources::default()).unwrap();
    for hierarchy in &ground.cgroups.hierarchies {
        hierarchy.make(&container.path).unwrap();
    }
    let mut child = container.run("for i in 1 2 3 4 5 6 7 8 9 10; do while :; do :; done & done; wait");
    let all = || ground.cgroups.processes(&container.path).unwrap().len() == 11;
    let mut looks = 0..1000;
    while !all() && looks.next().is_some() {
        poll(&mut [], Some(&Timespec { tv_sec: 0, tv_nsec: 10_000_000 })).unwrap();
    }
    assert!(all());
    let quotas = || {
        let of = |place: &Ground| place.read("cpu", "cpu.cfs_quota_us").or(place.read("cpu", "cpu.max"));
        [of(&pod), of(&container)]
    };
    for directory in [&pod, &container] {
        ground.cgroups.limit(&directory.path, &little).unwrap();
    }
    let before = quotas();
    // Or it would have timed out.
    ground.cgroups.kill(&container.path).unwrap();
    child.wait().unwrap();
    assert_eq!(quotas(), before);
    drop((container, pod));
}

#[test]
fn a_frozen_process_is_killed_too() {
    let Some(ground) = Ground::new("frozen") else { return };
    let mut child = ground.run("sleep 1000");
    let freezers = [("freezer", "freezer.state", "FROZEN"), ("memory", "cgroup.freeze", "1")];
    for (controller, file, word) in freezers {
        if let Some(hierarchy) = ground.cgroups.hierarchies.iter().find(|hierarchy| hierarchy.has(controller))
        {
            let file = hierarchy.directory(&ground.path).join(file);
            if file.exists() {
                std::fs::write(file, word).unwrap();
            }
        }
    }
    ground.cgroups.kill(&ground.path).unwrap();
    assert!(!child.wait().unwrap().success());
}

#[test]
fn a_busy_directory_is_told_as_busy() {
    let Some(ground) = Ground::new("busy") else { return };
    let mut child = ground.run("sleep 1000");
    assert_eq!(ground.cgroups.remove(&ground.path).unwrap_err().kind(), io::ErrorKind::ResourceBusy);
    let pid = i32::try_from(child.id()).unwrap();
    assert!(ground.cgroups.processes(&ground.path).unwrap().contains(&pid));
    ground.cgroups.kill(&ground.path).unwrap();
    child.wait().unwrap();
}

#[test]
fn an_out_of_memory_kill_in_a_directory_below_is_counted() {
    let Some(ground) = Ground::new("oom") else { return };
    let limits = Resources { memory_limit: Some(8 << 20), ..Resources::default() };
    let below = Ground { cgroups: ground.cgroups.clone(), path: ground.path.join("container") };
    below.cgroups.make(&below.path, &limits).unwrap();
    assert_eq!(ground.cgroups.oom_kills(&ground.path).unwrap(), 0);
    let mut child = below.run("x=1234567890123456; while :; do x=$x$x; done");
    let pidfd = crate::sandbox::sys::pidfd::open(i32::try_from(child.id()).unwrap()).unwrap();
    let deadline = Timespec { tv_sec: 10, tv_nsec: 0 };
    let ended = poll(&mut [PollFd::new(&pidfd, PollFlags::IN)], Some(&deadline)).unwrap();
    assert_eq!(ended, 1, "the limit did not hold");
    child.wait().unwrap();
    assert_eq!(ground.cgroups.oom_kills(&ground.path).unwrap(), 1);
    drop(below);
}

#[test]
fn hierarchies_are_told_from_the_mount_table() {
    let table = "\
31 23 0:28 / /sys/fs/cgroup rw - tmpfs tmpfs rw,mode=755
32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw,relatime shared:9 - cgroup cgroup rw,cpu,cpuacct
33 31 0:29 / /mnt/again rw,relatime - cgroup cgroup rw,cpu,cpuacct
40 31 0:37 / /sys/fs/cgroup/systemd rw - cgroup cgroup rw,xattr,release_agent=/lib/x,name=systemd
41 31 0:38 / /sys/fs/cgroup/rc rw - cgroup cgroup rw,none,name=openrc
";
    let [cpu, systemd, openrc] =
        hierarchy::among(mounts::parse(table.as_bytes())).unwrap().try_into().unwrap();
    assert!(cpu.has("cpu") && cpu.has("cpuacct") && !cpu.has("memory"));
    assert_eq!([&cpu, &systemd, &openrc].map(Hierarchy::only_names), [false, true, true]);
    assert_eq!(
        cpu.directory(Path::new("/droppod/0/shims")),
        Path::new("/sys/fs/cgroup/cpu,cpuacct/droppod/0/shims")
    );
    // What only names processes limits no container: there is nothing for it to see or to enter.
    let cgroups = Cgroups { hierarchies: vec![systemd, openrc] };
    let path = Path::new("/droppod/0/pods/1/main");
    assert_eq!(cgroups.view(path).unwrap(), CgroupView::Hierarchies(Vec::new()));
    let Doors { early, late, .. } = cgroups.doors(path, 1).unwrap();
    assert_eq!(early.len() + late.len(), 0);
}
