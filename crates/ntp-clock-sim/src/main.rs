//! The command line of the simulator.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};
use indicatif::{ProgressBar, ProgressStyle};
use ntp_clock_sim::{
    Family, FleetPlan, LinkWorld, Options, Profile, Setup, all_peers, compare, cost, fleet,
    links_contest, links_swarm, run, svg, swarm,
};

mod report;

/// Worlds in which the truth is known, around the real engine.
#[derive(Parser)]
#[command(name = "ntp-clock-sim", version)]
struct Cli {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// Runs many seeds of many worlds and checks every promise.
    Swarm(Batch),
    /// Runs one seed of one world.
    Run {
        /// Its family.
        #[arg(long)]
        world: Family,
        /// Its seed.
        #[arg(long)]
        seed: u64,
        /// How long it lasts.
        #[arg(long)]
        hours: Option<f64>,
        /// Draw error and bounds into this SVG file.
        #[arg(long)]
        plot: Option<PathBuf>,
    },
    /// Compares this estimator with others on the same exchanges.
    Compare(Batch),
    /// Systems of several clocks: compares what links say with the truth, and checks every promise.
    Links(LinkBatch),
    /// Ways to put the stamps of a trace in order, on the same simulated traces, as markdown.
    LinksCompare {
        /// Seeds of each kind of network.
        #[arg(long, default_value_t = 20)]
        seeds: u64,
    },
    /// Many clients of one server: start-up, an outage of ten minutes, recovery.
    Fleet {
        /// How many.
        #[arg(long, default_value_t = 10_000)]
        clients: u32,
        /// Decides everything.
        #[arg(long, default_value_t = 1)]
        seed: u64,
    },
    /// Draws error and bounds over time, one SVG for each world.
    Plots {
        /// Into this folder.
        #[arg(long, default_value = "target/sim")]
        out: PathBuf,
        /// The seed of each world.
        #[arg(long, default_value_t = 1)]
        seed: u64,
        /// Only these worlds.
        #[arg(long = "world")]
        worlds: Vec<Family>,
    },
    /// Measures what taking an exchange into account costs.
    Cost {
        /// Days of each world whose exchanges are taken.
        #[arg(long, default_value_t = 2)]
        seeds: u64,
    },
    /// Lists the worlds.
    Worlds,
}

#[derive(Args)]
struct Batch {
    /// Seeds of each world.
    #[arg(long, default_value_t = 20)]
    seeds: u64,
    /// The first of them.
    #[arg(long, default_value_t = 1)]
    first_seed: u64,
    /// Only these worlds.
    #[arg(long = "world")]
    worlds: Vec<Family>,
    /// How long each lasts; a day, where its world is not about more.
    #[arg(long)]
    hours: Option<f64>,
}

#[derive(Args)]
struct LinkBatch {
    /// Seeds of each world.
    #[arg(long, default_value_t = 20)]
    seeds: u64,
    /// The first of them.
    #[arg(long, default_value_t = 1)]
    first_seed: u64,
    /// Only these worlds.
    #[arg(long = "world")]
    worlds: Vec<LinkWorld>,
    /// Comparisons in each run, about.
    #[arg(long, default_value_t = 10_000)]
    comparisons: u32,
}

impl Batch {
    fn families(&self) -> &[Family] {
        if self.worlds.is_empty() { Family::ALL } else { &self.worlds }
    }

    fn seeds(&self) -> std::ops::Range<u64> {
        self.first_seed..self.first_seed.saturating_add(self.seeds)
    }

    fn runs(&self) -> u64 {
        self.families().len() as u64 * self.seeds
    }
}

