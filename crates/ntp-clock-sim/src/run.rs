//! One engine's life in one world.

use ntp_clock_core::{
    Authentication, EngineConfig, Event, LocalTime, Mapping, Span, SyncEngine, Transmit,
};

use crate::attack::Attack;
use crate::candidate::Candidate;
use crate::compare::Contest;
use crate::counter::{Counter, Freeze, Sleep};
use crate::dice::Dice;
use crate::duration::SECOND_NS;
use crate::nts::Nts;
use crate::oracle::{Oracle, Promise};
use crate::outcome::{Options, Outcome, Record, TracePoint};
use crate::statistics::{Statistics, WARM_NS};
use crate::world::Setup;

/// Lives through a world. Candidates receive what the engine logs and are read when it is read.
pub fn run(setup: &Setup, candidates: &mut [Box<dyn Candidate>], options: Options) -> Outcome {
    let mut life = Life::new(setup, candidates, options);
    while life.step() {}
    life.finish()
}

struct Life<'a> {
    setup: &'a Setup,
    options: Options,
    counter: Counter,
    engine: SyncEngine,
    oracle: Oracle<'a>,
    candidates: &'a mut [Box<dyn Candidate>],
    contests: Vec<Contest>,
    statistics: Statistics,
    trace: Vec<TracePoint>,
    record: Vec<Record>,
    /// Chances of the path, of the machine, of the engine's entropy and of readers.
    path_dice: Dice,
    host_dice: Dice,
    entropy: Dice,
    reader_dice: Dice,
    glance_dice: Dice,
    t_ns: i64,
    wake_ns: i64,
    read_ns: i64,
    /// The oracle alone reads then, soon after something was published.
    glance_ns: i64,
    flights: Vec<Flight>,
    attack: Attack<'a>,
    /// Where proof is required.
    nts: Option<Nts>,
    /// When the server saw the last request.
    last_request_ns: Option<i64>,
    next_sleep: usize,
    next_freeze: usize,
    rounds: u32,
    read_before: bool,
    stalled: u32,
}

/// A reply on its way.
#[derive(Debug)]
struct Flight {
    arrival_ns: i64,
    /// When the driver gets to it.
    handled_ns: i64,
    t4_ns: i64,
    datagram: Vec<u8>,
}

impl<'a> Life<'a> {
    fn new(setup: &'a Setup, candidates: &'a mut [Box<dyn Candidate>], options: Options) -> Self {
        let mut counter = Counter::new(&setup.oscillator, setup.seed);
        let config = EngineConfig {
            poll_interval: setup.poll_interval,
            holdover: setup.holdover,
            counter_steering_ppm: setup.steering_ppm,
            counter_resolution: Span::from_nanos(setup.oscillator.resolution_ns),
            ..EngineConfig::default()
        };
        let engine = SyncEngine::new(config, counter.local(0));
        let engine = engine.with_authentication(setup.authentication);
        let nts = (setup.authentication == Authentication::Required).then(|| Nts::new(setup.seed));
        let contests = candidates.iter().map(|c| Contest::new(c.name())).collect();
        Life {
            setup,
            options,
            counter,
            engine,
            oracle: Oracle::new(setup),
            candidates,
            contests,
            statistics: Statistics::default(),
            trace: Vec::new(),
            record: Vec::new(),
            path_dice: Dice::new(setup.seed, "path"),
            host_dice: Dice::new(setup.seed, "host"),
            entropy: Dice::new(setup.seed, "entropy"),
            reader_dice: Dice::new(setup.seed, "readers"),
            glance_dice: Dice::new(setup.seed, "glances"),
            t_ns: 0,
            wake_ns: 0,
            read_ns: 0,
            glance_ns: i64::MAX,
            flights: Vec::new(),
            attack: Attack::new(setup.attacker.as_ref(), setup.seed),
            nts,
            last_request_ns: None,
            next_sleep: 0,
            next_freeze: 0,
            rounds: 0,
            read_before: false,
            stalled: 0,
        }
    }

