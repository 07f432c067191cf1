//! `completion`: what a shell needs to complete the words of a command line.

use std::io::{Write, stdout};

use clap::CommandFactory;
use clap_complete::Shell;

use super::exit::Exit;
use super::failure::Failure;

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  droppod completion bash > /etc/bash_completion.d/droppod
  droppod completion zsh > \"${fpath[1]}/_droppod\"
  droppod completion fish > ~/.config/fish/completions/droppod.fish

It takes effect in shells that are started afterwards.")]
pub(crate) struct CompletionArgs {
    shell: Shell,
}

pub(crate) fn run(args: &CompletionArgs) -> Result<Exit, Failure> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut super::Cli::command(), "droppod", &mut script);
    stdout().write_all(&script).map_err(Failure::of_output)?;
    Ok(Exit::Done)
}
