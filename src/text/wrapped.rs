//! Sentences in lines of so many columns.

use unicode_width::UnicodeWidthStr;

/// Lines of at most `room` columns. A word that is wider has a line of its own; what stands between backticks is to be
/// typed, and one word if a line can hold it.
pub fn wrapped(text: &str, room: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in words(text, room) {
        let line = lines.last_mut().expect("there is a first line");
        if line.is_empty() {
            line.push_str(&word);
        } else if line.width() + 1 + word.width() <= room {
            line.push(' ');
            line.push_str(&word);
        } else {
            lines.push(word);
        }
    }
    lines
}

fn words(text: &str, room: usize) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    let mut open: Option<String> = None;
    for word in text.split_whitespace() {
        let closes_or_opens = word.matches('`').count() % 2 == 1;
        match open.take() {
            None if closes_or_opens => open = Some(word.to_owned()),
            None => words.push(word.to_owned()),
            Some(command) => {
                let command = format!("{command} {word}");
                match closes_or_opens {
                    true if command.width() <= room => words.push(command),
                    true => words.extend(command.split(' ').map(str::to_owned)),
                    false => open = Some(command),
                }
            }
        }
    }
    words.extend(open.iter().flat_map(|rest| rest.split(' ')).map(str::to_owned));
    words
}

/// What is told below each other, with the sentences in lines of at most `room` columns. A table, whose cells have two spaces
/// between them, stays as it is.
pub fn fitted_to(text: &str, room: usize) -> String {
    let mut fitted = String::new();
    for line in text.lines() {
        let sentence = line.trim_start();
        let indent = &line[..line.len() - sentence.len()];
        if sentence.contains("  ") || line.width() <= room {
            fitted.push_str(&format!("{line}\n"));
            continue;
        }
        // What goes on does not begin like what follows.
        let mut begin = indent.to_owned();
        for line in wrapped(sentence, room.saturating_sub(indent.len() + 2).max(20)) {
            fitted.push_str(&format!("{begin}{line}\n"));
            begin = format!("{indent}  ");
        }
    }
    fitted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_not_broken_if_a_line_can_hold_it() {
        assert_eq!(wrapped("type `a b c` or `d`", 12), ["type `a b c`", "or `d`"]);
        assert_eq!(wrapped("then type `a b c`", 12), ["then type", "`a b c`"]);
        assert_eq!(wrapped("`a b c d e f`", 6), ["`a b c", "d e f`"]);
        assert_eq!(wrapped("a `b c", 20), ["a `b c"]);
        assert_eq!(wrapped("", 20), [""]);
        assert_eq!(wrapped("wideword x", 4), ["wideword", "x"]);
    }

    #[test]
    fn sentences_are_broken_between_words_and_tables_not_at_all() {
        let text = "a  table  that is wider than the room\n\n  for speed: one that is quick enough for this\nshort\n";
        let expected =
            "a  table  that is wider than the room\n\n  for speed: one that is\n    quick enough for this\nshort\n";
        assert_eq!(fitted_to(text, 28), expected);
        assert_eq!(fitted_to("", 28), "");
    }
}
