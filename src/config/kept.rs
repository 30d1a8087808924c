//! Changing `config.toml`: one setting at a time, in the place where it stands, with everything else as it was.
//!
//! The file is read by the parser that reads it at the start, which tells where a value stands. What is written is read
//! again before it counts: every other setting must be as before. So no comment, order or form of somebody's file is
//! ever lost, and a file that cannot be read is never written over.

use std::fs::{self, File};
use std::ops::Range;
use std::path::Path;

use serde_json::Value;
use toml::de::DeTable;

use super::layers::{Place, with_files_read};
use super::settings::Settings;
use super::table::About;
use super::{SAMPLE, environment, file};
use crate::models::write_atomically;
use crate::text::cause;

/// Sets a setting in the file, or takes it back to its default, and returns what the file says then.
///
/// # Errors
/// A sentence: what the value has to be, what is wrong with the file, or why it cannot be written. Then it is as it was.
pub fn change(path: &Path, about: &About, value: Option<&str>) -> Result<Settings, String> {
    let wanted = value.map(|value| understood(about, value)).transpose()?;
    let beside = path.parent().unwrap_or(Path::new("."));
    // A link stays one: the file that it leads to is written.
    let path = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let cannot = |error: std::io::Error| format!("cannot write {}: {}", path.display(), cause(&error));
    let folder = path.parent().unwrap_or(Path::new("."));
    crate::models::create_private(folder).map_err(cannot)?;
    // One window after the other. Where the file system knows no locks, the second still reads what the first wrote.
    let lock = File::open(folder).map_err(cannot)?;
    let _ = lock.lock();
    if fs::metadata(&path).is_ok_and(|file| file.permissions().readonly()) {
        return Err(format!("{} is write-protected, so it was not changed", path.display()));
    }
    let before = match fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => SAMPLE.to_owned(),
        Err(error) => return Err(format!("cannot read {}: {}", path.display(), cause(&error))),
    };
    let (text, settings) = changed(&before, about, wanted.as_ref())
        .map_err(|problem| format!("{}, {problem}; it was not changed: correct that first", path.display()))?;
    with_files_read(settings.clone(), Place::File(&path), beside)?;
    if text != before || !path.exists() {
        write_atomically(&path, text.as_bytes()).map_err(cannot)?;
    }
    Ok(settings)
}

/// A value as it is typed, read as the command line reads it.
fn understood(about: &About, value: &str) -> Result<Value, String> {
    let key = &about.key;
    let refused = |why: &str| format!("`{key}` cannot be `{}`: {why}", crate::text::escape_line(value));
    let layer = match about.is_list {
        true => list(key, value).map_err(|why| refused(&why))?,
        // An empty text takes back what a lower layer has set, and the lowest is the default.
        false if value.is_empty() && about.default.is_empty() => return Ok(Value::String(String::new())),
        false => environment::value(key, value).map_err(|why| refused(&why.unwrap_or_default()))?,
    };
    serde_json::to_value(layer).map(|mut layer| layer[key].take()).map_err(|error| error.to_string())
}

/// Several texts: with commas between, or as the file has them.
fn list(key: &str, value: &str) -> Result<Settings, String> {
    let items = || value.split(',').map(str::trim).filter(|item| !item.is_empty()).map(toml_of_text);
    let array = match value.trim_start().starts_with('[') {
        true => value.to_owned(),
        false => format!("[{}]", items().collect::<Vec<_>>().join(", ")),
    };
    let read = file::parse(&format!("{key} = {array}\n"));
    // The place in the line, and what it is, are known to who typed it.
    let problem = |problem: String| {
        let why = problem.split_once(": ").map_or(problem.as_str(), |(_, why)| why);
        why.split_once(", and must").map_or(why.to_owned(), |(_, wanted)| format!("it must{wanted}"))
    };
    read.map(|read| read.settings).map_err(problem)
}

/// The text of the file with this setting as it is wanted, and what it says then.
fn changed(text: &str, about: &About, wanted: Option<&Value>) -> Result<(String, Settings), String> {
    let before = settings_of(text)?;
    let expected = {
        let mut expected = before.clone();
        match wanted {
            Some(value) => expected[&about.key] = value.clone(),
            None => expected[&about.key] = Value::Null,
        }
        expected
    };
    let candidates: Vec<String> = match wanted {
        Some(value) => with(text, about, &toml_of(value, about)),
        None => vec![without(text, about)],
    };
    // Somebody's file may be of a form that nobody thought of; then the next way is tried.
    for candidate in candidates {
        if settings_of(&candidate).is_ok_and(|settings| settings == expected) {
            let settings = file::parse(&candidate)?.settings;
            return Ok((candidate, settings));
        }
    }
    Err(format!("there is no safe place for `{}` in it", about.key))
}

