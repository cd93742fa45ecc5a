//! Runs the tests, several at a time, and tells how they ended as Rust's own runner does.

mod acts;
mod counters;
mod host;
mod injected;
mod pauses;
mod probe;

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

/// A test: its name, which is the sentence it proves, and what is wrong, if anything is.
pub(crate) struct Test {
    pub(crate) name: String,
    pub(crate) run: Box<dyn Fn() -> Result<(), String> + Send + Sync>,
}

pub(crate) fn main() {
    if let Some(act) = std::env::var_os(probe::ACT) {
        match &*act.to_string_lossy() {
            host::neighbour::NEIGHBOUR => host::neighbour::live(),
            act => acts::perform(act),
        }
        return;
    }
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let wanted = |test: &Test| {
        arguments
            .iter()
            .all(|wanted| wanted.starts_with('-') || test.name.contains(wanted.as_str()))
    };
    // Those that take longest first.
    let mut tests = pauses::tests();
    tests.extend(host::tests());
    tests.extend(acts::tests());
    tests.extend(counters::tests());
    tests.extend(injected::tests());
    tests.retain(wanted);
    if arguments.iter().any(|argument| argument == "--list") {
        for test in &tests {
            println!("{}: test", test.name);
        }
        return;
    }
    let failed = Mutex::new(Vec::new());
    let next = AtomicUsize::new(0);
    // They mostly wait.
    std::thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                while let Some(test) = tests.get(next.fetch_add(1, Ordering::SeqCst)) {
                    let outcome = (test.run)();
                    let outcome_word = if outcome.is_ok() { "ok" } else { "FAILED" };
                    println!("test {} ... {outcome_word}", test.name);
                    if let Err(problem) = outcome {
                        failed.lock().expect("no panic").push((&test.name, problem));
                    }
                }
            });
        }
    });
    let failed = failed.into_inner().expect("no panic");
    if !failed.is_empty() {
        println!("\nfailures:\n");
        for (name, problem) in &failed {
            println!("---- {name} ----\n{problem}\n");
        }
    }
    let verdict = if failed.is_empty() { "ok" } else { "FAILED" };
    println!(
        "\ntest result: {verdict}. {} passed; {} failed; 0 ignored; 0 measured; 0 filtered out",
        tests.len() - failed.len(),
        failed.len()
    );
    std::process::exit(i32::from(!failed.is_empty()));
}

const AT_ONCE: usize = 16;
