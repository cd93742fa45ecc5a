//! Publishes what the engine makes of its inputs, so that readings stay in order.

use std::sync::Arc;

use ntp_clock_core::{Disruption, LocalTime, Mapping, Span, SyncEngine};

use crate::counters::Reference;
use crate::journal::Recorded;
use crate::os::Life;
use crate::past::Past;
use crate::shared::Shared;

/// The page's one writer, with the engine that it writes for.
#[derive(Debug)]
pub(crate) struct Publisher {
    shared: Arc<Shared>,
    engine: SyncEngine,
    reference: Reference,
    published: Mapping,
    /// Since when the host has been about to say something.
    unclear_since: Option<LocalTime>,
}

impl Publisher {
    /// Goes on from what the page says, whoever wrote that.
    pub(crate) fn new(shared: Arc<Shared>, entropy: u64) -> Self {
        let now = shared.counters.local();
        let view = shared.page.view(|| now);
        let engine = SyncEngine::resume(shared.config(), view.mapping, now, entropy)
            .with_authentication(shared.authentication());
        shared.runtime().set_serving(engine.mapping().is_some());
        // The page's reference shows a disruption since then; readings that the page gives stand.
        Publisher {
            shared,
            engine,
            reference: view.reference,
            published: view.mapping,
            unclear_since: None,
        }
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
        let (page, counters) = (&self.shared.page, &self.shared.counters);
        let journal = self.shared.journal.upgrade();
        let mut pages = journal.as_ref().map(|journal| journal.open());
        page.announce();
        let result = input(&mut self.engine, counters.local());
        let legacy = self.engine.legacy();
        if legacy == self.published {
            page.end_transition(|| counters.local());
        } else {
            // The reference stays on the safe side of a disruption: what has been noticed counts.
            self.reference = Reference { past: self.reference.past, ..counters.reference() };
            page.publish(&legacy, self.reference, || counters.local());
            self.published = legacy;
        }
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
        self.reference.past.jumps += 1;
    }

    /// Whether the host is about to say something.
    pub(crate) fn waits_for_host(&self) -> bool {
        self.unclear_since.is_some()
    }

    /// Readers compare with a fresh pair from now on, as after the wall clock was set. A
    /// disruption since the last [`Publisher::disrupted`] shows at the next one.
    pub(crate) fn refresh_reference(&mut self) {
        let (page, counters) = (&self.shared.page, &self.shared.counters);
        self.reference = Reference { past: self.reference.past, ..counters.reference() };
        page.announce();
        page.publish(&self.published, self.reference, || counters.local());
    }
}

/// A host writes its page in microseconds, or in milliseconds where it is interrupted.
const HOST_PATIENCE: Span = Span::from_secs(1);
