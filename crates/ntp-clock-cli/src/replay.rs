//! `ntp-clock replay`: a log through the clock's estimator, and its answers out.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use ntp_clock::log::{LogError, replay};

use crate::args::ReplayArgs;
use crate::failure::Failure;
use crate::output::STANDARD_OUTPUT;

pub(crate) fn run(args: &ReplayArgs) -> Result<(), Failure> {
    let from = args.file.as_path();
    if from == Path::new("-") {
        return through(io::stdin().lock(), "standard input");
    }
    let name = from.display().to_string();
    let file = File::open(from)
        .map_err(|error| Failure::Usage(format!("cannot open the log {name}: {error}")))?;
    through(file, &name)
}

fn through(log: impl Read, name: &str) -> Result<(), Failure> {
    match replay(log, io::stdout().lock()) {
        Ok(_) => Ok(()),
        Err(LogError::Write(error)) => Err(Failure::output(STANDARD_OUTPUT, error)),
        Err(error) => Err(Failure::Usage(format!("{name}: {error}"))),
    }
}
