//! Whether a model fits a machine, and how fast it would be there, before it is downloaded: arithmetic on what its
//! header or the catalogue says ([`Anatomy`]), on the machine's memory, and on how fast its kernels were measured to be
//! ([`Rates`]). It knows neither files nor devices.
//!
//! ```text
//! Anatomy::of_header(&header)            or   entry.anatomy(&file), of the catalogue
//! anatomy.needs(context, &machine)       → Needs { weights, repacked, seldom_read, kv, working }   bytes
//! anatomy.speed(&machine.rates)          → Speed { decode, prefill }                  tokens per second
//! anatomy.verdict(&machine)              → RunsWell | RunsSlowly | SmallerContext | DoesNotFit
//! ```

mod anatomy;
mod curve;
mod layers;
mod mixture;
mod needs;
mod rates;
mod verdict;

pub use anatomy::{Anatomy, Matrices};
pub use curve::{Curve, Timed, USUAL};
pub use layers::{Layer, Layers};
pub use needs::Needs;
pub use rates::{Rates, Speed};
pub use verdict::{Machine, Verdict};
