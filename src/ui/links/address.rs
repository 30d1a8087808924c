//! Which addresses may be opened with a click, and where they stand in ordinary text. They come from a model, so
//! nothing but the web and mail is offered, and nothing in them can end the sequence they are sent in.

use std::ops::Range;

/// What can be opened. Files are not: what a model names on this machine is no place to click on.
const SCHEMES: [&str; 3] = ["https://", "http://", "mailto:"];
/// Longer addresses are no links. Terminals take about as much.
const LONGEST_BYTES: usize = 2_000;

/// The address in the form that a terminal is given, if it may be opened: printable ASCII only.
pub fn safe(address: &str) -> Option<String> {
    let has_scheme = |scheme: &&str| {
        address.get(..scheme.len()).is_some_and(|start| start.eq_ignore_ascii_case(scheme))
            && address.len() > scheme.len()
    };
    if address.len() > LONGEST_BYTES || !SCHEMES.iter().any(has_scheme) {
        return None;
    }
    let mut safe = String::with_capacity(address.len());
    for byte in address.bytes() {
        if byte.is_ascii_graphic() {
            safe.push(char::from(byte));
        } else {
            safe.push_str(&format!("%{byte:02X}"));
        }
    }
    (safe.len() <= LONGEST_BYTES).then_some(safe)
}

/// Where web addresses stand in `text`, without the punctuation that follows them: what GitHub makes links of.
pub fn addresses(text: &str) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(start) = text[at..].find("http").map(|length| at + length) {
        let rest = &text[start..];
        let scheme = SCHEMES[..2].iter().find(|scheme| rest.starts_with(*scheme));
        let before = text[..start].chars().next_back();
        let begins = before.is_none_or(|character| !character.is_ascii_alphanumeric());
        let length = scheme.filter(|_| begins).map_or(0, |scheme| length(rest, scheme.len()));
        if length > 0 {
            found.push(start..start + length);
        }
        at = start + length.max("http".len());
    }
    found
}

/// How long the address at the start of `text` is; nothing if no host follows the scheme.
fn length(text: &str, scheme: usize) -> usize {
    let end = text.find(|character: char| character.is_whitespace() || matches!(character, '<' | '>' | '"' | '`'));
    let mut address = &text[..end.unwrap_or(text.len())];
    // Scripts without spaces go on behind an address with no mark between.
    if let Some(wide) = address.find(|character: char| ('\u{2e80}'..='\u{ffef}').contains(&character)) {
        address = &address[..wide];
    }
    loop {
        let trimmed = address.trim_end_matches(['?', '!', '.', ',', ':', ';', '*', '_', '~', '\'', ']', '}', '|']);
        let trimmed = match trimmed.strip_suffix(')') {
            Some(without) if trimmed.matches(')').count() > trimmed.matches('(').count() => without,
            _ => trimmed,
        };
        if trimmed.len() == address.len() {
            break;
        }
        address = trimmed;
    }
    let host = address.get(scheme..).unwrap_or_default().split(['/', '?', '#']).next().unwrap_or_default();
    if host.starts_with(|character: char| character.is_alphanumeric() || character == '[') { address.len() } else { 0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str) -> Vec<&str> {
        addresses(text).into_iter().map(|range| &text[range]).collect()
    }

    #[test]
    fn only_the_web_and_mail_can_be_opened() {
        for address in ["https://e.org", "HTTP://e.org/a?b#c", "mailto:a@e.org"] {
            assert_eq!(safe(address).as_deref(), Some(address));
        }
        for address in
            ["javascript:alert(1)", "file:///etc/passwd", "data:text/html,x", "/relative", "e.org", "https://", ""]
        {
            assert_eq!(safe(address), None, "{address}");
        }
    }

    #[test]
    fn nothing_in_an_address_ends_the_sequence_it_is_sent_in() {
        assert_eq!(safe("https://e.org/\x1b\\\x07 \u{9c}ü").as_deref(), Some("https://e.org/%1B\\%07%20%C2%9C%C3%BC"));
        assert_eq!(safe(&format!("https://e.org/{}", "a".repeat(LONGEST_BYTES))), None);
        assert_eq!(safe(&format!("https://e.org/{}", "ü".repeat(LONGEST_BYTES / 4))), None);
    }

    #[test]
    fn addresses_are_found_in_text_without_what_follows_them() {
        assert_eq!(
            found("see https://e.org/a_b, or (http://e.org/x_(y)); end."),
            ["https://e.org/a_b", "http://e.org/x_(y)"]
        );
        assert_eq!(found("详见https://e.org/中文。"), ["https://e.org/"]);
        assert_eq!(found("xhttp://e.org https:// https://. http"), [""; 0]);
        assert_eq!(found("https://e.org https://f.org/?q=1&r=2#s!"), ["https://e.org", "https://f.org/?q=1&r=2#s"]);
    }
}
