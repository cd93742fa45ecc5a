//! Publishes what the engine makes of its inputs, so that readings stay in order.

use std::sync::Arc;

use ntp_clock_core::{Disruption, LocalTime, Mapping, Span, SyncEngine};

use crate::counters::Reference;
use crate::host::{MachinePage, Shown};
use crate::journal::Recorded;
use crate::os::Life;
use crate::past::Past;
use crate::shared::{Shared, nothing_of_epoch};

/// The page's one writer, with the engine that it writes for.
#[derive(Debug)]
pub(crate) struct Publisher {
    shared: Arc<Shared>,
    /// The machine's page, where that is written instead of this process's own.
    machine: Option<&'static MachinePage>,
    engine: SyncEngine,
    reference: Reference,
    published: Mapping,
    /// When the machine's page says that the engine is to act next.
    published_due: LocalTime,
    /// Since when the host has been about to say something.
    unclear_since: Option<LocalTime>,
}

impl Publisher {
    /// Goes on from what the page says, no matter who wrote that.
    pub(crate) fn new(shared: Arc<Shared>, entropy: u64) -> Self {
        let now = shared.counters.local();
        let view = shared.page.view(|| now);
        let engine = SyncEngine::resume(shared.config(), view.mapping, now, entropy)
            .with_authentication(shared.authentication());
        shared.runtime().set_serving(engine.mapping().is_some());
        // The page's reference shows a disruption since then; readings that the page gives stand.
        Publisher {
            shared,
            machine: None,
            engine,
            reference: view.reference,
            published: view.mapping,
            published_due: LocalTime::MIN,
            unclear_since: None,
        }
    }

    /// Begins the machine's page, which is busy until now: goes on from `legacy`, in the same
    /// epoch, or in a new one.
    pub(crate) fn of_machine(
        shared: Arc<Shared>,
        shown: Shown,
        legacy: Option<(Mapping, Reference)>,
        entropy: u64,
    ) -> Self {
        let now = shared.counters.local();
        let fresh = || (nothing_of_epoch(shared.fresh_epoch()), shared.counters.reference());
        let (mapping, reference) = legacy.unwrap_or_else(fresh);
        let engine = SyncEngine::resume(shared.config(), mapping, now, entropy)
            .with_authentication(shared.authentication());
        let published = engine.legacy();
        let published_due = engine.poll_timeout();
        shown.page.publish(&published, reference, published_due);
        shared.attach(shown);
        shared.runtime().set_serving(engine.mapping().is_some());
        let machine = Some(shown.page);
        let unclear_since = None;
        Publisher { shared, machine, engine, reference, published, published_due, unclear_since }
    }

    pub(crate) fn engine(&self) -> &SyncEngine {
        &self.engine
    }

    /// The engine, for inputs and outputs that change no reading.
    pub(crate) fn engine_mut(&mut self) -> &mut SyncEngine {
        &mut self.engine
    }

    /// Feeds the engine and publishes what it makes of it. The transition is announced first, so
    /// that the moment handed to the engine is the one where the new line starts. Recorded readings
    /// come before or after all of it.
    pub(crate) fn feed<T>(&mut self, input: impl FnOnce(&mut SyncEngine, LocalTime) -> T) -> T {
        let journal = self.shared.journal.upgrade();
        let mut pages = journal.as_ref().map(|journal| journal.open());
        self.announce();
        let counters = &self.shared.counters;
        let result = input(&mut self.engine, counters.local());
        let legacy = self.engine.legacy();
        let changed = legacy != self.published;
        if changed {
            // The reference stays on the safe side of a disruption: what has been noticed counts.
            self.reference = Reference { past: self.reference.past, ..counters.reference() };
            self.published = legacy;
        }
        self.publish(changed);
        self.shared.runtime().set_serving(self.engine.mapping().is_some());
        if let (Some(journal), Some(mut pages)) = (&journal, pages.take()) {
            while let Some(entry) = self.engine.poll_log() {
                pages.push(Recorded::Entry(entry));
            }
            drop(pages);
            journal.notify();
        }
        result
    }

    /// What has befallen the counter since the last look, if anything has.
    pub(crate) fn disrupted(&mut self) -> Option<Disruption> {
        let counters = &self.shared.counters;
        let before = self.reference.past;
        let mut past = Past { jumps: before.jumps, ..counters.past() };
        let now = counters.local();
        // While the host is about to say something there are no readings. Only where that takes
        // longer than any host needs is it what ends them, and what they go on from.
        if past.host != Life::UNCLEAR || before.host == Life::UNCLEAR {
            self.unclear_since = None;
        } else if now - *self.unclear_since.get_or_insert(now) < HOST_PATIENCE {
            past.host = before.host;
        }
        let disruption = before.until(&past, now - self.reference.local);
        if disruption.is_some() {
            self.reference.past = past;
        }
        disruption
    }

    /// The counter was found to have run apart from others.
    pub(crate) fn note_jump(&mut self) {
        let jumps = &mut self.reference.past.jumps;
        // What another process wrote may be any number.
        *jumps = jumps.wrapping_add(1);
    }

    /// Whether the host is about to say something.
    pub(crate) fn waits_for_host(&self) -> bool {
        self.unclear_since.is_some()
    }

    /// Readers compare with a fresh pair from now on, as after the wall clock was set. A
    /// disruption since the last [`Publisher::disrupted`] shows at the next one.
    pub(crate) fn refresh_reference(&mut self) {
        let counters = &self.shared.counters;
        self.reference = Reference { past: self.reference.past, ..counters.reference() };
        self.announce();
        self.publish(true);
    }

    /// Followers look whether the writer is at work by when it is to act next.
    pub(crate) fn publish_due(&mut self) {
        if self.machine.is_some() && self.published_due != self.engine.poll_timeout() {
            self.announce();
            self.publish(false);
        }
    }

    fn announce(&self) {
        match self.machine {
            None => self.shared.page.announce(),
            Some(page) => page.announce(),
        }
    }

    /// Ends what was announced, with another line or the same.
    fn publish(&mut self, changed: bool) {
        let counter = || self.shared.counters.local();
        match self.machine {
            None if changed => self.shared.page.publish(&self.published, self.reference, counter),
            None => self.shared.page.end_transition(counter),
            Some(page) => {
                self.published_due = self.engine.poll_timeout();
                page.publish(&self.published, self.reference, self.published_due);
            }
        }
    }
}

/// A host writes its page in microseconds, or in milliseconds where it is interrupted.
const HOST_PATIENCE: Span = Span::from_secs(1);
