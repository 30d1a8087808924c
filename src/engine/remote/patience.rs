//! How often a server that is busy is asked again, and when.

use std::time::Duration;

use super::http::{Refusal, wait};
use crate::engine::protocol::CancelFlag;

const MOST_RETRIES: u32 = 4;
/// As long as all waiting may take together.
const MOST_WAIT: Duration = Duration::from_secs(30);
const FIRST_PAUSE: Duration = Duration::from_secs(1);

/// What was waited for one answer.
#[derive(Debug, Default)]
pub struct Patience {
    tried: u32,
    waited: Duration,
}

impl Patience {
    /// Waits before the request is sent again.
    ///
    /// # Errors
    /// The refusal, if asking again would not help or takes too long; or that it was stopped.
    pub async fn wait_after(&mut self, refusal: Refusal, stops: &[&CancelFlag]) -> Result<(), Refusal> {
        let pause = pause(&refusal, self.tried).filter(|pause| self.waited + *pause <= MOST_WAIT);
        let Some(pause) = pause else { return Err(refusal) };
        tracing::info!(?refusal, ?pause, "the server is asked again");
        self.tried += 1;
        self.waited += pause;
        wait(pause, stops).await
    }
}

/// How long to wait before a request is sent again; `None` if that would not help. `tried` times it was already.
fn pause(refusal: &Refusal, tried: u32) -> Option<Duration> {
    let usual = FIRST_PAUSE * 2_u32.pow(tried.min(8));
    match refusal {
        _ if tried >= MOST_RETRIES => None,
        Refusal::Status { status: 429 | 502 | 503 | 504, wait, .. } => Some(wait.unwrap_or(usual)),
        // A connection that was kept open may have been closed by the server meanwhile.
        Refusal::Lost(_) if tried == 0 => Some(Duration::ZERO),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(status: u16, wait: Option<u64>) -> Refusal {
        Refusal::Status { status, wait: wait.map(Duration::from_secs), sentence: String::new() }
    }

    #[test]
    fn a_busy_server_is_asked_again_when_it_says_and_a_mistake_is_not_repeated() {
        let seconds = |refusal: &Refusal, tried| pause(refusal, tried).map(|pause| pause.as_secs());
        assert_eq!(seconds(&status(429, Some(7)), 0), Some(7));
        assert_eq!([0, 1, 2].map(|tried| seconds(&status(503, None), tried)), [Some(1), Some(2), Some(4)]);
        assert_eq!(seconds(&status(503, None), MOST_RETRIES), None);
        for refusal in [status(401, None), status(404, None), status(500, None), Refusal::Strange("x".into())] {
            assert_eq!(seconds(&refusal, 0), None, "{refusal:?}");
        }
        assert_eq!([0, 1].map(|tried| seconds(&Refusal::Lost("x".into()), tried)), [Some(0), None]);
    }
}
