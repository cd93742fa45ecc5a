//! `cargo xtask c-library`: libntp_clock as it is installed: header, libraries, pkg-config.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use crate::command::{Job, answer, cargo};
use crate::project::Project;

/// Builds libntp_clock and lays it out as it is installed: include/, lib/, lib/pkgconfig/.
#[derive(clap::Args, Debug)]
pub(crate) struct CLibraryArgs {
    /// Folder to install into, which may be moved later
    #[arg(long, default_value = "target/c-library")]
    into: PathBuf,
    /// Target to build for; this machine by default
    #[arg(long)]
    target: Option<String>,
    /// Build nothing; take what cargo has built for this machine in this folder
    #[arg(long, conflicts_with = "target")]
    built: Option<PathBuf>,
    /// Build nothing; write include/ntp_clock.h from the sources
    #[arg(long, conflicts_with_all = ["into", "target", "built"])]
    header: bool,
}

pub(crate) fn run(args: &CLibraryArgs) -> Result<bool> {
    let project = Project::here();
    let into = project.path(&args.into);
    if let Some(built) = &args.built {
        lay_out_built(&project, built, &into)?;
        println!("{}", project.shown(&into));
        return Ok(true);
    }
    let job = Job::start(&project, "c-library")?;
    let made = if args.header {
        let test = ["test", "--package", PACKAGE, "--test", "header", "--", "the_header_is"];
        job.must(cargo(&test).env("NTP_CLOCK_WRITE_HEADER", "1")).map(|()| project.path(HEADER))
    } else {
        lay_out(&job, args.target.as_deref(), &into).map(|()| into)
    };
    job.finish();
    let made = made.with_context(|| format!("see {}", project.shown(job.log())))?;
    println!("{}", project.shown(&made));
    Ok(true)
}

/// Builds the library for a target (`None`: this machine), optimised, and fills the folder, which may
/// be moved: `include/`, `lib/`, `lib/pkgconfig/`, for Windows `bin/`, and the licences. What else is
/// in it stays.
pub(crate) fn lay_out(job: &Job, target: Option<&str>, into: &Path) -> Result<()> {
    let mut command = cargo(&["rustc", "--release"]);
    command.args(target.map(|target| format!("--target={target}")));
    let built = job.project().target(target.unwrap_or("")).join("release");
    let target = target.map_or_else(host, |target| Ok(target.to_owned()))?;
    lay_out_by(job, &mut command, &target, &built, into)
}

/// The same by a `cargo rustc` of the caller's, which builds for `target` and leaves it in `built`.
pub(crate) fn lay_out_by(
    job: &Job,
    command: &mut Command,
    target: &str,
    built: &Path,
    into: &Path,
) -> Result<()> {
    command.args(["--package", PACKAGE, "--lib"]);
    // rustc says what a program needs besides the static library.
    job.must(command.args(["--", "--print=native-static-libs", "-Cstrip=symbols"]))?;
    let output = job.output();
    let natives = natives(&output).context("rustc does not say what the static library needs")?;
    fill(job.project(), &Files::of(target)?, built, natives, into)
}

/// The same of what cargo has built for this machine, as tests have it: in the folder `deps`.
pub(crate) fn lay_out_built(project: &Project, built: &Path, into: &Path) -> Result<()> {
    // What the standard library needs, as an empty library has it: no crate of ours needs more here.
    let nothing = project.work("nothing.a");
    fs::create_dir_all(project.work(""))?;
    let mut rustc = Command::new("rustc");
    rustc.args(["--crate-type=staticlib", "--print=native-static-libs", "-", "-o"]).arg(&nothing);
    let output = rustc.stdin(Stdio::null()).output().context("rustc does not run")?;
    fs::remove_file(nothing).context("rustc made no library")?;
    let output = String::from_utf8_lossy(&output.stderr);
    let natives = natives(&output).context("rustc does not say what the static library needs")?;
    fill(project, &Files::of(&host()?)?, built, natives, into)
}

fn fill(project: &Project, files: &Files, built: &Path, natives: &str, into: &Path) -> Result<()> {
    for folder in ["include", "lib/pkgconfig"] {
        fs::create_dir_all(into.join(folder)).with_context(|| into.display().to_string())?;
    }
    files.install(built, into)?;
    fs::copy(project.path(HEADER), into.join("include/ntp_clock.h"))?;
    fs::write(into.join("lib/pkgconfig/ntp-clock.pc"), pkg_config(natives))?;
    let licences = into.join("share/doc/ntp-clock");
    fs::create_dir_all(&licences)?;
    for licence in ["LICENSE-APACHE", "LICENSE-MIT"] {
        fs::copy(project.path(licence), licences.join(licence))?;
    }
    Ok(())
}

