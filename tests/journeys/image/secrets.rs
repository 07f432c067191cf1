//! Images that a registry gives to those alone whose credentials a Secret has.

use super::made::Made;
use super::pod;
use super::registry::{ACCOUNT, HOST, PASSWORD, Registry, USER};
use crate::bench::{Bench, unfolded};

fn secret(text: &str) -> String {
    format!(
        "apiVersion: v1\nkind: Secret\nmetadata: {{name: key}}\ntype: kubernetes.io/dockerconfigjson\n\
         stringData:\n  .dockerconfigjson: '{text}'\n"
    )
}

fn private(name: &str, policy: &str) -> String {
    let image = pod(name, &format!("{HOST}/team/app:1"));
    let named = image.replace("  containers:", "  imagePullSecrets: [{name: key}]\n  containers:");
    format!("{named}    imagePullPolicy: {policy}\n")
}

#[test]
fn a_private_image_comes_with_the_secret_that_its_pod_names() {
    let Some(bench) = Bench::new() else { return };
    let (Some(made), Some(registry)) = (Made::new("private"), Registry::start_closed(&bench)) else { return };
    registry.push(&made, "team/app", "1");
    let watch = bench.watch();
    bench.manifest("app.yaml", &private("app", "Always"));
    let status = || unfolded(&bench.read("app.status.yaml"));
    bench.until("the missing Secret is told", || status().contains("FailedToRetrieveImagePullSecret"));
    bench.until("and what came of it", || {
        status().contains("does not let anonymous users pull") && status().contains("ErrImagePull")
    });
    assert!(
        status().contains(
            "Unable to retrieve some image pull secrets (key); attempting to pull the image may not succeed."
        ),
        "{}",
        status()
    );
    assert!(status().contains("ignoredFields: []"), "{}", status());

    bench.manifest(
        "key.yaml",
        &secret(&format!("{{\"auths\": {{\"{HOST}\": {{\"auth\": \"{ACCOUNT}\"}}}}}}")),
    );
    bench.until_status("app", "Completed");
    bench.run(&["logs", "app"]).prints("1234:5678 in /srv/app says private by default\n");
    // What is there needs no key.
    let other = private("other", "IfNotPresent").replace("  imagePullSecrets: [{name: key}]\n", "");
    bench.manifest("other.yaml", &other);
    bench.until_status("other", "Completed");
    bench.remove("app.yaml").remove("other.yaml");
    bench.until_clean();
    assert_eq!(watch.stop(), 0);
}

#[test]
fn nothing_of_a_pull_secret_is_told_where_it_opens_nothing() {
    let Some(bench) = Bench::new() else { return };
    let (Some(made), Some(registry)) = (Made::new("private"), Registry::start_closed(&bench)) else { return };
    registry.push(&made, "team/app", "1");
    let wrong = format!(
        "{{\"auths\": {{\"{HOST}\": {{\"username\": \"hidden-user\", \"password\": \"hidden-word\"}}}}}}"
    );
    let both = private("app", "Always").replace("[{name: key}]", "[{name: key}, {name: older}]");
    bench.manifest("key.yaml", &secret(&wrong)).manifest("app.yaml", &both);
    let watch = bench.watch();
    bench.until("it is refused", || {
        unfolded(&bench.read("app.status.yaml"))
            .contains("does not let the user of its imagePullSecrets pull")
    });
    let described = bench.run(&["describe", "pod", "app"]).stdout;
    let events = bench.run(&["events"]).stdout;
    for told in [bench.log(), bench.read("app.status.yaml"), bench.read("key.status.yaml"), described, events]
    {
        assert!(!told.contains("hidden"), "{told}");
    }
    let right = format!("{{\"{HOST}\": {{\"username\": \"{USER}\", \"password\": \"{PASSWORD}\"}}}}");
    bench.manifest(
        "older.yaml",
        &secret(&right).replace("dockerconfigjson", "dockercfg").replace("key", "older"),
    );
    bench.until_status("app", "Completed");
    for told in [bench.log(), bench.read("app.status.yaml"), bench.read("key.status.yaml")] {
        assert!(!told.contains(PASSWORD), "{told}");
    }
    bench.remove("app.yaml");
    bench.until_clean();
    assert_eq!(watch.stop(), 0);
}
