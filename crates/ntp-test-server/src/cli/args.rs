//! The options, and what they make of a behaviour.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use ntp_clock_core::{Leap, ReferenceId, Span};

use crate::behaviour::Behaviour;
use crate::delay::Delay;
use crate::dice::Probability;
use crate::error::ParseError;
use crate::fault::{Fault, When};
use crate::text::{self, Words};

/// An NTP server with scripted, seeded faults, for tests and demonstrations.
///
/// Without options it is honest and of stratum 1: its truth is the system's wall clock. It prints
/// "listening on ADDRESS:PORT" as soon as it answers, then the seed of its randomness.
#[derive(clap::Args, Clone, Debug)]
#[command(after_help = "See --help for how delays, faults and scripts are written.")]
#[command(after_long_help = FORMATS)]
pub struct ServerArgs {
    /// Where to listen; port 0 takes any free port
    #[arg(long, value_name = "ADDR:PORT", default_value = "127.0.0.1:0")]
    pub(super) listen: SocketAddr,

    /// Seed of all randomness; drawn and printed if not given
    #[arg(long, value_name = "N")]
    pub(super) seed: Option<u64>,

    /// Change the behaviour by this script (see below)
    #[arg(long, value_name = "FILE")]
    pub(super) script: Option<PathBuf>,

    /// Obey changes on standard input, one a line, answering "ok" or "error: ..."; the line "stats"
    /// prints counts; the server quits at the end of input
    #[arg(long)]
    pub(super) stdin: bool,

    /// Clock: how far it is off, such as +1h or -5ms
    #[arg(long, value_name = "SPAN", value_parser = text::span, allow_hyphen_values = true)]
    #[arg(help_heading = CLOCK)]
    offset: Option<Span>,

    /// Clock: how fast it gains, in parts per million; negative if it loses
    #[arg(long, value_name = "PPM", value_parser = text::finite, allow_hyphen_values = true)]
    #[arg(help_heading = CLOCK)]
    drift: Option<f64>,

    /// Delay of both directions, such as "10ms + exp 2ms"
    #[arg(long, value_name = "DELAY", help_heading = NETWORK)]
    delay: Option<Delay>,

    /// Delay of requests only
    #[arg(long, value_name = "DELAY", help_heading = NETWORK)]
    delay_to_server: Option<Delay>,

    /// Delay of replies only
    #[arg(long, value_name = "DELAY", help_heading = NETWORK)]
    delay_to_client: Option<Delay>,

    /// Probability that a packet is lost, either way, such as 0.1 or 10%
    #[arg(long, value_name = "P", help_heading = NETWORK)]
    loss: Option<Probability>,

    /// Probability that a request is lost
    #[arg(long, value_name = "P", help_heading = NETWORK)]
    loss_to_server: Option<Probability>,

    /// Probability that a reply is lost
    #[arg(long, value_name = "P", help_heading = NETWORK)]
    loss_to_client: Option<Probability>,

    /// Probability that a reply arrives twice
    #[arg(long, value_name = "P", help_heading = NETWORK)]
    duplicate: Option<Probability>,

    /// Probability that a reply is kept back until the next one has gone
    #[arg(long, value_name = "P", help_heading = NETWORK)]
    reorder: Option<Probability>,

    /// How long a reply is kept back if no other follows [default: 500ms]
    #[arg(long, value_name = "DURATION", value_parser = text::duration, help_heading = NETWORK)]
    reorder_hold: Option<Duration>,

    /// Leap indicator: 0 none, 1 insert, 2 delete, 3 unsynchronised
    #[arg(long, value_name = "LEAP", value_parser = text::leap, help_heading = HEADER)]
    leap: Option<Leap>,

    /// Stratum: 0 kiss, 1 primary, 2 to 15 secondary, 16 unsynchronised [default: 1]
    #[arg(long, value_name = "N", help_heading = HEADER)]
    stratum: Option<u8>,

    /// Precision of the clock, log2 seconds [default: -24]
    #[arg(long, value_name = "LOG2", allow_hyphen_values = true, help_heading = HEADER)]
    precision: Option<i8>,

    /// Root delay [default: 0]
    #[arg(long, value_name = "DURATION", value_parser = text::positive_span)]
    #[arg(help_heading = HEADER)]
    root_delay: Option<Span>,

    /// Root dispersion [default: 10us]
    #[arg(long, value_name = "DURATION", value_parser = text::positive_span)]
    #[arg(help_heading = HEADER)]
    root_dispersion: Option<Span>,

    /// Reference id: up to four ASCII characters, or a dotted quad [default: TEST]
    #[arg(long, value_name = "ID", value_parser = text::reference_id, help_heading = HEADER)]
    reference_id: Option<ReferenceId>,

    /// A fault of replies, such as "kiss RATE" or "wrong-origin next 2" (see below); repeatable
    #[arg(long = "fault", value_name = "FAULT", value_parser = fault, help_heading = FAULTS)]
    faults: Vec<(Fault, When)>,
}

impl ServerArgs {
    /// Makes the changes asked for; one for both directions comes before those for one.
    pub(super) fn apply(&self, b: &mut Behaviour) {
        if let Some(delay) = self.delay {
            b.set_delay(delay);
        }
        if let Some(loss) = self.loss {
            b.set_loss(loss);
        }
        set(&mut b.offset, self.offset);
        set(&mut b.drift_ppm, self.drift);
        set(&mut b.to_server.delay, self.delay_to_server);
        set(&mut b.to_client.delay, self.delay_to_client);
        set(&mut b.to_server.loss, self.loss_to_server);
        set(&mut b.to_client.loss, self.loss_to_client);
        set(&mut b.duplicate, self.duplicate);
        set(&mut b.reorder, self.reorder);
        set(&mut b.reorder_hold, self.reorder_hold);
        set(&mut b.leap, self.leap);
        set(&mut b.stratum, self.stratum);
        set(&mut b.precision_log2_s, self.precision);
        set(&mut b.root_delay, self.root_delay);
        set(&mut b.root_dispersion, self.root_dispersion);
        set(&mut b.reference_id, self.reference_id);
        for (fault, when) in &self.faults {
            b.faults.set(*fault, *when);
        }
    }
}

