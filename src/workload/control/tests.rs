mod cron_laws;
mod laws;
pub(crate) mod world;
