//! Whether the same commit becomes the same files in another folder.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};

use super::sums;
use crate::project::Project;

/// Builds the same in a clone in another folder, and compares the sums with those in `out`. Names
/// what differs; the clone is kept then, to be looked into.
pub(super) fn with_another_folder(
    project: &Project,
    arguments: &[String],
    out: &Path,
) -> Result<bool> {
    let clone = project.work("dist-compare/in-another-folder");
    if clone.exists() {
        fs::remove_dir_all(&clone)?;
    }
    must(Command::new("git").args(["clone", "--quiet"]).arg(project.path("")).arg(&clone))?;
    println!("again, in {}", project.shown(&clone));
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.args(["xtask", "dist"]).args(arguments).current_dir(&clone);
    must(command.env_remove("CARGO_TARGET_DIR").env_remove("CARGO_MANIFEST_DIR"))?;
    let read = |folder: &Path| {
        let file = folder.join(sums::FILE);
        fs::read_to_string(&file).with_context(|| format!("{}", file.display()))
    };
    let differences = sums::differences(&read(out)?, &read(&clone.join("target/dist"))?);
    if differences.is_empty() {
        println!("equal in both folders");
        fs::remove_dir_all(&clone)?;
        return Ok(true);
    }
    println!("these differ between the folders:\n  {}", differences.join("\n  "));
    Ok(false)
}

fn must(command: &mut Command) -> Result<()> {
    let status = command.status().with_context(|| format!("cannot run {command:?}"))?;
    if status.success() { Ok(()) } else { bail!("{command:?} failed") }
}
