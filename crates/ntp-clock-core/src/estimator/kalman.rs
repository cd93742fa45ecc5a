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

#[cfg(test)]
mod tests {
    use super::*;

    fn near(a: f64, b: f64) -> bool {
        (a - b).abs() <= 1e-12 * (1.0 + b.abs())
    }

    fn assert_is(filter: Kalman, state: [f64; 3], covariance: [[f64; 3]; 3]) {
        let same = |a: [f64; 3], b: [f64; 3]| a.iter().zip(b).all(|(a, b)| near(*a, b));
        assert!(same(filter.state, state), "{:?} is not {state:?}", filter.state);
        for (row, expected) in filter.covariance.into_iter().zip(covariance) {
            assert!(same(row, expected), "{filter:?} has not {covariance:?}");
        }
    }

    const BEFORE: Kalman = Kalman {
        state: [10.0, 0.5, 3.0],
        covariance: [[2.0, 0.5, 0.25], [0.5, 1.0, 0.125], [0.25, 0.125, 4.0]],
    };

    #[test]
    fn a_prediction_moves_the_offset_by_the_rate_and_adds_what_the_oscillator_may_have_walked() {
        let mut later = BEFORE;
        later.predict(6.0, 2.0);
        // F P F': 2 + 2 x 6 x 0.5 + 36 x 1 = 44; 0.5 + 6 x 1 = 6.5; 0.25 + 6 x 0.125 = 1.
        // Q with q t = 12: 12 x 36 / 3 = 144 and 6 ns of white noise at 1e-9; 12 x 6 / 2 = 36; 12.
        assert_is(
            later,
            [13.0, 0.5, 3.0],
            [[188.0 + 6e-9, 42.5, 1.0], [42.5, 13.0, 0.125], [1.0, 0.125, 4.0]],
        );
        assert!((later.covariance[0][0] - 188.0 - 6e-9).abs() < 1e-12);
    }

    #[test]
    fn a_prediction_of_the_past_turns_the_rate_round_and_adds_as_much() {
        let mut earlier = BEFORE;
        earlier.predict(-6.0, 2.0);
        // 2 - 6 + 36 = 32, 0.5 - 6 = -5.5 and 0.25 - 0.75 = -0.5; Q's first and third as above, its
        // second with the sign of the time: -36.
        assert_is(
            earlier,
            [7.0, 0.5, 3.0],
            [[176.0 + 6e-9, -41.5, -0.5], [-41.5, 13.0, 0.125], [-0.5, 0.125, 4.0]],
        );
    }

    #[test]
    fn an_update_divides_the_innovation_by_the_gain_worked_by_hand() {
        let mut filter = Kalman {
            state: [1.0, 2.0, 3.0],
            covariance: [[4.0, 1.0, 2.0], [1.0, 9.0, 3.0], [2.0, 3.0, 5.0]],
        };
        let log = filter.update([2.0, 4.0, 8.0], 290.0, 272.0);
        // h = P H' = (28, 62, 56); s = 56 + 248 + 448 + 272 = 1024; the innovation of 290 - 34 = 256
        // moves each part of the state by h / 4; P loses h h' / 1024.
        assert_is(
            filter,
            [8.0, 17.5, 17.0],
            [
                [4.0 - 0.765_625, 1.0 - 1.695_312_5, 2.0 - 1.531_25],
                [1.0 - 1.695_312_5, 9.0 - 3.753_906_25, 3.0 - 3.390_625],
                [2.0 - 1.531_25, 3.0 - 3.390_625, 5.0 - 3.0625],
            ],
        );
        // -(256² / 1024 + ln 1024) / 2.
        assert!(near(log, -35.465_735_902_799_73), "{log}");
    }

    #[test]
    fn a_measurement_of_no_weight_changes_nothing_and_one_without_error_is_believed_wholly() {
        let mut vague = BEFORE;
        vague.update([1.0, 0.0, 1.0], 1e6, 1e30);
        assert_is(vague, BEFORE.state, BEFORE.covariance);
        let mut sure = BEFORE;
        sure.update([1.0, 0.0, 0.0], 12.0, 0.0);
        assert!(near(sure.state[0], 12.0) && near(sure.covariance[0][0], 0.0), "{sure:?}");
    }
}
