//! `man`: the manual, a page for each verb, from what `--help` says.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use clap::{Arg, Command, CommandFactory};
use clap_mangen::Man;
use clap_mangen::roff::{Roff, bold, roman};

use super::Cli;
use super::exit::Exit;
use super::failure::Failure;

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  droppod man /usr/local/share/man/man1
  droppod man . && man -l droppod-get.1")]
pub(crate) struct ManArgs {
    /// Where the pages go; made if it is not there
    #[arg(value_name = "DIR")]
    directory: PathBuf,
}

pub(crate) fn run(args: &ManArgs) -> Result<Exit, Failure> {
    let directory = &args.directory;
    let unwritten = |error: io::Error| {
        Failure::new(Exit::Failed, format!("cannot write manual pages into {}", directory.display()))
            .because(error)
    };
    fs::create_dir_all(directory).map_err(unwritten)?;
    let mut root = Cli::command();
    root.build();
    pages(&root, directory).map_err(unwritten)?;
    Ok(Exit::Done)
}

/// Of a command and all below it.
fn pages(command: &Command, directory: &Path) -> io::Result<()> {
    for verb in shown(command) {
        pages(verb, directory)?;
    }
    fs::write(directory.join(format!("{}.1", name(command))), page(command)?)
}

fn shown(command: &Command) -> impl Iterator<Item = &Command> {
    command.get_subcommands().filter(|verb| !verb.is_hide_set())
}

fn page(command: &Command) -> io::Result<Vec<u8>> {
    let man = Man::new(command.clone().mut_args(with_values));
    let mut page =
        format!(".TH {} 1 \"\" \"droppod {}\"\n", name(command).to_uppercase(), env!("CARGO_PKG_VERSION"))
            .into_bytes();
    man.render_name_section(&mut page)?;
    let usage = command.clone().render_usage().to_string();
    let mut synopsis = Roff::default();
    synopsis.control("SH", ["SYNOPSIS"]);
    synopsis.text([roman(usage.trim_start_matches("Usage: ").trim_end())]);
    synopsis.to_writer(&mut page)?;
    man.render_description_section(&mut page)?;
    if shown(command).next().is_some() {
        man.render_subcommands_section(&mut page)?;
    }
    man.render_options_section(&mut page)?;
    let mut rest = Roff::default();
    closing(&command.get_after_help().map(ToString::to_string).unwrap_or_default(), &mut rest);
    see_also(command, &mut rest);
    rest.to_writer(&mut page)?;
    Ok(page)
}

/// The values that an option takes, in its own line rather than in a list below it.
fn with_values(arg: Arg) -> Arg {
    let values = arg.get_possible_values();
    let names: Vec<&str> =
        values.iter().filter(|value| !value.is_hide_set()).map(|value| value.get_name()).collect();
    if names.is_empty() || arg.is_hide_possible_values_set() || !arg.get_action().takes_values() {
        return arg;
    }
    let help = arg.get_help().map(ToString::to_string).unwrap_or_default();
    let help = format!("{help} [{}]", names.join(", "));
    arg.help(help.trim_start().to_owned()).hide_possible_values(true)
}

fn name(command: &Command) -> &str {
    command.get_display_name().unwrap_or(command.get_name())
}

/// What stands after the options: `Examples:` and the like head a block of lines as they are, all else is text.
fn closing(help: &str, page: &mut Roff) {
    let mut noted = false;
    for paragraph in help.split("\n\n").filter(|paragraph| !paragraph.trim().is_empty()) {
        let (head, lines) = paragraph.split_once('\n').unwrap_or((paragraph, ""));
        match head.strip_suffix(':') {
            Some(title) if !lines.is_empty() => {
                page.control("SH", [title.to_uppercase().as_str()]).control("nf", []);
                for line in lines.lines() {
                    page.text([roman(line.strip_prefix("  ").unwrap_or(line))]);
                }
                page.control("fi", []);
            }
            Some(_) | None => {
                if noted {
                    page.control("PP", []);
                } else {
                    page.control("SH", ["NOTES"]);
                    noted = true;
                }
                for line in paragraph.lines() {
                    page.text([roman(line)]);
                }
            }
        }
    }
}

fn see_also(command: &Command, page: &mut Roff) {
    let mut others: Vec<&str> = shown(command).map(name).collect();
    if let Some((above, _)) = name(command).rsplit_once('-') {
        others.insert(0, above);
    }
    if others.is_empty() {
        return;
    }
    page.control("SH", ["SEE ALSO"]);
    let last = others.len() - 1;
    for (at, other) in others.iter().enumerate() {
        page.text([bold(*other), roman(if at == last { "(1)" } else { "(1)," })]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Columns of a narrow terminal, less a margin.
    const NARROW: usize = 78;

    fn wide(command: &Command, found: &mut Vec<String>) {
        let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
        // All else is wrapped.
        let examples = help.lines().filter(|line| line.starts_with("  "));
        found.extend(examples.filter(|line| line.chars().count() > NARROW).map(str::to_owned));
        command.get_subcommands().for_each(|verb| wide(verb, found));
    }

    #[test]
    fn examples_fit_into_a_narrow_terminal() {
        let mut found = Vec::new();
        wide(&Cli::command(), &mut found);
        assert_eq!(found, [""; 0]);
    }
}
