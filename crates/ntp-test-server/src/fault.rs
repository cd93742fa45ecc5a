//! The ways in which a reply can be wrong, and which replies are.
//!
//! As text: the fault's name and argument, then which replies it befalls.
//!
//! ```text
//! kiss CODE              stratum 0 and four ASCII characters, such as RATE or DENY
//! leap 0..3              none, insert, delete, unsynchronised
//! stratum 0..255
//! wrong-origin           an origin timestamp that nobody sent
//! zero-receive           T2 is zero
//! zero-transmit          T3 is zero
//! backwards DURATION     T3 that much before T2
//! shift-receive SPAN     T2 that far off
//! shift-transmit SPAN    T3 that far off
//! truncate BYTES         no more bytes than this
//! junk BYTES             random bytes after the header
//! extensions COUNT       valid, unknown extension fields after the header
//! mode 0..7              4 is right
//! version 0..7
//! other-port             sent from another port
//! silence                no reply at all
//!
//! FAULT [on] | FAULT next N | FAULT for DURATION | FAULT chance PROBABILITY
//! ```

use std::str::FromStr;
use std::time::Duration;

use fastrand::Rng;
use ntp_clock_core::{Leap, Mode, Span};

use crate::dice::Probability;
use crate::error::ParseError;
use crate::text::{self, Words};

/// One way in which a reply is wrong. Faults of different kinds combine.
#[derive(Clone, Copy, PartialEq, Debug)]
#[non_exhaustive]
pub enum Fault {
    /// A kiss-o'-death packet (RFC 5905 section 7.4): stratum 0, leap indicator 3, and this code
    /// as the reference id. Origin and times are those of a true reply.
    Kiss([u8; 4]),
    /// This leap indicator instead of [`Behaviour::leap`](crate::Behaviour::leap).
    Leap(Leap),
    /// This stratum instead of [`Behaviour::stratum`](crate::Behaviour::stratum).
    Stratum(u8),
    /// A random origin timestamp, which the client never sent.
    WrongOrigin,
    /// T2 is zero.
    ZeroReceive,
    /// T3 is zero.
    ZeroTransmit,
    /// T3 lies so long before T2.
    Backwards(Span),
    /// T2 is so far off from what the server's clock says.
    ShiftReceive(Span),
    /// T3 is so far off from what the server's clock says.
    ShiftTransmit(Span),
    /// Only the first this many bytes are sent (the whole reply, if it is shorter).
    Truncate(usize),
    /// This many random bytes follow the header; at most 60,000.
    Junk(usize),
    /// This many valid extension fields follow the header (RFC 7822; 28 bytes each, of a type for
    /// experiments); at most 2,000.
    Extensions(usize),
    /// Another mode than [`Mode::Server`].
    Mode(Mode),
    /// Another version than the request's; the lowest three bits count.
    Version(u8),
    /// Sent from the same address but another port than the request went to.
    OtherPort,
    /// Not sent at all.
    Silence,
}

/// Which replies a fault befalls.
#[derive(Clone, Copy, PartialEq, Debug)]
#[non_exhaustive]
pub enum When {
    /// Every one until the fault is removed.
    Always,
    /// The next N. A reply that is lost on the way counts; one kept back by silence only
    /// counts for the silence.
    Next(u32),
    /// Those made within this time from now on.
    For(Duration),
    /// Each with this probability.
    Sometimes(Probability),
}

/// The faults in force, at most one of each kind.
///
/// ```
/// use ntp_test_server::{Fault, Faults, When};
/// let mut faults = Faults::default();
/// faults.always(Fault::Truncate(20));
/// faults.next(2, Fault::Kiss(*b"RATE"));
/// faults.retain(|fault| !matches!(fault, Fault::Truncate(_)));
/// assert_eq!(faults.iter().collect::<Vec<_>>(), [(Fault::Kiss(*b"RATE"), When::Next(2))]);
/// ```
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Faults(Vec<Active>);

#[derive(Clone, Copy, PartialEq, Debug)]
struct Active {
    fault: Fault,
    when: When,
    /// When it was set, since the server's start; filled in by the server.
    since: Option<Duration>,
}

impl Faults {
    /// Puts a fault in force, in place of one of the same kind.
    pub fn set(&mut self, fault: Fault, when: When) {
        self.retain(|other| other.name() != fault.name());
        self.0.push(Active { fault, when, since: None });
    }

    /// Puts a fault in force until it is removed.
    pub fn always(&mut self, fault: Fault) {
        self.set(fault, When::Always);
    }

    /// Puts a fault in force for the next this many replies.
    pub fn next(&mut self, replies: u32, fault: Fault) {
        self.set(fault, When::Next(replies));
    }

    /// Removes the faults for which `keep` is false.
    pub fn retain(&mut self, keep: impl Fn(&Fault) -> bool) {
        self.0.retain(|active| keep(&active.fault));
    }

