use clap::CommandFactory;

use super::live::Seen;
use super::*;
use crate::cli::settings::Scope;

fn live(_: &Line<'_>) -> Live {
    let seen = |kind, namespace: &str, name: &str, containers: &[&str]| Seen {
        kind: kind_named(kind).unwrap(),
        namespace: namespace.to_owned(),
        name: name.to_owned(),
        containers: containers.iter().map(|name| (*name).to_owned()).collect(),
    };
    Live {
        objects: vec![
            seen("ConfigMap", "default", "settings", &[]),
            seen("Pod", "default", "web", &["main", "helper"]),
            seen("Pod", "default", "worker", &["only"]),
            seen("Pod", "batch", "far", &["main"]),
            seen("Job", "default", "squares", &[]),
            seen("CronJob", "default", "nightly", &[]),
        ],
        scope: Some(Scope::Namespace("default".to_owned())),
        images: vec!["docker.io/library/nginx:1.29".to_owned()],
    }
}

fn completed(words: &str) -> Vec<String> {
    let mut root = Cli::command();
    root.build();
    let words: Vec<String> = words.split(' ').map(str::to_owned).collect();
    candidates(&line::read(&root, &words), &live).into_iter().map(|one| one.text).collect()
}

#[test]
fn what_can_stand_at_the_cursor_is_offered() {
    let cases: &[(&str, &[&str])] = &[
        ("des", &["describe"]),
        ("-n batch desc", &["describe"]),
        ("get po", &["pods"]),
        ("get pods ", &["web", "worker"]),
        ("get pods web ", &["worker"]),
        ("get pod/", &["pod/web", "pod/worker"]),
        ("get pods,con", &["pods,configmaps"]),
        ("get pods,configmaps s", &["settings"]),
        ("get pod/web po", &["pod/web", "pod/worker"]),
        ("delete pod w", &["web", "worker"]),
        ("get pods -o js", &["json", "jsonpath=", "jsonpath-file="]),
        ("get pods --output=js", &["--output=json", "--output=jsonpath=", "--output=jsonpath-file="]),
        ("get pods --show-l", &["--show-labels"]),
        ("get pods --show-labels --show-l", &[]),
        ("get -n b", &["batch"]),
        ("get -nx pods --namespace d", &["default"]),
        ("describe -f", &[]),
        ("up -f ", &[":files"]),
        ("up --filename=w", &[":files"]),
        ("watch ", &[":directories"]),
        ("logs w", &["web", "worker"]),
        ("logs job/", &["job/squares"]),
        ("logs web -c ", &["main", "helper"]),
        ("exec -it web -c h", &["helper"]),
        ("exec web -- l", &[]),
        ("exec job/", &["job/squares"]),
        ("events --for pod", &["pod/web", "pod/worker"]),
        ("events --types=W", &["--types=Warning"]),
        ("rerun ", &["pod/web", "pod/worker", "job/squares"]),
        ("wait pod/web --for=cond", &["--for=condition=Ready", "--for=condition=Complete"]),
        ("image ", &["ls", "pull", "load", "rm", "verify", "prune"]),
        ("image rm ", &["docker.io/library/nginx:1.29"]),
        ("image load ", &[":files"]),
        ("create job now --from=c", &["--from=cronjob/nightly"]),
        ("completion z", &["zsh"]),
        ("get nonsense ", &[]),
        ("nonsense ", &[]),
    ];
    for (words, expected) in cases {
        assert_eq!(completed(words), *expected, "droppod {words}");
    }
}

#[test]
fn hidden_verbs_are_offered_to_nobody() {
    let verbs = completed("");
    assert!(verbs.contains(&"watch".to_owned()), "{verbs:?}");
    assert!(!verbs.iter().any(|verb| verb == "complete" || verb == "pull"), "{verbs:?}");
}
