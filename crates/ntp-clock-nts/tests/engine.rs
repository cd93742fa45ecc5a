//! An engine that requires proof, with an association, between a server and an attacker on the
//! way.

use ntp_clock_core::{
    Authenticated, Authentication, EngineConfig, LocalTime, Mode, NtpTimestamp, Packet,
    ReferenceId, Rejection, Span, SyncEngine, SyncState, UnixTime,
};
use ntp_clock_nts::{
    Association, Cookie, CookieStore, Field, FieldKind, Fields, Key, Opened, Sealed,
};

const TO_SERVER: [u8; 32] = [1; 32];
const TO_CLIENT: [u8; 32] = [2; 32];
const TRUTH_AT_ZERO: UnixTime = UnixTime::from_nanos(1_800_000_000_000_000_000);

fn at(ms: i64) -> LocalTime {
    LocalTime::from_nanos(0) + Span::from_millis(ms)
}

/// What a driver does, with a path of 10 ms each way.
struct Client {
    engine: SyncEngine,
    association: Association,
    /// How many requests were sealed.
    sealed: u8,
}

impl Client {
    fn new() -> Self {
        let engine = SyncEngine::new(EngineConfig::default(), at(0));
        let mut cookies = CookieStore::new();
        for number in 0..8 {
            cookies.put(Cookie::new(&[number; 100]).expect("short"));
        }
        Client {
            engine: engine.with_authentication(Authentication::Required),
            association: Association::new(Key::new(TO_SERVER), Key::new(TO_CLIENT), cookies),
            sealed: 0,
        }
    }

    /// The next request, sealed before the moment at which it leaves.
    fn request(&mut self, ms: i64) -> Option<Vec<u8>> {
        self.engine.handle_timeout(at(ms));
        let transmit = self.engine.poll_transmit(at(ms), scrambled(self.sealed))?;
        self.sealed += 1;
        match self.association.request(transmit.cookie, &[self.sealed; Association::ENTROPY_LEN]) {
            Ok(request) => {
                self.engine.handle_sent(transmit.token, at(ms));
                Some(request)
            }
            Err(_) => {
                self.engine.handle_send_failed(transmit.token, at(ms));
                None
            }
        }
    }

    fn receive(&mut self, datagram: &[u8], ms: i64) -> Result<(), Rejection> {
        let now = at(ms);
        let opened = match self.association.open(datagram) {
            Ok(Opened::Authenticated(reply)) => {
                return self.engine.handle_authenticated(reply, now, now).map(|_| ());
            }
            Ok(Opened::Nak) => Rejection::Nak,
            Err(refusal) => refusal.into(),
        };
        Err(self.engine.handle_unproved(opened, now))
    }

    fn error(&self, ms: i64) -> Option<Span> {
        let reading = self.engine.mapping()?.read(at(ms))?;
        let error = (reading.time() - truth(ms)).abs();
        assert!(error <= reading.max_error(), "off by {error:?}: {reading:?}");
        Some(error)
    }

    fn counted(&self, rejection: Rejection) -> u64 {
        self.engine.status(at(0)).rejections[rejection.index()]
    }
}

