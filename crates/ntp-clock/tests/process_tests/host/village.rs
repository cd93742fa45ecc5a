//! Processes that share a clock, on a board and with a server of their own.

#![allow(unsafe_code)]

use std::path::PathBuf;
use std::process::{Child, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use ntp_clock::Clock;
use ntp_test_server::TestServer;

use super::board::Board;
use super::neighbour::{FOLDER, NEIGHBOUR, TESTER, asked, meeting, sharing};
use crate::common::{serve, server_of};
use crate::process_tests::probe;

pub(super) struct Village {
    folder: PathBuf,
    pub(super) board: &'static Board,
    pub(super) server: TestServer,
    neighbours: Vec<Child>,
    /// The test's own clock, which sees who writes, and never does itself.
    pub(super) reader: Clock,
    /// Stops that are to end.
    stopped: Mutex<Vec<(u32, Instant)>>,
    random: fastrand::Rng,
}

impl Village {
    pub(super) fn of(processes: usize) -> Result<Self, String> {
        let mut village = Village::empty()?;
        for _ in 0..processes {
            village.settle(None)?;
        }
        Ok(village)
    }

    pub(super) fn empty() -> Result<Self, String> {
        static VILLAGES: AtomicU64 = AtomicU64::new(0);
        let number = VILLAGES.fetch_add(1, Ordering::SeqCst);
        let name = format!("ntp-clock-host-{}-{number}", std::process::id());
        let folder = std::env::temp_dir().join(name);
        let _ = std::fs::remove_dir_all(&folder);
        // Made here, so that other users may enter it.
        let meeting = meeting(&folder);
        std::fs::create_dir_all(meeting).map_err(|error| error.to_string())?;
        let server = serve(|_| {});
        let reader = Clock::builder()
            .server(server_of(&server))
            .shared(sharing(&folder).only_read())
            .build()
            .map_err(|error| error.to_string())?;
        let seed = asked("SEED").unwrap_or_else(|| fastrand::u64(..));
        println!("host: seed {seed}");
        Ok(Village {
            board: Board::at(&folder.join("board")),
            folder,
            server,
            neighbours: Vec::new(),
            reader,
            stopped: Mutex::default(),
            random: fastrand::Rng::with_seed(seed),
        })
    }

    /// Another process comes, perhaps of this user.
    pub(super) fn settle(&mut self, user: Option<u32>) -> Result<(), String> {
        let mut command = probe::command(NEIGHBOUR, &[], &self.server)?;
        command
            .env(TESTER, std::process::id().to_string())
            .env(FOLDER, &self.folder)
            .stdout(Stdio::null());
        if let Some(user) = user {
            command.env("NTP_CLOCK_HOST_USER", user.to_string());
        }
        self.neighbours.push(command.spawn().map_err(|error| error.to_string())?);
        Ok(())
    }

    pub(super) fn wait(
        &self,
        what: &str,
        condition: impl Fn(&Village) -> bool,
    ) -> Result<(), String> {
        let begun = Instant::now();
        while !condition(self) {
            if begun.elapsed() > Duration::from_secs(60) {
                let status = self.reader.status();
                return Err(format!("not {what}: {}; {status:?}", self.board.summary()));
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        Ok(())
    }

    /// Who writes, and in which epoch.
    pub(super) fn writer(&self) -> Result<(u32, u64), String> {
        let status = self.reader.status();
        let writer = status.sharing.as_ref().and_then(|sharing| sharing.writer);
        let epoch = self.reader.now().map(|reading| reading.epoch());
        writer.zip(epoch).ok_or_else(|| format!("nobody writes: {status:?}"))
    }

    pub(super) fn signal(&self, process: u32, signal: i32) {
        // SAFETY: takes numbers alone. The process is a child of this one that is not waited for,
        // or a child of such a one, which ends after all others.
        unsafe { libc::kill(process as libc::pid_t, signal) };
    }

    /// Kills, stops or forks the process that writes.
    pub(super) fn disturb_writer(&mut self) -> Result<(), String> {
        self.wait("somebody writes", |village| village.writer().is_ok())?;
        let (writer, _) = self.writer()?;
        let now = Instant::now();
        match self.random.u32(0..10) {
            0..=4 => {
                self.signal(writer, libc::SIGKILL);
                if let Some(dead) = self.neighbours.iter().position(|it| it.id() == writer) {
                    let _ = self.neighbours.swap_remove(dead).wait();
                    self.settle(None)?;
                }
            }
            5..=7 => {
                self.signal(writer, libc::SIGSTOP);
                let long = self.random.u64(10..9_000);
                let mut stopped = self.stopped.lock().map_err(|error| error.to_string())?;
                stopped.push((writer, now + Duration::from_millis(long)));
            }
            _ => self.board.to_fork.store(u64::from(writer), Ordering::SeqCst),
        }
        std::thread::sleep(Duration::from_millis(self.random.u64(1..400)));
        self.wake(|until| until < now);
        Ok(())
    }

    fn wake(&self, is_over: impl Fn(Instant) -> bool) {
        let mut stopped = self.stopped.lock().expect("no panic");
        stopped.retain(|(process, until)| {
            if is_over(*until) {
                self.signal(*process, libc::SIGCONT);
            }
            !is_over(*until)
        });
    }

    /// Ends all; gives what was wrong.
    pub(super) fn end(self) -> Result<(), String> {
        // A machine that does much else may need longer: the command has to show the two seconds.
        let limit_s = if asked::<f64>("MINUTES").is_some() { 2 } else { 20 };
        let longest_gap = Duration::from_secs(limit_s);
        let summary = self.board.summary();
        println!("host: {summary}");
        let read = |value: &AtomicU64| value.load(Ordering::SeqCst);
        let board = self.board;
        let gap = Duration::from_millis(read(&board.longest_gap_ms));
        let right = read(&board.backwards) == 0 && read(&board.wrong) == 0 && gap <= longest_gap;
        if right && read(&board.readings) > 0 { Ok(()) } else { Err(summary) }
    }
}

impl Drop for Village {
    fn drop(&mut self) {
        self.board.ended.store(1, Ordering::SeqCst);
        self.wake(|_| true);
        for neighbour in &mut self.neighbours {
            // It ends by itself; one that has stopped does not.
            let _ = neighbour.kill();
            let _ = neighbour.wait();
        }
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}
