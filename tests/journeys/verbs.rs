//! Verbs as scripts for kubectl type them, and what people look at on their terminals.

use crate::bench::Bench;

const MAPS: &str = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a, labels: {app: x}}\n---\n\
                    apiVersion: v1\nkind: ConfigMap\nmetadata: {name: b, labels: {app: x}}\n---\n\
                    apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}\n";
const PREPARED: &str = "apiVersion: v1\nkind: Pod\nmetadata: {name: web}\nspec:\n  terminationGracePeriodSeconds: 1\n  \
                        initContainers:\n  - {name: prepare, image: droppod.local/host, command: ['true']}\n  \
                        containers:\n  - {name: main, image: droppod.local/host, command: [sleep, '1000']}\n";
const FAILS: &str = "apiVersion: v1\nkind: Pod\nmetadata: {name: broken}\nspec:\n  restartPolicy: Never\n  \
                     initContainers:\n  - {name: prepare, image: droppod.local/host, command: ['false']}\n  \
                     containers:\n  - {name: main, image: droppod.local/host, command: [sleep, '1000']}\n";

#[test]
fn a_rehearsal_changes_nothing() {
    let Some(bench) = Bench::new() else { return };
    let apply = |more: &[&str]| bench.run_with_input(&[&["apply", "-f", "-"], more].concat(), MAPS).exits(0);
    apply(&["--dry-run=client"]).prints(
        "configmap/a created (dry run)\nconfigmap/b created (dry run)\nconfigmap/c created (dry run)\n",
    );
    apply(&["--dry-run=none", "-o", "name"]).prints("configmap/a\nconfigmap/b\nconfigmap/c\n");
    apply(&["--dry-run=server", "-o", "jsonpath={.items[*].metadata.name}"]).prints("a b c");
    let rehearsed = "configmap \"a\" deleted (dry run)\nconfigmap \"b\" deleted (dry run)\n";
    bench.run(&["delete", "cm", "-l", "app=x", "--dry-run=client"]).exits(0).prints(rehearsed);
    apply(&[]).prints("configmap/a unchanged\nconfigmap/b unchanged\nconfigmap/c unchanged\n");
}

#[test]
fn objects_are_deleted_by_their_labels_or_all_at_once() {
    let Some(bench) = Bench::new() else { return };
    bench.run_with_input(&["apply", "-f", "-"], MAPS).exits(0);
    bench.run(&["delete", "cm", "a", "-l", "app=x"]).exits(2).says("choose without names");
    bench.run(&["delete", "cm", "-l", "app=x", "-o", "name"]).exits(0).prints("configmap/a\nconfigmap/b\n");
    bench.run(&["delete", "cm", "--all", "--force"]).exits(0).prints("configmap \"c\" force deleted\n");
    bench.run(&["delete", "cm", "--all"]).exits(0).prints("").says("No resources found");
}

#[test]
fn a_jobs_pods_go_with_it_when_all_are_deleted() {
    let Some(bench) = Bench::new() else { return };
    let watch = bench.watch();
    let job = include_str!("../../manifests/job.yaml");
    bench.run_with_input(&["apply", "-f", "-"], job).exits(0);
    bench
        .until("a pod is made", || bench.run(&["get", "pods", "-o", "name"]).stdout.contains("pod/squares-"));
    bench.run(&["delete", "all", "--all"]).exits(0).prints("job \"squares\" deleted\n");
    bench.until("nothing is left", || bench.run(&["get", "all", "-o", "name"]).stdout.is_empty());
    assert_eq!(watch.stop(), 0);
}

#[test]
fn a_removal_that_would_be_held_is_called_so() {
    let Some(bench) = Bench::new() else { return };
    let watch = bench.watch();
    for name in ["a", "b", "c", "d", "e"] {
        let map = format!("apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}}}\n");
        bench.manifest(&format!("{name}.yaml"), &map);
    }
    let count = || bench.run(&["get", "cm", "-o", "name"]).stdout.lines().count();
    bench.until("all are in force", || count() == 5);
    assert_eq!(watch.stop(), 0);
    bench.remove("b.yaml").remove("c.yaml").remove("d.yaml").remove("e.yaml");
    let held = |name: &str| format!("- configmap default/{name}: prune, held until a second look agrees\n");
    let expected: String = ["b", "c", "d", "e"].map(held).concat();
    bench.run(&["diff", "-f", bench.folder().to_str().unwrap()]).exits(1).prints(&expected);
}

#[test]
fn a_container_that_has_done_its_work_is_not_said_to_start_again() {
    let Some(bench) = Bench::new() else { return };
    let watch = bench.watch();
    bench.manifest("web.yaml", PREPARED);
    bench.until_status("web", "Running");
    let chosen = ["wait", "pods", "--field-selector=status.phase=Running", "--for=condition=Ready"];
    bench.run(&chosen).exits(0).prints("pod/web condition met\n");
    bench.run(&["wait", "cm", "--field-selector=status.phase=Running", "--for=create"]).exits(2);
    let edited = PREPARED.replacen("droppod.local/host", "oci-archive:/x.tar", 1);
    bench.run_with_input(&["diff", "-f", "-"], &edited).exits(1).prints(
        "~ pod default/web: change in place\n-   spec.initContainers[0].image: droppod.local/host\n+   \
         spec.initContainers[0].image: oci-archive:/x.tar\n",
    );
    bench.run(&["describe", "-f", bench.folder().join("web.yaml").to_str().unwrap()]).exits(0);
    bench.run(&["delete", "pod", "web", "--edit-file", "--now"]).exits(0);
    assert_eq!(watch.stop(), 0);
}

