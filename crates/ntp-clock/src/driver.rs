//! The background thread: feeds the engine, publishes its mapping, sleeps until there is more.

use std::net::SocketAddr;
use std::sync::{Arc, Weak};
use std::time::Duration;

use ntp_clock_core::{
    AttemptError, Event, LocalTime, Mapping, Rejection, Span, SyncEngine, Transmit,
};

use crate::carrier::{Arrival, Carrier, Connecting, Moved};
use crate::counters::Reference;
use crate::event::ClockEvent;
use crate::failure::{Failure, FailureKind};
use crate::journal::{Journal, Recorded};
use crate::moment::Moment;
use crate::os::{self, Socket, Waiter};
use crate::server::Server;
use crate::shared::Shared;

pub(crate) struct Driver {
    shared: Arc<Shared>,
    waiter: Waiter,
    engine: SyncEngine,
    /// Where the engine's log goes while somebody records.
    journal: Weak<Journal>,
    carrier: Carrier,
    /// A request that waits for the server's address, and its round.
    parked: Option<(u64, Transmit)>,
    /// Replies come from another address, which nobody was told yet.
    moved: Option<Moved>,
    reference: Reference,
    published: Option<Mapping>,
    /// Whether there were readings when subscribers were told last.
    told_serving: bool,
    poll_interval: Span,
    /// The user's request whose round is under way.
    answering: Option<u64>,
    /// Whether the last round to end had a believed reply, or why not.
    outcome: Result<(), Failure>,
}

impl Driver {
    /// `inherited` is the parent's mapping in a forked child.
    pub(crate) fn new(
        shared: Arc<Shared>,
        waiter: Waiter,
        inherited: Option<Mapping>,
        journal: Weak<Journal>,
    ) -> Self {
        let now = shared.counters.local();
        let config = shared.config();
        let engine = match inherited {
            Some(mapping) => SyncEngine::resume(config, mapping, now, entropy().unwrap_or(0)),
            None => SyncEngine::new(config, now),
        };
        Driver {
            carrier: Carrier::new(
                shared.server.clone().ok(),
                None,
                waiter.bell(),
                shared.counters.clone(),
            ),
            reference: shared.counters.reference(),
            published: inherited,
            told_serving: inherited.is_some(),
            poll_interval: config.poll_interval,
            waiter,
            engine,
            journal,
            parked: None,
            moved: None,
            answering: None,
            outcome: Ok(()),
            shared,
        }
    }

    /// Runs until the clock is dropped.
    pub(crate) fn run(mut self) {
        os::quiet_thread();
        while !self.shared.runtime().is_stopped() {
            self.notice_suspend();
            self.take_requests();
            self.receive();
            self.with_engine(|engine, now| engine.handle_timeout(now));
            self.conclude_round();
            self.transmit();
            self.report();
            let timeout = self.engine.poll_timeout() - self.shared.counters.local();
            let woken = self.waiter.wait(self.carrier.sockets(), Duration::from(timeout));
            if woken.clock_set || self.shared.runtime().take_alarm() {
                self.refresh_reference();
            }
        }
    }

    /// Feeds the engine and publishes what it makes of it. The transition is announced first, so
    /// that the moment handed to the engine is the one where the new line starts. Recorded readings
    /// come before or after all of it.
    fn with_engine<T>(&mut self, input: impl FnOnce(&mut SyncEngine, LocalTime) -> T) -> T {
        let (page, counters) = (&self.shared.page, &self.shared.counters);
        let journal = self.journal.upgrade();
        let mut pages = journal.as_ref().map(|journal| journal.open());
        page.announce();
        let result = input(&mut self.engine, counters.local());
        let mapping = self.engine.mapping().copied();
        if mapping == self.published {
            page.end_transition();
        } else {
            // The reference stays on the safe side of a suspend: its sleep is read first.
            self.reference = Reference { slept: self.reference.slept, ..counters.reference() };
            page.publish(mapping.as_ref(), self.reference, || counters.local());
            self.published = mapping;
        }
        if let (Some(journal), Some(mut pages)) = (&journal, pages.take()) {
            while let Some(entry) = self.engine.poll_log() {
                pages.push(Recorded::Entry(entry));
            }
            drop(pages);
            journal.notify();
        }
        result
    }

    /// The counter may have lost time since the last look.
    fn notice_suspend(&mut self) {
        let slept = self.shared.counters.slept();
        let elapsed = self.shared.counters.local() - self.reference.local;
        if os::has_slept(self.reference.slept, slept, elapsed) {
            self.reference.slept = slept;
            self.drop_round();
            self.with_engine(|engine, now| engine.handle_suspend(now));
            self.refresh_reference();
        }
    }

