//! A change of behaviour, as a function or as text.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use crate::behaviour::Behaviour;
use crate::error::ParseError;
use crate::fault::{Fault, When};
use crate::names;
use crate::text::{self, Words};

/// One change of a server's [`Behaviour`].
///
/// From text it is one of
///
/// ```text
/// offset SPAN              the clock is off by this from now on
/// step SPAN                the clock jumps by this
/// drift PPM                the clock gains (or, negative, loses) so much
/// delay DELAY              both ways; also delay-to-server, delay-to-client
/// loss PROBABILITY         both ways; also loss-to-server, loss-to-client
/// duplicate PROBABILITY    replies sent twice
/// reorder PROBABILITY [hold DURATION]
/// leap 0..3                none, insert, delete, unsynchronised
/// stratum 0..255
/// precision LOG2           of a second, -128..127
/// root-delay DURATION
/// root-dispersion DURATION
/// reference-id TEXT        up to four ASCII characters, or a dotted quad
/// FAULT [on]               the fault befalls every reply
/// FAULT next N             the next N replies
/// FAULT for DURATION       those made within the duration
/// FAULT chance PROBABILITY each with the probability
/// FAULT-NAME off           that fault is over
/// faults off               all faults are over
/// honest                   everything is as by default
/// ```
///
/// where a DELAY is written as in `10ms + exp 2ms + burst 140ms on 2s off 10s` (see
/// [`Delay`](crate::Delay)) and a FAULT as in `kiss RATE` (see [`Fault`]).
///
/// ```
/// use ntp_clock_core::Span;
/// use ntp_test_server::{Behaviour, Change};
/// let mut b = Behaviour::default();
/// "step -1.5s".parse::<Change>()?.apply(&mut b);
/// Change::new(|b| b.stratum = 3).apply(&mut b);
/// assert_eq!((b.offset, b.stratum), (Span::from_millis(-1_500), 3));
/// # Ok::<(), ntp_test_server::ParseError>(())
/// ```
#[derive(Clone)]
pub struct Change {
    apply: Arc<dyn Fn(&mut Behaviour) + Send + Sync>,
    text: Option<String>,
}

impl Change {
    /// The change that this function makes.
    pub fn new(apply: impl Fn(&mut Behaviour) + Send + Sync + 'static) -> Self {
        Change { apply: Arc::new(apply), text: None }
    }

    /// Makes the change.
    pub fn apply(&self, behaviour: &mut Behaviour) {
        (self.apply)(behaviour);
    }
}

impl fmt::Debug for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Change({})", self.text.as_deref().unwrap_or("a function"))
    }
}

impl FromStr for Change {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let change = parse(Words::new(text))?;
        Ok(Change { text: Some(text.trim().to_owned()), ..change })
    }
}

fn parse(mut words: Words<'_>) -> Result<Change, ParseError> {
    let all = words.clone();
    let name = words.expect("a change")?;
    let change = match name {
        "offset" => {
            let span = text::span(words.expect("a span after offset")?)?;
            Change::new(move |b| b.offset = span)
        }
        "step" => {
            let span = text::span(words.expect("a span after step")?)?;
            Change::new(move |b| b.offset += span)
        }
        "drift" => {
            let ppm = text::finite(words.expect("a number of ppm after drift")?)?;
            Change::new(move |b| b.drift_ppm = ppm)
        }
        "delay" | "delay-to-server" | "delay-to-client" => delay(name, &words.rest())?,
        "loss" | "loss-to-server" | "loss-to-client" => loss(name, &mut words)?,
        "duplicate" => {
            let chance = words.expect("a probability after duplicate")?.parse()?;
            Change::new(move |b| b.duplicate = chance)
        }
        "reorder" => reorder(&mut words)?,
        "precision" => {
            let word = words.expect("a power of two after precision")?;
            let log2_s = text::number("a whole number from -128 to 127", word)?;
            Change::new(move |b| b.precision_log2_s = log2_s)
        }
        "root-delay" => {
            let span = text::positive_span(words.expect("a duration after root-delay")?)?;
            Change::new(move |b| b.root_delay = span)
        }
        "root-dispersion" => {
            let span = text::positive_span(words.expect("a duration after root-dispersion")?)?;
            Change::new(move |b| b.root_dispersion = span)
        }
        "reference-id" => {
            let id = text::reference_id(words.expect("a text after reference-id")?)?;
            Change::new(move |b| b.reference_id = id)
        }
        "honest" => Change::new(|b| *b = Behaviour::default()),
        "faults" => {
            if !words.take("off") {
                return Err(ParseError::Missing("'off'"));
            }
            Change::new(|b| b.faults.clear())
        }
        _ => return fault(all),
    };
    words.finish().map(|()| change)
}

fn delay(name: &str, spec: &str) -> Result<Change, ParseError> {
    let delay = spec.parse()?;
    Ok(match name {
        "delay-to-server" => Change::new(move |b| b.to_server.delay = delay),
        "delay-to-client" => Change::new(move |b| b.to_client.delay = delay),
        _ => Change::new(move |b| b.set_delay(delay)),
    })
}

fn loss(name: &str, words: &mut Words<'_>) -> Result<Change, ParseError> {
    let loss = words.expect("a probability after loss")?.parse()?;
    Ok(match name {
        "loss-to-server" => Change::new(move |b| b.to_server.loss = loss),
        "loss-to-client" => Change::new(move |b| b.to_client.loss = loss),
        _ => Change::new(move |b| b.set_loss(loss)),
    })
}