    /// Removes all faults.
    pub fn clear(&mut self) {
        self.0.clear();
    }

    /// The faults in force, and which replies are still to suffer them.
    pub fn iter(&self) -> impl Iterator<Item = (Fault, When)> + '_ {
        self.0.iter().map(|active| (active.fault, active.when))
    }

    /// Starts the time of faults that were set just now.
    pub(crate) fn begin(&mut self, now: Duration) {
        for active in &mut self.0 {
            active.since.get_or_insert(now);
        }
    }

    /// Whether this reply is not to be made.
    pub(crate) fn draw_silence(&mut self, now: Duration, rng: &mut Rng) -> bool {
        !self.draw(now, rng, |fault| matches!(fault, Fault::Silence)).is_empty()
    }

    /// The faults of a reply that is made.
    pub(crate) fn draw_reply(&mut self, now: Duration, rng: &mut Rng) -> Vec<Fault> {
        self.draw(now, rng, |fault| !matches!(fault, Fault::Silence))
    }

    fn draw(&mut self, now: Duration, rng: &mut Rng, of: impl Fn(&Fault) -> bool) -> Vec<Fault> {
        let mut drawn = Vec::new();
        self.0.retain_mut(|active| {
            if !of(&active.fault) {
                return true;
            }
            let (happens, stays) = match &mut active.when {
                When::Always => (true, true),
                When::Next(left) => {
                    let happens = *left > 0;
                    *left = left.saturating_sub(1);
                    (happens, *left > 0)
                }
                When::For(time) => {
                    let within = now < active.since.unwrap_or(now).saturating_add(*time);
                    (within, within)
                }
                When::Sometimes(probability) => (probability.happens(rng), true),
            };
            if happens {
                drawn.push(active.fault);
            }
            stays
        });
        drawn
    }
}

impl Fault {
    /// The name of this kind of fault in text.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Fault::Kiss(_) => "kiss",
            Fault::Leap(_) => "leap",
            Fault::Stratum(_) => "stratum",
            Fault::WrongOrigin => "wrong-origin",
            Fault::ZeroReceive => "zero-receive",
            Fault::ZeroTransmit => "zero-transmit",
            Fault::Backwards(_) => "backwards",
            Fault::ShiftReceive(_) => "shift-receive",
            Fault::ShiftTransmit(_) => "shift-transmit",
            Fault::Truncate(_) => "truncate",
            Fault::Junk(_) => "junk",
            Fault::Extensions(_) => "extensions",
            Fault::Mode(_) => "mode",
            Fault::Version(_) => "version",
            Fault::OtherPort => "other-port",
            Fault::Silence => "silence",
        }
    }

    pub(crate) fn parse(words: &mut Words<'_>) -> Result<Fault, ParseError> {
        let name = words.expect("a fault")?;
        Ok(match name {
            "kiss" => Fault::Kiss(kiss_code(words.expect("a kiss code")?)?),
            "leap" => Fault::Leap(text::leap(words.expect("a leap indicator")?)?),
            "stratum" => Fault::Stratum(byte(words)?),
            "wrong-origin" => Fault::WrongOrigin,
            "zero-receive" => Fault::ZeroReceive,
            "zero-transmit" => Fault::ZeroTransmit,
            "backwards" => Fault::Backwards(text::positive_span(words.expect("a duration")?)?),
            "shift-receive" => Fault::ShiftReceive(text::span(words.expect("a span")?)?),
            "shift-transmit" => Fault::ShiftTransmit(text::span(words.expect("a span")?)?),
            "truncate" => Fault::Truncate(up_to(DATAGRAM_MAX, words)?),
            "junk" => Fault::Junk(up_to(JUNK_MAX, words)?),
            "extensions" => Fault::Extensions(up_to(EXTENSIONS_MAX, words)?),
            "mode" => Fault::Mode(mode(words.expect("a mode")?)?),
            "version" => Fault::Version(three_bits(words.expect("a version")?)?),
            "other-port" => Fault::OtherPort,
            "silence" => Fault::Silence,
            _ => return Err(ParseError::UnknownFault(name.to_owned())),
        })
    }
}

impl FromStr for Fault {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let mut words = Words::new(text);
        let fault = Fault::parse(&mut words)?;
        words.finish().map(|()| fault)
    }
}

impl When {
    /// Reads the words after a fault, down to the last one.
    pub(crate) fn parse(mut words: Words<'_>) -> Result<When, ParseError> {
        let when = match words.next() {
            None | Some("on") => When::Always,
            Some("next") => {
                let count = words.expect("a number of replies after next")?;
                When::Next(text::number("a number of replies", count)?)
            }
            Some("for") => When::For(text::duration(words.expect("a duration after for")?)?),
            Some("chance") => When::Sometimes(words.expect("a probability after chance")?.parse()?),
            Some(word) => return Err(ParseError::Extra(word.to_owned())),
        };
        words.finish().map(|()| when)
    }
}

