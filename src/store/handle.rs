//! The store on a thread of its own, so that a slow card never holds up a frame. Calls run in the order they were
//! made.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use super::Store;

type Call = Box<dyn FnOnce(&mut Store) + Send>;

enum Job {
    Call(Call),
    Watch(Watch),
    /// Everything before this has been done; nothing after it will be.
    Close,
}

/// Looks now and then whether another program has written to the file.
struct Watch {
    every: Duration,
    tell: Box<dyn FnMut() + Send>,
    /// What was seen last, and when it is looked again.
    version: Option<i64>,
    next: Instant,
}

impl Watch {
    fn look_if_due(&mut self, store: &Store) {
        if Instant::now() < self.next {
            return;
        }
        // What cannot be read now is tried again; a call that needs it fails with a sentence.
        if let Ok(version) = store.outside_version()
            && self.version.replace(version) != Some(version)
        {
            (self.tell)();
        }
        self.next = Instant::now() + self.every;
    }
}

/// Sends calls to the store's thread. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Handle {
    jobs: mpsc::Sender<Job>,
}

/// Keeps the store's thread until it has done everything that was asked of it: hold it in the function that ends the
/// program. Dropping it waits for the calls made before, and closes the store; calls made after are not run, which
/// their receivers report.
#[derive(Debug)]
pub struct Guard {
    jobs: mpsc::Sender<Job>,
    thread: Option<JoinHandle<()>>,
}

impl Handle {
    /// Moves `store` to a new thread.
    ///
    /// # Errors
    /// If the system cannot start another thread.
    pub fn spawn(store: Store) -> std::io::Result<(Handle, Guard)> {
        let (jobs, queue) = mpsc::channel();
        let thread = std::thread::Builder::new().name("store".into()).spawn(move || serve(store, &queue))?;
        Ok((Handle { jobs: jobs.clone() }, Guard { jobs, thread: Some(thread) }))
    }

    /// Runs `call` on the store's thread, after those before it. Dropping the receiver does not undo the call. The
    /// receiver fails only if the store was closed before the call, or the call panicked.
    pub fn call<T: Send + 'static>(&self, call: impl FnOnce(&mut Store) -> T + Send + 'static) -> oneshot::Receiver<T> {
        let (result, receiver) = oneshot::channel();
        let job = Job::Call(Box::new(move |store| {
            // Nobody has to wait for the result.
            let _ = result.send(call(store));
        }));
        // A closed store drops the job, and with it the sender that the receiver waits for.
        let _ = self.jobs.send(job);
        receiver
    }

    /// From now on looks this often whether another program has written to the file, and calls `tell` on the store's
    /// thread when one has. That costs no more than a look at memory the programs share.
    pub fn watch(&self, every: Duration, tell: impl FnMut() + Send + 'static) {
        let watch = Watch { every, tell: Box::new(tell), version: None, next: Instant::now() };
        // A closed store has nothing to watch.
        let _ = self.jobs.send(Job::Watch(watch));
    }
}

impl Guard {
    /// Waits until everything that was asked is on disk, and closes the store.
    pub fn close(self) {
        drop(self);
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        let _ = self.jobs.send(Job::Close);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn serve(mut store: Store, queue: &mpsc::Receiver<Job>) {
    let mut watch: Option<Watch> = None;
    loop {
        let job = match &watch {
            None => queue.recv().map_err(|_| RecvTimeoutError::Disconnected),
            Some(watch) => queue.recv_timeout(watch.next.saturating_duration_since(Instant::now())),
        };
        match job {
            // One call's panic must not take the messages down that are queued behind it. Its transaction was rolled
            // back on the way out, so the store is whole; its receiver fails.
            Ok(Job::Call(call)) => drop(catch_unwind(AssertUnwindSafe(|| call(&mut store)))),
            Ok(Job::Watch(new)) => {
                let version = store.outside_version().ok();
                watch = Some(Watch { version, ..new });
            }
            Err(RecvTimeoutError::Timeout) => {}
            Ok(Job::Close) | Err(RecvTimeoutError::Disconnected) => return,
        }
        if let Some(watch) = &mut watch {
            watch.look_if_due(&store);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chat::Role;

    #[test]
    fn calls_run_in_order_and_the_guard_waits_for_them() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("chats.db");
        let (handle, guard) = Handle::spawn(Store::open(&path).unwrap()).unwrap();
        let chat = handle.call(|store| store.create_chat("Order", None)).blocking_recv().unwrap().unwrap();
        for number in 0..20 {
            let text = number.to_string();
            drop(handle.call(move |store| {
                let parent = store.branch(chat)?.last().map(|message| message.id);
                store.add_message(chat, parent, Role::User, &text)
            }));
        }
        guard.close();

        assert!(handle.call(|_| ()).blocking_recv().is_err(), "a closed store runs nothing");
        let texts: Vec<_> =
            Store::open(&path).unwrap().branch(chat).unwrap().into_iter().map(|message| message.text).collect();
        assert_eq!(texts, (0..20).map(|number| number.to_string()).collect::<Vec<_>>());
    }

    #[test]
    fn what_another_program_writes_is_told_and_what_is_written_here_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("chats.db");
        let (handle, _guard) = Handle::spawn(Store::open(&path).unwrap()).unwrap();
        let (told, heard) = mpsc::channel();
        handle.watch(Duration::from_millis(5), move || told.send(()).unwrap_or_default());
        let chat = handle.call(|store| store.create_chat("Ours", None)).blocking_recv().unwrap().unwrap();
        assert!(heard.recv_timeout(Duration::from_millis(100)).is_err(), "that was ours");
        let mut other = Store::open(&path).unwrap();
        while heard.recv_timeout(Duration::from_millis(100)).is_ok() {}
        other.rename_chat(chat, "Theirs").unwrap();
        heard.recv_timeout(Duration::from_secs(10)).expect("it is noticed");
        assert!(heard.recv_timeout(Duration::from_millis(100)).is_err(), "it is told once");
    }

    #[test]
    fn it_is_looked_only_as_often_as_was_asked() {
        let store = Store::in_memory().unwrap();
        let every = Duration::from_secs(3600);
        let (told, heard) = mpsc::channel();
        let tell = Box::new(move || told.send(()).unwrap());
        let mut watch = Watch { every, tell, version: None, next: Instant::now() };
        watch.look_if_due(&store);
        assert_eq!(heard.try_iter().count(), 1, "what was never seen is new");
        assert!(watch.next > Instant::now() + every / 2);
        watch.version = None;
        watch.look_if_due(&store);
        assert_eq!(heard.try_iter().count(), 0, "it is not due");
    }

    #[test]
    fn a_call_that_panics_is_rolled_back_and_those_behind_it_still_run() {
        let (handle, _guard) = Handle::spawn(Store::in_memory().unwrap()).unwrap();
        let chat = handle.call(|store| store.create_chat("Kept", None)).blocking_recv().unwrap().unwrap();
        let panicked = handle.call(move |store| {
            store.write(|transaction| {
                transaction.execute("DELETE FROM chats", [])?;
                panic!("a mistake in a call");
                #[expect(unreachable_code)]
                Ok(())
            })
        });
        let found = handle.call(move |store| store.chat(chat));
        assert!(panicked.blocking_recv().is_err());
        assert_eq!(found.blocking_recv().unwrap().unwrap().unwrap().title, "Kept");
    }
}
