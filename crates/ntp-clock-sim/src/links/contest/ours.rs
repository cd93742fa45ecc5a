//! This project's way: links, and what follows of all of them together.

use ntp_clock_core::{Evidence, Link, Oscillator, Span, UnixTime};
use ntp_clock_order::{Cause, Closure, LinkBetween, Stamp, Verdict};

use super::Judgement;
use super::traces::{HOPS, MACHINE, SERVER, Scene, Trace};
use crate::links::feed::{Feed, What};

/// Each trace as the server judges it when its response passes: with what its links know then.
pub(super) fn judge(scene: &mut Scene, traces: &[Trace], with_causes: bool) -> Vec<Judgement> {
    let evidence = scene.evidence(traces);
    let clocks: Vec<Oscillator> = scene.system.nodes.iter().map(|node| node.reported()).collect();
    let legs = &scene.system.legs;
    let mut links: Vec<Link> =
        legs.iter().map(|leg| Link::new(clocks[leg.a], clocks[leg.b])).collect();
    let mut feeds = evidence.iter().peekable();
    let mut judgements = Vec::new();
    for trace in traces {
        let passes_ns = trace.t_ns[RESPONSE];
        while let Some(feed) = feeds.next_if(|feed| feed.at_ns <= passes_ns) {
            take(&mut links[feed.leg], feed);
        }
        let mut snapshots = Vec::new();
        for (leg, link) in legs.iter().zip(&links) {
            let a = scene.machines[leg.a].exact(0, passes_ns);
            if let Some(snapshot) = link.snapshot(a, Evidence::All) {
                snapshots.push(LinkBetween { a: leg.a, b: SERVER, snapshot });
            }
        }
        judgements.push(judged(&clocks, trace, &snapshots, with_causes));
    }
    judgements
}

fn take(link: &mut Link, feed: &Feed) {
    let fed = match feed.what {
        What::Exchange(stamps) => link.exchange(&stamps),
        What::ToB(sent, received, source) => link.message_to_b(sent, received, source),
        What::ToA(sent, received, source) => link.message_to_a(sent, received, source),
    };
    debug_assert!(fed.is_ok());
}

fn judged(
    clocks: &[Oscillator],
    trace: &Trace,
    links: &[LinkBetween],
    with_causes: bool,
) -> Judgement {
    let stamps: Vec<Stamp> = (0..MACHINE.len())
        .map(|place| {
            let (time_ns, max_error_ns) = trace.readings[place];
            let utc = Some((UnixTime::from_nanos(time_ns), Span::from_nanos(max_error_ns)));
            Stamp { clock: MACHINE[place], counter: trace.counters[place], utc }
        })
        .collect();
    let causes: Vec<Cause> = HOPS
        .iter()
        .filter(|_| with_causes)
        .map(|(earlier, later)| Cause { earlier: *earlier, later: *later })
        .collect();
    let closure = Closure::new(clocks, &stamps, links, &causes).expect("all of it is sound");
    let order = |i: usize, j: usize| match closure.relation(i, j).verdict {
        Verdict::Before => Some(true),
        Verdict::After => Some(false),
        Verdict::CannotTell => None,
    };
    let latency = |(from, to): &(usize, usize)| {
        closure.relation(*from, *to).estimate.map(|estimate| estimate.as_nanos() as f64)
    };
    let n = MACHINE.len();
    Judgement {
        order: (0..n).map(|i| (0..n).map(|j| order(i, j)).collect()).collect(),
        latencies: HOPS.iter().map(latency).collect(),
    }
}

/// The stamp at which the server sends its response.
const RESPONSE: usize = 10;
