//! Models of the clock's lock-free code, which its tests check in every order in which threads can
//! see each other's writes: `RUSTFLAGS="--cfg loom" cargo test --release -p ntp-clock-models`.

#![forbid(unsafe_code)]
