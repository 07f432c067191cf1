//! Starting a pod process: everything it needs is written down before it is made, and undone if it is not.

use std::ffi::OsStr;
use std::fs::{DirBuilder, File, OpenOptions};
use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::PathBuf;

use crate::failpoint;
use crate::model::pod_plan::{NetworkPlan, PodPlan};
use crate::model::time::Now;
use crate::paths::{Places, PodDir};
use crate::publish::{remove, remove_tree};
use crate::rundir::lock::Lock;
use crate::rundir::{goal, lease};
use crate::sandbox::spawn::{LIFELINE_FD, LOCK_FD};

use super::{ActError, Acted, Hands, clear, goal_of, memory};

// `SealedBinary::start` hands descriptors over from 3 on, in order.
const _: () = assert!(LOCK_FD == 3 && LIFELINE_FD == 4);

impl Hands {
    /// One that fails leaves nothing but what is remembered of it: the pod then waits for the next try.
    pub(super) fn launch(&mut self, plan: &PodPlan, now: Now) -> Result<Acted, ActError> {
        let started = write_down(&self.places, plan).and_then(|lock| match lock {
            Some(lock) => self.start(plan, &lock).map(|()| Acted::Done),
            None => Ok(Acted::AlreadySo),
        });
        match started {
            Ok(Acted::Done) => {
                memory::note_launch(&self.places, plan, now)?;
                failpoint::reach("launch noted").map_err(ActError::pod("write down the start", &plan.id))?;
                Ok(Acted::Done)
            }
            Ok(Acted::AlreadySo) => Ok(Acted::AlreadySo),
            Err(source) => {
                // The first failure is the one to tell; the next try does all of it again.
                drop(clear(&self.cgroups, &self.places, &plan.id));
                drop(memory::note_death(&self.places, &plan.id, None, &source.to_string(), now));
                Err(ActError::pod("start the process", &plan.id)(source))
            }
        }
    }

    fn start(&mut self, plan: &PodPlan, lock: &Lock) -> io::Result<()> {
        let directory = self.places.pod(&plan.id.uid);
        let mut handed = vec![lock.as_fd()];
        handed.extend(self.lifeline.as_ref().map(AsFd::as_fd));
        // Not our own standard error: the pod would hold a pipe or a terminal open after us.
        let output =
            OpenOptions::new().create(true).append(true).mode(0o600).open(output_file(&directory))?;
        let args = [OsStr::new("shim"), directory.0.as_os_str()];
        let birthplace = self.cgroups.birthplace(&self.places.shim_cgroup());
        let cgroup = birthplace.as_ref().map(AsFd::as_fd);
        let child = self.binary.start_in(cgroup, &args, output.as_fd(), &handed)?;
        self.children.add_pod(&plan.id.uid, child);
        // It lives: nothing that fails from here on may have another started beside it.
        failpoint::pass("process started");
        Ok(())
    }
}

/// What the pod process itself writes, as a rule nothing: why it died, if it could say.
pub(super) fn output_file(pod: &PodDir) -> PathBuf {
    pod.0.join("shim.log")
}

/// The lock comes back to be handed on; `None` if a process holds it: the pod lives already.
pub(super) fn write_down(places: &Places, plan: &PodPlan) -> io::Result<Option<Lock>> {
    let directory = places.pod(&plan.id.uid);
    make_directories(&directory)?;
    failpoint::reach("pod directory made")?;
    let Some(lock) = Lock::try_take(&directory.lock())? else { return Ok(None) };
    failpoint::reach("lock taken")?;
    if let NetworkPlan::Bridge { address, .. } = &plan.network {
        lease::take(places, *address, &plan.id.uid)?;
        failpoint::reach("address leased")?;
    }
    // A pod process that dies before it says anything must not be taken for the one before it, nor its runs for others.
    remove_tree(&directory.exits())?;
    std::fs::create_dir(directory.exits())?;
    remove(&directory.record())?;
    remove(&directory.waiting())?;
    goal::write(&directory, &goal_of(places, plan, None))?;
    failpoint::reach("goal written")?;
    Ok(Some(lock))
}

fn make_directories(pod: &PodDir) -> io::Result<()> {
    let mut builder = DirBuilder::new();
    builder.recursive(true).mode(0o700);
    builder.create(&pod.0)?;
    // The directory may be one that a waiting record was written to, made with the umask of its writer.
    let directory = File::open(&pod.0)?;
    rustix::fs::fchmod(directory, rustix::fs::Mode::RWXU)?;
    Ok(())
}
