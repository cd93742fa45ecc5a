//! What a seed draws is the same on every machine: the digests below were taken on one of them.

use ntp_clock_sim::{Counter, Family, Setup};

/// FNV-1a.
fn digest(bytes: impl Iterator<Item = u8>) -> u64 {
    bytes.fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

#[test]
fn the_counters_of_all_families_show_what_they_showed_elsewhere() {
    let shown = Family::ALL.iter().flat_map(|family| {
        let setup = Setup::draw(*family, 11);
        let mut counter = Counter::new(&setup.oscillator, setup.seed);
        (0..1_440_i64)
            .flat_map(move |minute| counter.local(minute * 60_000_000_000).as_nanos().to_le_bytes())
    });
    assert_eq!(digest(shown), 8_331_163_326_890_310_371);
}

#[test]
fn the_worlds_of_all_families_are_drawn_as_they_were_elsewhere() {
    // Debug prints floating point numbers to the last bit.
    let drawn = Family::ALL.iter().flat_map(|f| format!("{:?}", Setup::draw(*f, 11)).into_bytes());
    assert_eq!(digest(drawn), 3_164_711_553_114_141_404);
}
