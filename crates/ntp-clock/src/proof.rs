//! Whether replies must be proved, and by what: the driver's view of plain NTP and of Network Time
//! Security.

use std::fmt;

use ntp_clock_core::{Authenticated, Authentication, LocalTime, Rejection, Transmit, UnixTime};

use crate::carrier::Connecting;
use crate::failure::Failure;
#[cfg(feature = "nts")]
use crate::failure::FailureKind;
#[cfg(feature = "nts")]
use crate::nts::{KeyServer, Keyring};
use crate::nts_choice::{Nts, NtsError};
use crate::nts_status::NtsStatus;
use crate::os::Bell;
use crate::server::Server;

/// What a clock is configured to.
#[derive(Clone, Debug)]
pub(crate) enum Security {
    /// Plain NTP.
    None,
    /// Nothing that was not proved with keys of this server.
    #[cfg(feature = "nts")]
    Nts(KeyServer),
}

impl Security {
    /// What was chosen, with this server, or why it cannot be had.
    pub(crate) fn new(nts: Nts, _server: &Server) -> Result<Self, NtsError> {
        match nts {
            Nts::Off => Ok(Security::None),
            #[cfg(feature = "nts")]
            Nts::Required(roots) => KeyServer::new(_server, roots).map(Security::Nts),
            #[cfg(not(feature = "nts"))]
            Nts::Required(_) => Err(NtsError::NotBuilt),
        }
    }

    pub(crate) const fn authentication(&self) -> Authentication {
        match self {
            Security::None => Authentication::None,
            #[cfg(feature = "nts")]
            Security::Nts(_) => Authentication::Required,
        }
    }

    /// What is known of keys before there are any, where proof is required.
    pub(crate) fn status(&self) -> Option<NtsStatus> {
        match self {
            Security::None => None,
            #[cfg(feature = "nts")]
            Security::Nts(server) => Some(NtsStatus::of(server.trusted().clone())),
        }
    }
}

/// What the driver makes requests and opens replies with.
pub(crate) enum Proof {
    None,
    #[cfg(feature = "nts")]
    Nts(Box<Keyring>),
}

impl Proof {
    /// The bell rings when keys have come.
    pub(crate) fn new(security: Option<&Security>, _bell: Bell) -> Self {
        match security {
            None | Some(Security::None) => Proof::None,
            #[cfg(feature = "nts")]
            Some(Security::Nts(server)) => {
                Proof::Nts(Box::new(Keyring::new(server.clone(), _bell)))
            }
        }
    }

    /// Makes sure that requests of this round can be made. `time` is what the clock reads, if it
    /// does.
    pub(crate) fn prepare(
        &mut self,
        _round: u64,
        _now: LocalTime,
        _time: Option<UnixTime>,
    ) -> Connecting {
        match self {
            Proof::None => Connecting::Ready,
            #[cfg(feature = "nts")]
            Proof::Nts(keyring) => keyring.prepare(_round, _now, _time),
        }
    }

    /// Where time is to be asked from now on, if that has changed.
    pub(crate) fn take_target(&mut self) -> Option<Server> {
        match self {
            Proof::None => None,
            #[cfg(feature = "nts")]
            Proof::Nts(keyring) => keyring.take_target(),
        }
    }

    /// The request as it goes out, made before its moment is taken.
    pub(crate) fn request(&mut self, transmit: &Transmit) -> Result<Vec<u8>, Failure> {
        match self {
            Proof::None => Ok(transmit.ntp_request().to_vec()),
            #[cfg(feature = "nts")]
            Proof::Nts(keyring) => keyring.request(transmit.cookie),
        }
    }

    /// What a datagram of our server's address proves; `None` where it need not. `time` is what the
    /// clock reads, if it does.
    pub(crate) fn open(
        &mut self,
        _datagram: &[u8],
        _time: Option<UnixTime>,
    ) -> Option<Result<Authenticated, Rejection>> {
        match self {
            Proof::None => None,
            #[cfg(feature = "nts")]
            Proof::Nts(keyring) => Some(keyring.open(_datagram, _time)),
        }
    }

    /// Why a reply of our server's was not believed, if its keys say more than that it was not.
    pub(crate) fn take_disproof(&mut self) -> Option<Failure> {
        match self {
            Proof::None => None,
            #[cfg(feature = "nts")]
            Proof::Nts(keyring) => keyring.take_disproof(),
        }
    }

    /// What was proved says that there is no time where it comes from.
    pub(crate) fn useless(&mut self) {
        #[cfg(feature = "nts")]
        if let Proof::Nts(keyring) = self {
            keyring.useless();
        }
    }

    /// Whether a round begun now has keys that the last one had not; says so once of these.
    pub(crate) fn have_keys_come(&mut self) -> bool {
        match self {
            Proof::None => false,
            #[cfg(feature = "nts")]
            Proof::Nts(keyring) => keyring.have_keys_come(),
        }
    }

    /// What a round that had to wait for this has waited for.
    pub(crate) fn overdue(&self) -> Option<Failure> {
        match self {
            Proof::None => None,
            #[cfg(feature = "nts")]
            Proof::Nts(keyring) => keyring.is_exchanging().then(|| {
                let detail = "the key exchange has not finished yet";
                Failure::new(FailureKind::KeyExchange, detail)
            }),
        }
    }

    /// What is known of the keys, where proof is required.
    pub(crate) fn status(&self) -> Option<NtsStatus> {
        match self {
            Proof::None => None,
            #[cfg(feature = "nts")]
            Proof::Nts(keyring) => Some(keyring.status()),
        }
    }

    /// Another machine may go on from the same moment, with the same keys: each needs its own, or
    /// cookies are sent twice.
    pub(crate) fn forget(&mut self) {
        #[cfg(feature = "nts")]
        if let Proof::Nts(keyring) = self {
            keyring.forget();
        }
    }

    /// The machine may be on another network.
    pub(crate) fn moved(&mut self) {
        #[cfg(feature = "nts")]
        if let Proof::Nts(keyring) = self {
            keyring.moved();
        }
    }
}

impl fmt::Debug for Proof {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Proof::None => f.write_str("None"),
            #[cfg(feature = "nts")]
            Proof::Nts(keyring) => keyring.fmt(f),
        }
    }
}

#[cfg(all(test, not(feature = "nts")))]
mod tests {
    use super::*;
    use crate::clock::Clock;
    use crate::config::ConfigError;
    use crate::nts_choice::NtsRoots;

    #[test]
    fn a_program_without_nts_refuses_to_require_it_and_does_not_go_on_with_plain_ntp() {
        let required = Nts::Required(NtsRoots::Platform);
        let refused = Clock::builder().nts(required).build().expect_err("it has none");
        assert_eq!(refused, ConfigError::Nts(NtsError::NotBuilt));
        assert!(refused.to_string().contains("the feature nts"), "{refused}");
        assert!(Clock::builder().nts(Nts::Off).build().is_ok());
    }
}
