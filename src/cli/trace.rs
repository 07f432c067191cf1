//! Where the loop's log lines go: stderr, as much of them as `-v` asks for.

use std::io::stderr;

use tracing::Level;
use tracing_subscriber::EnvFilter;

use super::settings::Settings;
use super::terminal::Color;

/// `at_least` is what is shown without `-v`.
pub(crate) fn start(at_least: Level, settings: &Settings) {
    let filter = match (settings.verbosity, at_least) {
        (0, level) => format!("warn,droppod={level}"),
        (1, _) => "info,droppod=debug".to_owned(),
        (_, _) => "trace".to_owned(),
    };
    let subscriber = tracing_subscriber::fmt()
        .with_env_filter(EnvFilter::new(filter))
        .with_writer(stderr)
        .with_ansi(settings.color.for_stderr() == Color::Coloured)
        .with_target(false);
    // The journal stamps each line itself.
    if std::env::var_os("JOURNAL_STREAM").is_some() {
        subscriber.without_time().init();
    } else {
        subscriber.init();
    }
}
