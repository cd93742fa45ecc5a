//! Black-box scenarios: one engine in a small world in which the truth is known. Each test is
//! named by the sentence it proves; the promises that hold always are checked at every step by
//! `world::Oracle`.

mod world;

mod first_sync;
mod fork;
mod frequency;
mod kiss;
mod leap;
mod log;
mod manual;
mod outage;
mod past;
mod rejection;
mod slow_driver;
mod step;
mod suspend;
mod weather;
