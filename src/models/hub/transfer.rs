//! Getting the bytes of a file over a few connections at once, from what an earlier attempt left, until they are all
//! there.
//!
//! One connection begins. When its answer shows that the server gives ranges, the others join, and each asks for a
//! piece after the other. A connection that fails hands its piece back and is done without, as long as others bring
//! something; a later piece that comes whole lets it return. Whatever shows that the content may be another than
//! before (another `ETag`, no range where one was asked for) ends all connections but one, which begins again.

use std::cell::RefCell;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use reqwest::header::{ETAG, HeaderMap, HeaderValue, IF_RANGE, RANGE};
use reqwest::{Method, Response, StatusCode};
use tokio::sync::Notify;
use tokio::time::Instant;

use super::Hub;
use super::http::{Http, HttpError, Passing, header, reason, refusal};
use super::later::seconds_up;
use super::locate::RemoteFile;
use super::pace::Pace;
use super::part::Part;
use super::ranges::{Claim, Claims};
use crate::models::ModelError;
use crate::models::progress::{Listener, Meter, Step};

/// How often a download may begin again from nothing: a server that gives no ranges and breaks off each time
/// would otherwise be asked for ever.
const RESTARTS_MAX: u32 = 5;
/// A smaller file comes over one connection.
const PARALLEL_BYTES_MIN: u64 = 8 << 20;
/// A connection that brings less is as good as stalled.
const TRICKLE_BYTES_PER_SECOND: f64 = 1024.0;

/// Fills `part` until it is as long as the file is. Whether the bytes are the right ones is seen afterwards.
pub async fn fetch(
    hub: &Hub,
    http: &Http,
    file: &RemoteFile,
    part: &mut Part,
    listener: Listener<'_>,
) -> Result<(), ModelError> {
    let transfer = Transfer::new(hub, http, file, part, listener);
    let mut lanes = FuturesUnordered::new();
    let mut next = transfer.next_piece(0);
    loop {
        while let Some(claim) = next {
            lanes.push(transfer.run(Job::Fetch(claim)));
            next = transfer.next_piece(lanes.len());
        }
        let ended = tokio::select! {
            ended = lanes.next() => ended,
            () = transfer.may_widen.notified() => {
                next = transfer.next_piece(lanes.len());
                continue;
            }
        };
        let Some(ended) = ended else { return Ok(()) };
        match transfer.settle(ended, lanes.len())? {
            Next::GoOn => {}
            Next::Pause(pause) => lanes.push(transfer.run(Job::Pause(pause))),
            Next::BeginAgain(response) => {
                lanes.clear();
                transfer.begin_again(response.as_ref())?;
                match response {
                    None => lanes.push(transfer.run(Job::Pause(hub.patience.back_off))),
                    Some(response) => {
                        let claim = transfer.next_piece(0);
                        lanes.extend(claim.map(|claim| transfer.run(Job::Receive(response, claim))));
                    }
                }
            }
        }
        next = transfer.next_piece(lanes.len());
    }
}

struct Transfer<'a> {
    hub: &'a Hub,
    http: &'a Http,
    file: &'a RemoteFile,
    state: RefCell<State<'a>>,
    /// Told when the server turns out to give ranges.
    may_widen: Notify,
}

struct State<'a> {
    part: &'a mut Part,
    claims: Claims,
    meter: Meter<'a>,
    pace: Option<Pace>,
    /// What the server called the content when the bytes so far were fetched.
    etag: Option<HeaderValue>,
    /// Whether it was seen that the server gives ranges.
    gives_ranges: bool,
    /// How many connections there may be.
    width: usize,
    /// How many there may be if all goes well.
    width_max: usize,
    /// In a row, that brought nothing.
    failures: u32,
    restarts: u32,
    /// Before this nothing is asked.
    not_before: Instant,
}

/// What one connection does next.
enum Job {
    Fetch(Claim),
    /// Takes a whole file that came although a piece was asked for.
    Receive(Response, Claim),
    Pause(Duration),
}

/// How that ended.
enum Ended {
    Well,
    Rested,
    Failed { id: u64, brought: u64, error: HttpError },
    Other { id: u64, other: Other },
}

/// Why a connection gave up its piece.
enum Stop {
    Error(HttpError),
    Other(Other),
}

