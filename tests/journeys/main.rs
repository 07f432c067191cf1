//! Journeys through the real binary on the real kernel, as a user makes them. They need root; without it each says
//! so and is counted as passed with nothing seen.
#![expect(clippy::unwrap_used, reason = "a test fails by it, and says where")]

mod bench;
mod edit;
mod folder;
mod image;
mod kill;
mod pod;
mod second_kernel;
mod session;
mod up;
