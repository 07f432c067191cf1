use std::collections::BTreeSet;
use std::path::PathBuf;

use serde_json::json;

use super::awaited::Pulls;
use super::*;
use crate::manifest::revive;
use crate::model::control::Controlled;
use crate::model::desired::{Blocked, Cause, DesiredPod, Waiting, Want};
use crate::model::job::{JobEnd, Verdict};
use crate::model::object::{ObjectRecord, Owner, Source};
use crate::model::objects::Objects;
use crate::model::observed::{ImageObservation, Outlook, PullError};
use crate::model::pod_plan::RestartPolicy;
use crate::model::record::FORMAT;
use crate::model::time::Timestamp;

#[derive(Default)]
struct Scene {
    objects: Objects,
    controlled: Controlled,
    pods: BTreeMap<Uid, DesiredPod>,
    living: BTreeSet<Uid>,
}

fn uid(number: u8) -> Uid {
    Uid::from_random([number; 16])
}

impl Scene {
    fn object(mut self, number: u8, kind: &str, spec: serde_json::Value, owner: Option<u8>) -> Scene {
        let (api_version, group) = if kind == "Pod" { ("v1", "") } else { ("batch/v1", "batch") };
        let name = format!("{}-{number}", kind.to_lowercase());
        let metadata = json!({"name": name, "namespace": "default"});
        let mut authored = json!({"apiVersion": api_version, "kind": kind, "metadata": metadata});
        authored["spec"] = spec;
        let record = ObjectRecord {
            format: FORMAT,
            uid: uid(number),
            key: ObjectKey { group: group.into(), kind: kind.into(), namespace: "default".into(), name },
            source: Source { root: PathBuf::from("/m"), path: PathBuf::from("a.yaml") },
            authored: authored.clone().into(),
            generation: 1,
            created_at: Timestamp::UNIX_EPOCH,
            deletion: None,
            owner: owner.map(|owner| Owner { uid: uid(owner), number: 0 }),
        };
        self.objects.put(Known { record, object: revive(&authored).unwrap().into() });
        self
    }

    fn pod(self, number: u8, policy: &str, want: Option<Want>) -> Scene {
        let scene = self.object(number, "Pod", json!({"restartPolicy": policy, "containers": []}), None);
        scene.want(number, want)
    }

    fn job(self, number: u8) -> Scene {
        let template = json!({"spec": {"restartPolicy": "Never", "containers": []}});
        self.object(number, "Job", json!({"template": template}), None)
    }

    fn pod_of(self, job: u8, number: u8, want: Option<Want>) -> Scene {
        self.object(number, "Pod", json!({"restartPolicy": "Never", "containers": []}), Some(job))
            .want(number, want)
    }

    fn want(mut self, number: u8, want: Option<Want>) -> Scene {
        let id = PodId { namespace: "default".into(), name: format!("pod-{number}"), uid: uid(number) };
        let restart_policy = RestartPolicy::Never;
        self.pods.extend(want.map(|want| (uid(number), DesiredPod { id, restart_policy, want })));
        self
    }

    fn ended(mut self, job: u8) -> Scene {
        let verdict =
            Verdict { reason: JobEnd::CompletionsReached, message: String::new(), at: Timestamp::UNIX_EPOCH };
        let now = crate::model::time::Now { wall: Timestamp::UNIX_EPOCH, boot: Moment(Duration::ZERO) };
        let finished = Some(crate::model::job::Present { now, boot_id: "boot" }.stamp());
        let record = JobRecord { verdict: Some(verdict), finished, ..JobRecord::default() };
        self.controlled.jobs.insert(uid(job), record);
        self
    }

    fn verdict(&self) -> Option<BatchEnd> {
        self.verdict_with(Pulls::MayCome)
    }

    fn verdict_with(&self, pulls: Pulls) -> Option<BatchEnd> {
        let awaited = awaited(&self.objects, &self.controlled, &self.pods, |_| false);
        verdict(&awaited, |uid| self.living.contains(uid), pulls)
    }

    fn hopeless(&self) -> Option<(Obstacle, &PodId, String)> {
        hopeless(&self.pods, |uid| self.living.contains(uid))
    }
}

fn waits(cause: Cause) -> Option<Want> {
    let waiting = Waiting { reason: "Waits".into(), message: String::new(), cause };
    Some(Want::wait(Blocked { containers: BTreeMap::from([("main".into(), waiting)]), pod: None }))
}

/// Stands for a pod that runs: the verdict looks at nothing else of its plan.
fn runs() -> Option<Want> {
    Some(Want::Gone { grace: None })
}

#[test]
fn a_batch_is_over_when_all_that_ends_has_ended() {
    let scene = Scene::default().pod(1, "Never", None).pod(2, "OnFailure", runs()).pod(3, "Always", runs());
    assert_eq!(scene.verdict(), None);
    let scene = Scene::default().pod(1, "Never", None).pod(2, "OnFailure", None).pod(3, "Always", runs());
    assert_eq!(scene.verdict(), Some(BatchEnd::Completed));
}

#[test]
fn endless_pods_alone_run_until_a_signal() {
    assert_eq!(Scene::default().pod(1, "Always", runs()).verdict(), None);
}

