//! What computes with a model or reads a foreign file is code that hostile bytes may take over: llama.cpp's own advice is
//! to run models that are not trusted in a sandbox (its `SECURITY.md`). Here a thread, and all that it starts, gives away
//! what it has no use for: to write files but in a few places, and to speak TCP. Linux has Landlock for that, from 5.13
//! on (TCP: 6.7); elsewhere nothing is given away.

use std::path::{Path, PathBuf};

/// How far a thread is confined.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Confined {
    /// In all that this module knows.
    Wholly,
    /// In what the kernel knows, which is an older one.
    Partly,
    /// The system has nothing for it, or refuses.
    No,
}

/// For [`confine`]: no file is written.
pub const NOWHERE: &[&Path] = &[];

/// Where drivers of graphics processors write: to their devices, and to caches of what they compiled.
pub fn places_of_drivers() -> Vec<PathBuf> {
    if !cfg!(any(feature = "cuda", feature = "vulkan", feature = "portable")) {
        return Vec::new();
    }
    let home = std::env::home_dir();
    let caches = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    let caches = caches.or_else(|| home.as_ref().map(|home| home.join(".cache")));
    let compiled = home.map(|home| home.join(".nv"));
    [Some("/dev".into()), Some(std::env::temp_dir()), caches, compiled].into_iter().flatten().collect()
}

/// Confines the calling thread and what it starts from now on, for good: files can be written, made and removed below
/// `writable` only, and there is no TCP. Places that are not there are left out. What is open stays as it is, and reading
/// is not restricted.
#[cfg(target_os = "linux")]
pub fn confine(writable: &[impl AsRef<Path>]) -> Confined {
    use landlock::{
        ABI, Access, AccessFs, AccessNet, Ruleset, RulesetAttr, RulesetCreatedAttr, RulesetError, RulesetStatus,
        path_beneath_rules,
    };
    const KNOWN: ABI = ABI::V5;
    let confined = || -> Result<RulesetStatus, RulesetError> {
        let ruleset = Ruleset::default()
            .handle_access(AccessFs::from_write(KNOWN))?
            .handle_access(AccessNet::from_all(KNOWN))?
            .create()?
            .add_rules(path_beneath_rules(["/dev/null"], AccessFs::from_write(KNOWN)))?
            .add_rules(path_beneath_rules(writable, AccessFs::from_write(KNOWN)))?;
        Ok(ruleset.restrict_self()?.ruleset)
    };
    match confined() {
        Ok(RulesetStatus::FullyEnforced) => Confined::Wholly,
        Ok(RulesetStatus::PartiallyEnforced) => Confined::Partly,
        Ok(RulesetStatus::NotEnforced) => Confined::No,
        Err(error) => {
            tracing::warn!(%error, "a thread could not be confined");
            Confined::No
        }
    }
}

/// Confines nothing: this system has no such thing.
#[cfg(not(target_os = "linux"))]
pub fn confine(_writable: &[impl AsRef<Path>]) -> Confined {
    Confined::No
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::io::{ErrorKind, Write};
    use std::net::{TcpListener, TcpStream};
    use std::process::Command;
    use std::{fs, thread};

    use super::*;

    /// Does this in a thread that may write to the first folder and not to the second one; where this kernel confines
    /// nothing, says past the test runner that it is skipped.
    fn confined(work: impl FnOnce(&Path, &Path) + Send + 'static) {
        let (open, shut) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        fs::write(shut.path().join("chats.db"), "what was said").unwrap();
        let (first, second) = (open.path().to_owned(), shut.path().to_owned());
        let is_confined = thread::spawn(move || {
            let is_confined = confine(&[&first]) != Confined::No;
            if is_confined {
                work(&first, &second);
            }
            is_confined
        });
        if !is_confined.join().unwrap() {
            let name = thread::current().name().unwrap_or_default().to_owned();
            let _ = writeln!(std::io::stderr(), "skipped {name}: this kernel confines no thread");
        }
        assert_eq!(fs::read_to_string(shut.path().join("chats.db")).unwrap(), "what was said");
        fs::write(shut.path().join("free"), "others are not confined").unwrap();
    }

    #[test]
    fn a_confined_thread_writes_only_where_it_may() {
        confined(|open, shut| {
            fs::create_dir(open.join("kv")).unwrap();
            fs::write(open.join("kv/new"), "snapshot").unwrap();
            fs::rename(open.join("kv/new"), open.join("renamed")).unwrap();
            fs::remove_file(open.join("renamed")).unwrap();
            let chats = shut.join("chats.db");
            let refused = [
                fs::write(&chats, "").unwrap_err(),
                fs::write(shut.join("new"), "").unwrap_err(),
                fs::remove_file(&chats).unwrap_err(),
                fs::create_dir(shut.join("folder")).unwrap_err(),
                fs::rename(&chats, open.join("taken")).unwrap_err(),
                std::os::unix::fs::symlink("/", shut.join("link")).unwrap_err(),
            ];
            let kinds = refused.map(|error| error.kind());
            let is_refused = |kind: &ErrorKind| matches!(kind, ErrorKind::PermissionDenied | ErrorKind::CrossesDevices);
            assert!(kinds.iter().all(is_refused), "{kinds:?}");
            assert_eq!(fs::read_to_string(chats).unwrap(), "what was said", "reading is not restricted");
        });
    }

    #[test]
    fn what_a_confined_thread_starts_is_confined() {
        confined(|_, shut| {
            let new = shut.join("new");
            thread::spawn({
                let new = new.clone();
                move || assert_eq!(fs::write(new, "").unwrap_err().kind(), ErrorKind::PermissionDenied)
            })
            .join()
            .unwrap();
            let ended =
                Command::new("sh").args(["-c", "echo x 2>/dev/null > \"$1\"", "sh"]).arg(&new).output().unwrap();
            assert!(!ended.status.success() && !new.exists(), "{ended:?}");
        });
    }

    #[test]
    fn a_confined_thread_speaks_no_tcp() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        TcpStream::connect(address).unwrap();
        thread::spawn(move || {
            // An older kernel knows files only.
            if confine(NOWHERE) == Confined::Wholly {
                assert_eq!(TcpStream::connect(address).unwrap_err().kind(), ErrorKind::PermissionDenied);
                assert_eq!(TcpListener::bind("127.0.0.1:0").unwrap_err().kind(), ErrorKind::PermissionDenied);
            }
        })
        .join()
        .unwrap();
    }
}
