//! A recorded run says the same again: in the simulator and by the log alone.

use std::fmt::Write;

use ntp_clock::log::{Answer, Line, replay};
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
    for family in [
        Family::Wan,
        Family::Mobile,
        Family::Suspend,
        Family::CoarseCounter,
        Family::Frozen,
        Family::FrozenNoticed,
    ] {
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

#[test]
fn what_the_command_replays_from_the_written_log_is_what_the_engine_answered() {
    for family in [Family::Wan, Family::Mobile, Family::Suspend, Family::ServerStep] {
        let setup = Setup::draw(family, 4).lasting_hours(6.0);
        let (mut log, mut expected) = (String::new(), String::new());
        for record in run(&setup, &mut [], RECORDED).record {
            match record {
                Record::Entry(entry) => {
                    let line = Line::of_entry(&entry).expect("every entry has a line");
                    let _ = writeln!(log, "{line}");
                }
                Record::Read { at, reading: Some(reading), .. } => {
                    let _ = writeln!(log, "{}", Line::Read { local: at });
                    let answer = Answer { local: at, reading: Some(reading) };
                    let _ = writeln!(expected, "{answer}");
                }
                _ => {}
            }
        }
        let mut answers = Vec::new();
        let summary = replay(log.as_bytes(), &mut answers).expect("a sound log");
        assert!(summary.exchanges > 200 && summary.answered > 1_000, "{family}: {summary:?}");
        assert_eq!(summary.answered, summary.reads);
        let answers = String::from_utf8(answers).expect("text");
        let differ = answers.lines().zip(expected.lines()).find(|(a, b)| a != b);
        assert_eq!((differ, answers.len()), (None, expected.len()), "{family}");
    }
}
