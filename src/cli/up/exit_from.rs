//! `--exit-code-from`: whose exit code counts.

use crate::api::{Object, PodSpec};
use crate::cli::exit::Exit;
use crate::cli::failure::Failure;
use crate::cli::target::{self, Target};
use crate::daemon::{BatchReport, JobReport, PodReport};
use crate::manifest::Declared;
use crate::model::id::PodId;
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
    /// Where the caller is at home, until what is declared says more.
    namespace: String,
    name: String,
    /// `None` for a pod's only container, or the first that failed.
    container: Option<String>,
}

impl ExitFrom {
    pub(super) fn parse(text: &str, home: &str) -> Result<ExitFrom, Failure> {
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
            (Some(kind), Some(name)) => {
                Ok(ExitFrom { kind, namespace: home.to_owned(), name: name.to_owned(), container })
            }
            (Some(_) | None, _) => Err(Failure::new(Exit::Usage, format!("`{text}` has no exit code"))
                .help("name a pod or a Job: --exit-code-from pod/NAME, job/NAME or pod/NAME:CONTAINER")),
        }
    }

    pub(super) fn of_pod(namespace: &str, name: &str) -> ExitFrom {
        let (namespace, name) = (namespace.to_owned(), name.to_owned());
        ExitFrom { kind: Kind::Pod, namespace, container: Some(name.clone()), name }
    }

    /// Which of the declared objects it is: that of the caller's namespace, or the only one of its name.
    pub(super) fn among(mut self, declared: &[(usize, Declared)]) -> Result<ExitFrom, Failure> {
        let of_kind = |one: &'_ Declared| match &*one.object {
            Object::Pod(_) => self.kind == Kind::Pod,
            Object::Job(_) => self.kind == Kind::Job,
            Object::ConfigMap(_)
            | Object::Secret(_)
            | Object::Namespace(_)
            | Object::CronJob(_)
            | Object::Unserved { .. } => false,
        };
        let of_kind: Vec<&Declared> =
            declared.iter().map(|(_, one)| one).filter(|one| of_kind(one)).collect();
        let word = self.kind.word();
        let refuse = |what: String, help: String| Err(Failure::new(Exit::Usage, what).help(help));
        let named: Vec<&Declared> = of_kind.iter().copied().filter(|one| one.key.name == self.name).collect();
        let at_home = named.iter().copied().find(|one| one.key.namespace == self.namespace);
        let found = match (at_home, &named[..]) {
            (Some(found), _) => found,
            (None, [found]) => *found,
            (None, []) => {
                let there: Vec<&str> = of_kind.iter().map(|one| one.key.name.as_str()).collect();
                let what = format!("the manifests declare no {word} {}", self.name);
                return refuse(what, format!("the {word}s there are: {}", there.join(", ")));
            }
            (None, named) => {
                let mut there: Vec<&str> = named.iter().map(|one| one.key.namespace.as_str()).collect();
                there.sort_unstable();
                let what = format!("more than one {word} is named {}", self.name);
                return refuse(
                    what,
                    format!("say with -n which is meant; their namespaces: {}", there.join(", ")),
                );
            }
        };
        let containers = containers_of(&found.object);
        if let Some(container) = self.container.as_ref().filter(|name| !containers.contains(&name.as_str())) {
            let what = format!("{word} {} has no container {container}", self.name);
            return refuse(what, format!("the containers there are: {}", containers.join(", ")));
        }
        self.namespace.clone_from(&found.key.namespace);
        Ok(self)
    }

    /// `None` if it has not ended.
    pub(super) fn code(&self, report: &BatchReport) -> Option<i32> {
        match self.kind {
            Kind::Pod => {
                let named = |one: &&PodReport| {
                    let PodId { namespace, name, .. } = &one.pod;
                    one.owner.is_none() && *namespace == self.namespace && *name == self.name
                };
                facts::exit_code(&report.pods.iter().find(named)?.course, self.container.as_deref())
            }
            Kind::Job => {
                let named =
                    |job: &&JobReport| job.key.namespace == self.namespace && job.key.name == self.name;
                let job = report.jobs.iter().find(named)?;
                self.code_of(job, report)
            }
        }
    }

    /// Of a Job that failed, that of the pod which failed last; if none did, of the last that was stopped with it. A pod
    /// of an index that failed counts before others, one of an index that is completed does not: it was forgiven.
    fn code_of(&self, job: &JobReport, report: &BatchReport) -> Option<i32> {
        match facts::ending(job)? {
            Ending::Success => Some(0),
            Ending::Failure => {
                let own = |one: &&PodReport| one.owner.as_ref().is_some_and(|owner| owner.uid == job.uid);
                let code = |one: &PodReport| facts::exit_code(&one.course, self.container.as_deref());
                let forgiven =
                    |one: &&PodReport| one.index.is_some_and(|index| job.record.completed.contains(index));
                let own = report.pods.iter().filter(own).filter(|one| !forgiven(one));
                let bad = own.filter_map(|one| Some((one, code(one).filter(|code| *code != 0)?)));
                let is_to_blame = |one: &PodReport| {
                    one.index.is_some_and(|index| job.record.failed_indexes.contains(index))
                };
                let rank = |one: &PodReport| {
                    (facts::has_failed(&one.course), is_to_blame(one), facts::ended_at(&one.course))
                };
                bad.max_by_key(|(one, _)| rank(one)).map(|(_, code)| code)
            }
        }
    }
}

