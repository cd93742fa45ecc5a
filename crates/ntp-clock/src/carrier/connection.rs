//! One round's socket: a fresh random port, connected to one address, with the best timestamps
//! that the system has.

use std::io;
use std::net::SocketAddr;

use ntp_clock_core::{LocalTime, RequestId, Span, SystemTime};

use crate::counters::Counters;
use crate::moment::Beside;
use crate::os::Socket;

#[derive(Debug)]
pub(crate) struct Connection {
    pub(crate) socket: Socket,
    pub(crate) address: SocketAddr,
    sent: Vec<Sent>,
    /// A kernel's stamp was of another clock than the wall clock that we read: none is believed.
    foreign_stamps: bool,
    /// One was of a departure while the system took the datagram: it is the same clock.
    same_clock: bool,
}

#[derive(Clone, Copy, Debug)]
struct Sent {
    id: RequestId,
    /// Our own stamp, taken before the datagram was handed to the system.
    at: LocalTime,
    /// And when the system had taken it, though it may have left later.
    taken: LocalTime,
    clocks: ClockPair,
}

impl Connection {
    pub(crate) fn open(address: SocketAddr) -> io::Result<Self> {
        Ok(Connection {
            socket: Socket::connect(address)?,
            address,
            sent: Vec::new(),
            foreign_stamps: false,
            same_clock: false,
        })
    }

    /// Sends a request and gives the moment just before.
    pub(crate) fn send(
        &mut self,
        id: RequestId,
        datagram: &[u8],
        counters: &Counters,
    ) -> io::Result<LocalTime> {
        let clocks = ClockPair::read(counters);
        let at = counters.local();
        self.socket.send(datagram)?;
        self.sent.push(Sent { id, at, taken: counters.local(), clocks });
        Ok(at)
    }

    /// The next request whose departure the kernel has stamped, and when it left at the latest.
    pub(crate) fn departure(&mut self, counters: &Counters) -> Option<(RequestId, LocalTime)> {
        loop {
            let (index, stamp) = self.socket.transmit_stamp()?;
            let Some(sent) = self.sent.get(index as usize).copied() else { continue };
            let now = ClockPair::read(counters);
            let Some((at, error)) = self.carried_over(stamp, &now, &sent, now.local) else {
                continue;
            };
            // T1 may only err towards too early, or the bound would not hold. A departure after
            // the system had taken the datagram was in a queue, or is of a clock that is behind.
            self.same_clock |= at <= sent.taken;
            if self.same_clock {
                return Some((sent.id, (at - error).max(sent.at)));
            }
        }
    }

    /// When a datagram arrived at the latest: the kernel's word, if it is between our sending and
    /// `read_at`, when we read it.
    pub(crate) fn arrival(
        &mut self,
        kernel_time: Option<SystemTime>,
        read_at: LocalTime,
        counters: &Counters,
    ) -> LocalTime {
        let (Some(stamp), Some(first)) = (kernel_time, self.sent.first().copied()) else {
            return read_at;
        };
        let now = ClockPair::read(counters);
        let carried_over = self.carried_over(stamp, &now, &first, read_at);
        carried_over.map_or(read_at, |(at, error)| (at + error).min(read_at))
    }

    /// A kernel's stamp on the counter and how far that may be off, if it is of an event between
    /// the sending of a request and `latest`. Every stamp is: one that says otherwise is of a
    /// clock that is not the one we read, and takes the credit of all the others. So a clock that
    /// is ahead shows at the first departure, which it puts before our own stamp.
    fn carried_over(
        &mut self,
        stamp: SystemTime,
        now: &ClockPair,
        sent: &Sent,
        latest: LocalTime,
    ) -> Option<(LocalTime, Span)> {
        let (at, error) = now.to_local(stamp, &sent.clocks)?;
        self.foreign_stamps |= at + error < sent.at || at - error > latest;
        (!self.foreign_stamps && at >= sent.at && at <= latest).then_some((at, error))
    }
}

/// Counter and the wall clock that the kernel stamps with, at one moment.
#[derive(Clone, Copy, Debug)]
struct ClockPair {
    local: LocalTime,
    system: SystemTime,
    /// Time between the readings of the counter around that of the wall clock.
    width: Span,
}

impl ClockPair {
    fn read(counters: &Counters) -> Self {
        let beside = Beside::read(|| counters.local(), || counters.stamping());
        ClockPair { local: beside.middle(), system: beside.other, width: beside.width }
    }

    /// A recent moment of the wall clock on the counter, and how far that may be off. `None`
    /// where the wall clock was set or steered hard since `earlier`, or is not the clock that the
    /// kernel stamps with.
    fn to_local(self, stamp: SystemTime, earlier: &ClockPair) -> Option<(LocalTime, Span)> {
        let elapsed = self.local - earlier.local;
        let moved = (self.system - earlier.system) - elapsed;
        let reading_error = self.width + earlier.width;
        let steering = Span::from_nanos(elapsed.as_nanos() / STEERING_DIVISOR);
        if moved.abs() > steering + reading_error + READING_SLACK {
            return None;
        }
        let ago = self.system - stamp;
        let error =
            self.width + Span::from_nanos(ago.abs().as_nanos() / STEERING_DIVISOR) + READING_SLACK;
        Some((self.local - ago, error))
    }
}

