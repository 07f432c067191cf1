use super::*;

fn env_from_config_map(key: &str, optional: bool) -> Value {
    let source = json!({"configMapKeyRef": {"name": "app", "key": key, "optional": optional}});
    json!({"env": [{"name": "A", "valueFrom": source}]})
}

#[test]
fn a_missing_reference_is_told_in_kubelets_words_and_heals() {
    let scene = Scene::new().web(env_from_config_map("k", false));
    let wait = |message: &str| ("CreateContainerConfigError".to_owned(), message.to_owned());
    assert_eq!(scene.waits(), wait("configmap \"app\" not found"));
    let scene = scene.config_map("app", json!({"other": "1"}));
    assert_eq!(scene.waits(), wait("couldn't find key k in ConfigMap default/app"));
    let scene = Scene::new().web(env_from_config_map("k", false)).config_map("app", json!({"k": "1"}));
    assert!(matches!(scene.want("web"), Want::Run(_)));

    let secret = json!({"secretKeyRef": {"name": "s", "key": "k"}});
    let scene = Scene::new().web(json!({"env": [{"name": "A", "valueFrom": secret}]}));
    assert_eq!(scene.waits(), wait("secret \"s\" not found"));
    let scene = scene.secret("s", json!({"other": "1"}));
    assert_eq!(scene.waits(), wait("couldn't find key k in Secret default/s"));
}

#[test]
fn what_is_optional_may_be_missing() {
    for scene in [Scene::new(), Scene::new().config_map("app", json!({}))] {
        let env = scene.web(env_from_config_map("k", true)).container().env;
        assert!(!env.iter().any(|(name, _)| name == "A"), "{env:?}");
    }
}

#[test]
fn an_object_that_is_to_go_is_not_there() {
    let mut scene = Scene::new().web(env_from_config_map("k", false)).config_map("app", json!({"k": "1"}));
    let deletion = Some(Deletion { at: at(99).wall, grace: None });
    let app = scene.uid("app");
    scene.objects.change(&app, |app| app.record.deletion = deletion);
    assert_eq!(scene.waits().1, "configmap \"app\" not found");
}

#[test]
fn the_environment_is_the_images_then_all_keys_then_each_variable() {
    let scene = Scene::new()
        .config_map("app", json!({"MODE": "fast", "LEVEL": "1"}))
        .secret("login", json!({"PASSWORD": "p$(MODE)"}))
        .web(json!({
            "envFrom": [
                {"configMapRef": {"name": "app"}, "prefix": "APP_"},
                {"secretRef": {"name": "login"}},
                {"configMapRef": {"name": "none", "optional": true}},
            ],
            "env": [
                {"name": "LANG", "value": "de"},
                {"name": "APP_LEVEL", "value": "2"},
                {"name": "URL", "value": "http://$(APP_MODE)/$(APP_LEVEL)/$(LATER)/$$(LANG)"},
                {"name": "LATER", "value": "x"},
            ],
        }));
    let expected = pairs(&[
        ("PATH", "/image/bin"),
        ("LANG", "de"),
        ("HOSTNAME", "web"),
        ("APP_LEVEL", "2"),
        ("APP_MODE", "fast"),
        ("PASSWORD", "p$(MODE)"),
        ("URL", "http://fast/2/$(LATER)/$(LANG)"),
        ("LATER", "x"),
    ]);
    assert_eq!(scene.container().env, expected);
}

#[test]
fn a_pod_is_told_about_itself() {
    let fields = [
        ("metadata.name", "web"),
        ("metadata.namespace", "default"),
        ("metadata.uid", "01010101-0101-4101-8101-010101010101"),
        ("metadata.labels['app']", "web"),
        ("metadata.labels['none']", ""),
        ("metadata.annotations['note']", "a \"b\""),
        ("spec.nodeName", "box"),
        ("spec.serviceAccountName", "default"),
        ("status.hostIP", "192.0.2.1"),
        ("status.podIP", "10.77.0.2"),
        ("status.podIPs", "10.77.0.2"),
    ];
    let variable = |path: &str| json!({"name": path, "valueFrom": {"fieldRef": {"fieldPath": path}}});
    let env: Vec<Value> = fields.iter().map(|(path, _)| variable(path)).collect();
    let told = Scene::new().web(json!({"env": env})).container().env;
    assert_eq!(told[3..], pairs(&fields));
}

#[test]
fn resources_are_told_in_units_of_the_divisor_and_default_to_the_machine() {
    let cases = [
        ("limits.cpu", "0", "2"),
        ("limits.cpu", "1m", "1500"),
        ("requests.cpu", "1m", "1500"),
        ("limits.memory", "1Mi", "8192"),
        ("requests.memory", "1", "0"),
        ("limits.memory", "3Gi", "3"),
    ];
    for (resource, divisor, expected) in cases {
        let source = json!({"resourceFieldRef": {"resource": resource, "divisor": divisor}});
        let scene = Scene::new().web(json!({
            "resources": {"limits": {"cpu": "1500m"}},
            "env": [{"name": "R", "valueFrom": source}],
        }));
        let env = scene.container().env;
        assert_eq!(env.last().unwrap().1, expected, "{resource} / {divisor}");
    }
}

fn with_volume(volume: Value) -> Scene {
    let volume = merged(json!({"name": "v"}), volume);
    let container = json!({"name": "c", "image": "web:1"});
    Scene::new()
        .config_map("app", json!({"a.conf": "A", "b.conf": "B"}))
        .secret("login", json!({"password": "secret"}))
        .pod("web", json!({"containers": [container], "volumes": [volume]}))
}

