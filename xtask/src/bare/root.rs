//! Roots: the files of small systems, below `.work/bare`, and how a program is run in one.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::command::{Job, answer, answer_of};
use crate::project::Project;

/// A processor that a root's programs are for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Processor {
    /// This machine's.
    Amd64,
    /// Another one, which qemu emulates.
    Arm64,
}

/// The files of a system. Its programs see no others; they share this machine's network.
#[derive(Clone, Debug)]
pub(super) struct Root {
    dir: PathBuf,
    processor: Processor,
    /// The script that enters it.
    enter: PathBuf,
    /// Folders of this machine that are there too, under their own names.
    guests: Vec<PathBuf>,
}

impl Root {
    /// The smallest system of a release of Debian, and these packages. It is kept for the next time.
    pub(super) fn debian(
        job: &Job,
        mirror: &str,
        suite: &str,
        processor: Processor,
        packages: &str,
    ) -> Result<Self> {
        let name = match processor {
            Processor::Amd64 => suite.to_owned(),
            Processor::Arm64 => format!("{suite}-arm64"),
        };
        let root = Root::at(job.project(), &name, processor);
        let marker = root.dir.with_extension("made-of");
        let made_of = format!("{mirror} {suite} {packages}");
        if fs::read_to_string(&marker).is_ok_and(|made| made == made_of) {
            return Ok(root);
        }
        root.clear()?;
        let mut command = Command::new("debootstrap");
        command.arg("--variant=minbase").arg(format!("--include={packages}"));
        if processor == Processor::Arm64 {
            // What its packages would run at their installation sets up what nobody needs here.
            command.args(["--arch=arm64", "--foreign"]);
        }
        job.must(command.arg(suite).arg(&root.dir).arg(mirror).env("PATH", PATH))?;
        if processor == Processor::Arm64 {
            root.unpack(job)?;
        }
        fs::write(marker, made_of)?;
        Ok(root)
    }

    /// A root that is not Debian's; it may not be there yet.
    pub(super) fn at(project: &Project, name: &str, processor: Processor) -> Self {
        let enter = project.path("xtask/src/bare/enter.sh");
        Root { dir: project.work("bare").join(name), processor, enter, guests: Vec::new() }
    }

    /// The same with a folder of this machine in it.
    pub(super) fn with_guest(&self, folder: &Path) -> Self {
        let mut root = self.clone();
        root.guests.push(folder.to_owned());
        root
    }

    /// Where a file of it is on this machine.
    pub(super) fn path(&self, inside: &str) -> PathBuf {
        self.dir.join(inside.trim_start_matches('/'))
    }

    /// Removes it.
    pub(super) fn clear(&self) -> Result<()> {
        remove(&self.dir)?;
        fs::create_dir_all(&self.dir).with_context(|| format!("{}", self.dir.display()))
    }

    /// An empty folder in it, as of somebody who has just come.
    pub(super) fn newcomer(&self) -> Result<PathBuf> {
        let folder = self.path(NEWCOMER);
        remove(&folder)?;
        fs::create_dir_all(&folder)?;
        Ok(folder)
    }

    /// A program of it with these arguments, in the newcomer's folder and with few variables.
    pub(super) fn command<S: AsRef<OsStr>>(&self, program: &str, args: &[S]) -> Command {
        let mut command = Command::new("unshare");
        command.env_clear();
        for (name, value) in [("PATH", PATH), ("HOME", "/root"), ("LANG", "C.UTF-8")] {
            command.env(name, value);
        }
        let processor = match self.processor {
            Processor::Amd64 => "amd64",
            Processor::Arm64 => {
                command.args(["--user", "--map-root-user"]);
                "arm64"
            }
        };
        let guests = self.guests.iter().map(|guest| guest.as_os_str());
        command.args(["--mount", "sh"]).arg(&self.enter).args([processor, NEWCOMER]);
        command.arg(&self.dir).args(guests).arg("--").arg(program).args(args);
        command
    }

    /// What a command of Debian in the root prints.
    pub(super) fn answer(&self, job: &Job, program: &str, args: &[&str]) -> Result<String> {
        self.newcomer()?;
        answer_of(job, self.command(program, args).env("DEBIAN_FRONTEND", "noninteractive"))
    }

