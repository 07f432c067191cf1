//! The course that a process is made to fail in: pods come to run, restart, end, are changed and go.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use serde_json::Value;

use super::OF_DOWN;
use super::verdict::{drafts_below, ended, ends, is_complete, objects, one, runs, runs_once};
use crate::bench::{Bench, Running, let_pass};
use crate::image::made::Made;
use crate::image::registry::{HOST, Registry};

/// A place on the machine, the network and the discs, with a container before, one beside and one that is restarted;
/// something that ends; something that is counted; something that waits for its time.
const COURSE: &str = "
apiVersion: v1
kind: ConfigMap
metadata: {name: settings}
data: {key: VALUE}
---
apiVersion: v1
kind: Pod
metadata: {name: web, labels: {value: VALUE}}
spec:
  terminationGracePeriodSeconds: 1
  volumes: [{name: scratch, emptyDir: {}}, {name: settings, configMap: {name: settings}}]
  initContainers:
  - {name: before, image: 'IMAGE', command: [/bin/busybox, 'true']}
  - {name: beside, image: 'IMAGE', restartPolicy: Always, command: [/bin/busybox, sleep, '1000']}
  containers:
  - name: main
    image: 'IMAGE'
    command: [/bin/busybox, sh, -c, 'test -e /scratch/second || { touch /scratch/second; exit 1; }; exec sleep 1000']
    ports: [{containerPort: 80, hostPort: 8080}]
    readinessProbe: {exec: {command: [/bin/busybox, test, -e, /settings/key]}, periodSeconds: 1}
    volumeMounts: [{name: scratch, mountPath: /scratch}, {name: settings, mountPath: /settings}]
---
apiVersion: v1
kind: Pod
metadata: {name: once}
spec:
  restartPolicy: Never
  volumes: [{name: out, hostPath: {path: OUT}}]
  containers:
  - name: main
    image: 'IMAGE'
    command: [/bin/busybox, sh, -c, 'echo once; echo ran >>/out/once; exit 7']
    volumeMounts: [{name: out, mountPath: /out}]
---
apiVersion: batch/v1
kind: Job
metadata: {name: job}
spec:
  template:
    spec:
      restartPolicy: Never
      volumes: [{name: out, hostPath: {path: OUT}}]
      containers:
      - name: main
        image: 'IMAGE'
        command: [/bin/busybox, sh, -c, 'echo ran >>/out/job']
        volumeMounts: [{name: out, mountPath: /out}]
---
apiVersion: batch/v1
kind: CronJob
metadata: {name: later}
spec:
  schedule: '@yearly'
  jobTemplate:
    spec: {template: {spec: {restartPolicy: Never, containers: [{name: main, image: 'IMAGE'}]}}}
";

/// Between two looks, each by a program, in many courses at a time.
const BETWEEN_LOOKS: Duration = Duration::from_millis(150);

/// Longest wait for a fact: a minute of a schedule, and as long for a busy machine.
const PATIENCE: Duration = Duration::from_secs(120);

/// What happens, and where.
#[derive(Debug, Clone)]
pub(super) struct Order {
    pub(super) fault: Fault,
    /// Which time a process gets there.
    pub(super) ordinal: u32,
    pub(super) boundary: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    Kill,
    NoRoom,
    BrokenDisc,
    /// Late, and meanwhile the manifest is edited.
    LateForAnEdit,
    /// Late, and meanwhile the manifest is removed, or comes back if it was removed.
    LateForTheReverse,
}

impl Fault {
    fn word(self) -> &'static str {
        match self {
            Fault::Kill => "kill",
            Fault::NoRoom => "ENOSPC",
            Fault::BrokenDisc => "EIO",
            Fault::LateForAnEdit | Fault::LateForTheReverse => "delay",
        }
    }
}

impl std::fmt::Display for Order {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "{} {} {}", self.fault.word(), self.ordinal, self.boundary)
    }
}

/// One bench and what goes on in it.
pub(super) struct Course<'a> {
    order: &'a Order,
    pub(super) bench: Bench,
    watch: Option<Running>,
    manifest: String,
    /// While the bench has its network.
    _registry: Option<Registry>,
}

