//! What it takes to put 1,000 stamps of 64 clocks in order, beside an algorithm that everybody
//! knows: all shortest paths between as many nodes, by Floyd and Warshall.

use std::collections::BTreeMap;
use std::hint::black_box;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use fastrand::Rng;
use ntp_clock_order::{
    Cause, Closure, Evidence, Fed, Link, LinkBetween, LinkStamps, Links, LocalTime, Oscillator,
    Span, Stamp, UnixTime, Verdict,
};

use crate::readings::Group;

#[derive(clap::Args)]
pub(crate) struct OrderArgs {
    /// Rounds; each gives one sample of everything
    #[arg(long, default_value_t = 21)]
    rounds: usize,
    /// Seed of the clocks and their messages
    #[arg(long, default_value_t = 13)]
    seed: u64,
}

/// Counters that run at rates of their own, and stamps of messages that all of them exchange.
struct World {
    clocks: Vec<Oscillator>,
    stamps: Vec<Stamp>,
    links: Vec<LinkBetween>,
    causes: Vec<Cause>,
}

impl World {
    /// Clocks around one hub, or each linked with each.
    fn new(rng: &mut Rng, mesh: bool) -> Result<Self> {
        let counters: Vec<_> =
            (0..CLOCKS).map(|_| (rng.i64(0..1 << 50), (rng.f64() - 0.5) * 200e-6)).collect();
        let at = |clock: usize, t: i64| {
            let (zero, rate): (i64, f64) = counters[clock];
            LocalTime::from_nanos(zero + t + (t as f64 * rate) as i64)
        };
        let mut links = Vec::new();
        for a in 0..if mesh { CLOCKS } else { 1 } {
            for b in a + 1..CLOCKS {
                let mut link = Link::new(Oscillator::FREE, Oscillator::FREE);
                for second in 0..10 {
                    let sent = second * SECOND + rng.i64(0..SECOND / 10);
                    let way = rng.i64(100_000..400_000);
                    let back = sent + way + rng.i64(1_000..50_000);
                    link.exchange(&LinkStamps {
                        sent_a: at(a, sent),
                        received_b: at(b, sent + way),
                        sent_b: at(b, back),
                        received_a: at(a, back + rng.i64(100_000..400_000)),
                    })?;
                }
                let snapshot = link.snapshot(at(a, 10 * SECOND), Evidence::All);
                let snapshot = snapshot.context("a link that was fed knows nothing")?;
                links.push(LinkBetween { a, b, snapshot });
            }
        }
        let mut stamps = Vec::new();
        let mut causes = Vec::new();
        while stamps.len() < STAMPS {
            let t = 10 * SECOND + rng.i64(0..20 * SECOND);
            let (sender, receiver) = (rng.usize(0..CLOCKS), rng.usize(0..CLOCKS));
            causes.push(Cause { earlier: stamps.len(), later: stamps.len() + 1 });
            for (clock, t) in [(sender, t), (receiver, t + rng.i64(100_000..5_000_000))] {
                let max_error = rng.i64(5_000_000..20_000_000);
                let time = UnixTime::from_nanos(EPOCH + t + rng.i64(-max_error..max_error));
                let utc = Some((time, Span::from_nanos(max_error)));
                stamps.push(Stamp { clock, counter: at(clock, t), utc });
            }
        }
        Ok(World { clocks: vec![Oscillator::FREE; CLOCKS], stamps, links, causes })
    }

    fn closure(&self) -> Result<Closure> {
        Ok(Closure::new(&self.clocks, &self.stamps, &self.links, &self.causes)?)
    }
}

