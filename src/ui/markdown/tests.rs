use proptest::prelude::*;
use ratatui::style::{Modifier, Style};
use ratatui::text::Line;

use super::wrap::row_width;
use super::*;

/// What real answers hold, and what has broken other renderers.
const PIECES: &[&str] = &[
    "plain words\nover two lines",
    "**bold *both* bold** and `code` and ~~gone~~ and <https://e.org> and [text](https://e.org \"t\")\\\nbroken",
    "# One\n## Two #\n### Three",
    "Setext\n===\n",
    "Two lines\nof it\n---\n",
    "- a\n- b\n  - c\n    1. d\n    2. e\n- f",
    "1. one\n\n   more\n\n2. two\n10) three",
    "- [ ] open\n- [x] done\n\n  - [ ] nested",
    "1. do this:\n   ```sh\n   ls -l\n\n   pwd\n   ```\n2. then",
    "-\n\n  after nothing",
    "> quote\nlazy\n> > deeper\n>\n> - item\n> ```rust\n> fn f() {}\n> ```",
    "```rust\nfn main() {\n    /* a\n\n    b */ println!(\"hi\");\n}\n```",
    "~~~\n```\n~~~~",
    "````md\n```\nnot closed",
    "  ```py title=\"x\"\n  def f():\n\t return 1\n  ```  ",
    "    indented\n\n      code\n    end",
    "| a | b |\n|:--|--:|\n| 1 | *2* `x\\|y` |\n| 3 |\n",
    "text above\n| a | b |\n|---|---|\n| long cell with words | x<br>y |\nafter",
    "[ref]: https://e.org 'title'\n[text][ref] [ref] [x]: y",
    "<div>\n<b>html</b>\n\nafter</div>",
    "<!-- comment\n\nstill -->\n<script>\n\nlet x;\n</script>",
    "***\n- - -\n___",
    "中文字符没有空格，所以在任何两个字之间都可以换行。ﾊﾝｶｸ 한국어 텍스트",
    "👨‍👩‍👧‍👦 é 🇩🇪 ❤️ क्षत्रिय لا الله",
    "\\(a_1 + b_2\\) and $x*y*z$ and \\[\n\\frac{1}{2}\\]\n$$\na_1 \\\\ b\n$$",
    "esc \x1b[31m \u{202e}rtl\u{200b} tab\tstop\r\nnext",
    "averyveryverylongwordthatdoesnotfitanywhere https://example.org/a/very/long/path?with=query&and=more",
    "![alt](pic.png) <a@b.org> &amp; &#x1b; &nbsp;",
    "* a\n+ b\n- c\n2. d",
    "a\n***\nb\n===\n```\nc",
    "[^1]: note\n: def\nTerm\n: x",
    "a[^1] b[^n]\n\n[^n]: the *note*\n\n    more\n\n[^1]: one",
    "> [!NOTE]\n> text\n\n> [!warning]\n> more",
    "- a\n\n  $$\n  x = y\n  - z\n  $$\n- b\n\n\n- c\n1. d\n5. e",
    "$$\na\n= b\n- c\n$$\ntext $x$ \\[ y^2 \\] \\(z\\)",
    "https://e.org/a_b_c and (http://f.org).",
    "\n\n",
    "   ",
    "-",
    "1.",
    "`",
    "|",
];

/// What begins and ends blocks, to be put together without sense.
#[rustfmt::skip]
const MARKS: &[&str] = &[
    "- ", "* ", "1. ", "2) ", "> ", "```", "~~~", "``` rust", "\n", "\n", "\n", "\n\n", "  ", "   ", "    ", "\t", "a", "b c",
    "| a | b |", "|-|-|", "|", "---", "===", "***", "# ", "<div>", "</div>", "<!--", "-->", "<pre>", "</pre>", "<?", "?>",
    "[a]: b", "[", "](", "`", "**", "_", "\\", "$$", "$", "~~", "[ ] ", "中", "&#10;", "<br>", "]:", "\r\n", "\r",
];

fn clean(text: &str) -> String {
    let mut clean = String::new();
    Cleaner::default().push(text, &mut clean);
    clean
}