fn scrambled(number: u8) -> u64 {
    u64::from(number + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

fn truth(ms: i64) -> UnixTime {
    TRUTH_AT_ZERO + Span::from_millis(ms)
}

/// A server's reply to a request that reaches it then, telling that time.
fn reply(request: &[u8], time: UnixTime) -> Vec<u8> {
    let asked = Packet::decode(request).expect("a packet");
    let fields: Vec<_> = Fields::new(&request[48..]).map(|field| field.expect("sound").1).collect();
    let placeholders =
        fields.iter().filter(|field| field.kind == FieldKind::COOKIE_PLACEHOLDER).count();
    let mut reply = header(&asked, 1, *b"GPS\0", time).encode().to_vec();
    fields[0].write(&mut reply).expect("short");
    let mut hidden = Vec::new();
    for _ in 0..=placeholders {
        let body = &[0xc0; 100];
        Field { kind: FieldKind::COOKIE, body }.write(&mut hidden).expect("short");
    }
    let nonce = [5; 16];
    let ciphertext = Key::new(TO_CLIENT).seal(&nonce, &reply, &hidden).expect("sealed");
    let body = Sealed { nonce: &nonce, ciphertext: &ciphertext }.to_body().expect("short");
    Field { kind: FieldKind::AUTHENTICATOR, body: &body }.write(&mut reply).expect("short");
    reply
}

fn header(asked: &Packet, stratum: u8, reference: [u8; 4], time: UnixTime) -> Packet {
    Packet {
        mode: Mode::Server,
        stratum,
        reference_id: ReferenceId::from_bytes(reference),
        precision_log2_s: -25,
        origin_timestamp: asked.transmit_timestamp,
        receive_timestamp: NtpTimestamp::from_unix(time),
        transmit_timestamp: NtpTimestamp::from_unix(time),
        ..Packet::request(NtpTimestamp::ZERO)
    }
}

/// What somebody sends who saw the request, and has no key.
fn forgeries(request: &[u8], real: &[u8]) -> Vec<Vec<u8>> {
    let asked = Packet::decode(request).expect("a packet");
    let wrong = truth(86_400_000);
    let identifier = &request[48..84];
    let with = |header: Packet, tail: &[u8]| [&header.encode()[..], tail].concat();
    let mut moved = real.to_vec();
    moved[..48].copy_from_slice(&header(&asked, 1, *b"GPS\0", wrong).encode());
    vec![
        moved,
        with(header(&asked, 1, *b"GPS\0", wrong), &[]),
        with(header(&asked, 1, *b"GPS\0", wrong), identifier),
        with(header(&asked, 0, *b"DENY", wrong), identifier),
        with(header(&asked, 0, *b"RATE", wrong), &real[48..]),
        with(header(&asked, 0, *b"NTSN", wrong), identifier),
        request.to_vec(),
    ]
}

#[test]
fn the_first_reply_gives_a_reading_and_rounds_cost_no_cookie_in_the_end() {
    let mut client = Client::new();
    let mut replies = 0;
    for ms in 0..2_000_000 {
        // Only when something is due: the engine says when.
        if at(ms) < client.engine.poll_timeout() {
            continue;
        }
        if let Some(request) = client.request(ms) {
            client.receive(&reply(&request, truth(ms + 10)), ms + 20).expect("believed");
            replies += 1;
            assert!(client.error(ms + 20).is_some(), "after {replies} replies");
        }
    }
    assert!(replies > 30, "{replies} replies");
    assert_eq!(client.association.cookies(), 8);
}

#[test]
fn forgeries_before_each_real_reply_change_nothing_but_the_counts() {
    let mut client = Client::new();
    let (mut forged, mut naks) = (0, 0);
    for ms in 0..600_000 {
        if at(ms) < client.engine.poll_timeout() {
            continue;
        }
        let Some(request) = client.request(ms) else { continue };
        let real = reply(&request, truth(ms + 10));
        for forgery in forgeries(&request, &real) {
            let refused = client.receive(&forgery, ms + 15);
            match refused {
                Err(Rejection::Nak) => naks += 1,
                Err(Rejection::Unauthenticated) => forged += 1,
                other => panic!("{other:?}"),
            }
        }
        assert!(client.association.is_disowned());
        client.receive(&real, ms + 20).expect("believed");
        assert!(!client.association.is_disowned(), "the server reads our cookies");
        assert_eq!(client.receive(&real, ms + 25), Err(Rejection::Duplicate));
        client.error(ms + 25).expect("synchronised");
    }
    assert!(naks > 5 && forged == 6 * naks, "{naks}, {forged}");
    assert_eq!(client.counted(Rejection::Nak), naks);
    assert_eq!(client.counted(Rejection::Unauthenticated), forged);
    assert_eq!(client.engine.status(at(600_000)).state, SyncState::Synchronised);
}

#[test]
fn forgeries_without_the_real_reply_give_no_reading_and_end_when_the_cookies_do() {
    let mut client = Client::new();
    let mut requests = 0;
    for ms in 0..3_600_000 {
        if at(ms) < client.engine.poll_timeout() {
            continue;
        }
        let Some(request) = client.request(ms) else { continue };
        requests += 1;
        let real = reply(&request, truth(ms + 10));
        for forgery in forgeries(&request, &real) {
            assert!(client.receive(&forgery, ms + 20).is_err());
        }
        assert!(client.engine.mapping().is_none());
    }
    assert_eq!((requests, client.association.cookies()), (8, 0), "keys must be exchanged");
    assert!(client.association.is_spent());
    assert_eq!(client.engine.status(at(3_600_000)).state, SyncState::Failed);
}

#[test]
fn a_reply_that_is_proved_and_comes_too_late_is_not_believed() {
    let mut client = Client::new();
    let request = client.request(0).expect("the first is due");
    let real = reply(&request, truth(10));
    assert_eq!(client.receive(&real, 2_001), Err(Rejection::Origin));
    assert!(client.engine.mapping().is_none());
    let vouched = Authenticated::vouch(Packet::decode(&real).expect("a packet"));
    assert!(client.engine.handle_authenticated(vouched, at(2_002), at(2_002)).is_err());
}
