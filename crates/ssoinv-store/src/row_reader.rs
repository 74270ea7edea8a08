//! The reader's side of a row queue: the rows of all tasks, one task after another.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, PoisonError};

use arrow_array::RecordBatch;
use ssoinv_core::rows::TaskId;

use crate::error::StoreError;
use crate::merge::{Merge, SortedBatches};
use crate::queue_state::{EndedTask, QueueState, RowOrder, SharedQueue};

/// Reads the rows of a queue: task by task, the rows of a task sorted by their keys.
///
/// Tasks come in the queue's [`RowOrder`]. Reading blocks until a task has ended, so it is for a thread of its own. It
/// ends after the last task, or after an error. Dropping the reader discards all rows that weren't read.
pub struct RowReader {
    current: Option<(TaskId, Merge)>,
    /// The next task in the plan's order.
    next: TaskId,
    /// True after the last task or an error.
    finished: bool,
    duplicates: BTreeMap<TaskId, u64>,
    shared: Arc<SharedQueue>,
}

impl RowReader {
    pub(crate) fn new(shared: Arc<SharedQueue>) -> Self {
        Self { current: None, next: TaskId::default(), finished: false, duplicates: BTreeMap::new(), shared }
    }

    /// Returns the number of rows that AWS returned twice, for each task that has been read and has any.
    #[must_use]
    pub fn duplicates(&self) -> &BTreeMap<TaskId, u64> {
        &self.duplicates
    }

    /// Waits for the next task with rows; none after the last one.
    fn next_task(&mut self) -> Result<Option<(TaskId, Merge)>, StoreError> {
        let shared = Arc::clone(&self.shared);
        let mut state = shared.state();
        let (task, buffer) = loop {
            if let Some(error) = &state.failed {
                return Err(error.clone());
            }
            let step = match shared.order {
                RowOrder::Plan => self.step_in_plan(&mut state),
                RowOrder::Arrival => self.step_by_arrival(&mut state),
            };
            match step {
                Step::Task(EndedTask { task, buffer: Some(buffer) }) => break (task, buffer),
                Step::Task(EndedTask { buffer: None, .. }) => {}
                Step::End => return Ok(None),
                Step::Wait => state = shared.changed.wait(state).unwrap_or_else(PoisonError::into_inner),
            }
        };
        drop(state);
        let memory = (!buffer.batches.is_empty()).then(|| SortedBatches::new(buffer.batches));
        let mut merge = Merge::new(buffer.runs, memory)?;
        merge.duplicates += buffer.duplicates;
        Ok(Some((task, merge)))
    }

    /// Finds the next task in the plan's order.
    fn step_in_plan(&mut self, state: &mut QueueState) -> Step {
        loop {
            if self.next.slot >= self.shared.slots {
                return Step::End;
            }
            let task = self.next;
            let parts = state.parts.get(&task.slot).copied();
            if parts.is_some_and(|parts| task.part >= parts) || parts.is_none() && state.closed {
                state.parts.remove(&task.slot);
                self.next = TaskId { slot: task.slot + 1, part: 0 };
                continue;
            }
            // A slot that isn't open may still get tasks before the tasks that have ended.
            if parts.is_none() {
                return Step::Wait;
            }
            if let Some(ended) = state.take_ended(task) {
                self.next.part += 1;
                return Step::Task(ended);
            }
            if !state.closed || state.has_ended(task) {
                return Step::Wait;
            }
            // The task was given up.
            self.next.part += 1;
        }
    }

    /// Finds any task that has ended.
    fn step_by_arrival(&self, state: &mut QueueState) -> Step {
        if let Some(ended) = state.take_arrived() {
            return Step::Task(ended);
        }
        let all_read = state.opened == self.shared.slots && state.read_tasks == state.planned_tasks;
        if all_read || state.closed && state.is_drained() { Step::End } else { Step::Wait }
    }

    fn next_batch(&mut self) -> Result<Option<(TaskId, RecordBatch)>, StoreError> {
        loop {
            if let Some((task, merge)) = &mut self.current {
                if let Some(batch) = merge.next()? {
                    return Ok(Some((*task, batch)));
                }
                if merge.duplicates > 0 {
                    self.duplicates.insert(*task, merge.duplicates);
                }
                self.current = None;
            }
            match self.next_task()? {
                Some(task) => self.current = Some(task),
                None => return Ok(None),
            }
        }
    }
}

/// The result of a look for the next task.
enum Step {
    /// A task that has ended.
    Task(EndedTask),
    /// No task can leave before the state changes.
    Wait,
    /// No more tasks will come.
    End,
}

impl Iterator for RowReader {
    type Item = Result<(TaskId, RecordBatch), StoreError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.finished {
            return None;
        }
        let item = self.next_batch().transpose();
        if let Some(Err(error)) = &item {
            self.shared.fail(error.clone());
        }
        if !matches!(item, Some(Ok(_))) {
            self.current = None;
            self.finished = true;
            self.shared.discard();
        }
        item
    }
}

impl Drop for RowReader {
    fn drop(&mut self) {
        self.shared.discard();
    }
}

impl fmt::Debug for RowReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RowReader").field("next", &self.next).finish_non_exhaustive()
    }
}
