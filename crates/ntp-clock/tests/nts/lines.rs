//! An exchange of keys over a line that somebody cuts off or changes at some byte.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use ntp_clock::nts::{Judged, Keys};

use crate::support::{LIMIT, NtsServer, authenticated, listen, now};

/// What befalls the bytes of one direction.
#[derive(Clone, Copy, Debug)]
enum Fate {
    Whole,
    /// Nothing after this many.
    CutAt(usize),
    /// This bit of that byte is another.
    Flipped {
        at: usize,
        bit: u8,
    },
}

/// A line to the key server; gives how many bytes went over it, to the server and from it.
fn line(keys_at: SocketAddr, fates: [Fate; 2]) -> (SocketAddr, [Arc<AtomicUsize>; 2]) {
    let counts: [Arc<AtomicUsize>; 2] = Default::default();
    let [to_server, to_client] = [0, 1].map(|way| (fates[way], Arc::clone(&counts[way])));
    let address = listen(move |client| {
        let Ok(server) = TcpStream::connect(keys_at) else { return };
        thread::scope(|scope| {
            scope.spawn(|| carry(&client, &server, to_server));
            carry(&server, &client, to_client);
        });
    });
    (address, counts)
}

fn carry(mut from: &TcpStream, mut to: &TcpStream, (fate, count): (Fate, Arc<AtomicUsize>)) {
    let mut buffer = [0; 2_048];
    while let Ok(len @ 1..) = from.read(&mut buffer) {
        let before = count.fetch_add(len, Ordering::Relaxed);
        let piece = &mut buffer[..len];
        let (piece, is_over) = match fate {
            Fate::CutAt(at) => (&piece[..len.min(at - before)], before + len >= at),
            Fate::Flipped { at, bit } => {
                if let Some(byte) = at.checked_sub(before).and_then(|place| piece.get_mut(place)) {
                    *byte ^= 1 << bit;
                }
                (&*piece, false)
            }
            Fate::Whole => (&*piece, false),
        };
        if to.write_all(piece).is_err() || is_over {
            break;
        }
    }
    for side in [from, to] {
        let _ = side.shutdown(Shutdown::Both);
    }
}

#[test]
fn an_exchange_that_is_cut_off_gives_no_keys_and_one_that_is_changed_none_but_the_servers() {
    let seed = fastrand::u64(..);
    println!("seed {seed}");
    let mut dice = fastrand::Rng::with_seed(seed);
    let Some(server) = NtsServer::start() else { return };
    let ask = |fates, limit| {
        let (address, counts) = line(server.keys_at, fates);
        let outcome = server.key_server().exchange(address, Judged::At(now()), limit);
        (outcome, counts.map(|count| count.load(Ordering::Relaxed)))
    };
    let prove = |keys: &mut Keys| {
        let reply = server.client().ask(&mut keys.association);
        authenticated(keys.association.open(&reply));
    };
    let (outcome, totals) = ask([Fate::Whole; 2], LIMIT);
    outcome.expect("keys");
    assert!(totals.iter().all(|total| *total > 200), "{totals:?}");
    let mut refused = 0;
    for (way, total) in totals.into_iter().enumerate() {
        for at in (0..total - GOOD_BYE).step_by(total / 30) {
            let flipped = Fate::Flipped { at: at + dice.usize(..total / 60), bit: dice.u8(..8) };
            for fate in [Fate::CutAt(at), flipped] {
                let mut fates = [Fate::Whole; 2];
                fates[way] = fate;
                match ask(fates, Duration::from_millis(500)).0 {
                    Err(_) => refused += 1,
                    // Some bits of TLS 1.3 are there for older versions' sake and mean nothing.
                    Ok(mut keys) => {
                        assert!(matches!(fate, Fate::Flipped { .. }), "{fates:?} of {totals:?}");
                        prove(&mut keys);
                    }
                }
            }
        }
    }
    assert!(refused > 80, "{refused} refused");
    prove(&mut ask([Fate::Whole; 2], LIMIT).0.expect("keys"));
}

/// Bytes after the last that matters: an alert in each direction, and what certificates and
/// signatures are longer or shorter by from one exchange to the next.
const GOOD_BYE: usize = 100;
