//! What the documents show is what the example runs, whose times `tests/python/test_otel_rust.py`
//! compares with the truth.

const DOCUMENT: &str = include_str!("../../../docs/OPENTELEMETRY.md");
const EXAMPLE: &str = include_str!("../examples/truth.rs");

#[test]
fn the_lines_for_a_program_are_those_of_the_example_and_at_most_five() {
    let section = DOCUMENT.split("\n## Rust\n").nth(1).expect("a section on Rust");
    let block = section.split("```rust\n").nth(1).expect("a block in Rust");
    let block = block.split("```").next().expect("the end of the block");
    let lines: Vec<_> = block.lines().collect();
    assert!((1..=5).contains(&lines.len()), "{lines:?}");
    let mut run = EXAMPLE.lines().map(str::trim);
    for line in lines {
        assert!(run.any(|other| other == line), "the example does not have, in this order: {line}");
    }
}