/// What pulldown-cmark makes of it.
fn all_at_once(text: &str, width: u16, theme: &Theme) -> Vec<Line<'static>> {
    let (mut memory, mut links) = (Memory::default(), Links::default());
    let sheet = Sheet { width: usize::from(width), theme, memory: &mut memory, links: &mut links };
    blocks::lay_out(&clean(text), Part::Blocks, sheet)
}

fn shown(lines: &[Line<'_>]) -> String {
    let text = |line: &Line<'_>| line.spans.iter().map(|span| span.content.as_ref()).collect::<String>();
    lines.iter().map(text).collect::<Vec<_>>().join("\n")
}

fn render(text: &str, width: u16) -> String {
    shown(Document::from_text(text).lines(width, &Theme::plain()))
}

/// The style of the span whose text is `text`.
fn style_of(markdown: &str, text: &str) -> Style {
    let mut document = Document::from_text(markdown);
    let lines = document.lines(80, &Theme::dark());
    let found = lines.iter().flat_map(|line| &line.spans).find(|span| span.content == text);
    let style = found.unwrap_or_else(|| panic!("no span {text:?} in {lines:?}")).style;
    // What tells where a link leads.
    Style { underline_color: None, ..style }
}

fn markdown() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        6 => proptest::sample::select(PIECES).prop_map(str::to_owned),
        1 => "[-+*>#|`~_ \\[\\]():.\\\\$<=a1\n\t]{1,12}",
        1 => "\\PC{1,8}",
    ];
    let marks = proptest::collection::vec(proptest::sample::select(MARKS), 1..30).prop_map(|marks| marks.concat());
    let glue = proptest::sample::select(&["\n", "\n\n", "\n\n\n", "", " ", "\n  ", "\n    ", "\n> ", "\n- "][..]);
    let pieces = proptest::collection::vec((piece, glue), 1..7)
        .prop_map(|parts| parts.into_iter().map(|(piece, glue)| piece + glue).collect());
    prop_oneof![2 => pieces, 1 => marks]
}

fn themes() -> impl Strategy<Value = Theme> {
    proptest::sample::select(vec![Theme::plain(), Theme { ascii: true, ..Theme::plain() }])
}

/// The text in pieces of so many characters, in turn, each laid out before the next came.
fn streamed(text: &str, sizes: &[usize], width: u16) -> Document {
    let mut document = Document::new();
    let characters: Vec<char> = text.chars().collect();
    let mut rest = &characters[..];
    for &size in sizes.iter().cycle() {
        if rest.is_empty() {
            break;
        }
        let (piece, tail) = rest.split_at(size.min(rest.len()));
        document.push_str(&piece.iter().collect::<String>());
        document.lines(width, &Theme::plain());
        rest = tail;
    }
    document
}

#[test]
fn every_piece_streamed_by_characters_looks_as_if_it_had_come_whole() {
    // What `a_streamed_answer_looks_as_if_it_had_come_whole` has found.
    let found = [
        "````md\n```\nnot closed\n    ",
        "2. then\n> \n\n\nTwo lines\n",
        "words\n- f\n  ~~~\n```\n~~~~\n",
        "Setext\n===\n\n-     indented\n\n      code\n    end\n",
        "lines\n```\\(a_1\ncode",
        "- a\n- b\n  - c\n    1. d\n    2. e\n- f\n- > [!NOTE]\n> text\n\n> [!warning]\n> more\n",
        "$$\na\n= b\n- c\n$$\ntext $x$ \\[ y^2 \\] \\(z\\)  ```py title=\"x\"\n  def f():\n\t return 1\n  ```  \n\\(a_1 + b_2\\) \
         and $x*y*z$ and \\[\n\\frac{1}{2}\\]\n$$\na_1 \\\\ b\n$$\n",
        "> quote\nlazy\n> > deeper\n>\n> - item\n> ```rust\n> fn f() {}\n> ```\t\n",
        "- item\n  ```\n  code\n  ```\t\n  words\n",
    ];
    for (text, width) in PIECES.iter().chain(&found).flat_map(|text| [(text, 4), (text, 6), (text, 40)]) {
        for sizes in [&[1][..], &[19, 9, 22]] {
            let mut streamed = streamed(text, sizes, width);
            assert_eq!(shown(streamed.lines(width, &Theme::plain())), render(text, width), "{text:?}");
        }
        assert_eq!(shown(&all_at_once(text, width, &Theme::plain())), render(text, width), "{text:?}");
    }
}

