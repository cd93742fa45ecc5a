//! `ntp-clock watch`: the clock, live.

mod history;
mod lines;
mod news;
mod panels;
mod screen;

use std::io::{self, IsTerminal};

use ntp_clock::Builder;

use crate::args::WatchArgs;
use crate::failure::Failure;
use crate::stop;
use crate::sync;

pub(crate) fn run(args: &WatchArgs, clock: Builder) -> Result<(), Failure> {
    let stop = stop::on_signals();
    let clock = sync::start(clock.poll_interval(args.poll))?;
    let events = clock.subscribe();
    let terminal = io::stdout().is_terminal() && io::stdin().is_terminal();
    if args.lines || args.count.is_some() || !terminal {
        lines::run(args, &clock, &events, stop)?;
    } else {
        screen::run(args, &clock, &events, stop)?;
    }
    Ok(())
}
