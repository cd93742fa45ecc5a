//! An exchange with chrony 4.3, keys and packets, as it went over the loopback interface: nothing
//! that chrony said then may be read in another way now.

use ntp_clock_core::UnixTime;
use ntp_clock_nts::{Association, Key, KeyExchange, Negotiated, Opened, Refusal, Step};

fn bytes(hex: &str) -> Vec<u8> {
    let digits: Vec<_> = hex.chars().filter_map(|digit| digit.to_digit(16)).collect();
    digits.chunks(2).map(|pair| (pair[0] << 4 | pair[1]) as u8).collect()
}

fn negotiated() -> Negotiated {
    match KeyExchange::new().receive(&bytes(ANSWER)) {
        Ok(Step::Done(negotiated)) => negotiated,
        other => panic!("{other:?}"),
    }
}

/// After the one request, and that.
fn association() -> (Association, Vec<u8>) {
    let [to_server, to_client] =
        [TO_SERVER, TO_CLIENT].map(|hex| Key::new(bytes(hex).try_into().expect("32 bytes")));
    let mut association = Association::new(to_server, to_client, negotiated().cookies);
    // In place of randomness: the request's number, mixed with each byte's place.
    let entropy = std::array::from_fn(|at| (NUMBER >> (at % 8 * 8)) as u8 ^ at as u8);
    let request = association.request(NUMBER, &entropy).expect("eight cookies");
    (association, request)
}

#[test]
fn chronys_answer_gives_eight_cookies_and_the_port_that_it_gave_then() {
    let negotiated = negotiated();
    assert_eq!(negotiated.cookies.len(), 8);
    assert_eq!((negotiated.host.as_deref(), negotiated.port), (None, Some(PORT)));
}

#[test]
fn the_request_that_chrony_accepted_is_still_made_byte_for_byte() {
    assert_eq!(association().1, bytes(REQUEST));
}

#[test]
fn chronys_reply_is_still_proved_and_with_any_bit_changed_it_is_not() {
    let (mut association, _) = association();
    assert_eq!(association.cookies(), 7);
    let reply = bytes(REPLY);
    for bit in 0..8 * reply.len() {
        let mut changed = reply.clone();
        changed[bit / 8] ^= 1 << (bit % 8);
        assert!(association.open(&changed).is_err(), "bit {bit}");
    }
    let Ok(Opened::Authenticated(proved)) = association.open(&reply) else { panic!("its reply") };
    let server_time = proved.packet().transmit_timestamp.to_unix();
    assert!(server_time > UnixTime::from_nanos(1_790_000_000_000_000_000), "{server_time}");
    assert_eq!((proved.packet().stratum, association.cookies()), (1, 8));
    assert_eq!(association.open(&reply), Err(Refusal::Duplicate));
}

const NUMBER: u64 = 1;
const PORT: u16 = 38529;
/// Exported by TLS for requests.
const TO_SERVER: &str = "\
    cf9b9535e35c33b226be8e6902b6cd7eb2d5e2f2b2a538b5aeef316f6f947dcf";
/// Exported by TLS for replies.
const TO_CLIENT: &str = "\
    0e243540a77bac69dc28f44af1699dc5a6213836ac0c28fb7ca40f44f8cc4c53";
