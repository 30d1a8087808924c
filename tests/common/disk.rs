//! A disk under SQLite that keeps a record of what is written to it, so that a test can see what is left of it when the
//! power goes, and that is full when a test wants it to be.
//!
//! It is SQLite's own layer over files (a VFS, https://www.sqlite.org/vfs.html) around the one of the system, and the
//! layer that every connection of the program takes. Files in folders that no [`Disk`] watches are left to the system.
#![allow(unsafe_code)]

use std::collections::BTreeMap;
use std::ffi::{CStr, c_char, c_int, c_void};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, Once, OnceLock};

use rusqlite::ffi;

/// What a disk writes at once, or does not.
const SECTOR: usize = 512;

/// What is asked of a disk. Files are counted in the order in which they were met.
#[derive(Debug)]
enum Event {
    Create { name: String, file: usize },
    Remove { name: String },
    Write { file: usize, offset: usize, bytes: Vec<u8> },
    Cut { file: usize, length: usize },
    Sync { file: usize },
    SyncFolder,
}

/// What becomes of that for which nobody has waited when the power goes.
pub enum Luck {
    /// The disk was lazy: none of it is there.
    Nothing,
    /// The disk was quick: all of it is there.
    Everything,
    /// Each piece is there or not, whatever was written before and after it; a piece may be there in part, and have
    /// sectors that hold neither what was there nor what was to be.
    Random(fastrand::Rng),
}

/// A folder whose files are watched, until this is dropped.
pub struct Disk(Arc<Watched>);

struct Watched {
    folder: PathBuf,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// What was in the folder in the beginning.
    before: BTreeMap<String, Vec<u8>>,
    record: Vec<Event>,
    /// Which file has which name now.
    names: BTreeMap<String, usize>,
    files: usize,
    /// How much more can be written; `None` for as much as anyone likes.
    room: Option<usize>,
    refused: usize,
}

impl Disk {
    /// Watches the files of a folder from now on.
    pub fn watch(folder: &Path) -> Self {
        static ONCE: Once = Once::new();
        ONCE.call_once(take_the_place_of_the_system);
        let folder = folder.canonicalize().unwrap();
        let read =
            |entry: std::fs::DirEntry| (entry.file_name().into_string().unwrap(), std::fs::read(entry.path()).unwrap());
        let before: BTreeMap<String, Vec<u8>> =
            std::fs::read_dir(&folder).unwrap().map(|entry| read(entry.unwrap())).collect();
        let names = numbered(&before);
        let state = State { files: names.len(), names, before, ..State::default() };
        let watched = Arc::new(Watched { folder, state: Mutex::new(state) });
        disks().push(watched.clone());
        Self(watched)
    }

    /// How long the record is.
    pub fn events(&self) -> usize {
        self.0.state().record.len()
    }

    /// From now on so many writes have room, and all others are refused.
    pub fn has_room_for(&self, writes: usize) {
        self.0.state().room = Some(writes);
    }

    /// From now on there is room again. Returns how many writes were refused since the last time.
    pub fn make_room(&self) -> usize {
        let mut state = self.0.state();
        state.room = None;
        std::mem::take(&mut state.refused)
    }

    /// The files as they may be found if the power goes when `events` have been done, in their order.
    pub fn after_a_power_cut(&self, events: usize, luck: &mut Luck) -> BTreeMap<String, Vec<u8>> {
        let state = self.0.state();
        let mut left = Left::of(&state.before);
        state.record[..events].iter().for_each(|event| left.take(event));
        left.without_power(luck)
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        disks().retain(|disk| !Arc::ptr_eq(disk, &self.0));
    }
}

impl Luck {
    /// Of `count` changes that were made one after the other, how many are there.
    fn of_a_sequence(&mut self, count: usize) -> usize {
        match self {
            Self::Nothing => 0,
            Self::Everything => count,
            Self::Random(random) => random.usize(..=count),
        }
    }

    /// What is written of `new` over `old`; `None` if nothing is.
    fn of_a_write(&mut self, old: &[u8], new: &[u8]) -> Option<Vec<u8>> {
        match self {
            Self::Nothing => None,
            Self::Everything => Some(new.to_vec()),
            Self::Random(random) => match random.u8(..3) {
                0 => None,
                1 => Some(new.to_vec()),
                _ => {
                    let mut written = new.to_vec();
                    for (number, sector) in written.chunks_mut(SECTOR).enumerate() {
                        let start = number * SECTOR;
                        match random.u8(..8) {
                            0..4 => {}
                            // Beyond the end there was nothing, which is read as zeros.
                            4..7 => sector.iter_mut().enumerate().for_each(|(place, byte)| {
                                *byte = old.get(start + place).copied().unwrap_or(0);
                            }),
                            _ => random.fill(sector),
                        }
                    }
                    Some(written)
                }
            },
        }
    }

