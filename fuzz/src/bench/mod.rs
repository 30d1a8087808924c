#[path = "../../../src/bench/machine.rs"]
pub mod machine;
#[path = "../../../src/bench/record/mod.rs"]
pub mod record;
