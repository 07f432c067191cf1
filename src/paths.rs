//! Where everything lies below the state, run and log directories. Names only; nothing here touches a disc.

use std::path::{Path, PathBuf};

use crate::model::id::{InstanceId, PodId, Uid};

/// The directories of one instance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Places {
    /// Durable: objects, images, volumes. `/var/lib/droppod`.
    pub(crate) state: PathBuf,
    /// tmpfs: pods, leases, sockets. `/run/droppod`.
    pub(crate) run: PathBuf,
    /// `/var/log/pods`.
    pub(crate) log: PathBuf,
    /// The image store, `<state>/images`; an `up` shares that of the machine.
    pub(crate) images: PathBuf,
    pub(crate) id: InstanceId,
}

impl Places {
    pub(crate) fn objects(&self) -> PathBuf {
        self.state.join("objects")
    }

    pub(crate) fn object(&self, uid: &Uid) -> ObjectDir {
        ObjectDir(self.objects().join(uid.as_str()))
    }

    pub(crate) fn pods(&self) -> PathBuf {
        self.run.join("pods")
    }

    pub(crate) fn pod(&self, uid: &Uid) -> PodDir {
        PodDir(self.pods().join(uid.as_str()))
    }

    pub(crate) fn leases(&self) -> PathBuf {
        self.run.join("leases")
    }

    /// What is remembered of pods while their processes come and go, one file for each.
    pub(crate) fn starts(&self) -> PathBuf {
        self.run.join("starts")
    }

    pub(crate) fn start(&self, uid: &Uid) -> PathBuf {
        self.starts().join(format!("{uid}.json"))
    }

    /// Which directories the watched folders were, one file for each.
    pub(crate) fn folders(&self) -> PathBuf {
        self.state.join("folders")
    }

    /// Failures of image pulls, one file for each reference.
    pub(crate) fn pulls(&self) -> PathBuf {
        self.run.join("pulls")
    }

    /// Which objects a person has deleted that no file declares, one file for each: the watcher carries it out.
    pub(crate) fn deletions(&self) -> PathBuf {
        self.run.join("deletions")
    }

    pub(crate) fn deletion(&self, uid: &Uid) -> PathBuf {
        self.deletions().join(format!("{uid}.json"))
    }

    /// Archives to be loaded lie beside the store that they are loaded into, which an `up` shares.
    pub(crate) fn preload(&self) -> PathBuf {
        self.images.with_file_name("preload")
    }

    /// Seccomp profiles of the machine's owner, beside the image store as [`Places::preload`].
    pub(crate) fn seccomp(&self) -> PathBuf {
        self.images.with_file_name("seccomp")
    }

    /// Writable layers and `emptyDir` volumes that lie on disc, one directory for each pod.
    pub(crate) fn scratch(&self, uid: &Uid) -> PathBuf {
        self.state.join("scratch").join(uid.as_str())
    }

    /// Held by the one `watch` or `up` that writes desired state here.
    pub(crate) fn lock(&self) -> PathBuf {
        self.state.join("lock")
    }

    /// What the instance's network is: bridge, range, gateway.
    pub(crate) fn network(&self) -> PathBuf {
        self.run.join("network.json")
    }

    /// What the watcher that took the lock last was given.
    pub(crate) fn watcher(&self) -> PathBuf {
        self.state.join("watcher.json")
    }

    /// Marks the run directory as ours, in this boot.
    pub(crate) fn boot_mark(&self) -> PathBuf {
        self.run.join("boot-id")
    }

    /// What the machine's root does not show to the instance's pods.
    pub(crate) fn hidden(&self) -> PathBuf {
        self.run.join("hidden.json")
    }

    /// Instances of `up`, each a run directory of its own.
    pub(crate) fn ups(&self) -> PathBuf {
        self.run.join("up")
    }

    /// What the status files of an `up` are to say if it is killed.
    pub(crate) fn last_words(&self) -> PathBuf {
        self.run.join("last-words.json")
    }

    /// Tells what attaches to a pod of an `up` that nothing of it will start any more.
    pub(crate) fn over(&self) -> PathBuf {
        self.run.join("over")
    }

    /// There while an `up` shows what the containers write: how far it has read.
    pub(crate) fn reading(&self) -> PathBuf {
        self.run.join("reading")
    }

    /// Of the caller of `run -it`.
    pub(crate) fn terminal(&self) -> PathBuf {
        self.run.join("terminal.json")
    }

