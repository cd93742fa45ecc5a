//! A recorded run says the same again: in the simulator and by the log alone.

use ntp_clock_core::{Replay, Span};
use ntp_clock_sim::{Family, Options, Record, Setup, run};

const RECORDED: Options = Options { trace: false, record: true };

#[test]
fn a_seed_reproduces_bit_for_bit() {
    for family in Family::ALL {
        let setup = Setup::draw(*family, 5).lasting_hours(3.0);
        assert_eq!(setup, Setup::draw(*family, 5).lasting_hours(3.0));
        let (once, again) = (run(&setup, &mut [], RECORDED), run(&setup, &mut [], RECORDED));
        assert_eq!(once.record, again.record, "{family}");
        assert_eq!(once.statistics, again.statistics, "{family}");
        let other = run(&Setup::draw(*family, 6).lasting_hours(3.0), &mut [], RECORDED);
        assert_ne!(once.record, other.record, "{family}");
    }
}

#[test]
fn the_log_alone_gives_the_engines_answers() {
    for family in [Family::Wan, Family::Mobile, Family::Suspend, Family::CoarseCounter] {
        let setup = Setup::draw(family, 3).lasting_hours(6.0);
        let outcome = run(&setup, &mut [], RECORDED);
        let mut replay = Replay::new(Span::from_nanos(setup.oscillator.resolution_ns));
        let mut compared = 0;
        for record in &outcome.record {
            match record {
                Record::Entry(entry) => replay.entry(entry),
                // What the engine withdrew because nobody asked in time, a log cannot know.
                Record::Read { at, reading: Some(reading), .. } => {
                    assert_eq!(replay.read(*at).as_ref(), Some(reading), "{family} at {at:?}");
                    compared += 1;
                }
                _ => {}
            }
        }
        assert!(compared > 1_000, "{family}: {compared}");
    }
}
