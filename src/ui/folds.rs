//! Which parts of a message were pasted or attached. What the model is told is the whole text; where a person reads the
//! message, or writes it anew, these parts stay folded.

use serde::{Deserialize, Serialize};

use super::composer::{Part, attached_as, named, size};

/// A part of a message's text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fold {
    /// Bytes of the text.
    from: usize,
    to: usize,
    what: What,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum What {
    Paste,
    /// A file of this name.
    File(String),
    /// A picture at this path, which is one line as it is.
    Image(String),
}

impl Fold {
    /// What stands in its place: what it is, and how much of it.
    fn label(&self, text: &str) -> Option<String> {
        let whole = text.get(self.from..self.to).unwrap_or_default();
        let words = match &self.what {
            What::Image(_) => return None,
            What::File(name) => format!("{}, {}", named(name), size(inside(name, whole).map_or(0, str::len))),
            What::Paste => match whole.lines().count() {
                0 | 1 => format!("pasted {} characters", whole.chars().count()),
                lines => format!("pasted {lines} lines"),
            },
        };
        Some(format!("[{words}, Ctrl-T]"))
    }
}

/// Where in `text`, which was made of these parts, those stand that are to be folded.
pub fn of(text: &str, parts: &[Part]) -> Vec<Fold> {
    let attached = parts.iter().filter_map(|part| {
        let what = match part {
            Part::File { name, .. } => What::File(name.clone()),
            Part::Image(path) => What::Image(path.clone()),
            Part::Text(_) | Part::Paste(_) => return None,
        };
        attached_as(part).map(|block| (what, block))
    });
    // What is attached comes first, and white space round all of it is left out.
    let pasted = parts.iter().filter_map(|part| match part {
        Part::Paste(pasted) => Some((What::Paste, pasted.trim().to_owned())),
        _ => None,
    });
    let mut folds = Vec::new();
    let mut at = 0;
    for (what, block) in attached.chain(pasted).filter(|(_, block)| !block.is_empty()) {
        let Some(from) = text[at..].find(&block).map(|found| at + found) else { continue };
        at = from + block.len();
        folds.push(Fold { from, to: at, what });
    }
    folds
}

/// Folds as they were written to disk; none of a text that they do not fit.
pub fn read(json: &str, text: &str) -> Vec<Fold> {
    let folds: Vec<Fold> = serde_json::from_str(json).unwrap_or_default();
    let mut end = 0;
    let fit = folds.iter().all(|fold| {
        let follows = fold.from >= std::mem::replace(&mut end, fold.to);
        follows && fold.from < fold.to && text.get(fold.from..fold.to).is_some()
    });
    if fit { folds } else { Vec::new() }
}

/// As it is written to disk; nothing where nothing is folded.
pub fn written(folds: &[Fold]) -> Option<String> {
    (!folds.is_empty()).then(|| serde_json::json!(folds).to_string())
}

/// Whether a part of the text is shown as a few words.
pub fn are_any(folds: &[Fold]) -> bool {
    folds.iter().any(|fold| !matches!(fold.what, What::Image(_)))
}

/// The text up to `end`, as it is shown while it is folded.
pub fn shown(text: &str, folds: &[Fold], end: usize) -> String {
    let mut shown = String::new();
    let mut at = 0;
    for fold in folds.iter().filter(|fold| fold.from < end) {
        let Some(label) = fold.label(text) else { continue };
        shown.push_str(&text[at..fold.from]);
        shown.push_str(&label);
        at = fold.to;
        // The label is a line of its own as it is.
        if matches!(fold.what, What::File(_)) && text[at..].starts_with("\n\n") {
            at += 1;
        }
    }
    shown.push_str(text.get(at..end).unwrap_or_default());
    shown
}

/// The parts that the text was made of, with white space perhaps elsewhere.
pub fn parts(text: &str, folds: &[Fold]) -> Vec<Part> {
    let mut parts = Vec::new();
    let mut at = 0;
    let mut is_behind_attached = false;
    let push_text = |parts: &mut Vec<Part>, between: &str, is_behind_attached| {
        let between = match between.strip_prefix("\n\n") {
            Some("") if is_behind_attached => return,
            Some(rest) if is_behind_attached => format!(" {rest}"),
            _ => between.to_owned(),
        };
        if !between.is_empty() {
            parts.push(Part::Text(between));
        }
    };
    for fold in folds {
        push_text(&mut parts, &text[at..fold.from], is_behind_attached);
        let whole = &text[fold.from..fold.to];
        parts.push(match &fold.what {
            What::Paste => Part::Paste(whole.to_owned()),
            What::Image(path) => Part::Image(path.clone()),
            What::File(name) => {
                Part::File { name: name.clone(), text: inside(name, whole).map_or_else(|| whole.to_owned(), as_read) }
            }
        });
        is_behind_attached = fold.what != What::Paste;
        at = fold.to;
    }
    push_text(&mut parts, &text[at..], is_behind_attached);
    parts
}

