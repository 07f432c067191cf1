//! State, logs and folder, each on a disc of its own that runs out of room or inodes or becomes read-only under pods that run.

use super::guest::{self, Errand, Guest};
use super::kernel;
use crate::bench::say;

pub(super) mod inside;

#[test]
#[ignore = "boots another kernel"]
fn pods_run_on_over_a_full_and_a_read_only_disc_which_mends_itself() {
    let Some(kernel) = kernel::kernel() else { return };
    let images =
        ["root", "state", "logs", "folder"].map(|name| guest::image(&format!("disc-{name}.ext4"), 16));
    let mut guest = Guest::boot(kernel, "disc", &Errand::Part("disc", &images));
    let told = guest.until("peace");
    guest.rest();
    for line in told.iter().filter_map(|line| line.strip_prefix("mended ")) {
        say(&format!("second kernel: {line}"));
    }
}
