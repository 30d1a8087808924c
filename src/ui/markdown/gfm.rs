//! What GitHub adds to Markdown, as it is shown.

use super::*;

fn shown(document: &mut Document, width: u16, theme: &Theme) -> String {
    let text = |line: &Line<'_>| line.spans.iter().map(|span| span.content.as_ref()).collect::<String>();
    document.lines(width, theme).iter().map(text).collect::<Vec<_>>().join("\n")
}

fn settled(text: &str) -> Document {
    let mut document = Document::from_text(text);
    document.settle();
    document
}

fn render(text: &str, width: u16) -> String {
    shown(&mut settled(text), width, &Theme::plain())
}

#[test]
fn footnotes_are_shown_at_the_end_with_their_numbers() {
    let text = "One[^b] and two[^a], one again[^b].\n\n[^a]: The *second*.\n[^b]: The first,\n    folded.\n\n    - With a list\n\nThe end. [^c]";
    let expected = "One[1] and two[2], one again[1].\n\nThe end. [^c]\n\n[1] The first, folded.\n\n    • With a list\n[2] The second.";
    assert_eq!(render(text, 60), expected);
}

#[test]
fn a_footnote_that_nothing_refers_to_is_shown_all_the_same() {
    assert_eq!(render("text\n\n[^x]: note", 60), "text\n\n[1] note");
}

#[test]
fn until_the_message_has_ended_definitions_are_shown_as_written() {
    let text = "[text][a] and [^1]\n\n[a]: https://e.org\n\n[^1]: note";
    let mut document = Document::from_text(text);
    assert_eq!(shown(&mut document, 60, &Theme::plain()), text);
    document.settle();
    assert_eq!(shown(&mut document, 60, &Theme::plain()), "text (https://e.org) and [1]\n\n[1] note");
    document.push_str("\n\nmore");
    assert_eq!(shown(&mut document, 60, &Theme::plain()), format!("{text}\n\nmore"));
}

#[test]
fn a_message_without_definitions_is_not_laid_out_again_when_it_ends() {
    let mut document = Document::from_text("text [a]: with\n\n- no\n- definition\n");
    document.lines(60, &Theme::plain());
    let before = document.laid_out_bytes;
    document.settle();
    document.lines(60, &Theme::plain());
    assert_eq!(document.laid_out_bytes, before);
}

#[test]
fn an_alert_has_its_name_above_it() {
    assert_eq!(render("> [!NOTE]\n> Mind the *gap*.", 60), "▌ Note\n▌ Mind the gap.");
    assert_eq!(render("> [!caution]\n>\n> No.", 60), "▌ Caution\n▌ No.");
    assert_eq!(render("> [!OTHER]\n> x", 60), "▌ [!OTHER] x");
    let ascii = Theme { ascii: true, ..Theme::plain() };
    assert_eq!(shown(&mut settled("> [!TIP]\n> x"), 60, &ascii), "| Tip\n| x");
}

#[test]
fn addresses_in_ordinary_text_are_links() {
    let mut document = Document::from_text("see https://e.org/a_b_c, `https://not.org` and **http://f.org**");
    let links: Vec<String> = document.lines(80, &Theme::dark())[0]
        .spans
        .iter()
        .filter(|span| span.style.underline_color.is_some())
        .map(|span| span.content.to_string())
        .collect();
    assert_eq!(links, ["https://e.org/a_b_c", "http://f.org"]);
}

#[test]
fn nothing_of_a_wide_table_is_lost() {
    let words: Vec<String> = (0..60).map(|number| format!("word{number}")).collect();
    let table = format!("| {} |\n|{}\n| {} |\n", words[..12].join(" | "), "---|".repeat(12), words[12..24].join(" | "));
    for width in [20, 60, 120] {
        let drawn = render(&table, width);
        let missing: Vec<_> = words[..24].iter().filter(|word| !drawn.contains(word.as_str())).collect();
        assert!(missing.is_empty(), "{missing:?} at {width}:\n{drawn}");
    }
}

#[test]
fn long_lines_of_code_are_folded_and_nothing_of_them_is_lost() {
    let code = format!("```\n{}\n```", (0..40).map(|number| format!("name{number}")).collect::<Vec<_>>().join(" "));
    let drawn = render(&code, 30);
    let joined: String = drawn
        .lines()
        .map(|line| line.trim_start_matches("↳ ").strip_prefix("  ").unwrap_or(line.trim_start_matches("↳ ")))
        .collect();
    assert!((0..40).all(|number| joined.contains(&format!("name{number}"))), "{drawn}");
}