    /// The wall clock was set, or a reader saw it drift: readers compare with a fresh pair.
    fn refresh_reference(&mut self) {
        self.notice_suspend();
        let counters = &self.shared.counters;
        // A suspend since the look just above shows at the next one.
        self.reference = Reference { slept: self.reference.slept, ..counters.reference() };
        self.shared.page.announce();
        self.shared.page.publish(self.published.as_ref(), self.reference, || counters.local());
    }

    /// What the program asked for since the last look.
    fn take_requests(&mut self) {
        let interval = self.shared.poll_interval();
        if interval != self.poll_interval {
            self.poll_interval = interval;
            self.with_engine(|engine, now| engine.set_poll_interval(interval, now));
        }
        let asked = {
            let state = self.shared.runtime().lock();
            (state.requested > state.answered.max(self.answering.unwrap_or(0)))
                .then_some(state.requested)
        };
        let Some(request) = asked else { return };
        match self.with_engine(|engine, now| engine.request_sync(now)) {
            Ok(()) => self.answering = Some(request),
            Err(held) => {
                let wait = held.until - self.shared.counters.local();
                let detail = format!("{held}; asking again in {:.0} s", wait.as_secs_f64());
                self.answer(request, Err(Failure::new(FailureKind::Held, detail)));
            }
        }
    }

    fn receive(&mut self) {
        let mut buffer = [0; DATAGRAM_MAX];
        for _ in 0..DATAGRAMS_AT_ONCE {
            match self.carrier.receive(&mut buffer) {
                None => return,
                Some(Arrival::Departed { id, at }) => self.engine.refine_sent(id, at),
                Some(Arrival::Datagram { from, len, t4 }) => {
                    let datagram = buffer.get(..len).unwrap_or(&buffer);
                    self.take_datagram(datagram, from, t4);
                }
                Some(Arrival::Refused) => {}
            }
        }
    }

    fn take_datagram(&mut self, datagram: &[u8], from: SocketAddr, t4: LocalTime) {
        match self.with_engine(|engine, now| engine.handle_datagram(datagram, t4, now)) {
            Ok(_) => {
                self.moved = self.carrier.believed(from).or(self.moved);
                self.note_sockets();
            }
            // It has no time to give, and says so itself: another address may have.
            Err(rejection @ (Rejection::Unsynchronised | Rejection::RootDistance)) => {
                let kind = FailureKind::Attempt(AttemptError::Rejected(rejection));
                self.carrier.useless(from, Failure::new(kind, rejection.to_string()));
            }
            // It is counted by the engine and reported as an event.
            Err(_) => {}
        }
    }

