//! A process's part in the clock of a machine: it follows a page, or writes the next one.
//!
//! Which part is whose is decided by one rename that does not replace: `docs/HOST_CLOCK.md` has
//! the rules.

use std::fs::Permissions;
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::fcntl::{OFlag, open};
use nix::sys::stat::Mode;
use nix::unistd::geteuid;
use ntp_clock_core::Mapping;

use super::directory::{Directory, Key, Refused};
use super::page::{Control, Head, Identity, LAYOUT, MachinePage, NotOurs, Shown};
use super::sharing::Sharing;
use crate::counters::Reference;
use crate::os::{
    Awaited, Door, Gift, Guest, Lifeline, MESSAGE_BYTES, MemoryFile, Received, Seals, receive,
};

/// A process that shares a clock.
#[derive(Clone, Debug)]
pub(crate) struct Member {
    directory: Directory,
    identity: Identity,
    key: Key,
    only_reads: bool,
}

/// What a process does for the machine's clock.
#[derive(Debug)]
pub(crate) enum Part {
    Follower(Follower),
    Writer(Box<Writer>),
}

/// A process that reads another one's page.
#[derive(Debug)]
pub(crate) struct Follower {
    pub(crate) shown: Shown,
    pub(crate) lifeline: Lifeline,
}

/// A process whose page others read.
#[derive(Debug)]
pub(crate) struct Writer {
    pub(crate) shown: Shown,
    member: Member,
    door: Door,
    gift: Gift,
    /// Others see it end with this process, or with this part of it.
    _held: Lifeline,
    /// The line to go on from, in the same epoch: the last one of the page before.
    pub(crate) legacy: Option<(Mapping, Reference)>,
}

