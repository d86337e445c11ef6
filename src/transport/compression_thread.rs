//! Compression that takes long, on a thread of its own: on `phc-io` it would hold up every
//! other client.
//!
//! A client has at most one such thread at a time, which ends with its body, and the process at
//! most [`MAX_THREADS`]. When the attempt is cancelled, the thread ends at the next chunk.

use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use bytes::Bytes;
use phc_compression::Compressor;
use tokio::sync::{Mutex as TaskMutex, Semaphore, oneshot};

use super::compress::compress;
use crate::config::Codec;
use crate::runtime::{self, PerProcess};
use crate::sync::recover;

/// The name of each, as `ps -T` shows it.
const NAME: &str = "phc-compress";
/// The largest number of them in the process.
const MAX_THREADS: usize = 4;

static SLOTS: PerProcess<Semaphore> = PerProcess::new();

/// The compressor of one client for bodies that take long, and its thread while there is one.
pub(super) struct CompressionThread {
    /// Bodies get it in the order in which they ask for it. It is held by the thread.
    compressor: Arc<TaskMutex<Compressor>>,
    /// Lock order: takes no other lock, and is never held across an await.
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl CompressionThread {
    /// No thread yet, and a compressor of this level.
    pub(super) fn new(level: u32) -> Self {
        CompressionThread {
            compressor: Arc::new(TaskMutex::new(Compressor::new(level))),
            thread: Mutex::default(),
        }
    }

    /// Returns the compressed body; `None` if the codec fails. Without a thread it is made here.
    pub(super) async fn compress(&self, codec: Codec, body: &Bytes) -> Option<Vec<u8>> {
        let mut compressor = Arc::clone(&self.compressor).lock_owned().await;
        let slot = SLOTS.get_or_make(|| Semaphore::new(MAX_THREADS)).acquire().await;
        let (sender, receiver) = oneshot::channel();
        let input = body.clone();
        let started = runtime::spawn(NAME, move || {
            let result = compress(&mut compressor, codec, &input, &|| sender.is_closed());
            drop(input);
            // Without a receiver the attempt was cancelled.
            let _ = sender.send((result, compressor, slot));
        });
        match started {
            Ok(thread) => {
                self.join_and_keep(Some(thread));
                let (result, _compressor, _slot) = receiver.await.ok()?;
                // That was the last thing that it did. The next one may begin once it has ended.
                self.join();
                result
            }
            // The body is sent in any case, and the other clients wait for once.
            Err(_) => compress(&mut *self.compressor.lock().await, codec, body, &|| false),
        }
    }

    /// Waits for the thread of a client that sends nothing any more.
    pub(super) fn join(&self) {
        self.join_and_keep(None);
    }

    /// A thread that is still kept then was cancelled, and has given the compressor back.
    fn join_and_keep(&self, thread: Option<JoinHandle<()>>) {
        let before = std::mem::replace(&mut *recover(self.thread.lock()), thread);
        if let Some(before) = before {
            let _ = before.join();
        }
    }
}
