//! What the targets that drive an engine have in common: a driver as a clock's thread is one, which
//! checks after every step what SPEC.md promises whatever the server does.

use std::collections::VecDeque;

use arbitrary::Arbitrary;
use ntp_clock_core::{
    EngineConfig, Event, LocalTime, Mapping, Reading, SendToken, Span, SyncEngine, SyncState,
};

/// A length of time on a scale that knows both nanoseconds and hours.
#[derive(Arbitrary, Clone, Copy, Debug)]
pub struct Length {
    mantissa: u16,
    exponent: u8,
}

impl Length {
    /// Up to a little more than `2^(16 + most_log2)` nanoseconds.
    pub fn span(self, most_log2: u8) -> Span {
        Span::from_nanos(i64::from(self.mantissa) << (self.exponent % (most_log2 + 1)))
    }
}

/// How the thread waits.
#[derive(Arbitrary, Clone, Copy, PartialEq, Eq, Debug)]
pub enum Driving {
    /// Called back whenever the engine wants to be.
    Punctual,
    /// Only at the end: the process was stopped.
    Late,
}

/// A request under way.
#[derive(Clone, Copy, Debug)]
pub struct Request {
    /// What the reply must return.
    pub cookie: u64,
    /// When it left.
    pub sent_at: LocalTime,
}

/// An engine, its counter, and what it has done so far.
pub struct Driver {
    /// The engine under test.
    pub engine: SyncEngine,
    /// The counter.
    pub now: LocalTime,
    /// Requests that were sent, newest last.
    pub requests: VecDeque<Request>,
    /// Whether requests can be sent.
    pub network_up: bool,
    config: EngineConfig,
    sends: VecDeque<LocalTime>,
    last_reading: Option<Reading>,
    last_believed: Option<LocalTime>,
    longest_interval: Span,
    /// Of the process and of its forked children, each of which has its own.
    holdover: Span,
    cookies: u64,
}

impl Driver {
    /// A clock that starts at this moment of the counter.
    pub fn new(config: EngineConfig, now: LocalTime) -> Self {
        let mut driver = Driver {
            engine: SyncEngine::new(config, now),
            now,
            requests: VecDeque::new(),
            network_up: true,
            config,
            sends: VecDeque::new(),
            last_reading: None,
            last_believed: None,
            longest_interval: config.poll_interval.max(EngineConfig::POLL_INTERVAL_MIN),
            holdover: config.holdover,
            cookies: 0,
        };
        driver.settle(&mut |_, _| {});
        driver
    }

    /// Time passes; `check` sees every reading at its moment.
    pub fn wait(
        &mut self,
        span: Span,
        driving: Driving,
        check: &mut dyn FnMut(LocalTime, &Reading),
    ) {
        let end = self.now + span;
        if driving == Driving::Punctual {
            for _ in 0..CALLBACKS {
                let due = self.engine.poll_timeout();
                if due > end {
                    break;
                }
                self.read_until(due.max(self.now), check);
                self.settle(check);
            }
        }
        self.read_until(end, check);
        self.settle(check);
    }

    /// Reads at moments up to `end`, as programs do while the thread sleeps.
    fn read_until(&mut self, end: LocalTime, check: &mut dyn FnMut(LocalTime, &Reading)) {
        let (begin, whole) = (self.now, (end - self.now).as_nanos());
        for part in [0, whole / 3, whole / 3 * 2, whole] {
            self.now = begin + Span::from_nanos(part);
            self.read(check);
        }
    }

