//! The traces that are judged: a browser, a server and two devices.

use ntp_clock_core::{LocalTime, Span};

use super::synchronised::Synchronised;
use crate::dice::Dice;
use crate::duration::SECOND_NS;
use crate::links::LinkWorld;
use crate::links::feed::{Feed, What, feeds};
use crate::links::life::Machine;
use crate::links::system::{Leg, Node, System, Traffic};
use crate::path::{Direction, Path};
use crate::world::{Family, Setup, families};

families! {
    /// A kind of network between browser, server and devices.
    pub enum Profile {
        /// All in one building: 0.1 ms each way.
        Lan = "lan",
        /// 5 ms to the browser and 1 ms to the devices, each way.
        Internet = "internet",
        /// 15 ms each way, jitter and a heavy tail.
        Mobile = "mobile",
        /// To the server 5 ms, from it 25 ms.
        Asymmetric = "asymmetric",
    }
}

/// Stamps in the order of their names: client_send, server_receive, then for each device
/// server_send, device_receive, device_send, server_receive_response, then server_send_response
/// and client_receive. This says by whom each is.
pub(super) const MACHINE: [usize; 12] = [
    BROWSER, SERVER, SERVER, DEVICE_A, DEVICE_A, SERVER, SERVER, DEVICE_B, DEVICE_B, SERVER,
    SERVER, BROWSER,
];
pub(super) const SERVER: usize = 0;
pub(super) const BROWSER: usize = 1;
pub(super) const DEVICE_A: usize = 2;
pub(super) const DEVICE_B: usize = 3;
pub(super) const MACHINES: usize = 4;

/// The messages: from which stamp to which.
pub(super) const HOPS: [(usize, usize); 6] = [(0, 1), (2, 3), (4, 5), (6, 7), (8, 9), (10, 11)];

/// What each stamp of one trace was, by whatever clock.
#[derive(Clone, Debug)]
pub(super) struct Trace {
    /// True nanoseconds since the world's beginning.
    pub(super) t_ns: Vec<i64>,
    pub(super) counters: Vec<LocalTime>,
    /// This project's time and its bound, Unix nanoseconds.
    pub(super) readings: Vec<(i64, i64)>,
    /// An ordinary NTP client's time.
    pub(super) walls_ns: Vec<i64>,
}

/// The machines and the ways between them.
pub(super) struct Scene {
    pub(super) system: System,
    pub(super) machines: Vec<Machine>,
    setups: Vec<Setup>,
    dice: Dice,
}

impl Scene {
    pub(super) fn draw(profile: Profile, seed: u64, d: &mut Dice) -> Self {
        let setups: Vec<Setup> = (0..MACHINES).map(|_| internet_clock(d)).collect();
        let node = |place: usize| Node {
            oscillator: setups[place].oscillator.clone(),
            // A page cannot know whether its counter is steered.
            steering_ppm: if place == BROWSER { 500.0 } else { 0.0 },
            restarts: Vec::new(),
            lie: None,
        };
        let leg = |a: usize, d: &mut Dice| Leg {
            a,
            b: SERVER,
            path: path(profile, a, d),
            traffic: Traffic {
                exchanges: true,
                to_b_per_hour: 0.0,
                to_a_per_hour: 0.0,
                outbox_share: 0.0,
                outbox_most_ns: 0.0,
            },
        };
        let nodes: Vec<Node> = (0..MACHINES).map(node).collect();
        let machines =
            nodes.iter().zip(&setups).map(|(node, setup)| Machine::new(node, setup.seed)).collect();
        let system = System {
            world: LinkWorld::Lan,
            seed,
            duration_ns: END_NS,
            nodes,
            legs: (BROWSER..MACHINES).map(|entity| leg(entity, d)).collect(),
        };
        Scene { system, machines, setups, dice: Dice::new(seed, "traces") }
    }

    /// Requests at random moments, once the clocks have settled.
    pub(super) fn traces(&mut self) -> Vec<Trace> {
        let mut traces = Vec::new();
        let mut t_ns = BEGIN_NS;
        while t_ns < END_NS - 60 * SECOND_NS {
            t_ns += SECOND_NS + self.dice.exponential(EVERY_NS) as i64;
            if let Some(t_ns) = self.request(t_ns) {
                traces.push(t_ns);
            }
        }
        let mut clocks: Vec<Synchronised> = self.setups.iter().map(Synchronised::new).collect();
        traces.into_iter().filter_map(|t_ns| self.stamped(&mut clocks, t_ns)).collect()
    }