#[test]
fn a_fence_with_a_tab_behind_it_ends_the_code_wherever_it_stands() {
    for (begin, within) in [("", ""), ("> ", "> "), ("- ", "  ")] {
        let markdown = |behind| format!("{begin}```\n{within}code\n{within}```{behind}\n{within}some *words*\n");
        let (tab, nothing) = (render(&markdown("\t"), 40), render(&markdown(""), 40));
        assert!(tab.contains("some words") && !tab.contains("```"), "{tab}");
        assert_eq!(tab, nothing);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(192))]

    #[test]
    fn a_streamed_answer_looks_as_if_it_had_come_whole(
        text in markdown(), sizes in proptest::collection::vec(1usize..24, 1..8), width in 4u16..60,
    ) {
        let theme = Theme::plain();
        let mut streamed = streamed(&text, &sizes, width);
        prop_assert_eq!(streamed.text(), &text);
        let mut whole = Document::from_text(&text);
        prop_assert_eq!(shown(streamed.lines(width, &theme)), shown(whole.lines(width, &theme)));
        prop_assert_eq!(streamed.lines(width, &theme), whole.lines(width, &theme));
        prop_assert_eq!(shown(&all_at_once(&text, width, &theme)), shown(whole.lines(width, &theme)));
    }

    #[test]
    fn no_line_is_wider_than_the_screen(text in markdown(), width in 4u16..50, theme in themes()) {
        for line in Document::from_text(&text).lines(width, &theme) {
            prop_assert!(row_width(&line.spans) <= usize::from(width), "{line:?}");
            prop_assert!(line.width() <= usize::from(width), "{line:?}");
        }
    }

    #[test]
    fn the_narrowest_screens_do_no_harm_and_no_control_reaches_them(text in markdown(), width in 0u16..6) {
        for line in Document::from_text(&text).lines(width, &Theme::plain()) {
            prop_assert!(line.spans.iter().all(|span| !span.content.chars().any(char::is_control)), "{line:?}");
        }
    }
}

const ANSWER: &str = include_str!("sample.md");

#[test]
fn a_rich_answer_at_80_columns() {
    insta::assert_snapshot!(render(ANSWER, 80));
}

#[test]
fn a_rich_answer_at_40_columns() {
    insta::assert_snapshot!(render(ANSWER, 40));
}

#[test]
fn a_rich_answer_in_ascii() {
    let theme = Theme { ascii: true, ..Theme::plain() };
    let answer = ANSWER.replace("你好，世界。", "");
    let drawn = shown(Document::from_text(&answer).lines(60, &theme));
    assert!(drawn.is_ascii(), "{drawn}");
    insta::assert_snapshot!(drawn);
}

#[test]
fn words_bear_the_style_of_their_markup() {
    let theme = Theme::dark();
    assert_eq!(style_of("## Head", "Head"), theme.heading);
    assert!(style_of("# Head", "Head").add_modifier.contains(Modifier::BOLD | Modifier::UNDERLINED));
    assert_eq!(style_of("a `b` c", "b"), theme.code);
    assert_eq!(style_of("a ~~b~~ c", "b"), theme.strikethrough);
    assert_eq!(style_of("**a *b* c**", "b"), theme.strong.patch(theme.emphasis));
    assert_eq!(style_of("> a **b** c", "b"), theme.quote.patch(theme.strong));
    assert_eq!(style_of("|a|\n|-|\n|b|", "a"), theme.strong);
}

#[test]
fn code_is_coloured_by_its_language() {
    let theme = Theme::dark();
    let syntax = theme.syntax.expect("a theme with colours");
    for markdown in ["```rust\nfn main() {}\n```", "- ```rust\n  fn main() {}\n  ```"] {
        assert_eq!(style_of(markdown, "fn"), theme.code_block.patch(syntax.keyword));
        assert_eq!(style_of(markdown, "main"), theme.code_block.patch(syntax.function));
    }
    assert_eq!(style_of("```nonsense\nfn main() {}\n```", "fn main() {}"), theme.code_block);
}

