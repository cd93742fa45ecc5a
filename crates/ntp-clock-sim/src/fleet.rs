//! Many real engines that ask one server.

use ntp_clock_core::{
    EngineConfig, Leap, LocalTime, ReferenceId, ServerReply, Span, SyncEngine, UnixTime,
};

use crate::dice::{Dice, scramble, unit_at};
use crate::duration::SECOND_NS;
use crate::pool::in_parallel;

/// What a fleet lives through.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct FleetPlan {
    /// How many engines.
    pub clients: u32,
    /// Decides everything.
    pub seed: u64,
    /// Their starts spread over so long, seconds.
    pub start_s: i64,
    /// The server falls silent here ...
    pub outage_s: i64,
    /// ... and answers again here.
    pub back_s: i64,
    /// The end.
    pub end_s: i64,
}

impl FleetPlan {
    /// Starts within 300 s, peace, an outage of 10 minutes after 40, and 50 more minutes.
    #[must_use]
    pub fn of(clients: u32, seed: u64) -> Self {
        FleetPlan { clients, seed, start_s: 300, outage_s: 2_400, back_s: 3_000, end_s: 6_000 }
    }

    /// The stretches that are looked at apart.
    fn windows(&self) -> [(&'static str, i64, i64); 5] {
        // The early rounds are done ten minutes after the last start.
        let settled_s = self.start_s + 600;
        [
            ("start-up", 0, settled_s),
            ("steady", settled_s, self.outage_s),
            ("outage", self.outage_s, self.back_s),
            ("recovery", self.back_s, self.back_s + 900),
            ("steady again", self.back_s + 900, self.end_s),
        ]
    }
}

/// The load on the server in one stretch.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Window {
    /// Its name.
    pub name: &'static str,
    /// Its beginning and end, seconds.
    pub from_s: i64,
    /// Its end.
    pub to_s: i64,
    /// Packets in a second, in the mean.
    pub mean: f64,
    /// Packets in the worst second.
    pub peak: u64,
}

impl Window {
    /// The worst second in terms of the mean one.
    #[must_use]
    pub fn peak_to_mean(&self) -> f64 {
        self.peak as f64 / self.mean
    }
}

/// What became of a fleet.
#[derive(Clone, PartialEq, Debug)]
pub struct FleetReport {
    /// Packets at the server in each second.
    pub load: Vec<u32>,
    /// The stretches.
    pub windows: Vec<Window>,
    /// Clients with a reading at the end.
    pub synchronised: u32,
    /// What one client takes, bytes: the engine and what the simulation adds.
    pub bytes_per_client: usize,
    /// What of it is the engine.
    pub engine_bytes: usize,
}

/// Lets a fleet live. All engines exist at once; their paths are a constant delay each. `progress`
/// is called for each slice of time that a thread has finished.
pub fn fleet(plan: &FleetPlan, progress: impl Fn(i64) + Sync) -> FleetReport {
    // As many shards as threads, so that all live at once; their number changes no result.
    let count = std::thread::available_parallelism().map_or(1, |n| n.get() as u32);
    let part = |i: u32| (u64::from(plan.clients) * u64::from(i) / u64::from(count)) as u32;
    let shards: Vec<(u32, u32)> =
        (0..count).map(|i| (part(i), part(i + 1))).filter(|(from, to)| from < to).collect();
    let results = in_parallel(&shards, |(from, to)| Shard::new(plan, *from, *to).live(&progress));
    let mut load = vec![0_u32; plan.end_s as usize];
    let mut synchronised = 0;
    for (shard_load, shard_synchronised) in results {
        for (mine, theirs) in load.iter_mut().zip(shard_load) {
            *mine += theirs;
        }
        synchronised += shard_synchronised;
    }
    let windows = plan.windows().map(|(name, from_s, to_s)| {
        let seconds = &load[from_s as usize..to_s as usize];
        let total: u64 = seconds.iter().map(|n| u64::from(*n)).sum();
        Window {
            name,
            from_s,
            to_s,
            mean: total as f64 / seconds.len() as f64,
            peak: seconds.iter().copied().max().map_or(0, u64::from),
        }
    });
    FleetReport {
        load,
        windows: windows.to_vec(),
        synchronised,
        bytes_per_client: size_of::<Client>() + size_of::<i64>(),
        engine_bytes: size_of::<SyncEngine>(),
    }
}

/// Clients that one thread takes care of. Time goes in slices, within which each client lives on
/// its own: what they share, the server, answers each alike.
struct Shard<'a> {
    plan: &'a FleetPlan,
    clients: Vec<Client>,
    /// When each wants to be looked at next, apart so that a slice only walks through this.
    due_ns: Vec<i64>,
    load: Vec<u32>,
}

