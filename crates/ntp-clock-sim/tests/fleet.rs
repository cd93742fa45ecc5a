//! A small fleet; `ntp-clock-sim fleet --clients 1000000` is the large one.

use ntp_clock_sim::{FleetPlan, fleet};

#[test]
fn a_fleet_starts_survives_an_outage_and_forms_no_herd() {
    let plan = FleetPlan::of(1_500, 1);
    let report = fleet(&plan, |_| {});
    assert_eq!(report.synchronised, plan.clients);
    assert_eq!(fleet(&plan, |_| {}), report, "the same seed, the same fleet");
    // So small a fleet is uneven by chance from second to second; a herd shows in ten.
    let uneven = |from_s: i64, to_s: i64| {
        let tens: Vec<u32> = report.load[from_s as usize..to_s as usize]
            .chunks(10)
            .map(|c| c.iter().sum())
            .collect();
        let mean = f64::from(tens.iter().sum::<u32>()) / tens.len() as f64;
        f64::from(tens.iter().copied().max().unwrap_or(0)) / mean
    };
    let window = |name| report.windows.iter().find(|w| w.name == name).expect("a window");
    for (name, most) in [("steady", 1.9), ("recovery", 3.0), ("steady again", 1.7)] {
        let window = window(name);
        let ratio = uneven(window.from_s, window.to_s);
        assert!(ratio < most, "{name}: {ratio:.2}");
    }
}

#[test]
fn an_engine_takes_less_than_8_kib() {
    let size = size_of::<ntp_clock_core::SyncEngine>();
    assert!(size < 8_192, "{size} bytes");
}