#[test]
fn a_link_shows_its_address_unless_its_text_does() {
    assert_eq!(render("[text](https://e.org)", 80), "text (https://e.org)");
    assert_eq!(render("<https://e.org> <me@e.org>", 80), "https://e.org me@e.org");
    assert_eq!(render("![a cat](cat.png) ![](b.png)", 80), "image: a cat (cat.png) image: (b.png)");
    assert_eq!(style_of("[text](https://e.org)", "text"), Theme::dark().link);
    assert_eq!(style_of("[text](https://e.org)", " (https://e.org)"), Theme::dark().dim);
}

#[test]
fn mathematics_is_shown_in_unicode_and_prices_are_left_alone() {
    let text = r"\(a_1\) and $x*y*z_{1}$ cost $5 and $10, `$x^2$` does not";
    assert_eq!(render(text, 80), "a₁ and x ∗ y ∗ z₁ cost $5 and $10, $x^2$ does not");
    let display = "So\n$$\nx = \\frac{a}{b}\n$$\nholds.\n\n\\[ \\unknown{x} \\]";
    assert_eq!(render(display, 80), "So\n       a\n  x = ───\n       b\nholds.\n\n  \\[ \\unknown{x} \\]");
    assert_eq!(style_of("$x^2$", "x²"), Theme::dark().math);
}

#[test]
fn mathematics_is_left_as_it_is_in_ascii() {
    let theme = Theme { ascii: true, ..Theme::plain() };
    let text = r"\(a_1\) and $x*y*z_{1}$";
    assert_eq!(shown(Document::from_text(text).lines(80, &theme)), text);
}

#[test]
fn items_stand_apart_only_where_the_author_left_a_line() {
    let tight = "- a\n- b\n  - c\n- d";
    assert_eq!(render(tight, 80), "• a\n• b\n  ◦ c\n• d");
    let loose = "9) a\n\n   more\n\n10) b";
    assert_eq!(render(loose, 80), "9) a\n\n   more\n\n10) b");
}

#[test]
fn list_items_hang_from_their_markers() {
    let list = "1. one two three four\n   - five six seven\n2. [x] done and dusted";
    let expected = "1. one two\n   three four\n   ◦ five six\n     seven\n[x] done and\n    dusted";
    assert_eq!(render(list, 14), expected);
}

#[test]
fn a_quote_has_a_bar_beside_every_line() {
    let quote = "> one two three\n>\n> four\n\nafter";
    assert_eq!(render(quote, 10), "▌ one two\n▌ three\n▌\n▌ four\n\nafter");
}

#[test]
fn long_code_lines_go_on_below_with_a_mark() {
    assert_eq!(render("```\nlet answer = 42;\n\n  x\n```", 12), "  let answer\n↳  = 42;\n\n    x");
}

#[test]
fn deep_nesting_keeps_room_for_text() {
    let deep = format!("{}word", "> ".repeat(400));
    assert!(render(&deep, 10).ends_with("word"));
    let list: String = (0..40).map(|depth| format!("{}- item{depth}\n", "  ".repeat(depth))).collect();
    let drawn = render(&list, 12).replace('\n', "");
    assert!((0..40).all(|depth| drawn.contains(&format!("{depth}"))), "{drawn}");
}

#[test]
fn escape_sequences_are_shown_and_never_sent() {
    assert_eq!(render("a\x1b[2Jb `\x07` &#x1b;", 80), "a<U+001B>[2Jb <U+0007> <U+001B>");
}

#[test]
fn a_new_look_lays_everything_out_again() {
    let mut document = Document::from_text("one two `three`\n\nfour");
    assert_eq!(document.lines(80, &Theme::dark()).len(), 3);
    assert_eq!(shown(document.lines(7, &Theme::dark())), "one two\nthree\n\nfour");
    let plain = document.lines(80, &Theme::plain()).to_vec();
    assert_ne!(plain, document.lines(80, &Theme::dark()));
}