    /// What the thread does when it wakes.
    pub fn settle(&mut self, check: &mut dyn FnMut(LocalTime, &Reading)) {
        self.engine.handle_timeout(self.now);
        self.cookies += 1;
        while let Some(transmit) = self.engine.poll_transmit(self.now, self.cookies) {
            self.cookies += 1;
            if self.network_up {
                self.sent(transmit.token, transmit.cookie);
            } else {
                self.engine.handle_send_failed(transmit.token, self.now);
            }
        }
        while let Some(event) = self.engine.poll_event() {
            if let Event::Failed { .. } = event {
                let reading = self.engine.mapping().and_then(|m| m.read(self.now));
                let held = self.config.holdover > Span::ZERO;
                assert!(held || reading.is_none(), "failed, and yet {reading:?}");
            }
        }
        while self.engine.poll_log().is_some() {}
        let due = self.engine.poll_timeout();
        assert!(due > self.now, "called back at {due:?}, now {:?}", self.now);
        let status = self.engine.status(self.now);
        assert!(status.rate_ppm.is_none_or(f64::is_finite));
        if status.state == SyncState::Failed {
            let reading = self.engine.mapping().and_then(|m| m.read(self.now));
            assert!(reading.is_none(), "failed, and yet {reading:?}");
        }
        self.read(check);
    }

    fn sent(&mut self, token: SendToken, cookie: u64) {
        self.engine.handle_sent(token, self.now);
        self.sends.push_back(self.now);
        if self.sends.len() > BUDGET {
            let before = self.sends.pop_front().unwrap_or(self.now);
            assert!(self.now - before >= BUDGET_WINDOW, "a ninth packet within 8 s");
        }
        self.requests.push_back(Request { cookie, sent_at: self.now });
        if self.requests.len() > REMEMBERED {
            self.requests.pop_front();
        }
    }

    /// A reply was believed just now.
    pub fn believed(&mut self) {
        self.last_believed = Some(self.now);
    }

    /// The poll interval changes.
    pub fn set_poll_interval(&mut self, interval: Span) {
        self.longest_interval = self.longest_interval.max(interval);
        self.engine.set_poll_interval(interval, self.now);
    }

    /// The process forks; from here on we are the child.
    pub fn fork(&mut self, entropy: u64) {
        let Some(mapping) = self.engine.mapping().copied() else { return };
        self.engine = SyncEngine::resume(self.config, mapping, self.now, entropy);
        self.holdover = self.holdover + self.config.holdover;
        self.sends.clear();
        self.requests.clear();
    }

    fn read(&mut self, check: &mut dyn FnMut(LocalTime, &Reading)) {
        let Some(mapping) = self.engine.mapping() else { return };
        for number in &mapping.to_words()[2..=10] {
            assert!(f64::from_bits(*number).is_finite(), "{mapping:?}");
        }
        let Some(reading) = mapping.read(self.now) else { return };
        assert!(reading.max_error() >= Span::ZERO, "{reading:?}");
        assert!(reading.est_error() >= Span::ZERO, "{reading:?}");
        assert!(reading.est_error() <= reading.max_error(), "{reading:?}");
        if let Some(last) = self.last_reading {
            let same = last.epoch() == reading.epoch();
            assert!(!same || reading.time() >= last.time(), "{last:?}, then {reading:?}");
        }
        self.last_reading = Some(reading);
        check(self.now, &reading);
        let age = self.last_believed.map(|believed| self.now - believed);
        let most = self.longest_interval + EXPIRY + self.holdover;
        assert!(age.is_some_and(|age| age <= most), "a reading {age:?} after the last reply");
    }

    /// The mapping of now.
    pub fn mapping(&self) -> Option<Mapping> {
        self.engine.mapping().copied()
    }
}

/// The moment at which drivers start.
pub const BEGIN: LocalTime = LocalTime::from_nanos(1_000_000_000_000);
/// Packets of a server's usual rate limit, in so long.
const BUDGET: usize = 8;
const BUDGET_WINDOW: Span = Span::from_secs(8);
/// A round's end fixes the next poll, 120 s before readings expire; a round lasts some seconds
/// itself, and may wait for the budget.
const EXPIRY: Span = Span::from_secs(120 + 15);
const REMEMBERED: usize = 16;
/// Most callbacks in one wait; what is left of it passes unnoticed.
const CALLBACKS: usize = 64;
