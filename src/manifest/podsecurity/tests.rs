//! The cases that Kubernetes tests its own admission with, by what they ask for.

use super::super::{Policy, Reading, Strictness, read};
use super::*;

/// Allowed at every level: what a test adds to it is what is objected to.
const RESTRICTED: &str = "\
apiVersion: v1
kind: Pod
metadata: {name: web, annotations: {a: b}}
spec:
  securityContext: {runAsNonRoot: true, seccompProfile: {type: RuntimeDefault}}
  containers:
  - name: app
    image: nginx:1.27
    securityContext: {allowPrivilegeEscalation: false, capabilities: {drop: [ALL]}}
";

fn under(level: Level, text: &str) -> Reading {
    read(text.as_bytes(), "default", Strictness::Ignore, &Policy { level, scope: None })
}

/// Fields that are objected to.
fn fields(level: Level, text: &str) -> Vec<String> {
    let mistakes = under(level, text).mistakes;
    let of_policy = mistakes.into_iter().filter(|mistake| mistake.message.starts_with("pod security"));
    of_policy.map(|mistake| mistake.field).collect()
}

/// A pod with its one container's security context, pod's security context, spec and container lines replaced.
fn pod(spec: &str, pod_context: &str, context: &str, container: &str) -> String {
    format!(
        "apiVersion: v1\nkind: Pod\nmetadata: {{name: web}}\nspec:\n  securityContext: {{{pod_context}}}\n{spec}  \
         containers:\n  - name: app\n    image: nginx:1.27\n    securityContext: {{{context}}}\n{container}"
    )
}

const GOOD_POD: &str = "runAsNonRoot: true, seccompProfile: {type: RuntimeDefault}";
const GOOD: &str = "allowPrivilegeEscalation: false, capabilities: {drop: [ALL]}";

/// Lines of the spec, and the field that baseline objects to.
const SPEC: &[(&str, &str)] = &[
    ("hostNetwork: true", "spec.hostNetwork"),
    ("hostPID: true", "spec.hostPID"),
    ("hostIPC: true", "spec.hostIPC"),
    ("hostNetwork: false", ""),
    ("volumes: [{name: a, hostPath: {path: /}}]", "spec.volumes[0].hostPath"),
    ("volumes: [{name: a, emptyDir: {}}, {name: b, hostPath: {path: /dev}}]", "spec.volumes[1].hostPath"),
    ("volumes: [{name: a, emptyDir: {}}]", ""),
    ("volumes: [{name: a, configMap: {name: x}}, {name: b, secret: {secretName: x}}]", ""),
    ("initContainers: [{name: i, image: 'droppod.local/host'}]", "spec.initContainers[0].image"),
];

/// Fields of the pod's security context.
const POD_CONTEXT: &[(&str, &str)] = &[
    ("seccompProfile: {type: Unconfined}", "seccompProfile.type"),
    ("seccompProfile: {type: RuntimeDefault}", ""),
    ("seccompProfile: {type: Localhost, localhostProfile: x}", ""),
    ("seLinuxOptions: {type: spc_t}", "seLinuxOptions.type"),
    ("seLinuxOptions: {type: container_t}", ""),
    ("seLinuxOptions: {type: container_engine_t}", ""),
    ("seLinuxOptions: {user: system_u}", "seLinuxOptions.user"),
    ("seLinuxOptions: {role: system_r}", "seLinuxOptions.role"),
    ("seLinuxOptions: {level: 's0:c1'}", ""),
    ("appArmorProfile: {type: Unconfined}", "appArmorProfile.type"),
    ("appArmorProfile: {type: RuntimeDefault}", ""),
    ("appArmorProfile: {type: Localhost, localhostProfile: x}", ""),
    ("windowsOptions: {hostProcess: true}", "windowsOptions.hostProcess"),
    ("sysctls: [{name: kernel.msgmax, value: '1'}]", "sysctls[0].name"),
    ("sysctls: [{name: kernel/core_pattern, value: x}]", "sysctls[0].name"),
    ("sysctls: [{name: net.ipv4.ip_local_port_range, value: '1 2'}]", ""),
    ("sysctls: [{name: net/ipv4/tcp_syncookies, value: '1'}]", ""),
    (
        "sysctls: [{name: net.ipv4.tcp_rmem, value: '1'}, {name: net.core.somaxconn, value: '1'}]",
        "sysctls[1].name",
    ),
    ("runAsUser: 0", ""),
    ("runAsNonRoot: false", ""),
];