fn main() -> anyhow::Result<ExitCode> {
    let kept = match Cli::parse_from(spelled_out(std::env::args().collect())).verb {
        Verb::Swarm(batch) => {
            let bar = bar(batch.runs(), "runs");
            let began = std::time::Instant::now();
            let report = swarm(batch.families(), batch.seeds(), batch.hours, |_| bar.inc(1));
            bar.finish_and_clear();
            print!("{}", report::swarm(&report));
            println!("{:.1} s", began.elapsed().as_secs_f64());
            report.violations.is_empty()
        }
        Verb::Run { world, seed, hours, plot } => {
            let mut setup = Setup::draw(world, seed);
            if let Some(hours) = hours {
                setup = setup.lasting_hours(hours);
            }
            let options = Options { trace: plot.is_some(), record: false };
            let outcome = run(&setup, &mut all_peers(&setup), options);
            print!("{}", report::run(&setup, &outcome));
            if let Some(file) = plot {
                std::fs::write(&file, svg(&setup, &outcome.trace))?;
                println!("drawn to {}", file.display());
            }
            outcome.broken == 0
        }
        Verb::Compare(batch) => {
            let bar = bar(batch.runs(), "runs");
            let comparisons =
                compare(batch.families(), batch.seeds(), batch.hours, all_peers, || bar.inc(1));
            bar.finish_and_clear();
            print!("{}", report::comparison(&comparisons));
            true
        }
        Verb::Links(batch) => {
            let worlds = if batch.worlds.is_empty() { LinkWorld::ALL } else { &batch.worlds };
            let seeds = batch.first_seed..batch.first_seed.saturating_add(batch.seeds);
            let bar = bar(worlds.len() as u64 * batch.seeds, "runs");
            let began = std::time::Instant::now();
            let swarm = links_swarm(worlds, seeds, batch.comparisons, || bar.inc(1));
            bar.finish_and_clear();
            print!("{}", report::links::swarm(&swarm));
            println!("{:.1} s", began.elapsed().as_secs_f64());
            swarm.total().broken() == 0
        }
        Verb::LinksCompare { seeds } => {
            let bar = bar(Profile::ALL.len() as u64 * seeds, "hours");
            let contests = links_contest(Profile::ALL, 1..1 + seeds, || bar.inc(1));
            bar.finish_and_clear();
            print!("{}", report::links::contest(&contests));
            true
        }
        Verb::Fleet { clients, seed } => {
            let plan = FleetPlan::of(clients, seed);
            let bar = bar(plan.end_s as u64, "s of the fleet's time");
            let report = fleet(&plan, |second| bar.set_position(second as u64));
            bar.finish_and_clear();
            print!("{}", report::fleet(&plan, &report));
            if let Some(peak) = peak_memory() {
                println!("the whole process took {peak} at most");
            }
            true
        }
        Verb::Plots { out, seed, worlds } => {
            std::fs::create_dir_all(&out)?;
            let families = if worlds.is_empty() { Family::ALL } else { &worlds };
            for family in families {
                let setup = Setup::draw(*family, seed);
                let outcome = run(&setup, &mut [], Options { trace: true, record: false });
                let file = out.join(format!("{family}-{seed}.svg"));
                std::fs::write(&file, svg(&setup, &outcome.trace))?;
                println!("{}", file.display());
            }
            true
        }
        Verb::Cost { seeds } => {
            print!("{}", report::cost(&cost(seeds)));
            true
        }
        Verb::Worlds => {
            for family in Family::ALL {
                println!("{:<18}{}", family.name(), family.about().trim());
            }
            println!("\nof several clocks (links):");
            for world in LinkWorld::ALL {
                println!("{:<18}{}", world.name(), world.about().trim());
            }
            true
        }
    };
    Ok(if kept { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// `--compare` and `--fleet N` are short for the verbs, and without a verb it is the swarm.
fn spelled_out(mut arguments: Vec<String>) -> Vec<String> {
    match arguments.get(1).map(String::as_str) {
        Some("--compare") => arguments[1] = "compare".to_owned(),
        Some("--fleet") => {
            arguments.splice(1..2, ["fleet".to_owned(), "--clients".to_owned()]);
        }
        Some("--help" | "-h" | "--version" | "-V") => {}
        Some(verb) if !verb.starts_with("--") => {}
        _ => arguments.insert(1, "swarm".to_owned()),
    }
    arguments
}

/// By this system's own account, where it gives one (Linux).
fn peak_memory() -> Option<String> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    Some(line.trim().to_owned())
}

fn bar(length: u64, of: &str) -> ProgressBar {
    let style = ProgressStyle::with_template("{bar:40} {pos}/{len} {msg}, {elapsed}, {eta} to go");
    let style = style.unwrap_or_else(|_| ProgressStyle::default_bar());
    ProgressBar::new(length).with_style(style).with_message(of.to_owned())
}
