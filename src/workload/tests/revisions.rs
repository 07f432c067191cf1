use super::*;
use crate::model::pod_plan::Revision;

fn revision(pod: Value) -> Revision {
    let scene = Scene::new().config_map("app", json!({"k": "1"}));
    scene.object("Pod", "web", pod).plan("web").revision
}

fn authored() -> Value {
    json!({
        "metadata": {"name": "web", "labels": {"app": "web"}},
        "spec": {"containers": [{"name": "c", "image": "web:1"}]},
    })
}

/// The pod with one field set, by JSON pointer to its parent.
fn edited(parent: &str, field: &str, value: Value) -> Value {
    let mut pod = authored();
    pod.pointer_mut(parent).unwrap()[field] = value;
    pod
}

#[test]
fn an_edit_touches_what_it_changes() {
    let before = revision(authored());
    let metadata = "/metadata";
    let container = "/spec/containers/0";
    let live = [
        edited(metadata, "labels", json!({"app": "other"})),
        edited(metadata, "annotations", json!({"a": "b"})),
        edited("/spec", "terminationGracePeriodSeconds", json!(3)),
        edited("/spec", "activeDeadlineSeconds", json!(60)),
        edited(container, "image", json!("droppod.local/host")),
        edited(container, "resources", json!({"limits": {"cpu": "1"}})),
    ];
    for mut pod in live {
        pod["spec"]["containers"][0]["command"] = json!(["true"]);
        let with_command = revision(edited(container, "command", json!(["true"])));
        let after = revision(pod.clone());
        assert_eq!(after.pod, with_command.pod, "{pod}");
        assert_ne!(after.live, with_command.live, "{pod}");
    }
    let anew = [
        edited(container, "command", json!(["true"])),
        edited(container, "env", json!([{"name": "A", "value": "1"}])),
        edited("/spec", "restartPolicy", json!("Never")),
        edited("/spec", "hostname", json!("other")),
    ];
    for pod in anew {
        let after = revision(pod.clone());
        assert_ne!(after.pod, before.pod, "{pod}");
        assert_eq!(after.live, before.live, "{pod}");
    }
}

#[test]
fn nulls_status_and_other_metadata_say_nothing() {
    let before = revision(authored());
    let same = [
        edited("/spec", "hostname", json!(null)),
        edited("/spec/containers/0", "command", json!(null)),
        edited("", "status", json!({"phase": "Running"})),
        edited("/metadata", "resourceVersion", json!("7")),
    ];
    for pod in same {
        assert_eq!(revision(pod.clone()), before, "{pod}");
    }
}

#[test]
fn changed_files_are_told_and_changed_variables_wait_for_the_next_start() {
    let scene = |content: &str, spec: Value| {
        Scene::new().config_map("app", json!({"k": content})).pod("web", spec).plan("web").revision
    };
    let container = json!({"name": "c", "image": "web:1"});
    let mounted =
        json!({"containers": [container], "volumes": [{"name": "v", "configMap": {"name": "app"}}]});
    let (one, two) = (scene("1", mounted.clone()), scene("2", mounted));
    assert_eq!(one.pod, two.pod);
    assert_ne!(one.live, two.live);
    let source = json!({"configMapKeyRef": {"name": "app", "key": "k"}});
    let container = json!({"name": "c", "image": "web:1", "env": [{"name": "K", "valueFrom": source}]});
    let spec = json!({"containers": [container]});
    assert_eq!(scene("1", spec.clone()), scene("2", spec));
}
