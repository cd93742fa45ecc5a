//! Running other programs: their output goes to a log file, their progress to the terminal.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

use crate::project::Project;
use crate::usage::Usage;

/// What one step of the work runs and shows: commands share its log and its line on the terminal.
#[derive(Debug)]
pub(crate) struct Job<'a> {
    project: &'a Project,
    log: PathBuf,
    line: ProgressBar,
    at_low_priority: bool,
    used: Mutex<Duration>,
}

/// The terminal's lowest lines: one for each job that runs.
#[derive(Clone, Debug, Default)]
pub(crate) struct Lines(MultiProgress);

impl Lines {
    /// Prints a line above them.
    pub(crate) fn print(&self, text: &str) {
        self.0.suspend(|| println!("{text}"));
    }
}

impl<'a> Job<'a> {
    /// Starts a job: an empty log `.work/logs/<slug>.log` and a line on the terminal, if it is one.
    pub(crate) fn start(project: &'a Project, name: &str) -> Result<Self> {
        Job::start_among(&Lines::default(), project, name)
    }

    /// The same, among others that run.
    pub(crate) fn start_among(lines: &Lines, project: &'a Project, name: &str) -> Result<Self> {
        let slug: String =
            name.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect();
        let log = project.work("logs").join(format!("{}.log", slug.to_lowercase()));
        fs::create_dir_all(project.work("logs"))
            .and_then(|()| File::create(&log))
            .with_context(|| format!("cannot write {}", log.display()))?;
        let style = ProgressStyle::with_template("  {prefix:<24} {elapsed:>4} {wide_msg:.dim}")
            .context("progress line")?;
        let line = ProgressBar::new_spinner().with_style(style).with_prefix(name.to_owned());
        let line = lines.0.add(line);
        line.tick();
        Ok(Job { project, log, line, at_low_priority: false, used: Mutex::default() })
    }

    /// Its commands leave the processor to all that are not so.
    pub(crate) fn at_low_priority(self) -> Self {
        Job { at_low_priority: true, ..self }
    }

    /// The checkout.
    pub(crate) fn project(&self) -> &'a Project {
        self.project
    }

    /// The log's path.
    pub(crate) fn log(&self) -> &Path {
        &self.log
    }

    /// The processor time of the commands that have ended; zero where the system does not say.
    pub(crate) fn used(&self) -> Duration {
        *self.used.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What the commands have printed.
    pub(crate) fn output(&self) -> String {
        fs::read(&self.log)
            .map(|raw| String::from_utf8_lossy(&raw).into_owned())
            .unwrap_or_default()
    }

    /// Writes a line of one's own into the log.
    pub(crate) fn note(&self, text: &str) -> Result<()> {
        use std::io::Write;
        writeln!(self.append()?, "{text}").with_context(|| format!("{}", self.log.display()))
    }

    /// Runs a command in the checkout's root to its end; without standard input.
    pub(crate) fn run(&self, command: &mut Command) -> Result<ExitStatus> {
        self.note(&format!("$ {}", shown(command)))?;
        self.run_to(command.current_dir(self.project.path("")), self.append()?)
    }

    /// Runs one command of several at once, wherever it says: its output goes to a log of its own.
    pub(crate) fn run_apart(&self, command: &mut Command, log: &Path) -> Result<ExitStatus> {
        self.run_to(command, File::create(log).with_context(|| format!("{}", log.display()))?)
    }

    fn run_to(&self, command: &mut Command, out: File) -> Result<ExitStatus> {
        let err = out.try_clone()?;
        let mut nice;
        let started = if self.at_low_priority && cfg!(unix) {
            nice = at_low_priority(command);
            &mut nice
        } else {
            &mut *command
        };
        started.stdin(Stdio::null()).stdout(out).stderr(err);
        let mut child =
            started.spawn().with_context(|| format!("cannot run {}", shown(command)))?;
        loop {
            // Read before the child is waited for: then nothing is known of it any more.
            let usage = Usage::of(child.id());
            if usage.is_none_or(|usage| usage.has_ended)
                && let Some(status) = child.try_wait()?
            {
                let mut used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
                *used += usage.map(|usage| usage.time).unwrap_or_default();
                self.line.set_message("");
                return Ok(status);
            }
            thread::sleep(TICK);
            self.line.set_message(self.last_line().unwrap_or_default());
            self.line.tick();
        }
    }

    /// Runs a command that must succeed for anything else to make sense.
    pub(crate) fn must(&self, command: &mut Command) -> Result<()> {
        if self.run(command)?.success() { Ok(()) } else { bail!("{} failed", shown(command)) }
    }

    /// Prints a line above the job's own.
    pub(crate) fn print(&self, text: &str) {
        self.line.suspend(|| println!("{text}"));
    }

    /// Takes the job's line off the terminal.
    pub(crate) fn finish(&self) {
        self.line.finish_and_clear();
    }

    fn append(&self) -> Result<File> {
        File::options()
            .append(true)
            .open(&self.log)
            .with_context(|| format!("cannot write {}", self.log.display()))
    }

    fn last_line(&self) -> io::Result<String> {
        let mut file = File::open(&self.log)?;
        let len = file.metadata()?.len();
        file.seek(SeekFrom::Start(len.saturating_sub(TAIL_BYTES)))?;
        let mut tail = Vec::new();
        file.read_to_end(&mut tail)?;
        let tail = String::from_utf8_lossy(&tail);
        let line = tail.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or("");
        Ok(line.trim().chars().filter(|c| !c.is_control()).collect())
    }
}

