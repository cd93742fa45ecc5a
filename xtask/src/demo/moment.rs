//! Two programs' readings of one moment, and the truth about it.

use anyhow::{Context, Result};

use super::reader::{Reader, Reading, Sample};

/// What both programs' clocks said, brought to the moment at which the first one was asked.
///
/// No two readings are taken at the same instant, so the second program's are moved by the time
/// between the two on CLOCK_MONOTONIC, the one counter that both share and that nothing fakes.
#[derive(Clone, Debug)]
pub(super) struct Row {
    pub(super) samples: [Sample; 2],
    /// The machine's own clock, as the test server serves it, at the programs' readings: it was
    /// between these two.
    pub(super) truth: [(i64, i64); 2],
}

impl Row {
    /// Asks both programs at once.
    pub(super) fn ask(readers: &mut [Reader; 2]) -> Result<Self> {
        for reader in &mut *readers {
            reader.send()?;
        }
        let [first, second] = readers;
        let samples = [first.receive()?, second.receive()?];
        let (monotonic_ns, truth_ns) = clocks()?;
        let ago = monotonic_ns - truth_ns;
        let truth = [&samples[0], &samples[1]].map(|s| (s.before_ns - ago, s.after_ns - ago));
        Ok(Row { samples, truth })
    }

    /// The system clocks at that moment.
    pub(super) fn system_ns(&self) -> [i64; 2] {
        let [first, second] = &self.samples;
        [first.system_ns, second.system_ns - self.between_ns()]
    }

    /// The synchronised clocks at that moment, where both gave a reading.
    pub(super) fn readings(&self) -> Option<[Reading; 2]> {
        let [first, second] = &self.samples;
        let (first, second) = (first.reading?, second.reading?);
        Some([first, Reading { time_ns: second.time_ns - self.between_ns(), ..second }])
    }

    /// How far the two readings can be apart if both errors are honest; how long the asking took
    /// is part of it.
    pub(super) fn errors_ns(&self) -> Option<i64> {
        let [first, second] = self.readings()?;
        let asking: i64 = self.samples.iter().map(|s| (s.after_ns - s.before_ns) / 2 + 1).sum();
        Some(first.max_error_ns + second.max_error_ns + asking)
    }

    /// Whether the truth lies within each program's reading ± max_error.
    pub(super) fn truth_inside(&self) -> [Option<bool>; 2] {
        [0, 1].map(|which| {
            let reading = self.samples[which].reading?;
            let (earliest, latest) = self.truth[which];
            let (low, high) =
                (reading.time_ns - reading.max_error_ns, reading.time_ns + reading.max_error_ns);
            Some(low <= latest && earliest <= high)
        })
    }

    fn between_ns(&self) -> i64 {
        let [first, second] = &self.samples;
        (second.before_ns + second.after_ns) / 2 - (first.before_ns + first.after_ns) / 2
    }
}

/// CLOCK_MONOTONIC and the system clock at one moment: of several pairs the one that was read the
/// fastest.
#[cfg(target_os = "linux")]
fn clocks() -> Result<(i64, i64)> {
    use nix::time::{ClockId, clock_gettime};
    let read = |id: ClockId| -> Result<i64> {
        let time = clock_gettime(id)?;
        #[allow(clippy::useless_conversion, reason = "32-bit on some systems")]
        Ok(i64::from(time.tv_sec()) * 1_000_000_000 + i64::from(time.tv_nsec()))
    };
    let mut best: Option<(i64, (i64, i64))> = None;
    for _ in 0..5 {
        let before = read(ClockId::CLOCK_MONOTONIC)?;
        let system = read(ClockId::CLOCK_REALTIME)?;
        let after = read(ClockId::CLOCK_MONOTONIC)?;
        let pair = (before + (after - before) / 2, system);
        if best.is_none_or(|(width, _)| after - before < width) {
            best = Some((after - before, pair));
        }
    }
    best.map(|(_, pair)| pair).context("no clocks")
}

#[cfg(not(target_os = "linux"))]
fn clocks() -> Result<(i64, i64)> {
    None.context("the demo needs Linux")
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(in super::super) fn row() -> Row {
        let reading = |time_ns| Some(Reading { time_ns, max_error_ns: 100 });
        let sample = |before_ns, system_ns, time_ns| Sample {
            before_ns,
            after_ns: before_ns + 2,
            system_ns,
            reading: reading(time_ns),
            error: None,
        };
        Row {
            samples: [sample(1_000, 70_000, 5_000), sample(1_500, 30_500, 5_510)],
            truth: [(4_990, 4_992), (5_650, 5_652)],
        }
    }

    #[test]
    fn the_second_programs_readings_are_moved_to_the_firsts_moment() {
        assert_eq!(row().system_ns(), [70_000, 30_000]);
        assert_eq!(row().readings().map(|r| r.map(|r| r.time_ns)), Some([5_000, 5_010]));
        assert_eq!(row().errors_ns(), Some(204));
    }

    #[test]
    fn truth_is_inside_or_not_for_each_program() {
        assert_eq!(row().truth_inside(), [Some(true), Some(false)]);
    }
}
