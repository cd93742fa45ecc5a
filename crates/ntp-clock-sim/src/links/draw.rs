//! What each world of several clocks draws.

mod paths;

use paths::{
    Draw, any_path, asymmetric, cornered_lans, lan, mobile, one_way, paths, route_changes,
    shifting, wifi,
};

use super::system::{Leg, Lie, Node, System, Traffic};
use super::{LinkWorld, oscillators};
use crate::counter::{Oscillator, Part, Sleep};
use crate::dice::Dice;
use crate::duration::{DAY_S, seconds};
use crate::path::Episode;
use crate::world::Family;

/// Draws one system.
pub(super) fn draw(world: LinkWorld, seed: u64) -> System {
    let mut dice = Dice::new(seed, world.name());
    let d = &mut dice;
    let mut s = ordinary(world, seed, d);
    match world {
        LinkWorld::Lan => paths(&mut s, d, lan),
        LinkWorld::Wifi => paths(&mut s, d, wifi),
        LinkWorld::Mobile => paths(&mut s, d, mobile),
        LinkWorld::Asymmetric => paths(&mut s, d, asymmetric),
        LinkWorld::OneWay => one_way(&mut s, d),
        LinkWorld::Rare => rare(&mut s, d),
        LinkWorld::Shifting => paths(&mut s, d, shifting),
        LinkWorld::RouteChange => paths(&mut s, d, route_changes),
        LinkWorld::Thermal => oscillate(&mut s, d, oscillators::restless),
        LinkWorld::Opposed => opposed(&mut s, d),
        LinkWorld::Crystal => oscillate(&mut s, d, crystal),
        LinkWorld::Coarse => coarse(&mut s, d),
        LinkWorld::Steered => steered(&mut s, d, 500.0),
        LinkWorld::SteeredLittle => steered(&mut s, d, 50.0),
        LinkWorld::Suspend => suspends(&mut s, d),
        LinkWorld::Restart => restarts(&mut s, d),
        LinkWorld::Outbox => outbox(&mut s, d),
        LinkWorld::Silence => silence(&mut s, d),
        LinkWorld::Liar => liar(&mut s, d),
        LinkWorld::LyingHub => lying_hub(&mut s, d),
        LinkWorld::TwoHubs => two_hubs(&mut s, d),
        LinkWorld::Chain => chain(&mut s, d),
        LinkWorld::Mixed => mixed(&mut s, d),
    }
    s
}

/// A hub and a few entities, on paths of any kind.
fn ordinary(world: LinkWorld, seed: u64, d: &mut Dice) -> System {
    let entities = d.count(1, 3) as usize;
    let nodes = (0..=entities).map(|_| node(d)).collect();
    let legs = (1..=entities).map(|entity| leg(entity, 0, d)).collect();
    let duration_ns = seconds(d.magnitude(600.0, 86_400.0));
    System { world, seed, duration_ns, nodes, legs }
}

fn node(d: &mut Dice) -> Node {
    let oscillator = oscillators::any(d);
    Node { oscillator, steering_ppm: 0.0, restarts: Vec::new(), lie: None }
}

fn leg(a: usize, b: usize, d: &mut Dice) -> Leg {
    let per_hour = d.magnitude(2.0, 600.0);
    let traffic = Traffic {
        exchanges: true,
        to_b_per_hour: per_hour,
        to_a_per_hour: per_hour * d.within(0.1, 2.0),
        outbox_share: 0.0,
        outbox_most_ns: 0.0,
    };
    Leg { a, b, path: any_path(d), traffic }
}

fn rare(s: &mut System, d: &mut Dice) {
    for leg in &mut s.legs {
        let to_b = d.within(0.0, 6.0);
        let traffic = &mut leg.traffic;
        *traffic = Traffic { to_b_per_hour: to_b, to_a_per_hour: 6.0 - to_b, ..*traffic };
        traffic.exchanges = false;
    }
    s.duration_ns = s.duration_ns.max(seconds(7_200.0));
}

fn oscillate(s: &mut System, d: &mut Dice, draw: fn(&mut Dice) -> Oscillator) {
    for node in &mut s.nodes {
        node.oscillator = draw(d);
    }
    cornered_lans(s, d);
}

fn crystal(d: &mut Dice) -> Oscillator {
    let family = if d.chance(0.5) { Family::BadCrystal } else { Family::DailyTemperature };
    oscillators::of(family, d)
}

