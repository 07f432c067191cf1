//! A folder under `watch`: drop, edit, rename, break, mend, delete.

use std::collections::BTreeSet;
use std::time::Duration;

use rustix::fs::CWD;
use sha2::{Digest, Sha256};

use crate::bench::{Bench, let_pass, now, unfolded};

const WEB: &str = "apiVersion: v1\nkind: Pod\nmetadata:\n  name: web\nspec:\n  terminationGracePeriodSeconds: 1\n  containers:\n  \
                   - name: main\n    image: droppod.local/host\n    command: [sleep, '1000']\n  - name: other\n    \
                   image: droppod.local/host\n    command: [sleep, '1000']\n";

#[test]
fn a_file_that_is_dropped_runs_and_one_that_is_deleted_leaves_nothing() {
    let Some(bench) = Bench::new() else { return };
    let watch = bench.watch();
    bench.manifest("web.yaml", WEB);
    bench.until_status("web", "Running");
    bench.until("the status file says so", || bench.read("web.status.yaml").contains("phase: Running"));
    let status = bench.read("web.status.yaml");
    assert!(status.contains("state: Applied") && status.contains("summary: 1 pod running"), "{status}");
    let address = bench.column("web", 5);
    assert!(status.contains(&format!("podIP: {address}\n")), "{status}");
    bench.remove("web.yaml");
    bench.until_clean();
    bench.until("the status file is gone", || !bench.folder().join("web.status.yaml").exists());
    bench.until("no pod is listed", || bench.run(&["get", "pods"]).stdout.is_empty());
    assert_eq!(watch.stop(), 0);
}

#[test]
fn an_edit_to_an_image_that_is_not_to_be_had_is_told_and_the_pod_goes_on() {
    let Some(bench) = Bench::new() else { return };
    let watch = bench.watch();
    bench.manifest("web.yaml", WEB);
    bench.until_status("web", "Running");
    let pids = bench.pids("web", "main");
    let absent = "docker-archive:absent.tar";
    bench.manifest("web.yaml", &WEB.replacen("droppod.local/host", absent, 1));
    let summary = || {
        let status = unfolded(&bench.read("web.status.yaml"));
        status.lines().find_map(|line| line.trim().strip_prefix("summary: ")).unwrap_or_default().to_owned()
    };
    bench.until("the line for a person says so", || {
        let told = format!("1 pod running (waits for image {absent}: ");
        summary().contains(&told)
            && ["ErrImagePull", "ImagePullBackOff"].iter().any(|why| summary().contains(why))
    });
    bench.until("get says so", || {
        ["ErrImagePull", "ImagePullBackOff"].contains(&bench.status("web").as_str())
    });
    assert_eq!((bench.column("web", 1), bench.pids("web", "main")), ("2/2".to_owned(), pids.clone()));
    bench.run(&["describe", "pod", "web"]).says("container main goes on with the image before");
    bench.manifest("web.yaml", WEB);
    bench.until_status("web", "Running");
    bench.until("the line says so", || summary() == "1 pod running");
    assert_eq!(bench.pids("web", "main"), pids, "nothing was restarted");
    bench.remove("web.yaml");
    bench.until_clean();
    assert_eq!(watch.stop(), 0);
}

#[test]
fn an_edit_in_place_is_in_force_whatever_a_new_pod_would_wait_for() {
    let Some(bench) = Bench::new() else { return };
    let watch = bench.watch();
    bench.manifest("env.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: env}\ndata: {A: one}\n");
    let from = "  - name: main\n    resources: {limits: {memory: 64Mi}}\n    envFrom: [{configMapRef: {name: env}}]\n";
    let web = WEB.replacen("  - name: main\n", from, 1);
    bench.manifest("web.yaml", &web);
    bench.until_status("web", "Running");
    let pids = bench.pids("web", "main");
    bench.remove("env.yaml");
    bench.until("it would wait", || {
        bench.run(&["describe", "pod", "web"]).stdout.contains("\"env\" not found")
    });
    let edited =
        web.replace("64Mi", "80Mi").replace("  name: web\n", "  name: web\n  labels: {tier: front}\n");
    bench.manifest("web.yaml", &edited);
    bench.until("the limit is in force", || memory_limit(pids[0]) == Some(80 << 20));
    bench
        .until("the label is", || bench.run(&["get", "pods", "--show-labels"]).stdout.contains("tier=front"));
    assert_eq!((bench.pids("web", "main"), bench.status("web")), (pids, "Running".to_owned()));
    bench.remove("web.yaml");
    bench.until_clean();
    assert_eq!(watch.stop(), 0);
}

