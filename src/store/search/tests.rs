use std::time::{Duration, Instant};

use super::*;
use crate::chat::{Ended, Sampling, Stats};

fn store(texts: &[&str]) -> (Store, ChatId) {
    let mut store = Store::in_memory().unwrap();
    let chat = store.create_chat("Kitchen", Some("You bake bread")).unwrap();
    for text in texts {
        store.add_message(chat, None, Role::User, text).unwrap();
    }
    (store, chat)
}

/// What is found, the newest first, with `[` and `]` around what is marked.
fn found(store: &Store, words: &str) -> Vec<String> {
    store.search(words, 100).unwrap().iter().map(|hit| shown(&hit.excerpt)).collect()
}

fn shown(excerpt: &Excerpt) -> String {
    let pieces = excerpt.pieces();
    pieces.map(|(piece, is_marked)| if is_marked { format!("[{piece}]") } else { piece.to_owned() }).collect()
}

#[test]
fn all_words_are_found_wherever_they_stand_and_the_newest_message_comes_first() {
    let (store, _) = store(&["How to bake bread?", "Baking is slow", "A Bread knife, to bake?"]);
    assert_eq!(found(&store, "bread BAK"), ["A [Bread] knife, to [bak]e?", "How to [bak]e [bread]?"]);
    assert_eq!(found(&store, "\"bake bread\""), ["How to [bake bread]?"]);
    assert_eq!(found(&store, "\"slow"), ["Baking is [slow]"]);
    assert_eq!(found(&store, "knives"), [""; 0]);
    for nothing in ["", "  ", "\"\"", "\0"] {
        assert_eq!(found(&store, nothing), [""; 0], "{nothing:?}");
    }
}

#[test]
fn signs_of_the_query_language_are_words_like_others() {
    let (store, _) = store(&["a AND b OR (c*) NOT \"d\"", "col:umn ^x - + {y}"]);
    for words in ["AND", "(c*)", "col:umn", "NOT", "^x", "{y}", "NEAR(", "a\"b\"c*\"", "- +", "''';"] {
        store.search(words, 9).unwrap();
    }
    assert_eq!(found(&store, "(c*)"), ["a AND b OR [(c*)] NOT \"d\""]);
    assert_eq!(found(&store, "col:umn {y}"), ["[col:umn] ^x - + [{y}]"]);
}

#[test]
fn short_words_and_languages_without_spaces_are_found() {
    let (store, _) = store(&["今天天气很好", "明天下雨吗？", "Go to C or to Go", "Über die Brücke", "ПРИВЕТ да"]);
    assert_eq!(found(&store, "天气"), ["今天[天气]很好"]);
    assert_eq!(found(&store, "今天天气"), ["[今天天气]很好"]);
    assert_eq!(found(&store, "雨"), ["明天下[雨]吗？"]);
    assert_eq!(found(&store, "今天 好"), ["[今天]天气很[好]"]);
    assert_eq!(found(&store, "天气很 今"), ["[今]天[天气很]好"], "a long one and a short one");
    assert_eq!(found(&store, "go"), ["[Go] to C or to [Go]"]);
    assert_eq!(found(&store, "ÜB"), ["[Üb]er die Brücke"]);
    assert_eq!(found(&store, "BRÜCKE"), ["Über die [Brücke]"]);
    assert_eq!(found(&store, "привет ДА"), ["[ПРИВЕТ] [да]"]);
}

#[test]
fn an_answer_is_found_once_it_has_ended_and_a_system_prompt_never() {
    let (mut store, chat) = store(&["Why?"]);
    let question = store.branch(chat).unwrap().pop().unwrap().id;
    let answer = store.begin_answer(chat, question, "SmolLM2", &Sampling::default()).unwrap();
    store.append_answer(answer, "Because of gra", "").unwrap();
    assert_eq!(found(&store, "because"), [""; 0]);
    store.append_answer(answer, "vity", "").unwrap();
    store.finish_answer(answer, Ended::Length, &Stats::default(), None).unwrap();
    assert_eq!(found(&store, "gravity"), ["Because of [gravity]"]);
    store.continue_answer(answer).unwrap();
    assert_eq!(found(&store, "gravity"), [""; 0]);
    store.append_answer(answer, " and time", "").unwrap();
    store.finish_answer(answer, Ended::Stop, &Stats::default(), None).unwrap();
    assert_eq!(found(&store, "gravity"), ["Because of [gravity] and time"]);
    let hit = store.search("gravity", 9).unwrap().remove(0);
    assert_eq!((hit.chat, hit.message, hit.role, hit.title.as_str()), (chat, answer, Role::Assistant, "Kitchen"));
    assert_eq!(found(&store, "you bake"), [""; 0], "the system prompt");
    check(&store);
}

