//! Publishes what the engine makes of its inputs, so that readings stay in order.

use std::sync::Arc;

use ntp_clock_core::{LocalTime, Mapping, Span, SyncEngine};

use crate::counters::Reference;
use crate::journal::Recorded;
use crate::os::{self, Slept};
use crate::shared::Shared;

/// The page's one writer, with the engine that it writes for.
#[derive(Debug)]
pub(crate) struct Publisher {
    shared: Arc<Shared>,
    engine: SyncEngine,
    reference: Reference,
    published: Mapping,
}

impl Publisher {
    /// Goes on from what the page says, whoever wrote that.
    pub(crate) fn new(shared: Arc<Shared>, entropy: u64) -> Self {
        let now = shared.counters.local();
        let view = shared.page.view(|| now);
        let engine = SyncEngine::resume(shared.config(), view.mapping, now, entropy)
            .with_authentication(shared.authentication());
        shared.runtime().set_serving(engine.mapping().is_some());
        // The page's reference shows a sleep since then; readings that the page gives stand.
        Publisher { shared, engine, reference: view.reference, published: view.mapping }
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
            // The reference stays on the safe side of a suspend: its sleep is read first.
            self.reference = Reference { slept: self.reference.slept, ..counters.reference() };
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

    /// Whether the counter has lost time since the last look.
    pub(crate) fn has_slept(&mut self) -> bool {
        let slept: Slept = self.shared.counters.slept();
        let elapsed: Span = self.shared.counters.local() - self.reference.local;
        let lost = os::has_slept(self.reference.slept, slept, elapsed);
        if lost {
            self.reference.slept = slept;
        }
        lost
    }

    /// Readers compare with a fresh pair from now on, as after the wall clock was set. A suspend
    /// since the last look at [`Publisher::has_slept`] shows at the next one.
    pub(crate) fn refresh_reference(&mut self) {
        let (page, counters) = (&self.shared.page, &self.shared.counters);
        self.reference = Reference { slept: self.reference.slept, ..counters.reference() };
        page.announce();
        page.publish(&self.published, self.reference, || counters.local());
    }
}
