//! Where the loop's log lines go: stderr, as much of them as `-v` asks for.

use std::io::{self, Write, stderr};
use std::sync::mpsc::{SyncSender, TrySendError};

use tracing::Level;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::writer::BoxMakeWriter;

use super::settings::Settings;
use super::terminal::Color;
use crate::daemon::PULLS;

/// `at_least` is what is shown without `-v`.
pub(crate) fn start(at_least: Level, settings: &Settings) {
    begin(&format!("warn,droppod={at_least}"), settings, BoxMakeWriter::new(stderr));
}

/// For an `up`, which tells of pulls in its own words. With `aside`, lines go there instead of stderr.
pub(crate) fn start_beside(aside: Option<SyncSender<Vec<u8>>>, settings: &Settings) {
    let writer = match aside {
        Some(aside) => BoxMakeWriter::new(move || Aside(aside.clone())),
        None => BoxMakeWriter::new(stderr),
    };
    begin(&format!("warn,{PULLS}=off"), settings, writer);
}

fn begin(usual: &str, settings: &Settings, writer: BoxMakeWriter) {
    let filter = match settings.verbosity {
        0 => usual.to_owned(),
        1 => "info,droppod=debug".to_owned(),
        _ => "trace".to_owned(),
    };
    let subscriber = tracing_subscriber::fmt()
        .with_env_filter(EnvFilter::new(filter))
        .with_writer(writer)
        // It would be told by `eprintln!`, which ends a watcher whose log lies on a full disc.
        .log_internal_errors(false)
        .with_ansi(settings.color.for_stderr() == Color::Coloured)
        .with_target(false);
    // The journal stamps each line itself.
    if std::env::var_os("JOURNAL_STREAM").is_some() {
        subscriber.without_time().init();
    } else {
        subscriber.init();
    }
}

/// To whoever has the terminal.
struct Aside(SyncSender<Vec<u8>>);

impl Write for Aside {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        match self.0.try_send(line.to_vec()) {
            Ok(()) => Ok(line.len()),
            // Nobody takes it: better in the midst of something than not at all.
            Err(TrySendError::Full(line) | TrySendError::Disconnected(line)) => stderr().write(&line),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