/// A cargo command, by the cargo that runs us.
pub(crate) fn cargo(args: &[&str]) -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.args(args).env("CARGO_TERM_COLOR", "never");
    command
}

/// `cargo +nightly NAME`; where that does not work, the error names the lines that install it.
pub(crate) fn nightly(name: &str, install: &str) -> Result<Command> {
    let probe = ["run", "nightly", "cargo", name, "--version"];
    if answer("rustup", &probe).is_none() {
        bail!("cargo +nightly {name} is missing: rustup toolchain install nightly && {install}");
    }
    let mut command = Command::new("rustup");
    command.args(["run", "nightly", "cargo", name]);
    // Set by the cargo that runs us, and of another toolchain.
    for variable in ["CARGO", "RUSTUP_TOOLCHAIN", "RUSTC", "RUSTDOC"] {
        command.env_remove(variable);
    }
    Ok(command)
}

/// What a command prints on standard output, or `None` where it cannot run or fails.
pub(crate) fn answer<S: AsRef<OsStr>>(program: S, args: &[&str]) -> Option<String> {
    let output = Command::new(program).args(args).stdin(Stdio::null()).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// What a command prints on standard output; its standard error goes to the job's log.
pub(crate) fn answer_of(job: &Job, command: &mut Command) -> Result<String> {
    job.note(&format!("$ {}", shown(command)))?;
    let output = command
        .stdin(Stdio::null())
        .stderr(job.append()?)
        .output()
        .with_context(|| format!("cannot run {}", shown(command)))?;
    if !output.status.success() {
        bail!("{} failed; see {}", shown(command), job.project.shown(&job.log));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// The same command by way of `nice`.
fn at_low_priority(command: &Command) -> Command {
    let mut nice = Command::new("nice");
    nice.arg(format!("-n{LOW_PRIORITY}")).arg(command.get_program()).args(command.get_args());
    for (key, value) in command.get_envs() {
        match value {
            Some(value) => nice.env(key, value),
            None => nice.env_remove(key),
        };
    }
    if let Some(folder) = command.get_current_dir() {
        nice.current_dir(folder);
    }
    nice
}

/// The command as one would type it.
fn shown(command: &Command) -> String {
    let mut words: Vec<String> = command
        .get_envs()
        .filter_map(|(key, value)| Some((key, value?)))
        .filter(|(key, _)| SHOWN_VARIABLES.iter().any(|shown| key == shown))
        .map(|(key, value)| format!("{}={}", key.display(), quoted(value)))
        .collect();
    words.push(quoted(command.get_program()));
    words.extend(command.get_args().map(quoted));
    words.join(" ")
}

fn quoted(word: &OsStr) -> String {
    let word = word.to_string_lossy();
    if word.is_empty() || word.contains(char::is_whitespace) {
        format!("'{word}'")
    } else {
        word.into_owned()
    }
}

/// Those that make a difference to what is run; the others only say where things are.
const SHOWN_VARIABLES: [&str; 3] = ["CARGO_TARGET_DIR", "RUSTDOCFLAGS", "RUSTFLAGS"];
/// So much nicer than what waits, whose clocks are not to be kept waiting, and yet not starved by it.
const LOW_PRIORITY: i32 = 5;
const TICK: Duration = Duration::from_millis(100);
const TAIL_BYTES: u64 = 4096;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_shown_as_one_would_type_it() {
        let mut command = Command::new("tool");
        command.args(["run", "two words", ""]).env("RUSTFLAGS", "--cfg x").env("PATH", "y");
        assert_eq!(shown(&command), "RUSTFLAGS='--cfg x' tool run 'two words' ''");
    }

    #[test]
    fn a_command_at_low_priority_is_the_same_in_all_else() {
        let mut command = Command::new("sh");
        command.args(["-c", "nice; pwd; echo $GIVEN ${PATH+$0}", "zero"]);
        command.env("GIVEN", "x y").current_dir("/");
        let output = at_low_priority(&command).output().unwrap();
        let own = String::from_utf8(Command::new("nice").output().unwrap().stdout).unwrap();
        let nice = (own.trim().parse::<i32>().unwrap() + LOW_PRIORITY).min(19);
        assert_eq!(String::from_utf8_lossy(&output.stdout), format!("{nice}\n/\nx y zero\n"));
    }
}
