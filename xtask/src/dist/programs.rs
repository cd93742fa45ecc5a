//! The command `ntp-clock` with its manual pages and completions: on Linux one static program for
//! every libc.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use super::archive::{Member, write_tar_gz};
use super::build::Build;
use super::contents::PROGRAM;
use super::crates::version;
use super::tools::PROFILE;
use crate::command::{answer_of, cargo};

/// Builds `ntp-clock-VERSION-TARGET.tar.gz` for the chosen platforms: to be unpacked into
/// `/usr/local`, say.
pub(super) fn build(build: &Build) -> Result<Vec<PathBuf>> {
    let programs = build.platforms.iter().filter(|platform| platform.program);
    let mut compiled = Vec::new();
    for platform in programs {
        let mut command = build.tools.cargo("build", &build.origin, platform);
        build.job.must(command.args(["--package", "ntp-clock-cli", "--bin", NAME]))?;
        let folder = build.origin.target_dir().join(platform.target).join(PROFILE);
        compiled.push((platform, folder.join(platform.executable(NAME))));
    }
    let runs = compiled.iter().find(|(platform, _)| platform.runs_here());
    let pages = pages(build, runs.map(|(_, program)| program.as_path()))?;
    let out = build.out.join("programs");
    fs::create_dir_all(&out)?;
    let mut made = Vec::new();
    for (platform, program) in compiled {
        if platform.target.contains("linux") {
            check_static(&program)?;
        }
        let folder = format!("{NAME}-{}-{}", version(), platform.target);
        let mut members = pages.clone();
        let at = format!("bin/{}", platform.executable(NAME));
        members.push(Member::of(at, &program)?.executable());
        for member in &mut members {
            member.path = format!("{folder}/{}", member.path);
        }
        let archive = out.join(format!("{folder}.tar.gz"));
        write_tar_gz(&archive, members, build.origin.epoch_s())?;
        build.check(&archive, &PROGRAM, 1)?;
        made.push(archive);
    }
    Ok(made)
}

/// What is equal for all platforms, of a program that runs here: else of one that is built to be
/// asked.
fn pages(build: &Build, program: Option<&Path>) -> Result<Vec<Member>> {
    let ask = |args: &[&str]| -> Result<Vec<u8>> {
        let mut command = match program {
            Some(program) => Command::new(program),
            None => cargo(&["run", "--quiet", "--locked", "--package", "ntp-clock-cli", "--"]),
        };
        Ok(answer_of(build.job, command.args(args))?.into_bytes())
    };
    let project = build.job.project();
    let mut members = vec![
        Member::of("README.md", &project.path("crates/ntp-clock-cli/README.md"))?,
        Member::of("LICENSE-APACHE", &project.path("LICENSE-APACHE"))?,
        Member::of("LICENSE-MIT", &project.path("LICENSE-MIT"))?,
    ];
    for (shell, path) in COMPLETIONS {
        members.push(Member::new(*path, ask(&["completions", shell])?));
    }
    let page = ask(&["man"])?;
    for name in subcommands(&String::from_utf8_lossy(&page)) {
        let path = format!("share/man/man1/{NAME}-{name}.1");
        members.push(Member::new(path, ask(&["man", &name])?));
    }
    members.push(Member::new(format!("share/man/man1/{NAME}.1"), page));
    Ok(members)
}

/// The pages that the page of the whole command refers to, as in `ntp\-clock\-now(1)`.
fn subcommands(page: &str) -> Vec<String> {
    let plain = page.replace('\\', "");
    let pages = plain.lines().filter_map(|line| line.strip_suffix("(1)"));
    let names = pages.filter_map(|page| page.strip_prefix("ntp-clock-"));
    names.filter(|name| *name != "help").map(str::to_owned).collect()
}

/// A program of ELF that asks for no interpreter, which is what loads libraries.
fn check_static(program: &Path) -> Result<()> {
    let bytes = fs::read(program).with_context(|| format!("{}", program.display()))?;
    if has_interpreter(&bytes).context("this is no program of 64-bit ELF")? {
        bail!("{} is not static: it asks for a loader of libraries", program.display());
    }
    Ok(())
}

fn has_interpreter(elf: &[u8]) -> Option<bool> {
    let number = |at: usize, len: usize| -> Option<usize> {
        let bytes = elf.get(at..at + len)?;
        Some(bytes.iter().rev().fold(0, |sum, byte| (sum << 8) | usize::from(*byte)))
    };
    if elf.get(..6)? != ELF_64_LITTLE_ENDIAN {
        return None;
    }
    let (table, size, count) = (number(32, 8)?, number(54, 2)?, number(56, 2)?);
    let mut kinds = Vec::new();
    for index in 0..count {
        kinds.push(number(table + index * size, 4)?);
    }
    Some(kinds.contains(&PT_INTERP))
}

const NAME: &str = "ntp-clock";
/// Where each shell looks below a prefix such as `/usr/local`.
const COMPLETIONS: &[(&str, &str)] = &[
    ("bash", "share/bash-completion/completions/ntp-clock"),
    ("zsh", "share/zsh/site-functions/_ntp-clock"),
    ("fish", "share/fish/vendor_completions.d/ntp-clock.fish"),
];
const ELF_64_LITTLE_ENDIAN: [u8; 6] = [0x7f, b'E', b'L', b'F', 2, 1];
const PT_INTERP: usize = 3;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn subcommands_are_those_that_the_page_refers_to() {
        let page = ".TP\nntp\\-clock\\-now(1)\nThe time\n.TP\nntp\\-clock\\-help(1)\nHelp\n";
        assert_eq!(subcommands(page), ["now"]);
    }

    #[test]
    fn a_program_that_loads_libraries_is_not_static() {
        let mut elf = vec![0; 64 + 56];
        elf[..6].copy_from_slice(&ELF_64_LITTLE_ENDIAN);
        (elf[32], elf[54], elf[56]) = (64, 56, 1);
        elf[64] = 1;
        assert_eq!(has_interpreter(&elf), Some(false));
        elf[64] = 3;
        assert_eq!(has_interpreter(&elf), Some(true));
        assert_eq!(has_interpreter(b"#!/bin/sh\n"), None);
    }
}
