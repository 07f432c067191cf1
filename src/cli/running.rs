//! Waiting for the pod that a command is about: `--pod-running-timeout`.

use std::io;
use std::os::fd::AsFd;
use std::time::Duration;

use rustix::event::PollFlags;

use crate::logs::bell::Bell;
use crate::sandbox::sys::clock;
use crate::status::{ControlStatus, job_word};

use super::exec::{choose, must_run};
use super::exit::Exit;
use super::failure::Failure;
use super::records::{Records, Shown};
use super::settings::Settings;
use super::target::{self, Looked};
use super::watching;
use super::{duration, tell};

/// How long kubectl waits for the first pod of a Job.
const FIRST_POD: Duration = Duration::from_secs(60);

#[derive(Debug, Clone, Copy, clap::Args)]
pub(super) struct RunningArgs {
    /// Wait this long for the pod to run, such as 1m
    #[arg(long, value_name = "TIME", value_parser = duration::above_zero)]
    pod_running_timeout: Option<Duration>,
}

/// What was looked for is not so.
pub(super) enum Miss {
    /// And will not be.
    Never(Failure),
    /// It may come. `wait` is how long it is waited for if the caller does not say.
    NotYet { why: Failure, wait: Duration },
}

impl RunningArgs {
    /// Unless somebody wants to wait, it is so now or not at all.
    pub(super) const AT_ONCE: RunningArgs = RunningArgs { pod_running_timeout: None };

    /// The time that the caller is ready to wait.
    pub(super) fn given(self) -> Option<Duration> {
        self.pod_running_timeout
    }

    /// Looks again whenever something changes, until there is what is looked for.
    pub(super) fn until<T>(
        self,
        settings: &Settings,
        mut look: impl FnMut(Records) -> Result<T, Miss>,
    ) -> Result<T, Failure> {
        let places = &settings.places;
        let began = clock::boot();
        // Not for who finds it at once: the kernel takes a hundredth of a second to take it down.
        let mut bell = None;
        loop {
            let records =
                bell.as_ref().map_or_else(|| Records::load(places), |bell| watching::heard(bell, places));
            let (why, wait) = match look(records?) {
                Ok(found) => return Ok(found),
                Err(Miss::Never(why)) => return Err(why),
                Err(Miss::NotYet { why, wait }) => (why, wait),
            };
            let wait = self.pod_running_timeout.unwrap_or(wait);
            if wait.is_zero() {
                return Err(why);
            }
            if clock::boot() - began >= wait {
                return Err(why.titled("timed out waiting for the condition"));
            }
            let Some(bell) = &bell else {
                // What happens before it hangs is seen by one more look.
                bell = Some(Bell::hang());
                continue;
            };
            bell.wait(io::stderr().as_fd(), PollFlags::empty()).map_err(Failure::of_output)?;
        }
    }
}

/// The pod that `word` means, and which of its containers.
pub(super) fn find(
    word: &str,
    container: Option<&str>,
    patience: RunningArgs,
    settings: &Settings,
) -> Result<(Shown, String), Failure> {
    patience.until(settings, |mut records| {
        let shown = look(&records, word, settings)?;
        let container = choose(shown, container).map_err(Miss::Never)?;
        if let Err(why) = must_run(shown, &container) {
            let over = shown.is_over(&container);
            return Err(if over { Miss::Never(why) } else { Miss::NotYet { why, wait: Duration::ZERO } });
        }
        let uid = shown.uid().clone();
        let at = records.shown.iter().position(|one| *one.uid() == uid).expect("it was found there");
        Ok((records.shown.swap_remove(at), container))
    })
}

/// A pod by its name, or the one of a Job's that is most alive.
fn look<'a>(records: &'a Records, word: &str, settings: &Settings) -> Result<&'a Shown, Miss> {
    let namespace = &settings.namespace;
    match target::looked(word).map_err(Miss::Never)? {
        Looked::Pod(name) => records.pod(namespace, name).map_err(Miss::Never),
        Looked::Job(name) => {
            let (job, mut pods) = records.pods_of_job(namespace, name).map_err(Miss::Never)?;
            pods.sort_by_key(|pod| (pod.outcome().is_some(), !runs(pod)));
            pods.first().copied().ok_or_else(|| none_yet(job, FIRST_POD))
        }
    }
}

fn runs(pod: &Shown) -> bool {
    pod.default_container().is_some_and(|container| must_run(pod, &container).is_ok())
}

/// Of a Job that has no pod.
pub(super) fn none_yet(job: &Shown, wait: Duration) -> Miss {
    let why = Failure::new(Exit::Failed, format!("job {} has no pods", job.known.record.key.name));
    let control = job.course.control.as_ref().map(|control| &control.status);
    match control {
        Some(ControlStatus::Job(status)) if ["Complete", "Failed"].contains(&job_word(None, status)) => {
            Miss::Never(why)
        }
        Some(ControlStatus::Job(_) | ControlStatus::CronJob(_)) | None => Miss::NotYet { why, wait },
    }
}

/// Which container is meant where none was named and there are others, in kubectl's words.
pub(super) fn tell_default(shown: &Shown, named: Option<&str>, chosen: &str) {
    if named.is_none() && shown.annotated_container().is_none() && shown.container_names().len() > 1 {
        tell(&format!("Defaulted container \"{chosen}\" out of: {}", shown.told_containers()));
    }
}