/// An answer that is not the piece that was asked for.
enum Other {
    /// Another piece.
    Piece,
    /// All of the file, whose bytes are still to be read.
    Whole(Box<Response>),
    /// Something that does not go together with what is there.
    Content(&'static str),
}

enum Next {
    GoOn,
    Pause(Duration),
    /// From nothing, if there is one with this answer.
    BeginAgain(Option<Response>),
}

impl<'a> Transfer<'a> {
    fn new(hub: &'a Hub, http: &'a Http, file: &'a RemoteFile, part: &'a mut Part, listener: Listener<'a>) -> Self {
        let mut meter = Meter::new(Step::Downloading, file.size_bytes, listener);
        meter.report(part.bytes());
        let now = Instant::now();
        let width = if file.size_bytes < PARALLEL_BYTES_MIN { 1 } else { hub.connections.max(1) };
        let state = State {
            part,
            claims: Claims::new(file.size_bytes),
            meter,
            pace: hub.bytes_per_second.map(|limit| Pace::new(limit, now)),
            etag: None,
            gives_ranges: false,
            width,
            width_max: width,
            failures: 0,
            restarts: 0,
            not_before: now,
        };
        Self { hub, http, file, state: RefCell::new(state), may_widen: Notify::new() }
    }

    /// A piece for one more connection beside those that run.
    fn next_piece(&self, running: usize) -> Option<Claim> {
        let state = &mut *self.state.borrow_mut();
        let allowed = if state.gives_ranges { state.width } else { 1 };
        if running >= allowed { None } else { state.claims.take(state.part.written(), state.width_max) }
    }

    async fn run(&self, job: Job) -> Ended {
        let (claim, response) = match job {
            Job::Pause(pause) => {
                self.pause(Instant::now() + pause).await;
                return Ended::Rested;
            }
            Job::Fetch(claim) => (claim, None),
            Job::Receive(response, claim) => (claim, Some(response)),
        };
        let mut brought = 0;
        let outcome = async {
            let response = match response {
                Some(response) => response,
                None => self.ask(&claim).await?,
            };
            self.receive(response, claim.id, &mut brought).await
        };
        match outcome.await {
            Ok(()) => {
                self.state.borrow_mut().claims.release(claim.id);
                Ended::Well
            }
            Err(Stop::Error(error)) => Ended::Failed { id: claim.id, brought, error },
            Err(Stop::Other(other)) => Ended::Other { id: claim.id, other },
        }
    }

    /// Asks for a piece, and makes sure that what comes is this piece.
    async fn ask(&self, claim: &Claim) -> Result<Response, Stop> {
        let not_before = self.state.borrow().not_before;
        self.pause(not_before).await;
        let headers = self.headers(claim);
        let is_ranged = headers.contains_key(RANGE);
        let response = self.http.send(Method::GET, &self.file.url, &headers, |_| false).await.map_err(Stop::Error)?;
        let state = &mut *self.state.borrow_mut();
        let etag = response.headers().get(ETAG).cloned();
        match response.status() {
            StatusCode::PARTIAL_CONTENT if state.etag.is_some() && etag != state.etag => {
                return Err(Stop::Other(Other::Content("the file changed on the server")));
            }
            StatusCode::PARTIAL_CONTENT if !self.is_piece(&response, claim) => return Err(Stop::Other(Other::Piece)),
            StatusCode::PARTIAL_CONTENT => {
                state.gives_ranges = true;
                self.may_widen.notify_one();
            }
            StatusCode::OK if response.content_length().is_some_and(|length| length != self.file.size_bytes) => {
                return Err(Stop::Error(HttpError::passing("the server sent something else than the file")));
            }
            StatusCode::OK if is_ranged => return Err(Stop::Other(Other::Whole(Box::new(response)))),
            StatusCode::OK => {}
            StatusCode::RANGE_NOT_SATISFIABLE => {
                return Err(Stop::Other(Other::Content("the server refused to continue")));
            }
            _ => return Err(Stop::Error(refusal(&response, &self.hub.page(&self.file.repository)))),
        }
        state.etag = etag;
        Ok(response)
    }

    fn headers(&self, claim: &Claim) -> HeaderMap {
        let mut headers = HeaderMap::new();
        if (claim.next, claim.end) == (0, self.file.size_bytes) {
            return headers;
        }
        if let Ok(range) = HeaderValue::try_from(format!("bytes={}-{}", claim.next, claim.end - 1)) {
            headers.insert(RANGE, range);
        }
        // A weak tag does not promise the same bytes, and servers must refuse it here.
        let etag = self.state.borrow().etag.clone();
        if let Some(etag) = etag.filter(|etag| !etag.as_bytes().starts_with(b"W/")) {
            headers.insert(IF_RANGE, etag);
        }
        headers
    }

    fn is_piece(&self, response: &Response, claim: &Claim) -> bool {
        let expected = format!("bytes {}-{}/{}", claim.next, claim.end - 1, self.file.size_bytes);
        header(response, "content-range") == Some(&expected)
    }

