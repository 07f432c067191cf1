//! desired × observed × now → actions. Pure; `droppod diff` prints what it returns.

use crate::model::action::Plan;
use crate::model::desired::Desired;
use crate::model::observed::Observed;
use crate::model::time::Now;

/// What is to be done to bring `observed` to `desired`. Empty for a settled world.
pub(crate) fn diff(desired: &Desired, observed: &Observed, boot_id: &str, now: Now) -> Plan {
    let _ = (desired, observed, boot_id, now);
    unimplemented!()
}
