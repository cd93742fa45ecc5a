//! A small world in which the truth is known: an oscillator, a path, a server, and one engine
//! driven only through its public inputs and outputs. Deterministic from one seed.

mod dice;
mod oracle;
mod oscillator;
mod server;

pub(crate) use dice::Dice;
pub(crate) use oracle::Oracle;
pub(crate) use oscillator::Oscillator;
pub(crate) use server::{Answer, Delay, Link, Server, changed};

use ntp_clock_core::{
    EngineConfig, EngineStatus, Event, LocalTime, Reading, Rejection, Replay, Span, SyncEngine,
    UnixTime,
};

/// 2025-10-05T04:37:12Z.
pub(crate) const SOME_DAY: UnixTime = UnixTime::from_nanos(1_759_639_032_000_000_000);

/// A request as it left.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sent {
    pub(crate) at: LocalTime,
    pub(crate) round: u64,
}

pub(crate) struct World {
    pub(crate) engine: SyncEngine,
    pub(crate) oscillator: Oscillator,
    pub(crate) link: Link,
    pub(crate) server: Server,
    pub(crate) oracle: Oracle,
    pub(crate) events: Vec<(LocalTime, Event)>,
    /// Lives off the engine's log.
    pub(crate) replay: Replay,
    pub(crate) sent: Vec<Sent>,
    /// True time at the world's beginning.
    pub(crate) start: UnixTime,
    /// When truth takes a step, and by how much: a leap second.
    pub(crate) leap: Option<(UnixTime, Span)>,
    pub(crate) dice: Dice,
    config: EngineConfig,
    t_ns: i64,
    flights: Vec<(i64, Vec<u8>)>,
    stalled: u32,
}

impl World {
    pub(crate) fn new() -> Self {
        World::with(EngineConfig::default(), Oscillator::default())
    }

    /// The seed is printed (shown when a test fails) and can be set by `WORLD_SEED`.
    pub(crate) fn with(config: EngineConfig, oscillator: Oscillator) -> Self {
        let seed = std::env::var("WORLD_SEED").ok().and_then(|text| text.parse().ok());
        World::seeded(config, oscillator, seed.unwrap_or(20_251_005))
    }

    pub(crate) fn seeded(config: EngineConfig, oscillator: Oscillator, seed: u64) -> Self {
        println!("WORLD_SEED={seed}");
        World {
            engine: SyncEngine::new(config, oscillator.local(0)),
            oscillator,
            link: Link::default(),
            server: Server::default(),
            oracle: Oracle::new(config.poll_interval),
            events: Vec::new(),
            replay: Replay::new(config.counter_resolution),
            sent: Vec::new(),
            start: SOME_DAY,
            leap: None,
            dice: Dice::new(seed),
            config,
            t_ns: 0,
            flights: Vec::new(),
            stalled: 0,
        }
    }

    pub(crate) fn now(&self) -> LocalTime {
        self.oscillator.local(self.t_ns)
    }

    pub(crate) fn elapsed(&self) -> Span {
        Span::from_nanos(self.t_ns)
    }

    pub(crate) fn truth(&self) -> UnixTime {
        self.truth_at(self.t_ns)
    }

    fn truth_at(&self, t_ns: i64) -> UnixTime {
        stepped(self.start + Span::from_nanos(t_ns), self.leap)
    }

    pub(crate) fn reading(&self) -> Option<Reading> {
        self.engine.mapping()?.read(self.now())
    }

    /// Reading less truth; the clock must be synchronised.
    pub(crate) fn error(&self) -> Span {
        self.reading().expect("synchronised").time() - self.truth()
    }

    pub(crate) fn status(&self) -> EngineStatus {
        self.engine.status(self.now())
    }

    pub(crate) fn rejected(&self, name: &str) -> u64 {
        let index = Rejection::NAMES.iter().position(|n| *n == name).expect("a known name");
        self.status().rejections[index]
    }

    pub(crate) fn happened(&self, wanted: impl Fn(&Event) -> bool) -> usize {
        self.events.iter().filter(|(_, event)| wanted(event)).count()
    }

    /// Whether the round under way has sent this many requests, none of them answered by now.
    pub(crate) fn in_round_with(&self, requests: usize) -> bool {
        let sent = self.sent.iter().rev().take_while(|s| s.round == self.engine.round_number());
        self.engine.in_round() && sent.count() == requests
    }

    /// Requests of each round, in order.
    pub(crate) fn round_sizes(&self) -> Vec<usize> {
        self.sent.chunk_by(|a, b| a.round == b.round).map(<[Sent]>::len).collect()
    }

    /// When each round sent its first request.
    pub(crate) fn round_starts(&self) -> Vec<LocalTime> {
        self.sent.chunk_by(|a, b| a.round == b.round).map(|round| round[0].at).collect()
    }

    pub(crate) fn run(&mut self, span: Span) {
        let end = self.t_ns + span.as_nanos();
        while self.step(end) {}
    }

    /// Runs until the condition holds; fails where it does not within `most`.
    pub(crate) fn run_until(&mut self, most: Span, condition: impl Fn(&World) -> bool) {
        let end = self.t_ns + most.as_nanos();
        while !condition(self) {
            assert!(self.step(end), "did not happen within {most:?}");
        }
    }

