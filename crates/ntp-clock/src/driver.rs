//! The background thread: feeds the engine, has its requests carried, sleeps until there is more.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use ntp_clock_core::{
    AttemptError, Disruption, LocalTime, Reading, Rejection, Span, Transmit, UnixTime,
};

use crate::bridge::Bridge;
use crate::carrier::{Arrival, Carrier, Connecting};
use crate::failure::{Failure, FailureKind};
use crate::host::Writer;
use crate::os::{Distrust, Notifier, Waiter};
use crate::proof::Proof;
use crate::publisher::Publisher;
use crate::report::Report;
use crate::shared::Shared;
use crate::watchdog::{self, Watchdog};
use crate::watches::Watches;

#[derive(Debug)]
pub(crate) struct Driver {
    shared: Arc<Shared>,
    waiter: Waiter,
    publisher: Publisher,
    carrier: Carrier,
    proof: Proof,
    report: Report,
    watchdog: Watchdog,
    /// The host's bell, and until when nobody listens to it.
    notifier: Option<Notifier>,
    deaf_until: LocalTime,
    /// When the wait under way, or just over, should have ended.
    due: LocalTime,
    /// A request that waits for keys or for the server's address, and its round.
    parked: Option<(u64, Transmit)>,
    poll_interval: Span,
    /// The round after which the counter was looked at.
    examined: u64,
    /// The processors disagreed about it.
    disordered: bool,
    /// What this process does for others, where it writes the machine's page.
    writer: Option<Writer>,
    /// The round before which a newer page was looked for.
    outlooked: u64,
    /// Another process has begun one.
    replaced: bool,
    /// How the processor's counter stands to the kernel's, where it is the one in use.
    bridge: Option<Bridge>,
}

/// Why a driver ends.
#[derive(Debug)]
pub(crate) enum Ending {
    /// The clock was dropped.
    Stopped,
    /// Another process writes the machine's page.
    Replaced,
    /// The program has closed what other processes come to.
    Unreachable,
}