    /// Marks the instance of an `up` that was told to leave its records.
    pub(crate) fn kept(&self) -> PathBuf {
        self.run.join("kept")
    }

    /// Below every hierarchy's mount point.
    pub(crate) fn cgroup(&self) -> PathBuf {
        PathBuf::from(format!("/droppod/{}", self.id))
    }

    /// Where pod processes sit, apart from their pods.
    pub(crate) fn shim_cgroup(&self) -> PathBuf {
        self.cgroup().join("shims")
    }

    pub(crate) fn pod_cgroup(&self, uid: &Uid) -> PathBuf {
        self.cgroup().join("pods").join(uid.as_str())
    }

    /// kubelet's name for it, which log collectors know.
    pub(crate) fn pod_logs(&self, pod: &PodId) -> PathBuf {
        self.log.join(format!("{}_{}_{}", pod.namespace, pod.name, pod.uid))
    }
}

/// `<log-dir>/<namespace>_<pod>_<uid>/<container>/<restart>.log`
pub(crate) fn container_log(pod_logs: &Path, container: &str, restart: u32) -> PathBuf {
    pod_logs.join(container).join(format!("{restart}.log"))
}

/// `<state-dir>/objects/<uid>/`
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ObjectDir(pub(crate) PathBuf);

impl ObjectDir {
    pub(crate) fn object(&self) -> PathBuf {
        self.0.join("object.json")
    }

    pub(crate) fn finished(&self) -> PathBuf {
        self.0.join("finished.json")
    }

    /// That the pod was stopped, and is to run again.
    pub(crate) fn interrupted(&self) -> PathBuf {
        self.0.join("interrupted.json")
    }

    /// How the pod ended that was told to go for good.
    pub(crate) fn departed(&self) -> PathBuf {
        self.0.join("departed.json")
    }

    /// What the Job controller knows of a Job.
    pub(crate) fn job(&self) -> PathBuf {
        self.0.join("job.json")
    }

    /// What the CronJob controller knows of a CronJob.
    pub(crate) fn cron(&self) -> PathBuf {
        self.0.join("cronjob.json")
    }

    /// Holds the boot id under which the pod was last started.
    pub(crate) fn launched(&self) -> PathBuf {
        self.0.join("launched")
    }
}

/// `<run-dir>/pods/<uid>/`
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PodDir(pub(crate) PathBuf);

impl PodDir {
    /// What the pod process is told.
    pub(crate) fn goal(&self) -> PathBuf {
        self.0.join("goal.json")
    }

    /// What the pod process says.
    pub(crate) fn record(&self) -> PathBuf {
        self.0.join("state.json")
    }

    /// Locked by the pod process for as long as it lives.
    pub(crate) fn lock(&self) -> PathBuf {
        self.0.join("lock")
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.0.join("control.sock")
    }

    /// Why the pod has not been started yet.
    pub(crate) fn waiting(&self) -> PathBuf {
        self.0.join("waiting.json")
    }

    /// One file for each end of a container, `<container>.<restart>.json`.
    pub(crate) fn exits(&self) -> PathBuf {
        self.0.join("exits")
    }

    pub(crate) fn exit(&self, container: &str, restart: u32) -> PathBuf {
        self.exits().join(format!("{container}.{restart}.json"))
    }

    /// There from before the run's program starts until its end is recorded.
    pub(crate) fn begun(&self, container: &str, restart: u32) -> PathBuf {
        self.exits().join(format!("{container}.{restart}.begun"))
    }

    pub(crate) fn bundle(&self, container: &str) -> PathBuf {
        self.0.join("bundle").join(container)
    }

    /// libcontainer's own state.
    pub(crate) fn runtime(&self) -> PathBuf {
        self.0.join("runtime")
    }

    /// Of what is seen in the pod process's own mount namespace only: what its containers can write to, and mount points.
    pub(crate) fn mounts(&self) -> PathBuf {
        self.0.join("mnt")
    }

    /// hosts, hostname and resolv.conf, bound into each container.
    pub(crate) fn etc(&self) -> PathBuf {
        self.mounts().join("etc")
    }

    /// Bound into one run of a container, `<container>.<restart>`.
    pub(crate) fn message(&self, run: &str) -> PathBuf {
        self.mounts().join("messages").join(run)
    }

    pub(crate) fn rootfs(&self, container: &str) -> PathBuf {
        self.mounts().join("root").join(container)
    }

    pub(crate) fn volume(&self, volume: &str) -> PathBuf {
        self.mounts().join("volume").join(volume)
    }
}