fn settings_of(text: &str) -> Result<Value, String> {
    let settings = file::parse(text)?.settings;
    serde_json::to_value(settings).map_err(|error| error.to_string())
}

/// The ways to put a setting into the text, the best first: where it stands, where the sample has it behind a `#`, at the
/// end, and before everything else, since what follows a heading in brackets is none of ours.
fn with(text: &str, about: &About, value: &str) -> Vec<String> {
    let line = format!("{} = {value}", about.key);
    if let Some((_, place)) = places(text, &about.key) {
        return vec![replaced(text, place, value)];
    }
    let gap = if text.is_empty() || text.ends_with('\n') { "" } else { "\n" };
    let at_the_end = format!("{text}{gap}{line}\n");
    let first = format!("{line}\n{text}");
    let commented = commented(text, &about.key).map(|place| replaced(text, place, &line));
    commented.into_iter().chain([at_the_end, first]).collect()
}

/// The text with the default of the setting behind a `#` where it stood.
fn without(text: &str, about: &About) -> String {
    let Some((key, value)) = places(text, &about.key) else { return text.to_owned() };
    let line = format!("#{} = {}", about.key, about.default_toml);
    replaced(text, key.start..value.end, &line)
}

fn replaced(text: &str, place: Range<usize>, by: &str) -> String {
    let mut text = text.to_owned();
    text.replace_range(place, by);
    text
}

/// Where the name of a setting stands, and where its value does.
fn places(text: &str, key: &str) -> Option<(Range<usize>, Range<usize>)> {
    let table = DeTable::parse(text).ok()?;
    let (name, value) = table.get_ref().iter().find(|(name, _)| name.get_ref() == key)?;
    Some((name.span(), value.span()))
}

/// The line in which the setting stands behind a `#`, without its end.
fn commented(text: &str, key: &str) -> Option<Range<usize>> {
    let mut start = 0;
    for line in text.split_inclusive('\n') {
        let content = line.trim_end_matches(['\n', '\r']);
        let name = content.strip_prefix('#').and_then(|rest| rest.split_once('=')).map(|(name, _)| name.trim());
        if name == Some(key) {
            return Some(start..start + content.len());
        }
        start += line.len();
    }
    None
}

/// A value as it stands in the file: a switch as the sample has this one.
fn toml_of(value: &Value, about: &About) -> String {
    match value {
        Value::Bool(is_on) if about.default_toml.starts_with('"') => toml_of_text(if *is_on { "on" } else { "off" }),
        Value::String(text) => toml_of_text(text),
        Value::Array(items) => {
            let items: Vec<String> = items.iter().map(|item| toml_of(item, about)).collect();
            format!("[{}]", items.join(", "))
        }
        value => value.to_string(),
    }
}