fn containers_of(object: &Object) -> Vec<&str> {
    let spec = match object {
        Object::Pod(pod) => pod.spec.as_ref(),
        Object::Job(job) => job.spec.as_ref().and_then(|spec| spec.template.spec.as_ref()),
        Object::ConfigMap(_)
        | Object::Secret(_)
        | Object::Namespace(_)
        | Object::CronJob(_)
        | Object::Unserved { .. } => None,
    };
    spec.map(containers).unwrap_or_default()
}

fn containers(spec: &PodSpec) -> Vec<&str> {
    let all = spec.init_containers.iter().flatten().chain(&spec.containers);
    all.map(|container| container.name.as_str()).collect()
}

#[cfg(test)]
mod tests {
    use super::super::facts::tests::{container, ended, job, pod};
    use super::*;
    use crate::manifest::{Policy, Strictness, read};
    use crate::model::job::JobEnd;
    use crate::model::pod_plan::Role;
    use crate::model::record::Outcome;

    #[test]
    fn pods_and_jobs_have_exit_codes_and_nothing_else_has() {
        let parsed = |text: &str| ExitFrom::parse(text, "home").map_err(|failure| failure.exit());
        let of = |kind, name: &str, container: Option<&str>| {
            let (namespace, name) = ("home".into(), name.into());
            Ok(ExitFrom { kind, namespace, name, container: container.map(str::to_owned) })
        };
        assert_eq!(parsed("pod/a"), of(Kind::Pod, "a", None));
        assert_eq!(parsed("po/a:main"), of(Kind::Pod, "a", Some("main")));
        assert_eq!(parsed("job/b"), of(Kind::Job, "b", None));
        assert_eq!(parsed("jobs.batch/b:c"), of(Kind::Job, "b", Some("c")));
        for wrong in ["a", "cm/a", "pod/", "cronjob/a"] {
            assert_eq!(parsed(wrong), Err(Exit::Usage), "{wrong}");
        }
    }
    fn among(from: &str, home: &str, namespaces: &[&str]) -> Result<String, Exit> {
        let manifest = |namespace: &&str| {
            format!(
                "apiVersion: v1\nkind: Pod\nmetadata: {{name: tests, namespace: {namespace}}}\n\
                 spec: {{containers: [{{name: main, image: busybox}}]}}\n"
            )
        };
        let text = namespaces.iter().map(manifest).collect::<Vec<_>>().join("---\n");
        let read = read(text.as_bytes(), home, Strictness::Strict, &Policy::default());
        let declared: Vec<(usize, Declared)> = read.objects.into_iter().map(|one| (0, one)).collect();
        let from = ExitFrom::parse(from, home).and_then(|from| from.among(&declared));
        from.map(|from| from.namespace).map_err(|failure| failure.exit())
    }