    fn transmit(&mut self) {
        let in_hand = self.parked.take().map(|(_, transmit)| transmit);
        let mut next = in_hand.or_else(|| self.next_transmit());
        while let Some(transmit) = next {
            let round = self.engine.round_number();
            match self.carrier.prepare(round) {
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

    fn next_transmit(&mut self) -> Option<Transmit> {
        let now = self.shared.counters.local();
        if !self.engine.in_round() || now < self.engine.poll_timeout() {
            return None;
        }
        match entropy() {
            Ok(entropy) => self.engine.poll_transmit(now, entropy),
            // Without randomness a reply could be forged; the round ends for want of requests.
            Err(error) => {
                let transmit = self.engine.poll_transmit(now, 0)?;
                self.give_up(
                    transmit,
                    Failure::new(
                        FailureKind::NoRandomness,
                        format!("no randomness from the system: {error}"),
                    ),
                );
                None
            }
        }
    }

    fn send(&mut self, transmit: Transmit) {
        let sent = self.carrier.send(transmit.id, &transmit.ntp_request());
        self.note_sockets();
        match sent {
            Some(at) => self.engine.handle_sent(transmit.token, at),
            None => self.send_failed(transmit),
        }
    }

    fn give_up(&mut self, transmit: Transmit, trouble: Failure) {
        self.carrier.fail(trouble);
        self.send_failed(transmit);
    }

    fn send_failed(&mut self, transmit: Transmit) {
        self.engine.handle_send_failed(transmit.token, self.shared.counters.local());
    }

    /// A round that is over is told, with what befell it, before the next one, which may have
    /// begun already, asks. Then its sockets are closed, so that a late reply meets nobody.
    fn conclude_round(&mut self) {
        let round = self.engine.in_round().then(|| self.engine.round_number());
        if self.parked.take_if(|(number, _)| Some(*number) != round).is_some() {
            self.carrier.fail_lookup();
        }
        if self.carrier.is_for_another(round) {
            self.report();
            self.close_sockets();
        }
    }

    /// For a forked child, which closes the sockets that it inherits.
    fn note_sockets(&self) {
        self.shared.runtime().set_sockets(self.carrier.sockets().map(Socket::descriptor));
    }

    fn close_sockets(&mut self) {
        self.shared.runtime().set_sockets([]);
        self.carrier.close();
    }

    fn drop_round(&mut self) {
        self.close_sockets();
        self.carrier.moved();
        self.parked = None;
    }

    /// Tells subscribers what happened and leaves the status for whoever asks.
    fn report(&mut self) {
        let mut events = Vec::new();
        let mut ended = false;
        let moved = self.moved.take();
        if let Some(moved) = moved {
            events.push(ClockEvent::new(Event::ServerChanged, None, self.tell_move(moved)));
        }
        while let Some(event) = self.engine.poll_event() {
            match &event {
                Event::Synchronised { .. } => {
                    ended = true;
                    self.outcome = Ok(());
                }
                Event::AttemptFailed { reason, .. } => {
                    ended = true;
                    let trouble = self.carrier.take_trouble();
                    self.outcome = Err(Failure::of_attempt(*reason, trouble));
                    self.carrier.attempt_failed();
                }
                _ => {}
            }
            let message = self.describe(&event);
            let failure = match &event {
                Event::AttemptFailed { .. } => self.outcome.clone().err(),
                Event::Failed { reason, .. } => Some(self.failure(*reason)),
                _ => None,
            };
            events.push(ClockEvent::new(event, failure, message));
        }
        let now = self.shared.counters.local();
        let moment = Moment::read(&self.shared.counters);
        let runtime = self.shared.runtime();
        let mut state = runtime.lock();
        let status = self.engine.status(now);
        state.last_error = self.outcome.clone().err();
        state.status = Some(status);
        state.moment = Some(moment);
        if let Some(address) = self.carrier.address() {
            state.address = Some(address);
        }
        state.server_changes += u64::from(moved.is_some());
        let answered = self.answering.filter(|_| ended);
        if let Some(request) = answered {
            self.answering = None;
            state.answered = request;
            state.answer = Some(self.outcome.clone());
        }
        // Readings begin with the first reply, the event comes at the end of its round.
        let serving = self.published.is_some();
        let turned = serving != self.told_serving;
        self.told_serving = serving;
        if !events.is_empty() || answered.is_some() || turned {
            state.subscribers.send(&events);
        }
        drop(state);
        runtime.notify();
    }

    fn answer(&mut self, request: u64, answer: Result<(), Failure>) {
        let runtime = self.shared.runtime();
        let mut state = runtime.lock();
        state.answered = request;
        state.answer = Some(answer);
        state.subscribers.send(&[]);
        drop(state);
        runtime.notify();
    }

    /// Why the clock failed: the outcome of its last round, unless it ran out without one.
    fn failure(&self, reason: AttemptError) -> Failure {
        match &self.outcome {
            Err(failure) if reason != AttemptError::Expired => failure.clone(),
            _ => Failure::of_attempt(reason, None),
        }
    }

    fn tell_move(&self, moved: Moved) -> String {
        let server = self.shared.server.as_ref().map_or("the server", Server::host);
        let Moved { from, to } = moved;
        format!("{server} is asked at {to} from now on; {from} no longer answers")
    }

    fn describe(&self, event: &Event) -> String {
        let server =
            self.shared.server.as_ref().map_or_else(|e| e.text().to_owned(), Server::to_string);
        match event {
            Event::Synchronised { max_error, est_error, delay, believed, sent, epoch, .. } => {
                format!(
                    "synchronised with {server}: max_error {:.3} ms, est_error {:.3} ms, delay \
                     {:.3} ms, {believed} of {sent} replies believed, epoch {epoch}",
                    max_error.as_millis_f64(),
                    est_error.as_millis_f64(),
                    delay.as_millis_f64(),
                )
            }
            Event::AttemptFailed { attempt, .. } => {
                let error = self.outcome.as_ref().err().map_or("", Failure::detail);
                format!("attempt {attempt} at {server} failed: {error}")
            }
            Event::Failed { reason, retry_at } => {
                let error = self.failure(*reason);
                let wait = *retry_at - self.shared.counters.local();
                format!(
                    "clock failed, no readings until {server} answers: {error}; next attempt in \
                     {:.0} s",
                    wait.as_secs_f64().max(0.0)
                )
            }
            Event::EpochChanged { epoch, reason } => format!("epoch {epoch} begins: {reason}"),
            Event::EstimateRestarted => {
                format!("{server} or the path to it moved: estimate started afresh")
            }
            Event::Rejected(rejection) => format!("reply of {server} not believed: {rejection}"),
            // `Event` may grow.
            other => format!("{other:?}"),
        }
    }
}

fn entropy() -> Result<u64, getrandom::Error> {
    getrandom::u64()
}

const DATAGRAM_MAX: usize = 2_048;
/// Datagrams handled before timers have their turn.
const DATAGRAMS_AT_ONCE: usize = 64;
