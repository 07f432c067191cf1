//! Commands on terminals of their own.

use std::fs;
use std::io::Write;
use std::process::{Command, Stdio};

use super::process::wait_with_deadline;
use super::{Bench, Running};

impl Bench {
    /// Runs a command on a terminal of its own, types into it, and gives what it showed.
    pub(crate) fn run_on_terminal(&self, args: &[&str], keys: &str) -> String {
        self.at_terminal(&format!("{} {}", env!("CARGO_BIN_EXE_droppod"), args.join(" ")), keys)
    }

    /// The same with a line of the shell's.
    pub(crate) fn at_terminal(&self, line: &str, keys: &str) -> String {
        let mut command = self.program("script");
        command.args(["-qec", line, "/dev/null"]);
        let mut command = self.furnish(command);
        command.env("TERM", "xterm");
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        // Kept open: its end would be typed as the end of input.
        let mut keyboard = child.stdin.take().unwrap();
        keyboard.write_all(keys.as_bytes()).unwrap();
        let ran = wait_with_deadline(child, &[line]);
        drop(keyboard);
        String::from_utf8_lossy(&ran.stdout).into_owned()
    }

    /// What a command shows on a terminal of so many columns; `settings` are variables of the environment.
    pub(crate) fn screen(&self, columns: u16, settings: &str, args: &str) -> String {
        let child = self.on_screen(columns, settings, args).stdout(Stdio::piped()).spawn().unwrap();
        let ran = wait_with_deadline(child, &[args]);
        String::from_utf8_lossy(&ran.stdout).into_owned()
    }

    /// The same of a command that does not end by itself, once this part is there.
    pub(crate) fn screen_until(&self, columns: u16, settings: &str, args: &str, part: &str) -> String {
        let path = self.root.join("screen");
        let file = fs::File::create(&path).unwrap();
        let child = self.on_screen(columns, settings, args).stdout(file).spawn().unwrap();
        let running = Running { child };
        let shown = || fs::read_to_string(&path).unwrap();
        self.until(part, || shown().contains(part));
        running.kill();
        shown()
    }

    fn on_screen(&self, columns: u16, settings: &str, args: &str) -> Command {
        let mut command = self.program("script");
        let place = self.root.display();
        let droppod = env!("CARGO_BIN_EXE_droppod");
        let line = format!(
            "stty cols {columns} rows 40; cd {place}; exec env TERM=xterm LC_ALL=C.UTF-8 {settings} {droppod} {args}"
        );
        command.args(["-qec", &line, "/dev/null"]);
        let mut command = self.furnish(command);
        command.stdin(Stdio::null());
        command
    }
}
