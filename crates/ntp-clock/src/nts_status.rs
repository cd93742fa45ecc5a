//! What a clock that requires proof says of its keys.

use ntp_clock_core::{Span, UnixTime};

use crate::failure::Failure;
use crate::nts_choice::NtsRoots;

/// What a clock that requires Network Time Security knows of its keys; its readings, where there
/// are any, are of replies that were proved with them.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
#[non_exhaustive]
pub struct NtsStatus {
    /// How many requests can be made before keys must be exchanged.
    pub cookies: usize,
    /// Keys are being exchanged.
    pub exchanging: bool,
    /// Exchanges that gave keys, since the clock was made.
    pub exchanges: u64,
    /// How long the last of them took, from the first packet on.
    pub exchange_took: Option<Span>,
    /// Where time is asked, `host:port`, as the exchange has said.
    pub ntp_host: Option<String>,
    /// Why the last exchange gave no keys, or keys of no use; `None` after a round that was proved
    /// all the same.
    pub last_error: Option<Failure>,
    /// Whom the server's certificate is for.
    pub certificate_subject: Option<String>,
    /// Who has signed it.
    pub certificate_issuer: Option<String>,
    /// When it ends.
    pub certificate_expires: Option<UnixTime>,
    /// Whose word counts for it.
    pub roots: NtsRoots,
}

impl NtsStatus {
    /// What is known before anything else is.
    #[cfg(feature = "nts")]
    pub(crate) fn of(roots: NtsRoots) -> Self {
        NtsStatus { roots, ..NtsStatus::default() }
    }

    /// The protocol that keys are exchanged for: the only one that we ask for.
    pub const PROTOCOL: &str = "NTPv4";
    /// What packets are sealed with: the only one that we ask for.
    pub const AEAD: &str = "AEAD_AES_SIV_CMAC_256";
}
