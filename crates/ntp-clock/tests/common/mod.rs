//! What the scenario tests share: servers, and a watch over every promise of a clock.
#![allow(dead_code, unreachable_pub)]

use std::collections::BTreeMap;
use std::io::Write;
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{JoinHandle, sleep};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use ntp_clock::{Clock, Reading, Server};
use ntp_test_server::{Behaviour, TestServer};

pub fn serve(behaviour: impl FnOnce(&mut Behaviour) + Send + 'static) -> TestServer {
    TestServer::builder().seed(7).behaviour(behaviour).spawn().expect("loopback")
}

pub fn server_of(test_server: &TestServer) -> Server {
    test_server.addr().to_string().parse().expect("an address is a server")
}

pub fn clock_of(test_server: &TestServer) -> Clock {
    Clock::builder().server(server_of(test_server)).build().expect("valid")
}

/// A clock that polls every second, for tests that need many rounds.
pub fn busy_clock_of(test_server: &TestServer) -> Clock {
    Clock::builder()
        .server(server_of(test_server))
        .poll_interval(Duration::from_secs(1))
        .build()
        .expect("valid")
}

/// The system clock of this machine, which is what an honest test server serves.
pub fn truth_ns() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970");
    i64::try_from(since.as_nanos()).expect("before 2262")
}

/// A reading with the truth just before and just after it.
pub fn read(clock: &Clock) -> Option<(i64, Reading, i64)> {
    let before = truth_ns();
    let reading = clock.now()?;
    Some((before, reading, truth_ns()))
}

/// How far a reading certainly is from the truth, nanoseconds.
pub fn error_ns((before, reading, after): (i64, Reading, i64)) -> i64 {
    let time = reading.time().as_nanos();
    (before - time).max(time - after).max(0)
}

pub fn eventually(what: &str, limit: Duration, condition: impl Fn() -> bool) {
    let begun = Instant::now();
    while !condition() {
        assert!(begun.elapsed() < limit, "not within {limit:?}: {what}");
        sleep(Duration::from_millis(5));
    }
}

/// Reads a clock all the time and checks every reading: truth within `max_error` (unless the
/// server lies), and no step back within an epoch.
pub struct Watch {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Watched>,
}

#[derive(Debug, Default)]
pub struct Watched {
    pub readings: u64,
    pub nones: u64,
    pub epochs: BTreeMap<u64, i64>,
    pub problems: Vec<String>,
}

impl Watch {
    pub fn over(clock: &Clock) -> Self {
        Watch::start(clock, true)
    }

    /// For servers that lie: only the order is checked.
    pub fn over_order(clock: &Clock) -> Self {
        Watch::start(clock, false)
    }

    fn start(clock: &Clock, honest: bool) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let (clock, stopped) = (clock.clone(), Arc::clone(&stop));
        let (looked, first_look) = std::sync::mpsc::channel();
        let thread = std::thread::spawn(move || {
            let mut watched = Watched::default();
            // It looks before the test goes on, and once more after its end.
            watched.look(&clock, honest);
            let _ = looked.send(());
            while !stopped.load(Ordering::Relaxed) {
                sleep(Duration::from_micros(200));
                watched.look(&clock, honest);
            }
            watched
        });
        first_look.recv().expect("the watch itself is sound");
        Watch { stop, thread }
    }

    /// Ends the watch; any broken promise fails the test.
    pub fn finish(self) -> Watched {
        self.stop.store(true, Ordering::Relaxed);
        let watched = self.thread.join().expect("the watch itself is sound");
        assert!(watched.problems.is_empty(), "{:#?}", watched.problems);
        watched
    }
}