    /// The Pythons that came with its packages, the oldest first: `python3.9` and so on.
    pub(super) fn pythons(&self) -> Result<Vec<String>> {
        let mut minors = Vec::new();
        for entry in fs::read_dir(self.path("usr/bin"))? {
            let name = entry?.file_name();
            let minor = name.to_str().and_then(|name| name.strip_prefix("python3."));
            minors.extend(minor.and_then(|minor| minor.parse::<u32>().ok()));
        }
        minors.sort_unstable();
        Ok(minors.iter().map(|minor| format!("python3.{minor}")).collect())
    }

    /// What compiles, of what it has.
    pub(super) fn compilers(&self) -> Vec<&'static str> {
        let names = ["cc", "gcc", "clang", "rustc", "cargo"];
        let folders = ["bin", "usr/bin", "usr/local/bin", "root/.cargo/bin"];
        let has = |name: &&str| folders.iter().any(|dir| self.path(dir).join(name).exists());
        names.into_iter().filter(has).collect()
    }

    /// The C library's version, as in "glibc 2.31".
    pub(super) fn libc(&self, job: &Job) -> Result<String> {
        let said = self.answer(job, "ldd", &["--version"])?;
        let version = said.lines().next().and_then(|line| line.split(' ').next_back());
        Ok(format!("glibc {}", version.context("ldd did not say its version")?))
    }

    /// Unpacks all packages that debootstrap has fetched, without running what is in them.
    fn unpack(&self, job: &Job) -> Result<()> {
        for entry in fs::read_dir(self.path("var/cache/apt/archives"))? {
            let package = entry?.path();
            if package.extension().is_some_and(|extension| extension == "deb") {
                let mut unpack = Command::new("sh");
                unpack.args(["-euc", UNPACK, "sh"]).arg(package).arg(&self.dir);
                job.must(&mut unpack)?;
            }
        }
        Ok(())
    }
}

/// What this machine lacks to make and enter such roots, with the line that installs it.
pub(super) fn lack(processor: Processor) -> Option<String> {
    if answer("id", &["-u"]).as_deref() != Some("0") {
        return Some("only root can change roots: sudo cargo xtask bare".to_owned());
    }
    if answer("unshare", &["--version"]).is_none() {
        return Some("unshare is missing: apt-get install util-linux".to_owned());
    }
    if !["/usr/sbin/debootstrap", "/usr/bin/debootstrap"].iter().any(|at| Path::new(at).exists()) {
        return Some("debootstrap is missing: apt-get install debootstrap".to_owned());
    }
    if processor == Processor::Amd64 {
        return (std::env::consts::ARCH != "x86_64").then(|| "this machine is another".to_owned());
    }
    if !Path::new("/usr/bin/qemu-aarch64-static").exists() {
        return Some("qemu is missing: apt-get install qemu-user-static".to_owned());
    }
    let own_binfmt = ["--user", "--map-root-user", "--mount", "sh", "-c", MOUNT_BINFMT];
    answer("unshare", &own_binfmt).is_none().then(|| {
        "the kernel gives a namespace no binfmt_misc of its own: Linux 6.7 or newer does".to_owned()
    })
}

/// Removes a folder, where there is one.
pub(super) fn remove(folder: &Path) -> Result<()> {
    if !folder.exists() {
        return Ok(());
    }
    fs::remove_dir_all(folder).with_context(|| format!("cannot remove {}", folder.display()))
}

/// Fails where one could compile in the root: what installs there then needs no compiler.
pub(super) fn check_bare(root: &Root) -> Result<()> {
    match root.compilers()[..] {
        [] => Ok(()),
        ref compilers => bail!("the root is not bare: it has {}", compilers.join(", ")),
    }
}

const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
/// The folder that is emptied for each trial.
pub(super) const NEWCOMER: &str = "/newcomer";

/// In packages of Debian `/bin` may be a folder, while the root's is a link.
const UNPACK: &str = r#"dpkg-deb --fsys-tarfile "$1" | tar -x --keep-directory-symlink -C "$2""#;
const MOUNT_BINFMT: &str = "mount -t binfmt_misc binfmt_misc /proc/sys/fs/binfmt_misc";
