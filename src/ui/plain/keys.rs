//! Keys that sentences of the interface name. Where there are lines only, the command that does the same is named
//! instead; both tables are those of the whole chat.

use crate::ui::slash::COMMANDS;

/// A sentence in which commands stand for keys.
pub fn as_commands(sentence: &str) -> String {
    let mut told = sentence.to_owned();
    for (key, command) in counterparts() {
        // A key that is named beside its command.
        told = told.replace(&format!("{command} ({key})"), &command);
        for (before, after) in [("press ", "type "), ("", "")] {
            told = replace_word(&told, &format!("{before}{key}"), &format!("{after}{command}"));
        }
    }
    told
}

/// Keys, each with the command that does the same.
fn counterparts() -> impl Iterator<Item = (&'static str, String)> {
    let commands = COMMANDS.iter().filter_map(|command| Some((command.key()?, format!("`/{}`", command.name))));
    let keys = commands.flat_map(|(keys, command)| keys.split(", ").map(move |key| (key, command.clone())));
    // What the palette finds, the help lists.
    keys.chain([("Ctrl-K", "`/help`".to_owned())])
}

fn replace_word(text: &str, word: &str, by: &str) -> String {
    let mut replaced = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(word) {
        let (before, behind) = (&rest[..at], &rest[at + word.len()..]);
        let is_inside = before.ends_with(char::is_alphanumeric) || behind.starts_with(char::is_alphanumeric);
        replaced.push_str(before);
        replaced.push_str(if is_inside { word } else { by });
        rest = behind;
    }
    replaced + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_become_the_commands_that_do_the_same() {
        for (sentence, told) in [
            ("no model is loaded; F4 chooses one", "no model is loaded; `/model` chooses one"),
            ("stop it with Esc before you go", "stop it with `/stop` before you go"),
            ("press Ctrl-G again when it is there", "type `/continue` again when it is there"),
            ("`/context` (F3) shows what it holds", "`/context` shows what it holds"),
            ("Ctrl-O lists them", "`/resume` lists them"),
            ("[notes.txt, 4 bytes, Ctrl-T]", "[notes.txt, 4 bytes, `/thoughts`]"),
            ("leave with Ctrl-C twice; F42 and Escape stay", "leave with Ctrl-C twice; F42 and Escape stay"),
        ] {
            assert_eq!(as_commands(sentence), told);
        }
    }
}