/// The hub's oscillator steps one way when an entity's steps the other.
fn opposed(s: &mut System, d: &mut Dice) {
    let mut moving = oscillators::of(Family::Staircase, d);
    // A quiet one, but for what is opposed to the other.
    let noise = |d: &mut Dice| {
        let ppm = 200.0 * d.within(-1.0, 1.0);
        vec![Part::Constant { ppm }, Part::White { ppb: d.magnitude(0.3, 10.0) }]
    };
    let is_ramp = |part: &Part| matches!(part, Part::Ramp { .. });
    let mut ramps: Vec<Part> = moving.parts.iter().copied().filter(is_ramp).collect();
    // Early enough to be seen.
    let first_s = ramps.iter().filter_map(begins_s).fold(f64::INFINITY, f64::min);
    let begin_s = d.within(0.0, 3_600.0);
    for part in &mut ramps {
        if let Part::Ramp { at_s, .. } = part {
            *at_s += begin_s - first_s;
        }
    }
    for (place, node) in s.nodes.iter_mut().enumerate() {
        let sign = if place == 0 { -1.0 } else { 1.0 };
        moving.parts = noise(d);
        moving.parts.extend(ramps.iter().map(|part| scaled(part, sign)));
        node.oscillator.parts.clone_from(&moving.parts);
    }
    s.duration_ns = s.duration_ns.max(seconds(14_400.0));
    cornered_lans(s, d);
    if d.chance(0.3) {
        gaps(s, d);
    }
}

fn begins_s(part: &Part) -> Option<f64> {
    if let Part::Ramp { at_s, .. } = part { Some(*at_s) } else { None }
}

fn scaled(part: &Part, by: f64) -> Part {
    match *part {
        Part::Ramp { at_s, over_s, ppm } => Part::Ramp { at_s, over_s, ppm: ppm * by },
        other => other,
    }
}

/// The entities' counters are coarse; those of hubs are not.
fn coarse(s: &mut System, d: &mut Dice) {
    for node in &mut s.nodes[1..] {
        const RESOLUTIONS_NS: [i64; 5] = [5_000, 20_000, 100_000, 100_000, 1_000_000];
        node.oscillator.resolution_ns = RESOLUTIONS_NS[d.count(0, 4) as usize];
        if d.chance(0.5) {
            node.steering_ppm = 500.0;
        }
    }
}

/// What disciplines the system's clock turns the counter with it.
fn steered(s: &mut System, d: &mut Dice, most_ppm: f64) {
    // Pages and Node are steered, and where a hub is written in Node it is, too.
    let first = usize::from(d.chance(0.7));
    for node in &mut s.nodes[first..] {
        node.steering_ppm = most_ppm;
        let mut at_s = d.magnitude(1.0, 3_600.0);
        while at_s < DAY_S {
            let lasts_s = d.magnitude(1.0, 1_200.0);
            let ppm = if d.chance(0.5) { most_ppm } else { d.magnitude(0.01, 1.0) * most_ppm };
            let ppm = ppm * d.sign();
            for (at_s, ppm) in [(at_s, ppm), (at_s + lasts_s, -ppm)] {
                node.oscillator.parts.push(Part::Ramp { at_s, over_s: 0.0, ppm });
            }
            at_s += lasts_s + d.magnitude(1.0, 7_200.0);
        }
    }
    cornered_lans(s, d);
}

fn suspends(s: &mut System, d: &mut Dice) {
    let until_ns = s.duration_ns;
    for node in &mut s.nodes {
        let n = d.count(0, 5);
        let mut free_from = 0;
        for at_ns in d.moments(n, 0, until_ns) {
            let from_ns = at_ns.max(free_from);
            let to_ns = from_ns + seconds(d.magnitude(1.0, 8_000.0));
            free_from = to_ns + seconds(1.0);
            node.oscillator.sleeps.push(Sleep { from_ns, to_ns });
        }
    }
}

fn restarts(s: &mut System, d: &mut Dice) {
    let until_ns = s.duration_ns;
    for node in &mut s.nodes {
        let n = d.count(0, 6);
        node.restarts = d.moments(n, 0, until_ns);
    }
}

fn outbox(s: &mut System, d: &mut Dice) {
    for leg in &mut s.legs {
        leg.traffic.outbox_share = d.within(0.1, 1.0);
        leg.traffic.outbox_most_ns = d.magnitude(1e9, 2e13);
        leg.traffic.exchanges = d.chance(0.5);
        for direction in [&mut leg.path.forth, &mut leg.path.back] {
            direction.duplicates = d.within(0.0, 0.5);
            direction.stragglers = d.within(0.0, 0.3);
            direction.loss = d.within(0.0, 0.1);
        }
    }
}

