#[path = "../../../../src/models/hub/journal.rs"]
pub mod journal;
#[path = "../../../../src/models/hub/ranges.rs"]
pub mod ranges;