    /// Writes what an answer brings, as fast as the limit and the disk allow.
    async fn receive(&self, mut response: Response, id: u64, brought: &mut u64) -> Result<(), Stop> {
        let window = self.hub.patience.stall;
        let (mut waited, mut came) = (Duration::ZERO, 0);
        loop {
            let asked_at = Instant::now();
            let chunk = response.chunk().await.map_err(|error| Stop::Error(HttpError::passing(reason(&error))))?;
            let Some(chunk) = chunk else { break };
            waited += asked_at.elapsed();
            came += chunk.len();
            self.write(id, &chunk)?;
            *brought += chunk.len() as u64;
            if waited >= window {
                if (came as f64) < window.as_secs_f64() * TRICKLE_BYTES_PER_SECOND {
                    // As if nothing had come: this must not go on for ever.
                    *brought = 0;
                    return Err(Stop::Error(HttpError::passing("next to nothing comes over the connection")));
                }
                (waited, came) = (Duration::ZERO, 0);
            }
            self.slow_down(chunk.len()).await?;
        }
        match self.state.borrow().claims.left(id) {
            0 => Ok(()),
            _ => Err(Stop::Error(HttpError::passing("the connection ended early"))),
        }
    }

    fn write(&self, id: u64, chunk: &[u8]) -> Result<(), Stop> {
        let state = &mut *self.state.borrow_mut();
        let place = state.claims.advance(id, chunk.len() as u64);
        let place = place.ok_or(Stop::Other(Other::Content("the server sent more than it was asked for")))?;
        state.part.write(place, chunk).map_err(|error| Stop::Error(HttpError::Final(error)))?;
        state.meter.report(state.part.bytes());
        Ok(())
    }

    async fn slow_down(&self, bytes: usize) -> Result<(), Stop> {
        let due = self.state.borrow_mut().pace.as_mut().map(|pace| pace.take(bytes, Instant::now()));
        if let Some(due) = due {
            tokio::time::sleep_until(due).await;
        }
        loop {
            let congestion = self.state.borrow_mut().part.congestion();
            match congestion.map_err(|error| Stop::Error(HttpError::Final(error)))? {
                None => return Ok(()),
                // A disk that failed is told by the next question.
                Some(mut kept) => drop(kept.changed().await),
            }
        }
    }

    /// Waits, and says each second for how long if the hub asked for it.
    async fn pause(&self, until: Instant) {
        loop {
            let now = Instant::now();
            let Some(left) = until.checked_duration_since(now).filter(|left| !left.is_zero()) else { return };
            self.tell_postponed(now);
            tokio::time::sleep(left.min(Duration::from_secs(1))).await;
        }
    }

    fn tell_postponed(&self, now: Instant) {
        let state = &mut *self.state.borrow_mut();
        if state.not_before > now {
            let seconds = seconds_up(state.not_before - now);
            state.meter.tell(Step::Postponed { seconds }, state.part.bytes());
        }
    }

    /// Decides what follows when a connection has ended and `others` still run.
    fn settle(&self, ended: Ended, others: usize) -> Result<Next, ModelError> {
        let state = &mut *self.state.borrow_mut();
        let (id, brought, passing) = match ended {
            Ended::Rested => return Ok(Next::GoOn),
            Ended::Well => {
                state.failures = 0;
                state.width = (state.width + 1).min(state.width_max);
                return Ok(Next::GoOn);
            }
            Ended::Failed { error: HttpError::Final(error), .. } => return Err(error),
            Ended::Failed { id, brought, error: HttpError::Passing(passing) } => (id, brought, passing),
            Ended::Other { other: Other::Whole(response), .. } => return Ok(Next::BeginAgain(Some(*response))),
            Ended::Other { id, other: Other::Piece } if others > 0 => {
                (id, 0, Passing::new("the server sent another range than it was asked for"))
            }
            Ended::Other { other, .. } => {
                let reason = if let Other::Content(why) = other { why } else { "the server sent another range" };
                tracing::info!(reason, "a download begins again");
                return Ok(Next::BeginAgain(None));
            }
        };
        state.claims.release(id);
        tracing::info!(reason = passing.reason, bytes = state.part.bytes(), "a connection was interrupted");
        if let Some(wait) = passing.wait {
            state.not_before = state.not_before.max(Instant::now() + self.hub.bounded(wait)?);
        }
        if brought == 0 && others > 0 {
            state.width = others;
            return Ok(Next::GoOn);
        }
        state.failures = if brought > 0 { 1 } else { state.failures + 1 };
        let pause = self.hub.pause_before_retry(state.failures, &passing)?;
        Ok(Next::Pause(pause))
    }

    /// From nothing and over one connection, with this answer if there is one.
    fn begin_again(&self, response: Option<&Response>) -> Result<(), ModelError> {
        let state = &mut *self.state.borrow_mut();
        state.claims.clear();
        state.etag = response.and_then(|response| response.headers().get(ETAG).cloned());
        (state.width, state.width_max) = (1, 1);
        if state.part.bytes() == 0 && response.is_some() {
            return Ok(());
        }
        state.part.restart()?;
        state.restarts += 1;
        if state.restarts <= RESTARTS_MAX {
            return Ok(());
        }
        Err(ModelError::Network(format!(
            "the download of `{}` had to begin again {RESTARTS_MAX} times and is given up; try again later",
            self.file.shown()
        )))
    }
}
