//! A command line up to the cursor → what can stand there.

use clap::{Arg, Command};

/// What was typed, understood as far as it goes.
pub(super) struct Line<'a> {
    /// The verb, or the one below it.
    pub(super) command: &'a Command,
    /// Names of the verbs, outermost first.
    pub(super) verbs: Vec<&'a str>,
    /// Words that belong to no option.
    pub(super) words: Vec<&'a str>,
    /// Options that were given, with their values.
    pub(super) given: Vec<(&'a Arg, Option<&'a str>)>,
    /// The word at the cursor, as far as it is typed.
    pub(super) current: &'a str,
    pub(super) at: Spot<'a>,
}

/// What stands at the cursor.
#[derive(Debug)]
pub(super) enum Spot<'a> {
    Verb,
    Option,
    /// The value of an option or a word of its own; `before` is what of the word is not the value: `--output=`.
    Value {
        arg: &'a Arg,
        before: &'a str,
        begun: &'a str,
    },
    Nothing,
}

/// `root` is built. The last word is the one at the cursor, which may be empty.
pub(super) fn read<'a>(root: &'a Command, words: &'a [String]) -> Line<'a> {
    let mut line = Line {
        command: root,
        verbs: Vec::new(),
        words: Vec::new(),
        given: Vec::new(),
        current: "",
        at: Spot::Nothing,
    };
    let Some((current, before)) = words.split_last() else { return line };
    line.current = current;
    let mut pending = None;
    let mut escaped = false;
    for word in before {
        if let Some(arg) = pending.take() {
            line.given.push((arg, Some(word)));
        } else if escaped {
            line.words.push(word);
        } else if word == "--" {
            escaped = true;
        } else if let Some(long) = word.strip_prefix("--") {
            pending = line.long(long);
        } else if word.len() > 1
            && let Some(letters) = word.strip_prefix('-')
        {
            pending = line.short(letters);
        } else {
            line.plain(word);
        }
    }
    line.at = match pending {
        Some(arg) => Spot::Value { arg, before: "", begun: current },
        // What follows is for the program that is to run.
        None if escaped => Spot::Nothing,
        None => line.spot(current),
    };
    line
}

impl<'a> Line<'a> {
    /// The option, if its value is the next word.
    fn long(&mut self, text: &'a str) -> Option<&'a Arg> {
        let (name, value) = match text.split_once('=') {
            Some((name, value)) => (name, Some(value)),
            None => (text, None),
        };
        let arg = self.option(name)?;
        if takes_next(arg) && value.is_none() {
            return Some(arg);
        }
        self.given.push((arg, value));
        None
    }

    /// `-Rf` is two options, `-fweb.yaml` one and its value.
    fn short(&mut self, letters: &'a str) -> Option<&'a Arg> {
        for (at, letter) in letters.char_indices() {
            let arg = self.command.get_arguments().find(|arg| arg.get_short() == Some(letter))?;
            let rest = &letters[at + letter.len_utf8()..];
            if arg.get_action().takes_values() {
                if rest.is_empty() {
                    return Some(arg);
                }
                self.given.push((arg, Some(rest)));
                return None;
            }
            self.given.push((arg, None));
        }
        None
    }

    fn plain(&mut self, word: &'a str) {
        match self.command.find_subcommand(word) {
            Some(verb) if self.words.is_empty() => {
                self.command = verb;
                self.verbs.push(verb.get_name());
            }
            Some(_) | None => self.words.push(word),
        }
    }

    fn option(&self, name: &str) -> Option<&'a Arg> {
        self.command.get_arguments().find(|arg| arg.get_long() == Some(name))
    }

    fn spot(&self, current: &'a str) -> Spot<'a> {
        if let Some((name, value)) = current.strip_prefix("--").and_then(|text| text.split_once('=')) {
            return match self.option(name) {
                Some(arg) if arg.get_action().takes_values() => {
                    Spot::Value { arg, before: &current[..current.len() - value.len()], begun: value }
                }
                Some(_) | None => Spot::Nothing,
            };
        }
        if current.starts_with('-') && current != "-" || current == "-" && !self.takes_word() {
            return Spot::Option;
        }
        if self.command.has_subcommands() {
            return if self.words.is_empty() { Spot::Verb } else { Spot::Nothing };
        }
        match self.positional() {
            Some(arg) => Spot::Value { arg, before: "", begun: current },
            None => Spot::Option,
        }
    }

    fn takes_word(&self) -> bool {
        self.positional().is_some()
    }

    /// What the next word without a dash would be.
    fn positional(&self) -> Option<&'a Arg> {
        let all: Vec<&Arg> = self.command.get_positionals().filter(|arg| !arg.is_last_set()).collect();
        let several = |arg: &&&Arg| {
            arg.get_num_args().is_some_and(|range| range.max_values() > 1)
                || matches!(arg.get_action(), clap::ArgAction::Append)
        };
        all.get(self.words.len()).or_else(|| all.last().filter(several)).copied()
    }

    /// Options that mean the same for all verbs, as they were given.
    pub(super) fn global(&self) -> impl Iterator<Item = String> + '_ {
        self.given.iter().filter(|(arg, _)| arg.is_global_set()).filter_map(|(arg, value)| {
            let long = arg.get_long()?;
            Some(value.map_or_else(|| format!("--{long}"), |value| format!("--{long}={value}")))
        })
    }
}

fn takes_next(arg: &Arg) -> bool {
    arg.get_action().takes_values() && !arg.is_require_equals_set()
}
