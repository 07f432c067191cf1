use std::sync::Arc;

use serde_json::json;

use super::*;
use crate::api::{Object, Pod, PodSpec};

fn pod(text: &str) -> Pod {
    match Arc::unwrap_or_clone(the(text).object) {
        Object::Pod(pod) => *pod,
        other => panic!("{other:?}"),
    }
}

fn spec(text: &str) -> PodSpec {
    pod(text).spec.unwrap()
}

/// A pod's spec with lines added to its one container.
fn spec_with(lines: &str) -> PodSpec {
    spec(&format!("{POD}{lines}"))
}

#[test]
fn a_pod_gets_the_defaults_of_the_server() {
    let spec = spec(POD);
    assert_eq!(spec.restart_policy.as_deref(), Some("Always"));
    assert_eq!(spec.dns_policy.as_deref(), Some("ClusterFirst"));
    assert_eq!(spec.termination_grace_period_seconds, Some(30));
    assert!(spec.security_context.is_some());
    let container = &spec.containers[0];
    assert_eq!(container.image_pull_policy.as_deref(), Some("IfNotPresent"));
    assert_eq!(container.termination_message_path.as_deref(), Some("/dev/termination-log"));
    assert_eq!(container.termination_message_policy.as_deref(), Some("File"));
}

#[test]
fn what_is_authored_gets_nothing_but_a_namespace() {
    let declared = the(POD);
    assert_eq!(
        *declared.authored,
        json!({
            "apiVersion": "v1", "kind": "Pod", "metadata": {"name": "web", "namespace": "default"},
            "spec": {"containers": [{"name": "app", "image": "nginx:1.27"}]},
        })
    );
    assert_eq!(declared.key.to_string(), "pod/web");
    assert_eq!(declared.object.metadata().namespace.as_deref(), Some("default"));
    assert_eq!(declared.line, 1);
}

#[test]
fn images_are_pulled_always_if_their_tag_may_move() {
    let cases = [
        ("nginx", "Always"),
        ("nginx:latest", "Always"),
        ("registry:5000/nginx", "Always"),
        ("registry:5000/nginx:1", "IfNotPresent"),
        ("nginx@sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855", "IfNotPresent"),
        ("droppod.local/host", "IfNotPresent"),
        ("oci:images/app", "IfNotPresent"),
        ("oci-archive:app.tar", "IfNotPresent"),
        ("docker-archive:app.tar", "IfNotPresent"),
    ];
    for (image, policy) in cases {
        let spec = spec(&POD.replace("nginx:1.27", image));
        assert_eq!(spec.containers[0].image_pull_policy.as_deref(), Some(policy), "{image}");
    }
}

#[test]
fn quantities_need_no_quotes_and_requests_follow_limits() {
    let spec = spec_with(
        "    resources: {limits: {cpu: 0.5, memory: 64, ephemeral-storage: 1Gi}, requests: {cpu: 100m}}\n",
    );
    let resources = spec.containers[0].resources.as_ref().unwrap();
    let text = |map: &Option<
        std::collections::BTreeMap<_, k8s_openapi::apimachinery::pkg::api::resource::Quantity>,
    >| {
        let map: Vec<(String, String)> = map
            .iter()
            .flatten()
            .map(|(name, quantity): (&String, _)| (name.clone(), quantity.0.clone()))
            .collect();
        format!("{map:?}")
    };
    assert_eq!(
        text(&resources.limits),
        r#"[("cpu", "0.5"), ("ephemeral-storage", "1Gi"), ("memory", "64")]"#
    );
    assert_eq!(
        text(&resources.requests),
        r#"[("cpu", "100m"), ("ephemeral-storage", "1Gi"), ("memory", "64")]"#
    );
}

#[test]
fn ports_are_numbers_or_names() {
    let spec = spec_with(
        "    ports: [{name: http, containerPort: 80}]\n    readinessProbe: {httpGet: {port: 80}}\n    livenessProbe: {httpGet: {port: http}}\n",
    );
    let probe = |probe: &Option<k8s_openapi::api::core::v1::Probe>| {
        let probe = probe.clone().unwrap();
        (
            serde_json::to_value(probe.http_get.unwrap().port).unwrap(),
            probe.period_seconds,
            probe.failure_threshold,
        )
    };
    assert_eq!(probe(&spec.containers[0].readiness_probe), (json!(80), Some(10), Some(3)));
    assert_eq!(probe(&spec.containers[0].liveness_probe), (json!("http"), Some(10), Some(3)));
}

