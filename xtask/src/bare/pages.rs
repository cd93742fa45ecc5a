//! The npm tarball through bundlers, each as it comes, and the page that it becomes in Chromium.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use super::Bare;
use super::javascript::{NPM, said_without_warning};
use super::reading::Reading;
use super::report::Row;
use super::root::remove;
use crate::js;

/// A bundler, and how its own guide calls it.
#[derive(Clone, Copy, Debug)]
struct Bundler {
    name: &'static str,
    arguments: &'static [&'static str],
    /// How the page loads what came out; `None` where the bundler writes the page as well.
    script: Option<&'static str>,
}

/// Tries all of them.
pub(super) fn bundlers(bare: &Bare) -> Vec<Row> {
    let shown = "bundlers, in Chromium";
    let Some(chromium) = chromium() else {
        return vec![Row::not_tried(shown, NPM, "Chromium is missing: apt-get install chromium")];
    };
    let tried = || -> Result<Vec<Row>> {
        let site = Site::set_up(bare, chromium)?;
        BUNDLERS
            .iter()
            .map(|bundler| {
                let system = format!("{} {}, Chromium", bundler.name, site.version(bundler)?);
                Ok(Row::of(system, NPM, site.of(bundler)))
            })
            .collect()
    };
    tried().unwrap_or_else(|error| vec![Row::of(shown, NPM, Err(error))])
}

/// A program that imports the package, and what makes a page of it.
#[derive(Debug)]
struct Site<'a> {
    bare: &'a Bare<'a>,
    folder: PathBuf,
    chromium: PathBuf,
    relay: Relay,
}

impl<'a> Site<'a> {
    /// Installs the bundlers' newest, and the tarball beside them.
    fn set_up(bare: &'a Bare, chromium: PathBuf) -> Result<Self> {
        js::check_npm()?;
        let folder = bare.job.project().work("bare/bundlers");
        fs::create_dir_all(&folder)?;
        fs::write(folder.join("package.json"), r#"{"type": "module", "private": true}"#)?;
        fs::copy(bare.packages.npm()?, folder.join("package.tgz"))?;
        remove(&folder.join("node_modules/@portacode"))?;
        let mut npm = Command::new("npm");
        npm.args(["install", "--no-package-lock", "--prefix"]).arg(&folder).args(TOOLS);
        bare.job.must(npm.arg(folder.join("package.tgz")))?;
        fs::write(folder.join("main.js"), MAIN)?;
        Ok(Site { bare, folder, chromium, relay: Relay::start(bare)? })
    }

    /// How long it took to bundle, and what the page has read.
    fn of(&self, bundler: &Bundler) -> Result<(Duration, Reading)> {
        let out = self.folder.join("dist");
        remove(&out)?;
        fs::write(self.folder.join("index.html"), self.page(SOURCE))?;
        let began = Instant::now();
        let mut bundle = Command::new(self.folder.join("node_modules/.bin").join(bundler.name));
        bundle.current_dir(&self.folder).args(bundler.arguments);
        said_without_warning(self.bare, &mut bundle)?;
        let took = began.elapsed();
        if let Some(script) = bundler.script {
            fs::write(out.join("index.html"), self.page(script))?;
        }
        let mut open = Command::new("node");
        open.current_dir(&self.folder).arg(self.bare.job.project().path(DRIVER));
        Ok((took, Reading::take(&self.bare.job, open.arg(&self.chromium).arg(&out))?))
    }

    fn page(&self, script: &str) -> String {
        let url = &self.relay.url;
        format!(
            r#"<!doctype html>
<meta charset="utf-8" />
<title>A newcomer's page</title>
<link rel="icon" href="data:," />
<meta name="ntp-clock-relay" content="{url}" />
<body>{script}</body>
"#
        )
    }

    fn version(&self, bundler: &Bundler) -> Result<String> {
        let manifest = format!("node_modules/{}/package.json", bundler.name);
        let manifest: Value = serde_json::from_slice(&fs::read(self.folder.join(manifest))?)?;
        Ok(manifest["version"].as_str().context("a package without version")?.to_owned())
    }
}

/// `ntp-clock relay`, which pages ask.
#[derive(Debug)]
struct Relay {
    child: Child,
    url: String,
}

impl Relay {
    fn start(bare: &Bare) -> Result<Self> {
        let mut command = Command::new(bare.job.project().program("debug/ntp-clock"));
        command.args(["relay", "--listen", "127.0.0.1:0"]).stdout(Stdio::piped());
        let mut child = bare.asking(&mut command).spawn().context("cannot start the relay")?;
        let mut line = String::new();
        BufReader::new(child.stdout.take().context("no pipe")?).read_line(&mut line)?;
        let address = line.strip_prefix("listening on http://");
        let Some(address) = address.and_then(|rest| rest.split(' ').next()) else {
            bail!("the relay said {line:?} instead of its address");
        };
        Ok(Relay { child, url: format!("ws://{address}/clock/ws") })
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        // It may have ended by itself already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn chromium() -> Option<PathBuf> {
    let names = ["chromium", "chromium-browser", "google-chrome"];
    let paths = std::env::var_os("PATH").unwrap_or_default();
    let at =
        |name: &str| std::env::split_paths(&paths).map(|dir| dir.join(name)).find(|p| p.exists());
    names.into_iter().find_map(at)
}

const TOOLS: [&str; 7] = [
    "esbuild",
    "playwright-core",
    "rollup",
    "@rollup/plugin-node-resolve",
    "vite",
    "webpack",
    "webpack-cli",
];
const DRIVER: &str = "js/programs/bare-chromium.mjs";
const SOURCE: &str = r#"<script type="module" src="./main.js"></script>"#;
/// Scripts are classic unless a bundler's guide says otherwise.
const CLASSIC: Option<&str> = Some(r#"<script defer src="main.js"></script>"#);
const BUNDLERS: [Bundler; 4] = [
    Bundler { name: "vite", arguments: &["build"], script: None },
    Bundler {
        name: "webpack",
        arguments: &["--mode", "production", "--entry", "./main.js"],
        script: CLASSIC,
    },
    Bundler {
        name: "esbuild",
        arguments: &["main.js", "--bundle", "--outfile=dist/main.js"],
        script: CLASSIC,
    },
    Bundler {
        name: "rollup",
        arguments: &["main.js", "--plugin", "@rollup/plugin-node-resolve", "--dir", "dist"],
        script: Some(SOURCE),
    },
];
/// What the page runs: all modules of the package that a page can use, and the first reading.
const MAIN: &str = r#"
import ntpClock from '@portacode/ntp-clock';
import { Links } from '@portacode/ntp-clock/order';
new Links();
ntpClock.waitSynced({ timeout: 60000 }).then(() => {
    const { timeMs, maxErrorMs } = ntpClock.read();
    const reading = { time_ns: timeMs * 1e6, max_error_ns: maxErrorMs * 1e6 };
    document.body.dataset.shown = JSON.stringify(reading);
});
"#;
