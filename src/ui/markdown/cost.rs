//! What is laid out again when a message grows, counted.

use ratatui::text::Line;

use super::*;

#[test]
fn nothing_is_laid_out_twice_without_need() {
    let mut document = Document::from_text("one\n\ntwo");
    document.lines(80, &Theme::plain());
    let bytes = document.laid_out_bytes;
    document.lines(80, &Theme::plain());
    document.push_str("");
    document.lines(80, &Theme::plain());
    assert_eq!(document.laid_out_bytes, bytes);
}

/// The bytes laid out for each push of `paragraph`, in small pieces, at the end of a longer and longer document.
fn cost_of_each(paragraph: &str, count: usize) -> Vec<usize> {
    let mut document = Document::new();
    let push = |_| {
        let before = document.laid_out_bytes;
        for piece in paragraph.as_bytes().chunks(5) {
            document.push_str(std::str::from_utf8(piece).expect("ASCII"));
            document.lines(80, &Theme::plain());
        }
        document.laid_out_bytes - before
    };
    (0..count).map(push).collect()
}

#[test]
fn the_hundredth_block_costs_as_much_as_the_second() {
    for paragraph in ["some *words* of an answer\n\n", "- a\n- b\n\ntext\n\n", "|a|b|\n|-|-|\n|1|2|\n\n"] {
        let costs = cost_of_each(paragraph, 100);
        assert!(costs[1..].iter().all(|&cost| cost <= 2 * costs[1]), "{costs:?}");
    }
}

#[test]
fn a_line_of_an_open_code_block_is_drawn_for_good_when_it_ends() {
    let mut document = Document::from_text("text\n\n```rust\n");
    for number in 0..50 {
        document.push_str("let x");
        assert_eq!(document.lines(80, &Theme::dark()).len(), number + 4);
        assert_eq!((document.final_lines, document.open.as_str()), (number + 3, "let x"));
        document.push_str(" = 1;\n");
        assert_eq!(document.lines(80, &Theme::dark()).len(), number + 4);
        assert_eq!((document.final_lines, document.open.as_str()), (number + 4, ""));
    }
    assert!(document.laid_out_bytes <= 2 * "text\n\n".len());
}

#[test]
fn code_inside_a_list_is_analysed_once() {
    let mut document = Document::from_text("1. look:\n   ```rust\n");
    for _ in 0..50 {
        document.push_str("   let x = 1;\n");
        document.lines(80, &Theme::dark());
    }
    assert_eq!(document.memory.analysed_lines, 50);
}

/// The bytes laid out while `text` is streamed in pieces of this size, for each byte of it.
fn cost_per_byte(text: &str, size: usize) -> f64 {
    let mut document = Document::new();
    for piece in text.as_bytes().chunks(size) {
        document.push_str(std::str::from_utf8(piece).expect("ASCII"));
        document.lines(80, &Theme::plain());
    }
    document.laid_out_bytes as f64 / text.len() as f64
}

#[test]
fn a_long_list_costs_as_much_for_each_item_as_a_short_one() {
    let list = |count: usize| {
        (1..=count).map(|number| format!("{number}. item with *some* words\n   - inside\n")).collect::<String>()
    };
    let (short, long) = (cost_per_byte(&list(20), 5), cost_per_byte(&list(2_000), 5));
    assert!(long <= 1.2 * short, "{short} {long}");
}

#[test]
fn long_code_is_not_laid_out_as_markdown_at_all() {
    let code = format!("```rust\n{}```\n", "let x = 1;\n".repeat(2_000));
    assert!(cost_per_byte(&code, 5) < 0.1);
}

#[test]
fn items_that_came_one_by_one_are_numbered_and_spaced_as_if_they_had_come_whole() {
    let list = "3. a\n3. b\n\n3. c\n   - d\n   - e\n\n\n3. f\ng\n\n- h\n- i";
    let mut document = Document::new();
    for character in list.chars() {
        document.push_str(character.encode_utf8(&mut [0; 4]));
        document.lines(80, &Theme::plain());
    }
    let text = |line: &Line<'_>| line.spans.iter().map(|span| span.content.as_ref()).collect::<String>();
    let shown = document.lines(80, &Theme::plain()).iter().map(text).collect::<Vec<_>>();
    assert_eq!(shown, ["3. a", "4. b", "", "5. c", "   ◦ d", "   ◦ e", "", "6. f g", "", "• h", "• i"]);
}

#[test]
fn a_block_that_does_not_end_costs_no_more_than_a_share_of_its_length_each_time() {
    let row = "| some | *words* |\n";
    let table = |rows: usize| "| a | b |\n|---|---|\n".to_owned() + &row.repeat(rows);
    let cost = cost_per_byte(&table(1_000), 20);
    assert!(cost < 1.5 * LARGE_BLOCK_SHARE as f64, "{cost}");
    let mut document = Document::new();
    for piece in table(500).as_bytes().chunks(20) {
        document.push_str(std::str::from_utf8(piece).expect("ASCII"));
        document.lines(80, &Theme::plain());
    }
    document.end();
    let mut whole = Document::from_text(&table(500));
    assert_eq!(document.lines(80, &Theme::plain()), whole.lines(80, &Theme::plain()));
}

/// The seconds that streaming `text` takes, laid out after every few words.
#[test]
#[ignore = "prints times; for a person"]
fn times_of_streaming() {
    let list: String = (1..=2_000).map(|number| format!("{number}. item with *some* words and `code`\n")).collect();
    let nested: String = "- outer\n".to_owned()
        + &(1..=2_000).map(|number| format!("  - item {number} with *some* words\n")).collect::<String>();
    let table: String = "| a | b | c |\n|---|---|---|\n".to_owned()
        + &(1..=1_000).map(|number| format!("| {number} | some *words* | `code` |\n")).collect::<String>();
    let code = format!("```rust\n{}```\n", "let x = function(1, \"text\");\n".repeat(2_000));
    let paragraph = "some words of a paragraph that does not end ".repeat(1_000);
    for (name, text) in [("list", list), ("nested", nested), ("table", table), ("code", code), ("paragraph", paragraph)]
    {
        let started = std::time::Instant::now();
        let mut document = Document::new();
        let mut longest = std::time::Duration::ZERO;
        for piece in text.as_bytes().chunks(20) {
            document.push_str(std::str::from_utf8(piece).expect("ASCII"));
            let before = std::time::Instant::now();
            document.lines(80, &Theme::dark());
            longest = longest.max(before.elapsed());
        }
        eprintln!("{name}: {} bytes in {:?}, the longest step {longest:?}", text.len(), started.elapsed());
    }
}
