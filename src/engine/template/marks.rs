//! Tells which part of a rendered text is whose message: the text of a message goes through the template between two
//! marks (Unicode noncharacters, which no text may hold), so that it is found again however the template moved it about.
//!
//! A template can see the marks: one that looks at the end of a message finds a mark there. So the text that counts is
//! the one rendered without marks, and what the marks told is carried over to it.

use std::ops::Range;

use super::{Body, Doubt, Rendered};
use crate::chat::{Message, Role};

const BODY_BEGINS: char = '\u{fdd0}';
const BODY_ENDS: char = '\u{fdd1}';
/// The number of a message stands before both, written with these instead of 0 to 9.
const DIGIT_ZERO: u32 = 0xfde0;

/// Two texts agree again where so many bytes are the same, or fewer if they nowhere do.
const AGREEMENTS: [usize; 3] = [16, 4, 1];
/// The longest part that one of them may have and the other not.
const MOST_SKIPPED: usize = 256;

/// The message with its text as it is rendered: without characters that look like marks.
pub fn cleaned(message: &Message) -> Message {
    let clean = |character| if is_mark(character) { char::REPLACEMENT_CHARACTER } else { character };
    Message { text: message.text.chars().map(clean).collect(), ..*message }
}

/// Puts the marks around a message's text. White space at the ends stays outside of them, so that a template which
/// trims finds it.
pub fn mark(index: usize, message: &Message) -> Message {
    let (before, core, after) = trimmed(&message.text);
    if core.is_empty() {
        return message.clone();
    }
    let number: String =
        index.to_string().bytes().filter_map(|digit| char::from_u32(DIGIT_ZERO + u32::from(digit - b'0'))).collect();
    Message { text: format!("{before}{number}{BODY_BEGINS}{core}{number}{BODY_ENDS}{after}"), ..*message }
}

/// White space, what stands between, white space.
fn trimmed(text: &str) -> (&str, &str, &str) {
    let start = text.len() - text.trim_start().len();
    let core = text.trim();
    (&text[..start], core, &text[start + core.len()..])
}

fn is_mark(character: char) -> bool {
    matches!(character, '\u{fdd0}'..='\u{fdef}')
}

/// Takes the marks out again. Where a template cut the end of a message off, everything up to the next end counts as the
/// message's. Where it cut the beginning off, as many do with thoughts, parts of the message may be anywhere since the
/// last one.
pub fn unmark(marked: &str, messages: &[Message]) -> Rendered {
    let mut rendered = Rendered::default();
    let body = |range, message: usize| {
        let role = messages.get(message).map_or(Role::User, |message| message.role);
        Body { range, message, role }
    };
    let mut open = None;
    let mut number = 0;
    for character in marked.chars() {
        match character {
            BODY_BEGINS => {
                open.get_or_insert((rendered.text.len(), number.min(messages.len().saturating_sub(1))));
            }
            BODY_ENDS => {
                let end = rendered.text.len();
                match open.take() {
                    Some((start, message)) => rendered.bodies.push(body(start..end, message)),
                    None => {
                        let start = rendered.bodies.last().map_or(0, |last| last.range.end);
                        let message = messages.get(number).map_or("", |message| trimmed(&message.text).1);
                        rendered.doubts.push(Doubt { range: start..end, message: message.to_owned() });
                    }
                }
            }
            other if is_mark(other) => {
                // A template may write such characters itself, any number of them.
                let digit = u32::from(other).saturating_sub(DIGIT_ZERO) as usize;
                number = number.saturating_mul(10).saturating_add(digit);
                continue;
            }
            other => rendered.text.push(other),
        }
        number = 0;
    }
    if let Some((start, message)) = open {
        rendered.bodies.push(body(start..rendered.text.len(), message));
    }
    take_white_space_of_answers(&mut rendered, messages);
    rendered
}

/// Where a template left an answer as it is, the white space at its ends is part of it: the very tokens of that text may
/// still be in the cache.
fn take_white_space_of_answers(rendered: &mut Rendered, messages: &[Message]) {
    for index in 0..rendered.bodies.len() {
        let Body { range, message, .. } = &rendered.bodies[index];
        let Some(message) = messages.get(*message).filter(|message| message.role == Role::Assistant) else { continue };
        let (before, _, after) = trimmed(&message.text);
        let least = if index == 0 { 0 } else { rendered.bodies[index - 1].range.end };
        let most = rendered.bodies.get(index + 1).map_or(rendered.text.len(), |next| next.range.start);
        let whole = range.start.saturating_sub(before.len())..range.end + after.len();
        let is_free = least <= whole.start && whole.end <= most;
        if is_free && rendered.text.get(whole.clone()) == Some(message.text.as_str()) {
            rendered.bodies[index].range = whole;
        }
    }
}

