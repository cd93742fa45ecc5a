//! Processes that share a clock, as threads of a test: what they hand over, refuse and take over.

use std::fs::File;
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use ntp_clock_core::{LocalTime, Span};

use super::directory::{Directory, Key};
use super::keep::identity;
use super::member::{Follower, Member, Part, Unshared, Writer, let_everybody_in};
use super::page::{CounterKind, Identity};
use super::sharing::Sharing;
use crate::clock::Clock;
use crate::counter_choice::CounterChoice;
use crate::counters::Counters;
use crate::os::{Door, Gift, Guest, Lifeline, MESSAGE_BYTES, MemoryFile, Seals};
use crate::server::Server;
use crate::shared::nothing_of_epoch;

const IDENTITY: Identity = Identity {
    counter: CounterKind::MonotonicRaw,
    boot: [1, 2],
    time_namespace: 3,
    server: 4,
    proof: 0,
    machine: 0,
};
const PATIENCE: Duration = Duration::from_secs(10);

/// The counter that pages are by.
fn by_system() -> Counters {
    Counters::of_system(CounterChoice::System)
}

/// A directory of a test's own, which does not exist yet.
fn meeting(name: &str) -> PathBuf {
    let path = std::env::temp_dir().join(format!("ntp-clock-{name}-{}", std::process::id()));
    let _ = std::fs::remove_dir_all(&path);
    path
}

fn member(meeting: &PathBuf) -> Member {
    Member::new(&Sharing::in_directory(meeting), IDENTITY).unwrap()
}

fn writer(part: Result<Part, Unshared>) -> Box<Writer> {
    match part {
        Ok(Part::Writer(writer)) => writer,
        other => panic!("{other:?}"),
    }
}

fn follower(part: Result<Part, Unshared>) -> Follower {
    match part {
        Ok(Part::Follower(follower)) => follower,
        other => panic!("{other:?}"),
    }
}

/// Does something while another thread serves.
fn while_served<T>(serve: impl Fn() + Sync, act: impl FnOnce() -> T) -> T {
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Ordering::SeqCst) {
                serve();
                std::thread::sleep(Duration::from_millis(1));
            }
        });
        let result = act();
        done.store(true, Ordering::SeqCst);
        result
    })
}

#[test]
fn the_first_writes_and_others_follow_until_one_of_them_succeeds_it() {
    let meeting = meeting("parts");
    let first = writer(member(&meeting).join(PATIENCE, None));
    let line = nothing_of_epoch(77);
    first.shown.page.publish(&line, by_system().reference(), LocalTime::MAX);
    let serve = || first.serve().unwrap();
    let join = || follower(member(&meeting).join(PATIENCE, None));
    let (second, third) = while_served(serve, || (join(), join()));
    assert_eq!(second.shown.epoch(), Some(77));
    assert!(!first.has_successor() && !first.is_superseded());
    drop(first);
    let next = writer(member(&meeting).succeed(&second.shown, PATIENCE));
    assert_eq!(next.legacy.map(|(mapping, _)| mapping), Some(line), "it goes on from that line");
    assert_eq!(next.shown.generation, 2);
    let serve = || next.serve().unwrap();
    let last = while_served(serve, || follower(member(&meeting).succeed(&third.shown, PATIENCE)));
    assert_eq!(last.shown.generation, 2, "one page has one successor");
    assert!(third.shown.control.is_superseded());
}

#[test]
fn a_process_that_never_saw_a_dead_writers_page_begins_another_one() {
    let meeting = meeting("unseen");
    drop(writer(member(&meeting).join(PATIENCE, None)));
    let next = writer(member(&meeting).join(PATIENCE, None));
    assert_eq!((next.shown.generation, next.legacy.is_none()), (2, true));
    let known = next.shown;
    known.page.publish(&nothing_of_epoch(5), by_system().reference(), LocalTime::MAX);
    drop(next);
    let child = writer(member(&meeting).join(PATIENCE, Some(&known)));
    assert_eq!(child.legacy.map(|(mapping, _)| mapping), Some(nothing_of_epoch(5)));
}

