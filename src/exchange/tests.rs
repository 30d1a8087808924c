use super::*;
use crate::store::FORM;

/// A chat with a second answer that is not on its branch.
fn chat() -> WholeChat {
    let time = "2026-11-27T14:02:03.004Z".parse().unwrap();
    let message = |id, parent, role, text: &str| WholeMessage {
        created_at: Some(time),
        ..WholeMessage::new(id, parent, role, text)
    };
    let answer = WholeMessage {
        model: Some("Tiny <1B>".into()),
        thinking: "Light & <air>".into(),
        finish_reason: Some(Ended::Cancelled),
        ..message(3, Some(2), Role::Assistant, "**Because** of [air](https://example.org/?a=1&b=2)\n")
    };
    let messages = vec![
        message(1, None, Role::System, "Be brief"),
        message(2, Some(1), Role::User, "Why is it blue?\n  <b>Why</b>"),
        answer,
        message(4, Some(2), Role::Assistant, "Another one"),
    ];
    WholeChat {
        tuichat: FORM,
        title: "Why is\nthe sky <blue>?".into(),
        created_at: time,
        updated_at: time,
        tags: vec!["sky".into()],
        archived: false,
        leaf: Some(3),
        messages,
    }
}

#[test]
fn a_form_is_known_by_the_name_of_a_file_or_its_own() {
    for (name, form) in
        [("a.md", Form::Markdown), ("b.JSON", Form::Json), ("c.d.htm", Form::Html), ("e.txt", Form::Text)]
    {
        assert_eq!(Form::of(Path::new(name)), Some(form));
        assert_eq!(Form::named(form.extension()), Some(form));
    }
    assert_eq!((Form::of(Path::new("json")), Form::of(Path::new("a.pdf")), Form::named("pdf")), (None, None, None));
}

#[test]
fn markdown_and_text_are_the_branch_that_the_chat_goes_on_with() {
    assert_eq!(
        Form::Markdown.write(&chat()),
        "# Why is the sky <blue>?\n\n## System prompt\n\nBe brief\n\n## You\n\nWhy is it blue?\n  <b>Why</b>\n\n\
         ## Tiny <1B> [cancelled]\n\n**Because** of [air](https://example.org/?a=1&b=2)\n"
    );
    assert_eq!(
        Form::Text.write(&chat()),
        "Why is the sky <blue>?\n======================\n\nSystem prompt:\nBe brief\n\nYou:\nWhy is it blue?\n  <b>Why</b>\n\n\
         Tiny <1B> (cancelled):\n**Because** of [air](https://example.org/?a=1&b=2)\n"
    );
}

#[test]
fn json_has_all_branches_and_what_is_known_of_each_message() {
    let json: serde_json::Value = serde_json::from_str(&Form::Json.write(&chat())).unwrap();
    assert_eq!((&json["tuichat"], &json["leaf"], &json["tags"][0]), (&1.into(), &3.into(), &"sky".into()));
    assert_eq!(json["messages"].as_array().unwrap().len(), 4);
    let answer = &json["messages"][2];
    assert_eq!((&answer["parent"], &answer["finish_reason"]), (&2.into(), &"cancelled".into()));
    assert_eq!(
        (&answer["thinking"], &answer["created_at"]),
        (&"Light & <air>".into(), &"2026-11-27T14:02:03.004Z".into())
    );
}

#[test]
fn a_page_shows_markdown_and_runs_and_fetches_nothing() {
    let page = Form::Html.write(&chat());
    assert!(page.contains("<title>Why is\nthe sky &lt;blue&gt;?</title>"), "{page}");
    assert!(page.contains("<p><strong>Because</strong> of <a href=\"https://example.org/?a=1&amp;b=2\""), "{page}");
    assert!(
        page.contains("<details><summary>Thoughts</summary><div>Light &amp; &lt;air&gt;</div></details>"),
        "{page}"
    );
    assert!(
        page.contains("Why is it blue?\n  &lt;b&gt;Why&lt;/b&gt;")
            && page.contains("Tiny &lt;1B&gt; <small>2026-11-27 14:02 UTC, cancelled")
    );
    assert!(page.contains("default-src 'none'") && !page.contains("Another one"));
}

/// An answer as it is shown in a page.
fn shown(text: &str) -> String {
    let mut chat = chat();
    chat.messages[2].content = text.into();
    let page = Form::Html.write(&chat);
    let start = page.rfind("<div class=\"said\">").unwrap() + "<div class=\"said\">".len();
    page[start..page.rfind("</div>").unwrap()].to_owned()
}

#[test]
fn code_tables_lists_and_tasks_are_shown_as_such() {
    assert_eq!(
        shown("```rust\nlet a = b < c;\n```\n"),
        "<pre><code class=\"language-rust\">let a = b &lt; c;\n</code></pre>\n"
    );
    let table = shown("| a | b |\n|---|---:|\n| 1 | `2` |\n");
    assert!(table.contains("<th>a</th><th style=\"text-align: right\">b</th>"), "{table}");
    assert!(table.contains("<td>1</td><td style=\"text-align: right\"><code>2</code></td>"), "{table}");
    let list = shown("3. one\n   - [x] two\n");
    assert!(list.contains("<ol start=\"3\">") && list.contains("☑ two"), "{list}");
}

#[test]
fn what_was_said_is_no_markup_of_the_page() {
    for hostile in [
        "<script>alert(1)</script>",
        "<img src=x onerror=alert(1)>",
        "a <b onclick=\"x\">b</b>",
        "[x](javascript:alert(1))",
        "[x]( JaVaScRiPt:alert(1))",
        "[x](data:text/html,<script>alert(1)</script>)",
        "![x](https://example.org/track.png)",
        "<javascript:alert(1)>",
        "[a\"b](https://example.org/\"onmouseover=\"alert(1))",
        "```\"><script>\nx\n```",
        "\u{1b}]0;x\u{7}\u{202e}evil",
        "[outer [inner](https://a.example) ](https://b.example)",
    ] {
        let page = shown(hostile);
        let tags = page.split('<').skip(1).map(|tag| tag.split(['>', ' ']).next().unwrap_or_default());
        for tag in tags {
            let known = ["p", "/p", "a", "/a", "pre", "/pre", "code", "/code", "strong", "/strong"];
            assert!(known.contains(&tag), "`{tag}` in {page}");
        }
        for address in page.split("href=\"").skip(1) {
            assert!(address.starts_with("https://") && !address.contains("\" onmouseover"), "{page}");
        }
        assert!(!page.contains(['\u{1b}', '\u{202e}']), "{page:?}");
    }
    let mut evil = chat();
    evil.messages[2].model = Some("<script>".into());
    evil.title = "</title><script>".into();
    assert!(!Form::Html.write(&evil).contains("<script>"));
}

#[test]
fn a_file_is_called_by_the_title_and_never_leaves_its_folder() {
    assert_eq!(file_name("Why is the sky blue?", Form::Markdown), "why-is-the-sky-blue.md");
    assert_eq!(file_name("../../etc/passwd\u{1b}", Form::Json), "etc-passwd.json");
    assert_eq!(file_name("…", Form::Html), "chat.html");
    assert_eq!(file_name("天气", Form::Text), "天气.txt");
    assert!(file_name(&"天".repeat(500), Form::Text).len() < 140);
}