#[test]
fn an_image_that_cannot_be_had_ends_a_batch_when_nothing_else_runs() {
    for cause in [Cause::Image, Cause::Refused] {
        let scene = Scene::default().pod(1, "Never", waits(cause));
        assert_eq!(scene.verdict(), Some(BatchEnd::NoImage));
        assert_eq!(scene.pod(2, "Never", runs()).verdict(), None);
    }
}

#[test]
fn a_pull_that_failed_for_now_is_tried_again_until_the_time_is_over_or_for_some_tries() {
    let scene = Scene::default().pod(1, "Never", waits(Cause::Pull));
    assert_eq!(scene.verdict_with(Pulls::MayCome), None);
    assert_eq!(scene.verdict_with(Pulls::GivenUp), Some(BatchEnd::NoImage));
    let tried = |tries| {
        let outlook = Outlook::MayPass;
        let error = PullError { message: String::new(), tries, outlook };
        ImageObservation::Failed { error, retry_at: Moment(Duration::ZERO), stale: None }
    };
    let deadline = Some(Moment(Duration::from_secs(9)));
    for (deadline, tries, expected) in [
        (None, &[1, 5][..], Pulls::MayCome),
        (None, &[5, 6], Pulls::GivenUp),
        (deadline, &[50], Pulls::MayCome),
    ] {
        let images: Vec<ImageObservation> = tries.iter().map(|tries| tried(*tries)).collect();
        assert_eq!(pulls(deadline, images.iter()), expected, "{tries:?}");
    }
}

#[test]
fn a_report_has_pods_and_jobs_in_their_order() {
    let pod = |name: &str, owner: Option<u64>| PodReport {
        pod: PodId { namespace: "default".into(), name: name.into(), uid: uid(name.as_bytes()[0]) },
        course: Course::default(),
        owner: owner.map(|number| Owner { uid: uid(9), number }),
        index: None,
        object: None,
    };
    let pods = vec![pod("z", Some(1)), pod("c", None), pod("b", Some(10)), pod("a", Some(2)), pod("y", None)];
    let report = BatchReport::new(pods, Vec::new(), None);
    let names: Vec<&str> = report.pods.iter().map(|one| one.pod.name.as_str()).collect();
    assert_eq!(names, ["c", "y", "z", "a", "b"]);
}

#[test]
fn what_no_file_declares_ends_a_batch_and_what_passes_does_not() {
    let missing = Scene::default().pod(1, "Never", waits(Cause::Manifest));
    assert_eq!(missing.verdict(), Some(BatchEnd::Blocked));
    assert_eq!(Scene::default().pod(1, "Never", waits(Cause::Passing)).verdict(), None);
}

#[test]
fn a_job_is_waited_for_also_between_its_pods() {
    let scene = Scene::default().job(1).pod_of(1, 2, None);
    assert_eq!(scene.verdict(), None);
    assert_eq!(scene.ended(1).verdict(), Some(BatchEnd::Completed));
    let hopeless = Scene::default().job(1).pod_of(1, 2, waits(Cause::Refused));
    assert_eq!(hopeless.verdict(), Some(BatchEnd::NoImage));
}

#[test]
fn a_cron_job_alone_runs_until_a_signal_and_is_not_waited_for_beside_a_job() {
    let template = json!({"spec": {"restartPolicy": "Never", "containers": []}});
    let cron = json!({"schedule": "* * * * *", "jobTemplate": {"spec": {"template": template}}});
    let scene = Scene::default().object(1, "CronJob", cron, None);
    assert_eq!(scene.verdict(), None);
    assert_eq!(scene.job(2).ended(2).verdict(), Some(BatchEnd::Completed));
}

#[test]
fn what_can_never_start_is_named_while_others_run() {
    let scene = Scene::default().pod(1, "Never", runs()).pod(2, "Always", waits(Cause::Pull));
    assert_eq!(scene.hopeless(), None);
    let scene = scene.pod(3, "Always", waits(Cause::Image));
    let (obstacle, pod, why) = scene.hopeless().unwrap();
    assert_eq!(
        (obstacle, pod.name.as_str(), why.as_str()),
        (Obstacle::Image, "pod-3", "container main: Waits")
    );
    let missing = Scene::default().pod(1, "Never", waits(Cause::Manifest));
    assert_eq!(missing.hopeless().map(|(obstacle, _, _)| obstacle), Some(Obstacle::Reference));
}

#[test]
fn a_pod_that_is_not_allowed_is_not_waited_for() {
    let waiting = Waiting { reason: "Forbidden".into(), message: String::new(), cause: Cause::Manifest };
    let want = Want::wait(Blocked { containers: BTreeMap::new(), pod: Some(waiting) });
    let scene = Scene::default().pod(1, "Never", Some(want));
    assert_eq!(scene.verdict(), Some(BatchEnd::Blocked));
    assert_eq!(scene.hopeless().map(|(_, _, why)| why), Some("Forbidden".into()));
}

#[test]
fn a_pod_that_lives_is_waited_for_whatever_a_new_one_would_need() {
    for cause in [Cause::Image, Cause::Refused, Cause::Manifest] {
        let mut scene = Scene::default().pod(1, "Never", waits(cause));
        assert!(scene.verdict().is_some() && scene.hopeless().is_some());
        scene.living.insert(uid(1));
        assert_eq!((scene.verdict(), scene.hopeless()), (None, None), "{cause:?}");
    }
}