fn kiss_code(text: &str) -> Result<[u8; 4], ParseError> {
    let ascii = text.bytes().all(|b| b.is_ascii_graphic());
    let code = text.as_bytes().try_into().ok().filter(|_| ascii);
    code.ok_or_else(|| text::value("a kiss code of four ASCII characters", text))
}

fn byte(words: &mut Words<'_>) -> Result<u8, ParseError> {
    text::number("a number from 0 to 255", words.expect("a number from 0 to 255")?)
}

fn up_to(max: usize, words: &mut Words<'_>) -> Result<usize, ParseError> {
    let text = words.expect("a number")?;
    let number = text::number("a whole number", text)?;
    if number > max {
        Err(text::value("a number small enough for a datagram", text))
    } else {
        Ok(number)
    }
}

fn three_bits(text: &str) -> Result<u8, ParseError> {
    let number = text.parse().ok().filter(|n| *n < 8);
    number.ok_or_else(|| text::value("a number from 0 to 7", text))
}

fn mode(text: &str) -> Result<Mode, ParseError> {
    let number = three_bits(text)?;
    let mode = MODES.into_iter().find(|mode| *mode as u8 == number);
    mode.ok_or_else(|| text::value("a mode from 0 to 7", text))
}

/// Even with the header these fit a UDP datagram.
pub(crate) const JUNK_MAX: usize = 60_000;
pub(crate) const EXTENSIONS_MAX: usize = 2_000;
const DATAGRAM_MAX: usize = 65_535;
const MODES: [Mode; 8] = [
    Mode::Reserved,
    Mode::SymmetricActive,
    Mode::SymmetricPassive,
    Mode::Client,
    Mode::Server,
    Mode::Broadcast,
    Mode::Control,
    Mode::Private,
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::names;

    fn drawn(faults: &mut Faults, at_ms: u64) -> Vec<Fault> {
        faults.draw_reply(Duration::from_millis(at_ms), &mut Rng::with_seed(1))
    }

    #[test]
    fn a_fault_for_the_next_two_replies_befalls_two() {
        let mut faults = Faults::default();
        faults.next(2, Fault::WrongOrigin);
        assert_eq!(drawn(&mut faults, 0), [Fault::WrongOrigin]);
        assert_eq!(drawn(&mut faults, 0), [Fault::WrongOrigin]);
        assert_eq!(drawn(&mut faults, 0), []);
        assert_eq!(faults, Faults::default());
    }

    #[test]
    fn a_fault_for_a_while_ends_by_itself() {
        let mut faults = Faults::default();
        faults.set(Fault::ZeroReceive, When::For(Duration::from_millis(10)));
        faults.begin(Duration::from_millis(5));
        assert_eq!(drawn(&mut faults, 14), [Fault::ZeroReceive]);
        assert_eq!(drawn(&mut faults, 15), []);
    }

    #[test]
    fn silence_uses_up_no_other_fault() {
        let mut faults = Faults::default();
        faults.next(1, Fault::Silence);
        faults.next(1, Fault::Kiss(*b"RATE"));
        let mut rng = Rng::with_seed(1);
        assert!(faults.draw_silence(Duration::ZERO, &mut rng));
        assert!(!faults.draw_silence(Duration::ZERO, &mut rng));
        assert_eq!(drawn(&mut faults, 0), [Fault::Kiss(*b"RATE")]);
    }

    #[test]
    fn a_new_fault_replaces_one_of_its_kind() {
        let mut faults = Faults::default();
        faults.always(Fault::Truncate(1));
        faults.always(Fault::Silence);
        faults.next(3, Fault::Truncate(2));
        let all: Vec<_> = faults.iter().collect();
        assert_eq!(all, [(Fault::Silence, When::Always), (Fault::Truncate(2), When::Next(3))]);
    }

    #[test]
    fn every_fault_reads_from_text_under_its_name() {
        let texts = [
            "kiss RATE",
            "leap 3",
            "stratum 16",
            "wrong-origin",
            "zero-receive",
            "zero-transmit",
            "backwards 1s",
            "shift-receive -1h",
            "shift-transmit +1h",
            "truncate 20",
            "junk 100",
            "extensions 2",
            "mode 3",
            "version 3",
            "other-port",
            "silence",
        ];
        for text in texts {
            let fault: Fault = text.parse().unwrap_or_else(|e| panic!("{text}: {e}"));
            assert!(text.starts_with(fault.name()), "{text} read as {fault:?}");
        }
        let names: Vec<_> = names::FAULTS.split(',').map(str::trim).collect();
        assert_eq!(names, texts.map(|text| text.split(' ').next().unwrap_or_default()));
    }

    #[test]
    fn broken_faults_are_refused() {
        for text in ["", "kiss", "kiss RATES", "mode 8", "junk -1", "junk 61000", "silence 5"] {
            assert!(text.parse::<Fault>().is_err(), "{text}");
        }
    }
}
