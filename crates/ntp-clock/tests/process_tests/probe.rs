//! A process with one clock: how it is started, and how its clock is watched.

use std::fs;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use ntp_clock::{Clock, Server, SyncState};
use ntp_test_server::TestServer;

use crate::common::{error_ns, read, serve};

/// Says to a process of this program which act it is to perform.
pub(crate) const ACT: &str = "NTP_CLOCK_ACT";
const SERVER: &str = "NTP_CLOCK_ACT_SERVER";

/// Has this program perform an act as a process of its own, perhaps under another program, asking
/// a server of ours; gives what is wrong.
pub(crate) fn performs(act: &str, under: &[&str]) -> Result<(), String> {
    let server = serve(|_| {});
    let output = command(act, under, &server)?.output().map_err(|error| error.to_string())?;
    if output.status.success() {
        return Ok(());
    }
    let text = [output.stdout, output.stderr].concat();
    Err(format!("{}\n{}", output.status, String::from_utf8_lossy(&text)))
}

pub(crate) fn command(act: &str, under: &[&str], server: &TestServer) -> Result<Command, String> {
    let program = std::env::current_exe().map_err(|error| error.to_string())?;
    let mut command = match under {
        [] => Command::new(program),
        [outer, arguments @ ..] => {
            let mut command = Command::new(outer);
            command.args(arguments).arg(program);
            command
        }
    };
    command.env(ACT, act).env(SERVER, server.addr().to_string()).stdin(Stdio::null());
    Ok(command)
}

/// In the process: a clock of that server, which polls every second.
pub(crate) fn clock() -> Clock {
    clock_polling(Duration::from_secs(1))
}

/// The same, which polls that often.
pub(crate) fn clock_polling(interval: Duration) -> Clock {
    Clock::builder().server(server()).poll_interval(interval).build().expect("valid")
}

/// In the process: the server of the test.
pub(crate) fn server() -> Server {
    let server = std::env::var(SERVER).expect("the server is named");
    server.parse().expect("an address")
}

/// Watches a clock for a while: every reading is right, and the status never contradicts it. Gives
/// how long it took to the first reading, if there was one.
pub(crate) fn watch(clock: &Clock, time: Duration) -> Option<Duration> {
    let begun = Instant::now();
    let mut first = None;
    let mut last = None;
    while begun.elapsed() < time {
        if let Some(look) = read(clock) {
            first = first.or(Some(begun.elapsed()));
            let (error, reading) = (error_ns(look), look.1);
            assert!(error <= reading.max_error().as_nanos(), "off by {error} ns: {reading:?}");
            let (epoch, time) = last.unwrap_or((reading.epoch(), reading.time()));
            assert!(reading.epoch() > epoch || reading.time() >= time, "back: {reading:?}");
            last = Some((reading.epoch(), reading.time()));
        }
        let status = clock.status();
        assert_eq!(status.is_synced, status.max_error.is_some(), "{status:?}");
        let gives = matches!(status.state, SyncState::Synchronised | SyncState::Holdover);
        assert_eq!(status.is_synced, gives, "{status:?}");
        if status.state == SyncState::Failed {
            assert!(status.last_error.is_some(), "{status:?}");
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    first
}

/// Processor time of the clock's threads since they began.
pub(crate) fn processor_time() -> Duration {
    let tasks = fs::read_dir("/proc/self/task").map(Iterator::flatten).into_iter().flatten();
    let of_clock = tasks.filter(|task| {
        let name = fs::read_to_string(task.path().join("comm")).unwrap_or_default();
        name.starts_with("ntp-clock")
    });
    let spent_ns = of_clock.filter_map(|task| {
        let text = fs::read_to_string(task.path().join("schedstat")).ok()?;
        text.split(' ').next()?.parse::<u64>().ok()
    });
    Duration::from_nanos(spent_ns.sum())
}

/// While `during` runs, the clock's threads are not busy.
pub(crate) fn idly<T>(during: impl FnOnce() -> T) -> T {
    let (begun, before) = (Instant::now(), processor_time());
    let result = during();
    let spent = processor_time().saturating_sub(before);
    assert!(spent < begun.elapsed() / 5, "{spent:?} of a processor in {:?}", begun.elapsed());
    result
}
