//! What the server does about a request, without sockets, threads or clocks of its own.

use std::collections::VecDeque;
use std::time::Duration;

use fastrand::Rng;
use ntp_clock_core::{Mode, Packet, Span, UnixTime};

use crate::behaviour::Behaviour;
use crate::change::Change;
use crate::delay::BurstProcess;
use crate::dice::{Purpose, stream};
use crate::reply::{self, Wire};
use crate::script::Script;
use crate::stats::Stats;

/// One moment on two clocks.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Moment {
    pub(crate) truth: UnixTime,
    pub(crate) since_start: Duration,
}

/// The state of a server that outlives its threads.
///
/// A request passes through [`receive`](Model::receive), then, after the delay that this orders,
/// [`answer`](Model::answer), and its reply leaves after the delay that this orders.
#[derive(Debug)]
pub(crate) struct Model {
    seed: u64,
    behaviour: Behaviour,
    /// When `behaviour.offset` was right; drift adds to it from then on.
    offset_at: UnixTime,
    script: VecDeque<(Duration, Change)>,
    bursts_to_server: BurstProcess,
    bursts_to_client: BurstProcess,
    stats: Stats,
}

/// A request on its way to the server.
#[derive(Debug)]
pub(crate) struct Request {
    packet: Packet,
    number: u64,
    pub(crate) after: Duration,
}

/// A reply on its way to the client.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) wire: Wire,
    pub(crate) after: Duration,
    pub(crate) copies: bool,
    /// For how long it may be kept back until another has overtaken it.
    pub(crate) hold: Option<Duration>,
}

impl Model {
    pub(crate) fn new(seed: u64, behaviour: Behaviour, script: Script, truth: UnixTime) -> Self {
        let mut model = Model {
            seed,
            behaviour,
            offset_at: truth,
            script: script.into_sorted().into(),
            bursts_to_server: BurstProcess::new(stream(seed, Purpose::BurstToServer, 0)),
            bursts_to_client: BurstProcess::new(stream(seed, Purpose::BurstToClient, 0)),
            stats: Stats::default(),
        };
        model.behaviour.faults.begin(Duration::ZERO);
        model
    }

    /// Takes in a datagram. `None` is the end of it.
    pub(crate) fn receive(&mut self, now: Moment, datagram: &[u8]) -> Option<Request> {
        self.advance(now);
        let client = |packet: &Packet| packet.mode == Mode::Client;
        let Some(packet) = Packet::decode(datagram).ok().filter(client) else {
            self.stats.ignored += 1;
            return None;
        };
        let number = self.stats.requests;
        self.stats.count_request(now.since_start);
        let path = self.behaviour.to_server;
        if path.loss.happens(&mut self.stream(Purpose::LossToServer, number)) {
            self.stats.lost_to_server += 1;
            return None;
        }
        let burst_on = self.bursts_to_server.is_on(path.delay.burst, now.since_start);
        let after = path.delay.draw(&mut self.stream(Purpose::DelayToServer, number), burst_on);
        Some(Request { packet, number, after })
    }

    /// Answers a request that arrives at `now` (T2), or not.
    pub(crate) fn answer(
        &mut self,
        now: Moment,
        read_truth: impl FnOnce() -> UnixTime,
        request: &Request,
    ) -> Option<Reply> {
        self.advance(now);
        let number = request.number;
        let mut rng = self.stream(Purpose::Faults, number);
        if self.behaviour.faults.draw_silence(now.since_start, &mut rng) {
            self.stats.silenced += 1;
            return None;
        }
        let faults = self.behaviour.faults.draw_reply(now.since_start, &mut rng);
        let path = self.behaviour.to_client;
        if path.loss.happens(&mut self.stream(Purpose::LossToClient, number)) {
            self.stats.lost_to_client += 1;
            return None;
        }
        let burst_on = self.bursts_to_client.is_on(path.delay.burst, now.since_start);
        let after = path.delay.draw(&mut self.stream(Purpose::DelayToClient, number), burst_on);
        let reorders = self.behaviour.reorder.happens(&mut self.stream(Purpose::Reorder, number));
        let copies = self.behaviour.duplicate.happens(&mut self.stream(Purpose::Duplicate, number));
        self.stats.replies += 1;
        self.stats.duplicates += u64::from(copies);
        let received = self.claimed(now.truth);
        let wire = reply::build(
            &request.packet,
            &self.behaviour,
            received,
            || self.claimed(read_truth()),
            &faults,
            &mut self.stream(Purpose::ReplyBytes, number),
        );
        let hold = reorders.then_some(self.behaviour.reorder_hold);
        Some(Reply { wire, after, copies, hold })
    }