fn set<T>(field: &mut T, value: Option<T>) {
    if let Some(value) = value {
        *field = value;
    }
}

fn fault(text: &str) -> Result<(Fault, When), ParseError> {
    let mut words = Words::new(text);
    let fault = Fault::parse(&mut words)?;
    Ok((fault, When::parse(words)?))
}

const CLOCK: &str = "Clock";
const NETWORK: &str = "Network";
const HEADER: &str = "What the server says about itself";
const FAULTS: &str = "Faults of replies";

const FORMATS: &str = "\
Times: a number and a unit, ns, us, ms, s, m or h: 10ms, 1.5s, 20us. A SPAN may have a sign.

DELAY: terms joined by +, each kind at most once:
  10ms                              always
  exp 2ms                           exponential with this mean
  uniform 1ms                       evenly from 0 to this
  pareto 1ms 1.5 cap 500ms          at least 1ms, shape 1.5, at most 500ms
  lognormal 3ms 0.8 cap 500ms       median 3ms, sigma 0.8, at most 500ms
  burst 140ms on 2s off 10s         longer by this much during bursts; mean times on and off

FAULT:
  kiss CODE                         stratum 0 with four ASCII characters: RATE, DENY, RSTR ...
  leap 0..3, stratum 0..255         as the options, but for some replies
  wrong-origin                      an origin timestamp that the client never sent
  zero-receive, zero-transmit       T2, T3 are zero
  backwards DURATION                T3 that much before T2
  shift-receive SPAN                T2 that far off
  shift-transmit SPAN               T3 that far off
  truncate BYTES                    no more bytes than this
  junk BYTES                        random bytes after a valid header
  extensions COUNT                  valid extension fields after the header
  mode 0..7, version 0..7           other than mode 4 and the request's version
  other-port                        sent from another port
  silence                           no reply
followed by nothing for all replies, or by
  next N | for DURATION | chance P  the next N, those within a time, each with a probability

Script: one change a line, after the time since the start at which it happens; # begins a comment:
  10s silence on
  20s silence off
  20s offset +1h
  30s kiss RATE next 3
  40s delay-to-server 10ms + burst 140ms on 2s off 10s
Changes (also on standard input with --stdin, without the time):
  offset SPAN, step SPAN, drift PPM
  delay, delay-to-server, delay-to-client DELAY
  loss, loss-to-server, loss-to-client, duplicate P
  reorder P [hold DURATION]
  leap, stratum, precision, root-delay, root-dispersion, reference-id VALUE
  FAULT [on | next N | for DURATION | chance P]
  NAME off                          ends that fault
  faults off                        ends all faults
  honest                            everything as by default";

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Cli {
        #[command(flatten)]
        args: ServerArgs,
    }

    fn behaviour(options: &[&str]) -> Result<Behaviour, clap::Error> {
        let all = ["ntp-test-server"].iter().chain(options);
        let args = Cli::try_parse_from(all)?.args;
        let mut b = Behaviour::default();
        args.apply(&mut b);
        Ok(b)
    }

    #[test]
    fn no_options_mean_the_default_behaviour() {
        assert_eq!(behaviour(&[]).unwrap(), Behaviour::default());
    }

    #[test]
    fn each_option_does_what_the_change_of_its_name_does() {
        let cases = [
            ("offset", "-5ms"),
            ("offset", "+1h"),
            ("drift", "-20"),
            ("delay", "10ms + exp 2ms"),
            ("delay-to-server", "burst 140ms on 2s off 10s"),
            ("delay-to-client", "pareto 1ms 1.5 cap 500ms"),
            ("loss", "10%"),
            ("loss-to-server", "0.2"),
            ("loss-to-client", "0.3"),
            ("duplicate", "0.4"),
            ("reorder", "0.5"),
            ("leap", "2"),
            ("stratum", "16"),
            ("precision", "-18"),
            ("root-delay", "1ms"),
            ("root-dispersion", "2ms"),
            ("reference-id", "10.0.0.1"),
            ("fault", "kiss RATE"),
            ("fault", "wrong-origin next 2"),
            ("fault", "silence for 5s"),
        ];
        for (name, value) in cases {
            let text = format!("{} {value}", if name == "fault" { "" } else { name });
            let mut changed = Behaviour::default();
            text.parse::<crate::Change>().unwrap().apply(&mut changed);
            assert_ne!(changed, Behaviour::default(), "{text}");
            assert_eq!(behaviour(&[&format!("--{name}"), value]).unwrap(), changed, "{text}");
        }
        let hold = behaviour(&["--reorder-hold", "20ms"]).unwrap().reorder_hold;
        assert_eq!(hold, Duration::from_millis(20));
    }

    #[test]
    fn an_option_for_one_direction_wins_over_that_for_both() {
        let b = behaviour(&["--loss-to-client", "0", "--loss", "1"]).unwrap();
        assert_eq!((b.to_server.loss, b.to_client.loss), (Probability::ALWAYS, Probability::NEVER));
    }

    #[test]
    fn the_help_names_every_fault_and_change() {
        let names = crate::names::CHANGES.replace(" or a fault: ", " ").replace('\'', "");
        for name in names.split(',').map(str::trim) {
            assert!(FORMATS.contains(name), "{name}");
        }
    }
}
