mod laws;
pub(crate) mod world;
