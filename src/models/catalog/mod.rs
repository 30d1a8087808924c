//! The models that tuichat knows by name: `assets/models.toml`, built into the program, and the user's own `models.toml`
//! over it.

mod entry;

use std::path::Path;
use std::sync::OnceLock;

use entry::parse;
pub use entry::{Entry, File, Shape};

use super::fit::{Machine, Verdict};
use crate::text::cause;

const CATALOG: &str = include_str!("../../../assets/models.toml");
/// Tokens per second that a model should have to be somebody's first.
const PLEASANT: f64 = 10.0;

static ENTRIES: OnceLock<Vec<Entry>> = OnceLock::new();

/// Takes the user's own entries in, over the built-in ones of the same names. Without this, or from a second call on, the
/// catalogue is what it is.
///
/// # Errors
/// If there is such a file and it cannot be used; the built-in entries are in force then.
pub fn add_from(user: &Path) -> Result<(), String> {
    let mut outcome = Ok(());
    ENTRIES.get_or_init(|| {
        let mut entries = built_in();
        match read(user) {
            Ok(more) => more.into_iter().for_each(|entry| put(&mut entries, entry)),
            Err(sentence) => outcome = Err(sentence),
        }
        entries
    });
    outcome
}

fn built_in() -> Vec<Entry> {
    parse(CATALOG).expect("assets/models.toml is part of the program and tested")
}

fn read(path: &Path) -> Result<Vec<Entry>, String> {
    let text = match std::fs::read_to_string(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(format!("cannot read `{}`: {}", path.display(), cause(&error))),
        Ok(text) => text,
    };
    parse(&text).map_err(|error| format!("`{}` is left out: {error}", path.display()))
}

fn put(entries: &mut Vec<Entry>, entry: Entry) {
    match entries.iter_mut().find(|known| known.name.eq_ignore_ascii_case(&entry.name)) {
        Some(known) => *known = entry,
        None => entries.push(entry),
    }
}

/// All known models, the least demanding first; the user's own at the end.
pub fn entries() -> &'static [Entry] {
    ENTRIES.get_or_init(built_in)
}

/// The model of this name, whatever its case.
pub fn by_name(name: &str) -> Option<&'static Entry> {
    entries().iter().find(|entry| entry.name.eq_ignore_ascii_case(name))
}

/// The model and the file that an argument means: a name, or a name and a quantization, as in `qwen3-4b:Q8_0`.
pub fn by_argument(argument: &str) -> Option<(&'static Entry, &'static File)> {
    let (name, quantization) = argument.split_once(':').map_or((argument, None), |(name, rest)| (name, Some(rest)));
    let entry = by_name(name)?;
    let file = match quantization {
        None => entry.usual_file(),
        Some(wanted) => entry.files.iter().find(|file| file.quantization.eq_ignore_ascii_case(wanted))?,
    };
    Some((entry, file))
}

/// The file with this content.
pub fn by_sha256(sha256: &str) -> Option<(&'static Entry, &'static File)> {
    files().find(|(_, file)| file.sha256.as_deref() == Some(sha256))
}

/// The file at this place on the hub.
pub fn by_file(repository: &str, name: &str) -> Option<(&'static Entry, &'static File)> {
    files().find(|(entry, file)| entry.repository.eq_ignore_ascii_case(repository) && file.name == name)
}

fn files() -> impl Iterator<Item = (&'static Entry, &'static File)> {
    entries().iter().flat_map(|entry| entry.files.iter().map(move |file| (entry, file)))
}

/// The model to begin with on a machine with this much memory, as long as nothing is known of its speed.
pub fn starter(total_memory_bytes: u64) -> &'static Entry {
    let is_for = |entry: &&Entry| entry.starter_from_memory_bytes.is_some_and(|least| least <= total_memory_bytes);
    entries().iter().rev().find(is_for).unwrap_or_else(smallest)
}

/// The model to begin with on this machine: the most demanding starter that runs well and is fast enough to be pleasant.
pub fn recommended(machine: &Machine) -> &'static Entry {
    let is_for = |entry: &&Entry| {
        let anatomy = entry.anatomy(entry.usual_file());
        let is_pleasant = anatomy.speed(&machine.rates).is_none_or(|speed| speed.decode >= PLEASANT);
        let total = machine.memory.map_or(u64::MAX, |memory| memory.total);
        entry.starter_from_memory_bytes.is_some_and(|least| least <= total)
            && is_pleasant
            && matches!(anatomy.verdict(machine, None), Verdict::RunsWell | Verdict::Fits)
    };
    entries().iter().rev().find(is_for).unwrap_or_else(smallest)
}

