//! Four servers, each behind a path of its own, and the processes that ask them.

use std::fmt;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::thread::scope;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use ntp_test_server::{Delay, TestServer};

use crate::checker::Transaction;

pub(crate) struct Scene {
    servers: Vec<TestServer>,
}

pub(crate) struct Run {
    pub(crate) transactions: u64,
    pub(crate) waits: bool,
    pub(crate) threads: usize,
    pub(crate) seed: u64,
}

/// What the processes reported.
pub(crate) struct Committed {
    processes: Vec<Process>,
    took: Duration,
}

struct Process {
    path: &'static str,
    transactions: Vec<Transaction>,
    /// Bound and real error of the clock, microseconds.
    errors_us: Vec<(i64, i64)>,
    replies: u64,
}

/// How long requests and replies take, and what to call that.
const PATHS: [(&str, &str, &str); 4] = [
    ("25 ms there, 5 ms back", "25ms + exp 500us", "5ms + exp 500us"),
    ("5 ms there, 25 ms back", "5ms + exp 500us", "25ms + exp 500us"),
    ("21 ms there, 1 ms back", "21ms + exp 2ms", "1ms + exp 500us"),
    ("1 ms there, 21 ms back", "1ms + exp 500us", "21ms + exp 2ms"),
];

impl Scene {
    pub(crate) fn start(seed: u64) -> Result<Self> {
        let serve = |(number, (_, there, back)): (usize, (&str, &str, &str))| {
            let (there, back): (Delay, Delay) = (there.parse()?, back.parse()?);
            let server = TestServer::builder().seed(seed + number as u64).behaviour(|b| {
                b.to_server.delay = there;
                b.to_client.delay = back;
            });
            Ok(server.spawn()?)
        };
        Ok(Scene { servers: PATHS.into_iter().enumerate().map(serve).collect::<Result<_>>()? })
    }

    /// Starts the processes, has them begin at once, and waits for what they tell.
    pub(crate) fn run(&self, run: &Run) -> Result<Committed> {
        let all = self.servers.len() as u64;
        let mut started = Vec::new();
        for (number, server) in (0..).zip(&self.servers) {
            let share = run.transactions / all + u64::from(number < run.transactions % all);
            started.push(Started::start(server, run, share, number)?);
        }
        let mut counters = Vec::new();
        for process in &mut started {
            counters.push(process.counter()?);
        }
        ensure!(
            counters.windows(2).all(|pair| pair[0] == pair[1]),
            "the processes have different counters, so nothing says what came first: {counters:?}"
        );
        let begun = Instant::now();
        for process in &mut started {
            process.begin()?;
        }
        let processes = scope(|scope| {
            let listeners: Vec<_> = started
                .into_iter()
                .zip(PATHS)
                .map(|(process, (path, ..))| scope.spawn(move || process.listen(path)))
                .collect();
            listeners
                .into_iter()
                .map(|listener| listener.join().ok().context("a listener panicked")?)
                .collect::<Result<Vec<_>>>()
        })?;
        Ok(Committed { processes, took: begun.elapsed() })
    }
}

/// A process that may have to be ended.
struct Started {
    child: Child,
    orders: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Started {
    fn start(server: &TestServer, run: &Run, share: u64, number: u64) -> Result<Self> {
        let mut command = Command::new(std::env::current_exe()?);
        command.arg("worker").args(["--server", &server.addr().to_string()]);
        command.args(["--transactions", &share.to_string()]);
        command.args(["--threads", &run.threads.to_string()]);
        command.args(["--seed", &run.seed.wrapping_add(number << 32).to_string()]);
        if !run.waits {
            command.arg("--without-wait");
        }
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let (orders, output) = (child.stdin.take(), child.stdout.take());
        let orders = orders.context("no pipe to a process")?;
        let output = BufReader::new(output.context("no pipe from a process")?);
        Ok(Started { child, orders, output })
    }

    /// The counter's name, once its clock is synchronised.
    fn counter(&mut self) -> Result<String> {
        let mut line = String::new();
        self.output.read_line(&mut line)?;
        let counter = line.strip_prefix("ready ").context("a process did not get the time")?;
        Ok(counter.trim().to_owned())
    }

    fn begin(&mut self) -> Result<()> {
        Ok(self.orders.write_all(b"begin\n")?)
    }

    fn listen(mut self, path: &'static str) -> Result<Process> {
        let mut process = Process { path, transactions: vec![], errors_us: vec![], replies: 0 };
        for line in (&mut self.output).lines() {
            process.note(&line?)?;
        }
        let status = self.child.wait()?;
        ensure!(status.success(), "the process behind {path} ended with {status}");
        Ok(process)
    }
}

impl Drop for Started {
    fn drop(&mut self) {
        // It is over already where all went well.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Process {
    fn note(&mut self, line: &str) -> Result<()> {
        let (kind, rest) = line.split_once(' ').context("a line of one word")?;
        let numbers: Vec<i64> = rest.split(' ').map(str::parse).collect::<Result<_, _>>()?;
        match (kind, numbers.as_slice()) {
            ("t", &[began_ns, ended_ns, stamp_ns]) => {
                self.transactions.push(Transaction { began_ns, ended_ns, stamp_ns });
            }
            ("e", &[max_error_us, off_us]) => self.errors_us.push((max_error_us, off_us)),
            ("replies", &[replies]) => self.replies = replies.unsigned_abs(),
            _ => bail!("a process printed {line:?}, which is not a commit"),
        }
        Ok(())
    }
}

impl Committed {
    pub(crate) fn transactions(&self) -> Vec<Transaction> {
        self.processes.iter().flat_map(|process| process.transactions.clone()).collect()
    }
}

/// Milliseconds of the clocks and of the transactions, by process.
impl fmt::Display for Committed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ms = |us: i64| us as f64 / 1e3;
        writeln!(
            f,
            "{:24}{:>14}{:>10}{:>10}{:>12}{:>18}{:>12}",
            "path, ms:", "transactions", "median", "longest", "clock off", "max_error", "replies"
        )?;
        for process in &self.processes {
            let mut took: Vec<i64> =
                process.transactions.iter().map(|t| (t.ended_ns - t.began_ns) / 1_000).collect();
            let mut off: Vec<i64> = process.errors_us.iter().map(|(_, off)| *off).collect();
            let mut errors: Vec<i64> = process.errors_us.iter().map(|(max, _)| *max).collect();
            took.sort_unstable();
            off.sort_unstable();
            errors.sort_unstable();
            let median = |sorted: &[i64]| sorted.get(sorted.len() / 2).map_or(f64::NAN, |m| ms(*m));
            let end = |end: Option<&i64>| end.map_or(f64::NAN, |end| ms(*end));
            writeln!(
                f,
                "{:24}{:>14}{:>10.3}{:>10.3}{:>12.3}{:>18}{:>12}",
                process.path,
                took.len(),
                median(&took),
                end(took.last()),
                median(&off),
                format!("{:.3} to {:.3}", end(errors.first()), end(errors.last())),
                process.replies,
            )?;
        }
        let all: usize = self.processes.iter().map(|process| process.transactions.len()).sum();
        let seconds = self.took.as_secs_f64();
        write!(f, "{seconds:.1} s, {:.0} transactions a second", all as f64 / seconds)
    }
}
