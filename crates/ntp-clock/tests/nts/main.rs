//! Network Time Security against real servers on this machine, Debian's chrony and its ntpsec, with
//! an authority of our own.

#[path = "../common/mod.rs"]
mod common;

mod attacks;
mod clocks;
mod environment;
mod exchange;
mod forks;
mod lines;
mod ntpsec;
mod packets;
mod paths;
mod peer;
mod scene;
mod support;
mod wire;
