#[path = "../../../src/exchange/import/mod.rs"]
pub mod import;