/// Fields of a container's security context.
const CONTEXT: &[(&str, &str)] = &[
    ("privileged: true", "privileged"),
    ("privileged: false", ""),
    ("procMount: Unmasked", "procMount"),
    ("procMount: Default", ""),
    ("capabilities: {add: [NET_RAW]}", "capabilities.add[0]"),
    ("capabilities: {add: [CHOWN, SYS_ADMIN]}", "capabilities.add[1]"),
    ("capabilities: {add: [ALL]}", "capabilities.add[0]"),
    ("capabilities: {add: [CAP_CHOWN]}", "capabilities.add[0]"),
    ("capabilities: {add: [AUDIT_WRITE, MKNOD, SETFCAP, SYS_CHROOT]}", ""),
    ("seccompProfile: {type: Unconfined}", "seccompProfile.type"),
    ("seccompProfile: {type: Localhost, localhostProfile: x}", ""),
    ("seLinuxOptions: {type: unconfined_t}", "seLinuxOptions.type"),
    ("appArmorProfile: {type: Unconfined}", "appArmorProfile.type"),
    ("allowPrivilegeEscalation: true", ""),
];

/// Lines of a container.
const CONTAINER: &[(&str, &str)] = &[
    ("ports: [{containerPort: 80, hostPort: 80}]", "ports[0].hostPort"),
    ("ports: [{containerPort: 80, hostPort: 0}]", ""),
    ("ports: [{containerPort: 80}]", ""),
    ("livenessProbe: {httpGet: {port: 80, host: 10.0.0.1}}", "livenessProbe.httpGet.host"),
    ("readinessProbe: {tcpSocket: {port: 80, host: 10.0.0.1}}", "readinessProbe.tcpSocket.host"),
    ("startupProbe: {httpGet: {port: 80}}", ""),
    ("lifecycle: {preStop: {httpGet: {port: 80, host: a}}}", "lifecycle.preStop.httpGet.host"),
];

#[test]
fn baseline_keeps_a_pod_from_the_host() {
    let check = |text: String, wanted: String| {
        let wanted: Vec<String> = Some(wanted).filter(|field| !field.ends_with('.')).into_iter().collect();
        let wanted: Vec<String> = wanted.into_iter().filter(|field| !field.is_empty()).collect();
        assert_eq!(fields(Level::Baseline, &text), wanted, "{text}");
        assert_eq!(fields(Level::Privileged, &text), [] as [&str; 0], "{text}");
    };
    for (lines, field) in SPEC {
        check(pod(&format!("  {lines}\n"), "", "", ""), (*field).to_owned());
    }
    for (lines, field) in POD_CONTEXT {
        check(pod("", lines, "", ""), format!("spec.securityContext.{field}"));
    }
    for (lines, field) in CONTEXT {
        check(pod("", "", lines, ""), format!("spec.containers[0].securityContext.{field}"));
    }
    for (lines, field) in CONTAINER {
        check(pod("", "", "", &format!("    {lines}\n")), format!("spec.containers[0].{field}"));
    }
}

#[test]
fn what_baseline_forbids_is_forbidden_by_restricted() {
    let forbidden = |cases: &'static [(&str, &str)]| cases.iter().filter(|(_, field)| !field.is_empty());
    let texts = forbidden(SPEC).map(|(lines, _)| pod(&format!("  {lines}\n"), GOOD_POD, GOOD, ""));
    let texts = texts
        .chain(forbidden(CONTAINER).map(|(lines, _)| pod("", GOOD_POD, GOOD, &format!("    {lines}\n"))));
    let texts = texts.chain(forbidden(CONTEXT).map(|(lines, _)| pod("", GOOD_POD, lines, "")));
    let texts = texts.chain(forbidden(POD_CONTEXT).map(|(lines, _)| pod("", lines, GOOD, "")));
    for text in texts {
        assert!(!fields(Level::Restricted, &text).is_empty(), "{text}");
    }
}