/// Tells whether anybody came to where it was to fail; `None` where journeys cannot be made.
pub(super) fn run(image: &Made, order: &Order) -> Option<bool> {
    let mut course = Course::begin(image, order, COURSE)?;
    course.bench.manifest("all.yaml", &course.declared("one"));
    match order.fault {
        Fault::Kill | Fault::LateForAnEdit if OF_DOWN.contains(&order.boundary.as_str()) => {
            course.is_stopped()
        }
        Fault::Kill | Fault::NoRoom | Fault::BrokenDisc => course.goes_on(),
        Fault::LateForAnEdit => course.is_edited_meanwhile(),
        Fault::LateForTheReverse => course.is_reversed_meanwhile(),
    }
    Some(course.end())
}

impl Course<'_> {
    pub(super) fn begin<'a>(image: &Made, order: &'a Order, manifest: &str) -> Option<Course<'a>> {
        let bench = Bench::new()?;
        let of_registry =
            ["manifest resolved", "blob made", "blob verified"].contains(&order.boundary.as_str());
        let (registry, name) = if of_registry {
            let registry = Registry::start(&bench)?;
            registry.push(image, "image", "1");
            (Some(registry), format!("{HOST}/image:1"))
        } else {
            image.write_docker_archive(&bench.path("image.tar"), "image:1");
            (None, "docker-archive:../image.tar".to_owned())
        };
        let out = bench.path("ran");
        fs::create_dir(&out).unwrap();
        fs::set_permissions(&out, fs::Permissions::from_mode(0o777)).unwrap();
        fs::create_dir(bench.path("s")).unwrap();
        fs::write(bench.path("s/failpoint"), order.to_string()).unwrap();
        let manifest = manifest.replace("IMAGE", &name).replace("OUT", out.to_str().unwrap());
        Some(Course { order, watch: Some(bench.watch()), bench, manifest, _registry: registry })
    }

    pub(super) fn declared(&self, value: &str) -> String {
        self.manifest.replace("VALUE", value)
    }

    fn is_obeyed(&self) -> bool {
        !self.bench.path("s/failpoint").exists()
    }

    /// Waits for whoever came there and is late yet.
    fn until_nobody_is_late(&self) {
        let late = self.bench.path("s/late");
        let is_late = || match fs::read_to_string(&late) {
            Ok(pid) => pid.parse::<u32>().is_err() || fs::exists(format!("/proc/{pid}")).unwrap(),
            Err(_) => false,
        };
        self.bench.until_at_most(PATIENCE, &format!("{}: nobody is late", self.order), || !is_late());
    }

    /// Waits for a fact by a watcher that may be killed by what it is ordered to reach, and is put back.
    pub(super) fn until(&mut self, fact: &str, mut holds: impl FnMut(&Bench) -> bool) {
        let (bench, watch) = (&self.bench, &mut self.watch);
        bench.until_at_most(PATIENCE, &format!("{}: {fact}", self.order), || {
            if !watch.as_mut().is_some_and(Running::is_running) {
                *watch = Some(bench.watch());
            }
            holds(bench) || {
                let_pass(BETWEEN_LOOKS);
                false
            }
        });
    }

    fn until_as_declared(&mut self, value: &str) {
        self.until("all is as declared", |bench| {
            let all = objects(bench);
            runs(&all, value) && ended(&all).is_some() && is_complete(&all)
        });
    }

    /// Until somebody has obeyed, or all is as declared with nobody having come there.
    fn until_obeyed_or_as_declared(&mut self) {
        let order = self.bench.path("s/failpoint");
        self.until("somebody comes there, or all is as declared", |bench| {
            let all = if order.exists() { objects(bench) } else { Vec::new() };
            !order.exists() || (runs(&all, "one") && ended(&all).is_some() && is_complete(&all))
        });
    }

    fn goes_on(&mut self) {
        self.until_as_declared("one");
        // One that was killed may have been this pod's own, and is told as ready for a moment yet.
        let is_past = self.is_obeyed() && self.order.fault != Fault::Kill;
        let before = one(&objects(&self.bench), "Pod", "web");
        self.bench.manifest("all.yaml", &self.declared("two"));
        self.until_edited("two");
        let after = one(&objects(&self.bench), "Pod", "web");
        assert_eq!(before["metadata"]["uid"], after["metadata"]["uid"], "{}: edited in place", self.order);
        if is_past {
            let ids = |pod: &Value| pod["status"]["containerStatuses"][0]["containerID"].clone();
            assert_eq!(ids(&before), ids(&after), "{}: edited in place", self.order);
        }
        self.ends_are_true();
        self.goes();
    }

    fn is_edited_meanwhile(&mut self) {
        self.until_obeyed_or_as_declared();
        self.bench.manifest("all.yaml", &self.declared("two"));
        self.until_edited("two");
        self.ends_are_true();
        self.goes();
    }

    /// By a `down`, and goes on with the next watcher.
    fn is_stopped(&mut self) {
        self.until_as_declared("one");
        if let Some(watch) = self.watch.take() {
            assert_eq!(watch.stop(), 0, "{}", self.order);
        }
        let order = self.bench.path("s/failpoint");
        let mut down = self.bench.start(&["down"]);
        self.bench.until("somebody comes there", || !order.exists());
        let value = if self.order.fault == Fault::Kill { "one" } else { "two" };
        self.bench.manifest("all.yaml", &self.declared(value));
        assert!(down.child.wait().unwrap().success(), "{}", self.order);
        self.bench.until_no_container();
        self.watch = Some(self.bench.watch());
        self.until_edited(value);
        self.ends_are_true();
        self.goes();
    }

    fn is_reversed_meanwhile(&mut self) {
        self.until_obeyed_or_as_declared();
        let was_late = self.is_obeyed();
        self.bench.remove("all.yaml");
        if !was_late {
            let order = self.bench.path("s/failpoint");
            self.until("somebody comes there", |_| !order.exists());
            self.bench.manifest("all.yaml", &self.declared("two"));
            self.until_edited("two");
            self.bench.remove("all.yaml");
        }
        self.until_nothing_is_left();
    }

    fn until_edited(&mut self, value: &str) {
        self.until_as_declared(value);
        self.until("the container sees the edit", |bench| {
            bench.run(&["exec", "web", "-c", "main", "--", "/bin/busybox", "cat", "/settings/key"]).stdout
                == value
        });
    }

    fn ends_are_true(&self) {
        let order = self.order;
        let (reason, code) = ended(&objects(&self.bench)).unwrap();
        assert!(ends(order).contains(&(reason.as_str(), code)), "{order}: {reason} {code}");
        let ran = |name: &str| {
            fs::read_to_string(self.bench.path("ran").join(name)).unwrap_or_default().lines().count()
        };
        assert!(ran("job") >= 1, "{order}");
        // A pod process that was killed may take the last words with it.
        if reason == "Error" && order.fault != Fault::Kill {
            assert_eq!(ran("once"), 1, "{order}");
            assert_eq!(self.bench.run(&["logs", "once"]).stdout, "once\n", "{order}");
        }
        // What is never to run again does not, whoever is killed.
        assert!(ran("once") <= 1, "{order}: {reason} {code}");
        if runs_once(order) {
            let begun = usize::from(reason != "ContainerCannotRun");
            assert_eq!((ran("once"), ran("job")), (begun, 1), "{order}: {reason} {code}");
        }
    }

    fn goes(&mut self) {
        self.bench.remove("all.yaml");
        self.until_nothing_is_left();
    }

    pub(super) fn until_nothing_is_left(&mut self) {
        // What is late may be what will be there: an object that is not recorded yet.
        self.until_nobody_is_late();
        self.until("nothing is left", |bench| {
            bench.census().is_empty()
                && bench.run(&["get", "pods,jobs,cronjobs,cm", "-o", "name"]).stdout.is_empty()
        });
    }

    pub(super) fn end(mut self) -> bool {
        let order = self.order;
        assert!(!self.bench.folder().join("all.status.yaml").exists(), "{order}: its status stays");
        self.bench.run(&["doctor", "--census"]).exits(0);
        if let Some(watch) = self.watch.take() {
            assert_eq!(watch.stop(), 0, "{order}");
        }
        let mut drafts = Vec::new();
        for place in ["s", "r", "m"] {
            drafts_below(&self.bench.path(place), &mut drafts);
        }
        assert!(drafts.is_empty(), "{order}: {drafts:?}");
        self.is_obeyed()
    }
}