impl Driver {
    /// For a clock of this process alone.
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        let publisher = Publisher::new(Arc::clone(&shared), entropy().unwrap_or(0));
        Driver::with(shared, publisher, None)
    }

    /// For the machine's clock.
    pub(crate) fn of_machine(shared: Arc<Shared>, writer: Writer) -> Self {
        let (seed, shown) = (entropy().unwrap_or(0), writer.shown);
        let publisher = Publisher::of_machine(Arc::clone(&shared), shown, writer.legacy, seed);
        Driver::with(shared, publisher, Some(writer))
    }

    fn with(shared: Arc<Shared>, publisher: Publisher, writer: Option<Writer>) -> Self {
        let bell = shared.runtime().bell();
        let server = shared.server.clone().ok();
        let home = shared.runtime().lock().address;
        Driver {
            waiter: Waiter::at(bell.clone()),
            carrier: Carrier::new(server, home, bell.clone(), shared.counters.clone()),
            proof: Proof::new(shared.security.as_ref().ok(), bell.clone()),
            publisher,
            report: Report::new(Arc::clone(&shared)),
            watchdog: Watchdog::default(),
            notifier: shared.counters.host().ok().and_then(Notifier::of),
            deaf_until: LocalTime::MIN,
            due: LocalTime::MAX,
            parked: None,
            poll_interval: shared.poll_interval(),
            examined: 0,
            disordered: false,
            writer,
            outlooked: 0,
            replaced: false,
            bridge: None,
            shared,
        }
    }

    /// Runs until the clock is dropped, or this process no longer writes it.
    pub(crate) fn run(mut self) -> Ending {
        loop {
            if let Some(ending) = self.ending() {
                return ending;
            }
            self.notice_disruption();
            self.take_requests();
            self.receive();
            self.publisher.feed(|engine, now| engine.handle_timeout(now));
            self.conclude_round();
            self.use_new_keys();
            self.examine_counter();
            self.transmit();
            self.tell();
            self.publisher.publish_due();
            self.wait();
        }
    }

    /// Why this is over, if it is. Others are served first.
    fn ending(&self) -> Option<Ending> {
        if self.shared.runtime().is_stopped() {
            return Some(Ending::Stopped);
        }
        let writer = self.writer.as_ref()?;
        if self.replaced || writer.is_superseded() {
            return Some(Ending::Replaced);
        }
        writer.serve().is_err().then_some(Ending::Unreachable)
    }

    /// Before a round: whether another process has begun a newer page meanwhile, as it does where
    /// this one did not answer.
    fn is_replaced(&mut self) -> bool {
        let (Some(writer), engine) = (&self.writer, self.publisher.engine()) else { return false };
        let round = engine.round_number();
        if engine.in_round() && self.outlooked != round {
            self.outlooked = round;
            self.replaced = writer.has_successor();
        }
        self.replaced
    }

    fn wait(&mut self) {
        let now = self.shared.counters.local();
        let deaf = self.notifier.is_some() && now < self.deaf_until;
        let longest = match (self.publisher.waits_for_host(), deaf) {
            (true, _) => HOST_NAP,
            (false, true) => self.deaf_until - now,
            (false, false) => watchdog::LONGEST,
        };
        let timeout = (self.publisher.engine().poll_timeout() - now).min(longest);
        let timeout = if self.replaced { Span::ZERO } else { timeout };
        self.due = now + timeout.max(Span::ZERO);
        let host = self.notifier.as_ref().filter(|_| !deaf);
        let (sockets, door) = (self.carrier.sockets(), self.writer.as_ref().map(Writer::awaited));
        let woken = self.waiter.wait(sockets, door, host, Duration::from(timeout));
        if woken.host {
            // A host that knows the time better rings too: that is no reason to be awake always.
            self.deaf_until = now + HOST_PAUSE;
            let mut notifier = self.notifier.take();
            if notifier.as_mut().is_some_and(Notifier::silence) {
                self.notifier = notifier;
            }
        }
        if woken.clock_set || self.shared.runtime().take_alarm() {
            self.notice_disruption();
            self.look_around();
            self.publisher.refresh_reference();
        }
    }

    /// The counter may have lost time since the last look, or this thread its turn.
    fn notice_disruption(&mut self) {
        if let Some(disruption) = self.publisher.disrupted() {
            return self.disturbed(disruption);
        }
        let now = self.shared.counters.local();
        let due = std::mem::replace(&mut self.due, LocalTime::MAX);
        if let Some(disruption) = self.watchdog.wake(due, now) {
            self.disturbed(disruption);
        }
        if self.watchdog.is_due(now) {
            self.look_around();
        }
    }

    /// Compares all of the machine's clocks.
    fn look_around(&mut self) {
        if let Some(why) = self.distrust() {
            self.leave_ticks(why);
            return self.disturbed(Disruption::CountersApart);
        }
        let counters = &self.shared.counters;
        let (beat, kernel) = (counters.beat(), counters.kernel_clock());
        let watches = Watches::of(&beat, kernel, self.notifier.is_some());
        self.shared.runtime().lock().watches = watches;
        let bound = self.reading_at(beat.local).map(|reading| reading.max_error());
        let Some(disruption) = self.watchdog.look(beat, kernel, bound) else { return };
        // A sleep in between moves the wall clock, too.
        let cause = self.publisher.disrupted().unwrap_or(disruption);
        self.disturbed(cause);
    }

    /// Compares the processor's counter with the kernel's, where it is the one in use: why that is
    /// over.
    fn distrust(&mut self) -> Option<Distrust> {
        let counters = &self.shared.counters;
        let now = counters.raw_pair()?;
        let bridge = self.bridge.map_or(Some(Bridge::begin(now)), |bridge| bridge.renewed(now));
        let why = counters.distrust().or(match bridge {
            None => Some(Distrust::Apart),
            Some(bridge) => (!bridge.is_nominal()).then_some(Distrust::RateUnknown),
        });
        if why.is_none() {
            self.bridge = bridge;
            self.shared.runtime().lock().bridge = bridge;
        }
        why
    }

    /// Goes on with the kernel's counter. What is read by the old one and what is read by the new
    /// one have names of their own, and what is read in between has another.
    fn leave_ticks(&mut self, why: Distrust) {
        self.publisher.note_jump();
        self.publisher.refresh_reference();
        let bridge = self.bridge.take();
        self.shared.counters.leave_ticks(why, bridge.map(|bridge| bridge.last()));
        self.shared.runtime().lock().bridge = None;
        self.publisher.note_jump();
    }

    /// Where no reading stands the clock begins again; where it only might be wrong, or was not
    /// looked after, it asks at once.
    fn disturbed(&mut self, disruption: Disruption) {
        self.report.note_disruption(disruption);
        if !disruption.ends_readings() {
            return self.ask_at_once();
        }
        if disruption == Disruption::CountersApart {
            self.publisher.note_jump();
        }
        // The kernel's counter leaves out what the machine slept. The processor's may have counted
        // it, or have begun again: then it is of no use any more.
        if let Some(why) = self.distrust() {
            self.leave_ticks(why);
        }
        self.watchdog.begin_again();
        self.drop_round();
        if matches!(disruption, Disruption::Restored | Disruption::HostUnclear) {
            self.proof.forget();
        }
        self.publisher.feed(|engine, now| match disruption {
            Disruption::Suspend => engine.handle_suspend(now),
            // The counter may be another host's.
            _ => engine.handle_counter_changed(now),
        });
        self.publisher.refresh_reference();
    }

    /// After a round, when nobody waits for the thread: where the processors disagree about the
    /// counter there are no readings until they do not.
    fn examine_counter(&mut self) {
        let round = self.publisher.engine().round_number();
        if self.publisher.engine().in_round() || self.examined == round {
            return;
        }
        self.examined = round;
        if self.disorder().is_some() {
            self.disordered = true;
            // What it counted until now is not known either.
            self.drop_round();
            self.publisher.feed(|engine, now| engine.handle_suspend(now));
        }
    }

    fn disorder(&self) -> Option<Failure> {
        let back = self.shared.counters.steps_back(self.examined as usize);
        let detail = format!(
            "the counter runs back by {} us from one processor to another; no time can be \
             given on this machine until that ends",
            back.as_nanos() / 1_000
        );
        (back > COUNTER_SLACK).then(|| Failure::new(FailureKind::CounterDisagrees, detail))
    }

    /// What the program asked for since the last look.
    fn take_requests(&mut self) {
        let interval = self.shared.poll_interval();
        if interval != self.poll_interval {
            self.poll_interval = interval;
            self.publisher.feed(|engine, now| engine.set_poll_interval(interval, now));
        }
        let Some(request) = self.report.asked() else { return };
        match self.publisher.feed(|engine, now| engine.request_sync(now)) {
            Ok(()) => self.report.attend(request),
            Err(held) => self.report.refuse(request, &held),
        }
    }

    fn receive(&mut self) {
        let mut buffer = [0; DATAGRAM_MAX];
        for _ in 0..DATAGRAMS_AT_ONCE {
            match self.carrier.receive(&mut buffer) {
                None => return,
                Some(Arrival::Departed { id, at }) => {
                    self.publisher.engine_mut().refine_sent(id, at);
                }
                Some(Arrival::Datagram { from, len, t4 }) => {
                    let datagram = buffer.get(..len).unwrap_or(&buffer);
                    self.take_datagram(datagram, from, t4);
                }
                Some(Arrival::Refused { hasten: true }) => self.publisher.engine_mut().hasten(),
                Some(Arrival::Refused { hasten: false }) => {}
            }
        }
    }

    fn take_datagram(&mut self, datagram: &[u8], from: SocketAddr, t4: LocalTime) {
        let opened = self.proof.open(datagram, self.time_at(t4));
        let taken = self.publisher.feed(|engine, now| match opened {
            None => engine.handle_datagram(datagram, t4, now),
            Some(Ok(reply)) => engine.handle_authenticated(reply, t4, now),
            Some(Err(rejection)) => Err(engine.handle_unproved(rejection, now)),
        });
        match taken {
            Ok(_) => self.report.note_move(self.carrier.believed(from)),
            // It has no time to give, and says so itself: another address may have.
            Err(rejection @ (Rejection::Unsynchronised | Rejection::RootDistance)) => {
                self.proof.useless();
                let kind = FailureKind::Attempt(AttemptError::Rejected(rejection));
                if self.carrier.useless(from, Failure::new(kind, rejection.to_string())) {
                    self.publisher.engine_mut().hasten();
                }
            }
            // It is counted by the engine and reported as an event.
            Err(_) => {
                if let Some(trouble) = self.proof.take_disproof() {
                    self.carrier.fail(self.publisher.engine().round_number(), trouble);
                }
            }
        }
    }

    fn transmit(&mut self) {
        if self.is_replaced() {
            return;
        }
        let in_hand = self.parked.take().map(|(_, transmit)| transmit);
        let mut next = in_hand.or_else(|| self.next_transmit());
        while let Some(transmit) = next {
            let round = self.publisher.engine().round_number();
            match self.connect(round) {
                Connecting::Ready => self.send(transmit),
                Connecting::Waiting => {
                    self.parked = Some((round, transmit));
                    return;
                }
                Connecting::Failed(trouble) => self.give_up(transmit, trouble),
            }
            next = self.next_transmit();
        }
    }

    /// Keys first, where they are wanted, for they say whom to ask.
    fn connect(&mut self, round: u64) -> Connecting {
        let now = self.shared.counters.local();
        match self.proof.prepare(round, now, self.time_at(now)) {
            Connecting::Ready => {}
            not_yet => return not_yet,
        }
        if let Some(server) = self.proof.take_target() {
            self.carrier.redirect(server);
        }
        self.carrier.prepare(round)
    }

    /// What the clock reads, if it does.
    fn reading_at(&self, local: LocalTime) -> Option<Reading> {
        self.publisher.engine().mapping()?.read(local)
    }

    fn time_at(&self, local: LocalTime) -> Option<UnixTime> {
        self.reading_at(local).map(|reading| reading.time())
    }

    fn next_transmit(&mut self) -> Option<Transmit> {
        let now = self.shared.counters.local();
        let engine = self.publisher.engine();
        if !engine.in_round() || now < engine.poll_timeout() {
            return None;
        }
        // Asking is of no use as long as there could be no reading.
        let disorder = if self.disordered { self.disorder() } else { None };
        self.disordered = disorder.is_some();
        if let Some(failure) = disorder {
            let transmit = self.publisher.engine_mut().poll_transmit(now, 0)?;
            self.give_up(transmit, failure);
            return None;
        }
        let engine = self.publisher.engine_mut();
        match entropy() {
            Ok(entropy) => engine.poll_transmit(now, entropy),
            // Without randomness a reply could be forged; the round ends for want of requests.
            Err(error) => {
                let transmit = engine.poll_transmit(now, 0)?;
                let detail = format!("no randomness from the system: {error}");
                self.give_up(transmit, Failure::new(FailureKind::NoRandomness, detail));
                None
            }
        }
    }

    fn send(&mut self, transmit: Transmit) {
        let request = match self.proof.request(&transmit) {
            Ok(request) => request,
            Err(trouble) => return self.give_up(transmit, trouble),
        };
        match self.carrier.send(transmit.id, &request) {
            Some(at) => self.publisher.engine_mut().handle_sent(transmit.token, at),
            None => self.send_failed(transmit),
        }
    }

    fn give_up(&mut self, transmit: Transmit, trouble: Failure) {
        self.carrier.fail(self.publisher.engine().round_number(), trouble);
        self.send_failed(transmit);
    }

    fn send_failed(&mut self, transmit: Transmit) {
        // It may be the end of the last attempt, and of readings.
        self.publisher.feed(|engine, now| engine.handle_send_failed(transmit.token, now));
    }

    /// A round that is over is reported, with its events, before the next one, which may have
    /// begun already, asks. Then its sockets are closed, so that a late reply meets nobody.
    fn conclude_round(&mut self) {
        let engine = self.publisher.engine();
        let round = engine.in_round().then(|| engine.round_number());
        if let Some((number, _)) = self.parked.take_if(|(number, _)| Some(*number) != round) {
            match self.proof.overdue() {
                Some(trouble) => self.carrier.fail(number, trouble),
                None => self.carrier.fail_lookup(),
            }
        }
        if self.carrier.is_for_another(round) {
            self.tell();
            self.carrier.close();
        }
    }

    fn tell(&mut self) {
        self.report.tell(self.publisher.engine_mut(), &mut self.carrier);
        // Afterwards: code that sees that keys have come sees the round that uses them, too.
        self.shared.runtime().lock().nts = self.proof.status();
    }

    /// A round now; after a kiss-o'-death as soon as may be.
    fn ask_at_once(&mut self) {
        let _ = self.publisher.feed(|engine, now| engine.request_sync(now));
    }

    /// A clock without time does not wait for its next attempt when its keys come after one.
    fn use_new_keys(&mut self) {
        if self.publisher.engine().in_round() || !self.proof.have_keys_come() {
            return;
        }
        if self.time_at(self.shared.counters.local()).is_none() {
            self.ask_at_once();
        }
    }

    fn drop_round(&mut self) {
        self.carrier.close();
        self.carrier.moved();
        self.proof.moved();
        self.parked = None;
    }
}

fn entropy() -> Result<u64, getrandom::Error> {
    getrandom::u64()
}

/// A hop from one processor to another takes about as long: less does not show anyway.
const COUNTER_SLACK: Span = Span::from_micros(20);
const DATAGRAM_MAX: usize = 2_048;
/// While the host is about to say something it is looked at that often.
const HOST_NAP: Span = Span::from_millis(20);
/// The host wakes the thread no more often than that.
const HOST_PAUSE: Span = Span::from_secs(1);
/// Datagrams handled before timers have their turn.
const DATAGRAMS_AT_ONCE: usize = 64;

#[cfg(all(test, feature = "nts"))]
mod tests;