#[test]
fn what_was_deleted_is_in_no_index() {
    let (mut store, chat) = store(&["How to bake bread?", "And rolls?"]);
    let messages = store.tree(chat).unwrap().messages;
    store.delete_message(messages[1].id).unwrap();
    assert_eq!((found(&store, "bread").len(), found(&store, "rolls").len()), (0, 1));
    store.delete_chat(chat).unwrap();
    assert_eq!(found(&store, "rolls"), [""; 0]);
    check(&store);
}

#[test]
fn nothing_of_what_was_deleted_is_left_in_the_index() {
    let (mut store, chat) = store(&["bread"]);
    let other = store.create_chat("Signs", None).unwrap();
    store.add_message(other, None, Role::User, "the signs 🜁🜂🜃 of it").unwrap();
    let left = |store: &Store| {
        let mut blocks = store.connection.prepare("SELECT block FROM messages_index_data").unwrap();
        let blocks = blocks.query_map([], |row| row.get::<_, Vec<u8>>(0)).unwrap();
        let has_it = |block: &Vec<u8>| block.windows(4).any(|bytes| bytes == "🜂".as_bytes());
        blocks.flatten().filter(has_it).count()
    };
    assert!(left(&store) > 0);
    store.delete_chat(other).unwrap();
    assert_eq!(left(&store), 0);
    assert_eq!(store.search("bread", 9).unwrap()[0].chat, chat);
}

#[test]
fn branches_and_forks_are_searched_too() {
    let (mut store, chat) = store(&["How to bake bread?"]);
    let question = store.branch(chat).unwrap().pop().unwrap().id;
    for answer in ["Slowly", "With yeast"] {
        store.add_message(chat, Some(question), Role::Assistant, answer).unwrap();
    }
    assert_eq!(found(&store, "slowly"), ["[Slowly]"], "on a branch that is not shown");
    let fork = store.fork(chat, question).unwrap();
    let chats: Vec<_> = store.search("bread", 9).unwrap().iter().map(|hit| hit.chat).collect();
    assert_eq!(chats, [fork, chat]);
    assert_eq!(store.search("bread", 1).unwrap().len(), 1);
}

#[test]
fn of_a_long_message_the_part_around_the_first_word_is_shown() {
    let long = format!("{} needle\n\n\tin the   hay {}", "hay ".repeat(500), "straw ".repeat(500));
    let (store, _) = store(&[&long]);
    let excerpt = store.search("needle", 1).unwrap().remove(0).excerpt;
    assert!(excerpt.text.starts_with("hay hay") && excerpt.text.contains("hay needle in the hay straw"), "{excerpt:?}");
    assert!(excerpt.begins_before && excerpt.goes_on && excerpt.text.len() <= 480);
    assert_eq!(&excerpt.text[excerpt.marks[0].clone()], "needle");
    let one_word = format!("{}needle", "天".repeat(1000));
    let (store, _) = self::store(&[&one_word]);
    let excerpt = store.search("needle", 1).unwrap().remove(0).excerpt;
    assert_eq!(excerpt.text.chars().count(), 126);
    let (store, _) = self::store(&[&format!("{}needle", "alphabetical ".repeat(50))]);
    assert!(shown(&store.search("needle", 1).unwrap()[0].excerpt).starts_with("alphabetical "), "a whole word");
    let (store, _) = self::store(&["needle in the hay"]);
    let excerpt = store.search("hay", 1).unwrap().remove(0).excerpt;
    assert!(!excerpt.begins_before && !excerpt.goes_on, "it is all of it");
}

#[test]
fn of_words_that_begin_alike_the_longest_is_marked() {
    let (store, _) = store(&["Baking is slow"]);
    assert_eq!(found(&store, "bak baking"), ["[Baking] is slow"]);
}

