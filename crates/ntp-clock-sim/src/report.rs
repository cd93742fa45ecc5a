//! What the command line prints.

pub(crate) mod links;

use ntp_clock_sim::{
    Comparison, Cost, FleetPlan, FleetReport, Outcome, Setup, Statistics, SwarmReport, Table,
    duration,
};

const HEADINGS: [&str; 16] = [
    "world",
    "p50",
    "p95",
    "p99",
    "max",
    "max/p99",
    "bound p50",
    "bound p99",
    "1x",
    "2x",
    "first p50",
    "round 2",
    "misses",
    "broken",
    "up",
    "pkt/day",
];

pub(crate) fn swarm(report: &SwarmReport) -> String {
    let mut table = Table::new(HEADINGS);
    for family in &report.families {
        table.row(statistics(family.family.name(), &family.statistics, family.broken));
    }
    let mut text = table.to_string();
    text += &format!(
        "{} runs of {:.0} h in the mean, {} readings checked, {} runs broke a promise; an engine takes {} bytes\n",
        report.runs,
        hours_of(report) / report.runs as f64,
        report.checks,
        report.violations.len(),
        size_of::<ntp_clock_core::SyncEngine>()
    );
    for family in &report.families {
        let (worst, p99) = (family.statistics.worst.max(), family.statistics.error.quantile(0.99));
        if worst > DIVERGED * p99 {
            text += &format!(
                "{}: seed {} was off by {}, p99 is {}\n",
                family.family,
                family.statistics.worst_seed,
                duration(worst),
                duration(p99)
            );
        }
    }
    for family in report.families.iter().filter(|family| family.statistics.blind.count() > 0) {
        let Statistics { blind, blind_misses, .. } = &family.statistics;
        text += &format!(
            "{}: counters stopped unseen {} times, for {} at p50 and {} at most; {} readings were wrong meanwhile\n",
            family.family,
            blind.count(),
            duration(blind.quantile(0.5)),
            duration(blind.max()),
            blind_misses,
        );
    }
    for violation in report.violations.iter().take(SHOWN) {
        text += &format!("{violation}\n");
    }
    if let Some(first) = report.violations.first() {
        text += &format!("again: {}\n", Setup::draw(first.family, first.seed).replay_command());
    }
    text += &aged(report);
    text
}

/// True hours that all runs of a swarm lived through.
fn hours_of(report: &SwarmReport) -> f64 {
    report.families.iter().map(|family| family.statistics.lived_ns as f64).sum::<f64>() / 3.6e12
}

/// How far readings are off, and what they claim, by their age: with growing distance from the
/// mapping's anchor, into the future and into the past.
fn aged(report: &SwarmReport) -> String {
    let mut text = String::from("\nby age: largest error / median bound, within est_error 1x 2x\n");
    let ages = Statistics::AGES;
    let headings = ages.iter().map(|hours| format!("{hours} h"));
    let mut table = Table::new(std::iter::once("world".to_owned()).chain(headings));
    for family in &report.families {
        let cells = family.statistics.aged.iter().map(|aged| {
            let n = aged.error.count();
            if n == 0 {
                return "-".to_owned();
            }
            let [one, two] = aged.within.map(|within| 100.0 * within as f64 / n as f64);
            let (error, bound) = (duration(aged.error.max()), duration(aged.bound.quantile(0.5)));
            format!("{error} / {bound} {one:.0} {two:.0}")
        });
        table.row(std::iter::once(family.family.name().to_owned()).chain(cells));
    }
    text += &table.to_string();
    text
}

pub(crate) fn run(setup: &Setup, outcome: &Outcome) -> String {
    let mut table = Table::new(HEADINGS);
    table.row(statistics("the engine", &outcome.statistics, outcome.broken));
    for contest in &outcome.contests {
        table.row(statistics(contest.name, &contest.statistics, 0));
    }
    let mut text = format!("{} {}: {}\n", setup.family, setup.seed, setup.replay_command());
    text += &table.to_string();
    for violation in &outcome.violations {
        text += &format!("{violation}\n");
    }
    text
}

fn statistics(name: &str, s: &Statistics, broken: u64) -> [String; 16] {
    let percent = |share: f64| format!("{:.0}%", share * 100.0);
    [
        name.to_owned(),
        duration(s.error.quantile(0.50)),
        duration(s.error.quantile(0.95)),
        duration(s.error.quantile(0.99)),
        duration(s.error.max()),
        format!("{:.1}", s.error.max() / s.error.quantile(0.99)),
        duration(s.bound.quantile(0.50)),
        duration(s.bound.quantile(0.99)),
        percent(s.share_within_one()),
        percent(s.share_within_two()),
        duration(s.first.quantile(0.50)),
        duration(s.second_round.quantile(0.50)),
        s.misses.to_string(),
        broken.to_string(),
        format!("{:.1}%", s.availability() * 100.0),
        format!("{:.0}", s.packets_per_day()),
    ]
}

