//! Log lines as people see them.

use std::io::{self, Write};

use crate::cli::terminal::{Color, Palette, Text};
use crate::logs::follow::Origin;
use crate::logs::line::Extent;
use crate::logs::read::Line;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::cli) struct Style {
    pub(in crate::cli) color: Color,
    pub(in crate::cli) timestamps: bool,
    pub(in crate::cli) prefix: Option<Prefix>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::cli) enum Prefix {
    /// `[pod/web/main] line`
    Kubectl,
    /// `web/main | line`, the bars in one column as far as known
    Aligned,
}

#[derive(Debug)]
pub(in crate::cli) struct Printer<W> {
    out: W,
    style: Style,
    text: Text,
    palette: Palette,
    /// Of the widest prefix so far.
    width: usize,
    most: usize,
    /// Whose line has no newline yet.
    unfinished: Option<Origin>,
}

impl<W: Write> Printer<W> {
    pub(in crate::cli) fn new(out: W, style: Style) -> Printer<W> {
        let palette = Palette::new(style.color);
        Printer {
            out,
            style,
            text: Text::for_stdout(),
            palette,
            width: 0,
            most: usize::MAX,
            unfinished: None,
        }
    }

    /// Aligned prefixes have this width from the beginning, and are not made wider than `most`: longer ones stand out.
    pub(in crate::cli) fn aligned(self, width: usize, most: Option<usize>) -> Printer<W> {
        let most = most.unwrap_or(usize::MAX);
        Printer { width: width.min(most), most, ..self }
    }

    pub(in crate::cli) fn print(&mut self, origin: &Origin, line: &Line) -> io::Result<()> {
        if self.unfinished.as_ref() != Some(origin) {
            if self.unfinished.is_some() {
                self.out.write_all(b"\n")?;
            }
            self.lead(origin, line)?;
        }
        self.out.write_all(&self.text.show(&line.text))?;
        self.unfinished = match line.extent {
            Extent::Full => {
                self.out.write_all(b"\n")?;
                None
            }
            Extent::Partial => Some(origin.clone()),
        };
        Ok(())
    }

    pub(in crate::cli) fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }

    /// Whether the last line has its newline.
    pub(in crate::cli) fn is_at_line_start(&self) -> bool {
        self.unfinished.is_none()
    }

    fn lead(&mut self, origin: &Origin, line: &Line) -> io::Result<()> {
        let name = format!("{}/{}", origin.pod.name, origin.container);
        match self.style.prefix {
            None => {}
            Some(Prefix::Kubectl) => {
                let prefix = format!("[pod/{name}]");
                write!(self.out, "{} ", self.palette.paint(&name, &prefix))?;
            }
            Some(Prefix::Aligned) => {
                self.width = self.width.max(name.chars().count()).min(self.most);
                let prefix = format!("{name:<width$} |", width = self.width);
                write!(self.out, "{} ", self.palette.paint(&name, &prefix))?;
            }
        }
        if self.style.timestamps {
            write!(self.out, "{:.9} ", line.time)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::logs::write::Stream;
    use crate::model::id::{PodId, Uid};
    use crate::model::time::Timestamp;

    fn line(text: &str, extent: Extent) -> Line {
        Line { run: 0, time: Timestamp::UNIX_EPOCH, stream: Stream::Stdout, extent, text: text.into() }
    }

    fn origin(pod: &str) -> Origin {
        let uid = Uid::from_random([0; 16]);
        let pod = PodId { namespace: "default".into(), name: pod.into(), uid };
        Origin { pod, container: "main".into() }
    }

    fn printed(style: Style, lines: &[(&str, Line)]) -> String {
        let mut out = Vec::new();
        let mut printer = Printer::new(&mut out, style);
        for (pod, line) in lines {
            printer.print(&origin(pod), line).unwrap();
        }
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn lines_are_named_and_dated_as_asked() {
        let plain = Style { color: Color::Plain, timestamps: false, prefix: None };
        let hello = || [("web", line("hello", Extent::Full))];
        assert_eq!(printed(plain, &hello()), "hello\n");
        assert_eq!(
            printed(Style { prefix: Some(Prefix::Kubectl), ..plain }, &hello()),
            "[pod/web/main] hello\n"
        );
        let dated = Style { timestamps: true, prefix: Some(Prefix::Aligned), ..plain };
        assert_eq!(printed(dated, &hello()), "web/main | 1970-01-01T00:00:00.000000000Z hello\n");
    }

    #[test]
    fn one_long_name_does_not_take_the_room_of_all_lines() {
        let style = Style { color: Color::Plain, timestamps: false, prefix: Some(Prefix::Aligned) };
        let mut out = Vec::new();
        let mut printer = Printer::new(&mut out, style).aligned(4, Some(8));
        for pod in ["a", "much-longer", "b"] {
            printer.print(&origin(pod), &line("x", Extent::Full)).unwrap();
        }
        assert_eq!(String::from_utf8(out).unwrap(), "a/main | x\nmuch-longer/main | x\nb/main   | x\n");
    }

    #[test]
    fn an_unfinished_line_is_not_taken_for_that_of_another() {
        let style = Style { color: Color::Plain, timestamps: false, prefix: Some(Prefix::Aligned) };
        let lines = [
            ("a", line("one ", Extent::Partial)),
            ("a", line("goes on", Extent::Full)),
            ("a", line("two ", Extent::Partial)),
            ("bb", line("three", Extent::Full)),
        ];
        assert_eq!(printed(style, &lines), "a/main | one goes on\na/main | two \nbb/main | three\n");
    }
}