#[test]
fn restricted_asks_for_what_hardens() {
    assert_eq!(under(Level::Restricted, RESTRICTED).mistakes, []);
    let container = "spec.containers[0]";
    let cases = [
        (GOOD_POD, "capabilities: {drop: [ALL]}", vec![container]),
        (
            GOOD_POD,
            "allowPrivilegeEscalation: true, capabilities: {drop: [ALL]}",
            vec!["spec.containers[0].securityContext.allowPrivilegeEscalation"],
        ),
        (GOOD_POD, "allowPrivilegeEscalation: false", vec![container]),
        (GOOD_POD, "allowPrivilegeEscalation: false, capabilities: {drop: [NET_RAW]}", vec![container]),
        (
            GOOD_POD,
            "allowPrivilegeEscalation: false, capabilities: {drop: [ALL], add: [NET_BIND_SERVICE]}",
            vec![],
        ),
        (
            GOOD_POD,
            "allowPrivilegeEscalation: false, capabilities: {drop: [ALL], add: [CHOWN]}",
            vec!["spec.containers[0].securityContext.capabilities.add[0]"],
        ),
        ("seccompProfile: {type: RuntimeDefault}", GOOD, vec![container]),
        (
            "seccompProfile: {type: RuntimeDefault}, runAsNonRoot: false",
            GOOD,
            vec!["spec.securityContext.runAsNonRoot"],
        ),
        ("runAsNonRoot: true", GOOD, vec![container]),
        (
            "runAsNonRoot: true, seccompProfile: {type: Unconfined}",
            GOOD,
            vec!["spec.securityContext.seccompProfile.type"],
        ),
    ];
    for (pod_context, context, wanted) in cases {
        let text = pod("", pod_context, context, "");
        assert_eq!(fields(Level::Restricted, &text), wanted, "{text}");
    }
    let own = "allowPrivilegeEscalation: false, capabilities: {drop: [ALL]}, runAsNonRoot: true, \
               seccompProfile: {type: RuntimeDefault}";
    assert_eq!(fields(Level::Restricted, &pod("", "", own, "")), [] as [&str; 0]);
    let root = pod("", &format!("{GOOD_POD}, runAsUser: 0"), GOOD, "");
    assert!(fields(Level::Restricted, &root).contains(&"spec.securityContext.runAsUser".to_owned()));
    let volume = pod("  volumes: [{name: a, nfs: {server: a, path: /}}]\n", GOOD_POD, GOOD, "");
    assert_eq!(fields(Level::Restricted, &volume), ["spec.volumes[0].nfs"]);
}

#[test]
fn the_hosts_own_files_as_an_image_count_as_a_host_path() {
    for (image, allowed) in [
        ("droppod.local/host", false),
        ("oci-archive:/srv/app.tar", false),
        ("oci:../app", false),
        ("oci-archive:app.tar", true),
        ("docker-archive:images/app.tar", true),
        ("example.test/droppod.local/host", true),
    ] {
        let text = RESTRICTED.replace("nginx:1.27", image);
        assert_eq!(fields(Level::Baseline, &text).is_empty(), allowed, "{image}");
    }
}

#[test]
fn a_legacy_apparmor_annotation_is_seen() {
    let annotated = |profile: &str| {
        RESTRICTED.replace("a: b", &format!("container.apparmor.security.beta.kubernetes.io/app: {profile}"))
    };
    assert_eq!(fields(Level::Baseline, &annotated("unconfined")).len(), 1);
    for profile in ["runtime/default", "localhost/mine"] {
        assert_eq!(fields(Level::Baseline, &annotated(profile)), [] as [&str; 0]);
    }
}

#[test]
fn templates_are_looked_into() {
    let spec = "{containers: [{name: a, image: a, securityContext: {privileged: true}}]}";
    let job = format!(
        "apiVersion: batch/v1\nkind: Job\nmetadata: {{name: a}}\nspec: {{template: {{spec: {spec}}}}}\n"
    );
    assert_eq!(
        fields(Level::Baseline, &job),
        ["spec.template.spec.containers[0].securityContext.privileged"]
    );
    let cron = format!(
        "apiVersion: batch/v1\nkind: CronJob\nmetadata: {{name: a}}\n\
         spec: {{jobTemplate: {{spec: {{template: {{spec: {spec}}}}}}}}}\n"
    );
    assert_eq!(fields(Level::Baseline, &cron).len(), 1);
}

#[test]
fn what_was_kept_is_held_to_the_same_rules() {
    let policy = |level| Policy { level, scope: None };
    let text = RESTRICTED.replace("spec:\n", "spec:\n  hostPID: true\n");
    let authored = under(Level::Privileged, &text).objects.remove(0).authored;
    assert_eq!(objection(&authored, &policy(Level::Privileged)), None);
    assert_eq!(
        objection(&authored, &policy(Level::Baseline)).unwrap(),
        "spec.hostPID: pod security baseline: sharing the host namespaces must be disallowed"
    );
}

#[test]
fn objects_of_a_scope_meet_none_but_their_own() {
    let policy = Policy { level: Level::Restricted, scope: Some("u1234".to_owned()) };
    let read = |text: &str| read(text.as_bytes(), "default", Strictness::Strict, &policy);
    let declared = read(RESTRICTED).objects.remove(0);
    assert_eq!(declared.key.namespace, "default-u1234");
    assert_eq!(declared.object.metadata().namespace.as_deref(), Some("default-u1234"));
    assert_eq!(declared.authored["metadata"]["namespace"], "default-u1234");
    let named = RESTRICTED.replace("{name: web,", "{name: web, namespace: kube,");
    assert_eq!(read(&named).objects[0].key.namespace, "kube-u1234");
    let namespace = read("apiVersion: v1\nkind: Namespace\nmetadata: {name: default}\n").objects.remove(0);
    assert_eq!(namespace.key.name, "default-u1234");
    let local = RESTRICTED.replace("nginx:1.27", "oci-archive:app.tar");
    assert_eq!(read(&local).mistakes[0].field, "spec.containers[0].image");
}