#[test]
fn nothing_is_executed_in_a_pod_that_has_ended() {
    let Some(bench) = Bench::new() else { return };
    let watch = bench.watch();
    bench.manifest("broken.yaml", FAILS);
    bench.until_status("broken", "Init:Error");
    bench
        .run(&["exec", "broken", "--", "true"])
        .exits(1)
        .says("because: its pod has ended\n  help: `droppod describe pod broken` shows how it ended");
    assert_eq!(watch.stop(), 0);
}

#[test]
fn a_program_begins_with_the_size_of_the_callers_terminal() {
    let Some(bench) = Bench::new() else { return };
    let args =
        ["run", "--rm", "-it", "sized", "--image=droppod.local/host", "--command", "--", "stty", "size"];
    let shown = bench.run_on_terminal(&args, "");
    assert!(shown.contains("24 80\r\n"), "{shown:?}");
    bench.until_clean();
}

#[test]
fn the_namespace_that_nobody_declares_is_there() {
    let Some(bench) = Bench::new() else { return };
    bench.run(&["get", "ns"]).exits(0).prints("NAME      STATUS   AGE\ndefault   Active   <unknown>\n");
    bench
        .run(&["get", "ns", "default", "--no-headers=true"])
        .exits(0)
        .prints("default   Active   <unknown>\n");
}

#[test]
fn flags_of_kubectl_mean_what_they_mean_there() {
    let Some(bench) = Bench::new() else { return };
    let watch = bench.watch();
    let once = |name: &str, script: &str| {
        let pod = format!(
            "apiVersion: v1\nkind: Pod\nmetadata: {{name: {name}}}\nspec:\n  restartPolicy: Never\n  containers:\n  \
             - {{name: main, image: droppod.local/host, command: [sh, -c, '{script}']}}\n"
        );
        bench.run_with_input(&["apply", "-f", "-", "--server-side"], &pod).exits(0);
    };
    once("good", "echo well");
    once("bad", "exit 3");
    bench.until_status("good", "Completed");
    bench.until_status("bad", "Error");

    // What was never there is gone without a word; what has come to be so can be printed.
    bench.run(&["wait", "pod/never", "--for=delete"]).exits(0).prints("");
    bench
        .run(&["wait", "pod/good", "--for=jsonpath={.status.phase}=Succeeded", "-o", "name"])
        .prints("pod/good\n");
    let many = ["wait", "pod/good", "--for=jsonpath={.status.conditions[*].type}=Ready"];
    bench.run(&many).exits(1).says("given jsonpath expression matches more than one value");
    bench.run(&["wait", "pod/good", "--for=ready"]).exits(2).says("unrecognized condition: \"ready\"");

    bench.run(&["logs", "good", "--since=0s", "--max-log-requests=9"]).exits(0).prints("well\n");
    bench.run(&["logs", "good", "--since-time=2020-01-01T00:00:00+01:00"]).exits(0).prints("well\n");
    bench.run(&["logs", "good", "--since-time=2999-01-01T00:00:00Z"]).exits(0).prints("");

    bench.run(&["get", "pod", "never", "-w"]).exits(1).says("pods \"never\" not found");
    bench.run(&["get", "pods,cm", "-w"]).exits(2).says("one kind");
    bench.run(&["get", "pod", "never", "-o", "custom-columns=A:.metadata.name"]).exits(1).prints("");
    bench.run(&["get", "pods", "-A", "-l", "no=one"]).exits(0).says("No resources found\n");
    bench.run(&["describe", "pods", "-l", "no=one"]).says("No resources found in default namespace.\n");
    bench.run(&["describe", "ns", "default"]).exits(0).says("kubernetes.io/metadata.name=default");

    bench.run(&["delete", "pods", "--field-selector", "spec.nope=1"]).exits(2).says("spec.nope");
    let failed = ["delete", "pods", "--field-selector=status.phase=Failed", "--cascade=foreground"];
    bench.run(&failed).exits(0).prints("pod \"bad\" deleted\n");
    bench.run(&["get", "pods", "-o", "name"]).exits(0).prints("pod/good\n");
    bench.run(&["delete", "pod", "good"]).exits(0);
    assert_eq!(watch.stop(), 0);
}

#[test]
fn what_apply_has_written_of_a_kind_that_is_not_served_is_deleted_by_name() {
    let Some(bench) = Bench::new() else { return };
    let objects = "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: d}\nspec: {}\n---\n\
                   apiVersion: example.test/v1\nkind: Policy\nmetadata: {name: p}\n";
    bench.run_with_input(&["apply", "-f", "-", "--validate=ignore"], objects).exits(0);
    assert!(bench.folder().join("default.deployment.d.yaml").exists());
    bench.run(&["delete", "deployment", "d"]).exits(0).prints("deployment \"d\" deleted\n");
    bench.run(&["delete", "policies/p"]).exits(0).prints("policy \"p\" deleted\n");
    assert_eq!(std::fs::read_dir(bench.folder()).unwrap().count(), 0);
    bench.run(&["delete", "deploymets", "d"]).exits(2);
    bench.run(&["delete", "deployments.apps", "d"]).exits(1).says("deployment \"d\" not found");
    bench.run(&["delete", "deployments.apps", "d", "--ignore-not-found"]).exits(0);
}
