//! What goes on, in place below the logs: a block of lines that is taken away before anything else is written to the
//! terminal, and drawn again after it.

use std::io::{self, IsTerminal, Write, stderr};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use crate::cli::terminal::Color;
use crate::daemon::News;
use crate::model::time::Now;

use view::{Size, View};

mod view;

/// Lines of the loop's own log that wait to be shown.
const ROOM: usize = 256;
/// Of what is drawn if the terminal does not say.
const USUAL: Size = Size { columns: 80, rows: 24 };

pub(super) struct Live {
    view: View,
    color: Color,
    /// What the loop logs meanwhile.
    said: Receiver<Vec<u8>>,
    drawn: Vec<String>,
}

type Said = (SyncSender<Vec<u8>>, Receiver<Vec<u8>>);

/// Where the loop's log lines go while what goes on is shown in place.
pub(super) fn channel() -> Option<Said> {
    let commands = std::env::var_os("TERM").is_some_and(|term| !term.is_empty() && term != "dumb");
    (commands && stderr().is_terminal()).then(|| sync_channel(ROOM))
}

impl Live {
    pub(super) fn new(said: Receiver<Vec<u8>>, color: Color, home: String, now: Now) -> Live {
        Live { view: View::new(home, now), color, said, drawn: Vec::new() }
    }

    pub(super) fn hear(&mut self, news: &News, now: Now) {
        self.view.hear(news, now);
    }

    /// Takes the block away.
    pub(super) fn clear(&mut self) -> io::Result<()> {
        if self.drawn.is_empty() {
            return Ok(());
        }
        let gone = self.erasure(size());
        self.drawn.clear();
        stderr().write_all(gone.as_bytes())
    }

    /// Draws it as it is at this time, below what the loop has logged.
    pub(super) fn draw(&mut self, now: Now) -> io::Result<()> {
        while let Ok(line) = self.said.try_recv() {
            self.clear()?;
            stderr().write_all(&line)?;
        }
        let size = size();
        let lines = self.view.render(now, size, self.color);
        if lines == self.drawn {
            return Ok(());
        }
        // In one piece, so that no half of it is ever seen. A line that is too long all the same is cut by the
        // terminal: one that went over into the next row would not be taken away.
        let mut text = self.erasure(size);
        text.push_str("\x1b[?7l");
        for line in &lines {
            text.push_str(line);
            text.push_str("\x1b[K\n");
        }
        text.push_str("\x1b[?7h");
        self.drawn = lines;
        stderr().write_all(text.as_bytes())
    }

    /// Back up to where the block begins, and all below it away.
    fn erasure(&self, size: Size) -> String {
        if self.drawn.is_empty() {
            return String::new();
        }
        // A terminal that has become narrower has folded the lines.
        let rows: usize =
            self.drawn.iter().map(|line| view::width(line).div_ceil(size.columns.max(1)).max(1)).sum();
        format!("\r\x1b[{rows}A\x1b[J")
    }
}

fn size() -> Size {
    match rustix::termios::tcgetwinsize(stderr()) {
        Ok(size) if size.ws_col > 0 && size.ws_row > 0 => {
            Size { columns: size.ws_col.into(), rows: size.ws_row.into() }
        }
        Ok(_) | Err(_) => USUAL,
    }
}
