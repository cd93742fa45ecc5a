//! What the command line prints of systems of several clocks.

use ntp_clock_sim::{LinkContest, LinkSwarm, System, Table, Tally, duration};

pub(crate) fn swarm(swarm: &LinkSwarm) -> String {
    let mut table = Table::new([
        "world",
        "comparisons",
        "related",
        "misses",
        "pairs",
        "certain",
        "wrong",
        "width p50",
        "p99",
        "error p50",
        "p99",
        "1x",
        "2x",
        "beyond aim",
        "too wide",
        "widest",
        "fed",
        "restarts",
        "of liars",
        "listed",
    ]);
    for report in &swarm.worlds {
        table.row(row(report.world.name(), &report.tally));
    }
    let total = swarm.total();
    table.row(row("all", &total));
    let mut text = table.to_string();
    text += &format!(
        "{} runs, {} comparisons with the truth, {} misses; {} pairs of stamps put in order, {} wrong\n",
        swarm.runs, total.comparisons, total.misses, total.pairs, total.wrong
    );
    for violation in swarm.violations.iter().take(SHOWN) {
        text += &format!("{violation}\n");
    }
    if let Some(first) = swarm.violations.first() {
        let command = System::draw(first.world, first.seed).replay_command();
        text += &format!("again: {command}\n");
    }
    text
}

fn row(name: &str, tally: &Tally) -> [String; 20] {
    let share = |n: u64, of: u64| {
        if of == 0 { "-".to_owned() } else { format!("{:.0}%", 100.0 * n as f64 / of as f64) }
    };
    let measured = tally.error.count();
    [
        name.to_owned(),
        tally.comparisons.to_string(),
        tally.related.to_string(),
        tally.misses.to_string(),
        tally.pairs.to_string(),
        share(tally.certain, tally.pairs),
        tally.wrong.to_string(),
        duration(tally.width.quantile(0.50)),
        duration(tally.width.quantile(0.99)),
        duration(tally.error.quantile(0.50)),
        duration(tally.error.quantile(0.99)),
        share(tally.within[0], measured),
        share(tally.within[1], measured),
        if tally.measured == 0 {
            "-".to_owned()
        } else {
            format!("{:.3}%", 100.0 * tally.beyond_aim as f64 / tally.measured as f64)
        },
        tally.wide.to_string(),
        format!("{:.2}", tally.widest),
        tally.fed.to_string(),
        tally.restarts.to_string(),
        tally.restarts_of_liars.to_string(),
        tally.listed.to_string(),
    ]
}

pub(crate) fn contest(contests: &[LinkContest]) -> String {
    let mut text = String::from(
        "| network | method | pairs decided | wrongly decided | one-way latency off by, p50 | p99 |\n\
         |---|---|---:|---:|---:|---:|\n",
    );
    for contest in contests {
        for standing in &contest.standings {
            let percent = |n: u64| 100.0 * n as f64 / standing.pairs as f64;
            text += &format!(
                "| {} | {} | {:.1} % | {:.2} % | {} | {} |\n",
                contest.profile,
                standing.name,
                percent(standing.decided),
                percent(standing.wrong),
                duration(standing.error.quantile(0.50)),
                duration(standing.error.quantile(0.99)),
            );
        }
    }
    for contest in contests {
        let pairs = contest.standings.first().map_or(0, |standing| standing.pairs);
        text += &format!("\n{}: {} traces, {pairs} pairs", contest.profile, contest.traces);
    }
    text + "\n"
}

const SHOWN: usize = 20;
