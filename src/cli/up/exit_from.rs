//! `--exit-code-from`: whose exit code counts.

use crate::api::{Object, PodSpec};
use crate::cli::exit::Exit;
use crate::cli::failure::Failure;
use crate::cli::target::{self, Target};
use crate::daemon::{BatchReport, JobReport, PodReport};
use crate::manifest::Declared;
use crate::model::job::Ending;

use super::facts;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Pod,
    Job,
}

impl Kind {
    fn word(self) -> &'static str {
        match self {
            Kind::Pod => "pod",
            Kind::Job => "job",
        }
    }
}

#[derive(Debug, PartialEq, Eq)]
pub(super) struct ExitFrom {
    kind: Kind,
    name: String,
    /// `None` for a pod's only container, or the first that failed.
    container: Option<String>,
}

impl ExitFrom {
    pub(super) fn parse(text: &str) -> Result<ExitFrom, Failure> {
        let (object, container) = match text.split_once(':') {
            Some((object, container)) => (object, Some(container.to_owned())),
            None => (text, None),
        };
        let Target { kind, name } = target::slashed(object)?;
        let kind = match kind.kind {
            "Pod" => Some(Kind::Pod),
            "Job" => Some(Kind::Job),
            _ => None,
        };
        match (kind, name) {
            (Some(kind), Some(name)) => Ok(ExitFrom { kind, name: name.to_owned(), container }),
            (Some(_) | None, _) => Err(Failure::new(Exit::Usage, format!("`{text}` has no exit code"))
                .help("name a pod or a Job: --exit-code-from pod/NAME, job/NAME or pod/NAME:CONTAINER")),
        }
    }

    pub(super) fn of_pod(name: &str) -> ExitFrom {
        ExitFrom { kind: Kind::Pod, name: name.to_owned(), container: Some(name.to_owned()) }
    }

    pub(super) fn must_be_declared(&self, declared: &[(usize, Declared)]) -> Result<(), Failure> {
        let named: Vec<(&str, Vec<&str>)> = declared
            .iter()
            .filter_map(|(_, one)| match &one.object {
                Object::Pod(pod) => Some((Kind::Pod, one, pod.spec.as_ref())),
                Object::Job(job) => {
                    Some((Kind::Job, one, job.spec.as_ref().and_then(|spec| spec.template.spec.as_ref())))
                }
                Object::ConfigMap(_)
                | Object::Secret(_)
                | Object::Namespace(_)
                | Object::CronJob(_)
                | Object::Unserved { .. } => None,
            })
            .filter(|(kind, _, _)| *kind == self.kind)
            .map(|(_, one, spec)| (one.key.name.as_str(), spec.map(containers).unwrap_or_default()))
            .collect();
        let word = self.kind.word();
        let refuse = |what: String, kind: &str, there: Vec<&str>| {
            let help = format!("the {kind} there are: {}", there.join(", "));
            Err(Failure::new(Exit::Usage, what).help(help))
        };
        let Some((_, containers)) = named.iter().find(|(name, _)| *name == self.name) else {
            let there = named.iter().map(|(name, _)| *name).collect();
            return refuse(
                format!("the manifests declare no {word} {}", self.name),
                &format!("{word}s"),
                there,
            );
        };
        match &self.container {
            Some(container) if !containers.contains(&container.as_str()) => {
                let what = format!("{word} {} has no container {container}", self.name);
                refuse(what, "containers", containers.clone())
            }
            Some(_) | None => Ok(()),
        }
    }

    /// `None` if it has not ended.
    pub(super) fn code(&self, report: &BatchReport) -> Option<i32> {
        match self.kind {
            Kind::Pod => {
                let named = |one: &&PodReport| one.owner.is_none() && one.pod.name == self.name;
                facts::exit_code(&report.pods.iter().find(named)?.course, self.container.as_deref())
            }
            Kind::Job => {
                let job = report.jobs.iter().find(|job| job.key.name == self.name)?;
                self.code_of(job, report)
            }
        }
    }

    /// Of a Job that failed, that of the pod which failed last.
    fn code_of(&self, job: &JobReport, report: &BatchReport) -> Option<i32> {
        match facts::ending(job)? {
            Ending::Success => Some(0),
            Ending::Failure => {
                let own = |one: &&PodReport| one.owner.as_ref().is_some_and(|owner| owner.uid == job.uid);
                let failed = report.pods.iter().filter(own).filter(|one| facts::has_failed(&one.course));
                let last = failed.max_by_key(|one| facts::ended_at(&one.course))?;
                facts::exit_code(&last.course, self.container.as_deref())
            }
        }
    }
}

fn containers(spec: &PodSpec) -> Vec<&str> {
    let all = spec.init_containers.iter().flatten().chain(&spec.containers);
    all.map(|container| container.name.as_str()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pods_and_jobs_have_exit_codes_and_nothing_else_has() {
        let parsed = |text: &str| ExitFrom::parse(text).map_err(|failure| failure.exit());
        let of = |kind, name: &str, container: Option<&str>| {
            Ok(ExitFrom { kind, name: name.into(), container: container.map(str::to_owned) })
        };
        assert_eq!(parsed("pod/a"), of(Kind::Pod, "a", None));
        assert_eq!(parsed("po/a:main"), of(Kind::Pod, "a", Some("main")));
        assert_eq!(parsed("job/b"), of(Kind::Job, "b", None));
        assert_eq!(parsed("jobs.batch/b:c"), of(Kind::Job, "b", Some("c")));
        for wrong in ["a", "cm/a", "pod/", "cronjob/a"] {
            assert_eq!(parsed(wrong), Err(Exit::Usage), "{wrong}");
        }
    }
}
