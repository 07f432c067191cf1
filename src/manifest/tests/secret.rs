//! Nothing of a file's text gets into what its status file says.

use super::*;

/// Stands for a password in every sort of mistake.
const CANARY: &str = "hunter2canary";

/// What a status file has of a reading.
fn said(text: &str) -> String {
    let reading = strict(text);
    let mistakes = reading.mistakes.iter().map(|it| format!("{}\n{}\n{:?}\n", it.field, it.message, it.help));
    let ignored = reading.ignored.iter().map(|it| format!("{}\n{}\n", it.field, it.reason));
    mistakes.chain(ignored).collect()
}

#[test]
fn no_mistake_repeats_a_value() {
    let pod = |lines: &str| format!("{POD}{lines}");
    let mistakes = [
        format!("{CANARY}\n"),
        format!("- {CANARY}\n"),
        format!("apiVersion: {CANARY}\nkind: Pod\n"),
        format!("apiVersion: v1\nkind: {CANARY}\n"),
        format!("apiVersion: v1\nkind: [{CANARY}]\n"),
        format!("apiVersion: v1\nkind: Secret\nmetadata: {{name: s}}\ndata: {{a: {CANARY}!}}\n"),
        format!("apiVersion: v1\nkind: Secret\nmetadata: {{name: s}}\ndata: {CANARY}\n"),
        format!("apiVersion: v1\nkind: Secret\nmetadata: {{name: s}}\nstringData: {{a: [{CANARY}]}}\n"),
        format!("apiVersion: v1\nkind: Secret\nmetadata: {{name: s}}\nstringData: {{a: {{{CANARY}: b}}}}\n"),
        format!("apiVersion: v1\nkind: Secret\nmetadata: {{name: {CANARY}_}}\ntype: {CANARY}\n"),
        format!("apiVersion: v1\nkind: Secret\nmetadata: {{name: s}}\nimmutable: {CANARY}\n"),
        format!("apiVersion: v1\nkind: Secret\nmetadata: {{name: s, creationTimestamp: {CANARY}}}\n"),
        format!(
            "apiVersion: v1\nkind: Secret\nmetadata: {{name: s}}\ntype: kubernetes.io/dockerconfigjson\nstringData:\n  .dockerconfigjson: {CANARY}\n"
        ),
        format!("a: {CANARY}: b\n"),
        format!("a: \"{CANARY}\n"),
        format!("a: \"{CANARY}\\q\"\n"),
        format!("a: '{CANARY}' {CANARY}\n"),
        format!("a: [{CANARY}\n"),
        format!("a: {CANARY}\n   b: {CANARY}\n"),
        format!("a: {CANARY}\n\tb: {CANARY}\n"),
        format!("a: *{CANARY}\n"),
        format!("a: &{CANARY} [*{CANARY}]\n"),
        format!("a: !!int {CANARY}\n"),
        format!("a: !!binary \"{CANARY}?\"\n"),
        format!("a: {{{{ {CANARY} }}}}\n"),
        format!("<<<<<<< {CANARY}\na: b\n"),
        format!("<<: {CANARY}\n"),
        pod(&format!("    command: {CANARY}\n")),
        pod(&format!("    image: {CANARY} b\n")),
        pod(&format!("    imagePullPolicy: {CANARY}\n")),
        pod(&format!("    tty: {CANARY}\n")),
        pod(&format!("    env: [{CANARY}]\n")),
        pod(&format!("    env: [{{name: A={CANARY}, value: [{CANARY}]}}]\n")),
        pod(&format!("    env: [{{name: A, valueFrom: {{fieldRef: {{fieldPath: {CANARY}}}}}}}]\n")),
        pod(&format!("    envFrom: [{{configMapRef: {{name: {CANARY}_}}}}]\n")),
        pod(&format!("    ports: [{{containerPort: {CANARY}, name: {CANARY}, protocol: {CANARY}}}]\n")),
        pod(&format!("    resources: {{limits: {{memory: {CANARY}, cpu: '1{CANARY}'}}}}\n")),
        pod(&format!("    livenessProbe: {{httpGet: {{port: {CANARY}, scheme: {CANARY}}}}}\n")),
        pod(&format!(
            "    volumeMounts: [{{name: {CANARY}1, mountPath: {CANARY}}}]\n  volumes: [{{name: {CANARY}}}]\n"
        )),
        pod(&format!("  volumes: [{{name: a, hostPath: {{path: {CANARY}, type: {CANARY}}}}}]\n")),
        pod(&format!("  restartPolicy: {CANARY}\n  dnsPolicy: {CANARY}\n  hostname: {CANARY}_\n")),
        pod(&format!("  hostAliases: [{{ip: {CANARY}, hostnames: [{CANARY}_]}}]\n")),
        pod(&format!(
            "  tolerations: [{{key: '{CANARY} ', operator: {CANARY}}}]\n  nodeSelector: {{a: '{CANARY} '}}\n"
        )),
        pod(&format!("  securityContext: {{runAsUser: {CANARY}, sysctls: [{{name: '{CANARY} '}}]}}\n")),
    ];
    for text in mistakes {
        let said = said(&text);
        assert!(!said.is_empty(), "a mistake is told: {text}");
        assert!(!said.to_lowercase().contains(CANARY), "{text}\n{said}");
    }
}