    fn of_a_cut(&mut self) -> bool {
        match self {
            Self::Nothing => false,
            Self::Everything => true,
            Self::Random(random) => random.bool(),
        }
    }
}

/// What is on the disk, and what was asked of it since and need not be there yet.
struct Left<'a> {
    files: BTreeMap<usize, (Vec<u8>, Vec<&'a Event>)>,
    names: BTreeMap<String, usize>,
    renamed: Vec<&'a Event>,
}

impl<'a> Left<'a> {
    fn of(before: &BTreeMap<String, Vec<u8>>) -> Self {
        let files = before.values().enumerate().map(|(file, bytes)| (file, (bytes.clone(), Vec::new()))).collect();
        Self { files, names: numbered(before), renamed: Vec::new() }
    }

    fn take(&mut self, event: &'a Event) {
        match event {
            Event::Create { file, .. } => {
                self.files.entry(*file).or_default();
                self.renamed.push(event);
            }
            Event::Remove { .. } => self.renamed.push(event),
            Event::Write { file, .. } | Event::Cut { file, .. } => self.files.entry(*file).or_default().1.push(event),
            Event::Sync { file } => {
                let (bytes, waiting) = self.files.entry(*file).or_default();
                waiting.drain(..).for_each(|event| change(bytes, event, &mut Luck::Everything));
            }
            Event::SyncFolder => self.rename(usize::MAX),
        }
    }

    /// Folders are kept by a journal: their changes reach the disk in their order.
    fn rename(&mut self, most: usize) {
        let count = most.min(self.renamed.len());
        for event in self.renamed.drain(..count) {
            match event {
                Event::Create { name, file } => drop(self.names.insert(name.clone(), *file)),
                Event::Remove { name } => drop(self.names.remove(name)),
                _ => {}
            }
        }
    }

    fn without_power(mut self, luck: &mut Luck) -> BTreeMap<String, Vec<u8>> {
        let renamed = luck.of_a_sequence(self.renamed.len());
        self.rename(renamed);
        let mut found = BTreeMap::new();
        for (name, file) in &self.names {
            let (mut bytes, waiting) = self.files.remove(file).unwrap_or_default();
            waiting.into_iter().for_each(|event| change(&mut bytes, event, luck));
            found.insert(name.clone(), bytes);
        }
        found
    }
}

fn change(bytes: &mut Vec<u8>, event: &Event, luck: &mut Luck) {
    match event {
        Event::Write { offset, bytes: new, .. } => {
            let end = offset + new.len();
            let old = bytes.get(*offset..end.min(bytes.len())).unwrap_or_default().to_vec();
            if let Some(written) = luck.of_a_write(&old, new) {
                bytes.resize(bytes.len().max(end), 0);
                bytes[*offset..end].copy_from_slice(&written);
            }
        }
        Event::Cut { length, .. } if luck.of_a_cut() => bytes.resize(*length, 0),
        _ => {}
    }
}

/// The numbers of files that were there in the beginning.
fn numbered(before: &BTreeMap<String, Vec<u8>>) -> BTreeMap<String, usize> {
    before.keys().cloned().enumerate().map(|(file, name)| (name, file)).collect()
}

impl Watched {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// The file of that name, which is made if there is none.
    fn open(&self, name: &str) -> usize {
        let mut state = self.state();
        if let Some(file) = state.names.get(name) {
            return *file;
        }
        let file = state.files;
        state.files += 1;
        state.names.insert(name.to_owned(), file);
        state.record.push(Event::Create { name: name.to_owned(), file });
        file
    }

    fn remove(&self, name: &str) {
        let mut state = self.state();
        state.names.remove(name);
        state.record.push(Event::Remove { name: name.to_owned() });
    }

    fn note(&self, event: Event) {
        self.state().record.push(event);
    }

    /// Whether there is room for one more write, which is taken.
    fn takes_room(&self) -> bool {
        let mut state = self.state();
        let has_room = state.room != Some(0);
        state.room = state.room.map(|room| room.saturating_sub(1));
        state.refused += usize::from(!has_room);
        has_room
    }
}

fn disks() -> MutexGuard<'static, Vec<Arc<Watched>>> {
    static DISKS: Mutex<Vec<Arc<Watched>>> = Mutex::new(Vec::new());
    DISKS.lock().unwrap()
}

/// The disk on which a file is, and the file's name there.
fn on_a_disk(path: *const c_char) -> Option<(Arc<Watched>, String)> {
    if path.is_null() {
        return None;
    }
    // SAFETY: SQLite hands over paths that end in a zero.
    let bytes = unsafe { CStr::from_ptr(path) }.to_bytes();
    let path = Path::new(std::str::from_utf8(bytes).expect("a folder for tests has a name of text"));
    let disk = disks().iter().find(|disk| path.parent() == Some(&disk.folder)).cloned()?;
    Some((disk, path.file_name()?.to_str()?.to_owned()))
}

