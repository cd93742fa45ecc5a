//! The wall clock as a witness: where it moves against the counter, the machine slept or the wall
//! clock was set. A browser cannot tell which.

/// A reading of both, taken together.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reference {
    local_ms: f64,
    wall_ms: f64,
}

impl Reference {
    pub(crate) fn new(local_ms: f64, wall_ms: f64) -> Self {
        Reference { local_ms, wall_ms }
    }

    /// Whether steering does not explain how the two have moved since.
    #[inline]
    pub(crate) fn is_broken(&self, local_ms: f64, wall_ms: f64) -> bool {
        let since = local_ms - self.local_ms;
        let moved = wall_ms - self.wall_ms - since;
        moved.abs() > TOLERANCE_MS + STEERING * since.abs()
    }

    /// Whether the wall clock has not moved at all: then it is a witness of nothing.
    pub(crate) fn stands_still(&self, wall_ms: f64) -> bool {
        wall_ms == self.wall_ms
    }

    /// Whether it is worth a fresh pair, so that the allowance for steering stays small.
    pub(crate) fn is_old(&self, local_ms: f64) -> bool {
        local_ms - self.local_ms > OLD_MS
    }
}

/// Both counters' coarseness, and the time between reading one and the other.
const TOLERANCE_MS: f64 = 50.0;
/// NTP daemons steer by up to 500 ppm: on Linux both clocks alike, elsewhere the wall clock alone.
const STEERING: f64 = 600e-6;
const OLD_MS: f64 = 10_000.0;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steering_is_explained_and_a_step_is_not() {
        let reference = Reference::new(1_000.0, 1_800_000_000_000.0);
        let hour = 3_600_000.0;
        assert!(!reference.is_broken(1_000.0 + hour, 1_800_000_000_000.0 + hour * 1.0005));
        assert!(!reference.is_broken(1_100.0, 1_800_000_000_149.0));
        assert!(reference.is_broken(1_100.0, 1_800_000_000_151.0));
        assert!(reference.is_broken(1_100.0, 1_800_000_000_000.0));
    }
}
