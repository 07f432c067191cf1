mod cron_laws;
mod laws;
mod rest;
pub(crate) mod world;
