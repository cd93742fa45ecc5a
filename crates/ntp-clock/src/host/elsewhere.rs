//! Where processes cannot share a clock yet: there is no part to be had.

#![allow(dead_code)]

use std::convert::Infallible;
use std::io;
use std::time::Duration;

use ntp_clock_core::Mapping;

use super::page::{Identity, Shown};
use super::sharing::Sharing;
use crate::counters::Reference;
use crate::os::{Awaited, Lifeline};

/// A process that shares a clock: there is none.
#[derive(Debug)]
pub(crate) struct Member(Infallible);

/// What a process does for the machine's clock.
#[derive(Debug)]
pub(crate) enum Part {
    Follower(Follower),
    Writer(Box<Writer>),
}

/// A process that reads another one's page.
#[derive(Debug)]
pub(crate) struct Follower {
    pub(crate) shown: Shown,
    pub(crate) lifeline: Lifeline,
}

/// A process whose page others read.
#[derive(Debug)]
pub(crate) struct Writer {
    pub(crate) shown: Shown,
    pub(crate) legacy: Option<(Mapping, Reference)>,
    none: Infallible,
}

/// Why a process takes no part.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Unshared {
    #[error("{0}")]
    Counters(&'static str),
    #[error("clocks are shared on Linux only, so far")]
    System,
}

impl Unshared {
    pub(crate) fn passes(&self) -> bool {
        false
    }
}

impl Member {
    pub(crate) fn new(_sharing: &Sharing, _identity: Identity) -> Result<Self, Unshared> {
        Err(Unshared::System)
    }

    pub(crate) fn join(
        &self,
        _patience: Duration,
        _known: Option<&Shown>,
    ) -> Result<Part, Unshared> {
        match self.0 {}
    }

    pub(crate) fn succeed(&self, _shown: &Shown, _patience: Duration) -> Result<Part, Unshared> {
        match self.0 {}
    }
}

impl Writer {
    pub(crate) fn awaited(&self) -> Awaited {
        match self.none {}
    }

    pub(crate) fn serve(&self) -> io::Result<()> {
        match self.none {}
    }

    pub(crate) fn is_superseded(&self) -> bool {
        match self.none {}
    }

    pub(crate) fn has_successor(&self) -> bool {
        match self.none {}
    }
}