/// The model with the least bytes to download.
pub fn smallest() -> &'static Entry {
    entries().iter().min_by_key(|entry| entry.usual_file().bytes).expect("the built-in catalogue has entries")
}

impl Entry {
    /// The file that is taken where nothing speaks for another.
    pub fn usual_file(&self) -> &File {
        &self.files[0]
    }

    /// The name that a file of it is installed under: the model's own for the usual one.
    pub fn installed_name(&self, file: &File) -> String {
        match file == self.usual_file() {
            true => self.name.clone(),
            false => format!("{}-{}", self.name, file.quantization.to_lowercase()),
        }
    }

    /// The file that suits a machine best: the one with the finest quantization that runs well and is fast enough to be
    /// pleasant, else the one that comes nearest to running, else the smallest.
    pub fn best_file(&self, machine: &Machine) -> &File {
        let mut files: Vec<&File> = self.files.iter().collect();
        files.sort_by_key(|file| std::cmp::Reverse(file.bytes));
        let is_pleasant =
            |file: &File| self.anatomy(file).speed(&machine.rates).is_some_and(|speed| speed.decode >= PLEASANT);
        let verdict = |file: &File| self.anatomy(file).verdict(machine, None);
        let pleasant = files.iter().find(|file| verdict(file) == Verdict::RunsWell && is_pleasant(file));
        let usual = Some(self.usual_file()).filter(|file| has_usual_context(verdict(file)));
        let fits = |wanted: fn(Verdict) -> bool| files.iter().copied().find(|file| wanted(verdict(file)));
        pleasant
            .copied()
            .or(usual)
            .or_else(|| fits(has_usual_context))
            .or_else(|| fits(|verdict| verdict != Verdict::DoesNotFit))
            .unwrap_or(files[files.len() - 1])
    }
}