/// The same bodies in `plain`, what the template wrote without marks. Where the two texts differ beside a body, the
/// difference counts as the message's.
pub fn carry_over(rendered: Rendered, plain: String) -> Rendered {
    if rendered.text == plain {
        return rendered;
    }
    let runs = equal_runs(&rendered.text, &plain);
    let doubts = rendered.doubts.into_iter().map(|doubt| Doubt { range: image(&runs, &doubt.range), ..doubt });
    let mut carried = Rendered { text: plain, bodies: Vec::new(), doubts: doubts.collect() };
    for body in rendered.bodies {
        let last = carried.bodies.last().map_or(0, |last| last.range.end);
        let range = image(&runs, &body.range);
        let range = range.start.max(last)..range.end;
        if !range.is_empty() {
            carried.bodies.push(Body { range, ..body });
        }
    }
    carried
}

/// A part that two texts share.
#[derive(Clone, Copy, Debug)]
struct Run {
    /// Where it begins in the one and in the other.
    one: usize,
    other: usize,
    length: usize,
}

/// What two texts share, in order; the last run is their end.
fn equal_runs(one: &str, other: &str) -> Vec<Run> {
    let mut runs = Vec::new();
    let (mut at_one, mut at_other) = (0, 0);
    loop {
        let length = common_beginning(&one[at_one..], &other[at_other..]);
        runs.push(Run { one: at_one, other: at_other, length });
        at_one += length;
        at_other += length;
        let Some((skipped_one, skipped_other)) = next_agreement(&one[at_one..], &other[at_other..]) else { break };
        at_one += skipped_one;
        at_other += skipped_other;
    }
    runs.push(Run { one: one.len(), other: other.len(), length: 0 });
    runs
}

fn common_beginning(one: &str, other: &str) -> usize {
    let same = one.chars().zip(other.chars()).take_while(|(one, other)| one == other);
    same.map(|(character, _)| character.len_utf8()).sum()
}

/// The least that must be skipped in the one text or in the other until they agree again.
fn next_agreement(one: &str, other: &str) -> Option<(usize, usize)> {
    if one.is_empty() || other.is_empty() {
        return None;
    }
    AGREEMENTS.iter().find_map(|bytes| {
        let agree = |(skipped_one, skipped_other): &(usize, usize)| {
            let parts = (one.get(*skipped_one..), other.get(*skipped_other..));
            matches!(parts, (Some(one), Some(other)) if one.bytes().take(*bytes).eq(other.bytes().take(*bytes)))
        };
        (1..=MOST_SKIPPED).flat_map(|skipped| [(skipped, 0), (0, skipped)]).find(agree)
    })
}

/// Where a range of the one text is in the other.
fn image(runs: &[Run], range: &Range<usize>) -> Range<usize> {
    let before = runs.iter().rfind(|run| run.one < range.start).or(runs.first());
    let start = before.map_or(0, |run| run.other + (range.start - run.one).min(run.length));
    let after = runs.iter().find(|run| run.one + run.length > range.end).or(runs.last());
    let end = after.map_or(start, |run| run.other + range.end.saturating_sub(run.one));
    start..end.max(start)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body(rendered: &Rendered, index: usize) -> &str {
        &rendered.text[rendered.bodies[index].range.clone()]
    }

    /// What the marks told of `marked` (a body is in brackets), carried over to `plain`.
    fn carried(marked: &str, plain: &str) -> Vec<String> {
        let start = marked.find('[').unwrap();
        let end = marked.find(']').unwrap() - 1;
        let text = marked.replace(['[', ']'], "");
        let rendered = Rendered {
            text,
            bodies: vec![Body { range: start..end, message: 0, role: Role::User }],
            doubts: Vec::new(),
        };
        let carried = carry_over(rendered, plain.to_owned());
        assert_eq!(carried.text, plain);
        (0..carried.bodies.len()).map(|index| body(&carried, index).to_owned()).collect()
    }

    #[test]
    fn a_body_is_found_again_where_the_template_saw_the_marks() {
        assert_eq!(carried("<user>[hello] \n<assistant>", "<user>hello\n<assistant>"), ["hello"]);
        assert_eq!(carried("<user>[hello]/nothink<assistant>", "<user>hello<assistant>"), ["hello"]);
        assert_eq!(carried("<user>  [hello]<assistant>", "<user>hello<assistant>"), ["hello"]);
        assert_eq!(carried("<user>[hello]", "<user>"), Vec::<String>::new());
    }

    #[test]
    fn what_stands_beside_a_body_only_without_marks_counts_as_the_messages() {
        assert_eq!(carried("<user>[hello]<assistant>", "<user>hello, ho<assistant>"), ["hello, ho"]);
        assert_eq!(carried("<user>[hello]<assistant>", "<user>ho, hello<assistant>"), ["ho, hello"]);
    }

    #[test]
    fn texts_that_have_nothing_in_common_are_the_messages_altogether() {
        let long = "x".repeat(1000);
        assert_eq!(carried("ab[cd]ef", &long), [long]);
    }

    #[test]
    fn a_difference_elsewhere_moves_a_body_and_nothing_more() {
        assert_eq!(carried("<system>Be brief. \n<user>[é]<end>", "<system>Be brief.\n<user>é<end>"), ["é"]);
    }
}
