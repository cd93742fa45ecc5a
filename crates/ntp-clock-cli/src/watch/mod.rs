//! `ntp-clock watch`: the clock, live.

mod history;
mod lines;
mod news;
mod panels;
mod screen;

use std::io::{self, IsTerminal};

use ntp_clock::{Clock, Server};

use crate::args::WatchArgs;
use crate::failure::Failure;
use crate::stop;

pub(crate) fn run(args: &WatchArgs, server: Server) -> Result<(), Failure> {
    let stop = stop::on_signals();
    let built = Clock::builder().server(server).poll_interval(args.poll).build();
    let clock = built.map_err(|error| Failure::Usage(error.to_string()))?;
    let events = clock.subscribe();
    let terminal = io::stdout().is_terminal() && io::stdin().is_terminal();
    if args.lines || args.count.is_some() || !terminal {
        lines::run(args, &clock, &events, stop)?;
    } else {
        screen::run(args, &clock, &events, stop)?;
    }
    Ok(())
}
