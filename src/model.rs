//! droppod's own words: identities, what is wanted, what is seen, what is to be done.

pub(crate) mod action;
pub(crate) mod back_off;
pub(crate) mod capability;
pub(crate) mod control;
pub(crate) mod desired;
pub(crate) mod handler;
pub(crate) mod id;
pub(crate) mod image;
pub(crate) mod indexes;
pub(crate) mod job;
pub(crate) mod network;
pub(crate) mod object;
pub(crate) mod objects;
pub(crate) mod observed;
pub(crate) mod pod_plan;
pub(crate) mod port;
pub(crate) mod pull_environment;
pub(crate) mod pull_secret;
pub(crate) mod quantity;
pub(crate) mod record;
pub(crate) mod schedule;
pub(crate) mod signal;
pub(crate) mod time;
