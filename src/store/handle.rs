//! The store on a thread of its own, so that a slow card never holds up a frame. Calls run in the order they were
//! made.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc;
use std::thread::JoinHandle;

use tokio::sync::oneshot;

use super::Store;

type Call = Box<dyn FnOnce(&mut Store) + Send>;

enum Job {
    Call(Call),
    /// Everything before this has been done; nothing after it will be.
    Close,
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
    while let Ok(Job::Call(call)) = queue.recv() {
        // One call's panic must not take the messages down that are queued behind it. Its transaction was rolled back
        // on the way out, so the store is whole; its receiver fails.
        let _ = catch_unwind(AssertUnwindSafe(|| call(&mut store)));
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
