//! `tuichat bench`: what a model does on this machine, measured. A suite measures one thing and tells it in records and
//! tables of its own; this room holds what suites share: the texts, drawing at random, the report, tables, charts.

pub mod draw;
pub mod energy;
pub mod kv;
pub mod report;
pub mod spec;
pub mod speed;
pub mod statistics;
pub mod stream;
pub mod svg;
pub mod table;
pub mod texts;
pub mod tune;

use crate::engine::lab::LabError;
use crate::exit::Failure;

/// Why a suite ended before its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ended {
    /// It was stopped; what was measured until then counts.
    Stopped,
    Failed(Failure),
}

impl From<LabError> for Ended {
    fn from(error: LabError) -> Self {
        match error {
            LabError::Cancelled => Ended::Stopped,
            LabError::Engine(error) => Ended::Failed(Failure::from(&error)),
        }
    }
}

impl From<Failure> for Ended {
    fn from(failure: Failure) -> Self {
        Ended::Failed(failure)
    }
}
