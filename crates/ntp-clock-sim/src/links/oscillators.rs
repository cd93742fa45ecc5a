//! Oscillators out of the worlds of one clock, as far as they keep to what any may do.

use crate::counter::{Oscillator, Part};
use crate::dice::Dice;
use crate::world::{Family, Setup};

/// One of any kind.
pub(super) fn any(d: &mut Dice) -> Oscillator {
    const KINDS: [Family; 6] = [
        Family::Wan,
        Family::Wan,
        Family::DailyTemperature,
        Family::BadCrystal,
        Family::ThermalStep,
        Family::Staircase,
    ];
    of(KINDS[d.count(0, KINDS.len() as u64 - 1) as usize], d)
}

/// One that moves as much as it may.
pub(super) fn restless(d: &mut Dice) -> Oscillator {
    const KINDS: [Family; 4] =
        [Family::Cornered, Family::Staircase, Family::ThermalStep, Family::Holdover];
    of(KINDS[d.count(0, KINDS.len() as u64 - 1) as usize], d)
}

/// One of a family's. Some draw moves that follow one another too closely; those are drawn again.
pub(super) fn of(family: Family, d: &mut Dice) -> Oscillator {
    loop {
        let oscillator = Setup::draw(family, d.bits()).oscillator;
        if keeps_to_what_is_allowed(&oscillator) {
            return Oscillator { resolution_ns: 1, sleeps: Vec::new(), ..oscillator };
        }
    }
}

/// Whether all rates within any ten minutes lie within 4 ppm of one another, within 25 minutes
/// within 7, and ever within 15.
pub(super) fn keeps_to_what_is_allowed(oscillator: &Oscillator) -> bool {
    let parts = &oscillator.parts;
    let rates: Vec<f64> =
        (0..DAY_AND_MORE_S / GRID_S).map(|place| foreseen_ppm(parts, place * GRID_S)).collect();
    [(600, 4.0), (1_500, 7.0), (DAY_AND_MORE_S, 15.0)].into_iter().all(|(window_s, band_ppm)| {
        let room = band_ppm - noise_ppm(parts, window_s as f64);
        widest(&rates, (window_s / GRID_S) as usize) <= room
    })
}

/// What is not chance in a frequency.
fn foreseen_ppm(parts: &[Part], at_s: i64) -> f64 {
    let at_s = at_s as f64;
    parts
        .iter()
        .map(|part| match *part {
            Part::Constant { ppm } => ppm,
            Part::Swing { ppm, period_s, phase } => {
                ppm * libm::cos(std::f64::consts::TAU * (at_s / period_s + phase))
            }
            Part::Ramp { at_s: from_s, over_s, ppm } => {
                ppm * ((at_s - from_s) / over_s.max(1.0)).clamp(0.0, 1.0)
            }
            Part::White { .. } | Part::Walk { .. } => 0.0,
        })
        .sum()
}

/// How far chance can carry a frequency apart within a window: three standard deviations either
/// way. White noise that lasts a second is none that a bound could notice.
fn noise_ppm(parts: &[Part], window_s: f64) -> f64 {
    parts
        .iter()
        .map(|part| match *part {
            Part::White { ppb } => ppb * 1e-3,
            Part::Walk { ppb, limit_ppm } => {
                (6.0 * ppb * 1e-3 * libm::sqrt(window_s)).min(2.0 * limit_ppm)
            }
            _ => 0.0,
        })
        .sum()
}

/// The largest difference between two values that are at most this many places apart.
fn widest(values: &[f64], places: usize) -> f64 {
    let windows = (0..values.len()).map(|from| &values[from..values.len().min(from + places + 2)]);
    if places >= values.len() {
        return spread(values);
    }
    windows.map(spread).fold(0.0, f64::max)
}

fn spread(values: &[f64]) -> f64 {
    let (low, high) = values
        .iter()
        .fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), v| (low.min(*v), high.max(*v)));
    high - low
}

const GRID_S: i64 = 30;
const DAY_AND_MORE_S: i64 = 30 * 3_600;

#[cfg(test)]
mod tests {
    use super::*;

    fn with(ramps: &[(f64, f64)]) -> Oscillator {
        let parts =
            ramps.iter().map(|(at_s, ppm)| Part::Ramp { at_s: *at_s, over_s: 0.0, ppm: *ppm });
        Oscillator { parts: parts.collect(), ..Oscillator::default() }
    }

    #[test]
    fn moves_that_follow_one_another_too_closely_are_not_allowed() {
        let allowed = |ramps: &[(f64, f64)]| keeps_to_what_is_allowed(&with(ramps));
        assert!(allowed(&[(1_000.0, 3.9)]));
        assert!(!allowed(&[(1_000.0, 4.1)]));
        assert!(!allowed(&[(1_000.0, 3.0), (1_500.0, 3.0)]));
        assert!(allowed(&[(1_000.0, 3.0), (1_900.0, 3.0)]));
        assert!(!allowed(&[(1_000.0, 3.9), (1_900.0, 3.9)]));
        let stairs = |n: i32| -> Vec<_> { (0..n).map(|k| (f64::from(k) * 1_600.0, 3.0)).collect() };
        assert!(allowed(&stairs(5)) && !allowed(&stairs(6)));
    }

    #[test]
    fn every_kind_has_oscillators_that_are_allowed() {
        let mut dice = Dice::new(1, "oscillators");
        for _ in 0..20 {
            assert!(keeps_to_what_is_allowed(&any(&mut dice)));
            assert!(keeps_to_what_is_allowed(&restless(&mut dice)));
        }
    }
}
