//! One round's socket: a fresh random port, connected to one address, with the best timestamps
//! that the system has.

use std::io;
use std::net::SocketAddr;

use ntp_clock_core::{LocalTime, RequestId, Span, SystemTime};

use crate::counters::Counters;
use crate::os::Socket;

#[derive(Debug)]
pub(crate) struct Connection {
    pub(crate) socket: Socket,
    pub(crate) address: SocketAddr,
    /// The engine's number of the round that this socket is for.
    pub(crate) round: u64,
    sent: Vec<Sent>,
}

#[derive(Clone, Copy, Debug)]
struct Sent {
    id: RequestId,
    /// Our own stamp, taken before the datagram was handed to the system.
    at: LocalTime,
    clocks: ClockPair,
}

impl Connection {
    pub(crate) fn open(address: SocketAddr, round: u64) -> io::Result<Self> {
        Ok(Connection { socket: Socket::connect(address)?, address, round, sent: Vec::new() })
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
        self.sent.push(Sent { id, at, clocks });
        Ok(at)
    }

    /// The next request whose departure the kernel has stamped, and when it left at the latest.
    pub(crate) fn departure(&self, counters: &Counters) -> Option<(RequestId, LocalTime)> {
        loop {
            let (index, stamp) = self.socket.transmit_stamp()?;
            let Some(sent) = self.sent.get(index as usize) else { continue };
            let now = ClockPair::read(counters);
            let Some((at, error)) = now.to_local(stamp, &sent.clocks) else { continue };
            // T1 may only err towards too early, or the bound would not hold.
            if at >= sent.at && at <= now.local {
                return Some((sent.id, (at - error).max(sent.at)));
            }
        }
    }

    /// When a datagram arrived at the latest: the kernel's word, if it is between our sending and
    /// `read_at`, when we read it.
    pub(crate) fn arrival(
        &self,
        kernel_time: Option<SystemTime>,
        read_at: LocalTime,
        counters: &Counters,
    ) -> LocalTime {
        let (Some(stamp), Some(first)) = (kernel_time, self.sent.first()) else { return read_at };
        let now = ClockPair::read(counters);
        match now.to_local(stamp, &first.clocks) {
            Some((at, error)) if at >= first.at && at <= read_at => (at + error).min(read_at),
            _ => read_at,
        }
    }
}

/// Counter and wall clock at one moment.
#[derive(Clone, Copy, Debug)]
struct ClockPair {
    local: LocalTime,
    system: SystemTime,
    /// Time between the readings of the counter around that of the wall clock.
    width: Span,
}

impl ClockPair {
    /// The tightest of a few readings, so that a preemption in between does not count.
    fn read(counters: &Counters) -> Self {
        let mut best: Option<ClockPair> = None;
        for _ in 0..PAIR_READINGS {
            let before = counters.local();
            let system = counters.system();
            let after = counters.local();
            let width = after - before;
            let pair =
                ClockPair { local: before + Span::from_nanos(width.as_nanos() / 2), system, width };
            best = Some(best.filter(|best| best.width <= width).unwrap_or(pair));
        }
        best.unwrap_or(ClockPair {
            local: LocalTime::MIN,
            system: SystemTime::MIN,
            width: Span::MAX,
        })
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

const PAIR_READINGS: usize = 3;
/// The wall clock is believed while it is steered by no more than one part in so many.
const STEERING_DIVISOR: i64 = 1_000;
/// Resolution of the wall clock and of the kernel's stamps.
const READING_SLACK: Span = Span::from_nanos(100);

#[cfg(test)]
mod tests {
    use super::*;

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
}
