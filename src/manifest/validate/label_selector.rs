//! Label selectors (kubernetes `ValidateLabelSelector`).

use crate::manifest::fault::Fault;
use crate::manifest::node::At;

use super::Rules;
use super::names::{LABEL_VALUE, QUALIFIED};

pub(super) fn check(selector: &At<'_>, rules: &mut Rules) {
    for label in selector.key("matchLabels").each_entry() {
        rules.key_name(&label, &QUALIFIED);
        rules.value(&label, label.text().unwrap_or_default(), &LABEL_VALUE);
    }
    for expression in selector.key("matchExpressions").each_item() {
        let (key, operator, values) =
            (expression.key("key"), expression.key("operator"), expression.key("values"));
        rules.required(&key);
        if let Some(text) = key.text().filter(|text| !text.is_empty()) {
            rules.name(&key, text, &QUALIFIED);
        }
        rules.required(&operator);
        let is_empty = values.each_item().next().is_none();
        match operator.text() {
            Some("In" | "NotIn") if is_empty => {
                let fault = Fault::at(&values, "the operator compares with values", "no value is given");
                rules.push(fault.help("write `values: [one, other]`"));
            }
            Some("Exists" | "DoesNotExist") if !is_empty => {
                rules.wrong(&values, "the operator compares with no value", "remove `values`");
            }
            Some("In" | "NotIn" | "Exists" | "DoesNotExist" | "") | None => {}
            Some(_) => rules.one_of(&operator, &["In", "NotIn", "Exists", "DoesNotExist"]),
        }
        for value in values.each_item() {
            rules.value(&value, value.text().unwrap_or_default(), &LABEL_VALUE);
        }
    }
}
