use std::collections::BTreeMap;

use super::*;

fn variables(pairs: &[(&str, &str)]) -> impl Fn(&str) -> Option<String> + use<> {
    let known: BTreeMap<String, String> =
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    move |name| known.get(name).cloned()
}

fn remote(file: &str, hash: char) -> RemoteFile {
    RemoteFile {
        repository: "owner/repo".into(),
        commit: "c".repeat(40),
        file: file.into(),
        url: "https://hub.test/file".parse().unwrap(),
        size_bytes: 100,
        sha256: hash.to_string().repeat(64),
    }
}

#[test]
fn what_is_no_name_of_the_catalogue_is_a_repository_or_unknown() {
    for argument in ["owner/repo", "hf:owner/repo", "hf:owner/repo:Q8_0"] {
        assert_eq!(Pull::from_argument(argument).unwrap().reference.repository, "owner/repo", "{argument}");
    }
    assert!(matches!(Pull::from_argument("no-such-model"), Err(ModelError::NotFound(_))));
    assert!(matches!(Pull::from_argument("hf:no-such-model"), Err(ModelError::BadArgument(_))));
}

#[test]
fn a_name_that_is_not_known_is_answered_with_those_that_are_near() {
    let entry = &catalog::entries()[0];
    let unknown_quantization = unknown(&format!("{}:Q9_9", entry.name));
    assert!(unknown_quantization.contains(&entry.name) && unknown_quantization.contains("there are `"));
    let half: String = entry.name.chars().take(entry.name.len() - 1).collect();
    assert!(unknown(&half).contains(&format!("`{}`", entry.name)), "{}", unknown(&half));
    for strange in ["no-such-model", "", ":Q4_0"] {
        assert!(unknown(strange).contains("`tuichat models list --catalog`"), "{}", unknown(strange));
    }
}

#[test]
fn a_variable_that_is_switched_on_forbids_the_network() {
    for on in ["1", "on", "YES", "True"] {
        assert_eq!(offline_variables(variables(&[("HF_HUB_OFFLINE", on)])), ["HF_HUB_OFFLINE"], "{on}");
    }
    assert_eq!(offline_variables(variables(&[("HF_HUB_OFFLINE", "0"), ("TRANSFORMERS_OFFLINE", "")])), [""; 0]);
    let both = variables(&[("TRANSFORMERS_OFFLINE", "1"), ("HF_HUB_OFFLINE", "1")]);
    assert_eq!(offline_variables(both), OFFLINE_VARIABLES);
}

#[test]
fn the_token_is_the_variables_or_else_that_of_the_first_file_that_has_one() {
    let folder = tempfile::tempdir().unwrap();
    let place = |name: &str| folder.path().join(name).display().to_string();
    std::fs::write(place("token"), "  of the file\n").unwrap();
    std::fs::write(place("empty"), "\n").unwrap();
    let home = place("");
    assert_eq!(token(variables(&[])), None);
    assert_eq!(token(variables(&[("HF_TOKEN", " said "), ("HF_HOME", &home)])).as_deref(), Some("said"));
    assert_eq!(token(variables(&[("HF_HOME", &home)])).as_deref(), Some("of the file"));
    assert_eq!(token(variables(&[("HF_TOKEN_PATH", &place("token"))])).as_deref(), Some("of the file"));
    let empty_first = variables(&[("HF_TOKEN_PATH", &place("empty")), ("HF_HOME", &home)]);
    assert_eq!(token(empty_first).as_deref(), Some("of the file"));
    assert_eq!(token(variables(&[("HF_HOME", &home), ("HF_HUB_DISABLE_IMPLICIT_TOKEN", "1")])), None);
}

#[test]
fn a_hash_that_was_known_beforehand_must_be_the_hubs() {
    let file = remote("m.gguf", 'a');
    assert!(check_expected(&file, None).is_ok() && check_expected(&file, Some(&file.sha256)).is_ok());
    let refused = check_expected(&file, Some(&"b".repeat(64)));
    assert!(matches!(refused, Err(ModelError::WrongHash { .. })));
}

#[test]
fn only_a_model_of_several_files_is_split() {
    let parts = [remote("q8/m-00001-of-00002.gguf", 'a'), remote("q8/m-00002-of-00002.gguf", 'b')];
    let split = split(&parts).unwrap();
    assert_eq!((split.stem.as_str(), split.parts.len()), ("m", 2));
    assert!(super::split(&parts[..1]).is_none());
}

#[test]
fn each_pause_is_twice_as_long_as_the_one_before_up_to_half_a_minute() {
    let patience = Patience { back_off: Duration::from_secs(1), attempts: 9, ..Patience::default() };
    let hub = Hub::new(ENDPOINT_DEFAULT, None).unwrap().with_patience(patience);
    let passing = Passing::new("busy");
    let pauses = (1..9).map(|failures| hub.pause_before_retry(failures, &passing).unwrap().as_secs());
    assert_eq!(pauses.collect::<Vec<_>>(), [1, 2, 4, 8, 16, 30, 30, 30]);
    assert!(hub.pause_before_retry(9, &passing).is_err());
}

#[tokio::test]
async fn a_hub_without_a_connection_is_not_asked_again() {
    let hub = Hub::new(ENDPOINT_DEFAULT, None).unwrap();
    let mut failures = 0;
    let offline = Passing { is_unreachable: true, ..Passing::new("no route") };
    let error = hub.wait_before_retry(&mut failures, HttpError::Passing(offline), &mut |_| {}).await.unwrap_err();
    assert!(failures == 0 && error.to_string().contains("no route; check the connection"), "{error}");
}

#[test]
fn a_hub_is_asked_as_it_was_set_up() {
    let hub = Hub::new(ENDPOINT_DEFAULT, None).unwrap().with_connections(7).limited_to(Some(99));
    assert_eq!((hub.connections, hub.bytes_per_second), (7, Some(99)));
    assert_eq!(hub.page("owner/repo"), "https://huggingface.co/owner/repo");
}