#[derive(Clone, Debug)]
struct Client {
    engine: SyncEngine,
    dice: Dice,
    /// Of its counter.
    rate: f64,
    one_way_ns: i64,
    /// Replies on their way: at most a burst of them.
    flights: Vec<(i64, u64)>,
}

impl<'a> Shard<'a> {
    fn new(plan: &'a FleetPlan, from: u32, to: u32) -> Self {
        let start = |id: u32| {
            let share = unit_at(plan.seed, i64::from(id));
            (share * (plan.start_s * SECOND_NS) as f64) as i64
        };
        Shard {
            plan,
            clients: (from..to).map(|id| Client::new(plan.seed, id, start(id))).collect(),
            due_ns: (from..to).map(start).collect(),
            load: vec![0; plan.end_s as usize],
        }
    }

    fn live(mut self, progress: &(impl Fn(i64) + Sync)) -> (Vec<u32>, u32) {
        let mut until_s = 0;
        while until_s < self.plan.end_s {
            until_s = (until_s + SLICE_S).min(self.plan.end_s);
            let until_ns = until_s * SECOND_NS;
            for (client, due_ns) in self.clients.iter_mut().zip(&mut self.due_ns) {
                while *due_ns < until_ns {
                    *due_ns = client.live_at(*due_ns, self.plan, &mut self.load);
                }
            }
            progress(until_s);
        }
        let end_ns = self.plan.end_s * SECOND_NS;
        let synchronised = self.clients.iter().filter(|client| client.is_synchronised(end_ns));
        let synchronised = synchronised.count() as u32;
        (self.load, synchronised)
    }
}

impl Client {
    fn new(seed: u64, id: u32, start_ns: i64) -> Self {
        let mut dice = Dice::new(scramble(seed) ^ u64::from(id), "fleet");
        let rate = 1.0 + 25e-6 * dice.normal();
        let one_way_ns = dice.magnitude(1e6, 1e8) as i64;
        let local = LocalTime::from_nanos((start_ns as f64 * rate) as i64);
        Client {
            engine: SyncEngine::new(EngineConfig::default(), local),
            dice,
            rate,
            one_way_ns,
            flights: Vec::new(),
        }
    }

    fn local(&self, t_ns: i64) -> LocalTime {
        LocalTime::from_nanos((t_ns as f64 * self.rate) as i64)
    }

    fn is_synchronised(&self, t_ns: i64) -> bool {
        self.engine.mapping().and_then(|mapping| mapping.read(self.local(t_ns))).is_some()
    }

    /// Does what is due and gives when more is.
    fn live_at(&mut self, t_ns: i64, plan: &FleetPlan, load: &mut [u32]) -> i64 {
        let now = self.local(t_ns);
        if let Some(place) = self.flights.iter().position(|(arrival, _)| *arrival <= t_ns) {
            let (arrival_ns, cookie) = self.flights.swap_remove(place);
            let reply = server_reply(arrival_ns - self.one_way_ns);
            // A late one is no business of ours.
            let _ = self.engine.handle_response(cookie, reply, self.local(arrival_ns), now);
        } else {
            self.engine.handle_timeout(now);
        }
        while let Some(transmit) = {
            let entropy = self.dice.bits();
            self.engine.poll_transmit(now, entropy)
        } {
            let cookie = transmit.cookie;
            self.engine.handle_sent(transmit.token, now);
            let at_server_ns = t_ns + self.one_way_ns;
            if let Some(second) = load.get_mut((at_server_ns / SECOND_NS) as usize) {
                *second += 1;
            }
            let silent = plan.outage_s * SECOND_NS..plan.back_s * SECOND_NS;
            if !silent.contains(&at_server_ns) {
                self.flights.push((at_server_ns + self.one_way_ns, cookie));
            }
        }
        while self.engine.poll_event().is_some() {}
        while self.engine.poll_log().is_some() {}
        let wanted = self.engine.poll_timeout().as_nanos();
        // Rounded up: a little late is what a thread is, a little early would be in vain.
        let wake_ns = (wanted as f64 / self.rate) as i64 + WAKE_LATE_NS;
        let arrival_ns = self.flights.iter().map(|(arrival, _)| *arrival).min();
        wake_ns.min(arrival_ns.unwrap_or(i64::MAX)).max(t_ns)
    }
}

fn server_reply(t_ns: i64) -> ServerReply {
    let time = UnixTime::from_nanos(1_759_639_032_000_000_000 + t_ns);
    ServerReply {
        receive_time: time,
        transmit_time: time,
        root_delay: Span::from_micros(500),
        root_dispersion: Span::from_micros(100),
        precision_log2_s: -25,
        leap: Leap::None,
        stratum: 1,
        reference_id: ReferenceId::from_bytes(*b"GPS\0"),
    }
}

const SLICE_S: i64 = 10;
const WAKE_LATE_NS: i64 = 50_000;