    /// Changes the behaviour.
    pub(crate) fn edit<R>(&mut self, now: Moment, edit: impl FnOnce(&mut Behaviour) -> R) -> R {
        self.advance(now);
        self.edit_at(now, edit)
    }

    /// Counts a reply that could not be sent.
    pub(crate) fn count_send_error(&mut self) {
        self.stats.send_errors += 1;
    }

    /// The behaviour now.
    pub(crate) fn behaviour(&mut self, now: Moment) -> Behaviour {
        self.edit(now, |b| b.clone())
    }

    /// What the server's clock says when it is `now`.
    pub(crate) fn claimed_now(&mut self, now: Moment) -> UnixTime {
        self.advance(now);
        self.claimed(now.truth)
    }

    pub(crate) fn seed(&self) -> u64 {
        self.seed
    }

    pub(crate) fn stats(&self) -> Stats {
        self.stats.clone()
    }

    /// Makes the scripted changes that are due, each as of its own moment: how late somebody
    /// looks makes no difference, so that nothing needs to wake up for the script.
    fn advance(&mut self, now: Moment) {
        while let Some((at, _)) = self.script.front() {
            if *at > now.since_start {
                break;
            }
            let late = Span::from(now.since_start - *at);
            let then = Moment { truth: now.truth - late, since_start: *at };
            if let Some((_, change)) = self.script.pop_front() {
                self.edit_at(then, |b| change.apply(b));
            }
        }
    }

    fn edit_at<R>(&mut self, then: Moment, edit: impl FnOnce(&mut Behaviour) -> R) -> R {
        self.behaviour.offset = self.claimed(then.truth) - then.truth;
        self.offset_at = then.truth;
        let result = edit(&mut self.behaviour);
        self.behaviour.faults.begin(then.since_start);
        result
    }

    fn claimed(&self, truth: UnixTime) -> UnixTime {
        let elapsed = (truth - self.offset_at).as_nanos() as f64;
        // The cast saturates, and takes a drift that is not a number for none.
        let drifted = Span::from_nanos((elapsed * self.behaviour.drift_ppm * 1e-6) as i64);
        truth + self.behaviour.offset + drifted
    }

