//! What was typed, before the parser of arguments reads it: kubectl's spellings that the parser has no word for.

use std::ffi::OsString;

use clap::{Arg, ArgAction, Command};

/// A command line.
#[derive(Debug, PartialEq)]
pub(super) struct Typed {
    /// For the parser, the program's own name first.
    pub(super) args: Vec<OsString>,
    /// The verb and the one below it, as far as there are such.
    pub(super) verbs: Vec<String>,
    /// Words after the verbs that are neither options nor values of options.
    pub(super) words: Vec<String>,
}

/// `help get` is `get --help`; `--no-headers=true` is `--no-headers`, and with `=false` nothing. Of `root` only the verbs
/// that are named are built: all of them take longer than many a verb.
pub(super) fn read(typed: impl Iterator<Item = OsString>, root: &Command) -> Typed {
    let mut typed: Vec<OsString> = typed.collect();
    if typed.get(1).is_some_and(|word| word == "help") {
        typed.remove(1);
        typed.push("--help".into());
    }
    let mut rest = typed.into_iter();
    let mut read = Typed { args: rest.next().into_iter().collect(), verbs: Vec::new(), words: Vec::new() };
    let mut verbs: Vec<Command> = Vec::new();
    while let Some(word) = rest.next() {
        let text = word.to_string_lossy().into_owned();
        if text == "--" {
            read.args.push(word);
            break;
        }
        if !text.starts_with('-') || text == "-" {
            match verbs.last().unwrap_or(root).find_subcommand(&text) {
                Some(verb) if read.words.is_empty() => {
                    let mut verb = verb.clone();
                    verb.build();
                    read.verbs.push(verb.get_name().to_owned());
                    verbs.push(verb);
                }
                Some(_) | None => read.words.push(text),
            }
            read.args.push(word);
            continue;
        }
        // Options of the root are options of all verbs.
        let option = |name: &str| [root].into_iter().chain(&verbs).rev().find_map(|one| option(one, name));
        match switch(&text, option) {
            Some((switch, true)) => read.args.push(switch.into()),
            Some((_, false)) => {}
            None => {
                read.args.push(word);
                if option(&text).is_some_and(takes_next) {
                    read.args.extend(rest.next());
                }
            }
        }
    }
    read.args.extend(rest);
    read
}

/// By `--long` or `-s`.
fn option<'a>(command: &'a Command, name: &str) -> Option<&'a Arg> {
    command.get_arguments().find(|arg| match name.strip_prefix("--") {
        Some(long) => arg.get_long() == Some(long),
        None => {
            arg.get_short().is_some_and(|short| name.strip_prefix('-') == Some(short.to_string().as_str()))
        }
    })
}

/// A switch that is told its value, as Go's flags take it.
fn switch<'a, 'c>(text: &'a str, option: impl Fn(&str) -> Option<&'c Arg>) -> Option<(&'a str, bool)> {
    let (name, value) = text.split_once('=')?;
    let on = match value {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => true,
        "0" | "f" | "F" | "false" | "FALSE" | "False" => false,
        _ => return None,
    };
    let arg = option(name)?;
    matches!(arg.get_action(), ArgAction::SetTrue).then_some((name, on))
}

/// Its value is the next word.
fn takes_next(arg: &Arg) -> bool {
    arg.get_action().takes_values() && !arg.is_require_equals_set()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn root() -> Command {
        let word = |name: &'static str| Arg::new(name).action(ArgAction::Append);
        let headers = Arg::new("no-headers").long("no-headers").action(ArgAction::SetTrue);
        let watch = Arg::new("watch").short('w').long("watch").action(ArgAction::SetTrue);
        let namespace = Arg::new("namespace").short('n').long("namespace").global(true);
        let get = Command::new("get").arg(word("words")).arg(headers).arg(watch);
        Command::new("droppod").arg(namespace).subcommand(get)
    }

    fn typed(line: &str) -> (String, Typed) {
        let read = read(line.split(' ').map(OsString::from), &root());
        let args: Vec<String> = read.args.iter().map(|arg| arg.to_string_lossy().into_owned()).collect();
        (args.join(" "), read)
    }

    #[test]
    fn switches_are_told_true_or_false_as_for_kubectl() {
        for (line, args) in [
            ("droppod get pods --no-headers=true", "droppod get pods --no-headers"),
            ("droppod get pods --no-headers=false -w=1", "droppod get pods -w"),
            ("droppod get --no-headers=maybe", "droppod get --no-headers=maybe"),
            ("droppod -n get get pods", "droppod -n get get pods"),
            ("droppod get -n --no-headers=true", "droppod get -n --no-headers=true"),
            ("droppod get -- --no-headers=true", "droppod get -- --no-headers=true"),
            ("droppod help get", "droppod get --help"),
            ("droppod help", "droppod --help"),
        ] {
            assert_eq!(typed(line).0, args, "{line}");
        }
    }

    #[test]
    fn words_are_told_from_values() {
        let (_, read) = typed("droppod -n team get pods get -w web");
        assert_eq!(
            (read.verbs, read.words),
            (vec!["get".to_owned()], ["pods", "get", "web"].map(str::to_owned).to_vec())
        );
    }
}
