//! What a shell and a manual want to know, generated from the command itself.

use clap::CommandFactory;
use clap_complete::Shell;

use crate::args::Cli;
use crate::failure::Failure;
use crate::output::print_bytes;

pub(crate) fn completions(shell: Shell) -> Result<(), Failure> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), NAME, &mut script);
    print_bytes(&script)
}

/// The page of the whole command, or of one of its subcommands.
pub(crate) fn man(subcommand: Option<&str>) -> Result<(), Failure> {
    let mut command = Cli::command();
    // Gives subcommands their full names.
    command.build();
    let command = match subcommand {
        None => command,
        Some(name) => command
            .find_subcommand(name)
            .cloned()
            .map(|found| found.display_name(format!("{NAME}-{name}")))
            .ok_or_else(|| Failure::Usage(format!("there is no command {name:?}")))?,
    };
    let mut page = Vec::new();
    clap_mangen::Man::new(command)
        .render(&mut page)
        .map_err(|error| Failure::Failed(format!("cannot make the manual page: {error}")))?;
    print_bytes(&page)
}

const NAME: &str = "ntp-clock";