impl Watched {
    fn look(&mut self, clock: &Clock, honest: bool) {
        let Some(look) = read(clock) else {
            self.nones += 1;
            return;
        };
        self.readings += 1;
        let (_, reading, _) = look;
        let error = error_ns(look);
        if honest && error > reading.max_error().as_nanos() && self.problems.len() < 10 {
            self.problems.push(format!("off by {error} ns: {reading:?}"));
        }
        let time = reading.time().as_nanos();
        let last = self.epochs.entry(reading.epoch()).or_insert(time);
        if time < *last && self.problems.len() < 10 {
            self.problems.push(format!("back by {} ns: {reading:?}", *last - time));
        }
        *last = time;
    }
}

/// Debian's chrony as a server: a primary of its own on an unprivileged port of the loopback
/// interface, which never touches this machine's clock (`-x`).
pub struct Chrony {
    child: Child,
    command: Command,
    port: u16,
    folder: PathBuf,
}

impl Chrony {
    /// `None`, said aloud, where chrony is not installed.
    pub fn start() -> Option<Self> {
        Chrony::start_with(|_| String::new())
    }

    /// The same with more lines of configuration, made for its folder.
    pub fn start_with(more: impl FnOnce(&Path) -> String) -> Option<Self> {
        let path = ["/usr/sbin/chronyd", "/usr/local/sbin/chronyd", "/sbin/chronyd"];
        let Some(program) = path.into_iter().find(|path| Path::new(path).exists()) else {
            // Written past the capture, so that the program that counts skips sees it.
            let _ =
                writeln!(std::io::stderr(), "SKIPPED: chronyd is missing: apt-get install chrony");
            return None;
        };
        let port = free_port();
        let folder = std::env::temp_dir().join(format!("ntp-clock-chrony-{port}"));
        std::fs::create_dir_all(&folder).expect("temporary folder");
        let conf = folder.join("chrony.conf");
        let text = format!(
            "port {port}\ncmdport 0\nlocal stratum 1\nallow 127.0.0.1\nbindaddress 127.0.0.1\n\
             pidfile {0}/pid\ndriftfile {0}/drift\n{1}",
            folder.display(),
            more(&folder)
        );
        std::fs::write(&conf, text).expect("configuration");
        let mut command = Command::new(program);
        command.args(["-x", "-d", "-f"]).arg(&conf).stdout(Stdio::null()).stderr(Stdio::null());
        let child = command.spawn().expect("chronyd starts");
        let chrony = Chrony { child, command, port, folder };
        eventually("chronyd answers", Duration::from_secs(60), || tells_time(chrony.address()));
        Some(chrony)
    }

    /// Ends it and starts it with the same configuration; what it knew only in memory is lost.
    pub fn restart(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = std::fs::remove_file(self.folder.join("pid"));
        self.child = self.command.spawn().expect("chronyd starts");
        eventually("chronyd answers", Duration::from_secs(60), || tells_time(self.address()));
    }

    pub fn address(&self) -> SocketAddr {
        ([127, 0, 0, 1], self.port).into()
    }

    pub fn server(&self) -> Server {
        format!("127.0.0.1:{}", self.port).parse().expect("valid")
    }
}

/// Whether a server at this address is there and has the time.
pub fn tells_time(address: SocketAddr) -> bool {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("loopback");
    socket.set_read_timeout(Some(Duration::from_millis(100))).expect("valid");
    let mut request = [0; 48];
    request[0] = 0x23;
    request[47] = 1;
    let sent = socket.send_to(&request, address);
    sent.is_ok() && matches!(socket.recv(&mut request), Ok(48)) && request[1] == 1
}

impl Drop for Chrony {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// A port that the system gives to nobody by itself, as it might before a server uses it or while
/// the server restarts.
pub fn free_port() -> u16 {
    let is_free = |port: &u16| {
        let address = ("127.0.0.1", *port);
        UdpSocket::bind(address).is_ok() && TcpListener::bind(address).is_ok()
    };
    // The system's own choice is another each time; it begins where these end, and beyond.
    let another = || {
        let socket = UdpSocket::bind("127.0.0.1:0").expect("loopback");
        10_000 + socket.local_addr().expect("bound").port() % 10_000
    };
    std::iter::repeat_with(another).find(is_free).expect("one of many")
}