#[test]
fn words_of_three_letters_are_asked_of_the_index() {
    assert_eq!(words::Words::read("ab abc").query().as_deref(), Some("\"abc\""));
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(64))]
    #[test]
    fn every_part_of_a_message_is_found(text in "[a-cA-CäÄ天气 \n]{1,12}", from in 0usize..12, length in 1usize..6) {
        let part: String = text.chars().skip(from).take(length).collect();
        let words: Vec<&str> = part.split_whitespace().collect();
        let (store, _) = store(&[&text, "something else"]);
        let found = store.search(&part.to_lowercase(), 9).unwrap();
        proptest::prop_assert_eq!(found.len(), usize::from(!words.is_empty()), "{:?} in {:?}", part, text);
        for hit in &found {
            proptest::prop_assert!(!hit.excerpt.marks.is_empty());
            let whole: String = hit.excerpt.pieces().map(|(piece, _)| piece).collect();
            proptest::prop_assert_eq!(&whole, &hit.excerpt.text);
        }
    }
}

/// The index holds what the messages say, and nothing else.
fn check(store: &Store) {
    store.connection.execute("INSERT INTO messages_index (messages_index) VALUES ('integrity-check')", []).unwrap();
}

/// Messages as people write them, of about 600 characters: words of a vocabulary as large as a book's.
fn ten_thousand_messages() -> Store {
    let mut random = fastrand::Rng::with_seed(1);
    let syllables = ["ta", "re", "mi", "lon", "ver", "ing", "sta", "ko", "und", "ple", "o", "ch", "al", "ti", "ber"];
    let vocabulary: Vec<String> =
        (0..8000).map(|_| (0..random.usize(1..5)).map(|_| syllables[random.usize(..15)]).collect()).collect();
    let mut store = Store::in_memory().unwrap();
    let mut number = 0;
    for chat in 0..200 {
        let chat = store.create_chat(&format!("Chat {chat}"), None).unwrap();
        let mut parent = None;
        for _ in 0..50 {
            let role = if number % 2 == 0 { Role::User } else { Role::Assistant };
            let words = (0..random.usize(10..200)).map(|_| {
                // Few words are frequent and many are rare.
                let rank = (random.f64().powi(3) * 8000.0) as usize;
                vocabulary[rank].as_str()
            });
            let text = words.collect::<Vec<_>>().join(" ");
            let text = if number == 17 { format!("{text} 今天天气 xylophone") } else { text };
            parent = Some(store.add_message(chat, parent, role, &text).unwrap());
            number += 1;
        }
    }
    store
}

const QUERIES: [&str; 9] =
    ["xylophone", "xylo", "tarre mil", "ta", "x", "天气", "今天天气", "stako undple ber", "qqq nothing at all"];

/// The longest of all searches: a word as it is typed, letter by letter, and others.
fn slowest(store: &Store) -> (Duration, String) {
    let mut slowest = (Duration::ZERO, String::new());
    for query in QUERIES {
        for end in query.char_indices().map(|(at, character)| at + character.len_utf8()) {
            let typed = &query[..end];
            // The best of three: others use this machine, too.
            let time = (0..3).map(|_| {
                let begin = Instant::now();
                store.search(typed, 100).unwrap();
                begin.elapsed()
            });
            slowest = slowest.max((time.min().unwrap_or_default(), typed.to_owned()));
        }
    }
    slowest
}

#[test]
fn ten_thousand_messages_are_searched_while_one_types() {
    let store = ten_thousand_messages();
    assert_eq!(found(&store, "xylophone").len(), 1);
    assert_eq!(found(&store, "天气").len(), 1);
    let (time, words) = slowest(&store);
    assert!(time < Duration::from_secs(2), "`{words}` took {time:?}");
}

#[test]
#[ignore = "prints how long searches take, which is worth something only in a release build on a quiet machine"]
fn how_long_searches_take() {
    let store = ten_thousand_messages();
    let bytes: i64 =
        store.connection.query_row("SELECT sum(length(text)) FROM messages", [], |row| row.get(0)).unwrap();
    let (time, words) = slowest(&store);
    println!("10 000 messages, {bytes} characters; the slowest search (`{words}`) took {time:?}");
    let chat = ChatId(1);
    let mut store = store;
    let begin = Instant::now();
    store.delete_chat(chat).unwrap();
    println!("deleting a chat of 50 messages took {:?}", begin.elapsed());
    assert!(time < Duration::from_millis(50), "`{words}` took {time:?}");
}