    #[test]
    fn the_namespace_at_home_counts_then_the_only_one() {
        assert_eq!(among("pod/tests", "b", &["a", "b", "c"]), Ok("b".into()));
        assert_eq!(among("pod/tests:main", "default", &["c"]), Ok("c".into()));
        assert_eq!(among("pod/tests", "default", &["a", "b"]), Err(Exit::Usage));
        assert_eq!(among("pod/other", "a", &["a"]), Err(Exit::Usage));
        assert_eq!(among("pod/tests:other", "a", &["a"]), Err(Exit::Usage));
        assert_eq!(among("job/tests", "a", &["a"]), Err(Exit::Usage));
    }

    #[test]
    fn objects_of_one_name_in_other_namespaces_do_not_count() {
        let of = |namespace: &str, code| {
            let course = ended(Outcome::Succeeded, vec![container("main", Role::App, code)]);
            let one = pod("tests", None, course);
            PodReport { pod: PodId { namespace: namespace.into(), ..one.pod.clone() }, ..one }
        };
        for pods in [vec![of("a", 1), of("b", 2)], vec![of("b", 2), of("a", 1)]] {
            let report = BatchReport { pods, ..BatchReport::default() };
            assert_eq!(ExitFrom::parse("pod/tests", "b").unwrap().code(&report), Some(2));
            assert_eq!(ExitFrom::parse("pod/tests", "c").unwrap().code(&report), None);
        }
    }

    #[test]
    fn a_job_that_was_ended_early_has_the_code_of_its_pod_that_was_stopped() {
        let stopped =
            |code| pod("j-x", Some(9), ended(Outcome::Deleted, vec![container("main", Role::App, code)]));
        let failed = Outcome::Failed { reason: String::new(), message: String::new() };
        let failed = || pod("j-y", Some(9), ended(failed.clone(), vec![container("main", Role::App, 42)]));
        let code = |pods| {
            let jobs = vec![job("j", 9, Some(JobEnd::DeadlineExceeded))];
            let report = BatchReport { pods, jobs, hopeless: None };
            ExitFrom::parse("job/j", "default").unwrap().code(&report)
        };
        assert_eq!(code(vec![stopped(33)]), Some(33));
        assert_eq!(code(vec![failed(), stopped(33)]), Some(42));
        assert_eq!(code(vec![stopped(0)]), None, "a Job that failed is no success");
    }

    #[test]
    fn what_was_forgiven_gives_no_exit_code() {
        let failed = |index, code| {
            let outcome = Outcome::Failed { reason: String::new(), message: String::new() };
            let one = pod("j-x", Some(9), ended(outcome, vec![container("main", Role::App, code)]));
            PodReport { index: Some(index), ..one }
        };
        let code = |pods| {
            let mut job = job("j", 9, Some(JobEnd::FailedIndexes));
            job.record.failed_indexes.insert(0);
            job.record.completed.insert(1);
            let report = BatchReport { pods, jobs: vec![job], hopeless: None };
            ExitFrom::parse("job/j", "default").unwrap().code(&report)
        };
        assert_eq!(code(vec![failed(0, 42), failed(1, 7)]), Some(42), "index 1 succeeded in the end");
        assert_eq!(code(vec![failed(0, 42), failed(2, 9)]), Some(42), "index 2 was not given up");
        assert_eq!(code(vec![failed(2, 9)]), Some(9));
    }
}