/// Why a process takes no part for now.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Unshared {
    #[error("{0}")]
    Counters(&'static str),
    #[error(transparent)]
    Directory(#[from] Refused),
    #[error("the page at {} is refused: {why}", path.display())]
    Page { path: PathBuf, why: NotOurs },
    #[error("the page at {} belongs to user {user}, who is not trusted", path.display())]
    Stranger { path: PathBuf, user: u32 },
    #[error("{what}: {source}")]
    System { what: &'static str, source: io::Error },
    #[error("the page of this machine's clock changed hands {TRIES} times in a row")]
    Restless,
    #[error("no process of this machine writes a clock that this one, which only reads, can read")]
    Nobody,
}

impl Unshared {
    /// Whether it may be otherwise in a moment.
    pub(crate) fn passes(&self) -> bool {
        matches!(self, Unshared::Restless | Unshared::Nobody | Unshared::System { .. })
    }
}

impl Member {
    /// One in the directory that the program names or that is the custom.
    ///
    /// # Errors
    /// [`Unshared::Directory`] where there is none to be had.
    pub(crate) fn new(sharing: &Sharing, identity: Identity) -> Result<Self, Unshared> {
        let directory = Directory::find(sharing)?;
        let key = Key::of(&identity);
        Ok(Member { directory, identity, key, only_reads: sharing.reads_only() })
    }

    /// Takes a part: follows the newest page, or writes the first one. A writer is waited for so
    /// long, before it is taken for stopped. A page that is known, as a parent's is to its child,
    /// is gone on from.
    ///
    /// # Errors
    /// [`Unshared`] where there is no part to be had.
    pub(crate) fn join(&self, patience: Duration, known: Option<&Shown>) -> Result<Part, Unshared> {
        let mut dead = None;
        for _ in 0..TRIES {
            let newest = self.newest()?.unwrap_or(0);
            let missed = if newest == 0 {
                Missed::Dead
            } else {
                match self.follow(newest, patience)? {
                    Ok(follower) => return Ok(Part::Follower(follower)),
                    Err(missed) => missed,
                }
            };
            let known = known.filter(|known| known.generation == newest);
            match (missed, known) {
                // There is a newer one.
                (Missed::Superseded, _) => continue,
                (_, Some(known)) if known.ending.is_some() && !self.only_reads => {
                    return self.succeed(known, patience);
                }
                // Those who follow the page of a process that died may be about to go on from it,
                // which one who has never seen the page cannot.
                (Missed::Dead, _) if newest != 0 && dead != Some(newest) => {
                    dead = Some(newest);
                    std::thread::sleep(FOR_SUCCESSORS);
                    continue;
                }
                (Missed::Dead | Missed::Silent, _) => {}
            }
            if self.only_reads {
                return Err(Unshared::Nobody);
            }
            if let Some(writer) = self.begin(newest + 1, None)? {
                return Ok(Part::Writer(writer));
            }
        }
        Err(Unshared::Restless)
    }

    /// Goes on after a page whose writer is gone: as its successor in the same epoch, or as a
    /// follower of another process that was faster.
    ///
    /// # Errors
    /// As [`Member::join`].
    pub(crate) fn succeed(&self, shown: &Shown, patience: Duration) -> Result<Part, Unshared> {
        let Shown { page, generation, ending, .. } = *shown;
        // A process that may not end the page cannot go on from it: others read it still.
        if let Some(control) = ending.filter(|_| !self.only_reads) {
            if let Some(writer) = self.begin(generation + 1, Some((page, control)))? {
                return Ok(Part::Writer(writer));
            }
            // Another process has the next page; whether it has ended this one or not.
            let _ = page.supersede(control);
        }
        self.join(patience, None)
    }

    fn newest(&self) -> Result<Option<u64>, Unshared> {
        let system = |source| Unshared::System { what: "the directory cannot be read", source };
        self.directory.newest(self.key).map_err(system)
    }

    /// Follows the page of this generation, where that is possible.
    fn follow(
        &self,
        generation: u64,
        patience: Duration,
    ) -> Result<Result<Follower, Missed>, Unshared> {
        let path = self.directory.name(self.key, generation);
        let received = match receive(&path, patience) {
            Ok(received) => received,
            Err(source) => {
                return match source.kind() {
                    io::ErrorKind::NotFound => Ok(Err(Missed::Superseded)),
                    // It ended before it had answered, or before it was asked.
                    io::ErrorKind::ConnectionRefused
                    | io::ErrorKind::ConnectionReset
                    | io::ErrorKind::UnexpectedEof => Ok(Err(Missed::Dead)),
                    io::ErrorKind::TimedOut => Ok(Err(Missed::Silent)),
                    _ => {
                        let what = "the machine's clock cannot be asked for its page";
                        Err(Unshared::System { what, source })
                    }
                };
            }
        };
        let Received { message, page, control, lifeline, user } = received;
        let trusted = self.directory.trusted();
        if !trusted.includes(user) {
            return Err(Unshared::Stranger { path, user });
        }
        let not_ours = |why| Unshared::Page { path: path.clone(), why };
        let strange = |error: io::Error| not_ours(NotOurs::Memory(error.to_string()));
        says(&message, generation).map_err(not_ours)?;
        let page = MemoryFile::received(page, MachinePage::BYTES, Seals::SizeAndWriting);
        let page: &MachinePage = page.and_then(|page| page.map()).map_err(strange)?;
        let control =
            MemoryFile::received(control, Control::BYTES, Seals::Size).map_err(strange)?;
        let ending = if trusted.is_ours(user) { control.map_writable().ok() } else { None };
        let control: &Control = control.map().map_err(strange)?;
        let head = page.head(&self.identity, generation).map_err(not_ours)?;
        if control.is_superseded() {
            return Ok(Err(Missed::Superseded));
        }
        let shown = Shown { page, control, generation, writer: head.writer, ending };
        Ok(Ok(Follower { shown, lifeline }))
    }

    /// Begins the page of this generation, unless another process has; it is busy until its first
    /// line is published.
    fn begin(
        &self,
        generation: u64,
        before: Option<(&MachinePage, &Control)>,
    ) -> Result<Option<Box<Writer>>, Unshared> {
        let head = Head { identity: self.identity, generation, writer: std::process::id() };
        let draft = self.directory.draft(self.key);
        let made = self.make(&head, &draft).map_err(|source| {
            let _ = std::fs::remove_file(&draft);
            let what = "the page of this machine's clock cannot be made";
            Unshared::System { what, source }
        })?;
        match self.directory.claim(&draft, self.key, generation) {
            Ok(true) => {}
            lost => {
                let _ = std::fs::remove_file(&draft);
                return lost.map(|_| None).map_err(|source| {
                    let what = "the page of this machine's clock cannot be named";
                    Unshared::System { what, source }
                });
            }
        }
        let legacy = before.and_then(|(page, control)| page.supersede(control));
        self.directory.remove_before(self.key, generation);
        Ok(Some(Box::new(Writer { legacy, ..made })))
    }

    fn make(&self, head: &Head, draft: &Path) -> io::Result<Writer> {
        let memory = MemoryFile::create(c"ntp-clock page", MachinePage::BYTES)?;
        let page: &MachinePage = memory.map_writable()?;
        page.begin(head);
        memory.seal(Seals::SizeAndWriting)?;
        let word = MemoryFile::create(c"ntp-clock control", Control::BYTES)?;
        word.seal(Seals::Size)?;
        let control: &Control = word.map()?;
        // For the day on which it leaves the clock to others, itself among them.
        let ending = Some(word.map_writable()?);
        let (lifeline, held) = Lifeline::pair()?;
        let gift = Gift {
            message: message(head),
            page: memory.into(),
            control_for_others: word.for_reading()?,
            control: word.into(),
            lifeline,
        };
        let door = Door::open(draft)?;
        // The directory says who may come; a socket that cannot be written to lets nobody in.
        let_everybody_in(draft)?;
        let Head { generation, writer, .. } = *head;
        let shown = Shown { page, control, generation, writer, ending };
        Ok(Writer { shown, member: self.clone(), door, gift, _held: held, legacy: None })
    }
}

impl Writer {
    /// What to wait for besides: processes that come for the page.
    pub(crate) fn awaited(&self) -> Awaited {
        self.door.to_wait_for()
    }

    /// Hands the page to those who wait for it.
    ///
    /// # Errors
    /// Where the program has closed the socket: nobody can come any more.
    pub(crate) fn serve(&self) -> io::Result<()> {
        let trusted = self.member.directory.trusted();
        self.door.serve(&self.gift, |user| match trusted.is_ours(user) {
            true => Guest::Own,
            false => Guest::Other,
        })
    }

    /// Whether another process has ended this page.
    pub(crate) fn is_superseded(&self) -> bool {
        self.shown.control.is_superseded()
    }

    /// Whether another process has begun a newer page, because this one did not answer.
    pub(crate) fn has_successor(&self) -> bool {
        self.member.newest().is_ok_and(|newest| newest > Some(self.shown.generation))
    }
}

/// Why a page is not followed.
enum Missed {
    /// There is a newer one.
    Superseded,
    /// Its process has ended.
    Dead,
    /// Its process does not answer.
    Silent,
}

/// Makes a socket writable for all. A member of the directory's group may put something else in
/// its place at any moment, a link to one of our files above all: so it is opened first, without
/// following a link, and looked at.
pub(super) fn let_everybody_in(socket: &Path) -> io::Result<()> {
    let flags = OFlag::O_PATH | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    let opened = std::fs::File::from(open(socket, flags, Mode::empty())?);
    let metadata = opened.metadata()?;
    if !metadata.file_type().is_socket() || metadata.uid() != geteuid().as_raw() {
        return Err(io::Error::other("something else stands in the place of its socket"));
    }
    let path = format!("/proc/self/fd/{}", opened.as_raw_fd());
    std::fs::set_permissions(path, Permissions::from_mode(0o666))
}

fn message(head: &Head) -> [u8; MESSAGE_BYTES] {
    let mut message = [0; MESSAGE_BYTES];
    message[..8].copy_from_slice(b"NTPCLOCK");
    message[8..12].copy_from_slice(&LAYOUT.to_le_bytes());
    message[12..16].copy_from_slice(&head.writer.to_le_bytes());
    message[16..].copy_from_slice(&head.generation.to_le_bytes());
    message
}

/// What comes with a page, before anything is mapped.
fn says(message: &[u8; MESSAGE_BYTES], generation: u64) -> Result<(), NotOurs> {
    let word = |at: usize| {
        let mut bytes = [0; 8];
        bytes.copy_from_slice(&message[at..at + 8]);
        u64::from_le_bytes(bytes)
    };
    if &message[..8] != b"NTPCLOCK" {
        return Err(NotOurs::Magic);
    }
    let version = word(8) as u32;
    if version != LAYOUT {
        return Err(NotOurs::Layout(version));
    }
    let said = word(16);
    if said == generation { Ok(()) } else { Err(NotOurs::Generation(said, generation)) }
}

/// How often the newest page may turn out to be gone before a process pauses.
const TRIES: u32 = 20;
/// Those who know a dead writer's page have so long to go on from it.
const FOR_SUCCESSORS: Duration = Duration::from_millis(300);