pub(crate) fn run(args: &OrderArgs) -> Result<()> {
    let mut rng = Rng::with_seed(args.seed);
    let (hub, mesh) = (World::new(&mut rng, false)?, World::new(&mut rng, true)?);
    let mut samples: BTreeMap<&'static str, Vec<f64>> = BTreeMap::new();
    for round in 0..args.rounds {
        let mut sample = |what, ns: f64| samples.entry(what).or_default().push(ns);
        sample(REFERENCE, floyd_and_warshall(&mut rng));
        let pair = (rng.usize(0..STAMPS), rng.usize(0..STAMPS));
        for (world, one, all) in [(&hub, HUB_ONE, HUB_ALL), (&mesh, MESH_ONE, MESH_ALL)] {
            let begun = cpu_time();
            let closure = world.closure()?;
            black_box(closure.relation(pair.0, pair.1));
            sample(one, (cpu_time() - begun).as_nanos() as f64);
            ensure!(closure.contradictions().is_empty(), "the world contradicts itself");
            let begun = cpu_time();
            let certain = all_pairs(&world.closure()?);
            sample(all, (cpu_time() - begun).as_nanos() as f64);
            ensure!(round > 0 || certain > STAMPS * STAMPS / 4, "only {certain} pairs are certain");
        }
        sample(MESSAGE, messages(&mut rng)?);
    }
    let group = Group {
        group: "order".to_owned(),
        reference: REFERENCE,
        counter: None,
        samples_ns: samples,
    };
    println!("{}", serde_json::to_string(&group)?);
    Ok(())
}

/// How many pairs of stamps are in a certain order.
fn all_pairs(closure: &Closure) -> usize {
    let pairs = (0..STAMPS).flat_map(|i| (i + 1..STAMPS).map(move |j| (i, j)));
    pairs.filter(|&(i, j)| closure.relation(i, j).verdict != Verdict::CannotTell).count()
}

/// Nanoseconds.
fn floyd_and_warshall(rng: &mut Rng) -> f64 {
    let mut lengths: Vec<Vec<f64>> =
        (0..NODES).map(|_| (0..NODES).map(|_| rng.f64()).collect()).collect();
    let begun = cpu_time();
    for over in 0..NODES {
        let row = lengths[over].clone();
        for from in &mut lengths {
            let there = from[over];
            for (length, further) in from.iter_mut().zip(&row) {
                *length = length.min(there + further);
            }
        }
    }
    black_box(&lengths);
    (cpu_time() - begun).as_nanos() as f64
}

/// Nanoseconds for one message that a table of links is fed.
fn messages(rng: &mut Rng) -> Result<f64> {
    let mut links = Links::new(64);
    let begun = cpu_time();
    let mut kept = 0;
    for message in 0..MESSAGES {
        let sent = message * SECOND / 100;
        let received = LocalTime::from_nanos(sent + EPOCH + rng.i64(100_000..400_000));
        let sent = LocalTime::from_nanos(sent);
        kept += usize::from(links.message("a", "b", sent, received)? == Fed::Kept);
    }
    let took = (cpu_time() - begun).as_nanos() as f64;
    ensure!(kept > 10, "only {kept} messages said something");
    Ok(took / MESSAGES as f64)
}

/// What this thread has computed: others on the machine do not count.
#[cfg(target_os = "linux")]
fn cpu_time() -> Duration {
    use nix::time::{ClockId, clock_gettime};
    clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).map_or(Duration::ZERO, Duration::from)
}

#[cfg(not(target_os = "linux"))]
fn cpu_time() -> Duration {
    use std::sync::OnceLock;
    use std::time::Instant;
    static BEGUN: OnceLock<Instant> = OnceLock::new();
    BEGUN.get_or_init(Instant::now).elapsed()
}

const REFERENCE: &str = "Floyd and Warshall, 65 nodes";
const HUB_ONE: &str = "one pair, clocks around a hub";
const HUB_ALL: &str = "all pairs, clocks around a hub";
const MESH_ONE: &str = "one pair, each clock linked with each";
const MESH_ALL: &str = "all pairs, each clock linked with each";
const MESSAGE: &str = "a message to a link";
const CLOCKS: usize = 64;
const NODES: usize = CLOCKS + 1;
const STAMPS: usize = 1_000;
const MESSAGES: i64 = 10_000;
const SECOND: i64 = 1_000_000_000;
const EPOCH: i64 = 1_759_639_032_768_445_123;