    fn stream(&self, purpose: Purpose, request: u64) -> Rng {
        stream(self.seed, purpose, request)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::delay::{Burst, Delay};
    use crate::dice::Probability;
    use crate::fault::{Fault, When};
    use ntp_clock_core::NtpTimestamp;

    const START: UnixTime = UnixTime::from_nanos(1_800_000_000_000_000_000);

    fn at(millis: u64) -> Moment {
        let since_start = Duration::from_millis(millis);
        Moment { truth: START + Span::from(since_start), since_start }
    }

    fn request() -> [u8; 48] {
        Packet::request(NtpTimestamp::from_bits(9)).encode()
    }

    /// One request, taken in and answered in the same moment.
    fn exchange(model: &mut Model, now: Moment) -> Option<(Request, Reply)> {
        let request = model.receive(now, &request())?;
        let reply = model.answer(now, || now.truth, &request)?;
        Some((request, reply))
    }

    fn with(edit: impl FnOnce(&mut Behaviour)) -> Behaviour {
        let mut b = Behaviour::default();
        edit(&mut b);
        b
    }

    #[test]
    fn the_offset_grows_with_the_drift_and_steps_come_on_top() {
        let behaviour = with(|b| {
            b.offset = Span::from_millis(5);
            b.drift_ppm = 100.0;
        });
        let mut model = Model::new(1, behaviour, Script::new(), START);
        let offset = |model: &mut Model, now: Moment| model.claimed_now(now) - now.truth;
        assert_eq!(offset(&mut model, at(0)), Span::from_millis(5));
        assert_eq!(offset(&mut model, at(10_000)), Span::from_millis(6));
        model.edit(at(10_000), |b| b.offset += Span::from_millis(10));
        assert_eq!(offset(&mut model, at(10_000)), Span::from_millis(16));
        model.edit(at(10_000), |b| b.drift_ppm = 0.0);
        assert_eq!(offset(&mut model, at(20_000)), Span::from_millis(16));
        assert_eq!(model.behaviour(at(20_000)).offset, Span::from_millis(16));
    }

    #[test]
    fn a_scripted_change_counts_from_its_own_moment_however_late_it_is_noticed() {
        let script: Script =
            "10s drift 100\n20s drift 0\n20s step 1s\n30s silence for 5s".parse().unwrap();
        let mut model = Model::new(1, Behaviour::default(), script, START);
        let offset = model.claimed_now(at(25_000)) - at(25_000).truth;
        assert_eq!(offset, Span::from_millis(1_001));
        assert!(exchange(&mut model, at(34_999)).is_none());
        assert!(exchange(&mut model, at(35_000)).is_some());
        assert_eq!(model.stats().silenced, 1);
    }

    #[test]
    fn the_same_seed_gives_the_same_fates_and_bytes() {
        let fates = |seed| -> Vec<_> {
            let ms = Duration::from_millis;
            let behaviour = with(|b| {
                b.set_loss(Probability::new(0.2));
                let burst = Burst { extra: ms(50), on_mean: ms(30), off_mean: ms(30) };
                b.set_delay(Delay::fixed(ms(1)).with_exponential(ms(5)).with_burst(burst));
                b.duplicate = Probability::new(0.3);
                b.reorder = Probability::new(0.3);
                b.faults.set(Fault::WrongOrigin, When::Sometimes(Probability::new(0.5)));
            });
            let mut model = Model::new(seed, behaviour, Script::new(), START);
            (0..200).map(|n| format!("{:?}", exchange(&mut model, at(n * 10)))).collect()
        };
        assert_eq!(fates(1), fates(1));
        assert_ne!(fates(1), fates(2));
    }

    #[test]
    fn switching_loss_on_changes_nobodys_delay() {
        let delays = |loss| -> Vec<Option<Duration>> {
            let behaviour = with(|b| {
                b.to_client.loss = loss;
                b.set_delay(Delay::NONE.with_exponential(Duration::from_millis(5)));
            });
            let mut model = Model::new(1, behaviour, Script::new(), START);
            (0..100).map(|n| exchange(&mut model, at(n)).map(|(_, reply)| reply.after)).collect()
        };
        let lossy = delays(Probability::new(0.5));
        let kept = lossy.iter().flatten().count();
        assert!((30..70).contains(&kept), "{kept} of 100 replies survive a loss of 50%");
        for (with_loss, without) in lossy.into_iter().zip(delays(Probability::NEVER)) {
            assert!(with_loss.is_none() || with_loss == without);
        }
    }

    #[test]
    fn what_is_no_clients_request_is_counted_and_ignored() {
        let mut model = Model::new(1, Behaviour::default(), Script::new(), START);
        let mut server_mode = request();
        server_mode[0] = 0x24;
        for bytes in [&[][..], &[0x23; 47], &server_mode] {
            assert!(model.receive(at(0), bytes).is_none());
        }
        assert_eq!((model.stats().requests, model.stats().ignored), (0, 3));
    }
}
