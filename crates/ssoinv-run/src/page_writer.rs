//! Hands a task's pages to the row store, without blocking a worker thread on the disk.
//!
//! Used by [`crate::task_scan`]. The store writes on a blocking thread when too many rows wait, and goes on writing after
//! the task was given up: a run has not ended, and its working folder can't be removed, before
//! [`PageWriter::at_rest`].

use std::error::Error;
use std::panic;
use std::sync::Arc;

use arrow_array::RecordBatch;
use ssoinv_core::rows::{Backpressure, TaskRows};
use tokio::sync::RwLock;
use tokio::task::{self, JoinError};

/// Writes the pages of a run.
#[derive(Debug, Default)]
pub(crate) struct PageWriter {
    /// Held for reading during each write.
    writing: Arc<RwLock<()>>,
}

impl PageWriter {
    /// Adds a page to a task's rows. It may be dropped at any moment.
    ///
    /// # Errors
    /// As [`TaskRows::push`].
    pub(crate) async fn push(
        &self,
        mut rows: Box<dyn TaskRows>,
        page: RecordBatch,
    ) -> Result<Box<dyn TaskRows>, Box<dyn Error + Send + Sync>> {
        if rows.push(page)? == Backpressure::Ready {
            return Ok(rows);
        }
        let writing = Arc::clone(&self.writing).read_owned().await;
        // Not in place: a worker that blocks has another thread stand in for it, with memory of its own. If the
        // task was given up, the rows are dropped before `writing` is.
        let made = task::spawn_blocking(move || (rows.make_room().map(|()| rows), writing)).await;
        match made.map_err(JoinError::try_into_panic) {
            Ok((made, _)) => made,
            Err(Ok(panic)) => panic::resume_unwind(panic),
            Err(Err(gone)) => Err(gone.into()),
        }
    }

    /// Waits until nothing is being written.
    pub(crate) async fn at_rest(&self) {
        let _none = self.writing.write().await;
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::sync::mpsc::{Receiver, channel};

    use arrow_array::{ArrayRef, BooleanArray};
    use futures::poll;

    use super::*;

    /// Rows that want room, and write until they are told that they are done.
    struct Slow {
        done: Receiver<()>,
        gone: Arc<AtomicBool>,
    }

    impl TaskRows for Slow {
        fn push(&mut self, _: RecordBatch) -> Result<Backpressure, Box<dyn Error + Send + Sync>> {
            Ok(Backpressure::Full)
        }

        fn make_room(&mut self) -> Result<(), Box<dyn Error + Send + Sync>> {
            Ok(self.done.recv()?)
        }

        fn finish(self: Box<Self>) {}
    }

    impl Drop for Slow {
        fn drop(&mut self) {
            self.gone.store(true, Ordering::SeqCst);
        }
    }

    fn page() -> RecordBatch {
        let column: ArrayRef = Arc::new(BooleanArray::from(vec![true]));
        RecordBatch::try_from_iter([("column", column)]).expect("a page")
    }

    #[tokio::test]
    async fn a_run_is_not_at_rest_while_a_task_that_was_given_up_still_writes() {
        let (writer, gone, (done, wait)) = (PageWriter::default(), Arc::default(), channel());
        let rows = Slow { done: wait, gone: Arc::clone(&gone) };
        {
            let mut push = Box::pin(writer.push(Box::new(rows), page()));
            assert!(poll!(&mut push).is_pending());
        }
        let mut rest = Box::pin(writer.at_rest());
        assert!(poll!(&mut rest).is_pending());
        assert!(!gone.load(Ordering::SeqCst));
        done.send(()).expect("it waits");
        rest.await;
        assert!(gone.load(Ordering::SeqCst), "the rows are gone, too");
    }

    #[tokio::test]
    async fn a_page_comes_back_with_room_or_with_the_reason() {
        let (writer, gone, (done, wait)) = (PageWriter::default(), Arc::default(), channel());
        done.send(()).expect("it is there");
        let rows = writer.push(Box::new(Slow { done: wait, gone }), page()).await.expect("room");
        drop(done);
        assert!(writer.push(rows, page()).await.is_err());
        writer.at_rest().await;
    }
}
