//! What needs what: circles of files, and the diagram of dependencies that the documents draw.

mod architecture;
mod graph;
mod rust;
mod scripts;
#[cfg(test)]
mod where_is;

use anyhow::{Context, Result};

use crate::command::Job;
use crate::project::Project;
use graph::Graph;

/// Looks for circles in all parts of the project that may have none, and compares the diagram in
/// `docs/architecture/README.md` with the imports. Returns whether all is well; the job's log has
/// what is not.
pub(crate) fn check(job: &Job) -> Result<bool> {
    let mut all_well = true;
    for (place, read) in PLACES {
        let graph = read(job.project(), place).with_context(|| (*place).to_owned())?;
        let circles = graph.circles();
        job.note(&format!("{place}: {} files, {} circles", graph.files(), circles.len()))?;
        for circle in &circles {
            job.note(&format!("files that need one another, in {place}:\n{circle}"))?;
        }
        all_well &= circles.is_empty();
    }
    for difference in architecture::differences(job.project())? {
        job.note(&format!("the diagram in docs/architecture/README.md: {difference}"))?;
        all_well = false;
    }
    Ok(all_well)
}

type Read = fn(&Project, &str) -> Result<Graph>;

/// Where there are to be no circles.
const PLACES: &[(&str, Read)] = &[
    ("crates/ntp-clock-core/src", rust),
    ("crates/ntp-clock/src", rust),
    ("crates/ntp-clock-c/src", rust),
    ("crates/ntp-clock-cli/src", rust),
    ("crates/ntp-clock-python/src", rust),
    ("crates/ntp-clock-wasm/src", rust),
    ("crates/ntp-clock-history/src", rust),
    ("crates/ntp-clock-opentelemetry/src", rust),
    ("crates/ntp-clock-history-wasm/src", rust),
    ("crates/ntp-clock-nts/src", rust),
    ("crates/ntp-clock-order/src", rust),
    ("crates/ntp-clock-order-wasm/src", rust),
    ("crates/ntp-clock-relay/src", rust),
    ("crates/ntp-test-server/src", rust),
    ("portacode", python),
    ("server/portacode_django", python),
    ("js/src", javascript),
    ("js/order", javascript),
    ("js/otel", javascript),
    ("js/page", javascript),
    ("server/portacode_django/dashboard/static", javascript),
];

fn rust(project: &Project, place: &str) -> Result<Graph> {
    let folder = project.path(place);
    rust::read(&folder.join("lib.rs"), &folder)
}

/// The package is imported by its name from the root, the server's from their own folder.
fn python(project: &Project, place: &str) -> Result<Graph> {
    let folder = project.path(place);
    let base = if place.contains('/') { folder.clone() } else { project.path("") };
    scripts::python(&folder, &base)
}

fn javascript(project: &Project, place: &str) -> Result<Graph> {
    let folder = project.path(place);
    scripts::javascript(&folder, &folder)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_place_is_read_with_its_imports() {
        let project = Project::here();
        for (place, read) in PLACES {
            let graph = read(&project, place).expect(place);
            assert!(graph.files() > 1 && graph.arrows() >= graph.files() / 2, "{place}: {graph:?}");
            for circle in graph.circles() {
                println!("{place}:\n{circle}");
            }
        }
    }
}