    /// The true moments of one request's stamps.
    fn request(&mut self, sent_ns: i64) -> Option<Vec<i64>> {
        let mut t_ns = vec![0; MACHINE.len()];
        t_ns[0] = sent_ns;
        t_ns[1] = self.arrives(BROWSER, true, t_ns[0])?;
        let mut last = t_ns[1];
        for (device, first) in [(DEVICE_A, 2), (DEVICE_B, 6)] {
            t_ns[first] = t_ns[1] + self.works(1e5);
            t_ns[first + 1] = self.arrives(device, false, t_ns[first])?;
            t_ns[first + 2] = t_ns[first + 1] + self.works(1e6);
            t_ns[first + 3] = self.arrives(device, true, t_ns[first + 2])?;
            last = last.max(t_ns[first + 3]);
        }
        t_ns[10] = last + self.works(1e5);
        t_ns[11] = self.arrives(BROWSER, false, t_ns[10])?;
        Some(t_ns)
    }

    fn works(&mut self, mean_ns: f64) -> i64 {
        1_000 + self.dice.exponential(mean_ns) as i64
    }

    fn arrives(&mut self, entity: usize, to_server: bool, leaves_ns: i64) -> Option<i64> {
        let path = &self.system.legs[entity - 1].path;
        let way = if to_server { &path.forth } else { &path.back };
        let [delay_ns, _] = way.carry(&mut self.dice, leaves_ns);
        Some(leaves_ns + delay_ns?)
    }

    fn stamped(&mut self, clocks: &mut [Synchronised], t_ns: Vec<i64>) -> Option<Trace> {
        let counters: Vec<LocalTime> = MACHINE
            .iter()
            .zip(&t_ns)
            .map(|(machine, t_ns)| self.machines[*machine].exact(0, *t_ns))
            .collect();
        let mut readings = vec![(0, 0); MACHINE.len()];
        let mut walls_ns = vec![0; MACHINE.len()];
        // A clock is asked in the order of its moments.
        let mut order: Vec<usize> = (0..MACHINE.len()).collect();
        order.sort_by_key(|place| t_ns[*place]);
        for place in order {
            let (reading, wall_ns) = clocks[MACHINE[place]].read(counters[place])?;
            (readings[place], walls_ns[place]) = (reading, wall_ns);
        }
        Some(Trace { t_ns, counters, readings, walls_ns })
    }

    /// All evidence of the hour: exchanges, and the messages of the traces.
    pub(super) fn evidence(&mut self, traces: &[Trace]) -> Vec<Feed> {
        let mut all = feeds(&self.system, &mut self.machines);
        for trace in traces {
            for (from, to) in HOPS {
                let (sent, received) = (trace.counters[from], trace.counters[to] + NANOSECOND);
                let to_b = MACHINE[to] == SERVER;
                let leg = if to_b { MACHINE[from] } else { MACHINE[to] } - 1;
                let source = ntp_clock_core::Source::Message;
                let what = if to_b {
                    What::ToB(sent, received, source)
                } else {
                    What::ToA(sent, received, source)
                };
                all.push(Feed { at_ns: trace.t_ns[to], leg, lives: (0, 0), what });
            }
        }
        all.sort_by_key(|feed| feed.at_ns);
        all
    }
}

/// A machine that asks a server some 10 ms away, as time.cloudflare.com mostly is. The ways there
/// and back differ, and nobody knows by how much.
fn internet_clock(d: &mut Dice) -> Setup {
    let mut setup = Setup::draw(Family::Wan, d.bits());
    setup.start = ntp_clock_core::UnixTime::from_nanos(1_796_000_000 * SECOND_NS);
    for direction in [&mut setup.path.forth, &mut setup.path.back] {
        direction.base_ns = 10e6;
        direction.jitter_ns = 3e5;
    }
    let longer = if d.chance(0.5) { &mut setup.path.forth } else { &mut setup.path.back };
    longer.base_ns += d.magnitude(1e5, 5e6);
    setup.server.root_delay = Span::from_millis(10);
    setup.server.root_dispersion = Span::from_millis(1);
    setup.duration_ns = END_NS;
    setup
}

fn path(profile: Profile, entity: usize, d: &mut Dice) -> Path {
    let (there_ns, back_ns, jitter_ns, tail_share) = match (profile, entity) {
        (Profile::Lan, _) => (1e5, 1e5, 2e4, 0.0),
        (Profile::Internet, BROWSER) => (5e6, 5e6, 3e5, 0.01),
        (Profile::Internet, _) => (1e6, 1e6, 1e5, 0.01),
        (Profile::Mobile, _) => (15e6, 15e6, 3e6, 0.1),
        (Profile::Asymmetric, _) => (5e6, 25e6, 3e5, 0.01),
    };
    let direction = |base_ns: f64, d: &mut Dice| Direction {
        base_ns,
        jitter_ns,
        tail_share,
        tail_ns: jitter_ns * 10.0,
        tail_shape: 1.5,
        tail_cap_ns: 2e9,
        key: d.bits(),
        ..Direction::default()
    };
    Path { forth: direction(there_ns, d), back: direction(back_ns, d), outages: Vec::new() }
}

const BEGIN_NS: i64 = 600 * SECOND_NS;
const END_NS: i64 = 3_600 * SECOND_NS;
/// Between two requests, in the mean.
const EVERY_NS: f64 = 15e9;
/// Counters are exact to it.
const NANOSECOND: Span = Span::from_nanos(1);