#[test]
fn a_mode_is_octal_and_a_bare_volume_is_an_empty_directory() {
    let spec = spec_with(
        "  volumes:\n  - name: a\n  - name: b\n    configMap: {name: b, defaultMode: 0400}\n  - name: c\n    secret: {secretName: c}\n",
    );
    let volumes = spec.volumes.unwrap();
    assert!(volumes[0].empty_dir.is_some());
    assert_eq!(volumes[1].config_map.as_ref().unwrap().default_mode, Some(0o400));
    assert_eq!(volumes[2].secret.as_ref().unwrap().default_mode, Some(0o644));
}

#[test]
fn plain_values_of_a_secret_go_over_into_its_data() {
    let text = "apiVersion: v1\nkind: Secret\nmetadata: {name: s}\ndata:\n  a: |\n    aGVs\n    bG8=\nstringData: {b: world}\n";
    let declared = the(text);
    assert_eq!(declared.authored["stringData"], json!({"b": "world"}));
    let Object::Secret(secret) = &*declared.object else { panic!() };
    assert_eq!(secret.type_.as_deref(), Some("Opaque"));
    assert_eq!(secret.string_data, None);
    let data: Vec<_> =
        secret.data.iter().flatten().map(|(key, value)| (key.as_str(), value.0.as_slice())).collect();
    assert_eq!(data, [("a", &b"hello"[..]), ("b", &b"world"[..])]);
    assert_eq!(revive(&declared.authored).unwrap(), *declared.object);
}

#[test]
fn what_was_kept_is_revived_as_it_was_read() {
    let more = "    resources: {limits: {cpu: 1e0, memory: 1e2}}\n    ports: [{containerPort: 0x50}]\n";
    let declared = the(&format!("{POD}{more}"));
    let kept: Value = serde_json::from_str(&declared.authored.to_string()).unwrap();
    assert_eq!(revive(&kept).unwrap(), *declared.object);
    assert!(revive(&json!({"apiVersion": "v1", "kind": "Pod", "spec": []})).is_err());
}

#[test]
fn unknown_fields_are_errors_warnings_or_nothing() {
    let text = POD.replace("  name: web", "  name: web\n  nmae: web");
    let with = |strictness| {
        let reading = read(text.as_bytes(), "default", strictness, &Policy::default());
        (reading.objects.len(), reading.mistakes.len())
    };
    assert_eq!(with(Strictness::Strict), (0, 1));
    assert_eq!(with(Strictness::Warn), (1, 1));
    assert_eq!(with(Strictness::Ignore), (1, 0));
}

#[test]
fn a_mistake_repeats_no_value_of_the_file() {
    let text =
        "apiVersion: v1\nkind: Secret\nmetadata: {name: s}\ndata: {a: hunter2!}\nstringData: {b: 77123}\n";
    let mistakes = strict(text).mistakes;
    assert_eq!(mistakes.len(), 2);
    let said = format!("{mistakes:?}");
    assert!(!said.contains("hunter2") && !said.contains("77123"), "{said}");
}

#[test]
fn the_server_takes_null_for_nothing() {
    let text = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: a\n  creationTimestamp: null\n  labels:\ndata:\n  a:\n";
    let Object::ConfigMap(map) = Arc::unwrap_or_clone(the(text).object) else { panic!() };
    assert_eq!(map.data.unwrap()["a"], "");
}

#[test]
fn a_served_field_is_not_called_ignored() {
    assert_eq!(strict(&format!("{POD}    tty: true\n    lifecycle: {{stopSignal: SIGINT}}\n")).ignored, []);
}

#[test]
fn every_kind_served_has_a_sample() {
    let samples = std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/manifests")).unwrap();
    let mut declared = std::collections::BTreeSet::new();
    for path in samples.map(|entry| entry.unwrap().path()) {
        let reading = strict(&std::fs::read_to_string(&path).unwrap());
        assert_eq!(reading.mistakes, [], "{}", path.display());
        declared.extend(reading.objects.into_iter().map(|one| (one.key.group, one.key.kind)));
    }
    for kind in crate::api::KINDS {
        let name = (kind.group.to_owned(), kind.kind.to_owned());
        assert!(declared.contains(&name), "no file in manifests/ declares a {}", kind.kind);
    }
}
