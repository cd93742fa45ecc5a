//! Network Time Security against a real server: Debian's chrony on this machine, with an authority
//! of our own.

#[path = "../common/mod.rs"]
mod common;

mod attacks;
mod clocks;
mod environment;
mod exchange;
mod forks;
mod packets;
mod scene;
mod support;
mod wire;