fn silence(s: &mut System, d: &mut Dice) {
    s.duration_ns = s.duration_ns.max(seconds(14_400.0));
    gaps(s, d);
}

/// Nothing passes for a while, now and then.
fn gaps(s: &mut System, d: &mut Dice) {
    let until_ns = s.duration_ns;
    for leg in &mut s.legs {
        let n = d.count(1, 6);
        for from_ns in d.moments(n, 0, until_ns) {
            let to_ns = from_ns + seconds(d.magnitude(60.0, 20_000.0));
            leg.path.outages.push(Episode { from_ns, to_ns, size: 0.0 });
        }
    }
}

fn lie(s: &System, d: &mut Dice) -> Lie {
    match d.count(0, 2) {
        0 => {
            let at_ns = (d.unit() * s.duration_ns as f64) as i64;
            Lie::Step { at_ns, by_ns: (d.sign() * d.magnitude(1e3, 1e12)) as i64 }
        }
        1 => Lie::Drift { ppm: d.sign() * d.magnitude(1.0, 1e5) },
        _ => Lie::Noise { most_ns: d.magnitude(1e3, 1e12), key: d.bits() },
    }
}

fn liar(s: &mut System, d: &mut Dice) {
    // Somebody has to be left who tells the truth.
    while s.nodes.len() < 4 {
        s.nodes.push(node(d));
        s.legs.push(leg(s.nodes.len() - 1, 0, d));
    }
    let who = d.count(1, s.nodes.len() as u64 - 1) as usize;
    s.nodes[who].lie = Some(lie(s, d));
}

fn lying_hub(s: &mut System, d: &mut Dice) {
    while s.nodes.len() < 4 {
        s.nodes.push(node(d));
        s.legs.push(leg(s.nodes.len() - 1, 0, d));
    }
    // Entities also hear of each other.
    s.legs.push(messages_only(1, 2, d));
    s.legs.push(messages_only(2, 3, d));
    s.nodes[0].lie = Some(lie(s, d));
}

fn messages_only(a: usize, b: usize, d: &mut Dice) -> Leg {
    let mut leg = leg(a, b, d);
    leg.traffic.exchanges = false;
    leg
}

fn two_hubs(s: &mut System, d: &mut Dice) {
    while s.nodes.len() < 5 {
        s.nodes.push(node(d));
    }
    s.nodes.truncate(5);
    s.legs = vec![
        messages_only(1, 0, d),
        leg(2, 0, d),
        leg(3, 1, d),
        if d.chance(0.5) { leg(4, 0, d) } else { leg(4, 1, d) },
    ];
}

fn chain(s: &mut System, d: &mut Dice) {
    let length = d.count(3, 6) as usize;
    while s.nodes.len() < length {
        s.nodes.push(node(d));
    }
    s.nodes.truncate(length);
    s.legs =
        (1..length)
            .map(|next| {
                if d.chance(0.7) {
                    leg(next, next - 1, d)
                } else {
                    messages_only(next, next - 1, d)
                }
            })
            .collect();
}

fn mixed(s: &mut System, d: &mut Dice) {
    type Ingredient = fn(&mut System, &mut Dice);
    let layouts: [Ingredient; 3] = [two_hubs, chain, |_, _| {}];
    layouts[d.count(0, 2) as usize](s, d);
    for leg in &mut s.legs {
        const WAYS: [Draw; 5] = [any_path, any_path, asymmetric, shifting, route_changes];
        leg.path = WAYS[d.count(0, WAYS.len() as u64 - 1) as usize](d);
    }
    let seasoning: [(f64, Ingredient); 8] = [
        (0.4, |s, d| oscillate(s, d, oscillators::restless)),
        (0.2, |s, d| steered(s, d, 50.0)),
        (0.2, |s, d| steered(s, d, 500.0)),
        (0.3, suspends),
        (0.3, restarts),
        (0.3, outbox),
        (0.4, gaps),
        (0.2, coarse),
    ];
    let mut steered_already = false;
    for (place, (probability, ingredient)) in seasoning.into_iter().enumerate() {
        let steers = place == 1 || place == 2;
        if d.chance(probability) && !(steers && steered_already) {
            steered_already |= steers;
            ingredient(s, d);
        }
    }
}
