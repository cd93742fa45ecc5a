//! Systems other than Linux, on the standard library alone: no kernel timestamps, and sleep cannot
//! be distinguished from a step of the wall clock, so that either means a fresh start.

// On Linux this is compiled for its tests alone.
#![cfg_attr(target_os = "linux", allow(dead_code))]

use std::io;
#[cfg(feature = "nts")]
use std::net::TcpStream;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::sync::{Arc, Condvar, Mutex, OnceLock, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use ntp_clock_core::{LocalTime, Span, SystemTime};

#[cfg(feature = "nts")]
use super::common::Deadline;
use super::common::{
    Beat, Distrust, KernelClock, Life, Line, Received, Slept, Untold, Woken, system_now,
};

/// Name of the counter, for the status.
pub(crate) fn counter_name() -> &'static str {
    "std::time::Instant"
}

/// Nothing here names the boot.
pub(crate) fn boot_id() -> Option<String> {
    None
}

/// There are no time namespaces here.
pub(crate) fn time_namespace() -> Option<String> {
    Some(String::new())
}

/// The standard library's monotonic clock since its first use here.
#[inline]
pub(crate) fn local_now() -> LocalTime {
    static ZERO: OnceLock<Instant> = OnceLock::new();
    let since = ZERO.get_or_init(Instant::now).elapsed();
    LocalTime::from_nanos(Span::from(since).as_nanos())
}

/// There is no other one that programs share.
pub(crate) fn raw_now() -> Option<Span> {
    None
}

#[inline]
pub(crate) fn wall_coarse() -> SystemTime {
    system_now()
}

/// The wall clock less the counter: sleep moves it, and so does setting the wall clock.
pub(crate) fn slept() -> Slept {
    let before = local_now();
    let wall = system_now();
    let after = local_now();
    let least = Span::from_nanos(wall.as_nanos()) - Span::from_nanos(after.as_nanos());
    Slept { least, width: after - before }
}

/// Whether two readings of [`slept`] differ by more than steering explains.
pub(crate) fn has_slept(before: Slept, now: Slept, elapsed: Span) -> bool {
    let steering = Span::from_nanos(elapsed.abs().as_nanos() / 1_600);
    before.distance(now) > Span::from_millis(50) + steering
}

/// Since when the counter counts.
pub(crate) fn since_boot() -> Span {
    local_now() - LocalTime::from_nanos(0)
}

/// Nothing here tells how the time before was spent.
pub(crate) fn may_have_slept() -> bool {
    true
}

/// Nothing here lets a thread choose its processor.
pub(crate) fn counter_steps_back(_counter: impl Fn() -> LocalTime, _turn: usize) -> Span {
    Span::ZERO
}

/// The processor's own counter is not read here: nothing says whether the system trusts it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Ticks {}

impl Ticks {
    pub(crate) fn find() -> Result<Self, Distrust> {
        Err(Distrust::Unsuitable)
    }

    #[inline]
    pub(crate) fn of_scale(_scale: u64) -> Option<Self> {
        None
    }

    pub(crate) fn scale(self) -> u64 {
        match self {}
    }

    #[inline]
    pub(crate) fn now(self) -> LocalTime {
        match self {}
    }
}

pub(crate) const TICKS_NAME: &str = "none";

pub(crate) fn distrust() -> Option<Distrust> {
    Some(Distrust::Unsuitable)
}

/// No host says anything here.
#[derive(Debug)]
pub(crate) enum HostPage {}

/// There is none.
pub(crate) fn host_page() -> Result<&'static HostPage, Untold> {
    Err(Untold::Absent)
}

impl HostPage {
    #[inline]
    pub(crate) fn glance(&self) -> Life {
        match *self {}
    }

    pub(crate) fn look(&self) -> Life {
        match *self {}
    }
}

/// There is nothing else to wait for here.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Awaited;

/// No process hands its memory to another one here.
#[derive(Debug)]
pub(crate) enum Lifeline {}

impl Lifeline {
    pub(crate) fn to_wait_for(&self) -> Awaited {
        match *self {}
    }

    pub(crate) fn look(&self) -> Line {
        match *self {}
    }
}

/// No host rings here.
#[derive(Debug)]
pub(crate) enum Notifier {}

impl Notifier {
    pub(crate) fn of(page: &HostPage) -> Option<Self> {
        match *page {}
    }

    pub(crate) fn silence(&mut self) -> bool {
        match *self {}
    }
}

/// The counter and the wall clock: there is no third one here.
pub(crate) fn beat(counter: impl Fn() -> LocalTime, _by_ticks: bool) -> Beat {
    let before = counter();
    let wall = system_now();
    let local = counter();
    Beat { local, monotonic: None, ticks: None, wall, width: local - before }
}

/// Nothing here tells it.
pub(crate) fn kernel_clock() -> Option<KernelClock> {
    None
}

/// Starts a thread.
pub(crate) fn spawn_quietly(
    name: &str,
    body: impl FnOnce() + Send + 'static,
) -> io::Result<JoinHandle<()>> {
    std::thread::Builder::new().name(name.to_owned()).spawn(body)
}

/// A socket that a forked child shares with its parent is left open: nothing here tells whose a
/// number is by then.
pub(crate) fn close_inherited() {}

/// Wakes the thread that waits.
#[derive(Clone, Debug, Default)]
pub(crate) struct Bell(Arc<Signal>);

#[derive(Debug, Default)]
struct Signal {
    rung: Mutex<bool>,
    changed: Condvar,
}

impl Bell {
    pub(crate) fn ring(&self) {
        *self.0.rung.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.0.changed.notify_one();
    }
}

