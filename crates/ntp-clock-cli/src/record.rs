//! `ntp-clock record`: the exchange log of a live clock.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::Path;
use std::time::{Duration, Instant};

use ntp_clock::log::{Answer, Line};
use ntp_clock::{Builder, Recorded};

use crate::args::RecordArgs;
use crate::failure::Failure;
use crate::output::STANDARD_OUTPUT;
use crate::stop::{self, Stop};
use crate::sync;

pub(crate) fn run(args: &RecordArgs, clock: Builder) -> Result<(), Failure> {
    if args.answers.as_deref() == Some(args.file.as_path()) {
        return Err(Failure::Usage("the log and the answers need two different files".to_owned()));
    }
    let mut log = Sink::create(&args.file)?;
    let mut answers = args.answers.as_deref().map(Sink::create).transpose()?;
    let stop = stop::on_signals();
    let outcome = record(args, clock, stop, &mut log, answers.as_mut());
    // Whatever happened, what was written is a log, and it shall be on the disk.
    let finished = log.finish().and(answers.as_mut().map_or(Ok(()), Sink::finish));
    outcome.and_then(|tally| finished.map(|()| tally)).and_then(|tally| tally.tell(args))
}

fn record(
    args: &RecordArgs,
    clock: Builder,
    stop: Stop,
    log: &mut Sink,
    mut answers: Option<&mut Sink>,
) -> Result<Tally, Failure> {
    let built = clock.poll_interval(args.poll).build_recorded();
    let (clock, recording) = built.map_err(|error| Failure::Usage(error.to_string()))?;
    let begun = Instant::now();
    let end = args.duration.and_then(|duration| begun.checked_add(duration));
    let mut next_read = args.reads.map(|_| begun);
    let mut tally = Tally::default();
    let mut ending = false;
    loop {
        let now = Instant::now();
        ending |= stop.is_asked() || end.is_some_and(|end| now >= end);
        if let (Some(at), Some(pause)) = (next_read, args.reads)
            && now >= at
            && !ending
        {
            let _ = recording.read();
            // A stopped process does not make up for the reads it missed.
            next_read = (at + pause).max(now).into();
        }
        let wake = [Some(now + LOOK), next_read, end].into_iter().flatten().min().unwrap_or(now);
        let left = if ending { Duration::ZERO } else { wake.saturating_duration_since(now) };
        let item = recording.next_timeout(left);
        match item.map_err(|missed| Failure::Failed(format!("{missed}; the log ends before it")))? {
            Some(Recorded::Entry(entry)) => {
                if let Some(line) = Line::of_entry(&entry) {
                    log.line(&line)?;
                    tally.count(&line);
                }
            }
            Some(Recorded::Read { local, reading }) => {
                log.line(&Line::Read { local })?;
                tally.reads += 1;
                if let Some(answers) = &mut answers {
                    answers.line(&Answer { local, reading })?;
                }
            }
            None if ending => break,
            _ => {}
        }
    }
    tally.why_not = (clock.status().believed == 0).then(|| sync::why_not(&clock, begun.elapsed()));
    Ok(tally)
}

/// What was written.
#[derive(Default)]
struct Tally {
    exchanges: u64,
    lost: u64,
    reads: u64,
    /// Why the clock was never synchronised, if so.
    why_not: Option<String>,
}

impl Tally {
    fn count(&mut self, line: &Line) {
        match line {
            Line::Exchange(_) => self.exchanges += 1,
            Line::Lost { .. } => self.lost += 1,
            _ => {}
        }
    }

    fn tell(self, args: &RecordArgs) -> Result<(), Failure> {
        let to = args.file.display();
        let Tally { exchanges, lost, reads, why_not } = self;
        let _ = writeln!(
            io::stderr(),
            "{to}: {exchanges} exchanges, {lost} requests lost, {reads} reads"
        );
        why_not.map_or(Ok(()), |reason| Err(Failure::Failed(reason)))
    }
}

/// A file that grows by whole lines.
struct Sink {
    name: String,
    out: Out,
    /// Bytes in whole lines so far.
    whole: u64,
}

enum Out {
    Standard(io::Stdout),
    File(File),
}

impl Sink {
    fn create(path: &Path) -> Result<Sink, Failure> {
        if path == Path::new("-") {
            let out = Out::Standard(io::stdout());
            return Ok(Sink { name: STANDARD_OUTPUT.to_owned(), out, whole: 0 });
        }
        let name = path.display().to_string();
        match OpenOptions::new().write(true).create(true).truncate(true).open(path) {
            Ok(file) => Ok(Sink { name, out: Out::File(file), whole: 0 }),
            Err(error) => Err(Failure::Usage(format!("cannot write {name}: {error}"))),
        }
    }

    /// Writes a line at once, or nothing of it.
    fn line(&mut self, line: &dyn std::fmt::Display) -> Result<(), Failure> {
        let text = format!("{line}\n");
        let written = match &mut self.out {
            Out::Standard(out) => out.write_all(text.as_bytes()).and_then(|()| out.flush()),
            Out::File(file) => file.write_all(text.as_bytes()),
        };
        if let Err(error) = written {
            self.take_back();
            return Err(Failure::output(&self.name, error));
        }
        self.whole += text.len() as u64;
        Ok(())
    }

    /// A line that was begun would look like a log that was cut off.
    fn take_back(&self) {
        if let Out::File(file) = &self.out
            && file.metadata().is_ok_and(|metadata| metadata.is_file())
        {
            // Where even this fails, a replay finds the line and says so.
            let _ = file.set_len(self.whole);
        }
    }

    fn finish(&mut self) -> Result<(), Failure> {
        let Out::File(file) = &self.out else { return Ok(()) };
        if !file.metadata().is_ok_and(|metadata| metadata.is_file()) {
            return Ok(()); // A pipe or a device has no disk below.
        }
        file.sync_all().map_err(|error| Failure::output(&self.name, error))
    }
}

/// Ctrl-C is noticed within this.
const LOOK: Duration = Duration::from_millis(50);