fn file(path: &str, content: &str, mode: u32) -> ProjectedFile {
    ProjectedFile { path: path.to_owned(), content: content.as_bytes().to_vec(), mode }
}

#[test]
fn each_kind_of_volume_is_resolved() {
    let files = |files: Vec<ProjectedFile>, medium| VolumePlan::Files { files, medium };
    let empty_dir = |medium, limit| VolumePlan::EmptyDir { medium, limit };
    let host_path = |path: &str, kind| VolumePlan::HostPath { path: PathBuf::from(path), kind };
    let downward = json!([
        {"path": "labels", "fieldRef": {"fieldPath": "metadata.labels"}},
        {"path": "notes", "fieldRef": {"fieldPath": "metadata.annotations"}, "mode": 0o400},
        {"path": "cpu", "resourceFieldRef": {"containerName": "c", "resource": "limits.cpu"}},
    ]);
    let told = vec![
        file("cpu", "4", 0o644),
        file("labels", "app=\"web\"", 0o644),
        file("notes", "note=\"a \\\"b\\\"\"", 0o400),
    ];
    let cases = [
        (json!({}), empty_dir(Medium::Disk, None)),
        (
            json!({"emptyDir": {"medium": "Memory", "sizeLimit": "1Mi"}}),
            empty_dir(Medium::Memory, Some(1 << 20)),
        ),
        (json!({"hostPath": {"path": "data"}}), host_path("/pods/team/data", HostPathType::Unchecked)),
        (
            json!({"hostPath": {"path": "/dev/log", "type": "Socket"}}),
            host_path("/dev/log", HostPathType::Socket),
        ),
        (
            json!({"configMap": {"name": "app", "defaultMode": 0o600}}),
            files(vec![file("a.conf", "A", 0o600), file("b.conf", "B", 0o600)], Medium::Disk),
        ),
        (
            json!({"configMap": {"name": "app", "items": [{"key": "b.conf", "path": "etc/b", "mode": 0o444}]}}),
            files(vec![file("etc/b", "B", 0o444)], Medium::Disk),
        ),
        (json!({"configMap": {"name": "none", "optional": true}}), files(vec![], Medium::Disk)),
        (
            json!({"secret": {"secretName": "login"}}),
            files(vec![file("password", "secret", 0o644)], Medium::Memory),
        ),
        (json!({"downwardAPI": {"items": downward}}), files(told, Medium::Disk)),
        (
            json!({"projected": {"sources": [
                {"configMap": {"name": "app"}},
                {"secret": {"name": "login", "items": [{"key": "password", "path": "a.conf"}]}},
            ]}}),
            files(vec![file("a.conf", "secret", 0o644), file("b.conf", "B", 0o644)], Medium::Memory),
        ),
    ];
    for (volume, expected) in cases {
        let plan = with_volume(volume.clone()).plan("web");
        assert_eq!(plan.volumes, BTreeMap::from([("v".to_owned(), expected)]), "{volume}");
    }
}

#[test]
fn a_volume_that_cannot_be_set_up_holds_the_containers_back() {
    let cases = [
        (json!({"configMap": {"name": "none"}}), "configmap \"none\" not found"),
        (json!({"secret": {"secretName": "none"}}), "secret \"none\" not found"),
        (
            json!({"configMap": {"name": "app", "items": [{"key": "none", "path": "p"}]}}),
            "configmap references non-existent config key: none",
        ),
        (
            json!({"configMap": {"name": "app", "items": [{"key": "a.conf", "path": "../p"}]}}),
            "path \"../p\" must be relative and must not contain '..'",
        ),
        (json!({"persistentVolumeClaim": {"claimName": "data"}}), "persistentvolumeclaim \"data\" not found"),
    ];
    for (volume, why) in cases {
        let message = format!("MountVolume.SetUp failed for volume \"v\" : {why}");
        assert_eq!(with_volume(volume).waits(), ("ContainerCreating".to_owned(), message));
    }
}

#[test]
fn a_sub_path_stays_inside_its_volume() {
    let mounted = |mount: Value| {
        let mount = merged(json!({"name": "v", "mountPath": "/data"}), mount);
        let env = json!([{"name": "WHO", "value": "me"}, {"name": "UP", "value": "../up"}]);
        let container = json!({"name": "c", "image": "web:1", "volumeMounts": [mount], "env": env});
        Scene::new()
            .pod("web", json!({"containers": [container], "volumes": [{"name": "v", "emptyDir": {}}]}))
    };
    let sub_path = |mount: Value| mounted(mount).container().mounts.remove(0).sub_path;
    assert_eq!(sub_path(json!({"subPath": "./a//b"})), Some(PathBuf::from("a/b")));
    assert_eq!(sub_path(json!({"subPathExpr": "logs/$(WHO)"})), Some(PathBuf::from("logs/me")));
    assert_eq!(sub_path(json!({})), None);
    let cases = [
        (json!({"subPath": "/etc"}), "error SubPath `/etc` must not be an absolute path"),
        (json!({"subPathExpr": "a/$(UP)"}), "unable to provision SubPath `a/../up`: must not contain '..'"),
        (json!({"subPathExpr": "$(NONE)"}), "missing value for NONE"),
    ];
    for (mount, message) in cases {
        let expected = ("CreateContainerConfigError".to_owned(), message.to_owned());
        assert_eq!(mounted(mount).waits(), expected);
    }
}
