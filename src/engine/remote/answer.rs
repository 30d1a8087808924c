//! One answer of a server: asking, again where that may help, and turning what streams back into the engine's own events.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use super::connection::Connection;
use super::events::{self, Figures, Line};
use super::http::{Lines, Refusal};
use super::patience::Patience;
use super::request;
use crate::chat::{Ended, Repetition, Role, ServerTold, Stats, Timings, Usage};
use crate::engine::llama::Token;
use crate::engine::protocol::{CancelFlag, Channel, EngineError, Finish, GenerateOptions, Piece, Prompt, Step};
use crate::engine::repetition::RepetitionDetector;
use crate::engine::thinking::{Tags, ThinkingFilter};

const COMPLETIONS: &str = "chat/completions";

/// Answers a prompt. `emit` gets what comes before the last event, which is returned; it gives `false` when nobody listens.
pub async fn answer(
    connection: &Connection,
    prompt: &Prompt,
    options: &GenerateOptions,
    stops: &[&CancelFlag],
    emit: impl Fn(Step) -> bool,
) -> Step {
    let seed = options.sampling.seed.unwrap_or_else(|| fastrand::u32(..));
    let mut answer = Answer::new(seed, options.loop_breaker, emit);
    let begun = prompt.messages.last().filter(|last| last.role == Role::Assistant);
    answer.echo = begun.map(|begun| Echo { begun: begun.text.clone(), held: String::new() });
    (answer.emit)(Step::Prefilling { done: 0, total: 0, cached: 0 });
    let lines = match open(connection, prompt, options, seed, stops).await {
        Ok(lines) => lines,
        Err(Problem::Refused(Refusal::Stopped)) => return answer.finish(Ended::Cancelled),
        Err(Problem::Refused(refusal)) => return Step::Failed(connection.error(refusal)),
        Err(Problem::Asked(sentence)) => return Step::Failed(EngineError::Failed(sentence)),
    };
    match answer.take_all(lines, stops).await {
        Ok(ended) => answer.finish(if answer.repetition.is_some() { Ended::Loop } else { ended }),
        Err(refusal) => Step::Failed(connection.error(refusal)),
    }
}

/// Why nothing streams.
enum Problem {
    /// The server cannot be asked this.
    Asked(String),
    Refused(Refusal),
}

/// Asks until the server answers: again with less where it does not know what it is asked, and later where it is busy.
async fn open(
    connection: &Connection,
    prompt: &Prompt,
    options: &GenerateOptions,
    seed: u32,
    stops: &[&CancelFlag],
) -> Result<Lines, Problem> {
    let mut patience = Patience::default();
    let mut extent = connection.extent.get();
    loop {
        let body = request::body(connection.to(), prompt, options, seed, extent).map_err(Problem::Asked)?;
        let refusal = match connection.http.lines(COMPLETIONS, Some(&body), stops).await {
            Ok(lines) => {
                // Only now is it known that it was the extent that was refused, and not the conversation.
                connection.extent.set(extent);
                return Ok(lines);
            }
            Err(refusal) => refusal,
        };
        if is_about_request(&refusal)
            && let Some(less) = extent.less(options.constraint.as_ref())
        {
            extent = less;
            continue;
        }
        patience.wait_after(refusal, stops).await.map_err(Problem::Refused)?;
    }
}

/// Whether it may be what is asked, or how, that the server does not take. Some call that a fault of their own.
fn is_about_request(refusal: &Refusal) -> bool {
    match refusal {
        Refusal::Status { status: 400 | 422, .. } => true,
        Refusal::Status { status: 500, sentence, .. } => sentence.contains("response_format"),
        _ => false,
    }
}

/// An answer that streams.
struct Answer<E> {
    emit: E,
    seed: u32,
    asked: Instant,
    filter: ThinkingFilter,
    figures: Figures,
    /// Pieces that came, and when the first and the last did.
    pieces: u32,
    first: Option<Instant>,
    last: Instant,
    ended: Option<Ended>,
    circles: Option<Circles>,
    repetition: Option<Repetition>,
    /// While it is not known yet whether the server repeats what it is to go on with.
    echo: Option<Echo>,
}

/// An answer that is gone on with: some servers say it once more before they do.
struct Echo {
    begun: String,
    /// What came so far, which may be the beginning of that.
    held: String,
}

impl Echo {
    /// What is new of the text so far; `None` while that is not known.
    fn new_of(&mut self, text: &str) -> Option<String> {
        self.held.push_str(text);
        match self.held.strip_prefix(&self.begun) {
            Some(new) => Some(new.to_owned()),
            None if self.begun.starts_with(&self.held) => None,
            None => Some(std::mem::take(&mut self.held)),
        }
    }
}

/// Notices that an answer goes round in circles, by its pieces: what their tokens are is not known.
#[derive(Default)]
struct Circles {
    detector: RepetitionDetector,
    known: HashMap<String, Token>,
}

impl Circles {
    fn push(&mut self, piece: &str) -> Option<Repetition> {
        let next = Token::try_from(self.known.len()).unwrap_or(Token::MAX);
        let token = *self.known.entry(piece.to_owned()).or_insert(next);
        self.detector.push(token)
    }
}

