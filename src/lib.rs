//! Drop a Kubernetes manifest into a folder, get a pod.
//!
//! ```text
//! manifest file → objects → desired → plan → action → shim → state file → observed → status file
//!    text         manifest  workload   plan  daemon   pod     rundir       daemon     status
//! ```
//!
//! Layers, imports go down only (`tests/layering.rs` holds them):
//!
//! ```text
//! face     main → cli
//! loops    daemon (tokio)    shim (one thread, no tokio)
//! hands    image · volume · sandbox · logs · publish · rundir · probe · failpoint
//! thought  manifest · workload · plan · pod · bundle · status · metrics      pure
//! words    model · api · paths                                               pure
//! ```
//!
//! Words: an *instance* is a run directory with its own bridge, cgroup and leases. An *object* is what a
//! manifest declares, a *pod* what runs for it. A *shim* is the process that is a pod. A *goal* is what a
//! shim is told to reach, a *record* what it says it has reached.

pub(crate) mod api;
pub(crate) mod bundle;
pub mod cli;
pub(crate) mod daemon;
pub(crate) mod failpoint;
#[doc(hidden)]
pub mod fuzz;
pub(crate) mod image;
pub(crate) mod logs;
pub(crate) mod manifest;
pub(crate) mod metrics;
pub(crate) mod model;
pub(crate) mod paths;
pub(crate) mod plan;
pub(crate) mod pod;
pub(crate) mod probe;
pub(crate) mod publish;
pub(crate) mod rundir;
pub(crate) mod sandbox;
pub(crate) mod shim;
pub(crate) mod status;
pub(crate) mod volume;
pub(crate) mod workload;
