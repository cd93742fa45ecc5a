//! The texts of the tracestate member and of the response header.

use std::fmt;
use std::str::FromStr;

use ntp_clock::LocalTime;

/// What the sender of a request says of its counter: the value of the tracestate member
/// `ntpclock`.
///
/// ```
/// use ntp_clock_opentelemetry::Member;
///
/// let member: Member = "1.5e884898da280471.1200".parse()?;
/// assert_eq!((member.counter.as_str(), member.sent.as_nanos()), ("5e884898da280471", 1_200));
/// assert_eq!(member.to_string(), "1.5e884898da280471.1200");
/// assert!("2.5e884898da280471.1200".parse::<Member>().is_err());
/// # Ok::<(), ntp_clock_opentelemetry::MemberError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// The sender's counter: 16 hexadecimal digits, and `~500` if its system steers it by up to so
    /// many parts per million.
    pub counter: String,
    /// When the request left, by that counter.
    pub sent: LocalTime,
    /// An earlier exchange of the sender with whom it asks, if it knows one.
    pub exchange: Option<Exchanged>,
}

/// A completed exchange: sent and answered by the one who says so, received and sent by its peer.
///
/// ```
/// use ntp_clock_opentelemetry::Member;
///
/// let text = "1.5e884898da280471.1200.00000000000000ff~500.10.7010.7020.40";
/// let exchange = text.parse::<Member>()?.exchange.unwrap();
/// assert_eq!(exchange.peer, "00000000000000ff~500");
/// assert_eq!(exchange.stamps.map(|stamp| stamp.as_nanos()), [10, 7010, 7020, 40]);
/// # Ok::<(), ntp_clock_opentelemetry::MemberError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exchanged {
    /// The peer's counter.
    pub peer: String,
    /// Sent by the sender's counter, received and answered by the peer's, and the answer received
    /// by the sender's: T1 to T4 as in NTP.
    pub stamps: [LocalTime; 4],
}

/// What a server says of its counter: the value of the response header `ntp-clock-exchange`.
///
/// ```
/// use ntp_clock_opentelemetry::Answer;
///
/// let answer: Answer = "1.5e884898da280471.40.1200.1300".parse()?;
/// let stamps = [answer.sent, answer.received, answer.answered];
/// assert_eq!(stamps.map(|stamp| stamp.as_nanos()), [40, 1_200, 1_300]);
/// # Ok::<(), ntp_clock_opentelemetry::MemberError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The server's counter.
    pub counter: String,
    /// When the request that it answers left, by the sender's counter: what its [`Member`] said.
    pub sent: LocalTime,
    /// When that request arrived, by the server's counter.
    pub received: LocalTime,
    /// When the response left, by the server's counter.
    pub answered: LocalTime,
}

/// The text is not what this version writes. It came from the network: go on without it.
///
/// ```
/// use ntp_clock_opentelemetry::Answer;
/// let error = "1.5e884898da280471".parse::<Answer>().unwrap_err();
/// assert_eq!(error.to_string(), "not a counter and its stamps of version 1");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MemberError;

impl fmt::Display for MemberError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not a counter and its stamps of version 1")
    }
}

impl std::error::Error for MemberError {}

impl FromStr for Member {
    type Err = MemberError;

    fn from_str(text: &str) -> Result<Self, MemberError> {
        let fields = fields(text)?;
        let [counter, sent, exchange @ ..] = &fields[..] else { return Err(MemberError) };
        let (counter, sent) = (name(counter)?, moment(sent)?);
        let exchange = match exchange {
            [] => None,
            [peer, t1, t2, t3, t4] => {
                let stamps = [moment(t1)?, moment(t2)?, moment(t3)?, moment(t4)?];
                let [t1, t2, t3, t4] = stamps;
                if t4 < t1 || t3 < t2 || sent < t4 || *peer == counter {
                    return Err(MemberError);
                }
                Some(Exchanged { peer: name(peer)?, stamps })
            }
            _ => return Err(MemberError),
        };
        Ok(Member { counter, sent, exchange })
    }
}

impl fmt::Display for Member {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "1.{}.{}", self.counter, self.sent.as_nanos())?;
        let Some(Exchanged { peer, stamps }) = &self.exchange else { return Ok(()) };
        write!(f, ".{peer}")?;
        stamps.iter().try_for_each(|stamp| write!(f, ".{}", stamp.as_nanos()))
    }
}

impl FromStr for Answer {
    type Err = MemberError;

    fn from_str(text: &str) -> Result<Self, MemberError> {
        let fields = fields(text)?;
        let [counter, sent, received, answered] = fields[..] else { return Err(MemberError) };
        let (sent, received, answered) = (moment(sent)?, moment(received)?, moment(answered)?);
        if answered < received {
            return Err(MemberError);
        }
        Ok(Answer { counter: name(counter)?, sent, received, answered })
    }
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [sent, received, answered] =
            [self.sent, self.received, self.answered].map(LocalTime::as_nanos);
        write!(f, "1.{}.{sent}.{received}.{answered}", self.counter)
    }
}

fn fields(text: &str) -> Result<Vec<&str>, MemberError> {
    Ok(text.strip_prefix("1.").ok_or(MemberError)?.split('.').collect())
}

fn name(text: &str) -> Result<String, MemberError> {
    let (id, steering) = text.split_once('~').map_or((text, None), |(id, ppm)| (id, Some(ppm)));
    let hexadecimal = id.len() == 16 && id.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    let steered = steering
        .is_none_or(|ppm| (1..=6).contains(&ppm.len()) && !ppm.starts_with('0') && is_number(ppm));
    if hexadecimal && steered { Ok(text.to_owned()) } else { Err(MemberError) }
}

/// Digits as they are written here, and no other way to write the same.
fn moment(text: &str) -> Result<LocalTime, MemberError> {
    if !is_number(text) || (text.len() > 1 && text.starts_with('0')) {
        return Err(MemberError);
    }
    text.parse().map(LocalTime::from_nanos).map_err(|_| MemberError)
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_member_that_is_cut_short_is_refused_and_nothing_panics() {
        let good = "1.5e884898da280471~500.12.00000000000000ff.1.2.3.4";
        assert_eq!(good.parse::<Member>().expect("good").to_string(), good);
        for cut in 0..good.len() {
            let parsed = good[..cut].parse::<Member>();
            assert!(
                parsed.is_err() || parsed.is_ok_and(|member| member.exchange.is_none()),
                "{cut}"
            );
        }
        assert_eq!("1.\u{e9}5e884898da28047.1".parse::<Member>(), Err(MemberError));
    }
}