fn toml_of_text(text: &str) -> String {
    // On one line, whatever is in it: what JSON escapes, TOML does likewise.
    Value::String(text.to_owned()).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::table::about;

    fn put(text: &str, key: &str, value: &str) -> String {
        let about = about(key).unwrap();
        changed(text, about, Some(&understood(about, value).unwrap())).unwrap().0
    }

    fn back(text: &str, key: &str) -> String {
        changed(text, about(key).unwrap(), None).unwrap().0
    }

    #[test]
    fn a_value_is_changed_where_it_stands_and_everything_else_stays() {
        let text = "# mine\ntop_k  =  7 # seven\r\n\n  temp = 0.5\nstop = [\n  \"a\", # first\n]\n[other]\nx = 1\n";
        assert_eq!(put(text, "top_k", "9"), text.replace('7', "9"));
        assert_eq!(put(text, "stop", "x, y"), text.replace("[\n  \"a\", # first\n]", "[\"x\", \"y\"]"));
        let added = put(text, "seed", "3");
        assert_eq!(added, format!("seed = 3\n{text}"), "it must not become part of the table at the end");
        assert_eq!(put("temp = 0.5", "seed", "3"), "temp = 0.5\nseed = 3\n");
        assert_eq!(put("", "mouse", "off"), "mouse = \"off\"\n");
    }

    #[test]
    fn what_the_sample_has_behind_a_hash_is_switched_on_there_and_off_again() {
        for (key, value, line) in [
            ("temp", "0.3", "temp = 0.3"),
            ("mouse", "off", "mouse = \"off\""),
            ("vi_keys", "on", "vi_keys = true"),
            ("kv_mem", "64M", "kv_mem = \"64M\""),
            ("think", "200", "think = 200"),
            ("model_folders", "~/a, b", "model_folders = [\"~/a\", \"b\"]"),
            ("stop", "[\"a, b\", \"\\n\"]", "stop = [\"a, b\", \"\\n\"]"),
            ("system", "Say \"no\"", "system = \"Say \\\"no\\\"\""),
        ] {
            let text = put(SAMPLE, key, value);
            let about = about(key).unwrap();
            let expected = SAMPLE.replace(&format!("\n#{key} = {}\n", about.default_toml), &format!("\n{line}\n"));
            assert_eq!(text, expected, "{key}");
            assert_eq!(back(&text, key), SAMPLE, "{key}");
        }
    }

    #[test]
    fn a_line_in_a_text_is_no_line_of_the_file() {
        let text = "system = \"\"\"\n#temp = 0.8\n\"\"\"\n";
        let changed = put(text, "temp", "0.3");
        assert_eq!(changed, format!("{text}temp = 0.3\n"));
        assert_eq!(put(text, "system", ""), "system = \"\"\n");
    }

    #[test]
    fn a_value_that_cannot_be_is_refused_with_what_it_has_to_be() {
        let refused = |key: &str, value: &str| understood(about(key).unwrap(), value).unwrap_err();
        assert_eq!(refused("temp", "hot"), "`temp` cannot be `hot`: it must be a number between 0 and 5");
        assert_eq!(refused("output", "xml"), "`output` cannot be `xml`: it must be `text`, `json` or `ndjson`");
        assert!(refused("stop", "[1]").starts_with("`stop` cannot be `[1]`: "), "{}", refused("stop", "[1]"));
        assert!(refused("temp", "").contains("cannot be ``"));
    }

    #[test]
    fn a_file_with_a_mistake_is_never_written_over() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config.toml");
        for text in ["temp = \"hot\"\n", "temp = 0.5\ntemp = 0.6\n", "temp 1"] {
            fs::write(&path, text).unwrap();
            let problem = change(&path, about("top_k").unwrap(), Some("3")).unwrap_err();
            assert!(problem.contains("config.toml, line ") && problem.contains("it was not changed"), "{problem}");
            assert_eq!(fs::read_to_string(&path).unwrap(), text);
        }
        fs::write(&path, "").unwrap();
        let problem = change(&path, about("system").unwrap(), Some("@gone.txt")).unwrap_err();
        assert!(problem.contains("`system` in ") && problem.contains("cannot read `"), "{problem}");
        assert_eq!(fs::read_to_string(&path).unwrap(), "");
    }

    #[cfg(unix)]
    #[test]
    fn a_new_file_is_the_sample_and_links_and_permissions_stay() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("new/config.toml");
        change(&path, about("temp").unwrap(), Some("0.3")).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), SAMPLE.replace("#temp = 0.8", "temp = 0.3"));
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        let link = folder.path().join("config.toml");
        std::os::unix::fs::symlink(&path, &link).unwrap();
        let settings = change(&link, about("top_k").unwrap(), Some("3")).unwrap();
        assert_eq!((settings.top_k, settings.temp), (Some(3), "0.3".parse().ok()));
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o640);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o440)).unwrap();
        let problem = change(&link, about("top_k").unwrap(), Some("4")).unwrap_err();
        assert!(problem.contains("is write-protected"), "{problem}");
    }

    #[test]
    fn two_windows_that_write_at_once_lose_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config.toml");
        let keys = ["temp", "top_p", "min_p", "spec_fuzzy"];
        std::thread::scope(|scope| {
            for key in keys {
                let path = &path;
                scope.spawn(move || {
                    for round in 1..=20 {
                        let value = f64::from(round) / 20.0;
                        change(path, about(key).unwrap(), Some(&value.to_string())).unwrap();
                    }
                });
            }
        });
        let text = fs::read_to_string(&path).unwrap();
        for key in keys {
            assert!(text.contains(&format!("\n{key} = 1.0\n")), "{key}");
        }
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}