impl<E: Fn(Step) -> bool> Answer<E> {
    fn new(seed: u32, breaks_loops: bool, emit: E) -> Self {
        let now = Instant::now();
        Self {
            emit,
            seed,
            asked: now,
            filter: ThinkingFilter::new(Tags::default(), false),
            figures: Figures::default(),
            pieces: 0,
            first: None,
            last: now,
            ended: None,
            circles: breaks_loops.then(Circles::default),
            repetition: None,
            echo: None,
        }
    }

    /// Takes what streams until it ends, or is stopped.
    async fn take_all(&mut self, mut lines: Lines, stops: &[&CancelFlag]) -> Result<Ended, Refusal> {
        loop {
            let (line, now) = match lines.next(stops).await {
                Ok(Some(next)) => next,
                Ok(None) => break,
                Err(Refusal::Stopped) => return Ok(Ended::Cancelled),
                // What follows the last word is not waited for in vain.
                Err(Refusal::Lost(_)) if self.ended.is_some() => break,
                Err(refusal) => return Err(refusal),
            };
            match events::read(&line) {
                Line::Nothing => {}
                Line::Done => break,
                Line::Delta(delta) => {
                    self.figures = self.figures.with(delta.figures);
                    self.ended = delta.ended.or(self.ended);
                    let is_heard = self.say(Channel::Thinking, &delta.thoughts, now) && self.answer(&delta.answer, now);
                    let piece = [delta.thoughts.as_str(), &delta.answer].concat();
                    let circles = self.circles.as_mut().filter(|_| !piece.is_empty());
                    self.repetition = circles.and_then(|circles| circles.push(&piece));
                    if !is_heard || self.repetition.is_some() {
                        return Ok(Ended::Cancelled);
                    }
                }
                Line::Mistake(said) => return Err(Refusal::Lost(format!("the server broke off: {said}"))),
                Line::Strange => return Err(Refusal::Strange("the server sends something that is no answer".into())),
            }
        }
        let held = self.echo.take().map(|echo| self.filter.push(&echo.held)).unwrap_or_default();
        for (channel, text) in held.into_iter().chain(self.filter.finish()) {
            self.tell(channel, text);
        }
        self.ended.ok_or_else(|| Refusal::Lost("the server broke off in the middle of an answer".into()))
    }

    /// What is added to the answer, which may hold thoughts between tags.
    fn answer(&mut self, text: &str, now: Instant) -> bool {
        if text.is_empty() {
            return true;
        }
        self.count(now);
        let new = match &mut self.echo {
            Some(echo) => echo.new_of(text),
            None => Some(text.to_owned()),
        };
        let Some(text) = new else { return true };
        self.echo = None;
        let parts = self.filter.push(&text);
        parts.into_iter().all(|(channel, text)| self.tell(channel, text))
    }

    fn say(&mut self, channel: Channel, text: &str, now: Instant) -> bool {
        if text.is_empty() {
            return true;
        }
        self.count(now);
        self.tell(channel, text.to_owned())
    }

    /// A piece came: most servers send one for each token.
    fn count(&mut self, now: Instant) {
        self.pieces += 1;
        self.last = now;
        self.first = self.first.or(Some(now));
    }

    fn tell(&self, channel: Channel, text: String) -> bool {
        (self.emit)(Step::Token(Piece { channel, text, tokens: self.pieces }))
    }

    fn finish(&self, ended: Ended) -> Step {
        let milliseconds = |time: Duration| time.as_secs_f64() * 1000.0;
        let first = self.first;
        let stats = Stats {
            usage: Usage {
                prompt_tokens: self.figures.prompt_tokens.unwrap_or(0),
                cached_prompt_tokens: self.figures.cached_tokens.unwrap_or(0),
                completion_tokens: self.figures.completion_tokens.unwrap_or(self.pieces),
                ..Usage::default()
            },
            timings: Timings {
                prefill_ms: self.figures.prefill_ms.unwrap_or(0.0),
                eviction_ms: 0.0,
                time_to_first_token_ms: first.map_or(0.0, |first| milliseconds(first - self.asked)),
                decode_ms: first.map_or(0.0, |first| milliseconds(self.last - first)),
            },
            by_server: Some(ServerTold {
                prompt: self.figures.prompt_tokens.is_some(),
                cached: self.figures.cached_tokens.is_some(),
                prefill: self.figures.prefill_ms.is_some(),
            }),
            ..Stats::default()
        };
        Step::Finished(Finish { ended, repetition: self.repetition, stats, seed: self.seed, held: Vec::new() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_answer_began_with_is_not_said_twice() {
        let said = |pieces: &[&str]| {
            let mut echo = Echo { begun: "One, two".into(), held: String::new() };
            pieces.iter().find_map(|piece| echo.new_of(piece))
        };
        assert_eq!(said(&["One", ", two, three"]).as_deref(), Some(", three"));
        assert_eq!(said(&["One, two"]).as_deref(), Some(""));
        assert_eq!(said(&["One", " more"]).as_deref(), Some("One more"));
        assert_eq!(said(&[", three"]).as_deref(), Some(", three"));
        assert_eq!(said(&["One", ", t"]), None);
    }
}