/// Of the control group that a process is in, in bytes.
fn memory_limit(pid: i32) -> Option<u64> {
    let groups = std::fs::read_to_string(format!("/proc/{pid}/cgroup")).ok()?;
    let of = |line: &str| {
        let (controllers, group) = line.split_once(':')?.1.split_once(':')?;
        Some(match controllers {
            "" => format!("/sys/fs/cgroup{group}/memory.max"),
            "memory" => format!("/sys/fs/cgroup/memory{group}/memory.limit_in_bytes"),
            _ => return None,
        })
    };
    let mut files = groups.lines().filter_map(of);
    files.find_map(|file| std::fs::read_to_string(file).ok()?.trim().parse().ok())
}

/// The same pod as [`WEB`], with its fields in another order, in flow style, and as JSON.
const REORDERED: &str = "kind: Pod\nspec:\n  containers:\n  - command: [sleep, '1000']\n    image: droppod.local/host\n    name: main\n  \
                         - image: droppod.local/host\n    command: [sleep, '1000']\n    name: other\n  terminationGracePeriodSeconds: 1\n\
                         metadata:\n  name: web\napiVersion: v1\n";
const FLOW: &str = "{apiVersion: v1, kind: Pod, metadata: {name: web}, spec: {terminationGracePeriodSeconds: 1, containers: [\n  \
                    {name: main, image: droppod.local/host, command: [sleep, '1000']},\n  \
                    {name: other, image: droppod.local/host, command: [sleep, '1000']}]}}\n";
const JSON: &str = r#"{"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "web"}, "spec": {
    "containers": [{"name": "main", "image": "droppod.local/host", "command": ["sleep", "1000"]},
                   {"name": "other", "image": "droppod.local/host", "command": ["sleep", "1000"]}],
    "terminationGracePeriodSeconds": 1}}"#;