    /// To the next thing that happens, or to the end; false there.
    fn step(&mut self, end: i64) -> bool {
        // A thread wakes a little late.
        let wake = self.oscillator.when(self.engine.poll_timeout()).saturating_add(
            if self.dice.one_in_thousand(500) { self.dice.up_to(60_000) } else { 0 },
        );
        let arrival = self.flights.iter().map(|(at, _)| *at).min().unwrap_or(i64::MAX);
        let next = wake.min(arrival).min(end).max(self.t_ns);
        self.stalled = if next == self.t_ns { self.stalled + 1 } else { 0 };
        assert!(self.stalled < 50, "the engine keeps its driver busy without any time passing");
        self.watch(next);
        if next >= end && wake > next && arrival > next {
            return false;
        }
        // Handling one datagram takes its time, in which another may have come.
        if arrival <= next {
            self.deliver();
        } else if wake <= next {
            self.wake();
        }
        true
    }

    /// Reads the clock now and then on the way to `next`.
    fn watch(&mut self, next: i64) {
        let span = next - self.t_ns;
        let mut moments = [0, self.dice.up_to(span), self.dice.up_to(span), self.dice.up_to(span)];
        moments.sort_unstable();
        for moment in moments.into_iter().chain([span]) {
            let t = next - span + moment;
            self.t_ns = t;
            self.oracle.read(&self.engine, self.oscillator.local(t), self.truth_at(t));
        }
    }

    pub(crate) fn wake(&mut self) {
        let now = self.now();
        self.engine.handle_timeout(now);
        self.drain();
        let timeout = self.engine.poll_timeout();
        assert!(timeout > now, "to be called again at {timeout:?}, which is not after {now:?}");
    }

    fn deliver(&mut self) {
        let due = self.t_ns;
        while let Some(index) = self.flights.iter().position(|(at, _)| *at <= due) {
            let (_, bytes) = self.flights.remove(index);
            let t4 = self.now();
            // The driver gets to it a little later than the kernel.
            self.t_ns += self.dice.up_to(20_000);
            let now = self.now();
            let _ = self.engine.handle_datagram(&bytes, t4, now);
            self.drain();
        }
    }

    /// A datagram from nowhere.
    pub(crate) fn inject(&mut self, bytes: &[u8]) -> Result<(), Rejection> {
        let now = self.now();
        let result = self.engine.handle_datagram(bytes, now, now).map(|_| ());
        self.drain();
        result
    }

    pub(crate) fn request_sync(&mut self) -> Result<(), ntp_clock_core::Held> {
        let result = self.engine.request_sync(self.now());
        self.drain();
        result
    }

    pub(crate) fn set_poll_interval(&mut self, interval: Span) {
        self.engine.set_poll_interval(interval, self.now());
        self.oracle.forget_expiry();
        self.oracle.interval = interval;
        self.drain();
    }

    /// The counter stands still while the world goes on, then the driver notices.
    pub(crate) fn suspend(&mut self, span: Span) {
        self.t_ns += span.as_nanos();
        self.oscillator.lost_ns += span.as_nanos();
        self.flights.retain(|(at, _)| *at > self.t_ns);
        let now = self.now();
        self.engine.handle_suspend(now);
        self.drain();
    }

    /// The thread does not run at all, readers do.
    pub(crate) fn stall(&mut self, span: Span) {
        let end = self.t_ns + span.as_nanos();
        while self.t_ns < end {
            let next = (self.t_ns + span.as_nanos() / 50).min(end);
            self.watch(next);
        }
        self.flights.clear();
    }

    /// The counter's rate changes, the counter goes on from where it is.
    pub(crate) fn change_rate(&mut self, ppm: f64) {
        let before = self.now();
        self.oscillator.ppm = ppm;
        self.oscillator.origin_ns += (before - self.now()).as_nanos();
    }

    /// The engine gives way to a forked child's.
    pub(crate) fn fork(&mut self) {
        let entropy = self.dice.bits();
        let legacy = self.engine.legacy();
        self.engine = SyncEngine::resume(self.config, legacy, self.now(), entropy);
        self.flights.clear();
        self.oracle.forked();
        self.drain();
    }

    fn take_events(&mut self) {
        let now = self.now();
        while let Some(event) = self.engine.poll_event() {
            self.oracle.event(&event, &self.engine, now);
            self.events.push((now, event));
        }
        while let Some(entry) = self.engine.poll_log() {
            self.replay.entry(&entry);
        }
    }

    fn drain(&mut self) {
        self.take_events();
        loop {
            let now = self.now();
            let entropy = self.dice.bits();
            let Some(transmit) = self.engine.poll_transmit(now, entropy) else { break };
            self.oracle.sent(now, &self.engine);
            let request = transmit.ntp_request();
            if self.link.unplugged {
                self.engine.handle_send_failed(transmit.token, now);
                continue;
            }
            self.sent.push(Sent { at: now, round: self.engine.round_number() });
            self.engine.handle_sent(transmit.token, now);
            let departure = self.t_ns + self.dice.up_to(5_000);
            let (start, leap) = (self.start, self.leap);
            let truth = |t| stepped(start + Span::from_nanos(t), leap);
            let path = (&self.link, &mut self.server);
            let arrivals = server::exchange(path, &mut self.dice, &request, departure, truth);
            self.flights.extend(arrivals);
        }
        self.take_events();
        let now = self.now();
        self.oracle.settled(&self.engine, now);
        self.oracle.read(&self.engine, now, self.truth());
    }
}

fn stepped(time: UnixTime, leap: Option<(UnixTime, Span)>) -> UnixTime {
    match leap {
        Some((at, step)) if time >= at => time + step,
        _ => time,
    }
}