    /// To the next thing that happens; false at the end of the world.
    fn step(&mut self) -> bool {
        let arrival_ns = self.flights.iter().map(|f| f.handled_ns).min().unwrap_or(i64::MAX);
        let reading_ns = self.read_ns.min(self.glance_ns);
        let next_ns = self.wake_ns.min(arrival_ns).min(reading_ns).max(self.t_ns);
        if next_ns >= self.setup.duration_ns {
            return false;
        }
        if let Some(sleep) = self.setup.oscillator.sleeps.get(self.next_sleep)
            && next_ns >= sleep.from_ns
        {
            self.next_sleep += 1;
            self.resume(sleep.from_ns, sleep.to_ns);
            return true;
        }
        if let Some(freeze) = self.setup.oscillator.freezes.get(self.next_freeze)
            && next_ns >= freeze.from_ns
        {
            self.next_freeze += 1;
            self.thaw(freeze);
            return true;
        }
        self.stalled = if next_ns == self.t_ns { self.stalled + 1 } else { 0 };
        if self.stalled > STALLED_MOST {
            let detail = "the driver is kept busy without any time passing".to_owned();
            self.oracle.broke(Promise::Idle, self.t_ns, None, detail);
            return false;
        }
        self.t_ns = next_ns;
        if next_ns == self.glance_ns {
            self.glance_ns = i64::MAX;
            self.watch();
        } else if next_ns == self.read_ns {
            self.read();
        } else if next_ns == arrival_ns {
            self.deliver();
        } else {
            self.input(|engine, _, now| engine.handle_timeout(now));
        }
        true
    }

    fn finish(mut self) -> Outcome {
        let lived_ns = self.setup.duration_ns;
        let packets = self.engine.status(self.counter.local(self.t_ns)).requests;
        self.statistics.close(self.setup.seed, lived_ns, packets);
        for contest in &mut self.contests {
            contest.statistics.close(self.setup.seed, lived_ns, packets);
        }
        let (violations, broken, checks) = self.oracle.finish(&mut self.statistics);
        Outcome {
            statistics: self.statistics,
            contests: self.contests,
            violations,
            broken,
            checks,
            trace: self.trace,
            record: self.record,
        }
    }

    /// Somebody reads the clock.
    fn read(&mut self) {
        let gap_s = self.reader_dice.magnitude(READ_GAP_S.0, READ_GAP_S.1);
        self.read_ns = self.t_ns + (gap_s * SECOND_NS as f64) as i64;
        let local = self.counter.local(self.t_ns);
        let truth = self.setup.truth(self.t_ns);
        self.oracle.read(self.engine.mapping(), local, self.t_ns);
        self.look_back();
        let reading = self.engine.mapping().and_then(|mapping| mapping.read(local));
        let measured = self.setup.is_measured(self.t_ns);
        let warm = self.t_ns >= WARM_NS && measured && !self.oracle.is_blind();
        let checked = self.setup.is_checked(self.t_ns) && !self.oracle.is_blind();
        let errors = reading.map(|r| (r.time() - truth, r.max_error(), r.est_error()));
        match errors {
            Some(errors) => {
                self.statistics.read(errors, warm, checked);
                let anchor = self.engine.mapping().map_or(local, Mapping::anchor);
                if warm {
                    self.statistics.aged(local - anchor, errors.0, errors.1, errors.2);
                }
            }
            None => self.statistics.unreadable += 1,
        }
        if self.options.trace {
            self.trace.push(TracePoint { t_ns: self.t_ns, error: errors });
        }
        if self.options.record {
            self.record.push(Record::Read { at: local, reading, truth });
        }
        // Candidates that do not know when to stop would be measured in times that the engine
        // says nothing about.
        if reading.is_none() {
            return;
        }
        for (candidate, contest) in self.candidates.iter_mut().zip(&mut self.contests) {
            // Only this project's engine widens its bound where a leap second is announced.
            contest.read(candidate.read(local), truth, warm, measured);
        }
    }

    /// The oracle asks for a moment that is over, unless the server lies or the counter stood then.
    fn look_back(&mut self) {
        let furthest_ns = (self.t_ns as f64).max(2e6);
        let back_ns = self.t_ns - self.glance_dice.magnitude(1e6, furthest_ns) as i64;
        let slept = |s: &Sleep| s.from_ns <= back_ns && back_ns <= s.to_ns;
        let frozen = |f: &Freeze| f.from_ns <= back_ns && back_ns <= f.to_ns;
        if back_ns < 0
            || !self.setup.is_checked(self.t_ns)
            || self.oracle.is_blind()
            || self.setup.oscillator.sleeps.iter().any(slept)
            || self.setup.oscillator.freezes.iter().any(frozen)
        {
            return;
        }
        let local = self.counter.local(back_ns);
        let Some(mapping) = self.engine.mapping() else { return };
        if let Some(reading) = self.oracle.look_back(mapping, local, back_ns) {
            let error = reading.time() - self.setup.truth(back_ns);
            let age = local - mapping.anchor();
            self.statistics.aged(age, error, reading.max_error(), reading.est_error());
        }
    }