#[test]
fn what_need_not_restart_keeps_its_process() {
    let Some(bench) = Bench::new() else { return };
    let watch = bench.watch();
    bench.manifest("web.yaml", WEB);
    bench.until_status("web", "Running");
    let main = bench.pids("web", "main");
    let before = (uid_and_generation(&bench, "web"), main.clone(), bench.pids("web", "other"));
    assert!(!before.1.is_empty() && !before.2.is_empty());

    let quoted = WEB.replacen("image: droppod.local/host\n", "image: \"droppod.local/host\" # quoted\n", 1);
    for text in [&format!("# a comment\n{WEB}"), &quoted, REORDERED, FLOW, JSON] {
        bench.manifest("web.yaml", text);
        let hash = format!("sha256:{}", hex(&Sha256::digest(text)));
        let told = [format!("observedHash: {hash}\n"), format!("appliedHash: {hash}\n")];
        bench.until("the edit is read", || {
            let status = bench.read("web.status.yaml");
            status.contains("state: Applied") && told.iter().all(|line| status.contains(line))
        });
        let after =
            (uid_and_generation(&bench, "web"), bench.pids("web", "main"), bench.pids("web", "other"));
        assert_eq!(after, before, "it was taken for another pod: {text}");
    }
    bench.until_told("web", "web", "2/2", "0");

    bench.manifest("web.yaml", &WEB.replace("  name: web\n", "  name: web\n  labels: {tier: front}\n"));
    bench.until("the label is in force", || {
        bench.run(&["get", "pods", "--show-labels"]).stdout.contains("tier=front")
    });
    assert_eq!(bench.pids("web", "main"), main, "a label restarted the container");

    std::fs::rename(bench.folder().join("web.yaml"), bench.folder().join("shop.yaml")).unwrap();
    bench.until("the status file has followed", || bench.folder().join("shop.status.yaml").exists());
    bench.until("the old one is gone", || !bench.folder().join("web.status.yaml").exists());
    assert_eq!(bench.pids("web", "main"), main, "a rename restarted the container");
    bench.until_told("shop", "web", "2/2", "0");

    let uid = uid(&bench);
    bench.manifest("shop.yaml", &WEB.replace("'1000'", "'2000'"));
    bench.until("another pod has taken over", || {
        let pids = bench.pids("web", "main");
        !pids.is_empty() && pids != main
    });
    assert_ne!(self::uid(&bench), uid, "a changed command makes another pod");
    assert_ne!(bench.pids("web", "other"), before.2);
    bench.until_told("shop", "web", "2/2", "0");
    bench.remove("shop.yaml");
    bench.until_clean();
    assert_eq!(watch.stop(), 0);
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn objects_that_go_from_file_to_file_stay_who_they_are() {
    let Some(bench) = Bench::new() else { return };
    let folder = bench.folder();
    let shop = WEB.replace("name: web", "name: shop");
    bench.manifest("a.yaml", WEB).manifest("b.yaml", &shop);
    let watch = bench.watch();
    for name in ["web", "shop"] {
        bench.until_status(name, "Running");
    }
    let seen = || ["web", "shop"].map(|name| (uid_and_generation(&bench, name), bench.pids(name, "main")));
    let mut before = seen();
    let declares = |file: &str, pods: &[&str]| {
        let status = bench.read(&format!("{file}.status.yaml"));
        status.contains("state: Applied")
            && ["web", "shop"]
                .iter()
                .all(|pod| status.contains(&format!("    name: {pod}\n")) == pods.contains(pod))
    };
    bench.until("both are declared", || declares("a", &["web"]) && declares("b", &["shop"]));

    let exchange = rustix::fs::RenameFlags::EXCHANGE;
    rustix::fs::renameat_with(CWD, folder.join("a.yaml"), CWD, folder.join("b.yaml"), exchange).unwrap();
    bench.until("they have changed places", || declares("a", &["shop"]) && declares("b", &["web"]));
    assert_eq!(seen(), before, "files that changed places restarted a pod");

    // A document goes from one to the other: for a moment it is in both of them, then in none.
    let both = format!("{shop}---\n{WEB}");
    let map = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: map}\n";
    let moves: [([&str; 2], [&[&str]; 2]); 2] =
        [([&both, map], [&["web", "shop"], &[]]), ([&shop, WEB], [&["shop"], &["web"]])];
    for (texts, [in_a, in_b]) in moves {
        let part = |file: &str| folder.join(format!(".{file}.part"));
        for (file, text) in ["a", "b"].into_iter().zip(texts) {
            std::fs::write(part(file), text).unwrap();
        }
        let put = |file: &str| std::fs::rename(part(file), folder.join(format!("{file}.yaml"))).unwrap();
        let began = now();
        put("a");
        let_pass(Duration::from_millis(30));
        put("b");
        let in_time = began.elapsed() < Duration::from_millis(100);
        bench.until("it is in the other", || declares("a", in_a) && declares("b", in_b));
        assert!(!in_time || seen() == before, "a document that moved restarted a pod: {}", bench.log());
        before = seen();
    }
    bench.remove("a.yaml").remove("b.yaml");
    bench.until_clean();
    assert_eq!(watch.stop(), 0);
}

#[test]
fn a_broken_edit_leaves_the_pod_alone_and_is_explained() {
    let Some(bench) = Bench::new() else { return };
    let watch = bench.watch();
    bench.manifest("web.yaml", WEB);
    bench.until_status("web", "Running");
    let pids = bench.pids("web", "main");
    bench.manifest("web.yaml", &WEB.replace("containers:", "contianers:"));
    bench.until("the mistake is told", || bench.read("web.status.yaml").contains("state: Invalid"));
    let status = bench.read("web.status.yaml");
    let error = "  errors:\n  - line: 7\n    column: 3\n    field: spec.contianers\n    message: unknown field\n    \
                 help: did you mean `containers`?\n";
    assert!(status.contains(error), "{status}");
    assert!(status.contains("summary: 'invalid: 1 error; as before: 1 pod running'"), "{status}");
    bench.until("the watcher logs what is wrong", || {
        bench.log().lines().any(|line| line.contains("state=Invalid") && line.contains("contianers"))
    });
    assert_eq!(bench.pids("web", "main"), pids);
    assert_eq!([1, 2, 3].map(|index| bench.column("web", index)), ["2/2", "Running", "0"]);
    bench.manifest("web.yaml", WEB);
    bench.until("it is mended", || bench.read("web.status.yaml").contains("state: Applied"));
    bench.until_told("web", "web", "2/2", "0");
    assert_eq!(bench.pids("web", "main"), pids);
    bench.remove("web.yaml");
    bench.until_clean();
    assert_eq!(watch.stop(), 0);
}

