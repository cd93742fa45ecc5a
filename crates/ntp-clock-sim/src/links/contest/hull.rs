//! Convex hulls, after Duda, Harrus, Haddad and Bernard (1987), as trace synchronisers use them.

use ntp_clock_core::LocalTime;

use super::Positions;
use super::traces::{MACHINE, MACHINES, SERVER, Scene, Trace};
use crate::links::feed::What;

/// An entity's counter, turned into the server's: `offset + rate * counter` more.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub(super) struct Line {
    /// Both counters are counted from here, nanoseconds.
    zero: (i64, i64),
    offset: f64,
    rate: f64,
}

/// One line for each machine, by all messages of the hour together: it runs between the hull of
/// the messages to the server and the hull of those from it, half-way between the steepest and the
/// flattest line that does.
pub(super) fn lines(scene: &mut Scene, traces: &[Trace]) -> [Line; MACHINES] {
    let mut bounds: [Bounds; MACHINES] = Default::default();
    for feed in scene.evidence(traces) {
        let bounds = &mut bounds[scene.system.legs[feed.leg].a];
        match feed.what {
            What::ToB(sent, received, _) => bounds.upper(sent, received),
            What::ToA(sent, received, _) => bounds.lower(received, sent),
            // Its request came by itself.
            What::Exchange(stamps) => bounds.lower(stamps.received_a, stamps.sent_b),
        }
    }
    bounds.map(|bounds| bounds.line())
}

/// All stamps by the server's counter.
pub(super) fn converted(trace: &Trace, lines: &[Line; MACHINES]) -> Positions {
    let at = |(machine, counter): (&usize, &LocalTime)| {
        if *machine == SERVER { counter.as_nanos() } else { lines[*machine].convert(*counter) }
    };
    Positions::unbounded(MACHINE.iter().zip(&trace.counters).map(at).collect())
}

impl Line {
    fn convert(&self, counter: LocalTime) -> i64 {
        let since = counter.as_nanos() - self.zero.0;
        self.zero.1 + since + (self.offset + self.rate * since as f64) as i64
    }
}

/// What messages say of the difference, at moments of the entity's counter.
#[derive(Default)]
struct Bounds {
    zero: Option<(i64, i64)>,
    upper: Vec<(f64, f64)>,
    lower: Vec<(f64, f64)>,
}

impl Bounds {
    fn point(&mut self, entity: LocalTime, server: LocalTime) -> (f64, f64) {
        let (x, y) = (entity.as_nanos(), server.as_nanos());
        let zero = *self.zero.get_or_insert((x, y));
        ((x - zero.0) as f64, ((y - zero.1) - (x - zero.0)) as f64)
    }

    fn upper(&mut self, entity: LocalTime, server: LocalTime) {
        let point = self.point(entity, server);
        self.upper.push(point);
    }

    fn lower(&mut self, entity: LocalTime, server: LocalTime) {
        let point = self.point(entity, server);
        self.lower.push(point);
    }

    fn line(&self) -> Line {
        let Some(zero) = self.zero else { return Line::default() };
        // The two hulls that face one another.
        let ceiling = hull(&self.upper, 1.0);
        let floor = hull(&self.lower, -1.0);
        // The steepest line touches the floor first and then the ceiling, the flattest the other
        // way round.
        let mut extremes = [(f64::INFINITY, 0.0), (f64::NEG_INFINITY, 0.0)];
        for high in &ceiling {
            for low in &floor {
                let rate = (high.1 - low.1) / (high.0 - low.0);
                let line = (rate, high.1 - rate * high.0);
                if high.0 > low.0 && rate < extremes[0].0 {
                    extremes[0] = line;
                } else if high.0 < low.0 && rate > extremes[1].0 {
                    extremes[1] = line;
                }
            }
        }
        let [steep, flat] = extremes;
        Line { zero, rate: (steep.0 + flat.0) / 2.0, offset: (steep.1 + flat.1) / 2.0 }
    }
}

/// The lower convex hull of points (with `sign` -1 the upper one), from left to right.
fn hull(points: &[(f64, f64)], sign: f64) -> Vec<(f64, f64)> {
    let mut points = points.to_vec();
    points.sort_by(|a, b| a.0.total_cmp(&b.0));
    let mut hull: Vec<(f64, f64)> = Vec::new();
    for point in points {
        while let [.., before, last] = hull[..] {
            let cross = (last.0 - before.0) * (point.1 - before.1)
                - (last.1 - before.1) * (point.0 - before.0);
            if cross * sign > 0.0 {
                break;
            }
            hull.pop();
        }
        hull.push(point);
    }
    hull
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_between_the_hulls_is_found() {
        let mut bounds = Bounds::default();
        let ns = LocalTime::from_nanos;
        // 100 ppm fast, 5 s ahead, 1 ms each way and now and then more.
        for k in 0..100_i64 {
            let entity = k * 1_000_000_000;
            let server = entity + 5_000_000_000 + k * 100_000;
            let queue = 1_000_000 + (k % 7) * 3_000_000;
            bounds.upper(ns(entity), ns(server + queue));
            bounds.lower(ns(entity), ns(server - queue));
        }
        let line = bounds.line();
        let at = ns(40_500_000_000);
        let off = line.convert(at) - (45_500_000_000 + 4_050_000);
        assert!(off.abs() < 100_000, "{off} ns");
    }

    #[test]
    fn hulls_have_only_what_no_other_point_hides() {
        let points = [(0.0, 5.0), (1.0, 1.0), (2.0, 3.0), (3.0, 2.0), (4.0, 6.0)];
        assert_eq!(hull(&points, 1.0), [(0.0, 5.0), (1.0, 1.0), (3.0, 2.0), (4.0, 6.0)]);
        assert_eq!(hull(&points, -1.0), [(0.0, 5.0), (4.0, 6.0)]);
    }
}
