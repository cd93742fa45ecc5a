//! `cargo xtask fuzz`: a short run of each fuzz target, beginning from the corpus kept in git.

use std::fs;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::command::nightly;
use crate::project::Project;

/// Fuzzes each target for a while; stops at the first input that breaks a promise.
///
/// What is found on the way stays in target/fuzz-corpus and is where the next run begins; the small
/// corpus in fuzz/seeds is only read. Needs a nightly toolchain and cargo-fuzz.
#[derive(clap::Args, Debug)]
pub(crate) struct FuzzArgs {
    /// Only these targets, by the names of the files in fuzz/fuzz_targets
    targets: Vec<String>,
    /// How long to fuzz each target
    #[arg(long, default_value_t = 60)]
    seconds: u32,
}

/// Runs the targets; gives whether all promises held.
pub(crate) fn run(args: &FuzzArgs) -> Result<bool> {
    let project = Project::here();
    let known = targets(&project)?;
    if let Some(unknown) = args.targets.iter().find(|target| !known.contains(target)) {
        bail!("no fuzz target {unknown:?}; there are {}", known.join(", "));
    }
    let chosen = if args.targets.is_empty() { &known } else { &args.targets };
    for target in chosen {
        let mut command = nightly("fuzz", "cargo install --locked cargo-fuzz")?;
        let found = project.target("fuzz-corpus").join(target);
        let seeds = project.path("fuzz/seeds").join(target);
        fs::create_dir_all(&found)?;
        println!("{target}, for {} s", args.seconds);
        command.arg("run").arg(target).arg(&found);
        if seeds.is_dir() {
            command.arg(seeds);
        }
        command.arg("--").arg(format!("-max_total_time={}", args.seconds));
        command.arg(format!("-timeout={}", INPUT_LIMIT.as_secs())).arg("-print_final_stats=1");
        command.current_dir(project.path("fuzz"));
        if !command.status().context("cannot run cargo fuzz")?.success() {
            println!("{target} failed; the input that did it is named above");
            return Ok(false);
        }
    }
    println!("no promise was broken by {}", chosen.join(", "));
    Ok(true)
}

fn targets(project: &Project) -> Result<Vec<String>> {
    let dir = project.path("fuzz/fuzz_targets");
    let mut names = Vec::new();
    for entry in fs::read_dir(&dir).with_context(|| format!("{}", project.shown(&dir)))? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "rs") {
            names.extend(path.file_stem().map(|stem| stem.to_string_lossy().into_owned()));
        }
    }
    names.sort();
    Ok(names)
}

/// One input that takes longer is a finding.
const INPUT_LIMIT: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_target_has_seeds() {
        let project = Project::here();
        let targets = targets(&project).unwrap();
        assert!(targets.len() >= 3, "{targets:?}");
        for target in targets {
            let seeds = project.path("fuzz/seeds").join(&target);
            assert!(fs::read_dir(seeds).is_ok_and(|mut dir| dir.next().is_some()), "{target}");
        }
    }
}