pub(crate) fn comparison(comparisons: &[Comparison]) -> String {
    type Metric = (&'static str, fn(&Statistics) -> f64);
    let metrics: [Metric; 7] = [
        ("|error| p50", |s| s.error.quantile(0.50)),
        ("|error| p95", |s| s.error.quantile(0.95)),
        ("|error| p99", |s| s.error.quantile(0.99)),
        ("|error| max", |s| s.error.max()),
        ("|error| after the second round, p50", |s| s.second_round.quantile(0.5)),
        ("bound p50", |s| s.bound.quantile(0.50)),
        ("bound p99", |s| s.bound.quantile(0.99)),
    ];
    let mut text = String::new();
    for (title, metric) in metrics {
        let mut table = Table::new(headings(title, comparisons));
        for comparison in comparisons {
            let values = comparison.contests.iter().map(|c| duration(metric(&c.statistics)));
            table.row(std::iter::once(comparison.family.name().to_owned()).chain(values));
        }
        let means = to_best(comparisons, metric);
        table.row(std::iter::once("x best, mean".to_owned()).chain(means));
        text += &format!("{table}\n");
    }
    type Words = (&'static str, fn(&ntp_clock_sim::Contest) -> String);
    let others: [Words; 5] = [
        ("misses of the bound, %", |c| {
            format!("{:.3}", 100.0 * c.statistics.misses as f64 / c.statistics.checked as f64)
        }),
        ("within est_error, %", |c| format!("{:.0}", 100.0 * c.statistics.share_within_one())),
        ("within 2 est_error, %", |c| format!("{:.0}", 100.0 * c.statistics.share_within_two())),
        ("ppm more for no miss", |c| format!("{:.1}", c.needed_ppm)),
        ("bound p50 with them", |c| duration(c.honest_bound_p50())),
    ];
    for (title, words) in others {
        let mut table = Table::new(headings(title, comparisons));
        for comparison in comparisons {
            let values = comparison.contests.iter().map(words);
            table.row(std::iter::once(comparison.family.name().to_owned()).chain(values));
        }
        text += &format!("{table}\n");
    }
    text
}

fn headings(title: &str, comparisons: &[Comparison]) -> Vec<String> {
    let names = comparisons.first().into_iter().flat_map(|c| &c.contests).map(|c| c.name);
    std::iter::once(title).chain(names).map(str::to_owned).collect()
}

/// Each candidate's ratio to the best in each world, the geometric mean over worlds.
fn to_best(comparisons: &[Comparison], metric: fn(&Statistics) -> f64) -> Vec<String> {
    let candidates = comparisons.first().map_or(0, |c| c.contests.len());
    (0..candidates)
        .map(|place| {
            let ratios: Vec<f64> = comparisons
                .iter()
                .filter_map(|c| {
                    let values = c.contests.iter().map(|c| metric(&c.statistics));
                    let best = values.clone().filter(|v| *v > 0.0).fold(f64::INFINITY, f64::min);
                    let mine = values.clone().nth(place)?;
                    (mine > 0.0 && best.is_finite()).then_some(mine / best)
                })
                .collect();
            let mean = ratios.iter().map(|r| r.ln()).sum::<f64>() / ratios.len() as f64;
            format!("{:.2}", mean.exp())
        })
        .collect()
}

pub(crate) fn fleet(plan: &FleetPlan, report: &FleetReport) -> String {
    let mut table = Table::new(["", "from s", "to s", "mean/s", "peak/s", "peak/mean"]);
    for window in &report.windows {
        table.row([
            window.name.to_owned(),
            window.from_s.to_string(),
            window.to_s.to_string(),
            format!("{:.1}", window.mean),
            window.peak.to_string(),
            format!("{:.2}", window.peak_to_mean()),
        ]);
    }
    format!(
        "{table}{} clients, {} synchronised at the end, {} bytes each ({} of them the engine)\n",
        plan.clients, report.synchronised, report.bytes_per_client, report.engine_bytes
    )
}

pub(crate) fn cost(cost: &Cost) -> String {
    let mut table = Table::new(["an exchange", "count", "median", "p99", "max"]);
    for (name, times) in [("estimator", &cost.estimator), ("and mapping", &cost.replay)] {
        let at = |share: f64| {
            let place = (times.len() as f64 * share) as usize;
            times.get(place.min(times.len().saturating_sub(1))).map_or(0.0, |t| t.as_nanos() as f64)
        };
        table.row([
            name.to_owned(),
            times.len().to_string(),
            duration(at(0.5)),
            duration(at(0.99)),
            duration(at(1.0)),
        ]);
    }
    format!("{table}an engine takes {} bytes\n", size_of::<ntp_clock_core::SyncEngine>())
}

/// An error this many times the world's p99 would be a divergence.
const DIVERGED: f64 = 10.0;
const SHOWN: usize = 12;
