//! What the environment chooses: the server of clocks that nobody configures, and whether its
//! replies must be proved.

use std::env;
use std::ffi::OsString;
use std::path::PathBuf;

use crate::host::{BadWord, Sharing};
use crate::nts_choice::{Nts, NtsError, NtsRoots};
use crate::proof::Security;
use crate::server::{Server, ServerError};
use crate::text::bare;

impl Server {
    /// The server that `PORTACODE_NTP_SERVER` names, else `time.cloudflare.com`.
    ///
    /// # Errors
    /// [`EnvironmentError::Server`] where it is malformed.
    pub fn from_env() -> Result<Server, EnvironmentError> {
        server().map_err(EnvironmentError::Server)
    }
}

impl Nts {
    /// What `PORTACODE_NTP_NTS` says, off by default, with the roots that `PORTACODE_NTP_NTS_CA`
    /// names.
    ///
    /// # Errors
    /// [`EnvironmentError::Nts`] where it is neither "off" nor "required".
    pub fn from_env() -> Result<Nts, EnvironmentError> {
        nts().map_err(EnvironmentError::Nts)
    }
}

impl NtsRoots {
    /// Those in the file that `PORTACODE_NTP_NTS_CA` names, else the platform's.
    #[must_use]
    pub fn from_env() -> NtsRoots {
        let Some(file) = env::var_os(ROOTS) else { return NtsRoots::Platform };
        // A name that is no text has no quotation marks of an editor's around it.
        let file = file.into_string().map_or_else(PathBuf::from, |text| bare(&text).into());
        NtsRoots::File(file)
    }
}

pub(crate) fn server() -> Result<Server, ServerError> {
    text_of(SERVER).map_or_else(|| Ok(Server::cloudflare()), |text| text.parse())
}

pub(crate) fn nts() -> Result<Nts, NtsError> {
    match text_of(NTS).map_or(Ok(Nts::Off), |text| text.parse())? {
        Nts::Off => Ok(Nts::Off),
        Nts::Required(_) => Ok(Nts::Required(NtsRoots::from_env())),
    }
}

/// How the clock that all of the program shares is shared with other programs of this machine.
pub(crate) fn sharing() -> Result<Option<Sharing>, BadWord> {
    env::var_os(SHARED).map_or(Ok(None), |word| Sharing::from_word(&word))
}

/// Why the clock that all of the program shares will never be synchronised: the environment's
/// words for it cannot be followed.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EnvironmentError {
    /// `PORTACODE_NTP_SERVER` is malformed.
    #[error("environment variable {SERVER}: {0}")]
    Server(ServerError),
    /// `PORTACODE_NTP_NTS` is neither word, or what it requires cannot be had, perhaps for the file
    /// that `PORTACODE_NTP_NTS_CA` names.
    #[error("environment variable {variable}: {0}", variable = variable_of(.0))]
    Nts(NtsError),
}

impl EnvironmentError {
    /// What keeps a clock with this server and these proofs from ever asking anybody.
    pub(crate) fn of(
        server: &Result<Server, ServerError>,
        security: &Result<Security, NtsError>,
    ) -> Option<Self> {
        let server = || server.as_ref().err().cloned().map(EnvironmentError::Server);
        let security = || security.as_ref().err().cloned().map(EnvironmentError::Nts);
        server().or_else(security)
    }
}

/// The variable whose fault it is.
fn variable_of(error: &NtsError) -> &'static str {
    match error {
        NtsError::Unreadable(..) | NtsError::Unusable(..) | NtsError::Empty(_) => ROOTS,
        _ => NTS,
    }
}

/// What is no text is of no use either, and the message shows why.
fn text_of(variable: &str) -> Option<String> {
    let value = env::var_os(variable)?;
    Some(OsString::into_string(value).unwrap_or_else(|raw| raw.to_string_lossy().into_owned()))
}

const SERVER: &str = "PORTACODE_NTP_SERVER";
const SHARED: &str = "PORTACODE_NTP_SHARED";
const NTS: &str = "PORTACODE_NTP_NTS";
const ROOTS: &str = "PORTACODE_NTP_NTS_CA";
