//! The machine's counter: a constant rate error, a slow periodic wander, and time lost in suspend.

use ntp_clock_core::LocalTime;

pub(crate) struct Oscillator {
    /// How much faster the counter runs than true time.
    pub(crate) ppm: f64,
    /// Amplitude of the wander about that rate.
    pub(crate) wander_ppm: f64,
    pub(crate) wander_period_s: f64,
    /// The counter at the world's beginning.
    pub(crate) origin_ns: i64,
    /// True time during which the counter stood still.
    pub(crate) lost_ns: i64,
}

impl Default for Oscillator {
    fn default() -> Self {
        Oscillator {
            ppm: 20.0,
            wander_ppm: 0.0,
            wander_period_s: 1_800.0,
            origin_ns: 1_000_000_000_000,
            lost_ns: 0,
        }
    }
}

impl Oscillator {
    pub(crate) fn of_ppm(ppm: f64) -> Self {
        Oscillator { ppm, ..Oscillator::default() }
    }

    /// The counter at true time `t_ns`.
    pub(crate) fn local(&self, t_ns: i64) -> LocalTime {
        let run = t_ns - self.lost_ns;
        let t = run as f64;
        let turn = self.wander_period_s * 1e9 / std::f64::consts::TAU;
        let wander = self.wander_ppm * 1e-6 * turn * (1.0 - (t / turn).cos());
        let ahead = self.ppm * 1e-6 * t + wander;
        LocalTime::from_nanos(self.origin_ns + run + ahead.floor() as i64)
    }

    /// The first true time at which the counter reads `local` or later.
    pub(crate) fn when(&self, local: LocalTime) -> i64 {
        let mut t = local.as_nanos().saturating_sub(self.origin_ns).saturating_add(self.lost_ns);
        for _ in 0..8 {
            let off = local.as_nanos().saturating_sub(self.local(t).as_nanos());
            if off.abs() < 2 {
                break;
            }
            t = t.saturating_add(off);
        }
        while self.local(t) < local {
            t += 1;
        }
        t
    }
}
