//! Best guesses: by the chain of links and readings that is probably the most exact.

use crate::reason::Why;
use crate::system::{LinkBetween, System};

/// For one clock: by which step each other clock is guessed best.
#[derive(Debug)]
pub(crate) struct Tree {
    steps: Vec<Option<Step>>,
}

/// The last step to a clock.
#[derive(Clone, Copy, Debug)]
struct Step {
    from: u32,
    /// A link, or the readings of a clock.
    link: Option<u32>,
}

/// A guess of a reading, and the square of its standard deviation, ns².
#[derive(Clone, Copy, Debug)]
pub(crate) struct Guess {
    pub(crate) reading: i64,
    pub(crate) variance: f64,
}

/// What guesses are made of.
#[derive(Debug)]
pub(crate) struct Guesses {
    /// By clock, in order of the counter: stamps with readings.
    readings: Vec<Vec<Known>>,
    /// By node: the node at the other end, the link if it is one, and the variance.
    steps: Vec<Vec<(u32, Option<u32>, f64)>>,
}

/// A reading beside its counter.
#[derive(Clone, Copy, Debug)]
struct Known {
    counter: i64,
    time: i64,
    est_error: f64,
}

impl Guesses {
    pub(crate) fn new(system: &System) -> Self {
        let utc = system.utc();
        let mut readings: Vec<Vec<Known>> = vec![Vec::new(); utc];
        for stamp in &system.stamps {
            if let Some((time, max_error)) = stamp.utc {
                readings[stamp.clock].push(Known {
                    counter: stamp.counter.as_nanos(),
                    time: time.as_nanos(),
                    est_error: max_error.as_nanos() as f64 * SHARE,
                });
            }
        }
        let mut steps = vec![Vec::new(); utc + 1];
        for (clock, known) in readings.iter_mut().enumerate() {
            known.sort_by_key(|known| known.counter);
            let errors = known.iter().map(|known| known.est_error);
            if let Some(least) = errors.reduce(f64::min) {
                steps[clock].push((utc as u32, None, least * least));
                steps[utc].push((clock as u32, None, least * least));
            }
        }
        for (place, link) in system.links.iter().enumerate() {
            let snapshot = &link.snapshot;
            let known = snapshot.estimate_ns.is_finite() && snapshot.est_error_ns.is_finite();
            if known {
                let variance = snapshot.est_error_ns * snapshot.est_error_ns;
                steps[link.a].push((link.b as u32, Some(place as u32), variance));
                steps[link.b].push((link.a as u32, Some(place as u32), variance));
            }
        }
        Guesses { readings, steps }
    }

    /// The best steps from this clock to all others.
    pub(crate) fn tree(&self, clock: usize) -> Tree {
        let count = self.steps.len();
        let mut variances = vec![f64::INFINITY; count];
        let mut steps = vec![None; count];
        let mut done = vec![false; count];
        variances[clock] = 0.0;
        loop {
            let open = (0..count).filter(|&node| !done[node] && variances[node].is_finite());
            let nearest = open.min_by(|&a, &b| variances[a].total_cmp(&variances[b]));
            let Some(node) = nearest else { return Tree { steps } };
            done[node] = true;
            for &(to, link, variance) in &self.steps[node] {
                let place = to as usize;
                if !done[place] && variances[node] + variance < variances[place] {
                    variances[place] = variances[node] + variance;
                    steps[place] = Some(Step { from: node as u32, link });
                }
            }
        }
    }

    /// What `to` reads when `from`, whose tree this is, reads `x`; none where that leads over a void
    /// link.
    pub(crate) fn follow(
        &self,
        system: &System,
        tree: &Tree,
        from: usize,
        to: usize,
        x: i64,
        is_void: &impl Fn(Why) -> bool,
    ) -> Option<Guess> {
        if to == from {
            return Some(Guess { reading: x, variance: 0.0 });
        }
        let step = tree.steps[to]?;
        let before = self.follow(system, tree, from, step.from as usize, x, is_void)?;
        let (reading, est_error) = match step.link {
            Some(link) if is_void(Why::Link(link)) => return None,
            Some(link) => over_link(system, link as usize, to, before.reading)?,
            None => self.over_reading(system, step.from as usize, to, before.reading)?,
        };
        Some(Guess { reading, variance: before.variance + est_error * est_error })
    }

    /// By the nearest reading of the two's counter; rates are taken for nominal.
    fn over_reading(&self, system: &System, from: usize, to: usize, x: i64) -> Option<(i64, f64)> {
        let to_utc = to == system.utc();
        let known = &self.readings[if to_utc { from } else { to }];
        let here = |known: &Known| if to_utc { known.counter } else { known.time };
        let next = known.partition_point(|known| here(known) <= x);
        let near = known[next.saturating_sub(1)..].iter().take(2);
        let nearest = near.min_by_key(|known| here(known).abs_diff(x))?;
        let there = if to_utc { nearest.time } else { nearest.counter };
        let distance = x.saturating_sub(here(nearest));
        let drift = distance as f64 * TYPICAL_RATE;
        Some((there.saturating_add(distance), nearest.est_error.hypot(drift)))
    }
}

/// In the middle of the rates that are possible; what they leave open is a part of the error.
fn over_link(system: &System, link: usize, to: usize, x: i64) -> Option<(i64, f64)> {
    let LinkBetween { b, snapshot, .. } = &system.links[link];
    let sign = if to == *b { 1.0 } else { -1.0 };
    let (here, there) = if to == *b {
        (snapshot.a.as_nanos(), snapshot.b.as_nanos())
    } else {
        (snapshot.b.as_nanos(), snapshot.a.as_nanos())
    };
    let since = x.checked_sub(here)?;
    // How far away it is on the axis half-way between both clocks.
    let m = since as f64 + sign * snapshot.estimate_ns / 2.0;
    let rate = (snapshot.rate_low + snapshot.rate_high) / 2.0;
    let further = sign * (snapshot.estimate_ns + rate * m);
    let spread = (snapshot.rate_high - snapshot.rate_low) * m.abs() / 2.0;
    let est_error = snapshot.est_error_ns + spread * SHARE;
    Some((there.checked_add(since)?.checked_add(further as i64)?, est_error))
}

/// One standard deviation, as a share of an interval's half width: a quarter of the whole.
pub(crate) const SHARE: f64 = 0.5;
/// What crystals mostly do.
pub(crate) const TYPICAL_RATE: f64 = 50e-6;
