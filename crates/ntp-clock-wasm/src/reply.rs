//! A relay's reply, as it comes from JavaScript.

use ntp_clock_core::{Leap, ReferenceId, Rejection, ServerReply};

use crate::millis;

/// A relay's reply as it came: NaN stands for what is missing or is no number.
#[derive(Clone, Copy, Debug)]
pub struct RelayReply {
    /// When the request reached the relay, Unix milliseconds.
    pub receive_ms: f64,
    /// When the reply left it, Unix milliseconds.
    pub send_ms: f64,
    /// Round trip from the relay to the primary source, milliseconds.
    pub root_delay_ms: f64,
    /// The relay's error besides, milliseconds.
    pub root_dispersion_ms: f64,
    /// The relay's distance from the primary source, 1 to 16.
    pub stratum: f64,
    /// Its leap indicator, 0 to 3.
    pub leap: f64,
}

impl RelayReply {
    /// The names of its numbers, in the order of [`RelayReply::of`].
    pub const NAMES: [&'static str; RelayReply::FIELDS] =
        ["receiveMs", "sendMs", "rootDelayMs", "rootDispersionMs", "stratum", "leap"];
    const FIELDS: usize = 6;

    /// A reply out of its numbers.
    #[must_use]
    pub fn of(numbers: [f64; RelayReply::FIELDS]) -> Self {
        let [receive_ms, send_ms, root_delay_ms, root_dispersion_ms, stratum, leap] = numbers;
        RelayReply { receive_ms, send_ms, root_delay_ms, root_dispersion_ms, stratum, leap }
    }

    /// The server's half of an exchange, its numbers being numbers; what they say is for
    /// [`Exchange::new`](ntp_clock_core::Exchange::new) to judge.
    pub(crate) fn checked(self) -> Result<ServerReply, Rejection> {
        let whole = |number: f64, end: f64| {
            ((0.0..end).contains(&number) && libm::floor(number) == number).then_some(number as u8)
        };
        let stratum = whole(self.stratum, 256.0).ok_or(Rejection::Malformed)?;
        let leap = whole(self.leap, 4.0).map(Leap::from_bits).ok_or(Rejection::Malformed)?;
        // Who is not synchronised gives no time, and need not.
        if leap == Leap::Unsynchronised || stratum > 15 {
            return Err(Rejection::Unsynchronised);
        }
        let time = |ms| millis::unix(ms).ok_or(Rejection::Malformed);
        let error = |ms| millis::error(ms).ok_or(Rejection::Malformed);
        Ok(ServerReply {
            receive_time: time(self.receive_ms)?,
            transmit_time: time(self.send_ms)?,
            root_delay: error(self.root_delay_ms)?,
            root_dispersion: error(self.root_dispersion_ms)?,
            precision_log2_s: DOUBLE_PRECISION_LOG2_S,
            leap,
            stratum,
            reference_id: ReferenceId::NONE,
        })
    }
}

/// Times in milliseconds come as doubles, right to an eighth of a microsecond at both ends.
const DOUBLE_PRECISION_LOG2_S: i8 = -21;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_number_is_the_field_that_its_name_says() {
        let reply = RelayReply::of([0.0, 1.0, 2.0, 3.0, 4.0, 5.0]);
        let spelled = format!("{reply:?}").replace('_', "").to_lowercase();
        for (place, name) in RelayReply::NAMES.iter().enumerate() {
            assert!(spelled.contains(&format!("{}: {place}.0", name.to_lowercase())), "{spelled}");
        }
    }
}
