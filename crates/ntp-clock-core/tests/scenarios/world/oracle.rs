//! What must hold at every step, whatever the scenario.

use ntp_clock_core::{Event, LocalTime, Mapping, Reading, Span, SyncEngine, SyncState, UnixTime};

pub(crate) struct Oracle {
    /// Whether the world keeps the assumptions: the server tells the truth within its stated
    /// error. Scenarios in which it lies switch this off.
    pub(crate) truthful: bool,
    /// Between polls.
    pub(crate) interval: Span,
    last: Option<(LocalTime, Reading, [u64; Mapping::WORDS])>,
    mapping: Option<Mapping>,
    expected_expiry: Option<LocalTime>,
    /// Successful rounds in this epoch.
    rounds: u32,
    sends: Vec<(LocalTime, u64)>,
    round_sizes: std::collections::BTreeMap<u64, (usize, usize)>,
    pub(crate) checks: u64,
}

impl Oracle {
    pub(crate) fn new(interval: Span) -> Self {
        Oracle {
            truthful: true,
            interval,
            last: None,
            mapping: None,
            expected_expiry: None,
            rounds: 0,
            sends: Vec::new(),
            round_sizes: std::collections::BTreeMap::new(),
            checks: 0,
        }
    }

    /// A forked child has sent nothing yet, and its readings go on from its parent's.
    pub(crate) fn forked(&mut self) {
        self.sends.clear();
        self.round_sizes.clear();
        self.expected_expiry = None;
    }

    /// The schedule was changed from outside.
    pub(crate) fn forget_expiry(&mut self) {
        self.expected_expiry = None;
    }

    pub(crate) fn sent(&mut self, at: LocalTime, engine: &SyncEngine) {
        let recent = |(sent, _): &&(LocalTime, u64)| at - *sent < Span::from_secs(8);
        let in_window = self.sends.iter().rev().take_while(recent).count() + 1;
        assert!(in_window <= 8, "{in_window} packets in 8 s");
        let round = engine.round_number();
        self.sends.push((at, round));
        // A round that begins an epoch may come in the middle of it.
        let limit = if self.rounds == 0 { 8 } else { 4 };
        let (size, allowed) = self.round_sizes.entry(round).or_insert((0, limit));
        *size += 1;
        assert!(*size <= *allowed, "request {size} of a round of {allowed}");
    }

    pub(crate) fn event(&mut self, event: &Event, engine: &SyncEngine, now: LocalTime) {
        match event {
            Event::Synchronised { max_error, est_error, .. } => {
                self.rounds += 1;
                assert!(est_error <= max_error && *est_error >= Span::ZERO);
                let due = engine.status(now).next_sync;
                assert!(due > now, "the next poll is in the past");
                // A kiss-o'-death may put the poll off for longer than readings can wait.
                let waited_for = due.min(now + self.interval.max(Span::from_secs(1)));
                self.expected_expiry = Some(waited_for + Span::from_secs(120));
            }
            Event::EpochChanged { .. } => {
                self.rounds = 0;
                self.expected_expiry = None;
            }
            _ => {}
        }
    }

    /// After an input and draining.
    pub(crate) fn settled(&mut self, engine: &SyncEngine, now: LocalTime) {
        let status = engine.status(now);
        let readable = engine.mapping().and_then(|m| m.read(now)).is_some();
        let says_so = matches!(status.state, SyncState::Synchronised | SyncState::Holdover);
        assert_eq!(readable, says_so, "state {:?}", status.state);
        let new = engine.mapping().copied();
        if new == self.mapping {
            return;
        }
        if let (Some(old), Some(new)) = (&self.mapping, &new) {
            if let (true, Some(before), Some(after)) =
                (old.epoch() == new.epoch(), old.read(now), new.read(now))
            {
                let step = after.time() - before.time();
                assert!(
                    step == Span::ZERO || step > before.max_error(),
                    "republished {step:?} off, bound {:?}",
                    before.max_error()
                );
            }
            assert!(new.epoch() >= old.epoch());
        }
        if let (Some(new), Some(expected), false, SyncState::Synchronised) =
            (&new, self.expected_expiry, engine.in_round(), status.state)
        {
            assert_eq!(new.valid_until(), expected, "expiry is not 120 s after the next poll");
        }
        self.mapping = new;
    }

    pub(crate) fn read(&mut self, engine: &SyncEngine, now: LocalTime, truth: UnixTime) {
        self.checks += 1;
        let Some(mapping) = engine.mapping() else { return };
        let Some(reading) = mapping.read(now) else { return };
        assert!(reading.max_error() >= Span::ZERO && reading.est_error() >= Span::ZERO);
        assert!(reading.est_error() <= reading.max_error());
        assert!(mapping.rate_ppm().is_finite());
        if self.truthful {
            let error = reading.time() - truth;
            assert!(
                error.abs() <= reading.max_error(),
                "reading {error:?} off the truth, bound {:?}, at {truth:?}",
                reading.max_error()
            );
        }
        if let Some((at, last, words)) = &self.last {
            if last.epoch() == reading.epoch() {
                let gained = reading.time() - last.time();
                assert!(gained >= Span::ZERO, "reading fell by {gained:?} within its epoch");
            }
            if *words == mapping.to_words() {
                self.check_slew(now - *at, reading.time() - last.time(), mapping);
            }
        }
        self.last = Some((now, reading, mapping.to_words()));
    }

    fn check_slew(&self, elapsed: Span, gained: Span, mapping: &Mapping) {
        let straight = elapsed.as_nanos() as f64 * (1.0 + mapping.rate_ppm() * 1e-6);
        let slewed = (gained.as_nanos() as f64 - straight).abs();
        let limit = if self.rounds < 2 { 0.05 } else { 500e-6 };
        let most = elapsed.as_nanos() as f64 * limit + 3.0;
        assert!(slewed <= most, "slewed {slewed} ns in {elapsed:?}, at most {most} allowed");
    }
}
