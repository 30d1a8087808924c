//! `tuichat bench`: what a model does on this machine, measured. A suite ([`suite`]) measures one thing; what it measures
//! becomes the cases of a run ([`record`]), which is kept ([`mod@history`]), told ([`report`]) and shown ([`tables`]).

pub mod advice;
pub mod cold;
pub mod compare;
pub mod draw;
pub mod energy;
pub mod exact;
pub mod fit;
pub mod footprint;
pub mod history;
pub mod kv;
pub mod live;
pub mod machine;
pub mod outlook;
pub mod peers;
pub mod preview;
pub mod quality;
pub mod quant;
pub mod record;
pub mod report;
pub mod reports;
pub mod soak;
pub mod spec;
pub mod speed;
pub mod statistics;
pub mod stream;
pub mod suite;
pub mod svg;
pub mod table;
pub mod tables;
pub mod texts;
pub mod trust;
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
