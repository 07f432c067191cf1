use std::path::Path;

use super::*;
use crate::model::object::scope_of;

fn failed(tries: u32, retry_at: u64) -> ImageObservation {
    ImageObservation::Failed {
        error: PullError {
            message: "no route to host".to_owned(),
            tries,
            outlook: crate::model::observed::Outlook::MayPass,
        },
        retry_at: at(retry_at).boot,
        stale: None,
    }
}

fn registry(name: &str) -> ImageRef {
    ImageRef::parse(name, Path::new("/")).unwrap()
}

#[test]
fn an_absent_image_is_pulled_and_the_container_is_being_created() {
    for policy in ["Always", "IfNotPresent"] {
        let scene = Scene::new().web(json!({"image": "absent:1", "imagePullPolicy": policy}));
        assert_eq!(scene.blocked("web"), Blocked { containers: BTreeMap::new(), pod: None });
        assert_eq!(scene.desired().pulls, BTreeSet::from([registry("absent:1")]));
    }
}

#[test]
fn a_pull_under_way_is_not_asked_for_again() {
    let mut scene = Scene::new().web(json!({"image": "absent:1"}));
    scene.observed.images.insert(registry("absent:1"), ImageObservation::Pulling);
    assert_eq!(scene.blocked("web").containers, BTreeMap::new());
    assert_eq!(scene.desired().pulls, BTreeSet::new());
}

#[test]
fn a_failed_pull_backs_off_and_is_tried_again_when_due() {
    let mut scene = Scene::new().web(json!({"image": "absent:1"}));
    let cases = [
        (1, 90, "ErrImagePull", "no route to host", true),
        (1, 110, "ErrImagePull", "no route to host", false),
        (2, 110, "ImagePullBackOff", "Back-off pulling image \"absent:1\": no route to host", false),
        (4, 100, "ImagePullBackOff", "Back-off pulling image \"absent:1\": no route to host", true),
    ];
    for (tries, retry_at, reason, message, pulled) in cases {
        scene.observed.images.insert(registry("absent:1"), failed(tries, retry_at));
        assert_eq!(scene.waits(), (reason.to_owned(), message.to_owned()));
        assert_eq!(!scene.desired().pulls.is_empty(), pulled);
    }
}

#[test]
fn always_pulls_an_image_that_is_older_than_the_pod_once() {
    let mut scene = Scene::new().web(json!({"imagePullPolicy": "Always"}));
    let image = |seconds| ImageObservation::Present {
        image: StoredImage { digest: String::new(), layers: Vec::new(), config: ImageConfig::default() },
        resolved_at: at(seconds).wall,
    };
    scene.observed.images.insert(registry("web:1"), image(0));
    assert_eq!(scene.desired().pulls, BTreeSet::from([registry("web:1")]));
    scene.observed.images.insert(registry("web:1"), image(1));
    assert_eq!(scene.desired().pulls, BTreeSet::new());
}

#[test]
fn a_stale_image_serves_those_who_do_not_insist_on_a_fresh_one() {
    let stored = StoredImage {
        digest: "sha256:old".to_owned(),
        layers: Vec::new(),
        config: ImageConfig { cmd: vec!["old".to_owned()], ..ImageConfig::default() },
    };
    let ImageObservation::Failed { error, retry_at, .. } = failed(2, 110) else { panic!() };
    let observation = ImageObservation::Failed { error, retry_at, stale: Some(stored) };
    for (policy, runs) in [("IfNotPresent", true), ("Never", true), ("Always", false)] {
        let mut scene = Scene::new().web(json!({"imagePullPolicy": policy}));
        scene.observed.images.insert(registry("web:1"), observation.clone());
        assert_eq!(matches!(scene.want("web"), Want::Run(_)), runs, "{policy}");
    }
}

#[test]
fn what_others_can_write_is_pulled_without_the_credentials_of_the_machine() {
    let mut scene = Scene::new().web(json!({"image": "absent:1"}));
    let scope = scope_of(std::path::Path::new("/pods"));
    let namespace = |scene: &mut Scene, name: &str| {
        for uid in scene.objects.keys().cloned().collect::<Vec<_>>() {
            scene.objects.change(&uid, |known| known.record.key.namespace = name.to_owned());
        }
    };
    namespace(&mut scene, &format!("default-{scope}"));
    let guest = registry("absent:1").for_guest();
    assert_eq!(scene.desired().pulls, BTreeSet::from([guest.clone()]));
    assert!(images_named(&scene.objects).into_keys().eq([guest.clone()]));
    assert_eq!(users_of(&scene.objects, &guest).len(), 1);
    // What was brought in for others is not there for it.
    let stored = scene.observed.images[&registry("web:1")].clone();
    scene.observed.images.insert(registry("absent:1"), stored);
    assert_eq!(scene.desired().pulls, BTreeSet::from([guest]));
    // A name alike makes no folder one that others can write to.
    namespace(&mut scene, "default-u00000000");
    assert_eq!(scene.desired().pulls, BTreeSet::new());
}

#[test]
fn never_pulls_nothing() {
    let scene = Scene::new().web(json!({"image": "absent:1", "imagePullPolicy": "Never"}));
    let message = "Container image \"absent:1\" is not present with pull policy of Never";
    assert_eq!(scene.waits(), ("ErrImageNeverPull".to_owned(), message.to_owned()));
    assert_eq!(scene.desired().pulls, BTreeSet::new());
}

#[test]
fn a_bad_name_is_told_and_not_pulled() {
    let scene = Scene::new().web(json!({"image": "oci:"}));
    assert_eq!(scene.waits().0, "InvalidImageName");
    assert_eq!(scene.desired().pulls, BTreeSet::new());
}

#[test]
fn the_host_root_needs_no_image_but_a_command() {
    let scene = Scene::new().web(json!({"image": "droppod.local/host", "command": ["true"]}));
    assert_eq!(scene.container().image.stored, None);
    assert_eq!(scene.container().argv, ["true"]);
    let scene = Scene::new().web(json!({"image": "droppod.local/host"}));
    assert_eq!(scene.waits(), ("CreateContainerError".to_owned(), "no command specified".to_owned()));
}

#[test]
fn every_image_is_named_once_and_archives_lie_beside_the_manifest() {
    let container = |name: &str, image: &str| json!({"name": name, "image": image});
    let scene = Scene::new().pod(
        "web",
        json!({
            "initContainers": [container("i", "oci-archive:init.tar")],
            "containers": [container("c", "web:1"), container("d", "web:1"), container("e", "droppod.local/host")],
        }),
    );
    let archive = ImageRef::parse("oci-archive:init.tar", std::path::Path::new("/pods/team")).unwrap();
    let beside = || BTreeSet::from([std::path::PathBuf::from("/pods/team")]);
    let named = BTreeMap::from([(registry("web:1"), beside()), (archive, beside())]);
    assert_eq!(images_named(&scene.objects), named);
}

#[test]
fn images_of_all_containers_are_pulled_at_once() {
    let container = |name: &str, image: &str| json!({"name": name, "image": image});
    let scene = Scene::new().pod(
        "web",
        json!({
            "initContainers": [container("i", "absent:1")],
            "containers": [container("c", "absent:2")],
            "volumes": [{"name": "v", "configMap": {"name": "none"}}],
        }),
    );
    assert_eq!(scene.desired().pulls, BTreeSet::from([registry("absent:1"), registry("absent:2")]));
}