    /// The oracle reads at this very moment.
    fn watch(&mut self) {
        let local = self.counter.local(self.t_ns);
        self.oracle.read(self.engine.mapping(), local, self.t_ns);
    }

    /// One input, then drain.
    fn input(&mut self, input: impl FnOnce(&mut SyncEngine, Option<&mut Nts>, LocalTime)) {
        self.watch();
        let now = self.counter.local(self.t_ns);
        input(&mut self.engine, self.nts.as_mut(), now);
        self.drain();
        self.watch();
        self.glance_ns = self.t_ns + self.glance_gap_ns();
    }

    fn deliver(&mut self) {
        let due = self.t_ns;
        let Some(index) = self.flights.iter().position(|flight| flight.handled_ns <= due) else {
            return;
        };
        let flight = self.flights.swap_remove(index);
        let t4 = self.counter.local(flight.t4_ns);
        self.input(|engine, nts, now| {
            // Every rejection is an event of its own.
            let Some(nts) = nts else {
                let _ = engine.handle_datagram(&flight.datagram, t4, now);
                return;
            };
            match nts.open(&flight.datagram) {
                Ok(reply) => drop(engine.handle_authenticated(reply, t4, now)),
                Err(rejection) => drop(engine.handle_unproved(rejection, now)),
            }
        });
        let known = self.engine.mapping().and_then(|m| m.read(self.counter.local(due)));
        if let Some(reading) = known
            && !self.read_before
        {
            self.read_before = true;
            let error = reading.time() - self.setup.truth(due);
            self.statistics.first.add(error.as_nanos() as f64);
        }
        self.after_second_round();
    }

    fn after_second_round(&mut self) {
        if self.rounds != 2 || self.statistics.second_round.count() > 0 {
            return;
        }
        let local = self.counter.local(self.t_ns);
        let truth = self.setup.truth(self.t_ns);
        if let Some(reading) = self.engine.mapping().and_then(|m| m.read(local)) {
            self.statistics.second_round.add((reading.time() - truth).as_nanos() as f64);
        }
        for (candidate, contest) in self.candidates.iter_mut().zip(&mut self.contests) {
            if let Some(answer) = candidate.read(local) {
                let error = (answer.time - truth).as_nanos() as f64;
                contest.statistics.second_round.add(error);
            }
        }
    }

    /// The machine wakes up; whatever was on its way is lost.
    fn resume(&mut self, from_ns: i64, to_ns: i64) {
        self.t_ns = from_ns.max(self.t_ns);
        self.watch();
        self.t_ns = to_ns.max(self.t_ns);
        self.flights.retain(|flight| flight.arrival_ns > to_ns);
        for flight in &mut self.flights {
            flight.handled_ns = flight.handled_ns.max(to_ns);
        }
        self.read_ns = self.read_ns.max(self.t_ns + 1);
        self.glance_ns = self.glance_ns.max(self.t_ns + 1);
        let now = self.counter.local(self.t_ns);
        self.engine.handle_suspend(now);
        self.drain();
        self.watch();
    }

    /// The machine goes on where it was stopped. What came meanwhile has waited.
    fn thaw(&mut self, freeze: &Freeze) {
        self.t_ns = freeze.from_ns.max(self.t_ns);
        self.watch();
        self.t_ns = freeze.to_ns.max(self.t_ns);
        for flight in &mut self.flights {
            flight.handled_ns = flight.handled_ns.max(self.t_ns);
            flight.t4_ns = flight.t4_ns.max(self.t_ns);
        }
        self.read_ns = self.read_ns.max(self.t_ns + 1);
        self.glance_ns = self.glance_ns.max(self.t_ns + 1);
        if !freeze.noticed {
            self.oracle.went_blind(self.t_ns);
            return;
        }
        let now = self.counter.local(self.t_ns);
        self.engine.handle_counter_changed(now);
        self.drain();
        self.watch();
    }