fn has_usual_context(verdict: Verdict) -> bool {
    matches!(verdict, Verdict::RunsWell | Verdict::Fits | Verdict::RunsSlowly)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::hardware::memory::Memory;
    use crate::models::{hub::Reference, local::name};
    use crate::sha256::is_sha256;

    const GIB: u64 = 1 << 30;

    #[test]
    fn the_catalogue_is_well_formed() {
        assert!(entries().len() >= 25);
        for entry in entries() {
            assert!(name::check(&entry.name).is_ok(), "{}", entry.name);
            assert!(entry.draft.as_deref().is_none_or(|name| by_name(name).is_some()), "{}", entry.name);
            let is_commit = |text: &String| text.len() == 40 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
            assert!(entry.revision.as_ref().is_none_or(is_commit), "{}", entry.name);
            for file in &entry.files {
                assert!(Reference::parse(&format!("hf:{}/{}", entry.repository, file.name)).is_ok(), "{}", file.name);
                assert!(file.sha256.as_deref().is_none_or(is_sha256), "{}", file.name);
                assert!(name::check(&entry.installed_name(file)).is_ok(), "{}", file.name);
                let bits = 8.0 * file.bytes as f64 / entry.parameters as f64;
                assert!((3.0..18.0).contains(&bits), "{}: {bits} bits", file.name);
            }
        }
        assert!(entries().iter().any(|entry| entry.in_study));
    }

    #[test]
    fn the_first_model_depends_on_memory() {
        assert_eq!(starter(16 * GIB).name, "qwen2.5-1.5b-instruct");
        assert_eq!(starter(2 * GIB).name, "qwen2.5-0.5b-instruct");
        assert_eq!(starter(0).name, "smollm2-135m-instruct");
        assert_eq!(smallest().name, "smollm2-135m-instruct");
    }

    fn machine(memory: u64, bytes_per_second: f64) -> Machine {
        let names = ["Q4_K", "Q6_K", "Q5_K", "Q5_0", "Q8_0", "Q4_0", "Q4_1", "Q5_1", "Q3_K", "MXFP4"];
        let rates = names.map(|name| (name.to_owned(), bytes_per_second));
        let mut machine = Machine { memory: Some(Memory { total: memory, available: memory }), ..Machine::default() };
        machine.rates.decode = rates.clone().into();
        machine.rates.prefill = rates.into();
        machine
    }

    #[test]
    fn a_slow_machine_is_offered_a_smaller_model_than_its_memory_would_hold() {
        assert_eq!(recommended(&machine(16 * GIB, 20e9)).name, "qwen2.5-1.5b-instruct");
        assert_eq!(recommended(&machine(16 * GIB, 5e9)).name, "qwen2.5-0.5b-instruct");
        assert_eq!(recommended(&machine(GIB / 2, 20e9)).name, "smollm2-135m-instruct");
    }

    #[test]
    fn the_quantization_is_the_finest_that_is_pleasant() {
        let entry = by_name("qwen3-4b").expect("in the catalogue");
        let best = |memory, speed| entry.best_file(&machine(memory, speed)).quantization.as_str();
        assert_eq!(best(64 * GIB, 100e9), "Q8_0");
        assert_eq!(best(64 * GIB, 26e9), "Q4_K_M");
        assert_eq!(best(64 * GIB, 5e9), "Q4_K_M", "slow in any case: the usual one");
        assert_eq!(best(5 * GIB, 100e9), "Q6_K");
        assert_eq!(best(GIB, 100e9), "Q4_K_M", "nothing fits");
    }

    #[test]
    fn a_name_may_have_a_quantization() {
        let (entry, file) = by_argument("Qwen3-4B:q8_0").expect("known");
        assert_eq!((entry.name.as_str(), file.quantization.as_str()), ("qwen3-4b", "Q8_0"));
        assert_eq!(entry.installed_name(file), "qwen3-4b-q8_0");
        assert_eq!(
            by_argument("qwen3-4b").map(|(entry, file)| entry.installed_name(file)).as_deref(),
            Some("qwen3-4b")
        );
        assert!(by_argument("qwen3-4b:Q9").is_none());
    }

    #[test]
    fn entries_of_the_user_replace_and_add_and_a_bad_file_is_told() {
        let mut entries = built_in();
        let text = CATALOG.split("[[model]]").nth(1).expect("an entry").replace("SmolLM2 135M Instruct", "Mine");
        let mine = parse(&format!("[[model]]{text}")).expect("good");
        let count = entries.len();
        put(&mut entries, mine[0].clone());
        assert_eq!((entries.len(), entries[0].title.as_str()), (count, "Mine"));
        put(&mut entries, Entry { name: "other".into(), ..mine[0].clone() });
        assert_eq!(entries.len(), count + 1);
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("models.toml");
        assert_eq!(read(&path), Ok(Vec::new()));
        std::fs::write(&path, "[[model]]\nname = 3\n").expect("written");
        assert!(read(&path).expect_err("bad").contains("models.toml"));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(256))]
        /// What somebody writes into `models.toml`: the entries that there are, with other numbers, and lines missing
        /// or twice.
        #[test]
        fn any_catalogue_is_refused_in_a_line_or_can_be_offered(
            first in 0usize..20,
            changes in proptest::collection::vec((0usize..60, "[0-9]{1,22}|-1|\"\"|\\[\\]"), 0..4),
            dropped in proptest::option::of(0usize..60),
            doubled in proptest::option::of(0usize..60),
        ) {
            let entry = CATALOG.split("[[model]]").nth(first + 1).expect("an entry");
            let mut lines: Vec<String> = entry.lines().map(str::to_owned).collect();
            for (place, value) in changes {
                let place = place % lines.len();
                if let Some((key, _)) = lines[place].split_once(" = ") {
                    lines[place] = format!("{key} = {value}");
                }
            }
            if let Some(place) = dropped.filter(|place| *place < lines.len()) {
                lines.remove(place);
            }
            if let Some(place) = doubled.filter(|place| *place < lines.len()) {
                lines.insert(place, lines[place].clone());
            }
            match parse(&format!("[[model]]{}", lines.join("\n"))) {
                Ok(entries) => {
                    for entry in entries {
                        let file = entry.best_file(&machine(16 * GIB, 20e9));
                        let _ = (entry.installed_name(file), entry.anatomy(file).verdict(&Machine::default(), None));
                    }
                }
                Err(sentence) => prop_assert!(!sentence.is_empty() && !sentence.contains('\n'), "{sentence}"),
            }
        }
    }
}
