//! Why a clock has no time: a kind for programs, a text for people.

use std::fmt;
use std::io;

use ntp_clock_core::{AttemptError, Rejection};

/// What kept a clock from synchronising.
///
/// `Display` gives the text, which may change between versions; [`Failure::code`] stays.
///
/// ```
/// use std::time::Duration;
/// use ntp_clock::{Clock, FailureKind};
///
/// let clock = Clock::builder().server("no-such-host.invalid".parse().unwrap()).build().unwrap();
/// let error = clock.sync_now().unwrap_err();
/// println!("{}: {error}", error.failure().code());
/// ```
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Failure {
    kind: FailureKind,
    detail: String,
}

impl Failure {
    pub(crate) fn new(kind: FailureKind, detail: impl Into<String>) -> Self {
        Failure { kind, detail: detail.into() }
    }

    /// An attempt that failed for this reason, with what its carrier met, which says more than
    /// that nothing was sent or came back.
    pub(crate) fn of_attempt(reason: AttemptError, trouble: Option<Failure>) -> Self {
        match (trouble, reason) {
            (Some(trouble), AttemptError::NoReply | AttemptError::NotSent) => {
                Failure::new(trouble.kind, format!("{reason} ({trouble})"))
            }
            // The reply was proved, by keys that are worth nothing.
            (Some(trouble), AttemptError::Rejected(Rejection::Unauthenticated))
                if matches!(trouble.kind, FailureKind::Certificate | FailureKind::KeyExchange) =>
            {
                trouble
            }
            _ => Failure::new(FailureKind::Attempt(reason), reason.to_string()),
        }
    }

    /// What kind of failure it is.
    #[must_use]
    pub fn kind(&self) -> FailureKind {
        self.kind
    }

    /// The failure in one word, see [`FailureKind::code`].
    #[must_use]
    pub fn code(&self) -> &'static str {
        self.kind.code()
    }

    /// The failure in words: what happened, to what.
    #[must_use]
    pub fn detail(&self) -> &str {
        &self.detail
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.detail)
    }
}

impl std::error::Error for Failure {}

/// The kinds of [`Failure`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum FailureKind {
    /// An attempt had no believed reply, for this reason.
    Attempt(AttemptError),
    /// There is no server to ask: the environment variable that names it is malformed.
    NoServer,
    /// Network Time Security is required and cannot be had here: the environment variables that
    /// choose it are malformed, their file is of no use, or this program has none in it.
    NoNts,
    /// The server's name has no address, or none was found in time.
    NoAddress,
    /// The server's name leads to an address that is never used, such as `0.0.0.0`.
    ForbiddenAddress,
    /// The server's machine refused the packet: nobody listens there.
    Refused,
    /// There is no way to the server's network or machine.
    Unreachable,
    /// The system does not let this program send (a firewall, a sandbox).
    NotPermitted,
    /// The system has no descriptors, memory or threads left for this program.
    NoResources,
    /// The system gave no random bits, without which a reply could be forged.
    NoRandomness,
    /// No keys for Network Time Security could be exchanged with the server, or they are used up.
    KeyExchange,
    /// The server's certificate does not prove its name, here and now.
    Certificate,
    /// The machine's processors do not agree about the counter, so no reading could be in order.
    CounterDisagrees,
    /// The server asked for a pause, which is not over (kiss-o'-death).
    Held,
    /// The clock's thread did not answer in time: the process was stopped or starved.
    NoAnswer,
    /// The clock's thread has ended by a fault of its own; another one is started.
    ThreadDied,
    /// The clock lost its time just after a round that had found it, as by a suspend.
    LostTime,
    /// The clock is set by hand and asks nobody.
    ByHand,
    /// Another process synchronises this machine's clock; this one only reads it.
    OnlyReads,
}