/// The one point where the background thread waits.
#[derive(Debug)]
pub(crate) struct Waiter(Arc<Signal>);

impl Waiter {
    pub(crate) fn at(bell: Bell) -> Self {
        Waiter(bell.0)
    }

    /// Waits for the bell, the sockets or the time-out. While a socket is open (a few seconds
    /// around each round) it is looked at every few milliseconds.
    pub(crate) fn wait<'a>(
        &self,
        sockets: impl IntoIterator<Item = &'a Socket>,
        _other: Option<Awaited>,
        _host: Option<&Notifier>,
        timeout: Duration,
    ) -> Woken {
        let sockets: Vec<_> = sockets.into_iter().collect();
        let deadline = Instant::now() + timeout;
        loop {
            if sockets.iter().any(|socket| socket.is_readable()) {
                return Woken::default();
            }
            let left = deadline.saturating_duration_since(Instant::now());
            let nap = if sockets.is_empty() { left } else { left.min(SOCKET_NAP) };
            let rung = self.0.rung.lock().unwrap_or_else(PoisonError::into_inner);
            let (mut rung, _) = self
                .0
                .changed
                .wait_timeout_while(rung, nap, |rung| !*rung)
                .unwrap_or_else(PoisonError::into_inner);
            if std::mem::take(&mut *rung) || Instant::now() >= deadline {
                return Woken::default();
            }
        }
    }
}

/// A TCP connection on which nothing takes longer than until its deadline.
#[cfg(feature = "nts")]
#[derive(Debug)]
pub(crate) struct Stream {
    socket: TcpStream,
    deadline: Deadline,
}

#[cfg(feature = "nts")]
impl Stream {
    pub(crate) fn connect(address: SocketAddr, deadline: Deadline) -> io::Result<Self> {
        Ok(Stream { socket: TcpStream::connect_timeout(&address, deadline.left()?)?, deadline })
    }
}

#[cfg(feature = "nts")]
impl io::Read for Stream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.socket.set_read_timeout(Some(self.deadline.left()?))?;
        self.socket.read(buffer).map_err(timed_out)
    }
}

#[cfg(feature = "nts")]
impl io::Write for Stream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.socket.set_write_timeout(Some(self.deadline.left()?))?;
        self.socket.write(bytes).map_err(timed_out)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.socket.flush()
    }
}

/// Unix says that the call would have blocked, Windows that it timed out.
#[cfg(feature = "nts")]
fn timed_out(error: io::Error) -> io::Error {
    if error.kind() == io::ErrorKind::WouldBlock { io::ErrorKind::TimedOut.into() } else { error }
}

/// A UDP socket connected to one server, from a random port.
#[derive(Debug)]
pub(crate) struct Socket(UdpSocket);

impl Socket {
    pub(crate) fn connect(server: SocketAddr) -> io::Result<Self> {
        let any: SocketAddr = match server {
            SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
            SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
        };
        let socket = UdpSocket::bind(any)?;
        socket.set_nonblocking(true)?;
        socket.connect(server)?;
        Ok(Socket(socket))
    }

    pub(crate) fn send(&self, datagram: &[u8]) -> io::Result<()> {
        self.0.send(datagram).map(drop)
    }

    pub(crate) fn receive(&self, buffer: &mut [u8]) -> io::Result<Option<Received>> {
        match self.0.recv(buffer) {
            Ok(len) => Ok(Some(Received { len, kernel_time: None })),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(None),
            Err(error) => Err(error),
        }
    }

    pub(crate) fn transmit_stamp(&self) -> Option<(u32, SystemTime)> {
        None
    }

    fn is_readable(&self) -> bool {
        match self.0.peek(&mut [0; 1]) {
            Ok(_) => true,
            // Windows reports a datagram larger than the buffer as an error; it is readable.
            Err(error) => error.kind() != io::ErrorKind::WouldBlock,
        }
    }
}

const SOCKET_NAP: Duration = Duration::from_millis(5);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_datagram_wakes_the_waiter_and_is_received() {
        let peer = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let socket = Socket::connect(peer.local_addr().unwrap()).unwrap();
        let waiter = Waiter::at(Bell::default());
        let mut buffer = [0; 16];
        assert_eq!(socket.receive(&mut buffer).unwrap(), None);
        socket.send(b"ping").unwrap();
        let (len, from) = peer.recv_from(&mut buffer).unwrap();
        peer.send_to(&buffer[..len], from).unwrap();
        waiter.wait([&socket], None, None, Duration::from_secs(10));
        let received = socket.receive(&mut buffer).unwrap();
        assert_eq!(received, Some(Received { len: 4, kernel_time: None }));
    }

    #[test]
    fn the_bell_wakes_the_waiter_once_also_when_rung_before() {
        let bell = Bell::default();
        let waiter = Waiter::at(bell.clone());
        bell.ring();
        let begun = Instant::now();
        assert_eq!(waiter.wait([], None, None, Duration::from_secs(60)), Woken::default());
        assert!(begun.elapsed() < Duration::from_secs(30));
        waiter.wait([], None, None, Duration::from_millis(1));
    }

    #[test]
    fn a_wall_clock_that_jumps_looks_like_sleep_and_one_that_is_steered_does_not() {
        let apart = |least| Slept { least, width: Span::ZERO };
        let zero = Slept::default();
        assert!(has_slept(zero, apart(Span::from_secs(3600)), Span::from_secs(1)));
        assert!(!has_slept(zero, apart(Span::from_millis(500)), Span::from_secs(1_000)));
        let (before, after) = (local_now(), local_now());
        assert!(after >= before && !has_slept(slept(), slept(), Span::ZERO));
    }
}
