use serde_json::json;

use super::*;
use crate::api::{EVENT, kind_named};
use crate::cli::table::{Widths, print};

fn table(kind: &'static KindName, extras: &[Extra], objects: &[Value]) -> String {
    let layout = Layout { kind, extras: extras.to_vec() };
    let now = "2026-01-02T03:10:00Z".parse().unwrap();
    let mut rows = vec![header(&layout)];
    rows.extend(objects.iter().map(|object| row(&layout, object, now)));
    let mut widths = Widths::default();
    widths.fit(&rows);
    let mut out = Vec::new();
    print(&mut out, &widths, &rows).unwrap();
    String::from_utf8(out).unwrap()
}

fn pod() -> Value {
    json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {"name": "web", "namespace": "default", "creationTimestamp": "2026-01-02T03:04:05Z",
                     "labels": {"app": "web", "example.org/tier": "front"}},
        "spec": {"nodeName": "box", "containers": [{"name": "c"}]},
        "status": {"phase": "Running", "podIP": "10.77.0.2", "containerStatuses": [
            {"name": "c", "ready": true, "restartCount": 0, "state": {"running": {}}}]},
    })
}

#[test]
fn pods_have_kubectls_columns() {
    let pods = kind_named("po").unwrap();
    let plain = "NAME   READY   STATUS    RESTARTS   AGE\nweb    1/1     Running   0          5m55s\n";
    assert_eq!(table(pods, &[], &[pod()]), plain);
    let extras = [Extra::Namespace, Extra::KindPrefix, Extra::Wide, Extra::Label("example.org/tier".into())];
    let wide = "\
NAMESPACE   NAME      READY   STATUS    RESTARTS   AGE     IP          NODE   NOMINATED NODE   READINESS GATES   TIER
default     pod/web   1/1     Running   0          5m55s   10.77.0.2   box    <none>           <none>            front
";
    assert_eq!(table(pods, &extras, &[pod()]), wide);
    let labels = table(pods, &[Extra::Labels], &[pod()]);
    assert!(labels.ends_with("   5m55s   app=web,example.org/tier=front\n"), "{labels}");
}

#[test]
fn other_kinds_have_theirs() {
    let map = json!({"metadata": {"name": "settings"}, "data": {"a": "1"}, "binaryData": {"b": "AA=="}});
    let maps = kind_named("cm").unwrap();
    assert_eq!(table(maps, &[], &[map]), "NAME       DATA   AGE\nsettings   2      <unknown>\n");
    let secret = json!({"metadata": {"name": "keys"}, "type": "Opaque", "data": {"a": "MQ=="}});
    let secrets = kind_named("secrets").unwrap();
    let expected = "NAME   TYPE     DATA   AGE\nkeys   Opaque   1      <unknown>\n";
    assert_eq!(table(secrets, &[], &[secret]), expected);
}

#[test]
fn events_have_no_name_unless_there_is_room() {
    let event = json!({
        "metadata": {"name": "web.1", "namespace": "default"}, "type": "Warning", "reason": "BackOff", "count": 4,
        "message": "Back-off restarting\nfailed container", "source": {"component": "droppod", "host": "box"},
        "involvedObject": {"kind": "Pod", "name": "web", "fieldPath": "spec.containers{c}"},
        "firstTimestamp": "2026-01-02T03:00:00Z", "lastTimestamp": "2026-01-02T03:09:50Z",
    });
    let narrow = "\
LAST SEEN   TYPE      REASON    OBJECT    MESSAGE
10s         Warning   BackOff   pod/web   Back-off restarting...
";
    assert_eq!(table(&EVENT, &[], std::slice::from_ref(&event)), narrow);
    let wide = table(&EVENT, &[Extra::Wide], &[event]);
    assert!(
        wide.contains(
            "spec.containers{c}   droppod, box   Back-off restarting...   10m          4       web.1\n"
        ),
        "{wide}"
    );
}
