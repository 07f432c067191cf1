use std::path::Path;

use super::*;
use crate::model::pull_secret::PullSecret;

fn of_type(scene: Scene, name: &str, kind: &str, key: &str, text: &str) -> Scene {
    let authored = json!({"metadata": {"name": name}, "type": kind, "stringData": {key: text}});
    scene.object("Secret", name, authored)
}

fn with_secrets(scene: Scene, pod: &str, secrets: &[&str]) -> Scene {
    let secrets: Vec<Value> = secrets.iter().map(|name| json!({"name": name})).collect();
    let containers = json!([{"name": "c", "image": "private:1"}]);
    scene.pod(pod, json!({"containers": containers, "imagePullSecrets": secrets}))
}

fn private() -> ImageRef {
    ImageRef::parse("private:1", Path::new("/")).unwrap()
}

#[test]
fn an_image_is_pulled_with_what_all_pods_name_that_have_it() {
    let scene = of_type(Scene::new(), "one", "kubernetes.io/dockerconfigjson", ".dockerconfigjson", "{}");
    let scene = of_type(scene, "two", "kubernetes.io/dockercfg", ".dockercfg", "{ }");
    let scene = of_type(scene, "opaque", "Opaque", ".dockercfg", "{}");
    let scene = with_secrets(scene, "a", &["one", "opaque"]);
    let scene = with_secrets(scene, "b", &["two", "one"]);
    let scene = scene.web(json!({}));
    let (one, two) = (PullSecret::DockerConfigJson(b"{}".to_vec()), PullSecret::DockerCfg(b"{ }".to_vec()));
    let secrets = pull_secrets(&scene.objects, &private());
    assert_eq!(secrets, PullSecrets { found: vec![one, two], missing: Vec::new() });
    let other = ImageRef::parse("web:1", Path::new("/")).unwrap();
    assert_eq!(pull_secrets(&scene.objects, &other), PullSecrets::default());
}

#[test]
fn a_secret_that_is_not_there_is_told_of_its_pod() {
    let scene = with_secrets(Scene::new(), "a", &["none", "gone"]);
    let missing = pull_secrets(&scene.objects, &private()).missing;
    assert_eq!(missing.len(), 1);
    assert_eq!(
        (missing[0].0.name.as_str(), &missing[0].1[..]),
        ("a", &["none".to_owned(), "gone".to_owned()][..])
    );
}

#[test]
fn what_guests_name_opens_nothing() {
    let scene = of_type(Scene::new(), "one", "kubernetes.io/dockercfg", ".dockercfg", "{}");
    let scene = with_secrets(scene, "a", &["one"]);
    assert_eq!(pull_secrets(&scene.objects, &private().for_guest()), PullSecrets::default());
}
