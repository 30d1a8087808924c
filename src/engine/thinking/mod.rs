//! The thoughts of a reasoning model: how they are marked, telling them from the answer, and ending them.

mod filter;
mod limit;
mod tags;

pub use filter::ThinkingFilter;
pub use limit::ThoughtLimit;
pub use tags::Tags;
