//! What the clock's thread tells: events in words, the status, answers to requests.

use std::sync::Arc;

use ntp_clock_core::{AttemptError, Disruption, EpochReason, Event, Held, LocalTime, SyncEngine};

use crate::carrier::{Carrier, Moved};
use crate::event::ClockEvent;
use crate::failure::{Failure, FailureKind};
use crate::moment::Moment;
use crate::server::Server;
use crate::shared::Shared;

/// Notifies the processes that share the clock.
#[derive(Debug)]
pub(crate) struct Report {
    shared: Arc<Shared>,
    /// Whether there were readings when subscribers were notified last.
    reported_serving: bool,
    /// The user's request whose round is under way.
    answering: Option<u64>,
    /// Whether the last round to end had a believed reply, or why not.
    outcome: Result<(), Failure>,
    /// Replies come from another address, which is not reported yet.
    moved: Option<Moved>,
    /// Disruptions that are not reported yet.
    disruptions: Vec<Disruption>,
}

impl Report {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        let reported_serving = shared.runtime().is_serving();
        Report {
            shared,
            reported_serving,
            answering: None,
            outcome: Ok(()),
            moved: None,
            disruptions: Vec::new(),
        }
    }

    /// The newest request for a round that nobody attends to yet.
    pub(crate) fn asked(&self) -> Option<u64> {
        let state = self.shared.runtime().lock();
        let attended = state.answered.max(self.answering.unwrap_or(0));
        (state.requested > attended).then_some(state.requested)
    }

    /// The round under way answers this request.
    pub(crate) fn attend(&mut self, request: u64) {
        self.answering = Some(request);
    }

    /// Replies come from another address, which the next report tells.
    pub(crate) fn note_move(&mut self, moved: Option<Moved>) {
        self.moved = moved.or(self.moved);
    }

    /// The machine or the process was disturbed, which the next report tells.
    pub(crate) fn note_disruption(&mut self, disruption: Disruption) {
        self.disruptions.push(disruption);
    }

    /// The server may not be asked for now.
    pub(crate) fn refuse(&self, request: u64, held: &Held) {
        let wait = held.until - self.shared.counters.local();
        let detail = format!("{held}; asking again in {:.0} s", wait.as_secs_f64());
        let runtime = self.shared.runtime();
        let mut state = runtime.lock();
        state.answered = request;
        state.answer = Some(Err(Failure::new(FailureKind::Held, detail)));
        let delivered = state.subscribers.send(&[]);
        drop(state);
        runtime.notify();
        delivered.notify();
    }

    /// Tells what happened since the last time, and leaves the status for callers that ask.
    pub(crate) fn tell(&mut self, engine: &mut SyncEngine, carrier: &mut Carrier) {
        let mut events = Vec::new();
        let mut ended = false;
        let moved = self.moved.take();
        if let Some(moved) = moved {
            events.push(ClockEvent::new(Event::ServerChanged, None, self.tell_move(moved)));
        }
        let disruptions = std::mem::take(&mut self.disruptions);
        let disrupted = disruptions.iter().map(|disruption| Event::Disrupted(*disruption));
        events.extend(disrupted.map(|event| ClockEvent::new(event, None, self.describe(&event))));
        let ended_by = disruptions.iter().rfind(|disruption| disruption.ends_readings());
        while let Some(event) = engine.poll_event() {
            match &event {
                Event::Synchronised { .. } => {
                    ended = true;
                    self.outcome = Ok(());
                }
                Event::AttemptFailed { reason, .. } => {
                    ended = true;
                    self.outcome = Err(Failure::of_attempt(*reason, carrier.take_trouble()));
                    carrier.attempt_failed();
                }
                Event::Failed { reason, .. } => self.outcome = Err(self.failure(*reason)),
                _ => {}
            }
            let failure = match &event {
                Event::AttemptFailed { .. } | Event::Failed { .. } => self.outcome.clone().err(),
                _ => None,
            };
            let message = match (&event, ended_by) {
                (Event::EpochChanged { epoch, reason: EpochReason::Suspend }, Some(cause)) => {
                    format!("epoch {epoch} begins: {cause}")
                }
                _ => self.describe(&event),
            };
            events.push(ClockEvent::new(event, failure, message));
        }
        let now = self.shared.counters.local();
        let moment = Moment::read(|| self.shared.counters.local());
        let runtime = self.shared.runtime();
        let mut state = runtime.lock();
        state.last_error = self.outcome.clone().err();
        state.status = Some(engine.status(now));
        state.moment = Some(moment);
        state.vain_starts = 0;
        if let Some(address) = carrier.address() {
            state.address = Some(address);
        }
        state.disruptions += disruptions.len() as u64;
        state.last_disruption = disruptions.last().copied().or(state.last_disruption);
        state.server_changes += u64::from(moved.is_some());
        // Nobody waits for the last requests of the first round.
        let answer = if engine.round_is_answered() { Ok(()) } else { self.outcome.clone() };
        let answered = self.answering.filter(|_| ended || engine.round_is_answered());
        if let Some(request) = answered {
            self.answering = None;
            state.answered = request;
            state.answer = Some(answer);
        }
        // Readings begin with the first reply, the event comes at the end of its round.
        let serving = engine.mapping().is_some();
        let turned = serving != self.reported_serving;
        self.reported_serving = serving;
        let tell = !events.is_empty() || answered.is_some() || turned;
        let delivered = tell.then(|| state.subscribers.send(&events));
        drop(state);
        runtime.notify();
        if let Some(delivered) = delivered {
            delivered.notify();
        }
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

    /// That replies were proved, and where they come from: keys may name another host.
    fn proved(&self) -> String {
        let nts = self.shared.runtime().lock().nts.clone();
        let ntp_host = nts.and_then(|nts| nts.ntp_host);
        ntp_host.map_or_else(String::new, |host| format!(", authenticated, asked at {host}"))
    }

    fn describe(&self, event: &Event) -> String {
        let server =
            self.shared.server.as_ref().map_or_else(|e| e.text().to_owned(), Server::to_string);
        let error = || self.outcome.as_ref().err().map_or("", Failure::detail);
        match event {
            Event::Synchronised { max_error, est_error, delay, believed, sent, epoch, .. } => {
                let proved = self.proved();
                format!(
                    "synchronised with {server}{proved}: max_error {:.3} ms, est_error {:.3} ms, \
                     delay {:.3} ms, {believed} of {sent} replies believed, epoch {epoch}",
                    max_error.as_millis_f64(),
                    est_error.as_millis_f64(),
                    delay.as_millis_f64(),
                )
            }
            Event::AttemptFailed { attempt, .. } => {
                format!("attempt {attempt} at {server} failed: {}", error())
            }
            Event::Failed { retry_at, .. } => format!(
                "clock failed, no readings until {server} answers: {}; next attempt in {:.0} s",
                error(),
                self.seconds_to(*retry_at)
            ),
            Event::EpochChanged { epoch, reason } => format!("epoch {epoch} begins: {reason}"),
            Event::Disrupted(disruption) if disruption.ends_readings() => {
                format!("{disruption}: no readings until {server} answers")
            }
            Event::Disrupted(disruption) => format!("{disruption}: {server} is asked at once"),
            Event::EstimateRestarted => {
                format!("{server} or the path to it moved: estimate started afresh")
            }
            Event::Rejected(rejection) => format!("reply of {server} not believed: {rejection}"),
            // `Event` may grow.
            other => format!("{other:?}"),
        }
    }

    fn seconds_to(&self, moment: LocalTime) -> f64 {
        (moment - self.shared.counters.local()).as_secs_f64().max(0.0)
    }
}
