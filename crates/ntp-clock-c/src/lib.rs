//! `libntp_clock`: the clock for C, C++ and whatever calls C. The header, `include/ntp_clock.h`, is
//! made of these files by cbindgen and is the documentation.
//!
//! A thin layer: values are converted, and nothing is decided. Pointers that may be null are
//! `Option<&T>`, places to write to `Option<&mut MaybeUninit<T>>`, and so nearly all of it is safe
//! code: that other pointers are valid is the caller's part, as in all of C. No panic leaves a
//! function ([`result::guarded`]).

// Names as C has them, in the header and here; cbindgen takes what is `pub`.
#![allow(non_camel_case_types, unreachable_pub)]

mod field;
mod handle;
mod options;
mod reading;
mod result;
mod status;
mod sync;
mod text;
mod true_time;