    fn drain(&mut self) {
        self.take();
        loop {
            let now = self.counter.local(self.t_ns);
            let entropy = self.entropy.bits();
            let Some(transmit) = self.engine.poll_transmit(now, entropy) else { break };
            self.send(transmit, now);
        }
        self.take();
        let due_ns = self.counter.when(self.engine.poll_timeout()).max(self.t_ns);
        self.wake_ns = self.runs_at(due_ns);
    }

    /// From a nanosecond to some seconds, each order of magnitude alike.
    fn glance_gap_ns(&mut self) -> i64 {
        self.glance_dice.magnitude(1.0, 5e9) as i64
    }

    /// When a thread that is due runs.
    fn runs_at(&mut self, due_ns: i64) -> i64 {
        let late = self.host_dice.exponential(self.setup.host.wake_ns) as i64;
        let at_ns = due_ns.saturating_add(late);
        let pause = self.setup.host.pauses.iter().find(|pause| pause.contains(at_ns));
        pause.map_or(at_ns, |pause| pause.to_ns)
    }

    fn send(&mut self, transmit: Transmit, now: LocalTime) {
        let outage = self.setup.path.outage(self.t_ns);
        if outage.is_some_and(|outage| outage.size > 0.0) {
            self.engine.handle_send_failed(transmit.token, now);
            return;
        }
        let request = match &mut self.nts {
            None => Some(transmit.ntp_request().to_vec()),
            Some(nts) => nts.request(transmit.cookie, self.engine.round_number(), now),
        };
        let Some(request) = request else {
            self.engine.handle_send_failed(transmit.token, now);
            return;
        };
        self.oracle.sent(now, self.t_ns);
        self.engine.handle_sent(transmit.token, now);
        for (arrival_ns, datagram) in self.attack.on_request(self.t_ns, self.setup.truth(self.t_ns))
        {
            self.receive(arrival_ns, datagram);
        }
        if outage.is_some() {
            return;
        }
        let leaves_ns = self.t_ns + self.stamp_delay();
        let (path, server) = (&self.setup.path, &self.setup.server);
        for forth in path.forth.carry(&mut self.path_dice, leaves_ns).into_iter().flatten() {
            let received_ns = leaves_ns + forth;
            let sent_ns = received_ns + server.hold_ns;
            let truth = |ns| (ns, self.setup.truth(ns));
            let kiss = server.kiss(received_ns, self.last_request_ns);
            self.last_request_ns = Some(received_ns);
            let reply = server.reply(transmit.cookie, kiss, truth(received_ns), truth(sent_ns));
            let datagram = match &mut self.nts {
                None => reply.encode().to_vec(),
                Some(nts) => nts.seal(&request, &reply),
            };
            for back in path.back.carry(&mut self.path_dice, sent_ns).into_iter().flatten() {
                let arrivals = self.attack.on_reply(sent_ns + back, datagram.clone());
                for (arrival_ns, datagram) in arrivals {
                    self.receive(arrival_ns, datagram);
                }
            }
        }
    }

    /// A datagram arrives, now or later.
    fn receive(&mut self, arrival_ns: i64, datagram: Vec<u8>) {
        let arrival_ns = arrival_ns.max(self.t_ns);
        let handled_ns = self.runs_at(arrival_ns);
        let t4_ns = if self.setup.host.kernel_stamps { arrival_ns } else { handled_ns };
        let t4_ns = (t4_ns + self.stamp_delay()).min(handled_ns.max(arrival_ns));
        if self.setup.path.outage(arrival_ns).is_none() {
            self.flights.push(Flight { arrival_ns, handled_ns, t4_ns, datagram });
        }
    }

    fn stamp_delay(&mut self) -> i64 {
        self.host_dice.exponential(self.setup.host.stamp_ns) as i64
    }

    fn take(&mut self) {
        while let Some(event) = self.engine.poll_event() {
            self.oracle.event(&event, self.t_ns);
            if matches!(event, Event::Synchronised { .. }) {
                self.rounds += 1;
            }
        }
        while let Some(entry) = self.engine.poll_log() {
            for candidate in self.candidates.iter_mut() {
                candidate.entry(&entry);
            }
            if self.options.record {
                self.record.push(Record::Entry(entry));
            }
        }
    }
}

/// Shortest and longest pause between two readings, seconds; some 11 s in the mean.
const READ_GAP_S: (f64, f64) = (0.2, 60.0);
/// A burst's requests and replies may coincide, on a coarse counter above all.
const STALLED_MOST: u32 = 100;