#[test]
fn a_second_file_for_the_same_object_is_a_conflict_until_the_first_goes() {
    let Some(bench) = Bench::new() else { return };
    let watch = bench.watch();
    bench.manifest("a.yaml", WEB);
    bench.until_status("web", "Running");
    let pids = bench.pids("web", "main");
    bench.manifest("b.yaml", WEB);
    bench.until("the second is told", || bench.read("b.status.yaml").contains("state: Conflict"));
    assert!(bench.read("b.status.yaml").contains("a.yaml"));
    bench.remove("a.yaml");
    bench.until("ownership has passed", || bench.read("b.status.yaml").contains("state: Applied"));
    assert_eq!(bench.pids("web", "main"), pids);
    bench.remove("b.yaml");
    bench.until_clean();
    assert_eq!(watch.stop(), 0);
}

#[test]
fn a_kind_that_is_not_served_says_so_and_harms_no_neighbour() {
    let Some(bench) = Bench::new() else { return };
    let watch = bench.watch();
    let deployment = "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: d}\nspec: {selector: {matchLabels: {a: b}}, \
                      template: {metadata: {labels: {a: b}}, spec: {containers: [{name: c, image: i}]}}}\n";
    bench.manifest("all.yaml", &format!("{deployment}---\n{WEB}"));
    bench.until_status("web", "Running");
    bench.until("it is told", || bench.read("all.status.yaml").contains("Deployment"));
    assert!(bench.read("all.status.yaml").contains("not served"), "{}", bench.read("all.status.yaml"));
    bench.remove("all.yaml");
    bench.until_clean();
    assert_eq!(watch.stop(), 0);
}

#[test]
fn a_pod_that_ended_is_run_again_by_another_spec_or_by_hand_alone() {
    let Some(bench) = Bench::new() else { return };
    let once =
        WEB.replace("spec:\n", "spec:\n  restartPolicy: Never\n").replace("[sleep, '1000']", "['true']");
    let watch = bench.watch();
    bench.manifest("once.yaml", &once);
    bench.until_status("web", "Completed");
    let uid = uid(&bench);
    assert_eq!(watch.stop(), 0);
    let watch = bench.watch();
    bench.manifest("marker.yaml", &WEB.replace("name: web", "name: marker"));
    bench.until_status("marker", "Running");
    bench.manifest("once.yaml", &once.replace("name: web", "name: web\n  labels: {is: new}"));
    let labelled = ["get", "pod", "-l", "is=new", "-o", "name"];
    bench.until("the label is in force", || bench.run(&labelled).stdout == "pod/web\n");
    assert_eq!((bench.status("web"), self::uid(&bench)), ("Completed".to_owned(), uid.clone()));
    let mut uids = BTreeSet::from([uid]);
    let runs_again = |uids: &mut BTreeSet<String>| {
        bench.until("it has run again", || {
            uids.insert(self::uid(&bench)) && {
                bench.until_status("web", "Completed");
                true
            }
        });
    };
    bench.manifest("once.yaml", &once.replace("['true']", "[bash, -c, 'true']"));
    runs_again(&mut uids);
    // The file is somebody's own: what `rerun` would write into it, it says.
    bench.run(&["rerun", "pod/web"]).exits(1).says("droppod.dev/rerun");
    let wish = "name: web\n  annotations: {droppod.dev/rerun: now}";
    bench.manifest("once.yaml", &once.replace("['true']", "[bash, -c, 'true']").replace("name: web", wish));
    runs_again(&mut uids);
    bench.remove("once.yaml").remove("marker.yaml");
    bench.until_clean();
    assert_eq!(watch.stop(), 0);
}

fn uid(bench: &Bench) -> String {
    uid_and_generation(bench, "web").0
}

fn uid_and_generation(bench: &Bench, pod: &str) -> (String, u64) {
    let json = bench.run(&["get", "pod", pod, "-o", "json"]).exits(0).stdout;
    let object: serde_json::Value = serde_json::from_str(&json).unwrap();
    let metadata = &object["metadata"];
    (metadata["uid"].as_str().unwrap().to_owned(), metadata["generation"].as_u64().unwrap())
}
