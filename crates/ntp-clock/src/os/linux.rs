//! Linux: CLOCK_MONOTONIC_RAW, sleep by BOOTTIME - MONOTONIC, ppoll with a timerfd that notices
//! when the wall clock is set, kernel timestamps on the socket.

use std::io::{self, IoSliceMut};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::os::fd::{AsFd, AsRawFd, RawFd};
use std::sync::Arc;
use std::time::Duration;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, ppoll};
use nix::sys::eventfd::{EfdFlags, EventFd};
use nix::sys::signal::{SigSet, SigmaskHow};
use nix::sys::socket::{
    ControlMessageOwned, MsgFlags, TimestampingFlag, Timestamps, cmsg_space, recvmsg, setsockopt,
    sockopt,
};
use nix::sys::time::TimeSpec;
use nix::sys::timerfd::{
    ClockId as TimerClock, Expiration, TimerFd, TimerFlags, TimerSetTimeFlags,
};
use nix::time::{ClockId, clock_gettime};

use ntp_clock_core::{LocalTime, Span, SystemTime};

use super::{Received, Woken};

/// Name of the counter, for the status.
pub(crate) fn counter_name() -> &'static str {
    "CLOCK_MONOTONIC_RAW"
}

/// The counter that no daemon steers. It stops in suspend.
#[inline]
pub(crate) fn local_now() -> LocalTime {
    LocalTime::from_nanos(read_clock(ClockId::CLOCK_MONOTONIC_RAW))
}

/// The wall clock as of the last tick (1 to 10 ms old), which takes no counter to read.
#[inline]
pub(crate) fn wall_coarse() -> SystemTime {
    SystemTime::from_nanos(read_clock(ClockId::CLOCK_REALTIME_COARSE))
}

/// How long the machine has slept since boot. BOOTTIME and MONOTONIC are steered alike, so only
/// sleep moves them apart.
pub(crate) fn slept() -> Span {
    loop {
        let before = read_clock(ClockId::CLOCK_MONOTONIC);
        let boot = read_clock(ClockId::CLOCK_BOOTTIME);
        let after = read_clock(ClockId::CLOCK_MONOTONIC);
        // A preempted reading would look like sleep.
        if after - before < SANDWICH_MAX_NS {
            return Span::from_nanos(boot - before);
        }
    }
}

/// Whether two readings of [`slept`] show a suspend between them.
pub(crate) fn has_slept(before: Span, now: Span, _elapsed: Span) -> bool {
    (now - before).abs() > SLEEP_TOLERANCE
}

/// Whether the machine has slept since boot.
pub(crate) fn may_have_slept() -> bool {
    has_slept(Span::ZERO, slept(), Span::ZERO)
}

/// Keeps signals, which are the program's business, away from this thread.
pub(crate) fn quiet_thread() {
    // Fails only for an invalid `how`.
    let _ = SigSet::all().thread_swap_mask(SigmaskHow::SIG_SETMASK);
}

/// Closes descriptors that a forked child shares with its parent.
pub(crate) fn close_inherited(descriptors: &[RawFd]) {
    for fd in descriptors {
        let _ = nix::unistd::close(*fd);
    }
}

/// Wakes the thread that waits.
#[derive(Clone, Debug)]
pub(crate) struct Bell(Arc<EventFd>);

impl Bell {
    pub(crate) fn ring(&self) {
        // EAGAIN means that it rings already.
        let _ = self.0.write(1);
    }
}

/// The one point where the background thread waits.
#[derive(Debug)]
pub(crate) struct Waiter {
    bell: Arc<EventFd>,
    /// Armed for the end of time, only to be cancelled when the wall clock is set.
    clock_set: Option<TimerFd>,
}

impl Waiter {
    pub(crate) fn new() -> io::Result<Self> {
        let bell = EventFd::from_flags(EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK)?;
        // Sandboxes may forbid it; then a suspend is noticed by the next reader or round.
        let clock_set = arm_clock_set_timer().ok();
        Ok(Waiter { bell: Arc::new(bell), clock_set })
    }

    pub(crate) fn bell(&self) -> Bell {
        Bell(Arc::clone(&self.bell))
    }

    /// The descriptors that a forked child must close.
    pub(crate) fn descriptors(&self) -> Vec<RawFd> {
        let timer = self.clock_set.as_ref().map(|timer| timer.as_fd().as_raw_fd());
        timer.into_iter().chain([self.bell.as_raw_fd()]).collect()
    }

    /// Waits for the bell, a socket, a set wall clock, or the time-out.
    pub(crate) fn wait<'a>(
        &self,
        sockets: impl IntoIterator<Item = &'a Socket>,
        timeout: Duration,
    ) -> Woken {
        let mut fds = vec![PollFd::new(self.bell.as_fd(), PollFlags::POLLIN)];
        if let Some(timer) = &self.clock_set {
            fds.push(PollFd::new(timer.as_fd(), PollFlags::POLLIN));
        }
        let sockets_from = fds.len();
        fds.extend(sockets.into_iter().map(|s| PollFd::new(s.0.as_fd(), PollFlags::POLLIN)));
        if ppoll(&mut fds, Some(TimeSpec::from_duration(timeout)), None).is_err() {
            return Woken::default();
        }
        let ready: Vec<bool> =
            fds.iter().map(|fd| fd.revents().is_some_and(|events| !events.is_empty())).collect();
        let _ = self.bell.read();
        let clock_set = sockets_from > 1 && ready.get(1).is_some_and(|ready| *ready);
        if clock_set && let Some(timer) = &self.clock_set {
            rearm(timer);
        }
        Woken { socket: ready.iter().skip(sockets_from).any(|ready| *ready), clock_set }
    }
}