/// What chrony said inside the TLS connection.
const ANSWER: &str = "\
    80010002000080040002000f80070002968100050064bd26ddab9f92e82d55d7bbe7d2f0da25626c\
    1ab8c90343732d897fce478de52833cfef461f52b7e624edf271ddd7030ccbc899f5e6754d7c37bf\
    75e241a0592b6a5476f565b3e86b3d3ecc512631374982115db34cf8fbc16ef10ee812292d6cfa79\
    551100050064bd26ddabe9ebdc5760c8aa6d860975b9f9ba9e841c871f1bc422576f61804ae00d6a\
    c1a31703ac29a34c8b1eec9b24e68e740937c975b5dcd59ebdb1cfbf1bc76b09e7ebc180ff7fe018\
    8ec53ea0e509a5428ae2a6919785820410f7e5c7e7599d8c05b000050064bd26ddab95fb86de8cff\
    90e3a27a5b207cf8b25862c690ffe614e995ea67cc1a229ae8cfe27d9a366d96652d672c8af73dbf\
    ea4fe12865deff19c46122cf068be6f5f09f9062b1e7e52c10898d93f5272b3eb998da46111ce396\
    8d4f69393b93a7337e8000050064bd26ddab13b6cb7371bb1313f73e9e3bea3c00284ab060992523\
    c7a666f448916861528fb8feef9c3bad8a3b6334974038a9e959f5e148d3a7014c8e7c8cffa96b4d\
    a57b50eb4dfcd8b2a5a5110e94fa3467ed59ba5d6afeff54f1bc4304d23cfe026a8e00050064bd26\
    ddabba3d8811961bea16458ef55aa58bc43df4dd4b3ae564f14c86c43086801609fb2f0b9fe02791\
    a322bbe93c2b85177f66e63821264bd258623a5a677641bbdd954bcbe1dc2b9779393c2b431a4928\
    c1f1ba07da1108aa1e57a4eb7ecb155fbce300050064bd26ddabaab54174ae3b13afcb910b6a9d45\
    f829af5293b8273e90ae00fb1c7348583bf1a1a63c8764cdf91d2f4c4e5fe16ca4743d0758a1b85e\
    d7879bf236be2843dde5d44f82609cd2c8508fbe707e8cb3910e424c5fd6f7e09d126f53d7c0e5c9\
    aaa900050064bd26ddab3db5b3df7c1c9ecd55122a5a66d0abbd5c235c79c8de9fb8ed831bf8a103\
    5cbd5355578c7c4a7c9a96b82ce14465f36567f442be2043a8ad7eb00798a2f8007b53ee659bb082\
    502f18996195f4d6ca67d7c7070cbc8dec62a6f698db3df5cf6e00050064bd26ddaba60352124001\
    e49aa746ff3016387a86ee6f3c183ecd2587d5c10b4474220d3ee58d76bd9e470c3e8e28a15aad77\
    6cd6d81fff210a69e9b2e4c4bb06831514ba0d36554eec68753b823cbada9085ca07ff48f6355ed9\
    dd9f52d21607f3bb35e880000000";
/// What was sent to it.
const REQUEST: &str = "\
    23000000000000000000000000000000000000000000000000000000000000000000000000000000\
    000000000000000101040024010102030405060709090a0b0c0d0e0f111112131415161719191a1b\
    1c1d1e1f02040068bd26ddab9f92e82d55d7bbe7d2f0da25626c1ab8c90343732d897fce478de528\
    33cfef461f52b7e624edf271ddd7030ccbc899f5e6754d7c37bf75e241a0592b6a5476f565b3e86b\
    3d3ecc512631374982115db34cf8fbc16ef10ee812292d6cfa795511040400280010001021212223\
    2425262729292a2b2c2d2e2f99905a3a289b8316aa99721a1e852c67";
/// And what it sent back.
const REPLY: &str = "\
    240100e600000000000000007f7f0101eeb66fbe97e420320000000000000001eeb66fc062168c19\
    eeb66fc0621d4a2801040024010102030405060709090a0b0c0d0e0f111112131415161719191a1b\
    1c1d1e1f04040090001000782c3b9449f94ec153575af40fd74fb44de55c237e2ea48506d1e21909\
    fb3f70aef2a6815b569efd375012eaa4e6f3d285731da2030b461e70534e8e6dd2c367f21dc47f11\
    f3cafd5cef490bc4556985e4c7d9f8b83c45528dbf1a0ac08f44d89e24e195f8d350636a33d5719b\
    ab0240806a9e5f91b1acda3e2e4d0a5baef4cd8b415f1030e35f4b13";