/// The files that cargo makes for a system, and where they go.
#[derive(PartialEq, Eq, Debug)]
struct Files {
    /// From cargo's folder into ours.
    copies: Vec<(&'static str, String)>,
    /// Other names, in lib/, of files there.
    links: Vec<(String, String)>,
}

impl Files {
    fn of(target: &str) -> Result<Self> {
        let major = VERSION.split('.').next().unwrap_or(VERSION);
        let (mut copies, mut links) = (Vec::new(), Vec::new());
        let mut copy = |name, to: &str| copies.push((name, to.to_owned()));
        if target.contains("-linux") {
            // As distributions have it: the name that programs ask for is that of the version
            // with which they are compatible.
            let [real, asked] =
                [VERSION, major].map(|version| format!("libntp_clock.so.{version}"));
            copy("libntp_clock_c.so", &format!("lib/{real}"));
            links.push((asked.clone(), real));
            links.push(("libntp_clock.so".to_owned(), asked));
            copy("libntp_clock_c.a", "lib/libntp_clock.a");
        } else if target.contains("-apple") {
            let real = format!("libntp_clock.{major}.dylib");
            copy("libntp_clock_c.dylib", &format!("lib/{real}"));
            links.push(("libntp_clock.dylib".to_owned(), real));
            copy("libntp_clock_c.a", "lib/libntp_clock.a");
        } else if target.contains("-windows") {
            // What one links with names this one.
            copy("ntp_clock_c.dll", "bin/ntp_clock_c.dll");
            if target.contains("-msvc") {
                copy("ntp_clock_c.dll.lib", "lib/ntp_clock.dll.lib");
                copy("ntp_clock_c.lib", "lib/ntp_clock.lib");
            } else {
                copy("libntp_clock_c.dll.a", "lib/libntp_clock.dll.a");
                copy("libntp_clock_c.a", "lib/libntp_clock.a");
            }
        } else {
            bail!("{target}: nobody has said which files the library has there");
        }
        Ok(Files { copies, links })
    }

    fn install(&self, built: &Path, into: &Path) -> Result<()> {
        for (name, to) in &self.copies {
            let (from, to) = (built.join(name), into.join(to));
            fs::create_dir_all(to.parent().unwrap_or(into))?;
            fs::copy(&from, to).with_context(|| from.display().to_string())?;
        }
        for (name, real) in &self.links {
            let name = into.join("lib").join(name);
            if name.symlink_metadata().is_ok() {
                fs::remove_file(&name)?;
            }
            link(real, &name)?;
        }
        Ok(())
    }
}

#[cfg(unix)]
fn link(real: &str, name: &Path) -> Result<()> {
    Ok(std::os::unix::fs::symlink(real, name)?)
}

/// Where links are a privilege, a copy.
#[cfg(not(unix))]
fn link(real: &str, name: &Path) -> Result<()> {
    fs::copy(name.with_file_name(real), name)?;
    Ok(())
}

/// What pkg-config says, wherever the folder stands. `natives` is what the static library needs.
fn pkg_config(natives: &str) -> String {
    format!(
        "prefix=${{pcfiledir}}/../..\n\
         includedir=${{prefix}}/include\n\
         libdir=${{prefix}}/lib\n\
         \n\
         Name: ntp-clock\n\
         Description: A synchronised clock in process, with an error on every reading\n\
         URL: {}\n\
         Version: {VERSION}\n\
         Cflags: -I${{includedir}}\n\
         Libs: -L${{libdir}} -lntp_clock\n\
         Libs.private: {natives}\n",
        env!("CARGO_PKG_REPOSITORY"),
    )
}

/// What a program needs besides the static library, as rustc has it; also where nothing was new.
fn natives(output: &str) -> Option<&str> {
    let said = output.lines().rev().find_map(|line| line.split_once("native-static-libs: "));
    said.map(|(_, natives)| natives.trim())
}

/// The target that cargo builds for by default.
fn host() -> Result<String> {
    let rustc = answer("rustc", &["-vV"]).context("rustc does not run")?;
    let host = rustc.lines().find_map(|line| line.strip_prefix("host: "));
    Ok(host.context("rustc names no host")?.to_owned())
}

const PACKAGE: &str = "ntp-clock-c";
const HEADER: &str = "crates/ntp-clock-c/include/ntp_clock.h";
const VERSION: &str = env!("CARGO_PKG_VERSION");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_system_has_a_library_to_link_with_and_one_to_run_with() {
        for target in [
            "x86_64-unknown-linux-gnu",
            "aarch64-unknown-linux-musl",
            "aarch64-apple-darwin",
            "x86_64-pc-windows-gnu",
            "x86_64-pc-windows-msvc",
        ] {
            let files = Files::of(target).expect(target);
            let placed: Vec<&str> = files.copies.iter().map(|(_, to)| to.as_str()).collect();
            assert!(placed.iter().all(|to| to.contains("ntp_clock")), "{placed:?}");
            for (name, real) in &files.links {
                let is_there = placed.contains(&format!("lib/{real}").as_str())
                    || files.links.iter().any(|(other, _)| other == real);
                assert!(is_there, "{target}: {name} is a link to {real}");
            }
        }
        assert!(Files::of("wasm32-unknown-unknown").is_err());
    }

    #[cfg(unix)]
    #[test]
    fn an_older_library_is_replaced_and_what_else_is_in_the_folder_stays() {
        let folder = std::env::temp_dir().join(format!("xtask-c-library-{}", std::process::id()));
        let (built, into) = (folder.join("built"), folder.join("into"));
        fs::create_dir_all(&built).unwrap();
        fs::create_dir_all(into.join("lib")).unwrap();
        fs::write(into.join("lib/libother.so"), "other").unwrap();
        let files = Files::of("x86_64-unknown-linux-gnu").unwrap();
        for text in ["old", "new"] {
            for name in ["libntp_clock_c.so", "libntp_clock_c.a"] {
                fs::write(built.join(name), text).unwrap();
            }
            fill(&Project::here(), &files, &built, "-lc", &into).unwrap();
        }
        let read = |name: &str| fs::read_to_string(into.join(name)).expect(name);
        let placed = ["libntp_clock.so", "libntp_clock.a", "libother.so"];
        assert_eq!(placed.map(|name| read(&format!("lib/{name}"))), ["new", "new", "other"]);
        assert!(read("lib/pkgconfig/ntp-clock.pc").contains("Libs.private: -lc\n"));
        fs::remove_dir_all(folder).unwrap();
    }
}