fn arm_clock_set_timer() -> nix::Result<TimerFd> {
    let flags = TimerFlags::TFD_CLOEXEC | TimerFlags::TFD_NONBLOCK;
    let timer = TimerFd::new(TimerClock::CLOCK_REALTIME, flags)?;
    rearm(&timer);
    Ok(timer)
}

fn rearm(timer: &TimerFd) {
    let never = TimeSpec::from_duration(Duration::from_secs(NEVER_S));
    let flags = TimerSetTimeFlags::TFD_TIMER_ABSTIME | TimerSetTimeFlags::TFD_TIMER_CANCEL_ON_SET;
    // Reading takes the cancellation off; both fail harmlessly where there is none.
    let mut word = [0; 8];
    let _ = nix::unistd::read(timer, &mut word);
    let _ = timer.set(Expiration::OneShot(never), flags);
}

/// A UDP socket connected to one server, from a random port, with kernel timestamps.
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
        let stamps = TimestampingFlag::SOF_TIMESTAMPING_SOFTWARE
            | TimestampingFlag::SOF_TIMESTAMPING_RX_SOFTWARE
            | TimestampingFlag::SOF_TIMESTAMPING_TX_SOFTWARE
            | TimestampingFlag::SOF_TIMESTAMPING_OPT_ID
            | TimestampingFlag::SOF_TIMESTAMPING_OPT_TSONLY;
        // Without them our own stamps serve; they are only a little later.
        let _ = setsockopt(&socket, sockopt::Timestamping, &stamps);
        socket.connect(server)?;
        Ok(Socket(socket))
    }

    /// The descriptor that a forked child must close.
    pub(crate) fn descriptor(&self) -> RawFd {
        self.0.as_raw_fd()
    }

    pub(crate) fn send(&self, datagram: &[u8]) -> io::Result<()> {
        match self.0.send(datagram) {
            // An ICMP error of an earlier request; this one was not tried yet.
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
                self.0.send(datagram).map(drop)
            }
            result => result.map(drop),
        }
    }

    /// The next datagram, or `None` when there is none.
    pub(crate) fn receive(&self, buffer: &mut [u8]) -> io::Result<Option<Received>> {
        let mut control = [0; CONTROL_SPACE];
        let mut slices = [IoSliceMut::new(buffer)];
        let flags = MsgFlags::MSG_DONTWAIT;
        let fd = self.0.as_raw_fd();
        match recvmsg::<()>(fd, &mut slices, Some(&mut control), flags) {
            Ok(message) => {
                let kernel_time = message.cmsgs().ok().and_then(|mut cmsgs| {
                    cmsgs.find_map(|cmsg| match cmsg {
                        ControlMessageOwned::ScmTimestampsns(stamps) => software_stamp(&stamps),
                        _ => None,
                    })
                });
                Ok(Some(Received { len: message.bytes, kernel_time }))
            }
            Err(Errno::EAGAIN) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// The next transmit timestamp: which datagram of this socket (from 0), and when it left by
    /// the wall clock.
    pub(crate) fn transmit_stamp(&self) -> Option<(u32, SystemTime)> {
        let mut control = [0; CONTROL_SPACE];
        let mut nothing = [0; 1];
        let mut slices = [IoSliceMut::new(&mut nothing)];
        let flags = MsgFlags::MSG_ERRQUEUE | MsgFlags::MSG_DONTWAIT;
        let message =
            recvmsg::<()>(self.0.as_raw_fd(), &mut slices, Some(&mut control), flags).ok()?;
        let (mut time, mut id) = (None, None);
        for cmsg in message.cmsgs().ok()? {
            match cmsg {
                ControlMessageOwned::ScmTimestampsns(stamps) => time = software_stamp(&stamps),
                ControlMessageOwned::Ipv4RecvErr(error, _) => id = Some(error.ee_data),
                ControlMessageOwned::Ipv6RecvErr(error, _) => id = Some(error.ee_data),
                _ => {}
            }
        }
        // Something was in the queue; what had no stamp is reported as no datagram of ours.
        Some((id.unwrap_or(u32::MAX), time.unwrap_or(SystemTime::MIN)))
    }
}

fn software_stamp(stamps: &Timestamps) -> Option<SystemTime> {
    let nanos = to_nanos(stamps.system);
    (nanos != 0).then(|| SystemTime::from_nanos(nanos))
}

#[inline]
fn read_clock(clock: ClockId) -> i64 {
    // These clocks exist in every kernel since 2.6.39; a zero would read as "not synchronised"
    // through the sleep check rather than as a wrong time.
    clock_gettime(clock).map_or(0, to_nanos)
}

#[inline]
fn to_nanos(time: TimeSpec) -> i64 {
    time.tv_sec().wrapping_mul(1_000_000_000).wrapping_add(time.tv_nsec())
}

/// Two readings of a clock in the same microseconds were not interrupted.
const SANDWICH_MAX_NS: i64 = 20_000;
const SLEEP_TOLERANCE: Span = Span::from_millis(1);
/// The year 2200.
const NEVER_S: u64 = 7_258_118_400;
/// Room for the timestamps and the extended error with an IPv6 address.
const CONTROL_SPACE: usize =
    cmsg_space::<Timestamps>() + cmsg_space::<[u8; 64]>() + cmsg_space::<[u8; 64]>();