/// A file that SQLite has open. The system's own stands behind it.
#[repr(C)]
struct Watching {
    methods: ffi::sqlite3_file,
    open: *mut Open,
}

struct Open {
    disk: Arc<Watched>,
    file: usize,
}

/// A pointer that is valid as long as the program runs.
struct Forever<T>(*mut T);

// SAFETY: what they point to is not written to after the first connection.
unsafe impl<T> Send for Forever<T> {}
// SAFETY: as above.
unsafe impl<T> Sync for Forever<T> {}

type OpenDirectory = unsafe extern "C" fn(*const c_char, *mut c_int) -> c_int;

static SYSTEM: OnceLock<Forever<ffi::sqlite3_vfs>> = OnceLock::new();
static OPEN_DIRECTORY: OnceLock<OpenDirectory> = OnceLock::new();

fn system() -> *mut ffi::sqlite3_vfs {
    SYSTEM.get().expect("set before the first connection").0
}

fn take_the_place_of_the_system() {
    let name = c"openDirectory".as_ptr();
    // SAFETY: SQLite's own layer is there as long as the program runs, and so is ours, which is leaked. The system call
    // has the type that os_unix.c gives it.
    unsafe {
        assert_eq!(ffi::sqlite3_initialize(), ffi::SQLITE_OK);
        let system = ffi::sqlite3_vfs_find(std::ptr::null());
        let directly = ((*system).xGetSystemCall.unwrap())(system, name).unwrap();
        let _ = OPEN_DIRECTORY.set(std::mem::transmute::<unsafe extern "C" fn(), OpenDirectory>(directly));
        let watched = std::mem::transmute::<OpenDirectory, unsafe extern "C" fn()>(open_directory);
        assert_eq!(((*system).xSetSystemCall.unwrap())(system, name, Some(watched)), ffi::SQLITE_OK);
        let mut ours = *system;
        ours.zName = c"watched".as_ptr();
        ours.pNext = std::ptr::null_mut();
        ours.szOsFile += size_of::<Watching>() as c_int;
        ours.xOpen = Some(open);
        ours.xDelete = Some(delete);
        let _ = SYSTEM.set(Forever(system));
        assert_eq!(ffi::sqlite3_vfs_register(Box::leak(Box::new(ours)), 1), ffi::SQLITE_OK);
    }
}

/// SQLite opens a folder for one purpose: to wait until it is on the disk.
unsafe extern "C" fn open_directory(path: *const c_char, folder: *mut c_int) -> c_int {
    if let Some((disk, _)) = on_a_disk(path) {
        disk.note(Event::SyncFolder);
    }
    // SAFETY: the arguments are those that SQLite hands over.
    unsafe { OPEN_DIRECTORY.get().expect("set before this is called")(path, folder) }
}

unsafe extern "C" fn open(
    _: *mut ffi::sqlite3_vfs,
    path: ffi::sqlite3_filename,
    file: *mut ffi::sqlite3_file,
    flags: c_int,
    out_flags: *mut c_int,
) -> c_int {
    // SAFETY: SQLite reserves `szOsFile` bytes for the file, which are ours and the system's.
    unsafe {
        let system_open = (*system()).xOpen.unwrap();
        let Some((disk, name)) = on_a_disk(path) else {
            return system_open(system(), path, file, flags, out_flags);
        };
        (*file).pMethods = std::ptr::null();
        let is_new = !disk.folder.join(&name).exists();
        if is_new && flags & ffi::SQLITE_OPEN_CREATE != 0 && !disk.takes_room() {
            return ffi::SQLITE_CANTOPEN;
        }
        let code = system_open(system(), path, real(file), flags, out_flags);
        if code == ffi::SQLITE_OK {
            let file_number = disk.open(&name);
            (*file.cast::<Watching>()).open = Box::into_raw(Box::new(Open { disk, file: file_number }));
            (*file).pMethods = &raw const METHODS;
        }
        code
    }
}

unsafe extern "C" fn delete(_: *mut ffi::sqlite3_vfs, path: *const c_char, sync_folder: c_int) -> c_int {
    if let Some((disk, name)) = on_a_disk(path)
        && disk.folder.join(&name).exists()
    {
        disk.remove(&name);
    }
    // SAFETY: the arguments are those that SQLite hands over.
    unsafe { ((*system()).xDelete.unwrap())(system(), path, sync_folder) }
}

/// # Safety
/// `file` was opened by [`open`].
unsafe fn real(file: *mut ffi::sqlite3_file) -> *mut ffi::sqlite3_file {
    // SAFETY: the system's file stands behind ours.
    unsafe { file.cast::<Watching>().add(1).cast() }
}