/// The text of a file without the lines that name it.
fn inside<'a>(name: &str, block: &'a str) -> Option<&'a str> {
    let part = Part::File { name: name.to_owned(), text: String::new() };
    let frame = attached_as(&part)?;
    let (head, foot) = frame.split_once('\n')?;
    block.strip_prefix(head)?.strip_prefix('\n')?.strip_suffix(foot.trim_start_matches('\n'))?.strip_suffix('\n')
}

/// A file's text of which [`crate::text_file::under_its_name`] makes this again: it leaves the last line end out.
fn as_read(inside: &str) -> String {
    if inside.ends_with(['\n', '\r']) { format!("{inside}\r\n") } else { inside.to_owned() }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::ui::composer::sent;

    fn text(text: &str) -> Part {
        Part::Text(text.into())
    }

    fn file(name: &str, text: &str) -> Part {
        Part::File { name: name.into(), text: text.into() }
    }

    fn paste(lines: usize) -> Part {
        Part::Paste((1..=lines).map(|line| format!("line {line}\n")).collect())
    }

    fn folded(parts: &[Part]) -> String {
        let sent = sent(parts);
        shown(&sent, &of(&sent, parts), sent.len())
    }

    #[test]
    fn a_paste_and_a_file_are_a_few_words_where_they_stand() {
        assert_eq!(folded(&[text("See "), paste(312), text("there")]), "See [pasted 312 lines, Ctrl-T]\nthere");
        assert_eq!(folded(&[Part::Paste("x".repeat(1200)), text("?")]), "[pasted 1200 characters, Ctrl-T]?");
        let both = [file("a/notes.txt", "milk\n"), text(" Sum up "), paste(9), text(".")];
        assert_eq!(folded(&both), "[notes.txt, 4 bytes, Ctrl-T]\nSum up [pasted 9 lines, Ctrl-T]\n.");
        assert_eq!(folded(&[Part::Image("/x/a.png".into()), text("Hm")]), "[image: /x/a.png]\n\nHm");
        assert_eq!(folded(&[text("plain")]), "plain");
    }

    #[test]
    fn the_parts_come_back_and_make_the_same_text() {
        for parts in [
            vec![text("See "), paste(30), text(" there")],
            vec![file("a.txt", "milk\n"), text(" Sum up")],
            vec![file("a.txt", ""), file("b.txt", "x\n\ny"), text("Is it? "), paste(20)],
            vec![Part::Image("/x/a.png".into()), file("a.txt", "milk"), text("?")],
            vec![text("Is "), file("a.txt", "milk"), text(" long?")],
            vec![file("a.txt", "milk")],
            vec![file("a.pdf", "[page 1]\nmilk\n\n"), text(" Who?")],
            vec![file("a.txt", "milk\r\r\n\r\n")],
            vec![paste(12)],
        ] {
            let whole = sent(&parts);
            let again = super::parts(&whole, &of(&whole, &parts));
            assert_eq!(sent(&again), whole, "{parts:?}");
            let folds = of(&whole, &parts);
            assert_eq!(read(&written(&folds).unwrap(), &whole), folds);
        }
    }

    #[test]
    fn folds_that_do_not_fit_the_text_are_none() {
        let whole = "a é b";
        for json in [
            "nonsense",
            r#"[{"from":0,"to":99,"what":"paste"}]"#,
            r#"[{"from":3,"to":4,"what":"paste"}]"#,
            r#"[{"from":2,"to":1,"what":"paste"}]"#,
            r#"[{"from":0,"to":4,"what":"paste"},{"from":1,"to":5,"what":"paste"}]"#,
            r#"[{"from":0,"to":2,"what":"later"}]"#,
        ] {
            assert_eq!(read(json, whole), [], "{json}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(256))]
        #[test]
        fn nothing_of_a_text_is_lost(
            kinds in prop::collection::vec((0..4_u8, "[a-z \n]{0,12}"), 0..6)
        ) {
            let parts: Vec<Part> = kinds.into_iter().map(|(kind, words)| match kind {
                0 => Part::Text(words),
                1 => Part::Paste(words),
                2 => file("a.txt", &words),
                _ => Part::Image("/x.png".into()),
            }).collect();
            let whole = sent(&parts);
            let folds = of(&whole, &parts);
            let joined: String = super::parts(&whole, &folds).iter().map(|part| match part {
                Part::Text(text) | Part::Paste(text) => text.clone(),
                Part::File { text, .. } => text.clone(),
                Part::Image(path) => path.clone(),
            }).collect();
            let letters = |text: &str| text.chars().filter(|it| it.is_alphabetic()).count();
            prop_assert!(letters(&joined) <= letters(&whole) + 1);
            prop_assert!(!shown(&whole, &folds, whole.len()).is_empty() || whole.is_empty());
        }
    }
}
