//! Jaeger's clock-skew adjuster, rebuilt from what is said of it in public.

use super::Positions;
use super::traces::{DEVICE_A, DEVICE_B, MACHINE, SERVER, Trace};

/// A span of another host that begins before its parent or ends after it is moved so that it lies
/// in the middle of it: the network is taken to be as slow there as back. One that lasts longer
/// than its parent is moved only as far as its beginning asks for. All of a host moves with it.
pub(super) fn adjusted(trace: &Trace) -> Positions {
    let mut at_ns = trace.walls_ns.clone();
    let (client, server) = ((0, 11), (1, 10));
    for (host, parent, child) in
        [(SERVER, client, server), (DEVICE_A, server, (3, 4)), (DEVICE_B, server, (7, 8))]
    {
        let span = |(first, last): (usize, usize)| (at_ns[first], at_ns[last]);
        let skew_ns = skew_ns(span(parent), span(child));
        for (place, at_ns) in at_ns.iter_mut().enumerate() {
            if MACHINE[place] == host {
                *at_ns += skew_ns;
            }
        }
    }
    Positions::unbounded(at_ns)
}

/// By how much a child is moved.
fn skew_ns(parent: (i64, i64), child: (i64, i64)) -> i64 {
    let (lasts, child_lasts) = (parent.1 - parent.0, child.1 - child.0);
    if child_lasts > lasts {
        return (parent.0 - child.0).max(0);
    }
    if parent.0 <= child.0 && child.1 <= parent.1 {
        return 0;
    }
    let latency = (lasts - child_lasts) / 2;
    parent.0 + latency - child.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_child_outside_of_its_parent_is_moved_into_the_middle() {
        assert_eq!(skew_ns((100, 200), (40, 100)), 80);
        assert_eq!(skew_ns((100, 200), (150, 250)), -50);
        assert_eq!(skew_ns((100, 200), (101, 190)), 0);
        // Longer than its parent.
        assert_eq!(skew_ns((100, 200), (40, 300)), 60);
        assert_eq!(skew_ns((100, 200), (150, 300)), 0);
    }
}
