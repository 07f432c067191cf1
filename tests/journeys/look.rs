//! What can be seen of a pod: tables, templates, its description, its events, and waiting for it.

use crate::bench::Bench;

const WEB: &str = "apiVersion: v1\nkind: Pod\nmetadata:\n  name: web\n  labels: {app: web, tier: front}\nspec:\n  \
                   terminationGracePeriodSeconds: 1\n  containers:\n  - name: main\n    image: droppod.local/host\n    \
                   command: [sleep, '1000']\n    env: [{name: COLOUR, valueFrom: {configMapKeyRef: {name: settings, \
                   key: colour}}}]\n";
const SETTINGS: &str = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: settings}\ndata: {colour: green}\n---\napiVersion: v1\nkind: \
     Secret\nmetadata: {name: keys}\nstringData: {token: hush}\n";
const ENDS: &str = "apiVersion: v1\nkind: Pod\nmetadata: {name: ends}\nspec:\n  restartPolicy: Never\n  containers:\n  \
                    - {name: main, image: droppod.local/host, command: [sh, -c, exit 3]}\n";

#[test]
fn a_pod_is_seen_from_all_sides() {
    let Some(bench) = Bench::new() else { return };
    let watch = bench.watch();
    bench.manifest("settings.yaml", SETTINGS).manifest("web.yaml", WEB).manifest("ends.yaml", ENDS);
    let ready = ["wait", "pod/web", "--for=condition=Ready", "--timeout=60s"];
    bench.until("web is declared", || bench.run(&["get", "pods"]).stdout.contains("web"));
    bench.run(&ready).exits(0).prints("pod/web condition met\n");
    bench.until("ends is declared", || bench.run(&["get", "pods"]).stdout.contains("ends"));
    bench
        .run(&["wait", "pod/ends", "--for=finished", "--timeout=60s"])
        .exits(10)
        .prints("pod/ends has failed\n");

    let phases = "jsonpath={range .items[*]}{.metadata.name}={.status.phase}{\"\\n\"}{end}";
    bench.run(&["get", "po", "-o", phases]).exits(0).prints("ends=Failed\nweb=Running\n");
    let columns =
        "custom-columns=NAME:.metadata.name,CODE:.status.containerStatuses[0].state.terminated.exitCode";
    bench.run(&["get", "po", "-o", columns]).prints("NAME   CODE\nends   3\nweb    <none>\n");
    let failed = ["get", "po,cm", "--field-selector=metadata.name!=web", "-o", "name"];
    bench.run(&failed).prints("pod/ends\nconfigmap/settings\n");
    let by_age = ["get", "pods", "--sort-by=.status.phase", "-o", "name"];
    bench.run(&by_age).prints("pod/ends\npod/web\n");
    bench.run(&["get", "pods", "-L", "tier", "-l", "app=web", "--no-headers"]).exits(0).says("   front\n");
    bench.run(&["get", "cm", "--field-selector=status.phase=x"]).exits(2).says("they can by metadata.name");

    let web = bench.run(&["describe", "pod", "we"]).exits(0).stdout;
    for part in [
        "Name:         web\nNamespace:    default\n",
        "Labels:       app=web\n              tier=front\n",
        "\n    State:          Running\n      Started:      ",
        "COLOUR:  <set to the key 'colour' of config map 'settings'>  Optional: false\n",
        "QoS Class:                    BestEffort\n",
        "\nEvents:\n  Type    Reason   Age  ",
        "Started container main\n",
    ] {
        assert!(web.contains(part), "no {part:?} in\n{web}");
    }
    let keys = bench.run(&["describe", "secret/keys"]).exits(0).stdout;
    assert!(
        keys.contains("token:  4 bytes\n") && !keys.contains("hush") && !keys.contains("aHVza"),
        "{keys}"
    );

    let events = bench.run(&["events", "--for", "pod/web"]).exits(0).stdout;
    assert!(
        events.starts_with("LAST SEEN") && events.contains("Pod/web   Started container main\n"),
        "{events}"
    );
    let reasons = ["get", "ev", "--field-selector=involvedObject.name=web,reason=Started", "-o"];
    let from = "jsonpath={.items[0].involvedObject.fieldPath}";
    bench.run(&[&reasons[..], &[from]].concat()).prints("spec.containers{main}");

    bench
        .run(&["wait", "pod/web", "--for=delete", "--timeout=0"])
        .exits(1)
        .says("timed out waiting for the condition");
    bench.run(&["wait", "pod/nope", "--for=condition=Ready"]).exits(1).says("pods \"nope\" not found");
    let running = ["wait", "pods", "-l", "app=web", "--for=jsonpath={.status.phase}=Running"];
    bench.run(&running).exits(0).prints("pod/web condition met\n");
    bench.remove("web.yaml").remove("ends.yaml").remove("settings.yaml");
    bench.run(&["wait", "pod/web", "--for=delete", "--timeout=60s"]).exits(0);
    bench.until_clean();
    assert_eq!(watch.stop(), 0);
}

#[test]
fn a_diff_says_what_becomes_of_each_object() {
    let Some(bench) = Bench::new() else { return };
    let watch = bench.watch();
    bench.manifest("settings.yaml", SETTINGS).manifest("web.yaml", WEB);
    bench.until_status("web", "Running");
    let file = |name: &str| bench.folder().join(name).to_str().unwrap().to_owned();
    let folder = bench.folder().to_str().unwrap().to_owned();
    bench.run(&["diff", "-f", &folder]).exits(0).prints("");
    let diff = |text: &str| bench.run_with_input(&["diff", "-f", "-"], text);

    diff(&WEB.replace("name: web\n", "name: other\n")).exits(1).prints("+ pod default/other: create\n");
    diff(&WEB.replace("tier: front", "tier: back")).exits(1).prints(
        "~ pod default/web: change in place\n-   metadata.labels.tier: front\n+   metadata.labels.tier: back\n",
    );
    diff(&WEB.replace("droppod.local/host", "oci-archive:/x.tar")).exits(1).prints(
        "~ pod default/web: restart container main\n-   spec.containers[0].image: droppod.local/host\n+   \
         spec.containers[0].image: oci-archive:/x.tar\n",
    );
    diff(&WEB.replace("'1000'", "'2000'")).exits(1).prints(
        "~ pod default/web: replace pod\n-   spec.containers[0].command[1]: 1000\n+   spec.containers[0].command[1]: \
         2000\n",
    );
    diff(&SETTINGS.replace("hush", "psst")).exits(1).prints(
        "~ secret default/keys: change in place\n-   stringData.token: *** (before)\n+   stringData.token: *** \
         (after)\n",
    );
    diff("kind: Nonsense\n").exits(2);
    bench.run(&["diff", "-f", &file("absent.yaml")]).exits(2);

    let watched = watch.stop();
    bench.remove("settings.yaml");
    let gone = "- configmap default/settings: prune\n- secret default/keys: prune\n";
    bench.run(&["diff", "-f", &folder]).exits(1).prints(gone);
    assert_eq!(watched, 0);
    bench.run(&["down", "--all"]).exits(0);
}