impl FailureKind {
    /// The kind in one word that stays the same from version to version, for programs that look
    /// up what to do: `"no_reply"`, `"refused"`, `"no_address"` ...
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            FailureKind::Attempt(reason) => reason.code(),
            FailureKind::NoServer => "no_server",
            FailureKind::NoNts => "no_nts",
            FailureKind::NoAddress => "no_address",
            FailureKind::ForbiddenAddress => "forbidden_address",
            FailureKind::Refused => "refused",
            FailureKind::Unreachable => "unreachable",
            FailureKind::NotPermitted => "not_permitted",
            FailureKind::NoResources => "no_resources",
            FailureKind::NoRandomness => "no_randomness",
            FailureKind::KeyExchange => "key_exchange",
            FailureKind::Certificate => "certificate",
            FailureKind::CounterDisagrees => "counter_disagrees",
            FailureKind::Held => "held",
            FailureKind::NoAnswer => "no_answer",
            FailureKind::ThreadDied => "thread_died",
            FailureKind::LostTime => "lost_time",
            FailureKind::ByHand => "by_hand",
            FailureKind::OnlyReads => "only_reads",
        }
    }

    /// The kind of what the system said about a socket or a thread.
    pub(crate) fn of_system(error: &io::Error) -> Self {
        #[cfg(unix)]
        if let Some(libc::EMFILE | libc::ENFILE | libc::ENOMEM | libc::ENOBUFS | libc::EAGAIN) =
            error.raw_os_error()
        {
            return FailureKind::NoResources;
        }
        match error.kind() {
            io::ErrorKind::ConnectionRefused => FailureKind::Refused,
            io::ErrorKind::NetworkUnreachable
            | io::ErrorKind::HostUnreachable
            | io::ErrorKind::NetworkDown
            | io::ErrorKind::AddrNotAvailable => FailureKind::Unreachable,
            io::ErrorKind::PermissionDenied => FailureKind::NotPermitted,
            io::ErrorKind::OutOfMemory | io::ErrorKind::WouldBlock => FailureKind::NoResources,
            _ => FailureKind::Attempt(AttemptError::NotSent),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_carrier_met_explains_an_attempt_without_a_reply_and_no_other() {
        let refused = || {
            let error = io::Error::from(io::ErrorKind::ConnectionRefused);
            Failure::new(FailureKind::of_system(&error), format!("192.0.2.1:123: {error}"))
        };
        let failure = Failure::of_attempt(AttemptError::NoReply, Some(refused()));
        assert_eq!(failure.code(), "refused");
        let text = failure.to_string();
        assert!(text.starts_with("no reply within 2 s (192.0.2.1:123: "), "{text}");
        let expired = Failure::of_attempt(AttemptError::Expired, Some(refused()));
        assert_eq!(expired.code(), "expired");
        let silent = Failure::of_attempt(AttemptError::NoReply, None);
        assert_eq!((silent.code(), silent.detail()), ("no_reply", "no reply within 2 s"));
    }

    #[cfg(unix)]
    #[test]
    fn the_systems_errors_have_kinds_by_what_can_be_done_about_them() {
        for (errno, code) in [
            (libc::EMFILE, "no_resources"),
            (libc::ENOMEM, "no_resources"),
            (libc::EAGAIN, "no_resources"),
            (libc::ENETUNREACH, "unreachable"),
            (libc::EHOSTUNREACH, "unreachable"),
            (libc::ECONNREFUSED, "refused"),
            (libc::EPERM, "not_permitted"),
            (libc::EINVAL, "not_sent"),
        ] {
            let error = io::Error::from_raw_os_error(errno);
            assert_eq!(FailureKind::of_system(&error).code(), code, "{error}");
        }
    }

    #[test]
    fn every_code_is_explained_in_the_document_of_the_status() {
        let status = include_str!("../../../docs/STATUS.md");
        let source = include_str!("failure.rs");
        let kinds = source.split("=> \"").skip(1).filter_map(|rest| rest.split('"').next());
        let kinds: Vec<&str> = kinds.filter(|code| !code.contains('{')).collect();
        assert!(kinds.len() >= 14, "{kinds:?}");
        let attempts = AttemptError::CODES.into_iter().filter(|c| !c.starts_with("rejected_"));
        for code in attempts.chain(kinds) {
            assert!(status.contains(&format!("`{code}`")), "{code}");
        }
    }
}
