//! One Kalman filter of (offset, rate, bias), by the matrices of [`super::filter`].

/// What is believed of offset, rate and bias at one moment: a normal distribution.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) struct Kalman {
    /// Offset (ns), rate, bias (ns).
    pub(super) state: [f64; 3],
    pub(super) covariance: [[f64; 3]; 3],
}

impl Kalman {
    /// `dt` nanoseconds later, or earlier where that is negative; `strength` is the variance that
    /// the rate's random walk gathers in each of them.
    pub(super) fn predict(&mut self, dt: f64, strength: f64) {
        let [offset, rate, bias] = self.state;
        self.state = [offset + rate * dt, rate, bias];
        let p = self.covariance;
        let size = dt.abs();
        let p00 = p[0][0] + 2.0 * dt * p[0][1] + dt * dt * p[1][1];
        let p01 = p[0][1] + dt * p[1][1];
        let p02 = p[0][2] + dt * p[1][2];
        let walk = strength * size;
        self.covariance = [
            [p00 + walk * dt * dt / 3.0 + PHASE_NOISE * size, p01 + walk * dt / 2.0, p02],
            [p01 + walk * dt / 2.0, p[1][1] + walk, p[1][2]],
            [p02, p[1][2], p[2][2]],
        ];
    }

    /// Takes a measurement of the sum of the state's parts, so weighed; gives the logarithm of its
    /// likelihood, less a constant.
    pub(super) fn update(&mut self, parts: [f64; 3], measured: f64, variance: f64) -> f64 {
        let p = self.covariance;
        let sum = |row: [f64; 3]| row[0] * parts[0] + row[1] * parts[1] + row[2] * parts[2];
        let h = p.map(sum);
        let s = sum(h) + variance;
        let innovation = measured - sum(self.state);
        for i in 0..3 {
            let gain = h[i] / s;
            self.state[i] += gain * innovation;
            for j in 0..3 {
                self.covariance[i][j] = p[i][j] - gain * h[j];
            }
        }
        -0.5 * (innovation * innovation / s + libm::log(s))
    }
}

/// White frequency noise, ns² per nanosecond: an Allan deviation of 1e-9 at one second (1 ns in the
/// root of a second), ten to a hundred times a quartz crystal's own: a counter that is read through
/// a system call has no less. Over a poll of 300 s it comes to 17 ns, so that nothing hangs on it.
const PHASE_NOISE: f64 = 1e-9;