/// The wall clock is believed while it is steered by no more than one part in this many.
const STEERING_DIVISOR: i64 = 1_000;
/// Resolution of the wall clock and of the kernel's stamps.
const READING_SLACK: Span = Span::from_nanos(100);

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::UdpSocket;
    use std::sync::Arc;
    use std::thread::sleep;
    use std::time::Duration;

    use ntp_clock_core::{EngineConfig, SyncEngine};

    use crate::counters::StandIn;
    use crate::os;

    fn pair(local_ns: i64, system_ns: i64) -> ClockPair {
        ClockPair {
            local: LocalTime::from_nanos(local_ns),
            system: SystemTime::from_nanos(system_ns),
            width: Span::from_nanos(50),
        }
    }

    #[test]
    fn a_kernel_stamp_is_carried_over_to_the_counter() {
        let (earlier, now) = (pair(1_000_000, 71_000_000), pair(1_500_000, 71_500_000));
        let (at, error) = now.to_local(SystemTime::from_nanos(71_490_000), &earlier).unwrap();
        assert_eq!(at, LocalTime::from_nanos(1_490_000));
        assert!(error < Span::from_nanos(200));
    }

    #[test]
    fn a_wall_clock_that_was_set_between_sending_and_receiving_is_not_believed() {
        let earlier = pair(1_000_000, 71_000_000);
        for step in [-3_600_000_000_000, -5_000, 5_000, 3_600_000_000_000] {
            let now = pair(1_500_000, 71_500_000 + step);
            assert_eq!(now.to_local(now.system, &earlier), None, "step {step}");
        }
    }

    /// A request and its reply 20 ms later, read 20 ms after that: T1 and T4 as they are reported,
    /// the moments before and after which they must be, and when the reply was read.
    struct Exchanged {
        t1: LocalTime,
        left: LocalTime,
        arrived: LocalTime,
        t4: LocalTime,
        read_at: LocalTime,
    }

    /// Through a wall clock that is ahead of the kernel's by so much.
    #[cfg(target_os = "linux")]
    fn exchange(ahead: Span) -> Exchanged {
        let stand_in = StandIn::running(0);
        let kernel = Span::from_nanos(os::stamping_now().as_nanos() - os::local_now().as_nanos());
        stand_in.step_wall(kernel + ahead);
        let counters = Counters::StandIn(Arc::new(stand_in));
        let peer = UdpSocket::bind("127.0.0.1:0").unwrap();
        let mut connection = Connection::open(peer.local_addr().unwrap()).unwrap();
        let sent_at = connection.send(request_id(), b"request", &counters).unwrap();
        let mut buffer = [0; 64];
        let (len, from) = peer.recv_from(&mut buffer).unwrap();
        // It left before it could be received.
        let left = counters.local();
        sleep(Duration::from_millis(20));
        // It arrives after it has begun to be sent.
        let arrived = counters.local();
        peer.send_to(&buffer[..len], from).unwrap();
        sleep(Duration::from_millis(20));
        let t1 = connection.departure(&counters).map_or(sent_at, |(_, at)| at);
        let received = connection.socket.receive(&mut buffer).unwrap().unwrap();
        let read_at = counters.local();
        let t4 = connection.arrival(received.kernel_time, read_at, &counters);
        Exchanged { t1, left, arrived, t4, read_at }
    }

    /// The name of a first request.
    #[cfg(target_os = "linux")]
    fn request_id() -> RequestId {
        let now = LocalTime::from_nanos(0);
        let mut engine = SyncEngine::new(EngineConfig::default(), now);
        engine.handle_timeout(now);
        engine.poll_transmit(now, 1).unwrap().id
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_wall_clock_that_is_not_the_kernels_puts_no_stamp_on_the_wrong_side() {
        for ahead_us in [-30_000, -5_000, -1_000, 1_000, 5_000, 30_000] {
            let Exchanged { t1, left, arrived, t4, read_at } =
                exchange(Span::from_micros(ahead_us));
            assert!(t1 <= left, "{ahead_us} us ahead: T1 is {:?} late", t1 - left);
            assert!(t4 >= arrived, "{ahead_us} us ahead: T4 is {:?} early", arrived - t4);
            assert!(t4 <= read_at);
        }
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn the_kernels_stamps_are_used_where_they_are_of_the_clock_that_we_read() {
        let Exchanged { arrived, t4, read_at, .. } = exchange(Span::ZERO);
        let late = t4 - arrived;
        assert!(late < Span::from_millis(10), "{late:?} late, and read {:?} later", read_at - t4);
    }
}
