//! `completion`: what a shell needs to complete command lines, with the names that there are at that moment.

use std::io::{Write, stdout};

use super::exit::Exit;
use super::failure::Failure;

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  droppod completion bash > /etc/bash_completion.d/droppod
  droppod completion zsh > /usr/local/share/zsh/site-functions/_droppod
  droppod completion fish > ~/.config/fish/completions/droppod.fish
  source <(droppod completion bash)        for this shell alone

A file takes effect in shells that are started afterwards. Names of pods,
containers and namespaces are completed for those who may read the records,
usually root.")]
pub(crate) struct CompletionArgs {
    /// The shell that the script is for
    shell: Shell,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Shell {
    Bash,
    Zsh,
    Fish,
}

impl Shell {
    fn script(self) -> &'static str {
        match self {
            Shell::Bash => include_str!("completion/droppod.bash"),
            Shell::Zsh => include_str!("completion/_droppod"),
            Shell::Fish => include_str!("completion/droppod.fish"),
        }
    }
}

pub(crate) fn run(args: &CompletionArgs) -> Result<Exit, Failure> {
    stdout().write_all(args.shell.script().as_bytes()).map(|()| Exit::Done).map_err(Failure::of_output)
}