/// # Safety
/// `file` was opened by [`open`], and is not closed.
unsafe fn opened<'a>(file: *mut ffi::sqlite3_file) -> &'a Open {
    // SAFETY: `open` set it, `close` frees it.
    unsafe { &*(*file.cast::<Watching>()).open }
}

unsafe extern "C" fn close(file: *mut ffi::sqlite3_file) -> c_int {
    // SAFETY: SQLite closes what it has opened, once.
    unsafe {
        drop(Box::from_raw((*file.cast::<Watching>()).open));
        ((*(*real(file)).pMethods).xClose.unwrap())(real(file))
    }
}

unsafe extern "C" fn write(file: *mut ffi::sqlite3_file, bytes: *const c_void, length: c_int, offset: i64) -> c_int {
    // SAFETY: SQLite hands over an open file, and so many bytes.
    unsafe {
        let Open { disk, file: number } = opened(file);
        if !disk.takes_room() {
            return ffi::SQLITE_FULL;
        }
        let code = ((*(*real(file)).pMethods).xWrite.unwrap())(real(file), bytes, length, offset);
        let bytes = std::slice::from_raw_parts(bytes.cast::<u8>(), length as usize).to_vec();
        disk.note(Event::Write { file: *number, offset: offset as usize, bytes });
        code
    }
}

unsafe extern "C" fn truncate(file: *mut ffi::sqlite3_file, length: i64) -> c_int {
    // SAFETY: SQLite hands over an open file.
    unsafe {
        let Open { disk, file: number } = opened(file);
        disk.note(Event::Cut { file: *number, length: length as usize });
        ((*(*real(file)).pMethods).xTruncate.unwrap())(real(file), length)
    }
}

unsafe extern "C" fn sync(file: *mut ffi::sqlite3_file, flags: c_int) -> c_int {
    // SAFETY: SQLite hands over an open file.
    unsafe {
        let Open { disk, file: number } = opened(file);
        if !disk.takes_room() {
            return ffi::SQLITE_IOERR_FSYNC;
        }
        disk.note(Event::Sync { file: *number });
        ((*(*real(file)).pMethods).xSync.unwrap())(real(file), flags)
    }
}

unsafe extern "C" fn shared_memory(
    file: *mut ffi::sqlite3_file,
    region: c_int,
    size: c_int,
    may_grow: c_int,
    memory: *mut *mut c_void,
) -> c_int {
    // SAFETY: the arguments are those that SQLite hands over.
    unsafe {
        if may_grow != 0 && !opened(file).disk.takes_room() {
            return ffi::SQLITE_IOERR_SHMSIZE;
        }
        ((*(*real(file)).pMethods).xShmMap.unwrap())(real(file), region, size, may_grow, memory)
    }
}

unsafe extern "C" fn barrier(file: *mut ffi::sqlite3_file) {
    // SAFETY: SQLite hands over an open file.
    unsafe { ((*(*real(file)).pMethods).xShmBarrier.unwrap())(real(file)) }
}

/// What is left to the system.
macro_rules! handed_on {
    ($($name:ident is $method:ident ($($argument:ident: $kind:ty),*);)*) => {$(
        unsafe extern "C" fn $name(file: *mut ffi::sqlite3_file, $($argument: $kind),*) -> c_int {
            // SAFETY: the arguments are those that SQLite hands over, with an open file.
            unsafe { ((*(*real(file)).pMethods).$method.unwrap())(real(file), $($argument),*) }
        }
    )*};
}

handed_on! {
    read is xRead(bytes: *mut c_void, length: c_int, offset: i64);
    size is xFileSize(size: *mut i64);
    lock is xLock(kind: c_int);
    unlock is xUnlock(kind: c_int);
    is_reserved is xCheckReservedLock(reserved: *mut c_int);
    control is xFileControl(what: c_int, argument: *mut c_void);
    sector_size is xSectorSize();
    characteristics is xDeviceCharacteristics();
    lock_memory is xShmLock(offset: c_int, count: c_int, flags: c_int);
    unmap is xShmUnmap(and_delete: c_int);
}

static METHODS: ffi::sqlite3_io_methods = ffi::sqlite3_io_methods {
    iVersion: 2,
    xClose: Some(close),
    xRead: Some(read),
    xWrite: Some(write),
    xTruncate: Some(truncate),
    xSync: Some(sync),
    xFileSize: Some(size),
    xLock: Some(lock),
    xUnlock: Some(unlock),
    xCheckReservedLock: Some(is_reserved),
    xFileControl: Some(control),
    xSectorSize: Some(sector_size),
    xDeviceCharacteristics: Some(characteristics),
    xShmMap: Some(shared_memory),
    xShmLock: Some(lock_memory),
    xShmBarrier: Some(barrier),
    xShmUnmap: Some(unmap),
    xFetch: None,
    xUnfetch: None,
};
