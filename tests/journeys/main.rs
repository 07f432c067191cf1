//! Journeys through the real binary on the real kernel, as a user makes them. They need root; without it each says
//! so and is counted as passed with nothing seen.
#![expect(clippy::unwrap_used, reason = "a test fails by it, and says where")]

mod apart;
mod attach;
mod batch;
mod bench;
mod confine;
mod confinement;
mod cron_job;
mod edges;
mod edit;
mod escape;
mod examples;
mod fault;
mod folder;
mod full;
mod host_path;
mod image;
mod init;
mod job;
mod kill;
mod load;
mod look;
mod own;
mod pod;
mod probe;
mod range;
mod reader;
mod readme;
mod running;
mod screens;
mod second_kernel;
mod service;
mod session;
mod stopped;
mod up;
mod verbs;
mod words;