fn reorder(words: &mut Words<'_>) -> Result<Change, ParseError> {
    let chance = words.expect("a probability after reorder")?.parse()?;
    let hold = match words.take("hold") {
        true => Some(text::duration(words.expect("a duration after hold")?)?),
        false => None,
    };
    Ok(Change::new(move |b| {
        b.reorder = chance;
        b.reorder_hold = hold.unwrap_or(b.reorder_hold);
    }))
}

/// A fault set or taken away. Without a limit, `leap` and `stratum` set the server's own fields:
/// the replies are the same, and a later `stratum 1` undoes it.
fn fault(mut words: Words<'_>) -> Result<Change, ParseError> {
    let mut after_name = words.clone();
    let name = after_name.expect("a change")?;
    if after_name.take("off") {
        if !fault_names().any(|known| known == name) {
            return Err(ParseError::UnknownChange(name.to_owned()));
        }
        let name = name.to_owned();
        let change = Change::new(move |b| b.faults.retain(|fault| fault.name() != name));
        return after_name.finish().map(|()| change);
    }
    let fault = Fault::parse(&mut words).map_err(|error| match error {
        ParseError::UnknownFault(name) => ParseError::UnknownChange(name),
        other => other,
    })?;
    let when = When::parse(words)?;
    Ok(match (fault, when) {
        (Fault::Leap(leap), When::Always) => Change::new(move |b| b.leap = leap),
        (Fault::Stratum(stratum), When::Always) => Change::new(move |b| b.stratum = stratum),
        _ => Change::new(move |b| b.faults.set(fault, when)),
    })
}

fn fault_names() -> impl Iterator<Item = &'static str> {
    names::FAULTS.split(',').map(str::trim)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::delay::Delay;
    use crate::dice::Probability;
    use ntp_clock_core::{Leap, ReferenceId, Span};
    use std::time::Duration;

    fn after(changes: &[&str]) -> Behaviour {
        let mut b = Behaviour::default();
        for text in changes {
            let change: Change = text.parse().unwrap_or_else(|e| panic!("{text}: {e}"));
            change.apply(&mut b);
        }
        b
    }

    #[test]
    fn each_change_sets_its_field() {
        type Edit = fn(&mut Behaviour);
        let expected = |edit: Edit| {
            let mut b = Behaviour::default();
            edit(&mut b);
            b
        };
        let cases: [(&str, Edit); 14] = [
            ("offset +1h", |b| b.offset = Span::from_secs(3600)),
            ("drift -12.5", |b| b.drift_ppm = -12.5),
            ("delay 1ms", |b| b.set_delay(Delay::fixed(Duration::from_millis(1)))),
            ("delay-to-server 1ms + exp 2ms", |b| {
                let fixed = Delay::fixed(Duration::from_millis(1));
                b.to_server.delay = fixed.with_exponential(Duration::from_millis(2));
            }),
            ("loss 5%", |b| b.set_loss(Probability::new(0.05))),
            ("loss-to-client 1", |b| b.to_client.loss = Probability::ALWAYS),
            ("duplicate 1", |b| b.duplicate = Probability::ALWAYS),
            ("reorder 1 hold 20ms", |b| {
                b.reorder = Probability::ALWAYS;
                b.reorder_hold = Duration::from_millis(20);
            }),
            ("leap unsynchronised", |b| b.leap = Leap::Unsynchronised),
            ("stratum 16", |b| b.stratum = 16),
            ("precision -18", |b| b.precision_log2_s = -18),
            ("root-delay 3ms", |b| b.root_delay = Span::from_millis(3)),
            ("root-dispersion 4ms", |b| b.root_dispersion = Span::from_millis(4)),
            ("reference-id PPS", |b| b.reference_id = ReferenceId::from_bytes(*b"PPS\0")),
        ];
        for (text, edit) in cases {
            assert_eq!(after(&[text]), expected(edit), "{text}");
        }
    }

    #[test]
    fn faults_come_with_their_limits_and_go_by_name() {
        let b = after(&["silence on", "wrong-origin next 2", "junk 9 for 3s", "mode 3 chance 10%"]);
        let all: Vec<_> = b.faults.iter().collect();
        assert_eq!(all[0], (Fault::Silence, When::Always));
        assert_eq!(all[1], (Fault::WrongOrigin, When::Next(2)));
        assert_eq!(all[2], (Fault::Junk(9), When::For(Duration::from_secs(3))));
        assert!(matches!(all[3], (Fault::Mode(_), When::Sometimes(p)) if p.get() == 0.1));
        let b = after(&["silence on", "kiss RATE", "silence off"]);
        assert_eq!(b.faults.iter().count(), 1);
        assert_eq!(after(&["silence", "kiss RATE", "faults off"]), Behaviour::default());
        assert_eq!(after(&["offset 1s", "silence", "honest"]), Behaviour::default());
    }

    #[test]
    fn messages_say_what_is_wrong() {
        let error =
            |text: &str| text.parse::<Change>().map_or_else(|e| e.to_string(), |_| "-".into());
        assert_eq!(
            error("offset fast"),
            "'fast' is not a length of time such as 10ms, 1.5s or 20us"
        );
        assert_eq!(error("offset"), "a span after offset is missing");
        assert_eq!(error("kiss RAT"), "'RAT' is not a kiss code of four ASCII characters");
        assert_eq!(error("loss 2"), "'2' is not a probability such as 0.25 or 25%");
        assert_eq!(error("silence maybe"), "'maybe' is too much");
        assert_eq!(error("honest yes"), "'yes' is too much");
        assert!(error("ofset 1s").starts_with("'ofset' is not a change (try: offset, step, "));
        assert!(error("ofset off").starts_with("'ofset' is not a change"));
        assert!(names::CHANGES.ends_with(names::FAULTS));
    }
}