#[test]
fn a_process_that_only_reads_writes_nothing_whatever_happens() {
    let meeting = meeting("only");
    let only = Sharing::in_directory(&meeting).only_read();
    let only = Member::new(&only, IDENTITY).unwrap();
    assert!(matches!(only.join(PATIENCE, None), Err(Unshared::Nobody)));
    let first = writer(member(&meeting).join(PATIENCE, None));
    let reader = while_served(|| first.serve().unwrap(), || follower(only.join(PATIENCE, None)));
    drop(first);
    assert!(matches!(only.succeed(&reader.shown, PATIENCE), Err(Unshared::Nobody)));
}

/// What a process is handed by another one that does not keep to the protocol, and says of it.
fn refused(name: &str, gift: impl FnOnce(Gift) -> Gift) -> String {
    let meeting = meeting(name);
    let directory = Directory::find(&Sharing::in_directory(&meeting)).unwrap();
    let key = Key::of(&IDENTITY);
    let draft = directory.draft(key);
    let door = Door::open(&draft).unwrap();
    assert!(directory.claim(&draft, key, 1).unwrap());
    let (lifeline, _held) = Lifeline::pair().unwrap();
    let mut message = [0; MESSAGE_BYTES];
    message[..8].copy_from_slice(b"NTPCLOCK");
    message[8] = 1;
    message[16] = 1;
    let sealed = |bytes, seals| {
        let memory = MemoryFile::create(c"test", bytes).unwrap();
        memory.seal(seals).unwrap();
        OwnedFd::from(memory)
    };
    let gift = gift(Gift {
        message,
        page: sealed(576, Seals::SizeAndWriting),
        control: sealed(8, Seals::Size),
        control_for_others: sealed(8, Seals::Size),
        lifeline,
    });
    let serve = || door.serve(&gift, |_| Guest::Own).unwrap();
    match while_served(serve, || member(&meeting).join(PATIENCE, None)) {
        Err(unshared @ Unshared::Page { .. }) => unshared.to_string(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_another_process_hands_over_that_is_no_page_is_refused_with_the_reason() {
    let says = |error: String, reason: &str| assert!(error.ends_with(reason), "{error}");
    says(refused("zeros", |gift| gift), "it does not begin as a page of ntp-clock does");
    says(
        refused("version", |mut gift| {
            gift.message[8] = 9;
            gift
        }),
        "its layout is version 9; this program knows version 1",
    );
    says(
        refused("generation", |mut gift| {
            gift.message[16] = 9;
            gift
        }),
        "it says that it is generation 9, and its name says 1",
    );
    // Not even mapped: it could be truncated under its reader, or written by others.
    let file = |name: &str| {
        let path = std::env::temp_dir().join(format!("ntp-clock-{name}-{}", std::process::id()));
        let file = File::create(&path).unwrap();
        std::fs::remove_file(&path).unwrap();
        file.set_len(576).unwrap();
        OwnedFd::from(file)
    };
    let plain = file("plain");
    says(refused("file", |gift| Gift { page: plain, ..gift }), "the memory is not sealed");
    let open = MemoryFile::create(c"test", 576).unwrap();
    open.seal(Seals::Size).unwrap();
    let open = OwnedFd::from(open);
    says(refused("open", |gift| Gift { page: open, ..gift }), "the memory is not sealed");
    let long = MemoryFile::create(c"test", 4_096).unwrap();
    long.seal(Seals::SizeAndWriting).unwrap();
    let long = OwnedFd::from(long);
    says(refused("long", |gift| Gift { page: long, ..gift }), "the memory has 4096 bytes, not 576");
    let device = || File::open("/dev/null").unwrap().into();
    refused("device", |gift| Gift { control: device(), ..gift });
}

#[test]
fn a_page_of_another_boot_that_got_our_name_is_refused() {
    let meeting = meeting("boot");
    let theirs = Identity { boot: [8, 9], ..IDENTITY };
    let theirs = Member::new(&Sharing::in_directory(&meeting), theirs).unwrap();
    let written = writer(theirs.join(PATIENCE, None));
    let directory = Directory::find(&Sharing::in_directory(&meeting)).unwrap();
    let name = |boot| directory.name(Key::of(&Identity { boot, ..IDENTITY }), 1);
    std::fs::rename(name([8, 9]), name([1, 2])).unwrap();
    let join = || member(&meeting).join(PATIENCE, None);
    let error = while_served(|| written.serve().unwrap(), join).unwrap_err().to_string();
    assert!(error.ends_with("it is of another counter, boot, time namespace or server"), "{error}");
}

#[test]
fn a_page_left_busy_is_gone_on_from_within_two_seconds_in_its_epoch() {
    let meeting = meeting("busy");
    let server = ntp_test_server::TestServer::builder().spawn().expect("loopback");
    let server: Server = server.addr().to_string().parse().expect("an address");
    let sharing = || Sharing::in_directory(&meeting);
    let made = || Clock::builder().server(server.clone()).shared(sharing()).build().unwrap();
    // A writer that is stopped in the midst of writing: this thread, which never ends that.
    let clock = made();
    assert!(clock.wait_synced(Duration::from_secs(30)), "{:?}", clock.status());
    let shared = clock.shared();
    let member = Member::new(&sharing(), identity(shared)).unwrap();
    let known = *shared.shown().expect("attached");
    drop(clock);
    let stopped = writer(member.succeed(&known, PATIENCE));
    let legacy = stopped.legacy.expect("a line");
    stopped.shown.page.publish(&legacy.0, legacy.1, LocalTime::MAX);
    let reader = made();
    let first = while_served(
        || stopped.serve().unwrap(),
        || {
            assert!(reader.wait_synced(Duration::from_secs(30)), "{:?}", reader.status());
            reader.now().expect("a reading")
        },
    );
    stopped.shown.page.announce();
    let begun = Instant::now();
    while reader.now().is_some() {
        assert!(begun.elapsed() < Duration::from_secs(30), "no reading of a busy page");
    }
    assert!(reader.wait_synced(Duration::from_secs(30)), "{:?}", reader.status());
    let next = reader.now().expect("a reading");
    assert!(next.epoch() == first.epoch() && next.time() >= first.time(), "{next:?} {first:?}");
    assert!(stopped.is_superseded());
    let since = next.time() - first.time();
    assert!(since > Span::from_millis(900), "it waits for the writer: {since:?}");
    // What it writes when it wakes up is nobody's.
    stopped.shown.page.publish(&nothing_of_epoch(1), legacy.1, LocalTime::MAX);
    assert!(reader.now().is_some());
}

#[test]
fn a_link_in_the_place_of_a_socket_opens_no_file_to_everybody() {
    let folder = meeting("link");
    std::fs::create_dir(&folder).unwrap();
    let (secret, link) = (folder.join("secret"), folder.join("socket"));
    std::fs::write(&secret, "").unwrap();
    std::fs::set_permissions(&secret, std::fs::Permissions::from_mode(0o600)).unwrap();
    std::os::unix::fs::symlink(&secret, &link).unwrap();
    for place in [&link, &secret] {
        assert!(let_everybody_in(place).is_err());
    }
    assert_eq!(secret.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    let socket = folder.join("real");
    let _listening = std::os::unix::net::UnixListener::bind(&socket).unwrap();
    let_everybody_in(&socket).unwrap();
    assert_eq!(socket.metadata().unwrap().permissions().mode() & 0o777, 0o666);
    std::fs::remove_dir_all(&folder).unwrap();
}
