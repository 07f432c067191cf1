//! What a cluster would place a pod by. It has no effect here and must be right all the same: the folder may go to
//! a cluster.

use crate::api::PodSpec;
use crate::manifest::fault::Fault;
use crate::manifest::node::At;

use super::Rules;
use super::names::{LABEL_VALUE, QUALIFIED, SUBDOMAIN};

pub(super) fn check(spec: &PodSpec, at: &At<'_>, rules: &mut Rules) {
    for label in at.key("nodeSelector").each_entry() {
        rules.key_name(&label, &QUALIFIED);
        rules.value(&label, label.text().unwrap_or_default(), &LABEL_VALUE);
    }
    if let Some(class) = spec.priority_class_name.as_deref().filter(|name| !name.is_empty()) {
        rules.name(&at.key("priorityClassName"), class, &SUBDOMAIN);
    }
    rules.one_of(&at.key("preemptionPolicy"), &["", "PreemptLowerPriority", "Never"]);
    if let Some(node) = spec.node_name.as_deref().filter(|name| !name.is_empty()) {
        rules.name(&at.key("nodeName"), node, &SUBDOMAIN);
    }
    let tolerations_at = at.key("tolerations");
    for (index, toleration) in spec.tolerations.iter().flatten().enumerate() {
        let at = tolerations_at.index(index);
        let (key_at, value_at) = (at.key("key"), at.key("value"));
        let exists = toleration.operator.as_deref() == Some("Exists");
        rules.one_of(&at.key("operator"), &["", "Equal", "Exists", "Lt", "Gt"]);
        rules.one_of(&at.key("effect"), &["", "NoSchedule", "PreferNoSchedule", "NoExecute"]);
        match toleration.key.as_deref().filter(|key| !key.is_empty()) {
            Some(key) => rules.name(&key_at, key, &QUALIFIED),
            None if exists => {}
            None => {
                let fault = Fault::at(&at, "a toleration without a key tolerates everything", "no `key`");
                rules.push(fault.help("write a `key`, or `operator: Exists`"));
            }
        }
        if exists && toleration.value.as_deref().is_some_and(|value| !value.is_empty()) {
            rules.wrong(&value_at, "`Exists` compares with no value", "remove `value`");
        }
        if toleration.toleration_seconds.is_some() && toleration.effect.as_deref() != Some("NoExecute") {
            let fault = Fault::at_key(
                &at.key("tolerationSeconds"),
                "only what is tolerated with `NoExecute` is tolerated for a time",
                "needs `effect: NoExecute`",
            );
            rules.push(fault);
        }
    }
}
